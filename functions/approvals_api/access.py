"""Access to a request: by an approval link or by a session."""

from dataclasses import dataclass
from hashlib import sha256

from agent_continuations import bootstrap
from agent_continuations.auth.identity import Identity
from agent_continuations.core.approvals.policy import AUTHENTICATED_SOURCES, DecisionSource, Risk
from agent_continuations.core.decisions.lookup import Request, find_request
from agent_continuations.core.run import LoadedRun
from agent_continuations.core.voting import approver_name
from agent_continuations.errors import Conflict, NotFound
from agent_continuations.ports.clock import utc_now


@dataclass(frozen=True, slots=True)
class RequestAccess:
    """A visitor of a request, authenticated by link or session.

    Attributes:
        seal: the CSRF scope, from which the nonces of this visitor's pages are made.
    """

    loaded: LoadedRun
    request: Request
    approver: str
    groups: tuple[str, ...]
    via: DecisionSource
    authentication: str
    seal: str

    @property
    def nonce(self) -> str:
        """The CSRF nonce of the forms on the page."""
        return bootstrap.approval_links().nonce(self.seal)

    @property
    def must_sign_in(self) -> bool:
        """Whether the call is of high risk and this decision source does not authenticate."""
        return self.request.call.risk is Risk.HIGH and self.via not in AUTHENTICATED_SOURCES


def from_link(token: str) -> RequestAccess:
    """The access that a mailed approval link gives.

    Raises:
        NotFound: the token is not valid, or its approver is not asked (any more).
        Conflict: the link has expired.
    """
    capability = bootstrap.approval_links().read(token)
    if capability.expires_at <= utc_now():
        raise Conflict("this link has expired")
    loaded = bootstrap.runs().load(capability.run_id)
    request = find_request(loaded, capability.request_id)
    approver = capability.holder(_known_approvers(request))
    if approver is None:
        raise NotFound("this link is not valid", [("token", "not valid")])
    return RequestAccess(loaded, request, approver, (), "link", "link", token)


def from_session(person: Identity, run_id: str, request_id: str) -> RequestAccess:
    """The access of a signed-in person. Only present and former approvers can see a request.

    Raises:
        NotFound: no such request is visible to this person.
    """
    loaded = bootstrap.runs().load(run_id)
    request = find_request(loaded, request_id)
    if approver_name(_known_approvers(request), person.name, person.groups) is None:
        raise NotFound(f"there is no request {request_id!r}")
    seal = sha256(f"{person.name}\n{run_id}\n{request_id}".encode()).hexdigest()
    return RequestAccess(
        loaded, request, person.name, person.groups, "session", person.authentication, seal
    )


def _known_approvers(request: Request) -> tuple[str, ...]:
    """The approvers, and those before an escalation. A reassigned approver loses access."""
    approval = request.approval
    return (*request.approvers, *(approval.former if approval else ()))
