"""The commands that start, show and steer runs."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import click
from rich.console import RenderableType

from agent_continuations.cli.arguments import key_option, read_text, wait_option
from agent_continuations.cli.exit_codes import ExitCode, Refused
from agent_continuations.cli.models import (
    Accepted,
    Frame,
    Run,
    RunPage,
    RunSummary,
    Timeline,
    TimelineEntry,
    parse,
)
from agent_continuations.cli.options import Settings, shared_options
from agent_continuations.cli.polling import exit_code_of, poll_run, run_path, wait_and_exit
from agent_continuations.cli.rendering import entry_line, line_text, outcome_lines, run_lines
from agent_continuations.cli.run_tree import header_lines, result_lines, run_tree
from agent_continuations.cli.selection import resolve_run_id
from agent_continuations.core.run import Status
from agent_continuations.safe_text import escape_json, escape_line
from agent_continuations.services.audit import document_faults


def _parse_metadata(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    split = [each.partition("=") for each in values]
    for name, equals, _ in split:
        if not equals or not name:
            raise click.BadParameter("must be like key=value")
    return {name: value for name, _, value in split}


@click.command()
@click.argument("agent")
@click.argument("input", callback=read_text)
@click.option("--metadata", multiple=True, metavar="KEY=VALUE", callback=_parse_metadata)
@key_option
@wait_option
@shared_options()
@click.pass_obj
def start(
    settings: Settings,
    agent: str,
    input: str,
    metadata: dict[str, str],
    key: str | None,
    wait: bool,
) -> None:
    """Start a run of AGENT on INPUT.

    Prints the run's id. Where INPUT is -, it is read from the standard input.
    """
    body: dict[str, Any] = {"agent": agent, "input": input}
    if metadata:
        body["metadata"] = metadata
    document = settings.api.post("/runs", body, key=key or str(uuid4()))
    run_id = parse(Accepted, document).run_id
    if wait:
        click.echo(escape_line(run_id), err=True)
        wait_and_exit(settings, run_id)
    settings.print_result(document, lambda: iter([line_text(run_id)]))


@click.command("list")
@click.option("--status", type=click.Choice([each.value for each in Status]))
@click.option("--agent")
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True)
@click.option("--all", "every", is_flag=True, help="All of them, --limit at a time.")
@shared_options()
@click.pass_obj
def list_runs(
    settings: Settings, status: str | None, agent: str | None, limit: int, every: bool
) -> None:
    """List runs, newest first."""
    query: dict[str, str | int | None] = {"status": status, "agent": agent, "limit": limit}
    document = settings.api.get("/runs", query)
    page = parse(RunPage, document)
    items, found = list(page.items), list(document["items"])
    while every and page.next:
        more = settings.api.get("/runs", {**query, "cursor": page.next})
        page = parse(RunPage, more)
        items += page.items
        found += more["items"]
    settings.print_result({**document, "items": found, "next": page.next}, lambda: run_lines(items))
    if page.next and not settings.as_json:
        click.echo("there are more: --all", err=True)


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def show(settings: Settings, run: str) -> None:
    """Show a run as a tree.

    Its agents and calls, where it waits, for whom and until when, and what came of it.
    """
    run_id = resolve_run_id(settings.api, run)
    document = settings.api.get(run_path(run_id))

    def lines() -> Iterator[RenderableType]:
        root = parse(Frame, settings.api.get(run_path(run_id, "continuation")))
        view = parse(Run, document)
        yield from header_lines(view)
        yield run_tree(view, root)
        yield from result_lines(view)

    settings.print_result(document, lines)


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def tail(settings: Settings, run: str) -> None:
    """Print what happens in a run.

    Until it ends or waits for somebody; then, for what. With --json, only how the run stands then.
    """
    run_id = resolve_run_id(settings.api, run)
    if settings.as_json:
        wait_and_exit(settings, run_id)
    told: set[TimelineEntry] = set()
    for _, latest in poll_run(settings.api, run_id, watch=True):
        view = latest
        timeline = parse(Timeline, settings.api.get(run_path(run_id, "timeline")))
        for entry in timeline.items:
            if entry not in told:
                told.add(entry)
                settings.print_line(entry_line(entry))
    for line in outcome_lines(view):
        settings.print_line(line)
    click.get_current_context().exit(exit_code_of(view) or ExitCode.DONE)


@click.command()
@click.argument("run")
@click.option("--verify", is_flag=True, help="Check it, and say what is wrong with it.")
@click.option(
    "--expect", metavar="DIGEST", help="With --verify: an entry's digest, kept elsewhere."
)
@shared_options()
@click.pass_obj
def audit(settings: Settings, run: str, verify: bool, expect: str | None) -> None:
    """Print the audit trail.

    Who was asked, who said what, and what they saw.
    """
    run_id = resolve_run_id(settings.api, run)
    document = settings.api.get(run_path(run_id, "audit"))
    click.echo(escape_json(document))
    if not verify and expect is None:
        return
    faults = document_faults(document, expect)
    if faults:
        raise Refused(f"the trail is not whole: {'; '.join(faults)}")
    told = f"{len(document['items'])} entries, whole; the last digest is "
    click.echo(told + (escape_line(document["end"]["digest"]) or "none"), err=True)


def _control(settings: Settings, run: str, action: str, *, again: bool = True) -> None:
    run_id = resolve_run_id(settings.api, run)
    document = settings.api.post(run_path(run_id, action), repeatable=again)
    settings.print_result(document, lambda: run_lines([parse(RunSummary, document)]))


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def cancel(settings: Settings, run: str) -> None:
    """End a run.

    Nothing new begins, and what is running is still recorded.
    """
    _control(settings, run, "cancel")


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def pause(settings: Settings, run: str) -> None:
    """Hold a run until it is resumed.

    Decisions are taken meanwhile.
    """
    _control(settings, run, "pause")


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def resume(settings: Settings, run: str) -> None:
    """Let a paused run go on."""
    _control(settings, run, "resume")


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def redrive(settings: Settings, run: str) -> None:
    """Let a parked run go on.

    For when what stopped it was mended.
    """
    # Once it has gone on, it is not parked any more: another try would be told so.
    _control(settings, run, "redrive", again=False)
