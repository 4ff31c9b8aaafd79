"""Real text for tools to give: windows of the Python language reference, as pydoc ships it."""

import zlib
from functools import cache
from pydoc_data.topics import topics
from random import Random
from statistics import median


def page(number: int, size: int) -> str:
    """Some prose of `size` bytes; another number, another place of the reference."""
    text = _prose()
    at = Random(number).randrange(len(text) - size)
    return text[at : at + size]


def zlib_ratio(size: int) -> float:
    """How many times smaller zlib makes a page, by itself; the median of 200."""
    pages = [page(number, size).encode() for number in range(200)]
    return median(len(each) / len(zlib.compress(each, 6)) for each in pages)


@cache
def _prose() -> str:
    text = "\n\n".join(topics[name] for name in sorted(topics))
    return text.encode("ascii", "ignore").decode()  # so that a character is a byte
