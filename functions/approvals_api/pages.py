"""The approver's page as HTML: no script, nothing from elsewhere, every text escaped."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agent_continuations.core.continuation import Continuation, PendingCall, RefusedPlan
from agent_continuations.core.path import Path as CallPath
from agent_continuations.core.path import Step, path_text
from agent_continuations.dispatch import hash_of
from agent_continuations.display import shown, shown_json
from agent_continuations.requests import Loaded, Request

MAX_DONE = 30
MAX_ARGUMENTS_CHARACTERS = 100_000
MAX_EXCERPT_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class Node:
    """A call in the drawn tree, with what its sub-agent does."""

    label: str
    state: str
    here: bool
    inside: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Done:
    """Something that has been done in the run so far."""

    agent: str
    tool: str
    arguments: str
    result: str
    kind: str


def of_request(
    loaded: Loaded, request: Request, approver: str, *, nonce: str, now: datetime
) -> Response[str]:
    """The page of a request, in whatever state it is."""
    root, call = loaded.continuation, request.call
    assert not isinstance(call.plan, RefusedPlan)
    deadline = call.approval.expires_at if call.approval and request.kind == "approval" else None
    words: dict[str, Any] = {
        "state": _state(loaded, request, deadline, now),
        "kind": request.kind,
        "tool": call.plan.tool,
        "arguments": _capped(shown_json(call.plan.arguments)),
        "editable": len(shown_json(call.plan.arguments)) <= MAX_ARGUMENTS_CHARACTERS,
        "edited": _edited(call),
        "hash": hash_of(loaded.head, request.asked, request.path)[:12],
        "approver": approver,
        "approvers": request.approvers,
        "deadline": deadline,
        "left": _left(deadline, now),
        "agents": root.agents_to(request.path),
        "goal": root.input[:4000],
        "tree": tuple(_nodes(root, (), request.path)),
        "done": list(_done(root))[-MAX_DONE:],
        "path": path_text(request.path),
        "run_id": loaded.head.run_id,
        "run_status": loaded.head.status.value,
        "decision": request.decision,
        "nonce": nonce,
    }
    return _page(HTTPStatus.OK, "request.html", words)


def of_problem(document: Mapping[str, Any]) -> Response[str]:
    """The page that tells what went wrong, and what stands instead if something does."""
    return _page(HTTPStatus(document["status"]), "problem.html", {"problem": document})


def see_other(location: str) -> Response[str]:
    """Send the browser to look at a page."""
    return Response(
        HTTPStatus.SEE_OTHER.value, headers={**_headers(), "Location": location}, body=""
    )


def _state(loaded: Loaded, request: Request, deadline: datetime | None, now: datetime) -> str:
    if request.decision:
        return "decided"
    if loaded.head.cancelled or loaded.head.status.terminal:
        return "ended"
    if request.call.outcome:
        return "settled"
    return "expired" if deadline and deadline <= now else "open"


def _edited(call: PendingCall) -> str | None:
    if call.decision and call.decision.arguments is not None:
        return _capped(shown_json(call.decision.arguments))
    return None


def _capped(text: str) -> str:
    """A page must fit into a Lambda's answer; the hash covers what is not shown."""
    if len(text) <= MAX_ARGUMENTS_CHARACTERS:
        return text
    more = len(text) - MAX_ARGUMENTS_CHARACTERS
    return f"{text[:MAX_ARGUMENTS_CHARACTERS]}\n… {more} characters more; GET /runs/{{id}} has all"


def _left(deadline: datetime | None, now: datetime) -> str:
    if deadline is None:
        return ""
    minutes = int((deadline - now).total_seconds() // 60)
    days, hours = minutes // 1440, minutes // 60
    if days > 1:
        return f"{days} days left"
    return f"{hours} hours left" if hours > 1 else f"{max(minutes, 0)} minutes left"


def _nodes(frame: Continuation, path: CallPath, here: CallPath) -> Iterator[Node]:
    """The calls of a frame: all that lead here or are still open, and how the others ended."""
    for number, turn in enumerate(frame.turns):
        for index, call in enumerate(turn.calls):
            at = (*path, Step(number, index))
            inside = tuple(_nodes(call.child, at, here)) if call.child else ()
            yield Node(call.plan.tool, _call_state(call), at == here, inside)


def _call_state(call: PendingCall) -> str:
    if call.outcome:
        return {"ok": "done", "error": "failed", "rejected": "rejected"}[call.outcome.kind]
    if call.approval and not call.decision:
        return "waits for approval"
    return "in doubt" if call.doubt else "at work"


def _done(root: Continuation) -> Iterator[Done]:
    for path, call in root.calls():
        if call.outcome and not call.child:
            yield Done(
                agent=root.frame_at(path[:-1]).agent,
                tool=call.plan.tool,
                arguments=shown_json(call.arguments)[:MAX_EXCERPT_CHARACTERS],
                result=call.outcome.content[:MAX_EXCERPT_CHARACTERS],
                kind=call.outcome.kind,
            )


def _page(status: HTTPStatus, template: str, words: Mapping[str, Any]) -> Response[str]:
    body = _environment().get_template(template).render(words, style=_style())
    return Response(
        status.value, content_type="text/html; charset=utf-8", body=body, headers=_headers()
    )


@cache
def _headers() -> dict[str, str]:
    style = b64encode(sha256(_style().encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self';"
        " frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex",
    }


@cache
def _style() -> str:
    return (_TEMPLATES / "style.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    return environment


_TEMPLATES = Path(__file__).with_name("templates")
