"""Options that every command accepts, before or after the command's name."""

from collections.abc import Callable, Iterator, Sequence
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
LOCAL_LOG_FILE = Path(".run") / "log.jsonl"
UNWRAPPED_WIDTH = 10_000_000

CommandFunction: TypeAlias = Callable[..., Any]


@dataclass
class Settings:
    """Values of the shared options."""

    url: str | None = None
    as_json: bool = False
    sign: bool = False
    profile: str | None = None
    region: str | None = None

    @property
    def base_url(self) -> str:
        """The API's URL, as given or from the file of the local stack.

        Raises:
            InvalidUsage: the URL is missing.
        """
        return self.url or _local_address()

    @cached_property
    def api(self) -> ApiClient:
        """The API client.

        Raises:
            InvalidUsage: the URL is missing or invalid, or credentials or region are missing.
        """
        return ApiClient(
            self.base_url,
            sign=self.sign,
            profile=self.profile,
            region=self.region,
        )

    @cached_property
    def console(self) -> Console:
        """The output console; piped output has no colours and is not wrapped."""
        return _console()

    @cached_property
    def error_console(self) -> Console:
        """The same for stderr, for what is no part of the result, such as a confirmation."""
        return _console(stderr=True)

    def print_result(self, document: Any, lines: Callable[[], Iterator[RenderableType]]) -> None:
        """Prints a response: as JSON with `--json`, otherwise as readable lines.

        Args:
            document: response of the API.
            lines: produces the readable lines.
        """
        if self.as_json:
            click.echo(escape_json(document))
            return
        for line in lines():
            self.print_line(line)

    def print_line(self, content: RenderableType, *, err: bool = False) -> None:
        """Prints readable output.

        Wrapped lines are indented, so that text of others cannot imitate a line of this client.

        Args:
            content: the output.
            err: whether to print it to stderr.
        """
        console = self.error_console if err else self.console
        if not isinstance(content, Text) or not console.is_terminal:
            console.print(content)
            return
        for line in content.split("\n", allow_blank=True):
            indent = len(line.plain) - len(line.plain.lstrip(" ")) + 2
            first, *rest = line.wrap(console, max(console.width - indent, 20))
            console.print(first)
            for wrapped in rest:
                console.print(Text(" " * indent).append_text(wrapped))


def _console(*, stderr: bool = False) -> Console:
    console = Console(markup=False, emoji=False, highlight=False, stderr=stderr)
    if not console.is_terminal:
        console.width = UNWRAPPED_WIDTH
    return console


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
    """Returns a decorator that adds the shared options; their values go into `Settings`.

    Args:
        top: whether the options belong to the command group, whose help describes them.
    """

    def option(
        *names: str, visible: bool = False, variables: Sequence[str] = (), **more: Any
    ) -> Any:
        return click.option(
            *names,
            # Only on the group: on a command, a variable would override the group's option.
            envvar=variables if top and variables else None,
            hidden=not (top or visible),
            expose_value=False,
            callback=_store_option,
            **more,
        )

    options = [
        option(
            *("--json", "as_json"),
            visible=True,
            is_flag=True,
            help="Print the API's JSON as one document.",
        ),
        option(
            "--url",
            variables=("AGENT_CONTINUATIONS_URL",),
            help="API URL. Default: AGENT_CONTINUATIONS_URL, or the content of .run/api_url.",
        ),
        option(
            "--sign",
            is_flag=True,
            help="Sign requests with AWS credentials. Always on for *.execute-api.*.amazonaws.com.",
        ),
        option(
            "--profile",
            variables=("AWS_PROFILE",),
            help="AWS profile to sign with and to read logs. Default: AWS_PROFILE.",
        ),
        option(
            "--region",
            variables=("AWS_REGION", "AWS_DEFAULT_REGION"),
            help="AWS region, unless the URL contains it. Default: AWS_REGION.",
        ),
    ]

    def add(function: CommandFunction) -> CommandFunction:
        for each in reversed(options):
            function = each(function)
        return function

    return add
