"""The campaign's checks accept a clean campaign, and find each kind of broken promise."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import LoadedRun, Status
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.services.services import Services
from tests.crash import worker as workers
from tests.crash.effect_log import LINE_BYTES, EffectLog, Record
from tests.crash.promises import Evidence, violations
from tests.crash.users import ConfirmedDecision, GivenAnswer
from tests.crash.worker import Worker
from tests.crash.worker_protocol import ActivitySlot, Mail, Message
from tests.simulation.scenario import APPROVERS, deployment

JOBS = ("job 0", "job 1", "job 2", "job 3")
VERDICTS = (Verdict.APPROVE, Verdict.APPROVE, Verdict.REJECT)


@dataclass
class _ParentEnd:
    """The parent's end of a worker's connection, in this process."""

    queue: list[Message] = field(default_factory=list)
    asked: list[Notice] = field(default_factory=list)

    def send(self, said: Any, /) -> None:
        if isinstance(said, Message) and said.kind == "notify":
            self.queue.append(said)
        elif isinstance(said, Mail) and said.recipient.endswith(APPROVERS[0]):
            self.asked.append(said.notice)


class _CleanCampaign:
    """A few runs without faults, handled by the campaign's own worker."""

    def __init__(self, home: Path) -> None:
        store = InMemoryStore()
        self.place = home / "ledger"
        self._line = _ParentEnd()
        self._ledger = EffectLog(self.place)
        self._worker = Worker(self._line, ActivitySlot(home / "slot"), self._ledger, store)
        self._services = Services.of(
            store=store, queue=LocalWorkQueue(), registry=lambda: deployment(_nothing)
        )
        self._said: list[GivenAnswer] = []
        self._told: list[ConfirmedDecision] = []
        self._loaded: dict[str, LoadedRun | None] = {}
        for job in JOBS:
            self._tell(job)

    def evidence(self) -> Evidence:
        """The evidence, with the effect log as it is now."""
        return Evidence(self._loaded, self._ledger.records(), self._said, self._told, {})

    def _tell(self, job: str) -> None:
        run_id = self._services.runs.start("root", job, key=job).run_id
        while self._handled(Message("advance", run_id)) != "completed":
            for hint in self._line.queue:
                self._handled(hint)
            assert self._line.asked
            for notice in self._line.asked:
                self._decide(notice)
            self._line.queue, self._line.asked = [], []
        self._loaded[job] = self._services.runs.load(run_id)

    def _handled(self, message: Message) -> str | None:
        done = self._worker.handle(message, time.time() + 60)
        assert not done.traceback and not done.failure
        return done.status

    def _decide(self, asked: Notice) -> None:
        verdict = VERDICTS[len(self._told) % len(VERDICTS)]
        amount = asked.arguments.get("amount")
        edited = None
        if amount and verdict is Verdict.APPROVE:
            amount += 1
            edited = {"amount": amount}
        answer = Decide(
            verdict=verdict, approver=APPROVERS[0], decided_by=None, via="local", arguments=edited
        )
        self._services.decisions.decide(asked.run_id, asked.request_id, answer)
        approved = verdict is Verdict.APPROVE
        self._said.append(GivenAnswer(asked.run_id, asked.path, approved, amount))
        self._told.append(
            ConfirmedDecision(asked.run_id, asked.request_id, verdict.value, APPROVERS[0])
        )


def _nothing(*_: object) -> str:
    raise AssertionError("no tool runs here")


@pytest.fixture(scope="module")
def clean_campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_CleanCampaign]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(workers, "STEP_SECONDS", 0.0)
        yield _CleanCampaign(tmp_path_factory.mktemp("story"))


@pytest.fixture
def evidence(clean_campaign: _CleanCampaign) -> Evidence:
    return clean_campaign.evidence()


def _violations(evidence: Evidence) -> str:
    return "\n".join(violations(evidence))


def _record_of(evidence: Evidence, tool: str) -> Record:
    return next(each for each in evidence.records if each.tool == tool)


def _with_change(evidence: Evidence, entry: Record, **change: Any) -> Evidence:
    changed = entry._replace(**change)
    return replace(
        evidence, records=[changed if each == entry else each for each in evidence.records]
    )


def test_a_clean_campaign_breaks_no_promise(evidence: Evidence) -> None:
    assert _violations(evidence) == ""
    assert {each.tool for each in evidence.records} >= {
        "",
        "look",
        "note_gated",
        "pay_gated",
        "pay",
    }


def test_a_repeated_line_in_the_effect_log_is_a_second_effect(
    clean_campaign: _CleanCampaign,
) -> None:
    before = clean_campaign.place.read_bytes()
    lines = [before[at : at + LINE_BYTES] for at in range(0, len(before), LINE_BYTES)]
    (paid, *_) = (each for each in lines if b'"pay"' in each)
    try:
        with clean_campaign.place.open("ab") as file:
            file.write(paid)
        found = _violations(clean_campaign.evidence())
    finally:
        clean_campaign.place.write_bytes(before)
    assert found.startswith("S2") and "happened 2 times" in found and "\n" not in found


def test_an_effect_without_an_outcome_or_a_call_is_found(evidence: Evidence) -> None:
    paid = _record_of(evidence, "pay")
    less = replace(evidence, records=[each for each in evidence.records if each != paid])
    assert "has an outcome, but never ran" in _violations(less)
    assert "is no call" in _violations(_with_change(evidence, paid, path="9.9"))
    assert "is no run" in _violations(_with_change(evidence, paid, run_id="another"))


def test_one_call_with_two_keys_and_one_key_of_two_calls_are_found(evidence: Evidence) -> None:
    noted = _record_of(evidence, "note")
    again = noted._replace(number=2, key="another")
    assert "has 2 keys" in _violations(replace(evidence, records=[*evidence.records, again]))
    assert "is that of" in _violations(
        _with_change(evidence, noted, key=_record_of(evidence, "pay").key)
    )


@pytest.mark.parametrize("change", [{"amount": 999}, {"at": 1.0}])
def test_a_call_that_ran_before_or_unlike_its_approval_is_found(
    evidence: Evidence, change: dict[str, Any]
) -> None:
    found = _violations(_with_change(evidence, _record_of(evidence, "pay_gated"), **change))
    assert "S4" in found and "without an approval" in found


def test_an_approval_that_no_user_gave_is_found(evidence: Evidence) -> None:
    assert "nobody said so" in _violations(replace(evidence, answers=[]))


def test_a_rejected_call_that_ran_is_found(evidence: Evidence) -> None:
    rejected = next(each for each in evidence.answers if not each.approved and each.amount)
    ran = Record(rejected.run_id, rejected.path, "note", 1, "key", 1, time.time())
    found = _violations(replace(evidence, records=[*evidence.records, ran]))
    assert "was rejected and ran" in found and "without an approval" in found


def test_a_decision_shown_but_not_stored_is_found(evidence: Evidence) -> None:
    first, *rest = evidence.decisions
    for lie in (first._replace(approver=APPROVERS[1]), first._replace(request_id="another")):
        assert _violations(replace(evidence, decisions=[lie, *rest])).startswith("S6")


@pytest.mark.parametrize("status", [Status.READY, Status.SUSPENDED, Status.FAILED, Status.PARKED])
def test_a_lost_or_unfinished_run_is_found(evidence: Evidence, status: Status) -> None:
    loaded = evidence.runs[JOBS[0]]
    assert loaded
    other = replace(loaded, head=loaded.head.model_copy(update={"status": status}))
    assert f"is {status.value} in the end" in _violations(
        replace(evidence, runs={**evidence.runs, JOBS[0]: other})
    )
    assert "was lost" in _violations(replace(evidence, runs={**evidence.runs, JOBS[0]: None}))


def test_a_model_call_repeated_without_an_interruption_is_found(evidence: Evidence) -> None:
    asked = next(each for each in evidence.records if not each.tool and each.run_id == JOBS[0])
    again = replace(evidence, records=[*evidence.records, asked])
    loaded = evidence.runs[JOBS[0]]
    assert loaded and _violations(again).startswith("M1")
    assert _violations(replace(again, interruptions={loaded.head.run_id: 1})) == ""


def test_a_reply_made_from_another_transcript_is_found(evidence: Evidence) -> None:
    loaded = evidence.runs[JOBS[0]]
    assert loaded
    other = loaded.continuation.model_copy(update={"input": "another job"})
    lie = replace(loaded, continuation=other)
    assert "M2" in _violations(replace(evidence, runs={**evidence.runs, JOBS[0]: lie}))
