"""The agents and calls of a run, as a tree of nodes to render."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agent_continuations.core.continuation import Call, Continuation
from agent_continuations.core.path import Path, Step, parse_path, path_text
from agent_continuations.views.labels import LABELS, OUTCOMES, RUNNING

MAX_NODES = 300
MAX_LABEL = 200


@dataclass(frozen=True, slots=True)
class Node:
    """A call, with the calls of its sub-agent; without a label, the number of calls left out.

    Attributes:
        label: the tool's name.
        state: the call's state, as text; for calls left out, their number.
        here: whether the page is about this call.
        inside: the calls of its sub-agent.
        run_id: of the child run that the call has started; empty without one.
        frame: the path of its sub-agent; empty without one.
    """

    label: str
    state: str
    here: bool
    inside: tuple["Node", ...]
    run_id: str = ""
    frame: str = ""


def nodes(root: Continuation, here: Collection[Path]) -> tuple[Node, ...]:
    """The calls of a run, and the conditions that stopped it.

    Of very many calls, the open ones and those that ended last are included.

    Args:
        root: the run.
        here: the calls that the page is about.
    """
    calls = list(root.calls())
    still_open = [path for path, call in calls if not call.outcome or path in here]
    ended = [path for path, call in calls if call.outcome and path not in here]
    room = MAX_NODES - len(still_open)
    chosen = {*still_open[:MAX_NODES], *(ended[-room:] if room > 0 else ())}
    return tuple(_inside(root, (), frozenset(here), chosen))


def _inside(
    frame: Continuation, path: Path, here: frozenset[Path], chosen: set[Path]
) -> Iterator[Node]:
    calls = [
        ((*path, Step(number, index)), call)
        for number, turn in enumerate(frame.turns)
        for index, call in enumerate(turn.calls)
    ]
    calls += [((*path, *parse_path(key)), condition) for key, condition in frame.holds.items()]
    included = [(at, call) for at, call in calls if at in chosen]
    if more := len(calls) - len(included):
        yield Node("", f"{more} more {'call' if more == 1 else 'calls'}", False, ())
    for at, call in included:
        inside = tuple(_inside(call.child, at, here, chosen)) if call.child else ()
        yield Node(
            call.plan.tool[:MAX_LABEL],
            _state(call),
            at in here,
            inside,
            call.child_run or "",
            path_text(at) if call.child else "",
        )


def _state(call: Call) -> str:
    if call.outcome:
        return OUTCOMES[call.outcome.kind]
    if call.wait:
        return LABELS[call.wait.kind].state
    if call.doubt:
        return LABELS["doubt"].state
    if call.asks == "condition" or (call.approval and not call.decision):
        return LABELS[call.asks].state
    return RUNNING
