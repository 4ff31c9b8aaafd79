"""Whether a response to a request can be accepted: for whom, now, and from this source."""

from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from agent_continuations.core.approvals.policy import (
    AUTHENTICATED_SOURCES,
    Risk,
    is_group,
    normalized,
)
from agent_continuations.core.call_hash import call_hash_of
from agent_continuations.core.decisions.lookup import Request
from agent_continuations.core.decisions.responses import Response
from agent_continuations.core.requesters import requesters
from agent_continuations.core.run import LoadedRun
from agent_continuations.errors import Conflict, Forbidden, Invalid


@dataclass(frozen=True, slots=True)
class DecisionAttempt:
    """One response to one request of a run, as it was loaded.

    Attributes:
        loaded: the run.
        request: one of its requests, open or closed.
        response: the response of the approver, or of a caller for them.
        approver: the person for whom it counts.
        shown_hash: the hash of the call that the request shows.
        now: when it is checked.
    """

    loaded: LoadedRun
    request: Request
    response: Response
    approver: str
    shown_hash: str
    now: datetime

    @property
    def requesters(self) -> tuple[str, ...]:
        """Those who asked for the call."""
        return requesters(self.loaded.head, self.loaded.continuation, self.request.path)


def new_attempt(
    loaded: LoadedRun, request: Request, response: Response, now: datetime
) -> DecisionAttempt:
    """The attempt of a response; its approver is resolved and the call hashed, once.

    Raises:
        Invalid: no approver is named, and several were asked.
    """
    shown_hash = call_hash_of(loaded.head, request.asked, request.path)
    approver = resolve_approver(request, response)
    return DecisionAttempt(loaded, request, response, approver, shown_hash, now)


def resolve_approver(request: Request, response: Response) -> str:
    """The approver for whom a response counts, spelled as in the request: the one that it names,
    or the only one asked.

    Raises:
        Invalid: no approver is named, and several were asked.
    """
    if response.approver is not None:
        named = normalized(response.approver)
        same = (each for each in request.approvers if normalized(each) == named)
        return next(same, response.approver)
    if not request.approvers:
        return "operator"
    approval = request.approval
    pending = approval.pending_approvers if approval and not request.decision else request.approvers
    if len(pending) != 1 or is_group(pending[0]):
        raise Invalid("several people were asked: name the approver", [("approver", "required")])
    return pending[0]


def check_open(attempt: DecisionAttempt) -> None:
    """Check that the request is open, and open to responses from this source.

    Raises:
        Conflict: the run has ended, the outcome is known, the deadline has passed, or the call may
            have run before a restore of the table.
        Forbidden: the call is of high risk, and the source does not prove the approver's identity.
    """
    head, request = attempt.loaded.head, attempt.request
    if head.status.ended:
        raise Conflict(head.closed_reason)
    if head.cancelled:
        raise Conflict("the run is cancelled")
    if request.already_resolved:
        raise Conflict("the outcome of the call is already known; nothing is left to answer")
    if request.in_doubt:
        raise Conflict(
            "the call may have run already: first answer the request whether it happened"
        )
    if request.approval and attempt.now > request.approval.expires_at:
        raise Conflict("the deadline for this decision has passed")
    if request.call.risk is Risk.HIGH:
        check_signed_in(attempt.response)


def check_seen(attempt: DecisionAttempt) -> None:
    """Check that the approver saw the present arguments of the request.

    Raises:
        Conflict: the arguments have changed since.
    """
    seen = attempt.response.arguments_hash
    if seen is not None and not compare_digest(seen.encode(), attempt.shown_hash.encode()):
        raise Conflict("the arguments have changed since you saw them: review them again")


def check_signed_in(response: Response) -> None:
    """Check that the source of a response proves the approver's identity.

    Raises:
        Forbidden: the source does not authenticate.
    """
    if response.via not in AUTHENTICATED_SOURCES:
        fields = [("approver", "must be signed in")]
        raise Forbidden("high risk: sign in to decide", fields)
    if not response.is_proven or (response.via == "api" and response.groups):
        fields = [("approver", "must sign in")]
        why = "it is not known who asked for this and who decides, or only the caller says so"
        raise Forbidden(f"high risk: {why}; sign in at the page to decide", fields)
