"""The inbox of a signed-in person: open requests, and standing approvals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from aws_lambda_powertools.event_handler import Response
from markupsafe import Markup

from agent_continuations.auth.identity import Identity
from agent_continuations.core.approvals.grant import Grant, Rule
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.call_hash import call_hash_of
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.errors import ContinuationError, Invalid, NotFound
from agent_continuations.html.durations import remaining
from agent_continuations.html.marks import marked
from agent_continuations.look_alikes import look_alike_lines
from agent_continuations.ports.inbox import InboxEntry
from agent_continuations.safe_text import Excerpt, escape, escape_json, excerpt
from agent_continuations.views.labels import REQUESTS
from approvals_api import access, form_parsing, rendering, request_state
from approvals_api.access import ApprovalsContext, RequestAccess

MAX_SHOWN = 50
MAX_ARGUMENTS_CHARACTERS = 1000
MAX_VALUE_CHARACTERS = 400
_RULES: dict[Rule, str] = {"is": "is", "up_to": "up to", "any": "any value"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A request in the inbox.

    Attributes:
        pick: what is posted if it is selected; empty if it cannot be decided here, because it is
            not shown whole, or needs more than a yes or no.
        marked: the arguments, with marks on characters that may be taken for others.
        look_alikes: lines about these.
    """

    pick: str
    path: str
    tool: str
    agent: str
    effect: str
    arguments: Excerpt
    marked: Markup
    look_alikes: Sequence[str]
    left: str
    risk: str
    kind: str
    heading: str


@dataclass(frozen=True, slots=True)
class Granted:
    """An active grant in the inbox."""

    grant_id: str
    tool: str
    path: str
    conditions: tuple[tuple[str, str, str], ...]
    left: str
    uses: int


@dataclass(frozen=True, slots=True)
class Done:
    """The result of one answer of a batch."""

    tool: str
    path: str
    text: str
    taken: bool
    effect: str = ""


def csrf_scope(person: Identity) -> str:
    """The string that the CSRF nonces of a person's inbox are made from."""
    return sha256(f"inbox\n{person.name}".encode()).hexdigest()


def of_inbox(
    context: ApprovalsContext, person: Identity, now: datetime, done: Sequence[Done] = ()
) -> Response[str]:
    """The inbox page: open requests, standing approvals, and the results of the last answers."""
    mine = context.services.grants.all(person.name)
    variables = {
        "person": person,
        "grants": [_granted(each, now) for each in mine if each.is_active(now)],
        "entries": list(_open(context, person, now)),
        "done": done,
        "nonce": context.links.nonce(csrf_scope(person)),
        "most": MAX_SHOWN,
    }
    return rendering.of("inbox.html", variables)


def revoke(context: ApprovalsContext, person: Identity, form: form_parsing.Revocation) -> Done:
    """End one of a person's grants.

    Raises:
        NotFound: no such grant.
        Forbidden: the grant belongs to another approver.
    """
    grant = context.services.grants.revoke(form.grant_id, by=person.name, only_of=person.name)
    return Done(
        grant.tool, f"{grant.run_id}/{grant.request_id}", "standing approval revoked", taken=True
    )


def answer(context: ApprovalsContext, person: Identity, form: form_parsing.Batch) -> list[Done]:
    """Answer each selected request independently: one may be accepted and another refused."""
    return [_answered(context, person, pick, form) for pick in form.picks]


def _answered(
    context: ApprovalsContext, person: Identity, pick: form_parsing.Pick, form: form_parsing.Batch
) -> Done:
    path, tool, effect = f"{pick.run_id}/{pick.request_id}", pick.request_id, ""
    try:
        visit = _access(context, person, InboxEntry(pick.run_id, pick.request_id))
        tool, effect = visit.request.call.plan.tool, _effect(visit)
        if _arguments(visit).more:
            raise Invalid("not all of it is shown in the inbox: open it to decide")
        answer = Decide(
            verdict=form.verdict,
            approver=visit.approver,
            decided_by=visit.approver,
            via="session",
            reason=form.reason,
            groups=visit.groups,
            authentication=visit.authentication,
            arguments_hash=pick.arguments_hash,
        )
        result = context.services.decisions.decide_loaded(visit.loaded, visit.request, answer)
    except ContinuationError as error:
        return Done(tool, path, str(error), taken=False, effect=effect)
    text = "approved" if form.verdict is Verdict.APPROVE else "rejected"
    more = "" if result.closed else "; waiting for the other approvers"
    return Done(tool, path, text + more, taken=True, effect=effect)


def _open(context: ApprovalsContext, person: Identity, now: datetime) -> Iterator[Entry]:
    """The open requests of a person. Entries of closed requests are removed from the inbox."""
    inbox, tenant = context.inbox, context.services.runs.tenant
    seen: set[InboxEntry] = set()
    for name in (person.name, *person.groups):
        for asked in inbox.list(tenant, name, MAX_SHOWN):
            if asked in seen or len(seen) == MAX_SHOWN:
                continue
            seen.add(asked)
            visit = _try_access(context, person, asked)
            state = request_state.state_of(visit, now)[0] if visit else "ended"
            if visit and state == "open":
                yield _entry(visit, now)
            elif state not in ("looking", "voted"):
                inbox.drop(tenant, name, asked)


def _granted(grant: Grant, now: datetime) -> Granted:
    return Granted(
        grant_id=grant.grant_id,
        tool=grant.tool,
        path=f"{grant.run_id}/{grant.request_id}",
        conditions=tuple(
            (escape(name), _RULES[each.rule], escape_json(each.value)[:MAX_VALUE_CHARACTERS])
            for name, each in sorted(grant.conditions.items())
        ),
        left=remaining(grant.expires_at, now),
        uses=grant.uses,
    )


def _access(context: ApprovalsContext, person: Identity, asked: InboxEntry) -> RequestAccess:
    return access.from_session(context, person, asked.run_id, asked.request_id)


def _try_access(
    context: ApprovalsContext, person: Identity, asked: InboxEntry
) -> RequestAccess | None:
    try:
        return _access(context, person, asked)
    except NotFound:
        return None


def _entry(visit: RequestAccess, now: datetime) -> Entry:
    request, head, call = visit.request, visit.loaded.head, visit.request.call
    approval = request.approval
    shown_hash = call_hash_of(head, request.asked, request.path)
    path, arguments = f"{head.run_id}/{request.request_id}", _arguments(visit)
    return Entry(
        pick="" if request.kind != "approval" or arguments.more else f"{path}/{shown_hash}",
        path=path,
        tool=call.plan.tool,
        agent=visit.loaded.continuation.agents_to(request.path)[-1],
        effect=_effect(visit),
        arguments=arguments,
        marked=marked(arguments.text),
        look_alikes=look_alike_lines(request.asked.arguments, _effect(visit)),
        left=remaining(approval.expires_at if approval else None, now),
        risk=call.risk.value,
        kind=request.kind,
        heading=REQUESTS[request.kind].heading,
    )


def _arguments(visit: RequestAccess) -> Excerpt:
    return excerpt(escape_json(visit.request.asked.arguments), MAX_ARGUMENTS_CHARACTERS)


def _effect(visit: RequestAccess) -> str:
    """The preview of the call; empty where the tool has none."""
    preview = visit.request.call.preview
    return preview.effect if preview else ""
