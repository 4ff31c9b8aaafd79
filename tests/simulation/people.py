"""Those who start runs, answer mails, cancel, deploy and redrive."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import (
    Decide,
    DecisionResult,
    Reassign,
    Response,
    WithdrawApproval,
)
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import Status
from agent_continuations.errors import AlreadyDecided, Conflict, Invalid, NotFound, Retryable
from tests.simulation.ledger import Heard, Told
from tests.simulation.scenario import ANY, APPROVERS, COLLEAGUES
from tests.simulation.scheduler import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


class People:
    """Everybody; whoever is not answered asks again."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._minds = Random(f"minds {world.scenario.seed}")

    def start(self, number: int) -> None:
        def work(process: Process) -> None:
            self._world.services(process).runs.start("root", f"go {number}", key=f"run {number}")

        self.insist(f"start {number}", work)

    def insist(self, name: str, work: Callable[[Process], None]) -> None:
        """Somebody tries until he is answered."""
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

    def mail(self, notice: Notice, recipient: str) -> None:
        """A mail has come; its reader answers when he gets to it, each mail by itself."""
        self._world.ledger.mails.append((notice.run_id, notice.request_id, recipient))
        after = self._world.random.choice([5.0, 60.0, 600.0, 600.0, 2500.0])
        self._world.scheduler.later(
            self._world.random.expovariate(1 / after), lambda: self._answer(notice, recipient)
        )

    def _answer(self, notice: Notice, person: str) -> None:
        if notice.kind == "approval" and self._changes_mind(0.1):
            others = [each for each in (*APPROVERS, *COLLEAGUES) if each != person]
            self._say(notice, Reassign(to=self._minds.choice(others), approver=person, via="link"))
            return
        verdict = Verdict.APPROVE if self._world.random.random() < 0.7 else Verdict.REJECT
        arguments = None
        if notice.kind == "doubt":
            happened = any(
                (each.run_id, each.path) == (notice.run_id, notice.path)
                for each in self._world.ledger.executions
            )
            verdict = Verdict.APPROVE if happened else Verdict.REJECT
        elif notice.kind != "approval":
            self._answer_other(notice, person)
            return
        elif verdict is Verdict.APPROVE and "amount" in notice.arguments:
            arguments = self._world.random.choice(
                [None, {"amount": notice.arguments["amount"] + 1}]
            )
        if notice.kind == "approval" and self._changes_mind(0.5):
            verdict, arguments = Verdict.APPROVE, None  # or many would never agree
        answer = Decide(
            verdict=verdict,
            approver=person,
            decided_by=person,
            via="link",
            arguments=arguments,
            arguments_hash=notice.arguments_hash,
        )
        self._say(notice, answer)

    def _answer_other(self, notice: Notice, person: str) -> None:
        """Answer a question, or let a run go on; seldom not."""
        refuses = self._minds.random() < 0.1
        asks = notice.kind == "question"
        answer = Decide(
            verdict=Verdict.REJECT if refuses else Verdict.APPROVE,
            approver=person,
            decided_by=person,
            via="link",
            answer=f"{notice.path} by {person}" if asks and not refuses else None,
            arguments={"limit": 5} if not asks and self._minds.random() < 0.3 else None,
            arguments_hash=notice.arguments_hash,
        )
        self._say(notice, answer if not refuses else replace(answer, arguments=None))

    def talk(self) -> None:
        """Somebody says something to the runs, while they work or after."""
        for number, run_id in enumerate(self._world.run_ids):
            for word in range(self._minds.choice([0, 1, 2])):
                after = self._minds.uniform(0, 900)
                work = partial(self._speak, run_id, f"word {number} {word}")
                self._world.scheduler.later(after, partial(self.insist, "message", work))

    def _speak(self, run_id: str, text: str, process: Process) -> None:
        with suppress(Conflict, NotFound):
            message = self._world.services(process).inbound.message(run_id, text, key=text)
            self._world.ledger.messages.append((run_id, message.message_id))

    def pause(self) -> None:
        """An operator holds a run, and lets it go on later."""
        run_id = self._minds.choice(self._world.run_ids)
        at = self._minds.uniform(0, 600)
        soon = at + self._minds.uniform(60, 900)
        # Where nobody was answered, he may be told of the pause after he has ended it: look again.
        for after, name in ((at, "pause"), (soon, "resume"), (4000.0, "resume")):
            work = partial(self._hold, run_id, name)
            self._world.scheduler.later(after, partial(self.insist, name, work))

    def _hold(self, run_id: str, name: str, process: Process) -> None:
        services = self._world.services(process)
        try:
            services.control.pause(run_id) if name == "pause" else services.control.resume(run_id)
        except (Conflict, NotFound):
            return

    def _changes_mind(self, share: float) -> bool:
        """Whether somebody does something else than to answer. Where any one decides, nobody does:
        those worlds stay as they were before there was anything else.
        """
        return self._world.scenario.policy != ANY and self._minds.random() < share

    def _say(self, notice: Notice, said: Response) -> None:
        def work(process: Process) -> None:
            try:
                stands = self._world.services(process).decisions.decide(
                    notice.run_id, notice.request_id, said
                )
            except AlreadyDecided as other:
                told = other.decision
                self._told(notice, str(told["decision"]), str(told["approver"]))
            except (Conflict, Invalid):
                return  # too late, or what is deployed now does not take the edit
            else:
                self._heard(notice, said, stands)

        self.insist(f"{type(said).__name__.lower()} by {said.approver}", work)

    def _heard(self, notice: Notice, said: Response, stands: DecisionResult) -> None:
        if stands.closed:
            self._told(notice, stands.decision.verdict.value, stands.decision.approver)
            return
        self._world.ledger.heard.append(Heard(notice.run_id, stands.event))
        if isinstance(said, Decide) and self._changes_mind(0.2):
            back = WithdrawApproval(approver=said.approver, via="link")
            after = self._minds.expovariate(1 / 120)
            self._world.scheduler.later(after, lambda: self._say(notice, back))

    def _told(self, notice: Notice, verdict: str, approver: str) -> None:
        told = Told(notice.run_id, notice.request_id, verdict, approver)
        self._world.ledger.told.append(told)

    def cancel(self) -> None:
        run_id = self._world.random.choice(self._world.run_ids)

        def work(process: Process) -> None:
            try:
                self._world.services(process).control.cancel(run_id)
            except (Conflict, NotFound):
                return

        self.insist("cancel", work)

    def cancel_at_once(self, run_id: str) -> None:
        with self._world.quiet(), suppress(Conflict, NotFound):
            self._world.services(None).control.cancel(run_id)

    def redrive_parked(self) -> None:
        for head in self._world.heads(Status.PARKED):
            self._world.trace.append(f"{self._world.scheduler.now:.0f} parked: {head.note}")
            self._world.process("redrive", partial(self._redrive, head.run_id))

    def _redrive(self, run_id: str, process: Process) -> None:
        try:
            self._world.services(process).control.redrive(run_id)
        except (Conflict, Retryable, ClientError):
            return

    def deploy(self) -> None:
        """Deployments that change prompts, lose a tool, or change one; then the first again."""
        tool = self._world.random.choice(["pay", "note", "pay_gated", "look"])
        change = self._world.random.choice(["without", "changed"])
        changed: dict[str, Any] = {change: tool}
        worse = self._world.deployed(prompt="Work better.", **changed)
        better = self._world.deployed(prompt="Work best.")
        self._world.scheduler.later(self._world.random.uniform(0, 300), lambda: self._switch(worse))
        self._world.scheduler.later(
            self._world.random.uniform(300, 3000), lambda: self._switch(better)
        )

    def _switch(self, registry: Registry) -> None:
        self._world.registry = registry
