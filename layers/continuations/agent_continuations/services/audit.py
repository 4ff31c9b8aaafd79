"""A run's audit trail as a document that can be verified anywhere, without the store.

    python -m agent_continuations.operations.verify_audit FILE [--expect DIGEST]

lists the faults of a document from `GET /runs/{id}/audit`: entries that were changed, removed or
moved, and arguments or policies that differ from those that approvers saw. Rewriting the whole
document leaves no such fault: against that, keep the digest of an earlier document elsewhere, and
pass it to `--expect`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from agent_continuations.core.approvals.audit_chain import (
    AuditedEvent,
    ChainHead,
    audit_entry,
    faults,
)
from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.call_hash import hashed_content, question_of
from agent_continuations.core.ids import arguments_hash, canonical_json, policy_hash
from agent_continuations.core.path import parse_path
from agent_continuations.core.plans import ConditionPlan, RefusedPlan
from agent_continuations.core.run import LoadedRun

FORM = 2  # 2: the hash of a request covers the text of its arguments, too


def _read(path: str) -> str:
    parse_path(path)
    return path


class AuditedCall(BaseModel):
    """A call that people were asked about, in full: the content of the hashes on the trail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, AfterValidator(_read)]
    agent: str
    tool: str
    schema_version: str
    arguments: dict[str, Any]
    raw_digest: str | None = None
    question: dict[str, Any] | None = None
    policy: ApprovalPolicy | None = None


class Audit(BaseModel):
    """The document.

    Attributes:
        items: the entries, in order. The `digest` of each is the next one's `previous`.
        end: the number of entries, and the last one's digest.
        calls: by path.
        earlier: the number of requests and responses stored before trails existed; `items` does
            not contain them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: int = FORM
    run_id: str
    tenant: str
    agent: str
    requester: str | None = None
    items: tuple[dict[str, Any], ...]
    end: ChainHead
    calls: dict[str, AuditedCall]
    earlier: int = 0


def audit(loaded: LoadedRun) -> Audit:
    """The audit trail of a run."""
    head, root = loaded.head, loaded.continuation
    events = [event for event in loaded.snapshot.events() if isinstance(event, AuditedEvent)]
    linked = [(event.link.number, event) for event in events if event.link]
    calls: dict[str, AuditedCall] = {}
    for _, event in linked:
        call = root.call_at(parse_path(event.path))
        if isinstance(call.plan, RefusedPlan) or event.path in calls:
            continue
        calls[event.path] = AuditedCall(
            path=event.path,
            agent=root.frame_at(parse_path(event.path)[:-1]).agent,
            tool=call.plan.tool,
            schema_version=call.plan.schema_version,
            arguments=call.plan.arguments,
            raw_digest=None if isinstance(call.plan, ConditionPlan) else call.plan.raw_digest,
            question=question_of(call),
            policy=call.gate,
        )
    return Audit(
        run_id=head.run_id,
        tenant=head.tenant,
        agent=head.agent,
        requester=head.requester,
        items=tuple(audit_entry(event) for _, event in sorted(linked, key=lambda each: each[0])),
        end=head.trail,
        calls=calls,
        earlier=len(events) - len(linked),
    )


def document_faults(document: Mapping[str, Any], expected: str | None = None) -> list[str]:
    """The faults of a document, as text; empty if it is intact.

    Args:
        document: the parsed JSON.
        expected: the digest of an entry, from an earlier export.
    """
    try:
        read = Audit.model_validate(document)
        entries = [_Entry.model_validate(each) for each in read.items]
        canonical_json(dict(document))
    except ValidationError as error:
        return [f"this is not an audit trail: {error.error_count()} fields do not fit"]
    except ValueError as error:
        return [f"this is not an audit trail: {error}"]
    if read.form > FORM:
        return [f"the document has form {read.form}, and this code knows {FORM}"]
    return [*faults(read.items, read.end, expected), *_hash_faults(read, entries)]


class _Hashed(BaseModel):
    """The hashes of a request, or of a decision with its edited arguments."""

    arguments_hash: str | None = None
    policy_hash: str | None = None
    arguments: dict[str, Any] | None = None
    raw_digest: str | None = None


class _Entry(BaseModel):
    """An entry's statements about its call. `faults` checks the chain on the raw entries."""

    number: int
    path: str
    request: _Hashed | None = None
    decision: _Hashed | None = None


def _hash_faults(read: Audit, entries: Sequence[_Entry]) -> Iterator[str]:
    """A line for each hash on the trail that does not match the arguments or the policy of its
    call.
    """
    for each in entries:
        call, where = read.calls.get(each.path), f"entry {each.number}"
        if call is None:
            yield f"{where} is about a call that is not in the document"
            continue
        request, decision = each.request, each.decision or _Hashed()
        policy = request.policy_hash if request else None
        if policy not in (None, call.policy and policy_hash(call.policy)):
            yield f"{where}: the policy is not the one that applied"
        if request and request.arguments_hash != _hash(read, call, call.arguments, call.raw_digest):
            yield f"{where}: the arguments are not those that people were shown"
        edited = decision.arguments
        if edited is not None and decision.arguments_hash != _hash(
            read, call, edited, decision.raw_digest
        ):
            yield f"{where}: the edited arguments are not those that were approved"


def _hash(
    read: Audit, call: AuditedCall, arguments: Mapping[str, Any], raw_digest: str | None
) -> str:
    return arguments_hash(
        tenant=read.tenant,
        run_id=read.run_id,
        path=parse_path(call.path),
        tool=call.tool,
        schema_version=call.schema_version,
        arguments=hashed_content(arguments, call.question, raw_digest),
    )
