"""Access to a request: by an approval link or by a session."""

from dataclasses import dataclass
from hashlib import sha256

from agent_continuations.auth.approval_links import ApprovalLinks
from agent_continuations.auth.identity import Identity
from agent_continuations.core.approvals.policy import AUTHENTICATED_SOURCES, DecisionSource, Risk
from agent_continuations.core.call_hash import call_hash_of
from agent_continuations.core.decisions.lookup import Request, find_request
from agent_continuations.core.run import LoadedRun
from agent_continuations.core.voting import approver_name
from agent_continuations.errors import Conflict, NotFound
from agent_continuations.ports.clock import utc_now
from agent_continuations.ports.inbox import Inbox
from agent_continuations.services.services import Services


@dataclass(frozen=True, slots=True)
class ApprovalsContext:
    """The dependencies of the pages for approvers."""

    services: Services
    links: ApprovalLinks
    inbox: Inbox


@dataclass(frozen=True, slots=True)
class RequestAccess:
    """A visitor of a request, authenticated by link or session.

    Attributes:
        loaded: the run.
        request: one of its requests.
        approver: the approver that the visitor is identified as.
        groups: the groups of a signed-in visitor.
        via: link or session.
        authentication: the means of identification, for the audit trail.
        csrf_scope: the string that the CSRF nonces of this visitor's pages are made from.
        nonce: the CSRF nonce in the forms of the page.
        has_changed: whether something else is asked now than in the message with the link.
    """

    loaded: LoadedRun
    request: Request
    approver: str
    groups: tuple[str, ...]
    via: DecisionSource
    authentication: str
    csrf_scope: str
    nonce: str
    has_changed: bool = False

    @property
    def must_sign_in(self) -> bool:
        """Whether the call is of high risk and this decision source does not authenticate."""
        return self.request.call.risk is Risk.HIGH and self.via not in AUTHENTICATED_SOURCES


def from_link(context: ApprovalsContext, token: str) -> RequestAccess:
    """The access of a visitor with an approval link.

    Raises:
        NotFound: the token is not valid, or its approver is not asked (any more).
        Conflict: the link has expired.
    """
    capability = context.links.read(token)
    if capability.expires_at <= utc_now():
        raise Conflict("this link has expired")
    loaded = context.services.runs.load(capability.run_id)
    request = find_request(loaded, capability.request_id)
    approver = capability.holder(_known_approvers(request))
    if approver is None:
        raise NotFound("this link is not valid", [("token", "not valid")])
    asked = call_hash_of(loaded.head, request.asked, request.path)
    return RequestAccess(
        loaded,
        request,
        approver,
        (),
        "link",
        "link",
        token,
        context.links.nonce(token),
        has_changed=not capability.asks_about(asked),
    )


def from_session(
    context: ApprovalsContext, person: Identity, run_id: str, request_id: str
) -> RequestAccess:
    """The access of a signed-in person. A request is visible only to its present and former
    approvers.

    Raises:
        NotFound: no such request is visible to this person.
    """
    loaded = context.services.runs.load(run_id)
    request = find_request(loaded, request_id)
    if approver_name(_known_approvers(request), person.name, person.groups) is None:
        raise NotFound(f"there is no request {request_id!r}")
    scope = sha256(f"{person.name}\n{run_id}\n{request_id}".encode()).hexdigest()
    return RequestAccess(
        loaded,
        request,
        person.name,
        person.groups,
        "session",
        person.authentication,
        scope,
        context.links.nonce(scope),
    )


def _known_approvers(request: Request) -> tuple[str, ...]:
    """The approvers, and those before an escalation. A reassigned approver loses access."""
    approval = request.approval
    return (*request.approvers, *(approval.former if approval else ()))
