"""Polling of a run until it ends or is waiting for input."""

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

# The longest long poll that the service supports.
POLL_SECONDS = 20
# A long poll does not return on progress within a running run, so `tail` polls more often.
RUNNING_POLL_SECONDS = 2
# Nor does it return when a child run starts to wait.
CHILD_POLL_SECONDS = 5
# Minimum time between polls of a service without long polling.
MIN_POLL_INTERVAL_SECONDS = 0.5


def exit_code_of(run: Run) -> ExitCode | None:
    """Returns the exit code of a command that waits for the run, or None to keep polling.

    A run is waiting for input if a person must decide, an event must be sent, the run is paused, or
    it is blocked by a problem that a person should look at. Timers, jobs, models and child runs
    need no input.
    """
    match run.status:
        case "completed":
            return ExitCode.DONE
        case "failed" | "cancelled" | "parked" | "moved":
            return ExitCode.REFUSED
        case "running":
            return None
        case _ if run.paused:
            return ExitCode.WAITING
        case "suspended" if run.error is not None:
            return ExitCode.WAITING
        case "suspended" if any(each.kind in (*HUMAN_WAIT_KINDS, "event") for each in run.waiting):
            return ExitCode.WAITING
        case _:
            return None


def run_path(run_id: str, *segments: str) -> str:
    """Returns the URL path of a run, or of a resource below it."""
    return "/".join(["/runs", *(quote(each, safe="") for each in (run_id, *segments))])


def poll_run(api: ApiClient, run_id: str, *, watch: bool = False) -> Iterator[tuple[Any, Run]]:
    """Polls a run until it ends or is waiting for input.

    Args:
        api: API client.
        run_id: id of the run.
        watch: whether to poll often while the run is running.

    Yields:
        The response and the parsed run.

    Raises:
        Refused: the service refuses the request.
        ServiceUnavailable: the service is unreachable or overloaded, or it failed.
    """
    path = run_path(run_id)
    document = api.get(path)
    while True:
        run = parse(Run, document)
        yield document, run
        if exit_code_of(run) is not None:
            return
        polled_at = time.monotonic()
        document = api.get(path, _poll_parameters(run, watch=watch))
        if parse(Run, document).updated_at == run.updated_at:
            time.sleep(max(0.0, MIN_POLL_INTERVAL_SECONDS - (time.monotonic() - polled_at)))


def _poll_parameters(run: Run, *, watch: bool) -> dict[str, str | int | None]:
    if run.status in ("ready", "running"):
        return {"wait": RUNNING_POLL_SECONDS if watch else POLL_SECONDS}
    children = any(each.kind == "child" for each in run.waiting)
    return {"wait": CHILD_POLL_SECONDS if children else POLL_SECONDS, "after": run.updated_at}


def wait_for_run(api: ApiClient, run_id: str) -> tuple[Any, Run]:
    """Returns a run once it has ended or is waiting for input: the response and the parsed run.

    Raises:
        Refused: the service refuses the request.
        ServiceUnavailable: the service is unreachable or overloaded, or it failed.
    """
    *_, last = poll_run(api, run_id)
    return last


def wait_and_exit(settings: Settings, run_id: str) -> NoReturn:
    """Waits for a run, prints its state and exits with the matching code."""
    document, run = wait_for_run(settings.api, run_id)
    settings.print_result(document, lambda: outcome_lines(run))
    click.get_current_context().exit(exit_code_of(run) or ExitCode.DONE)
