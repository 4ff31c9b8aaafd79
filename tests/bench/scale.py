"""How much is measured."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """`quick` proves that the bench works; its numbers are too few to be quoted."""

    quick: bool = False

    def say(self, line: str) -> None:
        """Print progress to standard error."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
