"""Waiting for a run until it ends, or waits for somebody."""

import time
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import quote

import click

from agent_continuations.cli.client import ApiClient
from agent_continuations.cli.exit_codes import ExitCode
from agent_continuations.cli.models import HUMAN_WAIT_KINDS, Run, parse
from agent_continuations.cli.options import Settings
from agent_continuations.cli.rendering import outcome_lines

# The longest that the service holds an answer back.
POLL_SECONDS = 20
# Progress of a run at work moves nothing that a poll could wait for.
RUNNING_POLL_SECONDS = 2
# What a run waits for inside of runs that it has started moves nothing, either.
CHILD_POLL_SECONDS = 5
# A service that does not hold its answers back is not asked more often than this.
MIN_POLL_INTERVAL_SECONDS = 0.5


def exit_code_of(run: Run) -> ExitCode | None:
    """How a run ends for whoever waits for it; None while it goes on by itself.

    Somebody is waited for where people are asked, an event must be sent, or the run is paused.
    Timers, jobs and models come by themselves.
    """
    match run.status:
        case "completed":
            return ExitCode.DONE
        case "failed" | "cancelled" | "parked":
            return ExitCode.REFUSED
        case "running":
            return None
        case _ if run.paused:
            return ExitCode.WAITING
        case "suspended" if any(each.kind in (*HUMAN_WAIT_KINDS, "event") for each in run.waiting):
            return ExitCode.WAITING
        case _:
            return None


def run_path(run_id: str, *more: str) -> str:
    """The path of a run, or of something of it."""
    return "/".join(["/runs", *(quote(each, safe="") for each in (run_id, *more))])


def poll_run(api: ApiClient, run_id: str, *, watch: bool = False) -> Iterator[tuple[Any, Run]]:
    """How a run stands, again and again, until `end_of` has something to say.

    Args:
        api: where the run is.
        run_id: the run.
        watch: whether to look often while the run is at work.

    Yields:
        The answer as it came, and as it is read.

    Raises:
        Fault: the service refuses, or cannot be reached.
    """
    path = run_path(run_id)
    document = api.get(path)
    while True:
        run = parse(Run, document)
        yield document, run
        if exit_code_of(run) is not None:
            return
        asked = time.monotonic()
        document = api.get(path, _poll_parameters(run, watch=watch))
        if parse(Run, document).updated_at == run.updated_at:
            time.sleep(max(0.0, MIN_POLL_INTERVAL_SECONDS - (time.monotonic() - asked)))


def _poll_parameters(run: Run, *, watch: bool) -> dict[str, str | int | None]:
    if run.status in ("ready", "running"):
        return {"wait": RUNNING_POLL_SECONDS if watch else POLL_SECONDS}
    children = any(each.kind == "child" for each in run.waiting)
    return {"wait": CHILD_POLL_SECONDS if children else POLL_SECONDS, "after": run.updated_at}


def wait_for_run(api: ApiClient, run_id: str) -> tuple[Any, Run]:
    """A run once it has ended or waits for somebody: the answer as it came, and as it is read.

    Raises:
        Fault: the service refuses, or cannot be reached.
    """
    *_, last = poll_run(api, run_id)
    return last


def wait_and_exit(settings: Settings, run_id: str) -> NoReturn:
    """Wait for a run, tell how it stands, and end with the code for that."""
    document, run = wait_for_run(settings.api, run_id)
    settings.print_result(document, lambda: outcome_lines(run))
    click.get_current_context().exit(exit_code_of(run) or ExitCode.DONE)
