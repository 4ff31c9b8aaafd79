"""Makes random mutants with cosmic-ray, in an environment of its own.

    .cache/mutants/bin/python tests/mutants/generate.py SEED MODULE...

prints one mutant a line, as JSON, in an order that the seed determines: the module's path and its
mutated source.
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast  # type: ignore[import-not-found]
from cosmic_ray.mutating import mutate_code  # type: ignore[import-not-found]
from cosmic_ray.plugins import get_operator, operator_names  # type: ignore[import-not-found]

# "|" is in annotations far more often than in anything that runs; a decorator's absence is a crash.
_LEFT_OUT = ("BitOr", "RemoveDecorator")


def _operators() -> Iterator[Any]:
    for name in operator_names():
        operator = get_operator(name)
        if not operator.arguments() and not any(each in name for each in _LEFT_OUT):
            yield operator()


def _mutations(modules: list[str]) -> Iterator[tuple[str, Any, int]]:
    """Each module, operator and number of the place where the operator applies."""
    operators = list(_operators())
    for module in modules:
        nodes = list(ast_nodes(get_ast(Path(module).read_text())))
        for operator in operators:
            places = sum(len(list(operator.mutation_positions(node))) for node in nodes)
            yield from ((module, operator, number) for number in range(places))


def main(seed: str, *modules: str) -> None:
    mutations = list(_mutations(list(modules)))
    random.Random(seed).shuffle(mutations)
    for module, operator, number in mutations:
        text = mutate_code(Path(module).read_text(), operator, number)
        print(json.dumps({"module": module, "text": text}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
