"""Who asked for a call, and so may not approve it."""

from collections.abc import Iterator

from agent_continuations.core.continuation import Continuation, Turn
from agent_continuations.core.path import Path
from agent_continuations.core.run import RunHead


def requesters(head: RunHead, root: Continuation, path: Path) -> tuple[str, ...]:
    """Those who asked for the call at `path`: who started the run, and who sent the messages that
    the run, or a child run whose result it had, had read when the call was planned.

    Args:
        head: the run's head.
        root: the run.
        path: the call's path.
    """
    found = [*([head.requester] if head.requester else ()), *head.senders]
    for depth, (turn, _) in enumerate(path):
        turns = root.frame_at(path[:depth]).turns
        found += _of_messages(turns[: turn + 1])
        found += _of_calls(turns[:turn])
    return tuple(dict.fromkeys(found))


def senders_of(head: RunHead, root: Continuation) -> tuple[str, ...]:
    """Those who sent the messages that a run, or a child run whose result it had, has read."""
    found = (*head.senders, *_of_messages(root.turns), *_of_calls(root.turns))
    return tuple(dict.fromkeys(found))


def _of_messages(turns: tuple[Turn, ...]) -> Iterator[str]:
    for turn in turns:
        for message in turn.heard:
            if message.sender:
                yield message.sender


def _of_calls(turns: tuple[Turn, ...]) -> Iterator[str]:
    for turn in turns:
        for call in turn.calls:
            yield from call.senders
            if call.child:
                yield from _of_calls(call.child.turns)
