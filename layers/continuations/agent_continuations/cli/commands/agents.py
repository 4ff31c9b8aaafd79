"""Commands about the agents themselves: list those that are deployed, make a new one."""

from collections.abc import Iterator

import click
from rich.console import RenderableType

from agent_continuations.cli.agent_tree import AgentPage, agent_trees
from agent_continuations.cli.models import parse
from agent_continuations.cli.options import Settings, shared_options


@click.command()
@shared_options()
@click.pass_obj
def agents(settings: Settings) -> None:
    """List the deployed agents.

    Shows the tools of each agent with their effects and approval policies, and its sub-agents.
    """
    document = settings.api.get("/agents")

    def trees() -> Iterator[RenderableType]:
        yield from agent_trees(parse(AgentPage, document).items)

    settings.print_result(document, trees)
