"""What the function behind the inbound queue uses."""

import os
from functools import cache

from agent_continuations.adapters.queues.sqs import SqsInboundQueue
from agent_continuations.bootstrap.aws import client
from agent_continuations.bootstrap.links import (
    callback_tokens,
    event_signatures,
    outcome_tokens,
)
from agent_continuations.bootstrap.services import services
from agent_continuations.handlers.inbound_messages import InboundReceiver


@cache
def inbound_receiver() -> InboundReceiver:
    """Verifies and stores inbound messages."""
    return InboundReceiver(
        services().inbound,
        callbacks=callback_tokens,
        outcomes=outcome_tokens,
        events=event_signatures,
    )


@cache
def inbound_dead_letters() -> SqsInboundQueue:
    """The queue of the messages that were not delivered."""
    return SqsInboundQueue(client("sqs"), os.environ["INBOUND_DEAD_LETTERS"])
