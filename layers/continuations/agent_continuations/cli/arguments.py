"""Arguments and options that several commands take."""

import json
import sys
from typing import Any

import click


def read_text(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """The value of an argument, or of the standard input where it is a dash."""
    return sys.stdin.read() if value == "-" else value


def _validate_key(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    fits = value is None or (1 <= len(value) <= 255 and value.isascii() and value.isprintable())
    if not fits:
        raise click.BadParameter("must be 1 to 255 characters of ASCII")
    return value


wait_option = click.option("--wait", is_flag=True, help="Until the run ends or waits for somebody.")
key_option = click.option(
    "--key",
    callback=_validate_key,
    help="The Idempotency-Key: the same one again does nothing more. Made up else.",
)


class JsonValue(click.ParamType[Any]):
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


def require_object(
    _context: click.Context, _parameter: click.Parameter, value: Any
) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise click.BadParameter("must be a JSON object")


def without_none(**more: Any) -> dict[str, Any]:
    """What was said at all."""
    return {name: value for name, value in more.items() if value is not None}
