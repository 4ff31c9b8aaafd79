"""Unit of work: what an execution writes, and no longer writes, once its lease is lost."""

from datetime import timedelta
from typing import Any

from agent_continuations import Agent, InMemoryStore, ScriptedModel, call, say, tool
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.events import ToolReturned
from agent_continuations.core.path import parse_path
from agent_continuations.core.run import Snapshot, Status
from agent_continuations.errors import Fenced
from agent_continuations.ports.commit import ReleaseTerms
from tests.support.engine_harness import Harness


def overtake(harness: Harness, run_id: str) -> int:
    """Another execution claims the run after its lease has expired. Returns the new epoch."""
    harness.later(minutes=3)
    lease_until = harness.now + timedelta(minutes=2)
    taken = harness.store.claim(run_id, holder="other", now=harness.now, lease_until=lease_until)
    assert taken
    return taken.epoch


def test_an_execution_that_is_overtaken_before_it_loads_does_nothing() -> None:
    class OvertakenStore(InMemoryStore):
        overtaken = False

        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            if self.overtaken:
                self.overtaken = False
                overtake(harness, run_id)
            return super().load(run_id, partial=partial)

    store = OvertakenStore()
    harness = Harness(script=[say("ok")], store=store)
    run_id = harness.start()
    store.overtaken = True
    assert harness.worker().advance(run_id) is None
    assert harness.model.requests == []
    head = harness.loaded(run_id).head
    assert (head.status, head.owner) == (Status.RUNNING, "other")


def test_an_execution_stops_if_its_run_has_ended() -> None:
    class ForgetfulStore(InMemoryStore):
        """The client repeats a release whose answer was lost, and finds that the run has ended."""

        ended = False

        def commit(self, run_id: str, **rest: Any) -> bool:
            assert not self.ended, "the execution has not stopped"
            written = super().commit(run_id, **rest)
            self.ended = written and rest["release"] is not None
            if self.ended:
                raise Fenced(run_id)
            return written

    @tool
    def work() -> str:
        """Work until the run is cancelled."""
        harness.services.control.cancel(run_id)
        return "done"

    harness = Harness(work, script=[call("work"), say("never said")], store=ForgetfulStore())
    run_id = harness.start()
    assert harness.worker().advance(run_id) is None
    assert harness.loaded(run_id).head.status is Status.CANCELLED


def test_an_outcome_that_is_known_after_the_end_of_its_run_is_stored() -> None:
    @tool
    def work() -> str:
        """While it runs, another execution claims the run and ends it."""
        epoch = overtake(harness, run_id)
        head = harness.store.wake(run_id, now=harness.now, cancel=True)
        assert head
        terms = ReleaseTerms(Status.CANCELLED, None, wake=head.wake, entry_count=2)
        assert harness.store.commit(run_id, epoch=epoch, release=terms, now=harness.now)
        return "late"

    harness = Harness(work, script=[call("work"), say("never said")])
    run_id = harness.start()
    assert harness.worker().advance(run_id) is None
    loaded = harness.loaded(run_id)
    outcome = loaded.continuation.call_at(parse_path("0.0")).outcome
    assert outcome
    assert outcome.content == "late"
    assert loaded.head.status is Status.CANCELLED


def test_an_execution_that_lost_its_lease_stores_no_reads() -> None:
    @tool(effect="read")
    def look() -> str:
        """While it runs, another execution claims the run."""
        overtake(harness, run_id)
        return "seen by the former lease holder"

    # A child that ends with its read has no next reply to carry it: it would be stored at once.
    child = Agent("child", tools=[look], max_turns=1)
    harness = Harness(script=[])
    harness.registry = Registry([Agent("a", tools=[child.as_tool(description="Looks.")])])
    harness.model = ScriptedModel({"a": [call("child", input="x")], "child": [call("look")]})
    run_id = harness.start()
    assert harness.worker().advance(run_id) is None
    stored = harness.loaded(run_id).snapshot.events()
    assert not [each for each in stored if isinstance(each, ToolReturned)]
