"""Changes of one frame or call deep in the immutable tree.

Each function returns a new tree. On the way back to the root, a child that has ended becomes the
outcome of its call.
"""

from collections.abc import Callable

from agent_continuations.core.continuation import Call, Continuation
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, Step, path_text
from agent_continuations.errors import IllegalEvent


def change_active_frame(
    root: Continuation, path: Path, change: Callable[[Continuation], Continuation]
) -> Continuation:
    """Change the frame at `path`, which must not have ended.

    Raises:
        IllegalEvent: there is no such frame, or it has ended.
    """
    if path and root.call_at(path).outcome:
        raise IllegalEvent(f"a reply for a frame that is not at work: {path}")
    return change_frame(root, path, change)


def change_frame(
    root: Continuation, path: Path, change: Callable[[Continuation], Continuation]
) -> Continuation:
    """Change the frame at `path`, which may have ended.

    A stop by a condition is such a change: in key order it follows the reply that it delayed.

    Raises:
        IllegalEvent: there is no such frame.
    """
    if not path:
        return change(root)

    def change_child(call: Call) -> Call:
        if call.child is None:
            raise IllegalEvent(f"there is no agent at {path}")
        return with_child(call, change(call.child))

    return change_call(root, path, change_child)


def change_call(frame: Continuation, path: Path, change: Callable[[Call], Call]) -> Continuation:
    """Change the call at `path` below `frame`.

    Raises:
        IllegalEvent: there is no such call.
    """
    if not path:
        raise IllegalEvent("a call's event without a path")
    step, rest = path[0], path[1:]
    if not rest:
        return change_call_in_frame(frame, step, change)

    def change_inside(call: Call) -> Call:
        if call.child is None:
            raise IllegalEvent(f"there is no agent at {step}")
        return with_child(call, change_call(call.child, rest, change))

    return change_call_in_frame(frame, step, change_inside)


def with_child(call: Call, child: Continuation) -> Call:
    """The call with a changed child; the outcome of a child that has ended is the call's."""
    outcome = child.outcome
    if outcome and outcome.kind == "error":
        content = f"the agent {child.agent} failed: {outcome.content}"
        outcome = Outcome(kind="error", content=content)
    return call.model_copy(update={"child": child, "outcome": outcome or call.outcome})


def change_call_in_frame(
    frame: Continuation, step: Step, change: Callable[[Call], Call]
) -> Continuation:
    """Change a call of the frame itself, or its stop by a condition.

    Raises:
        IllegalEvent: there is no such call.
    """
    key = path_text((step,))
    if key in frame.holds:
        return frame.model_copy(update={"holds": {**frame.holds, key: change(frame.holds[key])}})
    if step.turn >= len(frame.turns) or step.call >= len(frame.turns[step.turn].calls):
        raise IllegalEvent(f"there is no call {step.turn}.{step.call} in {frame.agent}")
    turn = frame.turns[step.turn]
    call = change(turn.calls[step.call])
    calls = (*turn.calls[: step.call], call, *turn.calls[step.call + 1 :])
    turn = turn.model_copy(update={"calls": calls})
    turns = (*frame.turns[: step.turn], turn, *frame.turns[step.turn + 1 :])
    return frame.model_copy(update={"turns": turns})
