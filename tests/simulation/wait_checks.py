"""The promises about all waits but approvals.

E1 an accepted event or message is never lost, and never used twice. E2 the accepted outcome of a
job or a tool stands. E3 a timer ends at its time: not before, and soon after. E4 an event counts
that was stored before the deadline, and no other. C1 a child run reports its outcome to the call
that started it, and ends with its parent.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from agent_continuations.core.continuation import Call
from agent_continuations.core.events import SignalReceived, ToolReturned
from agent_continuations.core.keys import inbound_entry_key
from agent_continuations.core.path import parse_path, path_text
from agent_continuations.core.run import LoadedRun, Status
from agent_continuations.core.waits import ChildWait, EventWait, TimerWait
from agent_continuations.operations.stuck_runs import SWEEP_GRACE
from tests.simulation.scheduler import EPOCH

if TYPE_CHECKING:
    from tests.simulation.world import World

SKEW = timedelta(seconds=121)
PAUSED_SECONDS = 4000.0


def broken_wait_promises(world: "World", loaded: LoadedRun) -> Iterator[str]:
    """Every promise about waits that a finished run has broken."""
    yield from _check_inbound(world, loaded)
    yield from _check_jobs(world, loaded)
    for path, call in loaded.continuation.calls():
        if isinstance(call.wait, ChildWait):
            yield from _check_child(world, loaded, path_text(path), call.wait.run_id, call)
        if isinstance(call.wait, EventWait):
            yield from _check_event(world, loaded, path_text(path), call.wait)
    yield from _check_timers(world, loaded)


def _check_inbound(world: "World", loaded: LoadedRun) -> Iterator[str]:
    root, run_id = loaded.continuation, loaded.head.run_id
    delivered = Counter(each.message_id for turn in root.turns for each in turn.heard)
    kept = Counter(each.message_id for each in root.messages)
    for each_run, message_id in set(world.ground_truth.messages):
        if each_run == run_id and delivered[message_id] + kept[message_id] != 1:
            yield f"E1: a message was heard {delivered[message_id]} times, kept {kept[message_id]}"
    if loaded.head.status is Status.COMPLETED and kept:
        yield "E1: the run is completed, but has not heard all that it was told"
    used = Counter(
        event.took
        for event in loaded.snapshot.events()
        if isinstance(event, ToolReturned) and event.took
    )
    left = Counter(each.event_id for each in root.signals)
    for each_run, event_id in set(world.ground_truth.signals):
        if each_run == run_id and used[event_id] + left[event_id] != 1:
            yield f"E1: an event was taken {used[event_id]} times, kept {left[event_id]}"


def _check_event(world: "World", loaded: LoadedRun, path: str, wait: EventWait) -> Iterator[str]:
    """An event that was stored before the deadline counts, and one that came after it does not."""
    returned = {
        event.path: event for event in loaded.snapshot.events() if isinstance(event, ToolReturned)
    }
    ended, until = returned.get(path), wait.until
    if ended is None or until is None:
        return
    for event in loaded.snapshot.events():
        if not isinstance(event, SignalReceived):
            continue
        signal = event.signal
        if ended.took == signal.event_id and signal.at > until:
            yield f"E4: {path} has taken an event of {signal.at}, after its deadline {until}"
        if ended.took or not wait.takes(signal.name, signal.correlation):
            continue
        key = f"J#{inbound_entry_key(event)}"
        stored = EPOCH + timedelta(seconds=world.written_at[f"R#{loaded.head.run_id}", key])
        left = any(each.event_id == signal.event_id for each in loaded.continuation.signals)
        skew = timedelta(seconds=world.faults.skew + 1)
        if left and signal.at <= until and stored < until - skew:
            yield f"E4: {path} has timed out at {until}, but its event was stored at {stored}"


def _check_jobs(world: "World", loaded: LoadedRun) -> Iterator[str]:
    for run_id, path, outcome in world.ground_truth.completed:
        if run_id == loaded.head.run_id:
            stands = loaded.continuation.call_at(parse_path(path)).outcome
            if stands != outcome:
                yield f"E2: {path} was reported to have ended as {outcome}, not {stands}"


def _check_child(
    world: "World", loaded: LoadedRun, path: str, child_id: str, call: Call
) -> Iterator[str]:
    child = world.stored_run(child_id)
    if child is None:
        yield f"C1: the run of {path} was never started"
        return
    if loaded.head.status is Status.COMPLETED and call.outcome is None:
        yield f"C1: {path} has no outcome"
    ended = child.continuation.outcome
    if call.outcome and "before a person has mended something" in call.outcome.content:
        return  # the child was parked then, and has been redriven since
    if child.head.status is Status.COMPLETED and call.outcome and ended != call.outcome:
        yield f"C1: {path} came to {call.outcome}, but its run to {ended}"


def _check_timers(world: "World", loaded: LoadedRun) -> Iterator[str]:
    calls = {path_text(path): call for path, call in loaded.continuation.calls()}
    for event in loaded.snapshot.events():
        if not isinstance(event, ToolReturned):
            continue
        wait = calls[event.path].wait
        if not isinstance(wait, TimerWait):
            continue
        if event.at < wait.until - SKEW:
            yield f"E3: the timer of {event.path} went off at {event.at}, before {wait.until}"
        # An operator may have paused the run for a while.
        held = PAUSED_SECONDS if world.scenario.waits else 0.0
        continued = world.operators.continued_at.get(loaded.head.run_id, 0.0)
        calm = EPOCH + timedelta(seconds=max(world.calm_at + held, continued))
        latest = max(wait.until + timedelta(seconds=held), calm) + SWEEP_GRACE
        if event.at > latest:
            yield f"E3: the timer of {event.path} went off at {event.at}, long after {wait.until}"
