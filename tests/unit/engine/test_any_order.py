"""Commands and inputs reach the runs of a tree in any order, at every status, between any two
operations of the store: nothing that was accepted is lost or used twice, and each run goes on."""

from contextlib import suppress
from datetime import timedelta
from itertools import count

import pytest

from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.awaiting import Await
from agent_continuations.core.decisions.responses import Decide, GrantTerms
from agent_continuations.core.effects import effects
from agent_continuations.core.inbound import Restore
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import path_text
from agent_continuations.core.run import RunHead, Status
from agent_continuations.core.waits import JobWait
from agent_continuations.errors import Conflict, ContinuationError, ModelUnavailable
from agent_continuations.local.hand_over import hand_over, take_over
from agent_continuations.operations.after_restore import mark_runs
from agent_continuations.operations.stuck_runs import why_stuck
from agent_continuations.views.run import run_view
from tests.support.engine_harness import NOW
from tests.support.run_tree_checks import (
    AcceptedInputs,
    check_children,
    check_executions,
    check_grants,
)
from tests.support.run_tree_world import ANN, OPERATOR, RunTreeWorld, new_store

# By weight. The last ones are rare, because they stop most of what follows.
COMMANDS = (
    ["sweep"] * 8
    + ["decide", "message", "signal", "complete", "resume", "redrive", "later", "calm_down"] * 3
    + ["pause", "block", "back_off", "expire", "nobody", "move"] * 2
    + ["cancel", "lose", "vanish", "restore"]
)
# Why an input is refused although its run has not ended.
REASONS = {
    "message": ("already waiting",),
    "signal": ("already waiting",),
    "complete": ("already known", "cannot be read"),
    "decide": ("already", "deadline", "cancelled", "cannot be read"),
    "move": ("is running", "may still be running", "is gone"),
}


class Walk:
    """A random walk, and what it knows of the inputs that were accepted."""

    def __init__(self, seed: int, kind: str) -> None:
        self.world = RunTreeWorld(seed, kind, self.step)
        self.random = self.world.random
        self.numbers = count()
        self.steps = 0
        self.marked = False
        self.accepted = AcceptedInputs()
        self.final: dict[str, Status] = {}

    def step(self) -> None:
        """One command to one run."""
        world = self.world
        self.steps += 1
        steps, world.depth = self.steps, world.depth + 1
        run_id = self.random.choice(world.run_ids())
        before = world.store.head(run_id)
        name = self.random.choice(COMMANDS)
        try:
            getattr(self, name)(run_id)
        except ContinuationError as error:
            # A refusal is judged if nothing else has happened meanwhile.
            if steps == self.steps and str(error) != "no answer":
                self.check_refusal(name, before, error)
        finally:
            world.depth -= 1
        self.check()

    def check_refusal(self, name: str, head: RunHead, error: ContinuationError) -> None:
        waits = head.status is Status.SUSPENDED and (head.obstacle or head.model_pause)
        stopped = head.status is Status.PARKED or waits
        may = head.status.ended or any(each in str(error) for each in REASONS.get(name, ()))
        may = may or (name == "redrive" and not stopped) or (name == "pause" and head.cancelled)
        assert may, f"{name} of a run that is {head.status}: {error!r}"

    # -- commands ----------------------------------------------------------------------------------

    def cancel(self, run_id: str) -> None:
        self.world.services.control.cancel(run_id)

    def pause(self, run_id: str) -> None:
        self.world.services.control.pause(run_id)

    def resume(self, run_id: str) -> None:
        self.world.services.control.resume(run_id)
        self.world.resumed(run_id)

    def redrive(self, run_id: str) -> None:
        head = self.world.services.control.redrive(run_id)
        assert (head.status, head.due) == (Status.READY, self.world.now)

    def message(self, run_id: str) -> None:
        key = f"message {next(self.numbers)}"
        message = self.world.services.inbound.message(run_id, key, key=key)
        self.accepted.messages[message.message_id] = run_id

    def signal(self, run_id: str) -> None:
        key = f"event {next(self.numbers)}"
        signal = self.world.services.inbound.signal(run_id, "paid", 1, key=key)
        self.accepted.signals[signal.event_id] = run_id

    def complete(self, run_id: str) -> None:
        for path, call in self.world.direct.runs.look(run_id).continuation.calls():
            if isinstance(call.wait, JobWait) and not call.outcome:
                text, at = f"result {next(self.numbers)}", path_text(path)
                outcome = Outcome(kind="ok", content=text)
                self.world.services.inbound.complete(run_id, at, outcome)
                self.accepted.outcomes[run_id, at] = text
                return

    def decide(self, run_id: str) -> None:
        root = self.world.direct.runs.load(run_id).continuation
        for effect in effects(root):
            if not (isinstance(effect, Await) and effect.asks_people and effect.request_id):
                continue
            verdict = self.random.choice(list(Verdict))
            asked = root.call_at(effect.path)
            grant = None
            if verdict is Verdict.APPROVE and effect.reason == "approval":
                uses = self.random.choice([1, 2])
                terms = GrantTerms(seconds=3600, rules={}, max_uses=uses)
                grant = self.random.choice([None, terms])
            who = ANN if asked.gate else OPERATOR
            response = Decide(verdict=verdict, approver=who, via="api", grant=grant)
            self.world.services.decisions.decide(run_id, effect.request_id, response)
            self.accepted.decisions[effect.request_id] = (run_id, verdict)
            return

    def later(self, _run_id: str) -> None:
        self.world.later(self.random.choice([1, 60, 130, 700, 1200, 4000]))

    def sweep(self, _run_id: str) -> None:
        for due in self.world.due():
            self.world.advance(due)

    def block(self, _run_id: str) -> None:
        self.world.down[self.random.choice(["boss", "clerk", "worker"])] = RuntimeError("401")

    def back_off(self, _run_id: str) -> None:
        self.world.down[self.random.choice(["boss", "clerk", "worker"])] = ModelUnavailable("429")

    def vanish(self, _run_id: str) -> None:
        self.world.gone.add(self.random.choice(list(self.world.tools)))

    def lose(self, run_id: str) -> None:
        self.world.lost.add(run_id)

    def nobody(self, _run_id: str) -> None:
        self.world.operators = ()

    def calm_down(self, _run_id: str) -> None:
        for each in (self.world.down, self.world.gone, self.world.lost):
            each.clear()
        self.world.operators = (OPERATOR,)

    def expire(self, run_id: str) -> None:
        """A process claims the run, and is never heard of again."""
        until = self.world.now + timedelta(seconds=120)
        self.world.store.claim(run_id, holder="dead", now=self.world.now, lease_until=until)

    def restore(self, _run_id: str) -> None:
        """The table was restored to its beginning, and nothing runs while it is marked."""
        if self.world.running or self.marked:
            return
        self.marked = True
        now = self.world.now
        restore = Restore(since=NOW - timedelta(seconds=1), until=now, at=now)
        list(mark_runs(self.world.store, restore, operators=()))

    def move(self, _run_id: str) -> None:
        world = self.world
        if world.running:
            return
        document = hand_over(world.store, world.root, world.now, clock_skew=120)
        for run_id in world.run_ids():
            with pytest.raises(Conflict):
                world.direct.inbound.signal(run_id, "paid")
        if self.random.random() < 0.5:
            world.attach(new_store(self.random.choice(["memory", "table"]), world.lost))
        for _ in range(2):  # once more changes nothing
            take_over(world.store, document, world.now)

    # -- what holds at any time ----------------------------------------------------------------

    def check(self) -> None:
        for run_id in self.world.run_ids():
            head, runs = self.world.store.head(run_id), self.world.direct.runs
            final = self.final.get(run_id, head.status)
            assert head.status is final, f"{final} became {head.status}"
            looked, notices = runs.look(run_id), self.world.store.notices(run_id)
            run_view(looked.head, looked.continuation, notices, runs.waiting(looked))
            if head.status.ended:
                assert (head.due, head.lease_until) == (None, None)
                if head.status is not Status.COMPLETED or head.parent:
                    self.final[run_id] = head.status
            elif head.status is Status.PARKED:
                assert head.note
            elif head.status is not Status.SUSPENDED or head.cancelled:
                assert head.due, f"{head.status}, but not due"
            elif run_id not in self.world.lost:
                why = why_stuck(head, looked.continuation, self.world.now, notices=notices)
                assert not why or "not picked up" in why or "blocked since" in why, why

    # -- what holds in the end ----------------------------------------------------------------

    def settle(self) -> None:
        """Nothing fails any more, people answer, and the sweeper wakes the runs: all end."""
        world = self.world
        world.calm = True
        self.calm_down("")
        for _ in range(400):
            heads = [
                each for each in map(world.store.head, world.run_ids()) if not each.status.ended
            ]
            if not heads:
                return
            for head in heads:
                if head.paused:
                    world.services.control.resume(head.run_id)
                if head.status is Status.PARKED:
                    world.services.control.redrive(head.run_id)
            self.sweep("")
            for head in heads:
                with suppress(Conflict):  # late, or of a run that has just ended
                    self.decide(head.run_id)
            self.check()
            dues = [each.due for each in map(world.store.head, world.run_ids()) if each.due]
            if dues and not world.due():
                world.now = max(world.now, min(dues))
        raise AssertionError(f"these do not end: {heads}")

    def check_end(self) -> None:
        world = self.world
        runs = {each: world.direct.runs.load(each) for each in world.run_ids()}
        self.accepted.check(runs)
        check_executions(world.executions, runs)
        check_grants(world.store.grants("default"), runs)
        for loaded in runs.values():
            check_children(loaded, runs)


@pytest.mark.parametrize(("kind", "seeds"), [("memory", range(60)), ("table", range(100, 115))])
def test_nothing_is_lost_and_each_run_goes_on_whatever_comes_in_whichever_order(
    kind: str, seeds: range
) -> None:
    for seed in seeds:
        walk = Walk(seed, kind)
        try:
            for _ in range(60):
                walk.step()
            walk.settle()
            walk.check_end()
        except BaseException as error:
            error.add_note(f"seed {seed}, {kind}")
            raise
