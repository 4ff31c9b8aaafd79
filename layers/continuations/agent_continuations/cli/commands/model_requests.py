"""Command that shows what the models of a run were sent."""

from collections.abc import Iterator

import click
from rich.console import RenderableType

from agent_continuations.cli.model_requests import frame_lines, joined, request_lines
from agent_continuations.cli.models import ModelRequestPage, parse
from agent_continuations.cli.options import Settings, shared_options
from agent_continuations.cli.polling import run_path
from agent_continuations.cli.selection import resolve_run_id


@click.command()
@click.argument("run")
@click.option("--path", default="", help="Path of the agent. Default: the run's first agent.")
@click.option(
    "--turn", type=click.IntRange(min=0), help="Only this request, with all its messages."
)
@shared_options()
@click.pass_obj
def messages(settings: Settings, run: str, path: str, turn: int | None) -> None:
    """Show what the model of an agent was sent.

    Shows each request with the messages that the one before did not have, its tools, the reply,
    tokens and cost. To send a message, use `message`.
    """
    run_id = resolve_run_id(settings.api, run)
    query: dict[str, str | int | None] = {"path": path or None, "turn": turn}
    document = settings.api.get(run_path(run_id, "messages"), query)
    page = parse(ModelRequestPage, document)
    requests, items = list(page.items), list(document["items"])
    while page.next:
        further = settings.api.get(run_path(run_id, "messages"), {**query, "cursor": page.next})
        page = parse(ModelRequestPage, further)
        requests += page.items
        items += further["items"]

    def lines() -> Iterator[RenderableType]:
        yield from request_lines(joined(requests))
        yield from frame_lines(page.frames, path)

    settings.print_result({**document, "items": items, "next": None}, lines)
