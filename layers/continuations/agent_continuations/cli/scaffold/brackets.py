"""Insertion of an element into a list or dict of Python source, in the style that it has."""

import ast
from collections.abc import Sequence
from io import StringIO
from tokenize import COMMENT, NL, TokenInfo, generate_tokens

# The shortest of the usual limits, so that no formatter joins again what is broken here.
MAX_LINE_CHARACTERS = 88
INDENT = "    "


def with_element(source: str, node: ast.expr, last: ast.expr | None, element: str) -> str:
    """Adds an element at the end of a list or dict.

    Args:
        source: the source.
        node: the list or dict.
        last: the start of its last element; None if it is empty.
        element: the element as source. Further lines are indented relative to it.
    """
    lines = source.split("\n")
    tokens = _tokens(lines, node)
    if tokens[0].start[0] == tokens[-1].start[0]:
        _add_in_line(lines, tokens, element)
    else:
        _add_below(lines, tokens, last, element)
    return "\n".join(lines)


def _add_in_line(lines: list[str], tokens: Sequence[TokenInfo], element: str) -> None:
    """Adds to a collection on one line, which is broken if it becomes too long."""
    row = tokens[0].start[0] - 1
    before, after = lines[row][: tokens[0].end[1]], lines[row][tokens[-1].start[1] :]
    elements = [*_elements(lines[row], tokens), element]
    line = f"{before}{', '.join(elements)}{after}"
    if "\n" in line or len(line) > MAX_LINE_CHARACTERS:
        margin = _margin(line)
        inner = [f"{margin}{INDENT}{_indented(each, margin + INDENT)}," for each in elements]
        line = "\n".join([before, *inner, f"{margin}{after}"])
    lines[row] = line


def _add_below(
    lines: list[str], tokens: Sequence[TokenInfo], last: ast.expr | None, element: str
) -> None:
    """Adds to a collection on several lines, as a new line after the last element."""
    previous, closing = tokens[-2], tokens[-1]
    row, column = closing.start
    start, end = lines[row - 1][:column], lines[row - 1][column:]
    margin = _margin(lines[last.lineno - 1]) if last else _margin(start) + INDENT
    comma = "" if previous.string == "," or last is None else ","
    added = f"{margin}{_indented(element, margin)},"
    if start.strip():
        lines[row - 1 : row] = [f"{start.rstrip()}{comma}", added, end]
        return
    lines.insert(row - 1, added)
    # The last element keeps a comment behind it.
    row, column = previous.end
    lines[row - 1] = f"{lines[row - 1][:column]}{comma}{lines[row - 1][column:]}"


def _tokens(lines: Sequence[str], node: ast.expr) -> list[TokenInfo]:
    """The tokens of a collection, from bracket to bracket, without comments and line ends."""
    start = node.lineno, _column(lines[node.lineno - 1], node.col_offset)
    last_row = node.end_lineno or node.lineno
    end = last_row, _column(lines[last_row - 1], node.end_col_offset or 0)
    return [
        each
        for each in generate_tokens(StringIO("\n".join(lines)).readline)
        if start <= each.start and each.end <= end and each.type not in (COMMENT, NL)
    ]


def _column(line: str, offset: int) -> int:
    """The column of an offset of a syntax tree, which counts bytes."""
    return len(line.encode()[:offset].decode())


def _elements(line: str, tokens: Sequence[TokenInfo]) -> list[str]:
    """The elements of a collection on one line, as source."""
    depth, start, found = 0, tokens[0].end[1], list[str]()
    for each in tokens[1:]:
        if (each.string == "," or each is tokens[-1]) and depth == 0:
            found.append(line[start : each.start[1]].strip())
            start = each.end[1]
        depth += (each.string in "([{") - (each.string in ")]}") if each.string else 0
    return [each for each in found if each]


def _indented(element: str, margin: str) -> str:
    return element.replace("\n", f"\n{margin}")


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
