"""Whether something can be said to a request now, for whom, and through this door."""

from datetime import datetime
from hmac import compare_digest

from agent_continuations.core.approvals.policy import AUTHENTICATED_SOURCES, GROUP, Risk, normalized
from agent_continuations.core.call_hash import call_hash_of
from agent_continuations.core.decisions.lookup import Request
from agent_continuations.core.decisions.responses import Decide, Response
from agent_continuations.core.run import LoadedRun
from agent_continuations.errors import Conflict, Forbidden, Invalid


def resolve_approver(request: Request, said: Response) -> str:
    """Whom the words are for: who is named, spelled as in the request, or the only one asked.

    Raises:
        Invalid: nobody is named, and several are asked.
    """
    if said.approver is not None:
        names = (
            each for each in request.approvers if normalized(each) == normalized(said.approver)
        )
        return next(names, said.approver)
    if not request.approvers:
        return "operator"
    approval = request.approval
    owing = approval.pending_approvers if approval and not request.decision else request.approvers
    if len(owing) != 1 or owing[0].startswith(GROUP):
        raise Invalid("several people were asked: name the approver", [("approver", "required")])
    return owing[0]


def check_open(loaded: LoadedRun, request: Request, said: Response, now: datetime) -> None:
    """Whether anything can be said yet, through this door.

    Raises:
        Conflict: the run has ended, the outcome is there, or the deadline has passed.
        Forbidden: the call is of high risk, and it is not known for certain who says it.
    """
    head, call, approval = loaded.head, request.call, request.approval
    if head.status.terminal or head.cancelled:
        status = "cancelled" if head.cancelled else head.status.value
        raise Conflict(f"the run is {status}")
    if request.already_resolved:
        raise Conflict("the outcome of the call is already known; nothing is left to answer")
    if approval and now > approval.expires_at:
        raise Conflict("the deadline for this decision has passed")
    if call.risk is Risk.HIGH:
        check_signed_in(said)


def check_seen(loaded: LoadedRun, request: Request, said: Decide) -> None:
    """Whether what they saw is what is asked.

    Raises:
        Conflict: the arguments have changed since.
    """
    seen, shown = said.arguments_hash, call_hash_of(loaded.head, request.asked, request.path)
    if seen is not None and not compare_digest(seen.encode(), shown.encode()):
        raise Conflict("the arguments have changed since you saw them: review them again")


def check_signed_in(said: Response) -> None:
    """Whether it is known for certain who says it.

    Raises:
        Forbidden: it is not.
    """
    if said.via not in AUTHENTICATED_SOURCES:
        fields = [("approver", "must be signed in")]
        raise Forbidden("high risk: sign in to decide", fields)
