"""The campaign's checks find what is wrong: a true story, and each lie that one can tell of it."""

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
from tests.crash.ledger import LINE_BYTES, Entry, Ledger
from tests.crash.people import Said, Told
from tests.crash.promises import Evidence, violations
from tests.crash.talk import Mail, Message, Slot
from tests.crash.worker import Worker
from tests.simulation.scenario import APPROVERS, deployment

JOBS = ("job 0", "job 1", "job 2", "job 3")
VERDICTS = (Verdict.APPROVE, Verdict.APPROVE, Verdict.REJECT)


@dataclass
class _Line:
    """The parent's end, in this process."""

    queue: list[Message] = field(default_factory=list)
    asked: list[Notice] = field(default_factory=list)

    def send(self, said: Any, /) -> None:
        if isinstance(said, Message) and said.kind == "notify":
            self.queue.append(said)
        elif isinstance(said, Mail) and said.recipient.endswith(APPROVERS[0]):
            self.asked.append(said.notice)


class _Story:
    """A few runs in which nothing goes wrong, by the campaign's own worker."""

    def __init__(self, home: Path) -> None:
        store = InMemoryStore()
        self.place = home / "ledger"
        self._line = _Line()
        self._ledger = Ledger(self.place)
        self._worker = Worker(self._line, Slot(home / "slot"), self._ledger, store)
        self._services = Services.of(
            store=store, queue=LocalWorkQueue(), registry=lambda: deployment(_nothing)
        )
        self._said: list[Said] = []
        self._told: list[Told] = []
        self._loaded: dict[str, LoadedRun | None] = {}
        for job in JOBS:
            self._tell(job)

    def evidence(self) -> Evidence:
        """What is known of it, with the ledger as it is now."""
        return Evidence(self._loaded, self._ledger.entries(), self._said, self._told, {})

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
        assert not done.broken and not done.failed
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
        self._said.append(Said(asked.run_id, asked.path, approved, amount))
        self._told.append(Told(asked.run_id, asked.request_id, verdict.value, APPROVERS[0]))


def _nothing(*_: object) -> str:
    raise AssertionError("no tool runs here")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Story]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(workers, "STEP_SECONDS", 0.0)
        yield _Story(tmp_path_factory.mktemp("story"))


@pytest.fixture
def truth(story: _Story) -> Evidence:
    return story.evidence()


def _found(evidence: Evidence) -> str:
    return "\n".join(violations(evidence))


def _ran(truth: Evidence, tool: str) -> Entry:
    return next(each for each in truth.entries if each.tool == tool)


def _changed(truth: Evidence, entry: Entry, **change: Any) -> Evidence:
    changed = entry._replace(**change)
    return replace(truth, entries=[changed if each == entry else each for each in truth.entries])


def test_the_truth_breaks_no_promise(truth: Evidence) -> None:
    assert _found(truth) == ""
    assert {each.tool for each in truth.entries} >= {"", "look", "note_gated", "pay_gated", "pay"}


def test_a_line_that_stands_twice_in_the_file_is_a_second_effect(story: _Story) -> None:
    before = story.place.read_bytes()
    lines = [before[at : at + LINE_BYTES] for at in range(0, len(before), LINE_BYTES)]
    (paid, *_) = (each for each in lines if b'"pay"' in each)
    try:
        with story.place.open("ab") as file:
            file.write(paid)
        found = _found(story.evidence())
    finally:
        story.place.write_bytes(before)
    assert found.startswith("S2") and "happened 2 times" in found and "\n" not in found


def test_an_effect_without_an_outcome_or_a_call_is_found(truth: Evidence) -> None:
    paid = _ran(truth, "pay")
    less = replace(truth, entries=[each for each in truth.entries if each != paid])
    assert "has an outcome, but never ran" in _found(less)
    assert "is no call" in _found(_changed(truth, paid, path="9.9"))
    assert "is no run" in _found(_changed(truth, paid, run_id="another"))


def test_one_call_with_two_keys_and_one_key_of_two_calls_are_found(truth: Evidence) -> None:
    noted = _ran(truth, "note")
    again = noted._replace(number=2, key="another")
    assert "has 2 keys" in _found(replace(truth, entries=[*truth.entries, again]))
    assert "is that of" in _found(_changed(truth, noted, key=_ran(truth, "pay").key))


@pytest.mark.parametrize("change", [{"amount": 999}, {"at": 1.0}])
def test_what_ran_otherwise_than_approved_or_before_is_found(
    truth: Evidence, change: dict[str, Any]
) -> None:
    found = _found(_changed(truth, _ran(truth, "pay_gated"), **change))
    assert "S4" in found and "without an approval" in found


def test_what_nobody_approved_is_found_even_if_it_is_on_record(truth: Evidence) -> None:
    assert "nobody said so" in _found(replace(truth, said=[]))


def test_what_was_rejected_and_ran_is_found(truth: Evidence) -> None:
    rejected = next(each for each in truth.said if not each.approved and each.amount)
    ran = Entry(rejected.run_id, rejected.path, "note", 1, "key", 1, time.time())
    found = _found(replace(truth, entries=[*truth.entries, ran]))
    assert "was rejected and ran" in found and "without an approval" in found


def test_a_decision_that_does_not_stand_is_found(truth: Evidence) -> None:
    first, *rest = truth.told
    for lie in (first._replace(approver=APPROVERS[1]), first._replace(request_id="another")):
        assert _found(replace(truth, told=[lie, *rest])).startswith("S6")


@pytest.mark.parametrize("status", [Status.READY, Status.SUSPENDED, Status.FAILED, Status.PARKED])
def test_a_run_that_is_lost_or_has_not_completed_is_found(truth: Evidence, status: Status) -> None:
    loaded = truth.runs[JOBS[0]]
    assert loaded
    other = replace(loaded, head=loaded.head.model_copy(update={"status": status}))
    assert f"is {status.value} in the end" in _found(
        replace(truth, runs={**truth.runs, JOBS[0]: other})
    )
    assert "was lost" in _found(replace(truth, runs={**truth.runs, JOBS[0]: None}))


def test_a_model_call_that_was_repeated_for_nothing_is_found(truth: Evidence) -> None:
    asked = next(each for each in truth.entries if not each.tool and each.run_id == JOBS[0])
    again = replace(truth, entries=[*truth.entries, asked])
    loaded = truth.runs[JOBS[0]]
    assert loaded and _found(again).startswith("M1")
    assert _found(replace(again, interrupted={loaded.head.run_id: 1})) == ""


def test_a_reply_made_from_another_past_is_found(truth: Evidence) -> None:
    loaded = truth.runs[JOBS[0]]
    assert loaded
    other = loaded.continuation.model_copy(update={"input": "another job"})
    lie = replace(loaded, continuation=other)
    assert "M2" in _found(replace(truth, runs={**truth.runs, JOBS[0]: lie}))
