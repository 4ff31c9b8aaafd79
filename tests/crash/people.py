"""Those who start runs, decide and answer while processes die, and what they were told."""

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
from tests.crash.ledger import Ledger
from tests.simulation.scenario import APPROVERS

PASSING = (Retryable, ClientError, BotoCoreError)
LOOK_SECONDS = 1.0
# Whoever has waited so long for a mail that was lost with its sender looks for himself.
MAIL_SECONDS = 3.0


class Said(NamedTuple):
    """What somebody said when he was asked for an approval, whatever came of it."""

    run_id: str
    path: str
    approved: bool
    amount: int | None


class Told(NamedTuple):
    """What somebody who decided was told to stand."""

    run_id: str
    request_id: str
    verdict: str
    approver: str


@dataclass(frozen=True)
class Question:
    """What is asked, as a mail or a look at the run shows it."""

    run_id: str
    request_id: str
    path: str
    kind: Literal["approval", "question", "condition", "doubt"]
    amount: int | None
    approvers: tuple[str, ...]

    @classmethod
    def of(cls, notice: Notice) -> "Question":
        """The question of a mail."""
        amount = notice.arguments.get("amount")
        return cls(
            notice.run_id,
            notice.request_id,
            notice.path,
            notice.kind,
            amount,
            notice.approvers,
        )


class People:
    """Everybody; each answer takes its own time, in a thread of its own."""

    def __init__(self, services: Services, ledger: Ledger, random: Random) -> None:
        self.said: list[Said] = []
        self.told: list[Told] = []
        self.broken: list[str] = []
        self.counts: dict[str, int] = {}
        self._services, self._ledger, self._random = services, ledger, random
        self._known: set[str] = set()
        self._seen: dict[str, float] = {}
        self._lock = Lock()
        self._over = Event()
        self._pool = ThreadPoolExecutor(16)
        self._pool.submit(self._safely, self._patrol)

    def leave(self) -> None:
        """Everybody goes home; what is being answered is answered before."""
        self._over.set()
        self._pool.shutdown(wait=True)

    def start(self, key: str) -> None:
        """Somebody starts a run."""
        self._pool.submit(
            self._safely,
            lambda: self._insist(lambda: self._services.runs.start("root", key, key=key)),
        )

    def mail(self, notice: Notice, recipient: str) -> None:
        """A mail has come."""
        self._ask(Question.of(notice), recipient)

    def _ask(self, question: Question, person: str) -> None:
        """Sometimes both approvers answer at once, sometimes each when his own mail comes."""
        with self._lock:
            first = question.request_id not in self._known
            self._known.add(question.request_id)
        if first and len(question.approvers) == 2 and self._random.random() < 0.5:
            together = Barrier(2)
            for each in APPROVERS:
                self._answer(question, each, together)
        else:
            self._answer(question, person, None)

    def _answer(self, question: Question, person: str, together: Barrier | None) -> None:
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
                verdict = self._truth(question)
            else:
                approved = verdict is Verdict.APPROVE
                self.said.append(Said(question.run_id, question.path, approved, amount))
            if together:
                _meet(together)
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

        self._pool.submit(self._safely, work)

    def _truth(self, question: Question) -> Verdict:
        """Whether the call in doubt happened, as whoever looks at the other side's books knows."""
        place = (question.run_id, question.path)
        happened = any(
            each.tool and (each.run_id, each.path) == place for each in self._ledger.entries()
        )
        self._count("doubts that had happened" if happened else "doubts that had not")
        return Verdict.APPROVE if happened else Verdict.REJECT

    def _decide(self, question: Question, answer: Decide) -> None:
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
            self.told.append(Told(run_id, request_id, verdict, who))

        self._insist(say)

    # -- those who look by themselves ------------------------------------------------------------

    def _patrol(self) -> None:
        """Redrive what is parked, and find questions whose mail was lost with its sender."""
        while not self._over.wait(LOOK_SECONDS):
            try:
                for head in self._services.runs.page(limit=100).heads:
                    if head.status is Status.PARKED:
                        self._count(f"redriven: {head.note}")
                        self._services.control.redrive(head.run_id)
                    elif head.status is Status.SUSPENDED:
                        self._look(self._services.runs.load(head.run_id))
            except (*PASSING, Conflict):
                continue

    def _look(self, loaded: LoadedRun) -> None:
        for effect in effects(loaded.continuation):
            if not isinstance(effect, Await):
                continue
            question = _open_question(loaded, effect)
            since = self._seen.setdefault(question.request_id, time.monotonic())
            if question.request_id in self._known or time.monotonic() < since + MAIL_SECONDS:
                continue
            self._count("questions found without a mail")
            self._ask(question, question.approvers[0])

    # -- how they do it --------------------------------------------------------------------------

    def _insist(self, work: Callable[[], Any]) -> None:
        """Try until there is an answer."""
        while not self._over.is_set():
            try:
                work()
                return
            except PASSING:
                self._over.wait(0.3)

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - it is told at the end, as a violation
            self.broken.append(traceback.format_exc())

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + 1


def _open_question(loaded: LoadedRun, effect: Await) -> Question:
    call = loaded.continuation.call_at(effect.path)
    asked = call.doubt or call.approval
    assert asked and not isinstance(call.plan, RefusedPlan)
    kind: Literal["approval", "doubt"] = "doubt" if call.doubt else "approval"
    return Question(
        loaded.head.run_id,
        asked.request_id,
        path_text(effect.path),
        kind,
        call.arguments.get("amount"),
        asked.approvers,
    )


def _meet(together: Barrier) -> None:
    try:
        together.wait(2.0)
    except BrokenBarrierError:
        return  # the other one had no time; then it is decided one after the other
