"""A run of one agent whose only tool needs approval by a given policy."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_continuations import (
    Agent,
    Approval,
    ScriptedModel,
    call,
    say,
    tool,
)
from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.audit_chain import AuditedEvent
from agent_continuations.core.approvals.request import ApprovalRequest, Verdict
from agent_continuations.core.decisions.responses import Decide, Reassign, WithdrawApproval
from agent_continuations.core.notice import Notice
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import Status
from agent_continuations.engine.runner import Runner
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.ports.model import ModelRequest
from agent_continuations.services.services import Services

ANN, BOB, CARL, DORA = (f"{name}@example.com" for name in ("ann", "bob", "carl", "dora"))
HOUR = 3600
DAY = 24 * HOUR
START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
APPROVE, REJECT = Verdict.APPROVE, Verdict.REJECT


def _number(linked: tuple[Any, Any]) -> int:
    return int(linked[0].number)


@dataclass
class PolicyHarness:
    """One agent whose tool needs approval by a policy, and a clock that the test moves."""

    policy: Approval
    now: datetime = START
    paid: list[int] = field(default_factory=list)
    preview: Callable[[Any], Any] | None = None
    amount: int = 700
    replies: list[Reply] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = InMemoryStore()
        self.next_amount = self.amount
        self.redeploy(self.policy)

    def redeploy(self, policy: Approval) -> None:
        @tool(approval=policy, preview=self.preview)
        def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        registry = Registry([Agent("clerk", "Pay.", tools=[pay])])
        self.runner = Runner(
            store=self.store,
            model=ScriptedModel({"clerk": self._reply}),
            registry=registry,
            queue=LocalWorkQueue(),
            clock=lambda: self.now,
        )
        self.services = Services.of(
            store=self.store,
            queue=LocalWorkQueue(),
            registry=lambda: registry,
            clock=lambda: self.now,
        )

    def _reply(self, request: ModelRequest) -> Reply:
        turn = sum(message["role"] == "assistant" for message in request.messages)
        replies = self.replies or [call("pay", amount=self.next_amount)]
        return replies[turn] if turn < len(replies) else say("done")

    def start(self, requester: str | None = None) -> None:
        self.run_id = self.services.runs.start("clerk", "pay", requester=requester).run_id
        self.runner.advance(self.run_id)

    @property
    def request(self) -> ApprovalRequest:
        calls = self.services.runs.load(self.run_id).continuation.calls()
        return [call.approval for _, call in calls if call.approval][-1]

    @property
    def status(self) -> Status:
        return self.services.runs.load(self.run_id).head.status

    def decide(self, verdict: Verdict, approver: str, **more: Any) -> bool:
        """Decide the request. Returns whether that closed it."""
        response = Decide(verdict=verdict, approver=approver, **{"via": "link", **more})
        closed = self.services.decisions.decide(
            self.run_id, self.request.request_id, response
        ).closed
        self.runner.advance(self.run_id)
        return closed

    def approve(self, approver: str, **more: Any) -> bool:
        return self.decide(APPROVE, approver, **more)

    def withdraw(self, approver: str) -> None:
        response = WithdrawApproval(approver=approver, via="link")
        self.services.decisions.decide(self.run_id, self.request.request_id, response)

    def reassign(self, approver: str, to: str) -> None:
        response = Reassign(to=to, approver=approver, via="link", reason="on holiday")
        self.services.decisions.decide(self.run_id, self.request.request_id, response)
        self.runner.advance(self.run_id)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        if self.store.due(self.now, 10):
            self.runner.advance(self.run_id)

    def notices(self) -> list[Notice]:
        return self.store.notices(self.run_id)

    def notified_approvers(self) -> list[tuple[str, ...]]:
        return [notice.answerers or () for notice in self.notices()]

    def audit_kinds(self) -> list[str]:
        events = self.services.runs.load(self.run_id).snapshot.events()
        linked = [(each.link, each) for each in events if isinstance(each, AuditedEvent)]
        return [each.kind for link, each in sorted(linked, key=_number) if link]


def policy_harness(*approvers: str, start: bool = True, **policy: Any) -> PolicyHarness:
    harness = PolicyHarness(Approval(approvers, **policy))
    if start:
        harness.start()
    return harness
