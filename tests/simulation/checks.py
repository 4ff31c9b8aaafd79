"""The promises of every world, checked from outside: by the stored runs and the real effects.

S1 a journal entry never changes. S2 a `once` tool happens at most once. S3 one idempotency key per
call. S4 no call runs without its approval. S5 no intent after a cancel. S6 the first decision
stands. S7 an ended run stays ended. L1 every run comes to its end. T1 the audit trail is intact.
G1 a standing approval is used as often as it allows. D1 nobody is asked about a call whose outcome
a process could have stored. D2 nor about one that certainly did not run. The promises of the other
modules: P1, N1, I1, E1 to E4, C1.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import (
    Decided,
    DoubtResolved,
    MarkedInDoubt,
    ModelReplied,
    Voted,
)
from agent_continuations.core.path import parse_path, path_text
from agent_continuations.core.plans import ToolPlan
from agent_continuations.core.run import LoadedRun, Status
from agent_continuations.core.transcript import request_messages
from agent_continuations.operations.stuck_runs import SWEEP_GRACE, why_stuck
from tests.simulation.dynamodb import Item
from tests.simulation.faults import Faults
from tests.simulation.ground_truth import ReturnedTool, UnstartedTool
from tests.simulation.outages import DYNAMODB, S3
from tests.simulation.request_checks import broken_request_promises
from tests.simulation.scenario import ONCE, Scenario
from tests.simulation.scheduler import EPOCH
from tests.simulation.wait_checks import broken_wait_promises
from tests.simulation.world import World

PAUSED_UNTIL = 4200.0
CALM_SECONDS = 1800.0
IN_HAND_SECONDS = 180.0
STORED_TO = timedelta(milliseconds=1)
FINAL_STATUSES = {"completed", "failed", "cancelled", "parked"}


class Violation(AssertionError):
    """A promise was broken."""


class Monitor:
    """Checks the promises at each write to the table, and once a minute."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._now = 0.0
        self._seen: set[tuple[Any, ...]] = set()

    def item_written(self, before: Item | None, after: Item) -> None:
        kind = after["sk"]["S"]
        if kind.startswith("J#") and before is not None:
            self.found.append(f"S1: the journal entry {kind} was written again")
        if kind == "#H" and before is not None:
            self._check_head(before, after)

    def _check_head(self, before: Item, after: Item) -> None:
        was, now = before["status"]["S"], after["status"]["S"]
        # A user may redrive or cancel a parked run, or send a message to a completed one.
        redriven = (was, now) in (
            ("parked", "ready"),
            ("parked", "cancelled"),
            ("completed", "ready"),
        )
        if was in FINAL_STATUSES and now != was and not redriven:
            self.found.append(f"S7: {was} became {now}")
        if now == "ready" and not self._is_due_soon(after):
            self.found.append(f"L1: {was} became ready, and is not due")
        known, intents = before["intents"]["M"], after["intents"]["M"]
        if "cancelled" in before and any(known.get(path) != intents[path] for path in intents):
            self.found.append(f"S5: an intent after the cancel: {sorted(intents)}")

    def _is_due_soon(self, head: Item) -> bool:
        # `_now` may be a minute old, and the clocks of processes differ.
        latest = EPOCH + timedelta(seconds=self._now) + 2 * SWEEP_GRACE
        return "due" in head and int(head["due"]["N"]) <= latest.timestamp() * 1000

    def minute_passed(self, world: World) -> None:
        self._now = world.scheduler.now
        now = EPOCH + timedelta(seconds=self._now)
        calm = self._now > world.calm_at + CALM_SECONDS
        for head in world.heads(Status.READY, Status.RUNNING, Status.SUSPENDED):
            state = (head.run_id, head.epoch, head.wake, head.status, calm)
            overdue = calm and head.due is not None and head.due < now - SWEEP_GRACE
            if state in self._seen and not overdue:
                continue
            self._seen.add(state)
            loaded = world.stored_run(head.run_id)
            notices = world.notices(head.run_id)
            why = why_stuck(head, loaded.continuation, now, notices=notices) if loaded else None
            if head.obstacle and head.due:
                told = head.run_id in world.operators.told
                # At the due time an execution begins that may tell operators.
                why = None if told or now < head.due + SWEEP_GRACE else why
            if why and (calm or not (head.due and head.due < now)):
                self.found.append(f"L1: {why}")


def violations(world: World, watch: Monitor) -> Iterator[str]:
    """Every promise that a finished world has broken."""
    yield from watch.found
    yield from world.operators.needless
    yield from world.ground_truth.refusals
    yield from world.inbound.broken_promises()
    yield from _check_grants(world)
    yield from _check_executions(world)
    yield from _check_model_calls(world)
    for run_id in world.all_run_ids():
        loaded = world.stored_run(run_id)
        if loaded is None:
            yield f"L1: {run_id} was never started"
            continue
        yield from _check_liveness(world, loaded)
        yield from _check_decisions(world, loaded)
        # An operator may have paused the run until then.
        calm = max(
            world.calm_at + (PAUSED_UNTIL if world.scenario.waits else 0.0),
            world.operators.continued_at.get(run_id, 0.0),
        )
        yield from broken_request_promises(
            loaded, world.ground_truth.votes, world.notices(run_id), calm
        )
        yield from _check_transcripts(world, loaded)
        yield from _check_doubts(world, loaded)
        yield from broken_wait_promises(world, loaded)
        if loaded.head.status is Status.COMPLETED:
            yield from _check_completed(world, loaded, loaded.continuation)


def _check_executions(world: World) -> Iterator[str]:
    attempts = Counter(
        (each.run_id, each.path, each.attempt)
        for each in world.ground_truth.executions
        if each.tool.startswith(ONCE)
    )
    for call, times in attempts.items():
        if times > 1:
            yield f"S2: {call} happened {times} times for one intent"
    calls = Counter(
        (each.run_id, each.path)
        for each in world.ground_truth.executions
        if each.tool.startswith(ONCE)
    )
    for place, times in calls.items():
        if times > 1:
            yield f"S2: {place} happened {times} times in all"
    keys = defaultdict(set)
    places = defaultdict(set)
    for each in world.ground_truth.executions:
        keys[each.run_id, each.path].add(each.key)
        places[each.key].add((each.run_id, each.path))
        if not each.approved:
            yield f"S4: {each.path} ({each.tool}) ran without an approval of {each.amount}"
    yield from (f"S3: {place} has {len(of)} keys" for place, of in keys.items() if len(of) > 1)
    yield from (f"S3: the key {key} is that of {of}" for key, of in places.items() if len(of) > 1)


def _check_model_calls(world: World) -> Iterator[str]:
    """With at most one kill, only the model calls in flight at the kill are repeated.

    The model does not see the run's id, so each run may make each call once.
    """
    if replace(world.faults, kill_at=None, cancel_at=None) != Faults() or world.scenario.waits:
        return  # with child runs, a path does not identify the run
    for (path, turn), times in world.ground_truth.model_calls.items():
        if times > world.scenario.runs + ((path, turn) in world.in_flight):
            yield f"the reply {turn} of {path or 'the root'} was asked for {times} times"


def _check_liveness(world: World, loaded: LoadedRun) -> Iterator[str]:
    now = EPOCH + timedelta(seconds=world.scheduler.now)
    why = why_stuck(loaded.head, loaded.continuation, now)
    if why:
        yield f"L1: {why}"
    if not loaded.head.status.ended:
        yield f"L1: still {loaded.head.status.value} in the end: {loaded.head.note}"
    told = {(run_id, request_id) for run_id, request_id, _ in world.ground_truth.mails}
    for event in loaded.snapshot.events():
        if event.kind == "doubt_settled" and (loaded.head.run_id, event.request_id) not in told:
            yield f"L1: {event.request_id} was answered, but nobody had been told of it"


def _check_decisions(world: World, loaded: LoadedRun) -> Iterator[str]:
    stands = {
        event.request_id: event.decision
        for event in loaded.snapshot.events()
        if isinstance(event, Decided | DoubtResolved)
    }
    for told in world.ground_truth.decisions:
        if told.run_id != loaded.head.run_id:
            continue
        decision = stands.get(told.request_id)
        said = (told.verdict, told.approver)
        if decision is None:
            yield f"S6: {told.approver} was told of a decision that is not on record"
        elif said != (decision.verdict.value, decision.approver):
            yield f"S6: {said} was told, but {decision.verdict} by {decision.approver} stands"


def _check_transcripts(world: World, loaded: LoadedRun) -> Iterator[str]:
    """Each reply on record was made from exactly the transcript on record, with known tools."""
    for event in loaded.snapshot.events():
        if not isinstance(event, ModelReplied):
            continue
        if not event.profile or not world.profile(event.profile):
            yield f"the reply {event.turn} of {event.path or 'the root'} names no stored profile"
        number = int((event.reply.content or "").rpartition("#")[2])
        frame = loaded.continuation.frame_at(parse_path(event.path))
        derived = json.dumps(request_messages(frame, event.turn), sort_keys=True)
        if world.ground_truth.transcripts[number] != derived:
            yield f"the reply {event.turn} of {event.path or 'the root'} was made from another past"


def _check_doubts(world: World, loaded: LoadedRun) -> Iterator[str]:
    """Nobody is asked about a call of which a process knew what had become of it, and could have
    stored that.
    """
    truth, run_id = world.ground_truth, loaded.head.run_id
    for event in loaded.snapshot.events():
        if not isinstance(event, MarkedInDoubt):
            continue
        intent = event.doubt.intent
        if any(
            each[:3] == (run_id, event.path, intent.attempt) and _could_be_stored(world, each)
            for each in truth.returned
        ):
            yield f"D1: people were asked about {event.path}, whose outcome was in hand"
        if any(
            each[:2] == (run_id, event.path)
            and abs(each.intent_at - intent.started_at) < STORED_TO
            and _could_be_stored(world, each)
            for each in truth.unstarted
        ):
            yield f"D2: people were asked about {event.path}, which had certainly not run"


def _could_be_stored(world: World, known: ReturnedTool | UnstartedTool) -> bool:
    """Whether the process that knew it lived for long enough, and the store answered."""
    until = known.process.ends_at - IN_HAND_SECONDS
    in_outage = any(
        {*each.services} & {*DYNAMODB, *S3}
        for each in world.faults.outages
        if each.since < known.process.ends_at and known.at < each.until
    )
    return known.at < until and not known.process.may_lose_outcomes and not in_outage


def _check_grants(world: World) -> Iterator[str]:
    """A standing approval has as many votes as it counts uses, and no more than it allows."""
    votes = Counter(
        event.decision.grant_id
        for run_id in world.all_run_ids()
        if (loaded := world.stored_run(run_id))
        for event in loaded.snapshot.events()
        if isinstance(event, Decided | Voted) and event.decision.grant_id
    )
    for grant in world.grants():
        used = votes.pop(grant.grant_id, 0)
        if used != grant.uses or used > (grant.max_uses or used):
            yield f"G1: a grant for {grant.max_uses} uses has {used} votes, and counts {grant.uses}"
    yield from (f"G1: votes of a grant that is not stored: {each}" for each in votes)


def _check_completed(world: World, loaded: LoadedRun, root: Continuation) -> Iterator[str]:
    """In a completed run, every planned call ran."""
    ran = Counter(
        each.path for each in world.ground_truth.executions if each.run_id == loaded.head.run_id
    )
    for path, call in root.calls():
        outcome = call.outcome
        if outcome is None:
            yield f"{path_text(path)} has no outcome"
        elif isinstance(call.plan, ToolPlan):
            times = ran[path_text(path)]
            if outcome.kind == "rejected" and times and call.asks == "approval":
                yield f"S4: {path_text(path)} was rejected and ran"
            if outcome.kind != "rejected" and not times:
                yield f"{path_text(path)} has an outcome, and never ran"


def run_world(scenario: Scenario, faults: Faults) -> tuple[World, list[str]]:
    """Run a world to its end, and return it with the promises that it broke."""
    watch = Monitor()
    world = World(scenario, faults, watch)
    world.run()
    return world, list(violations(world, watch))


def run_and_check(scenario: Scenario, faults: Faults) -> World:
    """Run a world to its end.

    Raises:
        Violation: it broke a promise.
    """
    world, broken = run_world(scenario, faults)
    if broken:
        where = f", killed in {world.killed_in}" if world.killed_in else ""
        where += f", cancelled in {world.cancelled_in}" if world.cancelled_in else ""
        raise Violation(f"seed {scenario.seed}{where}\n" + "\n".join(broken[:10]))
    return world
