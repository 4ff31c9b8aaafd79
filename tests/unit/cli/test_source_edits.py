"""Edits of Python source keep everything else, or are refused."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from agent_continuations.cli.scaffold.source_edits import (
    CannotEdit,
    add_import,
    add_to_dict,
    add_to_list,
    bound_names,
    parsed,
)

LISTS = {
    "AGENTS = []\n": "AGENTS = [new]\n",
    "AGENTS = [a]": "AGENTS = [a, new]",
    "AGENTS = [a, b,]  # all\n": "AGENTS = [a, b, new]  # all\n",
    "AGENTS: list[Agent] = [a]\n": "AGENTS: list[Agent] = [a, new]\n",
    "é = 'ü'; AGENTS = [a]\n": "é = 'ü'; AGENTS = [a, new]\n",
    'AGENTS = [f("ü,", [1, 2]), (b), *rest]\n': 'AGENTS = [f("ü,", [1, 2]), (b), *rest, new]\n',
    "AGENTS = [\n    a,\n    b,\n]\n": "AGENTS = [\n    a,\n    b,\n    new,\n]\n",
    "AGENTS = [\n  a,\n  b  # the b\n  # end\n]\n": (
        "AGENTS = [\n  a,\n  b,  # the b\n  # end\n  new,\n]\n"
    ),
    "AGENTS = [\n\ta,\n]": "AGENTS = [\n\ta,\n\tnew,\n]",
    "AGENTS = [\n    a, b,\n    c, d\n]\n": "AGENTS = [\n    a, b,\n    c, d,\n    new,\n]\n",
    "AGENTS = [  # none yet\n]\n": "AGENTS = [  # none yet\n    new,\n]\n",
    "AGENTS = [\n    (a)  # ]\n]\n": "AGENTS = [\n    (a),  # ]\n    new,\n]\n",
    "AGENTS = [a,\n          b]\n": "AGENTS = [a,\n          b,\n          new,\n]\n",
    "AGENTS = [*a, *b]; x = 1\n": "AGENTS = [*a, *b, new]; x = 1\n",
    'AGENTS = [\n    """\n    ] """,\n]\n': 'AGENTS = [\n    """\n    ] """,\n    new,\n]\n',
}


@pytest.mark.parametrize(("source", "edited"), LISTS.items(), ids=range(len(LISTS)))
def test_an_element_is_added_in_the_style_of_the_list(source: str, edited: str) -> None:
    assert add_to_list(source, "AGENTS", "new") == edited


def test_a_line_that_becomes_too_long_is_broken() -> None:
    names = [f"agent_number_{number}" for number in range(5)]
    source = f"AGENTS = [{', '.join(names)}]  # all\n"
    rows = "".join(f"    {name},\n" for name in [*names, "new_agent"])
    assert add_to_list(source, "AGENTS", "new_agent") == f"AGENTS = [\n{rows}]  # all\n"


DICTS = {
    "SCRIPT = {}\n": 'SCRIPT = {\n    "new": [\n        1,\n    ],\n}\n',
    'SCRIPT = {"a": [1], **b}\n': (
        'SCRIPT = {\n    "a": [1],\n    **b,\n    "new": [\n        1,\n    ],\n}\n'
    ),
    'SCRIPT: dict[str, list[int]] = {\n    "a": [\n        1,\n    ],\n}\n': (
        'SCRIPT: dict[str, list[int]] = {\n    "a": [\n        1,\n    ],\n'
        '    "new": [\n        1,\n    ],\n}\n'
    ),
    'SCRIPT = {\n  "a": [1,\n        2]\n}\n': (
        'SCRIPT = {\n  "a": [1,\n        2],\n  "new": [\n      1,\n  ],\n}\n'
    ),
    "SCRIPT = {\n    **a,\n}\n": 'SCRIPT = {\n    **a,\n    "new": [\n        1,\n    ],\n}\n',
    "SCRIPT = {\n    # nothing\n}\n": (
        'SCRIPT = {\n    # nothing\n    "new": [\n        1,\n    ],\n}\n'
    ),
}


@pytest.mark.parametrize(("source", "edited"), DICTS.items(), ids=range(len(DICTS)))
def test_an_entry_is_added_in_the_style_of_the_dict(source: str, edited: str) -> None:
    assert add_to_dict(source, "SCRIPT", "new", "[\n    1,\n]") == edited


IMPORTS = {
    "": "from agents.m import m\n\n",
    "AGENTS = []\n": "from agents.m import m\n\nAGENTS = []\n",
    '"""Doc."""\n\nAGENTS = []\n': '"""Doc."""\n\nfrom agents.m import m\n\nAGENTS = []\n',
    '"""Doc."""': '"""Doc."""\n\nfrom agents.m import m',
    "from agents.a import a\nfrom agents.z import z\n": (
        "from agents.a import a\nfrom agents.m import m\nfrom agents.z import z\n"
    ),
    "from agents.a import (\n    a,\n)\nx = 1\n": (
        "from agents.a import (\n    a,\n)\nfrom agents.m import m\nx = 1\n"
    ),
    "import os\n\nx = 1\n": "import os\n\nfrom agents.m import m\n\nx = 1\n",
    "from __future__ import annotations\n\nx = 1\n": (
        "from __future__ import annotations\n\nfrom agents.m import m\n\nx = 1\n"
    ),
    "from agents.m10 import a\nfrom agents.m9 import b\n": (
        "from agents.m import m\nfrom agents.m10 import a\nfrom agents.m9 import b\n"
    ),
}


@pytest.mark.parametrize(("source", "edited"), IMPORTS.items(), ids=range(len(IMPORTS)))
def test_an_import_is_added_in_its_place(source: str, edited: str) -> None:
    assert add_import(source, "agents.m", "m", "agents.") == edited
    ast.parse(edited)


def test_modules_are_sorted_by_number_and_without_case() -> None:
    source = "from agents.m9 import a\nfrom agents.Z import b\n"
    assert add_import(source, "agents.m10", "m10", "agents.").split("\n")[1] == (
        "from agents.m10 import m10"
    )


def test_relative_imports_are_a_family_of_their_own() -> None:
    source = "from os import path\n\nfrom .b import b\n"
    assert add_import(source, ".a", "a", ".") == (
        "from os import path\n\nfrom .a import a\nfrom .b import b\n"
    )


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "no list AGENTS"),
        ("AGENTS = make()", "no list AGENTS"),
        ("AGENTS = [a] + other", "no list AGENTS"),
        ("AGENTS = (a, b)", "no list AGENTS"),
        ("AGENTS: list", "no list AGENTS"),
        ("def f():\n    AGENTS = []", "no list AGENTS"),
        ("if True:\n    AGENTS = []", "no list AGENTS"),
        ("AGENTS = [each for each in x]", "no list AGENTS"),
        ("AGENTS = []\nAGENTS = [a]", "more than once"),
        ("AGENTS = []\nAGENTS += [a]", "more than once"),
        ("AGENTS = [", "line 1 is not valid Python"),
        ("x = 1\nfrom __future__ import annotations\nAGENTS = []", "line 2 is not valid Python"),
        ("AGENTS = []\0", "not valid Python"),
        ("x = 1\r\rAGENTS = [a]\n", "carriage return"),
    ],
)
def test_what_cannot_be_edited_safely_is_refused(source: str, problem: str) -> None:
    with pytest.raises(CannotEdit, match=problem):
        add_to_list(source, "AGENTS", "new")


def test_an_import_is_not_put_before_the_docstring() -> None:
    with pytest.raises(CannotEdit, match="docstring"):
        add_import('"""Doc."""; from agents.z import z\n', "agents.m", "m", "agents.")


def test_the_bound_names_are_those_of_the_top_level() -> None:
    source = "import a.b, c as d\nfrom e import f\ndef g(): h = 1\nfor i in j: k = 1\nl, m = n\n"
    assert bound_names(parsed(source)) == {"a", "d", "f", "g", "i", "k", "l", "m"}


def test_sources_of_this_repository_can_be_edited_and_stay_formatted(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    script = (root / "layers" / "agents" / "script.py").read_text()
    agents = (root / "layers" / "agents" / "agents" / "__init__.py").read_text()
    edited = add_to_dict(script, "SCRIPT", "refunds", '[\n    say("Done."),\n]')
    (tmp_path / "script.py").write_text(edited)
    for number in range(9):
        name = f"refunds{number}"
        agents = add_import(agents, f"agents.{name}", name, "agents.")
        agents = add_to_list(agents, "AGENTS", name)
    (tmp_path / "agents.py").write_text(agents)
    ruff = [sys.executable, "-m", "ruff", "--config", str(root / "pyproject.toml")]
    for command in (["check", "--select", "E,F,W", "--ignore", "F401"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff[:3], command[0], *ruff[3:], *command[1:], str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
