"""Commands that start, show and control runs."""

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
    pairs = [each.partition("=") for each in values]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise click.BadParameter("must have the form KEY=VALUE")
    return {name: value for name, _, value in pairs}


@click.command()
@click.argument("agent")
@click.argument("input", callback=read_text)
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_parse_metadata,
    help="Metadata of the run; repeatable.",
)
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
    """Start a run of AGENT with INPUT.

    Prints the run id. If INPUT is -, it is read from the standard input.
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
@click.option(
    "--status", type=click.Choice([each.value for each in Status]), help="Only runs in this status."
)
@click.option("--agent", help="Only runs of this agent.")
@click.option(
    "--limit",
    type=click.IntRange(1, 100),
    default=50,
    show_default=True,
    help="Number of runs, or runs a page with --all.",
)
@click.option("--all", "all_pages", is_flag=True, help="List all runs.")
@shared_options()
@click.pass_obj
def list_runs(
    settings: Settings, status: str | None, agent: str | None, limit: int, all_pages: bool
) -> None:
    """List runs, newest first."""
    query: dict[str, str | int | None] = {"status": status, "agent": agent, "limit": limit}
    document = settings.api.get("/runs", query)
    page = parse(RunPage, document)
    runs, items = list(page.items), list(document["items"])
    while all_pages and page.next:
        next_document = settings.api.get("/runs", {**query, "cursor": page.next})
        page = parse(RunPage, next_document)
        runs += page.items
        items += next_document["items"]
    settings.print_result({**document, "items": items, "next": page.next}, lambda: run_lines(runs))
    if page.next and not settings.as_json:
        click.echo("more runs exist; list them with --all", err=True)


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def show(settings: Settings, run: str) -> None:
    """Show a run as a tree.

    Shows its agents, calls, open requests with approvers and deadlines, and its result.
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
    """Follow the events of a run.

    Stops when the run ends or is waiting for input, and prints its state. With --json, prints
    only that state.
    """
    run_id = resolve_run_id(settings.api, run)
    if settings.as_json:
        wait_and_exit(settings, run_id)
    printed: set[TimelineEntry] = set()
    for _, latest in poll_run(settings.api, run_id, watch=True):
        view = latest
        timeline = parse(Timeline, settings.api.get(run_path(run_id, "timeline")))
        for entry in timeline.items:
            if entry not in printed:
                printed.add(entry)
                settings.print_line(entry_line(entry))
    for line in outcome_lines(view):
        settings.print_line(line)
    click.get_current_context().exit(exit_code_of(view) or ExitCode.DONE)


@click.command()
@click.argument("run")
@click.option("--verify", is_flag=True, help="Verify the hash chain; list its errors.")
@click.option(
    "--expect",
    metavar="DIGEST",
    help="Verify that the trail contains an entry with this digest, recorded earlier.",
)
@shared_options()
@click.pass_obj
def audit(settings: Settings, run: str, verify: bool, expect: str | None) -> None:
    """Print the audit trail of a run as JSON.

    Lists requests, decisions, and the details that each approver saw.
    """
    run_id = resolve_run_id(settings.api, run)
    document = settings.api.get(run_path(run_id, "audit"))
    click.echo(escape_json(document))
    if not verify and expect is None:
        return
    faults = document_faults(document, expect)
    if faults:
        raise Refused(f"the audit chain is broken: {'; '.join(faults)}")
    digest = escape_line(document["end"]["digest"]) or "none"
    click.echo(f"{len(document['items'])} entries, chain intact; last digest: {digest}", err=True)


def _control(settings: Settings, run: str, action: str, *, repeatable: bool = True) -> None:
    run_id = resolve_run_id(settings.api, run)
    document = settings.api.post(run_path(run_id, action), repeatable=repeatable)
    settings.print_result(document, lambda: run_lines([parse(RunSummary, document)]))


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def cancel(settings: Settings, run: str) -> None:
    """Cancel a run.

    No new calls start; results of running calls are still recorded.
    """
    _control(settings, run, "cancel")


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def pause(settings: Settings, run: str) -> None:
    """Pause a run until it is resumed.

    Decisions are still accepted.
    """
    _control(settings, run, "pause")


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def resume(settings: Settings, run: str) -> None:
    """Resume a paused run."""
    _control(settings, run, "resume")


@click.command()
@click.argument("run")
@shared_options()
@click.pass_obj
def redrive(settings: Settings, run: str) -> None:
    """Retry a parked run.

    Use it once the problem that stopped the run is fixed.
    """
    # Not repeatable: if the first request arrived, the run is not parked and a second one fails.
    _control(settings, run, "redrive", repeatable=False)
