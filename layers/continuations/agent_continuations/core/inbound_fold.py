"""Folding of what comes to a run from outside. It changes the root frame only."""

from typing import assert_never

from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import (
    InboundEvent,
    MessageReceived,
    RestoreCleared,
    Restored,
    SignalReceived,
)


def inbound_received(root: Continuation, event: InboundEvent) -> Continuation:
    """The run with an event from outside."""
    # Sorted by time, because the journal entries are in the order of their ids.
    match event:
        case MessageReceived(message=message):
            messages = sorted(
                (*root.messages, message), key=lambda each: (each.at, each.message_id)
            )
            return root.model_copy(update={"messages": tuple(messages)})
        case SignalReceived(signal=signal):
            signals = sorted((*root.signals, signal), key=lambda each: (each.at, each.event_id))
            return root.model_copy(update={"signals": tuple(signals)})
        case Restored(restore=restore):
            return root.model_copy(update={"restore": restore})
        case RestoreCleared():
            return root.model_copy(update={"restore": None})
        case _:
            assert_never(event)


def without_signal(root: Continuation, event_id: str | None) -> Continuation:
    """The run without the signal that a call has taken; unchanged for None."""
    if event_id is None:
        return root
    signals = tuple(each for each in root.signals if each.event_id != event_id)
    return root.model_copy(update={"signals": signals})
