"""`messages`: what the model of an agent was sent, on the command line."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent_continuations import Agent, Approval, call, calls, say, tool
from agent_continuations.cli import client as client_module
from agent_continuations.cli.app import cli
from agent_continuations.core.replies import Reply, Usage
from agent_continuations.services.request_pages import PageLimits
from tests.support.cli_server import Server, serve_api
from tests.support.local_harness import ANN, LocalHarness

HOSTILE = "[bold red]\x1b[2J\u202eevil\nrequest 9  forged[/]"


@tool(effect="read")
def look(what: str) -> str:
    """Look."""
    return f"seen {what}" + "-" * 900


@tool(approval=Approval([ANN]))
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


CLERK = Agent("clerk", "Pay bills.", tools=[look, pay], settings={"temperature": 0})
AUDITOR = Agent("auditor", "Audit.")
BOSS = Agent(
    "boss",
    "Lead.",
    tools=[CLERK.as_tool(description="Pays."), AUDITOR.as_tool(description="Audits.", spawn=True)],
)
USED = Usage(input_tokens=1000, output_tokens=100)


def priced(reply: Reply) -> Reply:
    return reply.model_copy(update={"model": "gpt-5-mini", "usage": USED})


SCRIPTS: dict[str, Any] = {
    "boss": [calls(("clerk", {"input": HOSTILE}), ("auditor", {"input": "Check."})), say("Done.")],
    "clerk": [
        priced(calls(*[("look", {"what": HOSTILE + "." * 300})] * 4)),
        Reply(fault="length", content=None, model="wise-owl", usage=USED),
        call("pay", amount=5),
        say("Paid."),
    ],
    "auditor": [say("Fine.")],
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(client_module, "RETRY_PAUSES_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    harness = LocalHarness(agents=[BOSS], scripts=SCRIPTS)
    with serve_api(harness.runner) as found:
        yield found


@pytest.fixture
def run_id(server: Server) -> str:
    return server.runner.start("boss", "Begin.").run_id


@pytest.fixture
def run(server: Server) -> Callable[..., Result]:
    def invoke(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, ["--url", server.url, "messages", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return invoke


Run = Callable[..., Result]


def test_the_requests_of_the_first_agent_and_the_way_to_the_others(run: Run, run_id: str) -> None:
    lines = run(run_id[:8]).stdout.splitlines()
    assert lines[0].startswith("request 0  unnamed model  2026-11-26 12:00:00 UTC  1 tokens in")
    assert lines[1:6] == ["tools clerk, auditor", "system", "  Lead.", "user", "  Begin."]
    assert lines[6] == "reply"
    assert lines[-3] == "other agents"
    assert lines[-2] == "  0.0 clerk"
    assert lines[-1].startswith("  0.1 auditor in run ")
    child = lines[-1].rpartition(" ")[2]
    assert "  Check." in run(child).stdout.splitlines()


def test_the_requests_of_another_agent_with_tokens_cost_and_faults(run: Run, run_id: str) -> None:
    lines = run(run_id, "--path", "0.0").stdout.splitlines()
    first, second, _ = (line for line in lines if line.startswith("request "))
    assert first.endswith("gpt-5-mini  2026-11-26 12:00:00 UTC  1000 tokens in, 100 out, $0.000450")
    assert "wise-owl" in second and second.endswith("cost unknown")
    assert lines.count("tools look, pay") == lines.count("settings temperature=0") == 1
    assert "  not used: length" in lines
    assert '  calls pay {"amount": 5}' in lines
    assert lines[-1].startswith("  0.1 auditor in run ")
    assert '  "" boss' in lines


def test_one_request_has_all_its_messages(run: Run, run_id: str) -> None:
    lines = run(run_id, "--path", "0.0", "--turn", "2").stdout.splitlines()
    roles = [each.split()[0] for each in lines if each and not each.startswith(" ")]
    assert roles == [
        *("request", "tools", "settings", "system", "user", "assistant"),
        *("tool", "tool", "tool", "tool", "assistant", "user", "reply", "other"),
    ]


def test_json_is_the_responses_joined_over_all_pages(run: Run, run_id: str, server: Server) -> None:
    whole = json.loads(run(run_id, "--path", "0.0", "--json").stdout)
    text = run(run_id, "--path", "0.0").stdout
    server.page_limits = PageLimits(1, 1_000_000)
    assert json.loads(run(run_id, "--path", "0.0", "--json").stdout) == whole
    assert [each["turn"] for each in whole["items"]] == [0, 1, 2]
    assert whole["next"] is None
    server.page_limits = PageLimits(50, 6000)  # a request is continued on further pages
    parts = json.loads(run(run_id, "--path", "0.0", "--json").stdout)["items"]
    assert len(parts) > 3
    assert run(run_id, "--path", "0.0").stdout == text


def test_text_of_models_and_tools_is_escaped_and_forges_no_line(run: Run, run_id: str) -> None:
    for arguments in ((run_id,), (run_id, "--path", "0.0")):
        output = run(*arguments).stdout
        assert "\x1b" not in output and "\u202e" not in output
        assert r"\u202eevil" in output.replace("{", "").replace("}", "")
        assert not [each for each in output.splitlines() if each.startswith("request 9")]


@pytest.mark.parametrize("arguments", [("--path", "7.7"), ("--turn", "9")])
def test_what_does_not_exist_is_refused(run: Run, run_id: str, arguments: tuple[str, str]) -> None:
    error = run(run_id, *arguments, code=1).stderr
    assert error.startswith("agent-continuations: there is no ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("turn", ["-1", "one"])
def test_an_invalid_turn_is_a_usage_error(run: Run, run_id: str, turn: str) -> None:
    run(run_id, "--turn", turn, code=2)


def test_a_request_without_a_reply_says_so(run: Run, server: Server) -> None:
    head = server.runner._services.runs.start("boss", "Later.")
    lines = run(head.run_id).stdout.splitlines()
    assert lines[:2] == ["request 0 not answered yet", "tools and settings not recorded"]
