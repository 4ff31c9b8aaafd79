"""The public face: what users import, and what an import of it loads."""

import subprocess
import sys
from pathlib import Path

import pytest

import agent_continuations

ROOT = Path(__file__).parents[2]
# What people have written in their programs: add to it, and drop nothing without a reason.
PUBLIC = {
    *("Agent", "Approval", "Condition", "DynamoDBStore", "Escalation", "EveryCost", "EverySeconds"),
    *("EveryTokens", "EveryTurns", "InMemoryStore", "Job", "LocalRunner", "ModelRequest"),
    *("OpenAIModel", "Pending", "Preview", "Price", "Question", "Reply", "Script", "ScriptedModel"),
    *("Sleep", "Stage", "ToolCall", "ToolContext", "ToolRequest", "WaitFor", "by_input", "call"),
    *("calls", "say", "schema_tool", "tool"),
}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        env={"PYTHONPATH": str(ROOT / "layers" / "continuations")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_package_that_is_tested_is_the_one_of_this_folder() -> None:
    # An installed one would be imported first, by its pytest plugin.
    assert Path(agent_continuations.__file__).is_relative_to(ROOT)


def test_the_public_names_are_these() -> None:
    assert sorted(agent_continuations.__all__) == sorted(PUBLIC)
    assert set(dir(agent_continuations)) >= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_name_is_defined_where_the_package_says(name: str) -> None:
    found = getattr(agent_continuations, name)
    module = f"agent_continuations.{agent_continuations._MODULES[name]}"
    assert getattr(sys.modules[module], name) is found


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Agnet'"):
        agent_continuations.Agnet  # noqa: B018


def test_the_package_alone_loads_no_other_module_of_it() -> None:
    ours = {each for each in loaded_by("import agent_continuations") if "agent_cont" in each}
    assert ours == {"agent_continuations"}


def test_an_agents_names_load_no_client() -> None:
    loaded = loaded_by(
        "from agent_continuations import Agent, Approval, ToolContext, schema_tool, tool"
    )
    clients = {"boto3", "openai", "jinja2", "slack_sdk", "aws_lambda_powertools", "jsonschema_rs"}
    assert not loaded & clients
