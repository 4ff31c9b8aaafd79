"""Real text for tool results: excerpts of the Python language reference, as pydoc ships it."""

import zlib
from functools import cache
from pydoc_data.topics import topics
from random import Random
from statistics import median


def page(number: int, size: int) -> str:
    """An excerpt of `size` bytes; each number selects another one."""
    text = _prose()
    at = Random(number).randrange(len(text) - size)
    return text[at : at + size]


def zlib_ratio(size: int) -> float:
    """The median compression ratio of 200 pages, each compressed separately."""
    pages = [page(number, size).encode() for number in range(200)]
    return median(len(each) / len(zlib.compress(each, 6)) for each in pages)


@cache
def _prose() -> str:
    text = "\n\n".join(topics[name] for name in sorted(topics))
    return text.encode("ascii", "ignore").decode()  # so that a character is a byte
