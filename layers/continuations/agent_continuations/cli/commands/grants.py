"""Commands about standing approvals: list and revoke them."""

from collections.abc import Iterator
from urllib.parse import quote

import click
from rich.text import Text

from agent_continuations.cli.exit_codes import InvalidUsage
from agent_continuations.cli.grant_lines import Grant, GrantPage, grant_lines
from agent_continuations.cli.models import parse
from agent_continuations.cli.options import Settings, shared_options


@click.group(invoke_without_command=True)
@click.option("--approver", help="Only standing approvals of this approver.")
@shared_options()
@click.pass_context
def grants(context: click.Context, approver: str | None) -> None:
    """List standing approvals, or revoke one.

    Lists ended ones, too, newest first.
    """
    if context.invoked_subcommand:
        if approver:
            raise click.UsageError("--approver is an option of the list only")
        return
    settings: Settings = context.obj
    document = settings.api.get("/grants", {"approver": approver})

    def lines() -> Iterator[Text]:
        yield from grant_lines(parse(GrantPage, document).items)

    settings.print_result(document, lines)


@grants.command()
@click.argument("grant")
@shared_options()
@click.pass_obj
def revoke(settings: Settings, grant: str) -> None:
    """Revoke a standing approval.

    GRANT is its id, or a unique prefix. Decisions that it made stand.
    """
    grant_id = _resolve_grant_id(settings, grant)
    document = settings.api.post(f"/grants/{quote(grant_id, safe='')}/revoke")
    settings.print_result(document, lambda: grant_lines([parse(Grant, document)]))


def _resolve_grant_id(settings: Settings, given: str) -> str:
    """Resolves a prefix of an id; an unknown id is returned, for the service to answer.

    Raises:
        InvalidUsage: several ids match, or the prefix is empty.
    """
    if not given:
        raise InvalidUsage("GRANT is empty")
    page = parse(GrantPage, settings.api.get("/grants"))
    found = [each.grant_id for each in page.items if each.grant_id.startswith(given)]
    if len(found) > 1 and given not in found:
        raise InvalidUsage(f"{len(found)} standing approvals start with {given!r}")
    return given if given in found or not found else found[0]
