"""Lookup of a request by its id, open or decided."""

from dataclasses import dataclass, replace

from agent_continuations.core.approvals.request import ApprovalRequest, Decision
from agent_continuations.core.awaiting import RequestKind
from agent_continuations.core.continuation import Call
from agent_continuations.core.effects import may_have_run
from agent_continuations.core.events import DoubtResolved, MarkedInDoubt
from agent_continuations.core.path import Path, parse_path
from agent_continuations.core.run import LoadedRun
from agent_continuations.errors import NotFound


@dataclass(frozen=True, slots=True)
class Request:
    """A request to people, with its decision, if there is one.

    Attributes:
        in_doubt: whether the call may have run already, although this request is still open; then
            people must answer that first.
    """

    kind: RequestKind
    path: Path
    call: Call
    request_id: str
    approvers: tuple[str, ...]
    attempt: int = 0
    decision: Decision | None = None
    in_doubt: bool = False

    @property
    def approval(self) -> ApprovalRequest | None:
        """The approval request with its votes; None for a call in doubt."""
        return None if self.kind == "doubt" else self.call.approval

    @property
    def asked(self) -> Call:
        """The call as people were asked about it, without the decision."""
        if self.kind == "doubt":
            return self.call
        return self.call.model_copy(update={"decision": None})

    @property
    def already_resolved(self) -> bool:
        """Whether the call has its outcome without a decision, so that no answer is needed."""
        known = self.call.outcome or (self.kind == "doubt" and self.call.wait)
        return bool(known) and self.decision is None


def find_request(loaded: LoadedRun, request_id: str) -> Request:
    """The request of a run with this id.

    Raises:
        NotFound: no request of this run has this id.
    """
    root = loaded.continuation
    for path, call in root.calls():
        if call.approval and call.approval.request_id == request_id:
            approvers = call.approval.approvers
            in_doubt = bool(call.doubt) or may_have_run(call, root.restore)
            return Request(
                call.asks,
                path,
                call,
                request_id,
                approvers,
                decision=call.decision,
                in_doubt=in_doubt,
            )
    # A doubt that was rejected is not in the tree any more, but its events are in the journal.
    found: Request | None = None
    for event in loaded.snapshot.events():
        if isinstance(event, MarkedInDoubt) and event.doubt.request_id == request_id:
            path, doubt = parse_path(event.path), event.doubt
            attempt = doubt.intent.attempt
            call = root.call_at(path)
            found = Request("doubt", path, call, request_id, doubt.approvers, attempt)
        elif found and isinstance(event, DoubtResolved) and event.request_id == request_id:
            return replace(found, decision=event.decision)
    if found is None:
        raise NotFound(f"there is no request {request_id!r}")
    return found
