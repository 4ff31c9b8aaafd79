"""What must hold of everything that a run waits for but people's approvals, seen from outside.

E1 an event or a message that was taken is never lost, and never used twice. E2 the end of a job
that was taken stands. E3 a timer goes off at its time: not before, and soon after. C1 a run that
another's call has started tells it how it ended, and ends with it.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from agent_continuations.core.continuation import Call
from agent_continuations.core.events import ToolReturned
from agent_continuations.core.path import parse_path, path_text
from agent_continuations.core.run import LoadedRun, Status
from agent_continuations.core.waits import ChildWait, TimerWait
from agent_continuations.operations.stuck_runs import SWEEP_GRACE
from tests.simulation.scheduler import EPOCH

if TYPE_CHECKING:
    from tests.simulation.world import World

SKEW = timedelta(seconds=121)


def broken_waits(world: "World", loaded: LoadedRun) -> Iterator[str]:
    """Every such promise that a run has broken in the end."""
    yield from _told(world, loaded)
    yield from _jobs(world, loaded)
    for path, call in loaded.continuation.calls():
        if isinstance(call.wait, ChildWait):
            yield from _child(world, loaded, path_text(path), call.wait.run_id, call)
    yield from _timers(world, loaded)


def _told(world: "World", loaded: LoadedRun) -> Iterator[str]:
    root, run_id = loaded.continuation, loaded.head.run_id
    heard = Counter(each.message_id for turn in root.turns for each in turn.heard)
    kept = Counter(each.message_id for each in root.messages)
    for each_run, message_id in set(world.ledger.messages):
        if each_run == run_id and heard[message_id] + kept[message_id] != 1:
            yield f"E1: a message was heard {heard[message_id]} times, kept {kept[message_id]}"
    if loaded.head.status is Status.COMPLETED and kept:
        yield "E1: the run is completed, but has not heard all that it was told"
    used = Counter(
        event.took
        for event in loaded.snapshot.events()
        if isinstance(event, ToolReturned) and event.took
    )
    left = Counter(each.event_id for each in root.signals)
    for each_run, event_id in set(world.ledger.signals):
        if each_run == run_id and used[event_id] + left[event_id] != 1:
            yield f"E1: an event was taken {used[event_id]} times, kept {left[event_id]}"


def _jobs(world: "World", loaded: LoadedRun) -> Iterator[str]:
    for run_id, path, outcome in world.ledger.completed:
        if run_id == loaded.head.run_id:
            stands = loaded.continuation.call_at(parse_path(path)).outcome
            if stands != outcome:
                yield f"E2: the job of {path} was told that it ended as {outcome}, not {stands}"


def _child(
    world: "World", loaded: LoadedRun, path: str, child_id: str, call: Call
) -> Iterator[str]:
    child = world.truth(child_id)
    if child is None:
        yield f"C1: the run of {path} was never started"
        return
    if loaded.head.status is Status.COMPLETED and call.outcome is None:
        yield f"C1: {path} has no outcome"
    ended = child.continuation.outcome
    if call.outcome and "before a person has mended something" in call.outcome.content:
        return  # it was parked then, and has been redriven since
    if child.head.status is Status.COMPLETED and call.outcome and ended != call.outcome:
        yield f"C1: {path} came to {call.outcome}, but its run to {ended}"


def _timers(world: "World", loaded: LoadedRun) -> Iterator[str]:
    calls = {path_text(path): call for path, call in loaded.continuation.calls()}
    for event in loaded.snapshot.events():
        if not isinstance(event, ToolReturned):
            continue
        wait = calls[event.path].wait
        if not isinstance(wait, TimerWait):
            continue
        if event.at < wait.until - SKEW:
            yield f"E3: the timer of {event.path} went off at {event.at}, before {wait.until}"
        calm = EPOCH + timedelta(seconds=1500)
        held = world.scenario.waits  # an operator may have held the run, for a while
        latest = (
            max(wait.until, calm) + SWEEP_GRACE + (timedelta(seconds=4000) if held else timedelta())
        )
        if event.at > latest:
            yield f"E3: the timer of {event.path} went off at {event.at}, long after {wait.until}"
