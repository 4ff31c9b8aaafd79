"""Python source text, formatted as ruff and Black would."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent_continuations.safe_text import is_visible

# The default of ruff and Black. A longer limit leaves the text as it is, because what does not fit
# is written with one item a line and a trailing comma.
LINE_CHARACTERS = 88
INDENT = "    "


@dataclass(frozen=True, slots=True)
class Brackets:
    """A call or a display: what stands before the items, the items, and the closing bracket.

    Attributes:
        items: each with the text before it, such as `name=`.
    """

    opening: str
    items: tuple[tuple[str, "Node"], ...]
    closing: str

    @property
    def flat(self) -> str:
        """The text on one line."""
        inner = ", ".join(prefix + flat(node) for prefix, node in self.items)
        comma = "," if self.opening == "(" and len(self.items) == 1 else ""
        return f"{self.opening}{inner}{comma}{self.closing}"


Node: TypeAlias = str | Brackets


def flat(node: Node) -> str:
    """The text of a node on one line."""
    return node if isinstance(node, str) else node.flat


def call_of(
    function: str, arguments: Sequence[Node], named: Mapping[str, Node] | None = None
) -> Node:
    """A call with positional and keyword arguments."""
    items = [("", each) for each in arguments]
    items += [(f"{name}=", each) for name, each in (named or {}).items()]
    return Brackets(f"{function}(", tuple(items), ")")


def tuple_of(items: Sequence[Node]) -> Node:
    """A tuple."""
    return Brackets("(", tuple(("", each) for each in items), ")")


def list_of(items: Sequence[Node]) -> Node:
    """A list."""
    return Brackets("[", tuple(("", each) for each in items), "]")


def dict_of(items: Mapping[str, Node]) -> Node:
    """A dict whose keys are texts."""
    pairs = tuple((f"{string(name)}: ", each) for name, each in items.items())
    return Brackets("{", pairs, "}")


def literal(value: Any) -> Node:
    """A JSON value."""
    match value:
        case str():
            return string(value)
        case list():
            return list_of([literal(each) for each in value])
        case dict():
            return dict_of({name: literal(each) for name, each in value.items()})
        case float():
            return repr(value).replace("e+", "e")
        case _:
            return repr(value)


def string(text: str) -> str:
    """A string literal in the quotes that need fewer escapes, double ones if both need the same."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    # `repr` of a text without these quotes escapes no quote.
    body = f"\\{quote}".join(repr(part)[1:-1] for part in text.split(quote))
    return quote + "".join(map(_visible, body)) + quote


def _visible(character: str) -> str:
    if is_visible(character):
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def source_text(
    before: str, node: Node, *, indent: str = "", after: int = 0, split: bool = False
) -> str:
    """The text of a node, on one line if it fits, else with one item a line.

    Args:
        before: the text before the node on its first line.
        node: the node.
        indent: the indentation of the line.
        after: the number of characters that follow on its last line.
        split: whether to write one item a line in any case.
    """
    line = f"{indent}{before}{flat(node)}"
    fits = _width(line) + after <= LINE_CHARACTERS and not split
    if isinstance(node, str) or not node.items or fits:
        return line
    # Its comma does not keep a tuple of one item split, but what is split inside does.
    split_item = node.opening == "(" and len(node.items) == 1
    lines = [
        source_text(prefix, item, indent=indent + INDENT, after=1, split=split_item) + ","
        for prefix, item in node.items
    ]
    return "\n".join([f"{indent}{before}{node.opening}", *lines, f"{indent}{node.closing}"])


def _width(text: str) -> int:
    """The columns that a text takes: two for East Asian characters, none for combining marks."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(each) in ("W", "F") for each in text)
    marks = sum(unicodedata.category(each) in ("Mn", "Me") for each in text)
    return len(text) + wide - marks
