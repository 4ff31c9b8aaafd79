"""What the documents say is so: their code runs, their commands, files and routes exist."""

import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from importlib.util import find_spec
from io import StringIO
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from agent_continuations.authoring.registry import Registry
from agent_continuations.cli.app import cli
from tests.bench import report
from tests.local.template import ROOT
from tests.support.template_functions import functions, roles

LIBRARY = ROOT / "layers" / "continuations"
READMES = [
    ROOT / "README.md",
    ROOT / "layers" / "agents" / "README.md",
    ROOT / "functions" / "README.md",
    LIBRARY / "README.md",
    ROOT / "tests" / "README.md",
    ROOT / "tests" / "bench" / "README.md",
]
DECISIONS = sorted((LIBRARY / "docs" / "adr").glob("*.md"))
ROLES = LIBRARY / "docs" / "roles.md"
DOCUMENTS = [*READMES, *DECISIONS, ROLES, ROOT / "CHANGELOG.md"]
HEADINGS = ("## Status", "## Context", "## Decision", "## Consequences")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PRINTS = re.compile(r"\s*(?:It )?prints\s*")
MAXIMUM_BYTES = 10_000


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


class Sample(NamedTuple):
    """A block of Python, and the output that the document shows for it."""

    code: str
    output: str


def samples(path: Path) -> list[Sample]:
    """The Python blocks of a document, in order. Output is a text block after "prints"."""
    text = path.read_text()
    blocks = list(FENCE.finditer(text))
    found = []
    for block, following in zip_longest(blocks, blocks[1:]):
        if block[1] != "python":
            continue
        shown = (
            following
            and following[1] == "text"
            and PRINTS.fullmatch(text[block.end() : following.start()])
        )
        found.append(Sample(block[2], following[2] if following and shown else ""))
    return found


@cache
def names_of(path: Path) -> dict[str, Any]:
    """What the blocks of a document define, run in order; each prints what is shown."""
    names: dict[str, Any] = {}
    for number, sample in enumerate(samples(path)):
        printed = StringIO()
        with redirect_stdout(printed):
            exec(compile(sample.code, f"{name(path)}, block {number}", "exec"), names)
        assert printed.getvalue() == sample.output, f"block {number}"
    return names


@pytest.mark.parametrize("path", READMES, ids=name)
def test_the_code_runs_and_prints_what_is_shown(path: Path) -> None:
    names_of(path)


def test_the_first_sample_and_what_every_author_needs_are_run() -> None:
    assert [bool(each.output) for each in samples(READMES[0])] == [True, False]
    assert [bool(each.output) for each in samples(READMES[1])] == [False] * 6 + [True, True, False]


def test_the_example_agents_can_be_deployed() -> None:
    agents = names_of(ROOT / "layers" / "agents" / "README.md")["AGENTS"]
    assert list(Registry(agents).startable) == ["accounts"]
    assert list(Registry([names_of(ROOT / "README.md")["operator"]]).startable) == ["operator"]


@pytest.mark.parametrize(("amount", "needed"), [(1000, [1]), (1001, [1, 2])])
def test_the_policy_asks_whom_it_says(amount: int, needed: list[int]) -> None:
    order = names_of(ROOT / "layers" / "agents" / "README.md")["order"]
    arguments = {"item": "chairs", "amount": amount}
    policy = order.policy_for(order.arguments.read(json.dumps(arguments)), "buyer")
    assert [stage.needed for stage in policy.stages] == needed
    assert policy.preview.effect == f"Orders chairs for {amount} euros."


def test_a_newcomer_reads_the_readme_in_three_minutes() -> None:
    assert (ROOT / "README.md").stat().st_size <= MAXIMUM_BYTES


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_the_commands_that_are_named_exist(path: Path) -> None:
    text = path.read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^    |`|\S=\S+ )make ([a-z]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for module in re.findall(r"python -m ([\w.]+[\w])", text):
        if module not in former_modules(path):
            assert find_spec(module), f"python -m {module}"
    assert isinstance(cli, click.Group)
    for command in re.findall(r"(?:^|\()agent-continuations (\w+)", text, re.MULTILINE):
        assert command in cli.commands, command


def former_modules(path: Path) -> set[str]:
    """The modules that the changelog says have been replaced."""
    replaced = r"takes? the\s+place of\s+`python -m ([\w.]+)`|that of\s+`python -m ([\w.]+)`"
    found = re.findall(replaced, path.read_text()) if path.name == "CHANGELOG.md" else []
    return {each for pair in found for each in pair if each}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_the_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    text = FENCE.sub("", path.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("path", READMES, ids=name)
def test_the_files_that_are_named_exist(path: Path) -> None:
    """Paths in code that begin with a folder of the top level, or of the library's package."""
    package = LIBRARY / "agent_continuations"
    folders = {each.name for each in (*ROOT.iterdir(), *package.iterdir()) if each.is_dir()}
    for written in re.findall(r"`(\w[\w./-]*/[\w./-]*)`", path.read_text()):
        if written.partition("/")[0] in folders:
            places = (ROOT / written, package / written, path.parent / written)
            assert any(each.exists() for each in places), written


def test_the_table_has_the_routes_of_the_template() -> None:
    table = (ROOT / "functions" / "README.md").read_text()
    written = set(re.findall(r"^\| `(GET|POST) (/[^`?]*)", table, re.MULTILINE))
    deployed = {
        (event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for function in functions().values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api" and event["Properties"]["Method"] in ("get", "post")
    }
    assert {(method, shape(path)) for method, path in written} == {
        (method, shape(path)) for method, path in deployed
    }


def shape(path: str) -> str:
    """A route without its parameters' names."""
    return re.sub(r"\{\w+\}", "{}", path)


def test_the_table_has_the_functions_of_the_template() -> None:
    table = (ROOT / "functions" / "README.md").read_text().partition("## HTTP API")[0]
    deployed = {each["Handler"].partition(".")[0] for each in functions().values()}
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == deployed


def test_both_tables_of_roles_have_those_of_the_template() -> None:
    shown = re.findall(r"^\| `(\w+)` \|", ROLES.read_text(), re.MULTILINE)
    assert shown == [*roles(), *roles()], "run `python -m tests.e2e.roles`"


PRINTED = {
    "http://127.0.0.1:8000": "{url}",
    "layers/agents/script.py": "{folder.script}",
    "layers/agents": "{folder.path}",
}


def test_what_make_run_shows_is_what_it_prints() -> None:
    shown = next(
        block[2] for block in FENCE.finditer(READMES[0].read_text()) if " ready\n" in block[2]
    )
    printed = "".join(each.read_text() for each in (ROOT / "tests" / "local").glob("*.py"))
    for line in shown.splitlines():
        text = re.sub(r"^ *\d+\.\d s  ", "", line).strip()
        for value, name in PRINTED.items():
            text = text.replace(value, name)
        assert text in printed, line


def test_the_readme_needs_nothing_but_the_library() -> None:
    code = "import sys, agent_continuations; print(sorted({'openai', 'boto3'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(LIBRARY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_costs_are_those_that_were_measured() -> None:
    bench = ROOT / "tests" / "bench"
    measured = json.loads((bench / "results.json").read_text())
    shown = (bench / "README.md").read_text()
    assert shown == report.markdown(measured), "run python -m tests.bench --markdown"


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_headings_and_is_in_the_index(path: Path) -> None:
    text = path.read_text()
    assert tuple(re.findall(r"^## .+$", text, re.MULTILINE)) == HEADINGS
    title = text.partition("\n")[0].removeprefix(f"# {path.stem[:4]}. ")
    entry = f"- [{path.stem[:4]}](docs/adr/{path.name}) {title}"
    assert entry in (LIBRARY / "README.md").read_text().splitlines()


def test_the_decisions_are_numbered() -> None:
    assert [path.stem[:4] for path in DECISIONS] == [
        f"{number:04d}" for number in range(1, len(DECISIONS) + 1)
    ]
