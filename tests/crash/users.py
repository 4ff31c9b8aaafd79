"""Simulated users, who start runs and decide on requests while processes are killed."""

import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from threading import Barrier, BrokenBarrierError, Event, Lock
from typing import Any, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.awaiting import Await
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.effects import effects
from agent_continuations.core.notice import Notice
from agent_continuations.core.path import path_text
from agent_continuations.core.plans import RefusedPlan
from agent_continuations.core.run import LoadedRun, Status
from agent_continuations.errors import AlreadyDecided, Conflict, Retryable
from agent_continuations.services.services import Services
from tests.crash.effect_log import EffectLog
from tests.simulation.scenario import APPROVERS

TRANSIENT_ERRORS = (Retryable, ClientError, BotoCoreError)
LOOK_SECONDS = 1.0
# After this long without an e-mail, which may be lost with its sender, users open the run's page.
MAIL_SECONDS = 3.0


class GivenAnswer(NamedTuple):
    """An answer that a user gave to an approval request, whether or not it took effect."""

    run_id: str
    path: str
    approved: bool
    amount: int | None


class ConfirmedDecision(NamedTuple):
    """The decision that a user was shown after answering."""

    run_id: str
    request_id: str
    verdict: str
    approver: str


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as an e-mail or the run's page shows it."""

    run_id: str
    request_id: str
    path: str
    kind: Literal["approval", "question", "condition", "doubt"]
    amount: int | None
    approvers: tuple[str, ...]

    @classmethod
    def of(cls, notice: Notice) -> "ReceivedRequest":
        """The request in an e-mail."""
        amount = notice.arguments.get("amount")
        return cls(
            notice.run_id,
            notice.request_id,
            notice.path,
            notice.kind,
            amount,
            notice.approvers,
        )


class Users:
    """All users; each answer is given after a delay, in a thread of its own."""

    def __init__(self, services: Services, ledger: EffectLog, random: Random) -> None:
        self.answers: list[GivenAnswer] = []
        self.decisions: list[ConfirmedDecision] = []
        self.broken: list[str] = []
        self.counts: dict[str, int] = {}
        self._services, self._ledger, self._random = services, ledger, random
        self._known: set[str] = set()
        self._seen: dict[str, float] = {}
        self._lock = Lock()
        self._over = Event()
        self._pool = ThreadPoolExecutor(16)
        self._pool.submit(self._report_errors, self._watch_runs)

    def stop(self) -> None:
        """Stop all users, after the answers that are being given."""
        self._over.set()
        self._pool.shutdown(wait=True)

    def start(self, key: str) -> None:
        """Start a run."""
        self._pool.submit(
            self._report_errors,
            lambda: self._retry_until_answered(
                lambda: self._services.runs.start("root", key, key=key)
            ),
        )

    def receive_mail(self, notice: Notice, recipient: str) -> None:
        """Answer the request of an e-mail."""
        self._ask(ReceivedRequest.of(notice), recipient)

    def _ask(self, question: ReceivedRequest, person: str) -> None:
        """Let both approvers answer at once, or only the one who received the e-mail."""
        with self._lock:
            first = question.request_id not in self._known
            self._known.add(question.request_id)
        if first and len(question.approvers) == 2 and self._random.random() < 0.5:
            together = Barrier(2)
            for each in APPROVERS:
                self._answer(question, each, together)
        else:
            self._answer(question, person, None)

    def _answer(self, question: ReceivedRequest, person: str, together: Barrier | None) -> None:
        verdict = Verdict.APPROVE if self._random.random() < 0.7 else Verdict.REJECT
        edit = self._random.choice([None, None, 1, 2])
        delay = self._random.uniform(0, 0.5)
        amount = question.amount
        if question.kind == "approval" and verdict is Verdict.APPROVE and edit and amount:
            amount += edit
        else:
            edit = None

        def work() -> None:
            nonlocal verdict
            if self._over.wait(delay):
                return
            if question.kind == "doubt":
                verdict = self._verdict_on_doubt(question)
            else:
                approved = verdict is Verdict.APPROVE
                self.answers.append(GivenAnswer(question.run_id, question.path, approved, amount))
            if together:
                _wait_for_other(together)
            self._decide(
                question,
                Decide(
                    verdict=verdict,
                    approver=person,
                    decided_by=person,
                    via="api",
                    arguments={"amount": amount} if edit else None,
                ),
            )

        self._pool.submit(self._report_errors, work)

    def _verdict_on_doubt(self, question: ReceivedRequest) -> Verdict:
        """Whether a call in doubt happened, according to the log of real effects."""
        place = (question.run_id, question.path)
        happened = any(
            each.tool and (each.run_id, each.path) == place for each in self._ledger.records()
        )
        self._count("doubts that had happened" if happened else "doubts that had not")
        return Verdict.APPROVE if happened else Verdict.REJECT

    def _decide(self, question: ReceivedRequest, answer: Decide) -> None:
        run_id, request_id = question.run_id, question.request_id

        def say() -> None:
            try:
                stands = self._services.decisions.decide(run_id, request_id, answer)
            except AlreadyDecided as other:
                verdict, who = str(other.decision["decision"]), str(other.decision["approver"])
                self._count("told of another's decision")
            except Conflict:
                self._count("too late")
                return
            else:
                decision = stands.decision
                verdict, who = decision.verdict.value, decision.approver
                edited = ", edited" if decision.arguments else ""
                self._count(f"{question.kind}s: {verdict}{edited}")
            self.decisions.append(ConfirmedDecision(run_id, request_id, verdict, who))

        self._retry_until_answered(say)

    # -- users who open the runs by themselves ----------------------------------------------------

    def _watch_runs(self) -> None:
        """Redrive parked runs, and find requests whose e-mail was lost with its sender."""
        while not self._over.wait(LOOK_SECONDS):
            try:
                for head in self._services.runs.page(limit=100).heads:
                    if head.status is Status.PARKED:
                        self._count(f"redriven: {head.note}")
                        self._services.control.redrive(head.run_id)
                    elif head.status is Status.SUSPENDED:
                        self._find_open_requests(self._services.runs.load(head.run_id))
            except (*TRANSIENT_ERRORS, Conflict):
                continue

    def _find_open_requests(self, loaded: LoadedRun) -> None:
        for effect in effects(loaded.continuation):
            if not isinstance(effect, Await):
                continue
            question = _open_request(loaded, effect)
            since = self._seen.setdefault(question.request_id, time.monotonic())
            if question.request_id in self._known or time.monotonic() < since + MAIL_SECONDS:
                continue
            self._count("questions found without a mail")
            self._ask(question, question.approvers[0])

    # -- retries ---------------------------------------------------------------------------------

    def _retry_until_answered(self, work: Callable[[], Any]) -> None:
        """Try until there is an answer."""
        while not self._over.is_set():
            try:
                work()
                return
            except TRANSIENT_ERRORS:
                self._over.wait(0.3)

    def _report_errors(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - reported at the end as a violation
            self.broken.append(traceback.format_exc())

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + 1


def _open_request(loaded: LoadedRun, effect: Await) -> ReceivedRequest:
    call = loaded.continuation.call_at(effect.path)
    asked = call.doubt or call.approval
    assert asked and not isinstance(call.plan, RefusedPlan)
    kind: Literal["approval", "doubt"] = "doubt" if call.doubt else "approval"
    return ReceivedRequest(
        loaded.head.run_id,
        asked.request_id,
        path_text(effect.path),
        kind,
        call.arguments.get("amount"),
        asked.approvers,
    )


def _wait_for_other(together: Barrier) -> None:
    try:
        together.wait(2.0)
    except BrokenBarrierError:
        return  # the other user is busy; then they decide one after the other
