"""The layers as they are shipped: complete, compiled, and without unneeded imports.

The local emulator lets functions see its own packages and the host's, so a dependency that is
missing from the layer would go unnoticed there. Here each function is imported in an interpreter
that sees the built layers and nothing else.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.agents_folder import UV
from tests.local.stack import built_layer
from tests.local.template import ROOT, template
from tests.support.template_functions import tool_hosts

FUNCTIONS = sorted(
    name
    for name, resource in template()["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
)
BASE_LAYER = ["ContinuationsLayer"]


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    names = ("ContinuationsLayer", "AgentsLayer")
    return {name: built_layer(name, tmp_path_factory.mktemp(name)) for name in names}


def imported(layers: dict[str, Path], function: str) -> set[str]:
    """The modules that an interpreter has loaded once it has imported the function's handler."""
    properties = template()["Resources"][function]["Properties"]
    own = [each["Ref"] for each in properties.get("Layers", [])]
    path = [ROOT / properties["CodeUri"], *(layers[name] / "python" for name in BASE_LAYER + own)]
    module = properties["Handler"].rpartition(".")[0]
    code = (
        f"import sys; sys.path[:0] = {[str(each) for each in path]!r}\n"
        f"import {module}, json; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"AWS_DEFAULT_REGION": "us-east-1"},
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_all_imports_of_a_function_are_in_its_layers(
    layers: dict[str, Path], function: str
) -> None:
    modules = imported(layers, function)
    wired = "auth.oidc" if function == "AuthorizeFunction" else "bootstrap"
    assert f"agent_continuations.{wired}" in modules
    # The authorizer and tool hosts ask nothing of AWS, and so are spared its clients.
    assert ("boto3" in modules) == (
        function != "AuthorizeFunction" and function not in tool_hosts()
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_calls_no_model_never_loads_a_model_client(
    layers: dict[str, Path], function: str
) -> None:
    modules = imported(layers, function)
    assert "openai" not in modules
    assert "agents" not in modules
    assert "slack_sdk" not in modules
    if function not in ("AdvanceFunction", "ResumeFunction"):
        assert "agent_continuations.engine.runner" not in modules


def test_the_command_line_and_the_tests_of_agents_are_not_deployed(
    layers: dict[str, Path],
) -> None:
    package = layers["ContinuationsLayer"] / "python" / "agent_continuations"
    packages = {each.name for each in package.iterdir() if each.is_dir()}
    assert packages >= {"core", "engine", "operations"}
    assert not packages & {"cli", "testing"}


def test_late_imports_are_in_the_layers_too(layers: dict[str, Path]) -> None:
    path = [str(layer / "python") for layer in layers.values()]
    code = (
        f"import sys; sys.path[:0] = {path!r}\n"
        "import agents, agent_continuations.adapters.models.openai\n"
        "import agent_continuations.adapters.channels.email\n"
        "import agent_continuations.adapters.channels.slack.interactions\n"
        "import agent_continuations.adapters.channels.slack.notifier\n"
        "import agent_continuations.adapters.channels.sns\n"
        "import agent_continuations.adapters.channels.webhook.notifier\n"
        "import agent_continuations.auth.approval_links, agent_continuations.auth.oidc\n"
        "import agent_continuations.local.runner"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_byte_code_is_shipped_and_not_checked_against_timestamps(
    layers: dict[str, Path],
) -> None:
    sources = list(layers["ContinuationsLayer"].rglob("*.py"))
    compiled = list(layers["ContinuationsLayer"].rglob("*.pyc"))
    assert len(compiled) == len(sources) > 500
    # PEP 552: flags 1 say "checked by hash", without 2 for "do look at the source".
    assert {each.read_bytes()[4:8] for each in compiled} == {b"\x01\x00\x00\x00"}


def test_two_builds_of_the_same_code_are_identical(layers: dict[str, Path], tmp_path: Path) -> None:
    again = tmp_path / "again"
    environment = {**os.environ, "ARTIFACTS_DIR": str(again), "UV": str(UV)}
    environment |= {"PLATFORM": "", "PYTHON": sys.executable}
    folder = str(ROOT / "layers" / "agents")
    subprocess.run(["make", "-s", "-C", folder, "build-AgentsLayer"], env=environment, check=True)
    first = layers["AgentsLayer"]
    for path in sorted(each for each in first.rglob("*") if each.is_file()):
        assert path.read_bytes() == (again / path.relative_to(first)).read_bytes(), path
