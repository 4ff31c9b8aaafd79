"""Commands that decide about requests and answer questions."""

from typing import Any

import click

from agent_continuations.cli.arguments import JsonValue, require_object, without_none
from agent_continuations.cli.confirmation import confirm, require_terminal
from agent_continuations.cli.exit_codes import Refused
from agent_continuations.cli.models import DecisionResult, Run, Wait, parse
from agent_continuations.cli.options import Settings, shared_options
from agent_continuations.cli.polling import run_path
from agent_continuations.cli.rendering import decision_lines
from agent_continuations.cli.selection import answer_value, resolve_run_id, select_request

approver_option = click.option("--approver", help="Approver to act for (if permitted).")
reason_option = click.option("--reason", help="Reason; shown to the agent.")


def _decide(settings: Settings, run_id: str, request: Wait | None, **fields: Any) -> None:
    document = settings.api.post(run_path(run_id, "decisions"), fields)
    settings.print_result(
        document, lambda: decision_lines(parse(DecisionResult, document), request)
    )


def _load_run(settings: Settings, run: str) -> Run:
    return parse(Run, settings.api.get(run_path(resolve_run_id(settings.api, run))))


@click.command()
@click.argument("run")
@click.argument("request", required=False)
@click.option(
    "--arguments",
    type=JsonValue(),
    callback=require_object,
    help="Edited arguments, as a JSON object.",
)
@click.option(
    "--hash",
    "arguments_hash",
    help="Approve only if the arguments have this hash (arguments_hash in `show --json`).",
)
@approver_option
@reason_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
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
    yes: bool,
) -> None:
    """Approve a request of a run.

    Approves a call, lets an agent stopped by a condition continue, or confirms that a call in
    doubt happened. Shows the request and asks for confirmation. If the arguments change in the
    meantime, the approval is refused.
    """
    if not yes:
        require_terminal()
    view = _load_run(settings, run)
    request_id, open_request = select_request(view, ("approval", "condition", "doubt"), request)
    shown_hash = open_request.arguments_hash if open_request else None
    if arguments_hash and shown_hash and arguments_hash != shown_hash:
        raise Refused("the arguments have changed since you saw them: their hash is not --hash")
    if not yes:
        if open_request is None:
            raise Refused(f"the run has no open request {request_id!r} to approve")
        confirm(settings, open_request, arguments)
    fields = without_none(
        arguments=arguments,
        # Binds the approval to the arguments loaded here, even if they change meanwhile.
        arguments_hash=arguments_hash or shown_hash,
        approver=approver,
        reason=reason,
    )
    _decide(
        settings, view.run_id, open_request, request_id=request_id, decision="approve", **fields
    )


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
    """Reject a request of a run.

    Rejects a call, declines a question, ends an agent stopped by a condition, or states that a
    call in doubt did not happen.
    """
    view = _load_run(settings, run)
    kinds = ("approval", "condition", "doubt", "question")
    request_id, open_request = select_request(view, kinds, request)
    fields = without_none(approver=approver, reason=reason)
    _decide(settings, view.run_id, open_request, request_id=request_id, decision="reject", **fields)


@click.command()
@click.argument("run")
@click.argument("values", nargs=-1, required=True, metavar="[REQUEST] VALUE")
@approver_option
@shared_options()
@click.pass_obj
def answer(settings: Settings, run: str, values: tuple[str, ...], approver: str | None) -> None:
    """Answer a question of a run.

    VALUE is parsed as JSON if it is JSON, otherwise it is text. A question with a text answer
    always gets text.
    """
    if len(values) > 2:
        raise click.UsageError("expected one VALUE; quote it if it contains spaces")
    view = _load_run(settings, run)
    given = values[0] if len(values) == 2 else None
    request_id, question = select_request(view, ("question",), given)
    fields = without_none(approver=approver)
    fields["answer"] = answer_value(question, values[-1])
    _decide(settings, view.run_id, question, request_id=request_id, decision="answer", **fields)
