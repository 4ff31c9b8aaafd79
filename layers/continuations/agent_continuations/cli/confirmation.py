"""The confirmation of an approval: what is approved, and the question."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import click
from rich.text import Text

from agent_continuations.cli.exit_codes import InvalidUsage, Refused
from agent_continuations.cli.models import Wait
from agent_continuations.cli.options import Settings
from agent_continuations.cli.rendering import (
    format_time,
    join_parts,
    line_text,
    stage_lines,
)
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.look_alikes import look_alike_lines
from agent_continuations.views.labels import REQUESTS


def require_terminal() -> None:
    """Checks that a question can be asked.

    Raises:
        InvalidUsage: the standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise InvalidUsage("no terminal to ask for confirmation; give --yes to approve without")


def confirm(settings: Settings, request: Wait, edited: dict[str, Any] | None) -> None:
    """Shows a request and asks whether to approve it, both on stderr.

    Args:
        settings: values of the shared options.
        request: the open request.
        edited: arguments to approve instead of the requested ones.

    Raises:
        Refused: the answer is not yes.
        KeyboardInterrupt: interrupted by Ctrl-C.
    """
    for line in request_lines(request, edited):
        settings.print_line(line, err=True)
    # Not click's prompt, which makes the same error of "no", of an end of file and of Ctrl-C.
    click.echo("Approve? [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
    if answer.strip().lower() not in ("y", "yes"):
        raise Refused("not approved; nothing was sent")


def request_lines(request: Wait, edited: dict[str, Any] | None = None) -> Iterator[Text]:
    """Formats all that an approver must know: the call in full, who is asked, what happens.

    Args:
        request: the open request.
        edited: arguments to approve instead of the requested ones.
    """
    asking = request.agents[-1] if request.agents else ""
    if request.kind == "approval":
        heading = REQUESTS["approval"].heading.format(agent=asking, tool=request.tool or "")
        yield line_text(heading, "bold")
    else:
        yield line_text(request.message, "bold")
    yield join_parts("  agents:", line_text(" > ".join(request.agents)))
    yield from _argument_lines(request.arguments or {}, edited)
    if request.preview and request.preview not in request.message:
        label = "  effect:" if edited is None else "  effect of the requested arguments:"
        yield join_parts(label, line_text(request.preview))
    for each in look_alike_lines(request.arguments or {}, edited or {}, request.preview or ""):
        yield line_text(f"  {each}", "red")
    if request.risk == "high":
        yield Text("  high risk: approvers must be signed in", "red")
    approvers = ", ".join(request.approvers or ()) or "anyone with access to the API"
    yield join_parts("  approvers:", line_text(approvers))
    for line in stage_lines(request.stages or ()):
        yield join_parts("   ", line)
    if request.expires_at:
        yield Text(f"  deadline: {format_time(request.expires_at)}")
    yield join_parts("  request:", line_text(request.request_id, "dim"))
    yield join_parts("  if approved:", line_text(_consequence(request, asking, edited)))


def _argument_lines(requested: dict[str, Any], edited: dict[str, Any] | None) -> Iterator[Text]:
    """Formats each argument in full; of edited ones, the difference."""
    approved = requested if edited is None else edited
    for name in {**requested, **approved}:
        before, after = _value_text(name, requested), _value_text(name, approved)
        if before == after:
            yield join_parts("   ", line_text(after))
            continue
        if before:
            yield join_parts("  -", line_text(before, "red"))
        if after:
            yield join_parts("  +", line_text(after, "green"))


def _value_text(name: str, arguments: dict[str, Any]) -> str:
    if name not in arguments:
        return ""
    return f"{name}: {json.dumps(arguments[name], ensure_ascii=False)}"


def _consequence(request: Wait, agent: str, edited: dict[str, Any] | None) -> str:
    match request.kind:
        case "doubt":
            return REQUESTS["doubt"].consequences[Verdict.APPROVE]
        case "condition":
            return f"{agent} continues{'' if edited is None else ', with the edited limit'}"
        case _ if edited is None:
            return f"{request.tool} runs with exactly these arguments{_others(request)}"
        case _:
            again = (
                "; earlier approvals no longer count"
                if any(each.approved_by for each in request.stages or ())
                else ""
            )
            return f"{request.tool} runs with the edited arguments{_others(request)}{again}"


def _others(request: Wait) -> str:
    """The condition that other approvers agree, too."""
    needed = sum(each.needed for each in request.stages or ())
    return ", once all required approvers have agreed" if needed > 1 else ""
