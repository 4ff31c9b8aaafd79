"""Lines for the requests to a model: messages, reply, tokens and cost."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from agent_continuations.cli.models import FrameSummary, ModelRequest, RequestedCall
from agent_continuations.cli.rendering import (
    arguments_text,
    block_text,
    format_time,
    join_parts,
    line_text,
)


def joined(items: Iterable[ModelRequest]) -> list[ModelRequest]:
    """Joins the items of a request that is continued on a further page."""
    requests: list[ModelRequest] = []
    for each in items:
        if requests and requests[-1].turn == each.turn:
            first = requests.pop()
            changes = {
                "messages": (*first.messages, *each.messages),
                "truncated": first.truncated or each.truncated,
            }
            each = first.model_copy(update=changes)
        requests.append(each)
    return requests


def request_lines(requests: Sequence[ModelRequest]) -> Iterator[Text]:
    """Formats requests; tools and settings only where they differ from those of the one before."""
    before: ModelRequest | None = None
    for each in requests:
        yield _header_line(each)
        if before is None or (before.tools, before.settings) != (each.tools, each.settings):
            yield from _profile_lines(each)
        for message in each.messages:
            yield join_parts(line_text(message.role, "cyan"), line_text(message.tool_call_id or ""))
            yield from _content_lines(
                message.content, [call.function for call in message.tool_calls]
            )
        if each.reply:
            yield Text("reply", "green")
            if each.reply.fault:
                yield join_parts(" ", line_text(f"not used: {each.reply.fault}", "red"))
            yield from _content_lines(each.reply.content, each.reply.tool_calls)
            if each.reply.detail:
                yield block_text(each.reply.detail)
        if each.truncated:
            yield Text("long texts are cut", "yellow")
        before = each


def frame_lines(frames: Sequence[FrameSummary], path: str) -> Iterator[Text]:
    """Formats the other agents of a run, if there are any."""
    others = [each for each in frames if each.path != path or each.run_id]
    if others:
        yield Text("other agents", "bold")
    for each in others:
        place = line_text(each.path or '""', "dim")
        run = line_text(f"in run {each.run_id}" if each.run_id else "")
        yield join_parts(" ", place, line_text(each.agent), run)


def _header_line(request: ModelRequest) -> Text:
    number = Text(f"request {request.turn}", "bold")
    if request.reply is None:
        return join_parts(number, Text("not answered yet", "yellow"))
    cost = "cost unknown" if request.cost is None else f"${request.cost:.6f}"
    tokens = f"{request.usage.input_tokens} tokens in, {request.usage.output_tokens} out"
    at = format_time(request.at) if request.at else ""
    return join_parts(
        number, line_text(request.model or "unnamed model"), at, f"{tokens}, {cost}", by="  "
    )


def _profile_lines(request: ModelRequest) -> Iterator[Text]:
    if request.tools is None:
        yield Text("tools and settings not recorded", "dim")
    if request.tools:
        names = ", ".join(map(_tool_name, request.tools))
        yield join_parts(Text("tools", "cyan"), line_text(names))
    if request.settings:
        yield join_parts(Text("settings", "cyan"), arguments_text(request.settings))


def _tool_name(tool: Mapping[str, Any]) -> str:
    match tool:
        case {"function": {"name": str(name)}}:
            return name
        case _:
            return "unnamed"


def _content_lines(content: str | None, calls: Sequence[RequestedCall]) -> Iterator[Text]:
    if content is not None:
        yield block_text(content)
    for each in calls:
        yield join_parts(
            " ", Text("calls"), line_text(each.name, "bold"), line_text(each.arguments)
        )
