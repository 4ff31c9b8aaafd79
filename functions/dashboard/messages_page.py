"""The page of the requests to the model of one agent: messages, tools, reply, tokens and cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response

from agent_continuations.safe_text import escape_json
from agent_continuations.services.model_requests import model_requests
from agent_continuations.services.request_pages import PageLimits
from agent_continuations.services.runs import RunService
from agent_continuations.views.model_requests import FrameView, ModelRequestView, ReplyView
from dashboard.rendering import PAGES, Text, text

QUERY = ("path", "cursor")
# Escaped, a text takes up to five times its bytes, and a response has up to 6 MB.
LIMITS = PageLimits(20, 400_000)
MAX_NAME_CHARACTERS = 200
MAX_AGENTS = 200


@dataclass(frozen=True, slots=True)
class Line:
    """A message or a reply.

    Attributes:
        call_id: of the call whose result it is; empty for others.
        text: None where it has only calls.
        calls: the calls in it: name and arguments.
    """

    role: str
    call_id: str
    text: Text | None
    calls: tuple[tuple[str, Text], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes:
        view: the request as the API has it.
        earlier: how many of its messages are above or on the pages before.
        details: heading and JSON of the tools, the settings and the schema of the answer.
        same: whether they are those of the request above.
    """

    view: ModelRequestView
    earlier: int
    messages: tuple[Line, ...]
    reply: Line | None
    details: tuple[tuple[str, Text], ...]
    same: bool


def of_agent(runs: RunService, run_id: str, query: Mapping[str, str]) -> Response[str]:
    """The page of the requests to the model of one agent.

    Args:
        runs: loads the run.
        run_id: of the run.
        query: the path of the agent, and the cursor of the page.

    Raises:
        NotFound: no such run, or no agent at the path.
        Invalid: the cursor is unknown.
    """
    path, cursor = query.get("path", ""), query.get("cursor")
    page = model_requests(runs, run_id, path, cursor=cursor, limits=LIMITS)
    here = {"path": path} if path else {}
    variables = {
        "run_id": run_id,
        "agent": page.agent,
        "path": path,
        "requests": list(_requests(page.items)),
        "usage": page.usage,
        "cost": page.cost,
        "agents": [(each, _address(each)) for each in page.frames[:MAX_AGENTS]],
        "more_agents": page.more_frames + max(len(page.frames) - MAX_AGENTS, 0),
        "first": f"?{urlencode(here)}" if cursor else "",
        "further": f"?{urlencode({**here, 'cursor': page.next})}" if page.next else "",
    }
    return PAGES.render("messages.html", variables)


def _address(frame: FrameView) -> str:
    """The address of the page of an agent, relative to this one."""
    if frame.run_id:
        return f"../{frame.run_id}/messages"
    return f"?{urlencode({'path': frame.path})}" if frame.path else "?"


def _requests(views: Sequence[ModelRequestView]) -> Iterator[Request]:
    above: tuple[Any, ...] | None = None
    for view in views:
        profile = (view.tools, view.settings, view.output)
        yield Request(
            view=view,
            earlier=view.offset,
            messages=tuple(map(_message, view.messages)),
            reply=_reply(view.reply) if view.reply else None,
            details=tuple(_details(view)),
            same=profile == above,
        )
        above = profile


def _details(view: ModelRequestView) -> Iterator[tuple[str, Text]]:
    if view.tools:
        names = [str(each.get("function", {}).get("name")) for each in view.tools]
        yield f"Tools: {', '.join(names)[:MAX_NAME_CHARACTERS]}", _json(view.tools)
    if view.settings:
        yield "Settings", _json(view.settings)
    if view.output:
        yield "Schema of the answer", _json(view.output)


def _message(message: Mapping[str, Any]) -> Line:
    content = message.get("content")
    calls = [each["function"] for each in message.get("tool_calls", ())]
    return Line(
        role=message["role"],
        call_id=message.get("tool_call_id", ""),
        text=_text(content) if content is not None else None,
        calls=tuple((each["name"], _text(each["arguments"])) for each in calls),
    )


def _reply(reply: ReplyView) -> Line:
    return Line(
        role="reply",
        call_id="",
        text=_text(reply.content) if reply.content is not None else None,
        calls=tuple(
            (each.name[:MAX_NAME_CHARACTERS], _text(each.arguments)) for each in reply.tool_calls
        ),
    )


def _json(value: Any) -> Text:
    return _text(escape_json(value))


def _text(whole: str) -> Text:
    return text(whole, len(whole))
