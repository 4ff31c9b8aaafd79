"""The questions of a run to people, open or answered, and what can be said to them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from agent_continuations.core.approval import ApprovalRequest, Decision, Door, Verdict
from agent_continuations.core.continuation import Continuation, PendingCall
from agent_continuations.core.event import (
    Decided,
    Doubted,
    DoubtSettled,
    Reassigned,
    Voted,
    Withdrawn,
)
from agent_continuations.core.grant import Rule
from agent_continuations.core.path import Path, parse_path
from agent_continuations.errors import NotFound
from agent_continuations.ports import Head, Snapshot


@dataclass(frozen=True, slots=True)
class Loaded:
    """A run as it stands now."""

    head: Head
    snapshot: Snapshot
    continuation: Continuation


@dataclass(frozen=True, slots=True)
class Request:
    """A question that people were asked, with the decision that stands, if there is one."""

    kind: Literal["approval", "question", "condition", "doubt"]
    path: Path
    call: PendingCall
    request_id: str
    approvers: tuple[str, ...]
    attempt: int = 0
    decision: Decision | None = None

    @property
    def approval(self) -> ApprovalRequest | None:
        """What was asked, by which policy, and who has answered; None for a doubt."""
        return None if self.kind == "doubt" else self.call.approval

    @property
    def asked(self) -> PendingCall:
        """The call as it was asked about, before the last word on it."""
        if self.kind == "doubt":
            return self.call
        return self.call.model_copy(update={"decision": None})

    @property
    def over(self) -> bool:
        """Whether it is known by now how the call went, so that nothing is left to answer."""
        known = self.call.outcome or (self.kind == "doubt" and self.call.wait)
        return bool(known) and self.decision is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What somebody says to a request, and who.

    Attributes:
        approver: the person on whose authority it is said; without one it is for the only one who
            owes an answer.
        decided_by: who says it; None for the approver.
        via: the door.
        reason: why.
        groups: the groups, as `group:name`, that the approver is known to be in.
        authentication: how it is known who that is.
        arguments_hash: of the arguments that they saw, where that is known.
    """

    approver: str | None = None
    decided_by: str | None = None
    via: Door
    reason: str | None = None
    groups: tuple[str, ...] = ()
    authentication: str | None = None
    arguments_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InAdvance:
    """Agree to further calls like the one that is approved.

    Attributes:
        seconds: for how long.
        rules: by argument, how it may differ; one without a rule may not.
        max_uses: how often.
    """

    seconds: int
    rules: Mapping[str, Rule]
    max_uses: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(_Said):
    """Approve, perhaps with other arguments, or reject; or give a question its answer.

    Attributes:
        grant: what else is agreed to with an approval.
        answer: to a question, as a JSON value.
        from_form: whether the answer stands in an object of fields, as a form gives it.
    """

    verdict: Verdict
    arguments: Mapping[str, Any] | None = None
    grant: InAdvance | None = None
    answer: Any = None
    from_form: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBack(_Said):
    """Withdraw an approval that has not closed the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOn(_Said):
    """Let another person answer in one's place."""

    to: str


Said: TypeAlias = Answer | TakeBack | PassOn


Written: TypeAlias = Decided | Voted | Withdrawn | Reassigned | DoubtSettled


@dataclass(frozen=True, slots=True)
class Settled:
    """What stands after something was said.

    Attributes:
        event: what was said, as it is on record.
        request: how the request stands now; None for a doubt.
    """

    event: Written
    request: ApprovalRequest | None

    @property
    def decision(self) -> Decision:
        """What was decided.

        Raises:
            ValueError: no answer was given, but one was taken back or passed on.
        """
        if isinstance(self.event, Withdrawn | Reassigned):
            raise ValueError(f"{self.event.kind} is no decision")
        return self.event.decision

    @property
    def closed(self) -> bool:
        """Whether nothing is left to be answered."""
        return isinstance(self.event, Decided | DoubtSettled)


def find_request(loaded: Loaded, request_id: str) -> Request:
    """A request of a run.

    Raises:
        NotFound: no request of this run has this id.
    """
    root = loaded.continuation
    for path, call in root.calls():
        if call.approval and call.approval.request_id == request_id:
            approvers = call.approval.approvers
            return Request(call.asks, path, call, request_id, approvers, decision=call.decision)
    # A doubt that was denied has left the tree; its events have not.
    found: Request | None = None
    for event in loaded.snapshot.events():
        if isinstance(event, Doubted) and event.doubt.request_id == request_id:
            path, doubt = parse_path(event.path), event.doubt
            attempt = doubt.intent.attempt
            call = root.call_at(path)
            found = Request("doubt", path, call, request_id, doubt.approvers, attempt)
        elif found and isinstance(event, DoubtSettled) and event.request_id == request_id:
            return replace(found, decision=event.decision)
    if found is None:
        raise NotFound(f"there is no request {request_id!r}")
    return found
