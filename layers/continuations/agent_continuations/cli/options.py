"""The options that every command takes, before its name or after it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import click
from rich.console import Console, RenderableType
from rich.text import Text

from agent_continuations.cli.client import ApiClient
from agent_continuations.cli.exit_codes import InvalidUsage
from agent_continuations.safe_text import escape_json

LOCAL_ADDRESS_FILE = Path(".run") / "api_url"
UNWRAPPED_WIDTH = 10_000_000

CommandFunction: TypeAlias = Callable[..., Any]


@dataclass
class Settings:
    """What the options say."""

    url: str | None = None
    as_json: bool = False
    sign: bool = False
    profile: str | None = None
    region: str | None = None

    @cached_property
    def api(self) -> ApiClient:
        """The API.

        Raises:
            Fault: it is not known where it is, or requests cannot be signed.
        """
        return ApiClient(
            self.url or _local_address(),
            sign=self.sign,
            profile=self.profile,
            region=self.region,
        )

    @cached_property
    def console(self) -> Console:
        """Where things are printed. What is piped has no colours, and lines as long as they are."""
        console = Console(markup=False, emoji=False, highlight=False)
        if not console.is_terminal:
            console.width = UNWRAPPED_WIDTH
        return console

    def print_result(self, document: Any, lines: Callable[[], Iterator[RenderableType]]) -> None:
        """Print an answer: as it came where JSON is wanted, else in words.

        Args:
            document: the answer.
            lines: what to print in its place.
        """
        if self.as_json:
            click.echo(escape_json(document))
            return
        for line in lines():
            self.print_line(line)

    def print_line(self, what: RenderableType) -> None:
        """Print something for people. What does not fit into a line goes on below, moved in, so
        that no stranger's words stand where ours do.
        """
        if not isinstance(what, Text) or not self.console.is_terminal:
            self.console.print(what)
            return
        for whole in what.split("\n", allow_blank=True):
            indent = len(whole.plain) - len(whole.plain.lstrip(" ")) + 2
            first, *rest = whole.wrap(self.console, max(self.console.width - indent, 20))
            self.console.print(first)
            for line in rest:
                self.console.print(Text(" " * indent).append_text(line))


def _local_address() -> str:
    try:
        address = LOCAL_ADDRESS_FILE.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        address = ""
    if not address:
        missing = "no API address: give --url or set AGENT_CONTINUATIONS_URL"
        raise InvalidUsage(f"{missing} ({LOCAL_ADDRESS_FILE} does not exist)")
    return address


def _store_option(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    settings = context.ensure_object(Settings)
    if value and parameter.name:
        setattr(settings, parameter.name, value)


def shared_options(*, top: bool = False) -> Callable[[CommandFunction], CommandFunction]:
    """Adds the options; their values are in `Settings`.

    Args:
        top: whether they stand before the command's name, where their help is.
    """
    hidden = not top

    def environment(*names: str) -> list[str] | None:
        # Once, so that it does not take the place of what was given before the command's name.
        return list(names) if top else None

    options = [
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            expose_value=False,
            callback=_store_option,
            help="Print the API's JSON, one document.",
        ),
        click.option(
            "--url",
            envvar=environment("AGENT_CONTINUATIONS_URL"),
            hidden=hidden,
            expose_value=False,
            callback=_store_option,
            help="The API's address; else AGENT_CONTINUATIONS_URL, else what .run/api_url holds.",
        ),
        click.option(
            "--sign",
            is_flag=True,
            hidden=hidden,
            expose_value=False,
            callback=_store_option,
            help="Sign requests for AWS, which those to *.execute-api.*.amazonaws.com always are.",
        ),
        click.option(
            "--profile",
            envvar=environment("AWS_PROFILE"),
            hidden=hidden,
            expose_value=False,
            callback=_store_option,
            help="The AWS profile to sign with; else AWS_PROFILE.",
        ),
        click.option(
            "--region",
            envvar=environment("AWS_REGION", "AWS_DEFAULT_REGION"),
            hidden=hidden,
            expose_value=False,
            callback=_store_option,
            help="The AWS region to sign for, where the address does not say it.",
        ),
    ]

    def add(function: CommandFunction) -> CommandFunction:
        for option in reversed(options):
            function = option(function)
        return function

    return add
