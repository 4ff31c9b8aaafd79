"""Commands that send messages and events to a run."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import click
from rich.text import Text

from agent_continuations.cli.arguments import (
    JsonValue,
    key_option,
    read_text,
    wait_option,
    without_none,
)
from agent_continuations.cli.models import Accepted, parse
from agent_continuations.cli.options import Settings, shared_options
from agent_continuations.cli.polling import run_path, wait_and_exit
from agent_continuations.cli.rendering import join_parts, line_text
from agent_continuations.cli.selection import resolve_run_id


@click.command()
@click.argument("run")
@click.argument("text", callback=read_text)
@key_option
@wait_option
@shared_options()
@click.pass_obj
def message(settings: Settings, run: str, text: str, key: str | None, wait: bool) -> None:
    """Send a message to a run.

    A completed run continues with it. If TEXT is -, it is read from the standard input. Who sends a
    message has asked for what the run plans next, and may not approve that.
    """
    run_id = resolve_run_id(settings.api, run)
    path = run_path(run_id, "messages")
    document = settings.api.post(path, {"content": text}, key=key or str(uuid4()))
    if wait:
        wait_and_exit(settings, run_id)
    settings.print_result(document, lambda: _accepted_lines("message", document))


@click.command()
@click.argument("run")
@click.argument("name")
@click.option("--payload", type=JsonValue(), help="Payload of the event, as JSON.")
@click.option("--correlation", help="Correlation of the waiting call.")
@key_option
@shared_options()
@click.pass_obj
def event(
    settings: Settings,
    run: str,
    name: str,
    payload: Any,
    correlation: str | None,
    key: str | None,
) -> None:
    """Send event NAME to a run."""
    run_id = resolve_run_id(settings.api, run)
    body = without_none(payload=payload, correlation=correlation)
    path = run_path(run_id, "events", name)
    document = settings.api.post(path, body, key=key or str(uuid4()))
    settings.print_result(document, lambda: _accepted_lines("event", document))


def _accepted_lines(kind: str, document: Any) -> Iterator[Text]:
    accepted = parse(Accepted, document)
    yield join_parts(f"{kind} sent to", line_text(accepted.run_id))
