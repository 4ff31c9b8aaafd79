"""A test oracle for approvals: it follows a request by a run's events alone.

It shares no code with the library's vote counting, so that each checks the other.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, TypeAlias

from agent_continuations.core.approvals.audit_chain import AuditedEvent
from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.approvals.request import Decision, Verdict
from agent_continuations.core.call_text import call_text
from agent_continuations.core.events import (
    ApprovalRequested,
    Decided,
    DoubtResolved,
    DoubtVoted,
    Escalated,
    Event,
    MarkedInDoubt,
    NoticeSent,
    Reassigned,
    Voted,
    Withdrawn,
)
from agent_continuations.core.ids import arguments_hash
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.plans import RefusedPlan
from agent_continuations.core.run import LoadedRun

# The approvers of each stage, and how many of them must agree.
Stages: TypeAlias = list[tuple[set[str], int]]


def audit_events(events: Iterable[Event]) -> list[AuditedEvent]:
    """The events of the audit trail, in the order of their numbers."""
    found = [each for each in events if isinstance(each, AuditedEvent)]
    return sorted(found, key=lambda each: each.link.number if each.link else 0)


def event_time(event: AuditedEvent) -> datetime:
    """The time of an event, by the clock of the process that wrote it."""
    match event:
        case ApprovalRequested(request=request):
            return request.requested_at
        case Voted(decision=decision) | Decided(decision=decision):
            return decision.decided_at
        case Withdrawn(word=word) | Reassigned(word=word):
            return word.at
        case NoticeSent(at=at) | Escalated(at=at):
            return at
        case _:
            raise AssertionError(f"{event} is nothing that happens to a request for an approval")


@dataclass
class RequestHistory:
    """One approval request, rebuilt from its events one after the other.

    Attributes:
        stages: the current stages.
        current_hash: the hash of the current arguments; `original_hash`, of the first ones.
        approvals: by approver, the hash that they approved last, and the stage.
        notified: approvers who were notified of the current arguments.
        editors: approvers whose edits are in effect.
        further: how many stages were added by an edit.
        faults: answers that were accepted too late, or from people who were not asked.
    """

    policy: ApprovalPolicy
    requester: str | None
    stages: Stages
    current_hash: str
    original_hash: str
    requested_at: datetime
    expires_at: datetime
    notified: set[str]
    editors: set[str] = field(default_factory=set)
    approvals: dict[str, tuple[str, int]] = field(default_factory=dict)
    further: int = 0
    reminded: int = 0
    escalated: int = 0
    closed: Decision | None = None
    faults: list[str] = field(default_factory=list)

    @classmethod
    def opened(
        cls, policy: ApprovalPolicy, event: ApprovalRequested, requester: str | None
    ) -> "RequestHistory":
        """The request as it was opened."""
        asked = event.request
        return cls(
            policy=policy,
            requester=requester,
            stages=[(set(stage.approvers), stage.needed) for stage in policy.stages],
            current_hash=asked.arguments_hash,
            original_hash=asked.arguments_hash,
            requested_at=asked.requested_at,
            expires_at=asked.expires_at,
            notified=set(asked.told),
        )

    def apply(self, event: AuditedEvent) -> None:
        """Apply one more event."""
        match event:
            case Voted(decision=decision):
                self._apply_decision(decision)
            case Decided(decision=decision):
                if decision.via != "deadline":
                    self._apply_decision(decision)
                self.closed = decision
            case Withdrawn(word=word):
                del self.approvals[word.approver]
                if word.approver in self.editors:
                    self.current_hash = self.original_hash
                    self.stages = self.stages[: len(self.stages) - self.further]
                    self.further = 0
            case Reassigned(word=word, to=to):
                self.approvals.pop(word.approver, None)
                self.notified -= {to}
                self.stages = [
                    ({to if approver == word.approver else approver for approver in of}, needed)
                    for of, needed in self.stages
                ]
            case Escalated(stage=stage, expires_at=expires_at):
                self.stages = [(set(stage.approvers), stage.needed)]
                self.approvals, self.editors, self.notified, self.further = {}, set(), set(), 0
                self.expires_at, self.escalated = expires_at, self.escalated + 1
            case NoticeSent(approvers=approvers, occasion=occasion):
                self.notified |= set(approvers)
                self.reminded += occasion == "reminder"
            case _:
                raise AssertionError(f"{event} happened to a question")

    def _apply_decision(self, decision: Decision) -> None:
        approver, stage = decision.approver, decision.stage
        own = approver == self.requester and not self.policy.self_approval
        if own or stage >= len(self.stages) or approver not in self.stages[stage][0]:
            self.faults.append(f"{approver} answered without being asked in stage {stage}")
        if decision.decided_at > self.expires_at:
            self.faults.append(f"{approver} answered after the deadline")
        if decision.verdict is Verdict.REJECT:
            return
        self.approvals[approver] = (decision.arguments_hash, stage)
        self.editors.discard(approver)
        if decision.arguments_hash != self.current_hash:
            self.current_hash, self.notified = decision.arguments_hash, {approver}
            self.editors.add(approver)
            self.stages += [(set(each.approvers), each.needed) for each in decision.further]
            self.further += len(decision.further)

    @property
    def pending(self) -> set[str]:
        """The approvers of the first incomplete stage who have not answered."""
        answered = {
            approver: stage
            for approver, (what, stage) in self.approvals.items()
            if what == self.current_hash
        }
        for number, (of, needed) in enumerate(self.stages):
            if sum(stage == number for stage in answered.values()) < needed:
                return of - set(answered)
        return set()

    @property
    def next_reminder(self) -> datetime | None:
        """The time of the next reminder."""
        if self.escalated or self.reminded == len(self.policy.reminders):
            return None
        return self.requested_at + timedelta(seconds=self.policy.reminders[self.reminded])

    def is_approved(self, what: str) -> bool:
        """Whether enough different people approved exactly this hash, and nobody rejected it."""
        closed = self.closed
        if self.faults or closed is None or closed.verdict is not Verdict.APPROVE:
            return False
        approvers = {approver for approver, (to, _) in self.approvals.items() if to == what}
        return closed.arguments_hash == what and _can_fill_stages(self.stages, approvers)


def _can_fill_stages(stages: Stages, approvers: set[str]) -> bool:
    """Whether every stage can get as many approvers as it needs, each person in one stage."""
    if not stages:
        return True
    (of, needed), *rest = stages
    if needed == 0:
        return _can_fill_stages(rest, approvers)
    return any(
        _can_fill_stages([(of - {approver}, needed - 1), *rest], approvers - {approver})
        for approver in of & approvers
    )


def request_history(
    loaded: LoadedRun, path: Path
) -> Iterator[tuple[RequestHistory, AuditedEvent | None]]:
    """The request of the call at `path` before each of its events, and at last as it is now.

    Nothing is yielded if nobody was asked.
    """
    policy = loaded.continuation.call_at(path).gate
    about_doubt = MarkedInDoubt | DoubtVoted | DoubtResolved
    events = [
        each
        for each in audit_events(loaded.snapshot.events())
        if each.path == path_text(path) and not isinstance(each, about_doubt)
    ]
    if not events:
        return
    first, *later = events
    assert policy and isinstance(first, ApprovalRequested)
    request = RequestHistory.opened(policy, first, loaded.head.requester)
    for event in later:
        yield request, event
        request.apply(event)
    yield request, None


def was_approved(loaded: LoadedRun, path: Path, arguments: Mapping[str, Any]) -> bool:
    """Whether enough approvers agreed in time to exactly this call, or no approval is needed."""
    call = loaded.continuation.call_at(path)
    if isinstance(call.plan, RefusedPlan) or call.plan.gate is None:
        return True
    # The hash covers the text that the arguments are read from, and what people were shown of it.
    text = call_text(loaded.continuation, path).encode()
    content = {"shown": dict(arguments), "raw": sha256(text).hexdigest()}
    what = arguments_hash(
        tenant=loaded.head.tenant,
        run_id=loaded.head.run_id,
        path=path,
        tool=call.plan.tool,
        schema_version=call.plan.schema_version,
        arguments=content if call.raw_digest else arguments,
    )
    return any(
        event is None and asked.is_approved(what) for asked, event in request_history(loaded, path)
    )
