"""Commands about the agents themselves: list those that are deployed, make a new one."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import RenderableType
from rich.text import Text

from agent_continuations.cli.agent_tree import AgentPage, agent_trees
from agent_continuations.cli.exit_codes import InvalidUsage, Refused
from agent_continuations.cli.models import parse
from agent_continuations.cli.options import Settings, shared_options
from agent_continuations.cli.rendering import block_text, line_text
from agent_continuations.cli.scaffold.agent_folder import AgentFolder
from agent_continuations.cli.scaffold.changes import Change, apply
from agent_continuations.cli.scaffold.templates import INPUT

DEFAULT_FOLDER = Path("layers") / "agents"


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


@click.command()
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    envvar="AGENTS_DIR",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder of your agents. Default: AGENTS_DIR, or layers/agents if it exists.",
)
@shared_options()
@click.pass_obj
def new(settings: Settings, name: str, folder: Path | None) -> None:
    """Make an agent NAME with a test, ready to run.

    Writes the agent and its test, and adds it to the list AGENTS and to the scripted replies in
    script.py. Overwrites nothing.
    """
    if folder is None and not DEFAULT_FOLDER.is_dir():
        raise InvalidUsage(f"{DEFAULT_FOLDER} does not exist: give --dir, or set AGENTS_DIR")
    agents_folder = AgentFolder(folder or DEFAULT_FOLDER)
    try:
        changes = agents_folder.with_agent(name)
        apply(changes)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Refused(f"nothing was written: {where}{error.strerror or error}") from None
    document = {"agent": name, "files": [str(each.path) for each in changes]}
    settings.print_result(document, lambda: _new_lines(name, agents_folder, changes))


def _new_lines(name: str, folder: AgentFolder, changes: Sequence[Change]) -> Iterator[Text]:
    for each in changes:
        yield line_text(f"{'created' if each.before is None else 'changed'} {each.path}")
    test = shlex.quote(str(folder.test_file(name)))
    is_default = folder.root.resolve() == DEFAULT_FOLDER.resolve()
    variable = "" if is_default else f"AGENTS_DIR={shlex.quote(str(folder.root))} "
    yield Text("Next:", "bold")
    yield block_text(f"pytest {test}\n{variable}make run")
    yield line_text(f"Then: agent-continuations start {name} {shlex.quote(INPUT)}")
