"""Tool hosts apart from the engine: what became of a call, and when it is sent again.

Whatever a host says, each run ends in a state that is true: a body that certainly did not run
starts later, people are asked about one that may have run, and nothing else of the run changes.
"""

from datetime import timedelta
from typing import Any

import pytest

from agent_continuations import Job, ToolContext, call, calls, say, tool
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.authoring.tool import Tool
from agent_continuations.authoring.waits import wait_values
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import Call
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import Status
from agent_continuations.engine.context import Limits
from agent_continuations.handlers.late_outcomes import late_outcomes
from agent_continuations.ports.model import ModelRequest
from agent_continuations.ports.tool_host import (
    HOST_GRACE_SECONDS,
    LATE_SECONDS,
    MAX_HOST_BYTES,
    CallLost,
    HostAnswer,
    HostedCall,
    HostRequest,
    HostResponse,
    NotRun,
)
from tests.support.engine_harness import NOW, Harness
from tests.support.executors import PatientExecutor
from tests.support.failing_store import FailingStore
from tests.support.scripted_hosts import HOST_SECONDS, Answer, Rule, ScriptedHosts, each_call, ok

LIMITS = Limits()
ENDED_AT = NOW + timedelta(seconds=HOST_SECONDS + HOST_GRACE_SECONDS)
IN_DOUBT_AT = ENDED_AT + timedelta(seconds=LIMITS.clock_skew)
SOON, LATER = (
    NOW + timedelta(seconds=seconds) for seconds in (LIMITS.busy_retry, LIMITS.blocked_retry)
)

BUSY = NotRun("the host is busy", passes=True, soon=True)
DENIED = NotRun("the host is denied", passes=True)
GONE = NotRun("the host is gone", passes=False)
DIED = CallLost("the host has died", ended=True)
SILENT = CallLost("the host is silent", ended=False)


@tool(effect="read")
def look() -> str:
    """Look."""
    raise AssertionError("it ran in the engine")


@tool(effect="idempotent")
def note() -> str:
    """Note."""
    raise AssertionError("it ran in the engine")


@tool
def launch() -> str:
    """Launch."""
    raise AssertionError("it ran in the engine")


def poll(_handle: Any, _context: ToolContext) -> Any:
    raise AssertionError("it ran in the engine")


@tool(effect="idempotent", poll=poll)
def order(context: ToolContext) -> Job:
    """Order."""
    raise AssertionError("it ran in the engine")


TOOLS = (look, note, launch, order)


def always(answer: Answer) -> Rule:
    return lambda _request: answer


def waits(**wait: Any) -> Rule:
    """A host whose tool has returned a wait of these values."""
    return each_call(lambda each: HostAnswer(path=each.path, kind="wait", wait=wait))


class Hosted:
    """A run whose tools run in hosts.

    Args:
        script: the model's turns; the name of a tool stands for one call of it.
        rules: what the hosts do, see `ScriptedHosts`.
    """

    def __init__(
        self,
        script: str | Script,
        *rules: Rule,
        tools: tuple[Tool, ...] = TOOLS,
        unknown: tuple[str, ...] = (),
        store: FailingStore | None = None,
    ) -> None:
        turns = [call(script), say("done")] if isinstance(script, str) else script
        self.harness = Harness(*tools, script=turns, store=store)
        if store:
            store.clock = lambda: self.harness.now
        self.hosts = ScriptedHosts(*rules, unknown=unknown)
        self.run_id = self.harness.start()

    def advance(self, seconds: float | None = None, **more: Any) -> Status | None:
        """Advance the run by a new execution, which has so many seconds."""
        deadline = None if seconds is None else self.harness.now + timedelta(seconds=seconds)
        worker = self.harness.worker(
            hosts=lambda: self.hosts,
            executor=lambda: PatientExecutor(8),
            pause=lambda passed: self.harness.later(seconds=passed),
            **more,
        )
        return worker.advance(self.run_id, deadline=deadline)

    def advance_at(self, time: Any) -> Status | None:
        self.harness.now = time
        return self.advance()

    @property
    def head(self) -> Any:
        return self.harness.loaded(self.run_id).head

    @property
    def calls(self) -> tuple[Call, ...]:
        return self.harness.loaded(self.run_id).continuation.turns[0].calls

    @property
    def results(self) -> list[str]:
        return [each.outcome.content if each.outcome else "" for each in self.calls]

    @property
    def asked(self) -> list[str]:
        """What people are asked."""
        waiting = [each.kind for each in self.harness.waiting(self.run_id)]
        return [kind for kind in waiting if kind not in ("timer", "job")]


# -- the table of errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "again_at"), [(BUSY, SOON), (DENIED, LATER)])
@pytest.mark.parametrize(("name", "attempt"), [("look", 1), ("note", 2), ("launch", 1)])
def test_a_call_that_has_not_run_starts_again_after_a_pause(
    name: str, attempt: int, error: NotRun, again_at: Any
) -> None:
    run = Hosted(name, always(error), each_call(ok))
    assert run.advance(900) is Status.SUSPENDED
    assert (run.head.note, run.head.due) == (error.reason, again_at)
    assert run.asked == []
    assert run.advance_at(again_at) is Status.COMPLETED
    assert run.hosts.sent == [[("0.0", 1)], [("0.0", attempt)]]
    assert run.results == [f"{name} 0.0"]


@pytest.mark.parametrize("name", ["look", "note", "launch"])
def test_a_call_that_has_not_run_and_needs_a_deployment_parks_its_run(name: str) -> None:
    run = Hosted(name, always(GONE), each_call(ok))
    assert run.advance() is Status.PARKED
    assert run.head.note == GONE.reason
    run.harness.services.control.redrive(run.run_id)
    assert run.advance() is Status.COMPLETED
    assert run.asked == []


@pytest.mark.parametrize("error", [BUSY, DENIED, GONE])
def test_the_intent_of_a_once_call_that_has_not_run_is_withdrawn(error: NotRun) -> None:
    run = Hosted("launch", always(error))
    run.advance()
    assert run.head.intents == {}
    # Not even long after its deadline would have passed.
    run.advance_at(IN_DOUBT_AT + timedelta(days=1))
    assert run.asked == []


def test_an_intent_is_withdrawn_although_the_store_does_not_answer_for_a_while() -> None:
    store = FailingStore()
    run = Hosted("launch", always(BUSY), store=store)
    store.fail("commit", seconds=600)
    assert run.advance(900) is Status.SUSPENDED
    assert store.outage_seconds >= 600
    assert run.head.intents == {}


@pytest.mark.parametrize("stop", ["pause", "cancel"])
def test_a_run_that_is_stopped_while_its_host_is_busy_comes_to_rest(stop: str) -> None:
    def busy(_request: HostRequest) -> Answer:
        getattr(run.harness.services.control, stop)(run.run_id)
        return BUSY

    run = Hosted("launch", busy)
    expected = {"pause": Status.SUSPENDED, "cancel": Status.CANCELLED}
    assert run.advance() is expected[stop]
    assert run.asked == []
    if stop == "pause":
        assert run.head.intents == {}


@pytest.mark.parametrize(("name", "attempt"), [("look", 1), ("note", 2)])
@pytest.mark.parametrize("error", [DIED, SILENT])
def test_a_lost_call_that_may_run_again_does_so_after_a_pause(
    name: str, attempt: int, error: CallLost
) -> None:
    run = Hosted(name, always(error), each_call(ok))
    assert run.advance() is Status.SUSPENDED
    assert (run.head.note, run.head.due) == (error.reason, LATER)
    assert run.advance_at(LATER) is Status.COMPLETED
    assert run.hosts.sent == [[("0.0", 1)], [("0.0", attempt)]]
    assert run.asked == []


def test_people_are_asked_at_once_about_a_once_call_whose_process_has_died() -> None:
    run = Hosted("launch", always(DIED))
    assert run.advance() is Status.SUSPENDED
    assert run.asked == ["doubt"]
    assert len(run.harness.store.notices(run.run_id)) == 1
    assert run.hosts.sent == [[("0.0", 1)]]


def test_people_are_asked_about_a_once_call_only_when_its_host_must_have_ended() -> None:
    run = Hosted("launch", always(SILENT))
    assert run.advance() is Status.SUSPENDED
    assert run.head.due == IN_DOUBT_AT
    assert run.advance_at(IN_DOUBT_AT - timedelta(seconds=1)) is Status.SUSPENDED
    assert run.asked == []
    assert run.advance_at(IN_DOUBT_AT) is Status.SUSPENDED
    assert run.asked == ["doubt"]
    assert run.hosts.sent == [[("0.0", 1)]]


def test_a_call_that_people_say_did_not_happen_is_sent_as_its_next_attempt() -> None:
    run = Hosted("launch", always(DIED), each_call(ok))
    run.advance()
    run.harness.decide(run.run_id, Verdict.REJECT)
    assert run.advance() is Status.COMPLETED
    assert run.hosts.sent == [[("0.0", 1)], [("0.0", 2)]]


def test_only_the_attempt_whose_process_has_died_is_asked_about_at_once() -> None:
    """The next attempt of the same execution is at work, as far as is known."""
    run = Hosted("launch", always(DIED), always(SILENT))
    run.advance()
    run.harness.decide(run.run_id, Verdict.REJECT)
    assert run.advance() is Status.SUSPENDED
    assert run.asked == []
    assert run.head.due == IN_DOUBT_AT


def ordered(*rules: Rule) -> Hosted:
    """A run that waits for a job whose poll is due."""
    job = wait_values(Job("h", timeout_seconds=1000, poll_seconds=20))
    run = Hosted("order", waits(**job), *rules)
    assert run.advance() is Status.SUSPENDED
    assert run.head.due == NOW + timedelta(seconds=20)
    run.harness.later(seconds=20)
    return run


def test_a_poll_is_sent_with_the_jobs_handle() -> None:
    run = ordered(each_call(ok))
    assert run.advance() is Status.COMPLETED
    _, request = run.hosts.requests[1]
    assert (request.do, [each.handle for each in request.calls]) == ("poll", ["h"])
    assert run.results == ["order 0.0"]


@pytest.mark.parametrize("error", [DIED, SILENT])
def test_a_lost_poll_means_that_the_job_is_pending(error: CallLost) -> None:
    run = ordered(always(error), each_call(ok))
    assert run.advance() is Status.SUSPENDED
    assert run.head.due == run.harness.now + timedelta(seconds=40)
    assert run.advance_at(run.head.due) is Status.COMPLETED
    assert run.hosts.sent == [[("0.0", 1)], [("0.0", 1)], [("0.0", 2)]]


@pytest.mark.parametrize(("error", "seconds"), [(BUSY, 30), (DENIED, 300)])
def test_a_poll_that_has_not_run_is_sent_again_under_its_number(
    error: NotRun, seconds: float
) -> None:
    run = ordered(always(error), each_call(ok))
    assert run.advance() is Status.SUSPENDED
    assert run.head.due == run.harness.now + timedelta(seconds=seconds)
    assert run.head.note == error.reason
    assert run.advance_at(run.head.due) is Status.COMPLETED
    assert run.hosts.sent == [[("0.0", 1)], [("0.0", 1)], [("0.0", 1)]]


def test_a_job_whose_host_is_gone_still_ends_at_its_deadline() -> None:
    run = ordered(always(GONE))
    run.advance()
    assert run.head.note == GONE.reason
    run.harness.now = NOW + timedelta(seconds=1000)
    if run.head.status is Status.PARKED:
        run.harness.services.control.redrive(run.run_id)
    assert run.advance() is Status.COMPLETED
    assert run.results == ["The job has not finished in time."]


def test_a_tool_of_a_host_that_is_not_deployed_parks_its_run_before_any_intent() -> None:
    run = Hosted("launch", unknown=("tools",))
    assert run.advance() is Status.PARKED
    assert (run.head.note, run.head.intents) == ("there is no host tools", {})
    assert run.hosts.requests == []


# -- times -----------------------------------------------------------------------------------------


def test_an_intent_lasts_as_long_as_its_host_may_and_no_body_starts_late() -> None:
    intents: list[Any] = []

    def looked(request: HostRequest) -> Answer:
        intents.extend(run.head.intents.values())
        return HostResponse(answers=tuple(map(ok, request.calls)))

    run = Hosted("launch", looked)
    assert run.advance(900) is Status.COMPLETED
    [intent] = intents
    assert (intent.started_at, intent.deadline) == (NOW, ENDED_AT)
    [(_, request)] = run.hosts.requests
    late = timedelta(seconds=HOST_GRACE_SECONDS + LIMITS.clock_skew / 2)
    assert request.not_after == intent.started_at + late


class SlowStore(FailingStore):
    """A store that takes a minute until it answers that an intent is stored."""

    def record_intents(self, run_id: str, **rest: Any) -> Any:
        stored = super().record_intents(run_id, **rest)
        self.harness.later(seconds=60)
        return stored

    harness: Harness


def test_no_body_starts_late_however_long_its_intent_took_to_be_stored() -> None:
    store = SlowStore()
    run = Hosted("launch", store=store)
    store.harness = run.harness
    assert run.advance() is Status.COMPLETED
    [(_, request)] = run.hosts.requests
    late = timedelta(seconds=HOST_GRACE_SECONDS + LIMITS.clock_skew / 2)
    assert request.not_after == NOW + late


def test_a_call_that_does_not_fit_into_the_time_left_hands_its_run_on() -> None:
    longest = HOST_SECONDS + HOST_GRACE_SECONDS + LIMITS.abandon_margin

    def slow(request: ModelRequest) -> Reply:
        if len(request.messages) > 2:
            return say("done")
        run.harness.later(seconds=900 - longest + 1)
        return call("launch")

    run = Hosted(slow)
    assert run.advance(900) is Status.READY
    assert (run.hosts.requests, run.head.intents) == ([], {})
    assert run.harness.queue.sent[-1] == ("resume", run.run_id)
    assert run.advance(900) is Status.COMPLETED


def test_a_call_starts_if_the_time_of_an_execution_is_just_enough() -> None:
    run = Hosted("launch")
    longest = HOST_SECONDS + HOST_GRACE_SECONDS + LIMITS.abandon_margin
    assert run.advance(longest - 1) is Status.SUSPENDED
    assert run.head.note == "the engine's timeout is too short for the tool host tools"
    assert (run.hosts.requests, run.head.intents, run.head.due) == ([], {}, LATER)
    run.harness.now = LATER
    assert run.advance(longest) is Status.COMPLETED


# -- reads of one turn -----------------------------------------------------------------------------

READS = calls(("look", {}), ("look", {}), ("look", {}))


def test_reads_of_one_turn_share_a_request() -> None:
    run = Hosted([READS, say("done")])
    assert run.advance() is Status.COMPLETED
    assert run.hosts.sent == [[("0.0", 1), ("0.1", 1), ("0.2", 1)]]
    assert run.results == ["look 0.0", "look 0.1", "look 0.2"]


def test_reads_of_other_hosts_and_calls_with_an_intent_have_a_request_of_their_own() -> None:
    @tool(effect="read", host="maps")
    def locate() -> str:
        """Locate."""
        raise AssertionError("it ran in the engine")

    turn = calls(*[(name, {}) for name in ("look", "launch", "locate", "look", "note")])
    run = Hosted([turn, say("done")], tools=(*TOOLS, locate))
    assert run.advance() is Status.COMPLETED
    sent = sorted((host, [each.path for each in of.calls]) for host, of in run.hosts.requests)
    assert sent == [
        ("maps", ["0.2"]),
        ("tools", ["0.0", "0.3"]),
        ("tools", ["0.1"]),
        ("tools", ["0.4"]),
    ]


def test_reads_whose_common_request_was_lost_are_sent_again_each_alone() -> None:
    run = Hosted([READS, say("done")], always(DIED), each_call(ok))
    assert run.advance() is Status.COMPLETED
    first, *others = run.hosts.sent
    assert first == [("0.0", 1), ("0.1", 1), ("0.2", 1)]
    assert sorted(others) == [[("0.0", 1)], [("0.1", 1)], [("0.2", 1)]]


def test_the_read_that_ends_its_host_keeps_no_other_from_its_result() -> None:
    def deadly(request: HostRequest) -> Answer:
        if any(each.path == "0.1" for each in request.calls):
            return DIED
        return HostResponse(answers=tuple(map(ok, request.calls)))

    run = Hosted([READS, say("done")], deadly)
    assert run.advance() is Status.SUSPENDED
    assert (run.head.note, run.head.due) == (DIED.reason, LATER)
    assert run.results == ["look 0.0", "", "look 0.2"]
    assert len(run.hosts.sent) == 4


def test_a_read_that_is_left_out_of_the_answer_is_sent_again_alone() -> None:
    def short(request: HostRequest) -> Answer:
        return HostResponse(answers=tuple(map(ok, request.calls[:1])))

    run = Hosted([READS, say("done")], short)
    assert run.advance() is Status.COMPLETED
    assert len(run.hosts.sent[0]) == 3
    assert sorted(run.hosts.sent[1:]) == [[("0.1", 1)], [("0.2", 1)]]


# -- sizes -----------------------------------------------------------------------------------------


@tool(effect="read")
def search(text: str) -> str:
    """Search."""
    raise AssertionError("it ran in the engine")


def test_reads_that_are_too_large_for_one_request_share_several() -> None:
    turn = calls(*[("search", {"text": "x" * (MAX_HOST_BYTES // 3)})] * 5)
    run = Hosted([turn, say("done")], tools=(search,))
    assert run.advance() is Status.COMPLETED
    sizes = [len(request.model_dump_json()) for _, request in run.hosts.requests]
    assert max(sizes) <= MAX_HOST_BYTES
    assert [len(each) for each in run.hosts.sent] == [2, 2, 1]


@pytest.mark.parametrize("length", [MAX_HOST_BYTES, MAX_HOST_BYTES - 400])
def test_a_call_that_is_too_large_for_any_request_parks_its_run(length: int) -> None:
    @tool
    def write(text: str) -> str:
        """Write."""
        raise AssertionError("it ran in the engine")

    run = Hosted([call("write", text="x" * length), say("done")], tools=(write,))
    assert run.advance() is Status.PARKED
    assert run.head.note == "the call is too large for its tool's host"
    assert (run.hosts.requests, run.head.intents) == ([], {})


def test_an_answer_of_any_size_is_stored() -> None:
    size = 20_000_000
    run = Hosted(
        "launch", each_call(lambda each: HostAnswer(path=each.path, kind="ok", content="x" * size))
    )
    assert run.advance() is Status.COMPLETED
    assert [len(each) for each in run.results] == [size]


# -- outcomes that are reported beside the answer --------------------------------------------------

REPORTED = Outcome(kind="ok", content="in orbit")


class Reporting(Hosted):
    """A run whose host reports what became of its call, before its answer comes or is lost."""

    def __init__(self, script: str | Script, *rules: Rule, then: Answer | None = None) -> None:
        super().__init__(script, *rules, *([self._reports(then)] if then else []))

    def settle(self, path: str, attempt: int) -> None:
        self.harness.services.inbound.settle(self.run_id, path, attempt, REPORTED)

    def _reports(self, then: Answer) -> Rule:
        def rule(request: HostRequest) -> Answer:
            [each] = request.calls
            self.settle(each.path, each.attempt)
            return then

        return rule


def answers(content: str) -> HostResponse:
    return HostResponse(answers=(HostAnswer(path="0.0", kind="ok", content=content),))


@pytest.mark.parametrize("name", ["launch", "note"])
@pytest.mark.parametrize("then", [SILENT, DIED, answers("in orbit"), answers("in the sea")])
def test_a_reported_outcome_stands_whatever_is_answered(name: str, then: Answer) -> None:
    run = Reporting(name, then=then)
    assert run.advance(900) is Status.COMPLETED
    assert run.results == ["in orbit"]
    assert (run.asked, run.harness.store.notices(run.run_id)) == ([], [])
    assert run.hosts.sent == [[("0.0", 1)]]
    assert run.head.intents == {}


def test_an_outcome_that_is_reported_once_people_are_asked_ends_their_request() -> None:
    run = Reporting("launch", always(DIED))
    assert run.advance() is Status.SUSPENDED
    assert run.asked == ["doubt"]
    run.settle("0.0", 1)
    assert run.advance() is Status.COMPLETED
    assert (run.asked, run.results) == ([], ["in orbit"])


def test_the_outcome_of_a_first_attempt_stands_while_the_second_is_under_way() -> None:
    def second(request: HostRequest) -> Answer:
        run.settle("0.0", 1)
        return HostResponse(answers=tuple(map(ok, request.calls)))

    run = Reporting("launch", always(DIED), second)
    run.advance()
    run.harness.decide(run.run_id, Verdict.REJECT)
    assert run.advance() is Status.COMPLETED
    assert run.results == ["in orbit"]


@pytest.mark.parametrize(("name", "has_token"), [("launch", True), ("note", True), ("look", False)])
def test_an_attempt_has_a_token_unless_it_reads(name: str, has_token: bool) -> None:
    run = Hosted(name)
    run.advance(outcome_token=lambda *about: "{} {} {}".format(*about))
    [(_, request)] = run.hosts.requests
    expected = f"{run.run_id} 0.0 1" if has_token else None
    assert [each.outcome_token for each in request.calls] == [expected]


def test_a_call_whose_token_cannot_be_made_runs_without() -> None:
    def broken(*_: object) -> str:
        raise OSError("no key")

    run = Hosted("launch")
    assert run.advance(outcome_token=broken) is Status.COMPLETED
    [(_, request)] = run.hosts.requests
    assert [each.outcome_token for each in request.calls] == [None]


def test_only_outcomes_of_long_calls_are_reported() -> None:
    calls = [
        HostedCall(
            path=f"0.{number}",
            attempt=1,
            agent="a",
            tool="t",
            raw="{}",
            idempotency_key="k",
            outcome_token=None if number == 3 else f"t{number}",
        )
        for number in range(5)
    ]
    kinds: tuple[Any, ...] = ("ok", "error", "wait", "ok", "refused")
    response = HostResponse(
        answers=(
            HostAnswer(path="1.0", kind="ok", content="of another call"),
            *(
                HostAnswer(path=f"0.{number}", kind=kind, content="c", wait={})
                for number, kind in enumerate(kinds)
            ),
        )
    )
    request = HostRequest(do="run", run_id="r", calls=tuple(calls))
    assert list(late_outcomes(request, response, LATE_SECONDS - 0.01)) == []
    reported = list(late_outcomes(request, response, LATE_SECONDS))
    assert [(each.token, each.outcome.kind) for each in reported] == [("t0", "ok"), ("t1", "error")]
