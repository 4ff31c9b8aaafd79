"""Argument types and options shared by several commands."""

import json
import sys
from typing import Any

import click


def read_text(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Returns the argument's value, or the standard input if the value is `-`."""
    return sys.stdin.read() if value == "-" else value


def _validate_key(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    valid = value is None or (1 <= len(value) <= 255 and value.isascii() and value.isprintable())
    if not valid:
        raise click.BadParameter("must be 1 to 255 printable ASCII characters")
    return value


wait_option = click.option(
    "--wait", is_flag=True, help="Wait until the run ends or is waiting for input."
)
key_option = click.option(
    "--key",
    callback=_validate_key,
    help="Idempotency-Key; repeating a request with the same key has no effect."
    " Default: generated.",
)


class JsonValue(click.ParamType[Any]):
    """Parameter type of a JSON value on the command line."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parses the JSON text."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            self.fail(f"invalid JSON: {error}", param, ctx)


def require_object(
    _context: click.Context, _parameter: click.Parameter, value: Any
) -> dict[str, Any] | None:
    """Rejects JSON values other than objects."""
    if value is None or isinstance(value, dict):
        return value
    raise click.BadParameter("must be a JSON object")


def without_none(**fields: Any) -> dict[str, Any]:
    """Returns the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
