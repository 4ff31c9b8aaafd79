"""The commands by which people and programs say something to a run."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import click
from rich.text import Text

from agent_continuations.cli.drawn import joined, settled_lines, words
from agent_continuations.cli.follow import run_path
from agent_continuations.cli.group import cli, finish, key_option, read_text, wait_option
from agent_continuations.cli.picked import answer_value, picked_request, whole_run_id
from agent_continuations.cli.seen import Accepted, Run, Settled, Wait, seen
from agent_continuations.cli.settings import Settings, shared

approver_option = click.option("--approver", help="Who says so, where you may speak for others.")
reason_option = click.option("--reason", help="Why; the model is told.")


class Json(click.ParamType[Any]):
    """A JSON value on the command line."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            self.fail(f"this is no JSON: {error}", param, ctx)


def _object(
    _context: click.Context, _parameter: click.Parameter, value: Any
) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise click.BadParameter("must be a JSON object")


def _decide(settings: Settings, run_id: str, asked: Wait | None, **said: Any) -> None:
    document = settings.api.post(run_path(run_id, "decisions"), said)
    settings.tell(document, lambda: settled_lines(seen(Settled, document), asked))


def _given(**more: Any) -> dict[str, Any]:
    """What was said at all."""
    return {name: value for name, value in more.items() if value is not None}


def _found(settings: Settings, run: str) -> Run:
    return seen(Run, settings.api.get(run_path(whole_run_id(settings.api, run))))


@cli.command()
@click.argument("run")
@click.argument("request", required=False)
@click.option("--arguments", type=Json(), callback=_object, help="Other ones, as a JSON object.")
@click.option(
    "--hash",
    "arguments_hash",
    help="Only the arguments with this hash, which is arguments_hash in show --json.",
)
@approver_option
@reason_option
@shared()
@click.pass_obj
def approve(
    settings: Settings,
    run: str,
    request: str | None,
    arguments: dict[str, Any] | None,
    arguments_hash: str | None,
    approver: str | None,
    reason: str | None,
) -> None:
    """Approve what a run waits for.

    A call; or that a held agent goes on; or say that a call in doubt did happen.
    """
    view = _found(settings, run)
    picked, asked = picked_request(view, ("approval", "condition", "doubt"), request)
    # What is approved is what is told here, however it is changed meanwhile.
    hashed = arguments_hash or (asked.arguments_hash if asked else None)
    more = _given(arguments=arguments, arguments_hash=hashed, approver=approver, reason=reason)
    _decide(settings, view.run_id, asked, request_id=picked, decision="approve", **more)


@cli.command()
@click.argument("run")
@click.argument("request", required=False)
@approver_option
@reason_option
@shared()
@click.pass_obj
def reject(
    settings: Settings, run: str, request: str | None, approver: str | None, reason: str | None
) -> None:
    """Reject what a run waits for.

    A call or a question; or end a held agent; or say that a call in doubt did not happen.
    """
    view = _found(settings, run)
    kinds = ("approval", "condition", "doubt", "question")
    picked, asked = picked_request(view, kinds, request)
    more = _given(approver=approver, reason=reason)
    _decide(settings, view.run_id, asked, request_id=picked, decision="reject", **more)


@cli.command()
@click.argument("run")
@click.argument("said", nargs=-1, required=True, metavar="[REQUEST] VALUE")
@approver_option
@shared()
@click.pass_obj
def answer(settings: Settings, run: str, said: tuple[str, ...], approver: str | None) -> None:
    """Answer a question of a run.

    VALUE is JSON, or else a text; where a text is asked for, it is one.
    """
    if len(said) > 2:
        raise click.UsageError("one VALUE, please, in quotes where it has spaces")
    view = _found(settings, run)
    picked, asked = picked_request(view, ("question",), said[0] if len(said) == 2 else None)
    value = answer_value(asked, said[-1])
    more = _given(approver=approver)
    _decide(
        settings, view.run_id, asked, request_id=picked, decision="answer", answer=value, **more
    )


@cli.command()
@click.argument("run")
@click.argument("text", callback=read_text)
@key_option
@wait_option
@shared()
@click.pass_obj
def message(settings: Settings, run: str, text: str, key: str | None, wait: bool) -> None:
    """Say TEXT to a run.

    A completed run goes on with it. Where TEXT is -, it is read from the standard input.
    """
    run_id = whole_run_id(settings.api, run)
    path = run_path(run_id, "messages")
    document = settings.api.post(path, {"content": text}, key=key or str(uuid4()))
    if wait:
        finish(settings, run_id)
    settings.tell(document, lambda: _taken("message", document))


@cli.command()
@click.argument("run")
@click.argument("name")
@click.option("--payload", type=Json(), help="What it brings, as JSON.")
@click.option("--correlation", help="Which of the calls that wait for it is meant.")
@key_option
@shared()
@click.pass_obj
def event(
    settings: Settings,
    run: str,
    name: str,
    payload: Any,
    correlation: str | None,
    key: str | None,
) -> None:
    """Tell a run of the event NAME."""
    run_id = whole_run_id(settings.api, run)
    body = _given(payload=payload, correlation=correlation)
    path = run_path(run_id, "events", name)
    document = settings.api.post(path, body, key=key or str(uuid4()))
    settings.tell(document, lambda: _taken("event", document))


def _taken(what: str, document: Any) -> Iterator[Text]:
    taken = seen(Accepted, document)
    yield joined(f"the {what} is taken by", words(taken.run_id))
