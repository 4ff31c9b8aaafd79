"""Parse posted forms."""

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any, cast, get_args
from urllib.parse import parse_qs

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from agent_continuations.auth.approval_links import ApprovalLinks
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.grant import Rule
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import (
    Decide,
    GrantTerms,
    Reassign,
    Response,
    WithdrawApproval,
)
from agent_continuations.errors import Forbidden, Invalid
from agent_continuations.html.forms.form import Read, parse
from agent_continuations.services.edits import schema_of
from approvals_api.access import RequestAccess

ARGUMENTS = "arguments"
GRANT = "grant"
MAX_REASON_CHARACTERS = 4000
MAX_FIELDS = 300
_FIELDS = {"decision", ARGUMENTS, "arguments_hash", "reason", "to", "nonce"}
_BATCH_FIELDS = {"pick", "decision", "reason", "revoke", "nonce"}


def parsed(event: APIGatewayProxyEvent) -> dict[str, str]:
    """The posted fields, each at most once.

    Raises:
        Invalid: the form is invalid.
    """
    fields = _fields(event)
    parts = (f"{ARGUMENTS}.", f"{GRANT}.")
    known = _FIELDS | {name for name in fields if name.startswith(parts)}
    _check(fields, known=known)
    return {name: values[0] for name, values in fields.items()}


@dataclass(frozen=True, slots=True)
class Pick:
    """A selected request of the inbox, with the hash of the arguments shown."""

    run_id: str
    request_id: str
    arguments_hash: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """A standing approval to revoke."""

    grant_id: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Batch:
    """One answer to several requests."""

    picks: tuple[Pick, ...]
    verdict: Verdict
    reason: str | None
    nonce: str


def of_inbox(event: APIGatewayProxyEvent) -> Batch | Revocation:
    """The posted form of the inbox.

    Raises:
        Invalid: the form is invalid, or no request is selected.
    """
    fields = _fields(event)
    _check(fields, known=_BATCH_FIELDS, many={"pick"})
    nonce = fields.get("nonce", [""])[0]
    if grant_id := fields.get("revoke", [""])[0]:
        return Revocation(grant_id, nonce)
    parts = [text.split("/") for text in fields.get("pick", [])]
    if not parts or any(len(each) != 3 for each in parts):
        raise Invalid("select at least one request", [("pick", "required")])
    verdict = fields.get("decision", [""])[0]
    if verdict not in set(Verdict):
        raise Invalid("the form is invalid", [("decision", "must be approve or reject")])
    return Batch(
        picks=tuple(Pick(*each) for each in parts),
        verdict=Verdict(verdict),
        reason=_reason(fields.get("reason", [""])[0]),
        nonce=nonce,
    )


def check_sender(
    links: ApprovalLinks, headers: Mapping[str, str], csrf_scope: str, nonce: str
) -> None:
    """Check that a browser posts from the page itself. Other clients send none of these headers.

    Raises:
        Forbidden: the post comes from another page.
    """
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site not in (None, "same-origin"):
        raise Forbidden("a decision can be sent only from its own page")
    from_browser = site is not None or origin is not None
    if from_browser and not links.accepts(csrf_scope, nonce):
        raise Forbidden("reload the page and decide again", [("nonce", "not from this page")])


def _fields(event: APIGatewayProxyEvent) -> dict[str, list[str]]:
    try:
        return parse_qs(
            event.decoded_body or "",
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise Invalid("the form cannot be read", [("body", "must be a form")]) from None


def _check(
    fields: Mapping[str, list[str]], *, known: Set[str], many: Set[str] = frozenset()
) -> None:
    unknown = [(name, "unknown") for name in fields if name not in known]
    single = (name for name, values in fields.items() if len(values) > 1 and name not in many)
    repeated = [(name, "given twice") for name in single]
    if unknown or repeated:
        raise Invalid("the form is invalid", [*unknown, *repeated])


def _reason(text: str) -> str | None:
    reason = text.strip()
    if len(reason) > MAX_REASON_CHARACTERS:
        raise Invalid(
            "the form is invalid", [("reason", f"over {MAX_REASON_CHARACTERS} characters")]
        )
    return reason or None


def to_response(
    visit: RequestAccess, form: Mapping[str, str], registry: Callable[[], Registry]
) -> Response:
    """The response in a posted form.

    Raises:
        Invalid: a field is missing or invalid.
    """
    attribution: dict[str, Any] = {
        "approver": visit.approver,
        "decided_by": visit.approver,
        "via": visit.via,
        "reason": _reason(form.get("reason", "")),
        "groups": visit.groups,
        "authentication": visit.authentication,
        "arguments_hash": form.get("arguments_hash") or None,
    }
    match form.get("decision"):
        case "approve" if visit.request.kind == "question":
            answer = _arguments(visit, form, registry)
            return Decide(verdict=Verdict.APPROVE, answer=answer, from_form=True, **attribution)
        case "approve":
            return Decide(
                verdict=Verdict.APPROVE,
                arguments=_arguments(visit, form, registry),
                grant=_grant(visit, form),
                **attribution,
            )
        case "reject":
            if form.get(ARGUMENTS, "").strip():
                raise Invalid("the form is invalid", [(ARGUMENTS, "not allowed with a rejection")])
            return Decide(verdict=Verdict.REJECT, **attribution)
        case "withdraw":
            return WithdrawApproval(**attribution)
        case "reassign":
            return Reassign(to=form.get("to", "").strip(), **attribution)
        case _:
            raise Invalid("the form is invalid", [("decision", "must be approve or reject")])


def grantable(visit: RequestAccess) -> list[str]:
    """The arguments of a call, in the order in which the rules of a grant are posted."""
    return sorted(visit.request.asked.arguments)


def _grant(visit: RequestAccess, form: Mapping[str, str]) -> GrantTerms | None:
    if not any(name.startswith(f"{GRANT}.") for name in form):
        return None
    hours = form.get(f"{GRANT}.hours", "")
    if not (hours.isascii() and hours.isdigit() and len(hours) < 6):
        raise Invalid("the form is invalid", [(f"{GRANT}.hours", "must be a number of hours")])
    rules: dict[str, Rule] = {}
    for number, name in enumerate(grantable(visit)):
        rule = form.get(f"{GRANT}.{number}", "is")
        if rule not in get_args(Rule):
            raise Invalid("the form is invalid", [(f"{GRANT}.{number}", "unknown rule")])
        rules[name] = cast(Rule, rule)
    return GrantTerms(seconds=int(hours) * 3600, rules=rules)


def form_of(
    visit: RequestAccess, registry: Callable[[], Registry]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON schema of the values that can be given with an approval, and the present values.

    Raises:
        Conflict: the tool no longer exists.
    """
    request = visit.request
    schema = schema_of(registry, visit.loaded, request)
    return schema, {} if request.kind == "question" else request.asked.arguments


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """The values of the argument controls; empty for other forms."""
    return {name: text for name, text in form.items() if name.startswith(f"{ARGUMENTS}.")}


def _arguments(
    visit: RequestAccess, form: Mapping[str, str], registry: Callable[[], Registry]
) -> dict[str, Any] | None:
    controls = typed(form)
    if controls:
        schema, standing = form_of(visit, registry)
        found: Read = parse(schema, controls, standing, prefix=ARGUMENTS)
        if found.faults:
            faults = [(f"{ARGUMENTS}.{name}", fault) for name, fault in found.faults]
            raise Invalid("the arguments are invalid", faults)
        return found.arguments
    text = form.get(ARGUMENTS, "").strip()
    if not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("the form is invalid", [(ARGUMENTS, "invalid JSON")]) from None
    if not isinstance(value, dict):
        raise Invalid("the form is invalid", [(ARGUMENTS, "must be a JSON object")])
    return value
