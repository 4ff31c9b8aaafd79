"""Simulated users, who start runs, answer e-mails, cancel, deploy and redrive."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.grant import Rule
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import (
    Decide,
    DecisionResult,
    GrantTerms,
    Reassign,
    Response,
    WithdrawApproval,
)
from agent_continuations.core.notice import Notice
from agent_continuations.errors import AlreadyDecided, Conflict, Invalid, NotFound, Retryable
from tests.simulation.ground_truth import ConfirmedDecision, ConfirmedVote
from tests.simulation.refusals import note_refusal
from tests.simulation.scenario import ANY, APPROVERS, COLLEAGUES, GRANTED
from tests.simulation.scheduler import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


class Users:
    """All users; a request without a response is repeated."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._choices = Random(f"minds {world.scenario.seed}")

    def start(self, number: int) -> None:
        def work(process: Process) -> None:
            self._world.services(process).runs.start("root", f"go {number}", key=f"run {number}")

        self.retry_until_answered(f"start {number}", work)

    def retry_until_answered(self, name: str, work: Callable[[Process], None]) -> None:
        """Repeat a request until it gets a response."""
        answered = False

        def attempt(process: Process) -> None:
            nonlocal answered
            try:
                work(process)
            except (Retryable, ClientError):
                return
            answered = True

        def again() -> None:
            if not answered:
                process = self._world.process(name, attempt)
                self._world.scheduler.later(29.0, process.kill)
                self._world.scheduler.later(60.0, again)

        again()

    def receive_mail(self, notice: Notice, recipient: str) -> None:
        """Receive an e-mail; it is answered after a random delay."""
        self._world.ground_truth.mails.append((notice.run_id, notice.request_id, recipient))
        after = self._world.random.choice([5.0, 60.0, 600.0, 600.0, 2500.0])
        self._world.scheduler.later(
            self._world.random.expovariate(1 / after), lambda: self._answer(notice, recipient)
        )

    def _answer(self, notice: Notice, person: str) -> None:
        if notice.kind == "approval" and self._deviates(0.1):
            others = [each for each in (*APPROVERS, *COLLEAGUES) if each != person]
            self._respond(
                notice, Reassign(to=self._choices.choice(others), approver=person, via="link")
            )
            return
        verdict = Verdict.APPROVE if self._world.random.random() < 0.7 else Verdict.REJECT
        arguments = None
        if notice.kind == "doubt":
            happened = any(
                (each.run_id, each.path) == (notice.run_id, notice.path)
                for each in self._world.ground_truth.executions
            )
            verdict = Verdict.APPROVE if happened else Verdict.REJECT
        elif notice.kind != "approval":
            self._answer_other(notice, person)
            return
        elif verdict is Verdict.APPROVE and "amount" in notice.arguments:
            arguments = self._world.random.choice(
                [None, {"amount": notice.arguments["amount"] + 1}]
            )
        if notice.kind == "approval" and self._deviates(0.5):
            verdict, arguments = Verdict.APPROVE, None  # or many would never agree
        approved_as_shown = verdict is Verdict.APPROVE and not arguments
        answer = Decide(
            verdict=verdict,
            approver=person,
            decided_by=person,
            via="link",
            arguments=arguments,
            arguments_hash=notice.arguments_hash,
            grant=self._standing(notice) if approved_as_shown else None,
        )
        self._respond(notice, answer)

    def _standing(self, notice: Notice) -> GrantTerms | None:
        """The terms of a standing approval, in half of the cases where one is possible."""
        granted = self._world.scenario.policy == GRANTED and notice.kind == "approval"
        if not granted or self._choices.random() < 0.5:
            return None
        rules: dict[str, Rule] = {
            name: "up_to" if name == "amount" and self._choices.random() < 0.5 else "any"
            for name in notice.arguments
        }
        seconds, uses = self._choices.choice([300, 3600]), self._choices.choice([1, 2, 3, None])
        return GrantTerms(seconds=seconds, rules=rules, max_uses=uses)

    def _answer_other(self, notice: Notice, person: str) -> None:
        """Answer a question or continue a stopped run, or reject it in few cases."""
        refuses = self._choices.random() < 0.1
        asks = notice.kind == "question"
        answer = Decide(
            verdict=Verdict.REJECT if refuses else Verdict.APPROVE,
            approver=person,
            decided_by=person,
            via="link",
            answer=f"{notice.path} by {person}" if asks and not refuses else None,
            arguments={"limit": 5} if not asks and self._choices.random() < 0.3 else None,
            arguments_hash=notice.arguments_hash,
        )
        self._respond(notice, answer if not refuses else replace(answer, arguments=None))

    def send_messages(self) -> None:
        """Send messages to the runs, while they are running or after they have completed."""
        for number, run_id in enumerate(self._world.run_ids):
            for word in range(self._choices.choice([0, 1, 2])):
                after = self._choices.uniform(0, 900)
                work = partial(self._send_message, run_id, f"word {number} {word}")
                self._world.scheduler.later(
                    after, partial(self.retry_until_answered, "message", work)
                )

    def _send_message(self, run_id: str, text: str, process: Process) -> None:
        try:
            message = self._world.services(process).inbound.message(run_id, text, key=text)
        except (Conflict, NotFound) as error:
            note_refusal(self._world, run_id, error)
        else:
            self._world.ground_truth.messages.append((run_id, message.message_id))

    def schedule_pause(self) -> None:
        """Schedule an operator's pause of a run, and its resumption."""
        run_id = self._choices.choice(self._world.run_ids)
        at = self._choices.uniform(0, 600)
        soon = at + self._choices.uniform(60, 900)
        last = max(4000.0, self._world.faults.last_outage() + 600.0)
        # A repeated pause may arrive after the resumption, so resume once more at the end.
        for after, name in ((at, "pause"), (soon, "resume"), (last, "resume")):
            work = partial(self._pause_or_resume, run_id, name)
            self._world.scheduler.later(after, partial(self.retry_until_answered, name, work))

    def _pause_or_resume(self, run_id: str, name: str, process: Process) -> None:
        services = self._world.services(process)
        try:
            services.control.pause(run_id) if name == "pause" else services.control.resume(run_id)
        except (Conflict, NotFound):
            return

    def _deviates(self, share: float) -> bool:
        """Whether a user does something else than answer.

        Never under the simplest policy, so that its worlds stay the same for each seed.
        """
        return self._world.scenario.policy != ANY and self._choices.random() < share

    def _respond(self, notice: Notice, response: Response) -> None:
        def work(process: Process) -> None:
            try:
                stands = self._world.services(process).decisions.decide(
                    notice.run_id, notice.request_id, response
                )
            except AlreadyDecided as other:
                told = other.decision
                self._note_decision(notice, str(told["decision"]), str(told["approver"]))
            except (Conflict, NotFound) as error:
                note_refusal(self._world, notice.run_id, error, notice.path)
            except Invalid:
                return  # what is deployed now does not take the edit
            else:
                self._note_result(notice, response, stands)

        self.retry_until_answered(f"{type(response).__name__.lower()} by {response.approver}", work)

    def _note_result(self, notice: Notice, response: Response, result: DecisionResult) -> None:
        if result.closed:
            self._note_decision(notice, result.decision.verdict.value, result.decision.approver)
            return
        self._world.ground_truth.votes.append(ConfirmedVote(notice.run_id, result.event))
        if isinstance(response, Decide) and self._deviates(0.2):
            back = WithdrawApproval(approver=response.approver, via="link")
            after = self._choices.expovariate(1 / 120)
            self._world.scheduler.later(after, lambda: self._respond(notice, back))

    def _note_decision(self, notice: Notice, verdict: str, approver: str) -> None:
        confirmed = ConfirmedDecision(notice.run_id, notice.request_id, verdict, approver)
        self._world.ground_truth.decisions.append(confirmed)

    def cancel(self) -> None:
        run_id = self._world.random.choice(self._world.run_ids)

        def work(process: Process) -> None:
            try:
                self._world.services(process).control.cancel(run_id)
            except (Conflict, NotFound):
                return

        self.retry_until_answered("cancel", work)

    def cancel_at_once(self, run_id: str) -> None:
        with self._world.without_faults(), suppress(Conflict, NotFound):
            self._world.services(None).control.cancel(run_id)

    def schedule_deployments(self) -> None:
        """Schedule a deployment that drops or changes a tool, and a later one that restores it."""
        tool = self._world.random.choice(["pay", "note", "pay_gated", "look"])
        change = self._world.random.choice(["without", "changed"])
        changed: dict[str, Any] = {change: tool}
        worse = self._world.deployed(prompt="Work better.", **changed)
        self._world.incomplete.append(worse)
        better = self._world.deployed(prompt="Work best.")
        self._world.scheduler.later(self._world.random.uniform(0, 300), lambda: self._deploy(worse))
        self._world.scheduler.later(
            self._world.random.uniform(300, 3000), lambda: self._deploy(better)
        )

    def _deploy(self, registry: Registry) -> None:
        self._world.registry = registry
