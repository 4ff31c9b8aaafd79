"""The README's code runs, and prints what the README says that it prints."""

import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from agent_continuations import ToolCall
from agent_continuations.authoring.registry import Registry
from tests.bench import report

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_first_example_prints_what_is_shown() -> None:
    shown = re.search(r"prints\n\n```text\n(.*?)```", README, re.DOTALL)
    assert shown
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(BLOCKS[0], "README.md", "exec"), {})
    assert printed.getvalue() == shown[1]


def test_everything_that_can_be_waited_for_prints_what_is_shown() -> None:
    shown = re.findall(r"prints\n\n```text\n(.*?)```", README, re.DOTALL)[1]
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(BLOCKS[3], "README.md", "exec"), {})
    assert printed.getvalue() == shown


def test_the_example_agents_can_be_deployed() -> None:
    names: dict[str, object] = {}
    exec(compile(BLOCKS[1], "README.md", "exec"), names)
    assert list(Registry(names["AGENTS"]).startable) == ["accounts"]  # type: ignore[arg-type]


@pytest.mark.parametrize(("amount", "needed"), [(1000, [1]), (1001, [1, 2])])
def test_the_policy_asks_whom_it_says(amount: int, needed: list[int]) -> None:
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[2], "README.md", "exec"), names)
    arguments = {"item": "chairs", "amount": amount}
    gate = names["order"].policy_for(ToolCall(tool="order", arguments=arguments, agent="buyer"))
    assert [stage.needed for stage in gate.stages] == needed
    assert gate.preview.effect == f"Orders chairs for {amount} euros."


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:    |`)make ([a-z]+)", README))))
def test_the_targets_that_are_named_exist(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_route_of_the_template_is_in_the_table() -> None:
    template = (ROOT / "template.yaml").read_text()
    for path, method in re.findall(r'Path: "?(/[^",]*)"?, Method: (\w+)', template):
        if method in ("get", "post"):
            route = re.sub(r"\{(run|grant)_id\}", "{id}", path)
            assert re.search(rf"`{method.upper()} {re.escape(route)}[`?]", README), (method, route)


def test_the_readme_needs_nothing_but_the_library() -> None:
    code = "import sys, agent_continuations; print(sorted({'openai', 'boto3'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "layers" / "continuations")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_costs_are_those_that_were_measured() -> None:
    measured = json.loads((ROOT / "tests" / "bench" / "results.json").read_text())
    shown = README.partition("<!-- bench -->\n")[2].partition("<!-- /bench -->")[0]
    assert shown == report.markdown(measured), "python -m tests.bench --markdown gives it"
