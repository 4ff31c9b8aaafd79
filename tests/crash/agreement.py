"""What was asked of whom and who agreed, by a run's events alone.

This follows a request without the product's own rules, so that each checks the other.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from agent_continuations.core.approvals.audit_chain import AuditedEvent
from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.approvals.request import Decision, Verdict
from agent_continuations.core.events import (
    ApprovalRequested,
    Decided,
    DoubtResolved,
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

# Who may answer, and how many of them must.
Seats: TypeAlias = list[tuple[set[str], int]]


def trail(events: Iterable[Event]) -> list[AuditedEvent]:
    """The events of the audit trail, in the order of their numbers."""
    found = [each for each in events if isinstance(each, AuditedEvent)]
    return sorted(found, key=lambda each: each.link.number if each.link else 0)


def moment(event: AuditedEvent) -> datetime:
    """When it happened, by the clock of whoever wrote it."""
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
class Question:
    """One request for an approval, as its events tell of it one after the other.

    Attributes:
        seats: by stage, as they are now.
        what: the hash of what is asked now; `original`, of what was at first.
        yes: to what each approver said yes last, and in which stage.
        told: who was sent a notice of what is asked now.
        further: how many stages came with an edit.
        wrong: words that were taken from somebody who was not asked, or too late.
    """

    gate: ApprovalPolicy
    requester: str | None
    seats: Seats
    what: str
    original: str
    asked: datetime
    until: datetime
    told: set[str]
    edited: set[str] = field(default_factory=set)
    yes: dict[str, tuple[str, int]] = field(default_factory=dict)
    further: int = 0
    reminded: int = 0
    escalated: int = 0
    closed: Decision | None = None
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def put(
        cls, gate: ApprovalPolicy, event: ApprovalRequested, requester: str | None
    ) -> "Question":
        """The question as it is put first."""
        asked = event.request
        return cls(
            gate=gate,
            requester=requester,
            seats=[(set(stage.approvers), stage.needed) for stage in gate.stages],
            what=asked.arguments_hash,
            original=asked.arguments_hash,
            asked=asked.requested_at,
            until=asked.expires_at,
            told=set(asked.told),
        )

    def take(self, event: AuditedEvent) -> None:
        """Follow one more event."""
        match event:
            case Voted(decision=decision):
                self._answered(decision)
            case Decided(decision=decision):
                if decision.via != "deadline":
                    self._answered(decision)
                self.closed = decision
            case Withdrawn(word=word):
                del self.yes[word.approver]
                if word.approver in self.edited:
                    self.what = self.original
                    self.seats = self.seats[: len(self.seats) - self.further]
                    self.further = 0
            case Reassigned(word=word, to=to):
                self.yes.pop(word.approver, None)
                self.told -= {to}
                self.seats = [
                    ({to if who == word.approver else who for who in of}, needed)
                    for of, needed in self.seats
                ]
            case Escalated(stage=stage, expires_at=expires_at):
                self.seats = [(set(stage.approvers), stage.needed)]
                self.yes, self.edited, self.told, self.further = {}, set(), set(), 0
                self.until, self.escalated = expires_at, self.escalated + 1
            case NoticeSent(approvers=approvers, occasion=occasion):
                self.told |= set(approvers)
                self.reminded += occasion == "reminder"
            case _:
                raise AssertionError(f"{event} happened to a question")

    def _answered(self, decision: Decision) -> None:
        who, stage = decision.approver, decision.stage
        own = who == self.requester and not self.gate.self_approval
        if own or stage >= len(self.seats) or who not in self.seats[stage][0]:
            self.wrong.append(f"{who} answered without being asked in stage {stage}")
        if decision.decided_at > self.until:
            self.wrong.append(f"{who} answered after the deadline")
        if decision.verdict is Verdict.REJECT:
            return
        self.yes[who] = (decision.arguments_hash, stage)
        self.edited.discard(who)
        if decision.arguments_hash != self.what:
            self.what, self.told = decision.arguments_hash, {who}
            self.edited.add(who)
            self.seats += [(set(each.approvers), each.needed) for each in decision.further]
            self.further += len(decision.further)

    @property
    def waits_for(self) -> set[str]:
        """Who has to answer now and has not, in the first stage that lacks somebody's yes."""
        said = {who: stage for who, (what, stage) in self.yes.items() if what == self.what}
        for number, (of, needed) in enumerate(self.seats):
            if sum(stage == number for stage in said.values()) < needed:
                return of - set(said)
        return set()

    @property
    def next_reminder(self) -> datetime | None:
        """When whoever has not answered is to be reminded next."""
        if self.escalated or self.reminded == len(self.gate.reminders):
            return None
        return self.asked + timedelta(seconds=self.gate.reminders[self.reminded])

    def agreed(self, what: str) -> bool:
        """Whether enough different people said yes to exactly this, and nobody no."""
        closed = self.closed
        if self.wrong or closed is None or closed.verdict is not Verdict.APPROVE:
            return False
        yes = {who for who, (to, _) in self.yes.items() if to == what}
        return closed.arguments_hash == what and _can_be_seated(self.seats, yes)


def _can_be_seated(seats: Seats, yes: set[str]) -> bool:
    """Whether every stage can have as many people as it needs, each person in one of them."""
    if not seats:
        return True
    (of, needed), *rest = seats
    if needed == 0:
        return _can_be_seated(rest, yes)
    return any(_can_be_seated([(of - {who}, needed - 1), *rest], yes - {who}) for who in of & yes)


def asked_at(loaded: LoadedRun, path: Path) -> Iterator[tuple[Question, AuditedEvent | None]]:
    """The question of the call at `path`, before each event that happens to it, and at last as it
    stands now; nothing where nobody was asked.
    """
    gate = loaded.continuation.call_at(path).gate
    events = [
        each
        for each in trail(loaded.snapshot.events())
        if each.path == path_text(path) and not isinstance(each, MarkedInDoubt | DoubtResolved)
    ]
    if not events:
        return
    first, *later = events
    assert gate and isinstance(first, ApprovalRequested)
    question = Question.put(gate, first, loaded.head.requester)
    for event in later:
        yield question, event
        question.take(event)
    yield question, None


def agreed_to(loaded: LoadedRun, path: Path, arguments: Mapping[str, Any]) -> bool:
    """Whether enough different people, each one who was asked, agreed in time to exactly this call.
    So it is where nobody needs to.
    """
    call = loaded.continuation.call_at(path)
    if isinstance(call.plan, RefusedPlan) or call.plan.gate is None:
        return True
    what = arguments_hash(
        tenant=loaded.head.tenant,
        run_id=loaded.head.run_id,
        path=path,
        tool=call.plan.tool,
        schema_version=call.plan.schema_version,
        arguments=arguments,
    )
    return any(event is None and asked.agreed(what) for asked, event in asked_at(loaded, path))
