"""The command that records a run, to keep it beside a test."""

from functools import partial
from pathlib import Path

import click

from agent_continuations.cli.client import ApiClient
from agent_continuations.cli.exit_codes import InvalidUsage, Refused
from agent_continuations.cli.models import ModelRequestPage, parse
from agent_continuations.cli.options import Settings, shared_options
from agent_continuations.cli.polling import run_path
from agent_continuations.cli.selection import resolve_run_id
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.errors import Invalid
from agent_continuations.safe_text import escape_json, escape_line
from agent_continuations.testing.script import script_of
from agent_continuations.views import recording
from agent_continuations.views.recording import ProfiledRequest


@click.command()
@click.argument("run")
@click.option(
    "--script",
    "as_script",
    is_flag=True,
    help="Print the model's replies as Python code, a SCRIPT for ScriptedModel.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to FILE, which is replaced if it exists.",
)
@shared_options()
@click.pass_obj
def record(settings: Settings, run: str, as_script: bool, output: Path | None) -> None:
    """Record a run, to compare changed agents with it in a test.

    Prints a JSON document with the run and the runs that it has started: their texts, arguments,
    results and decisions, and the tools and settings that the models were sent, including any
    personal or secret data in them. The pytest fixture "replay" compares it with agents.
    """
    run_id = resolve_run_id(settings.api, run)

    def load(each: str) -> Continuation:
        return parse(Continuation, settings.api.get(run_path(each, "continuation")))

    profile = (lambda _: None) if as_script else partial(_profile, settings.api)
    try:
        recorded = recording.record(run_id, load, profile)
    except Invalid as error:
        raise Refused(str(error)) from None
    notes: tuple[str, ...] = ()
    if recorded.continuation.outcome is None:
        notes = ("the run has no result yet: the recording ends with its last reply",)
    missing = {each.digest for each in recorded.profiled_requests()} - set(recorded.requests)
    if missing and not as_script:
        notes += ("the tools and settings of some requests could not be read, and are left out",)
    if as_script:
        text, warnings = script_of(recorded)
        notes += warnings
    else:
        text = escape_json(recorded.model_dump(mode="json")) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)
    for note in notes:
        click.echo(escape_line(note), err=True)


def _profile(api: ApiClient, request: ProfiledRequest) -> RequestProfile | None:
    """The profile of a request; None if the service does not have it, or has shortened it."""
    query: dict[str, str | int | None] = {"path": request.path or None, "turn": request.turn}
    document = api.get(run_path(request.run_id, "messages"), query)
    # Each page of the request has its tools and settings; the first is enough.
    shown = next(iter(parse(ModelRequestPage, document).items), None)
    if shown is None or shown.tools is None or shown.settings is None:
        return None
    profile = RequestProfile(
        model=shown.requested_model, tools=shown.tools, settings=shown.settings
    )
    # With another digest it is not what was sent: long texts were shortened.
    return profile if profile.digest == request.digest else None


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidUsage(f"cannot write {file}: {error.strerror}") from None
