"""The commands by which people and programs say something to a run."""

from typing import Any

import click

from agent_continuations.cli.arguments import JsonValue, require_object, without_none
from agent_continuations.cli.models import DecisionResult, Run, Wait, parse
from agent_continuations.cli.options import Settings, shared_options
from agent_continuations.cli.polling import run_path
from agent_continuations.cli.rendering import decision_lines
from agent_continuations.cli.selection import answer_value, resolve_run_id, select_request

approver_option = click.option("--approver", help="Who says so, where you may speak for others.")


reason_option = click.option("--reason", help="Why; the model is told.")


def _decide(settings: Settings, run_id: str, request: Wait | None, **said: Any) -> None:
    document = settings.api.post(run_path(run_id, "decisions"), said)
    settings.print_result(
        document, lambda: decision_lines(parse(DecisionResult, document), request)
    )


def _load_run(settings: Settings, run: str) -> Run:
    return parse(Run, settings.api.get(run_path(resolve_run_id(settings.api, run))))


@click.command()
@click.argument("run")
@click.argument("request", required=False)
@click.option(
    "--arguments", type=JsonValue(), callback=require_object, help="Other ones, as a JSON object."
)
@click.option(
    "--hash",
    "arguments_hash",
    help="Only the arguments with this hash, which is arguments_hash in show --json.",
)
@approver_option
@reason_option
@shared_options()
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
    view = _load_run(settings, run)
    picked, asked = select_request(view, ("approval", "condition", "doubt"), request)
    # What is approved is what is told here, however it is changed meanwhile.
    hashed = arguments_hash or (asked.arguments_hash if asked else None)
    more = without_none(
        arguments=arguments, arguments_hash=hashed, approver=approver, reason=reason
    )
    _decide(settings, view.run_id, asked, request_id=picked, decision="approve", **more)


@click.command()
@click.argument("run")
@click.argument("request", required=False)
@approver_option
@reason_option
@shared_options()
@click.pass_obj
def reject(
    settings: Settings, run: str, request: str | None, approver: str | None, reason: str | None
) -> None:
    """Reject what a run waits for.

    A call or a question; or end a held agent; or say that a call in doubt did not happen.
    """
    view = _load_run(settings, run)
    kinds = ("approval", "condition", "doubt", "question")
    picked, asked = select_request(view, kinds, request)
    more = without_none(approver=approver, reason=reason)
    _decide(settings, view.run_id, asked, request_id=picked, decision="reject", **more)


@click.command()
@click.argument("run")
@click.argument("said", nargs=-1, required=True, metavar="[REQUEST] VALUE")
@approver_option
@shared_options()
@click.pass_obj
def answer(settings: Settings, run: str, said: tuple[str, ...], approver: str | None) -> None:
    """Answer a question of a run.

    VALUE is JSON, or else a text; where a text is asked for, it is one.
    """
    if len(said) > 2:
        raise click.UsageError("one VALUE, please, in quotes where it has spaces")
    view = _load_run(settings, run)
    picked, asked = select_request(view, ("question",), said[0] if len(said) == 2 else None)
    value = answer_value(asked, said[-1])
    more = without_none(approver=approver)
    _decide(
        settings, view.run_id, asked, request_id=picked, decision="answer", answer=value, **more
    )
