"""The hash that ties an approval to one call, and the check before the call runs."""

from collections.abc import Mapping
from hmac import compare_digest
from typing import Any

from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import Call, Continuation
from agent_continuations.core.ids import arguments_hash
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.plans import RefusedPlan
from agent_continuations.core.run import RunHead
from agent_continuations.core.voting import with_vote
from agent_continuations.errors import IllegalEvent


def call_hash(head: RunHead, root: Continuation, path: Path) -> str:
    """The hash of the call at `path`, over the arguments that would run now.

    Raises:
        IllegalEvent: the call was refused when it was planned, so it cannot run.
    """
    call = root.call_at(path)
    return call_hash_of(head, call, path)


def call_hash_of(head: RunHead, call: Call, path: Path) -> str:
    """`call_hash` of a given call. The hash of a question also covers its text."""
    if isinstance(call.plan, RefusedPlan):
        raise IllegalEvent(f"{path_text(path)} was refused")
    return arguments_hash(
        tenant=head.tenant,
        run_id=head.run_id,
        path=path,
        tool=call.plan.tool,
        schema_version=call.plan.schema_version,
        arguments=hashed_content(call.arguments, question_of(call), call.raw_digest),
    )


def question_of(call: Call) -> dict[str, Any] | None:
    """A question's text and the JSON schema of its answer; None if the call asks no question."""
    question = call.question
    return {"text": question.text, "answer": question.answer} if question else None


def hashed_content(
    arguments: Mapping[str, Any], question: Mapping[str, Any] | None, raw_digest: str | None
) -> Mapping[str, Any]:
    """The content that the hash of a request covers, apart from its path: what is shown, and the
    text that the arguments are read from, by its digest.

    Plans of earlier code have no digest; their hashes cover what is shown alone.
    """
    content = {"shown": arguments, "raw": raw_digest} if raw_digest else arguments
    return {"question": question, "arguments": content} if question else content


def check_approval(head: RunHead, root: Continuation, path: Path) -> None:
    """Check that the call at `path` may run: it needs no approval, or was approved as it is.

    Raises:
        IllegalEvent: the call may not run.
    """
    call = root.call_at(path)
    if call.gate is None:
        return
    decision, approval = call.decision, call.approval
    if decision is None or approval is None or decision.verdict is not Verdict.APPROVE:
        raise IllegalEvent(f"{path_text(path)} is not approved")
    if with_vote(approval, decision).open_stage is not None:
        raise IllegalEvent(f"{path_text(path)} is not approved by all who must")
    if decision.decided_at > approval.expires_at:
        raise IllegalEvent(f"{path_text(path)} was approved after its deadline")
    if not compare_digest(decision.arguments_hash, call_hash(head, root, path)):
        raise IllegalEvent(f"{path_text(path)} is not what was approved")
