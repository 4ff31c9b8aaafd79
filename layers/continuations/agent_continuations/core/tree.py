"""Tree."""

from collections.abc import Callable

from agent_continuations.core.continuation import Call, Continuation
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, Step, path_text
from agent_continuations.errors import IllegalEvent


def in_frame(
    root: Continuation, path: Path, change: Callable[[Continuation], Continuation]
) -> Continuation:
    if path and root.call_at(path).outcome:
        raise IllegalEvent(f"a reply for a frame that is not at work: {path}")
    return in_any_frame(root, path, change)


def in_any_frame(
    root: Continuation, path: Path, change: Callable[[Continuation], Continuation]
) -> Continuation:
    """The same for a frame that may have ended: a hold stands after the reply that it held up."""
    if not path:
        return change(root)

    def change_child(call: Call) -> Call:
        if call.child is None:
            raise IllegalEvent(f"there is no agent at {path}")
        return with_child(call, change(call.child))

    return in_call(root, path, change_child)


def in_call(frame: Continuation, path: Path, change: Callable[[Call], Call]) -> Continuation:
    if not path:
        raise IllegalEvent("a call's event without a path")
    step, rest = path[0], path[1:]
    if not rest:
        return replace_call(frame, step, change)

    def change_inside(call: Call) -> Call:
        if call.child is None:
            raise IllegalEvent(f"there is no agent at {step}")
        return with_child(call, in_call(call.child, rest, change))

    return replace_call(frame, step, change_inside)


def with_child(call: Call, child: Continuation) -> Call:
    """Put the child back into its call; a child that has ended is the call's outcome."""
    outcome = child.outcome
    if outcome and outcome.kind == "error":
        content = f"the agent {child.agent} failed: {outcome.content}"
        outcome = Outcome(kind="error", content=content)
    return call.model_copy(update={"child": child, "outcome": outcome or call.outcome})


def replace_call(frame: Continuation, step: Step, change: Callable[[Call], Call]) -> Continuation:
    place = path_text((step,))
    if place in frame.holds:
        return frame.model_copy(
            update={"holds": {**frame.holds, place: change(frame.holds[place])}}
        )
    if step.turn >= len(frame.turns) or step.call >= len(frame.turns[step.turn].calls):
        raise IllegalEvent(f"there is no call {step.turn}.{step.call} in {frame.agent}")
    turn = frame.turns[step.turn]
    call = change(turn.calls[step.call])
    calls = (*turn.calls[: step.call], call, *turn.calls[step.call + 1 :])
    turn = turn.model_copy(update={"calls": calls})
    turns = (*frame.turns[: step.turn], turn, *frame.turns[step.turn + 1 :])
    return frame.model_copy(update={"turns": turns})
