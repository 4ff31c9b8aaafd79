"""`approve` shows what it approves and asks; what was shown is what is sent."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agent_continuations import Agent, Approval, EveryTurns, Preview, Stage, call, say, tool
from agent_continuations.cli import confirmation
from agent_continuations.cli.models import Wait
from agent_continuations.core.run import Status
from tests.support.cli_agents import CSI, ESC, RLO
from tests.support.cli_commands import Run, document, start_run
from tests.support.cli_server import Server
from tests.support.local_harness import ANN, BOB, LocalHarness


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the standard input for a terminal."""
    monkeypatch.setattr(confirmation, "require_terminal", lambda: None)
    monkeypatch.setattr("agent_continuations.cli.commands.decisions.require_terminal", lambda: None)


def decisions(server: Server) -> list[Any]:
    return [each.body for each in server.received if each.path.endswith("/decisions")]


def test_without_a_terminal_approve_asks_for_the_option(run: Run, server: Server) -> None:
    run_id = start_run(run, "office")
    received = len(server.received)
    refused = run("approve", run_id, code=2, input="y\n")
    assert "give --yes" in refused.stderr
    assert len(server.received) == received
    assert server.runner.get(run_id).status is Status.SUSPENDED


@pytest.mark.usefixtures("terminal")
def test_the_request_is_shown_in_full_before_the_question(run: Run, server: Server) -> None:
    run_id = start_run(run, "office")
    [wait] = server.runner.get(run_id).waiting
    result = run("approve", run_id, input="y\n")
    assert result.stderr.splitlines() == [
        "clerk asks to call transfer",
        "  agents: office > clerk",
        "    amount: 250",
        '    to: "bob"',
        "  approvers: ann@example.com",
        "  deadline: 2026-12-03 12:00:00 UTC",
        f"  request: {wait.request_id}",
        "  if approved: transfer runs with exactly these arguments",
        "Approve? [y/N] ",
    ]
    assert "approve by ann@example.com" in result.stdout
    [sent] = decisions(server)
    assert sent["arguments_hash"] == wait.arguments_hash
    assert server.runner.get(run_id).result == "Paid."


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("answer", ["n\n", "\n", "", "yess\n", "approve\n"])
def test_any_answer_but_yes_sends_nothing(run: Run, server: Server, answer: str) -> None:
    run_id = start_run(run, "office")
    refused = run("approve", run_id, input=answer, code=1)
    assert refused.stderr.endswith("agent-continuations: not approved; nothing was sent\n")
    assert refused.stdout == ""
    assert decisions(server) == []
    assert server.runner.get(run_id).status is Status.SUSPENDED


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("answer", ["y\n", "YES\n", " Yes \n"])
def test_yes_has_several_spellings(run: Run, server: Server, answer: str) -> None:
    run_id = start_run(run, "office")
    run("approve", run_id, input=answer)
    assert server.runner.get(run_id).status is Status.COMPLETED


@pytest.mark.usefixtures("terminal")
def test_edited_arguments_are_shown_as_a_difference(run: Run, server: Server) -> None:
    run_id = start_run(run, "office")
    edited = ("--arguments", '{"amount": 200, "to": "bob", "note": "less"}')
    shown = run("approve", run_id, *edited, input="n\n", code=1).stderr.splitlines()
    start = shown.index("  agents: office > clerk") + 1
    assert shown[start : start + 4] == [
        "  - amount: 250",
        "  + amount: 200",
        '    to: "bob"',
        '  + note: "less"',
    ]
    assert "  if approved: transfer runs with the edited arguments" in shown
    assert decisions(server) == []


@pytest.mark.usefixtures("terminal")
def test_a_request_that_changed_after_it_was_shown_is_not_approved(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start_run(run, "buyer")
    [wait] = server.runner.get(run_id).waiting
    ask = confirmation.confirm

    def edit_meanwhile(*shown: Any) -> None:
        ask(*shown)
        edited = {"item": "a yacht"}
        server.runner.decide(run_id, wait.request_id, "approve", approver=BOB, arguments=edited)

    monkeypatch.setattr("agent_continuations.cli.commands.decisions.confirm", edit_meanwhile)
    refused = run("approve", run_id, "--approver", ANN, input="y\n", code=1)
    assert "changed since you saw" in refused.stderr
    [still] = server.runner.get(run_id).waiting
    assert still.arguments == {"item": "a yacht"}


@pytest.mark.usefixtures("terminal")
def test_a_hash_that_is_not_the_one_shown_is_refused_before_the_question(
    run: Run, server: Server
) -> None:
    run_id = start_run(run, "office")
    refused = run("approve", run_id, "--hash", "0" * 64, code=1)
    assert "changed since you saw" in refused.stderr
    assert "Approve?" not in refused.stderr
    [wait] = server.runner.get(run_id).waiting
    run("approve", run_id, "--hash", wait.arguments_hash or "", input="y\n")
    assert server.runner.get(run_id).status is Status.COMPLETED


@pytest.mark.usefixtures("terminal")
def test_a_request_that_cannot_be_shown_is_not_approved(run: Run, server: Server) -> None:
    run_id = start_run(run, "office")
    refused = run("approve", run_id, "nosuch", input="y\n", code=1)
    assert refused.stderr == (
        "agent-continuations: the run has no open request 'nosuch' to approve\n"
    )
    assert decisions(server) == []


@pytest.mark.usefixtures("terminal")
def test_with_json_the_output_is_the_response_alone(run: Run) -> None:
    run_id = start_run(run, "office")
    assert document(run("approve", run_id, "--json", input="y\n"))["decision"] == "approve"


@pytest.mark.usefixtures("terminal")
def test_hostile_arguments_are_escaped_and_complete(run: Run) -> None:
    run_id = start_run(run, "hostile")
    shown = run("approve", run_id, input="n\n", code=1).stderr
    assert [each for each in (ESC, RLO, CSI) if each in shown] == []
    assert "[bold red]" in shown
    assert ":smile:[/]" in shown
    assert len([line for line in shown.splitlines() if line.startswith("    ")]) == 2


@tool(
    preview=lambda order: Preview(effect=f"Buys {order['item']}."),
    approval=Approval(stages=[Stage([ANN, BOB], needed=2), Stage(["cfo@example.com"])]),
)
def buy(item: str) -> str:
    """Buy something."""
    return item


def shown_for(agent: Agent, *script: Any) -> list[str]:
    harness = LocalHarness(agents=[agent], scripts={agent.name: [*script]})
    [view] = harness.runner.start(agent.name, "go").waiting
    wait = Wait.model_validate(view.model_dump(mode="json"))
    return [line.plain for line in confirmation.request_lines(wait)]


def test_effect_risk_and_stages_are_shown() -> None:
    agent = Agent("buyer", tools=[buy])
    lines = shown_for(agent, call("buy", item="x" * 500), say("Done."))
    assert f'    item: "{"x" * 500}"' in lines
    assert f"  effect: Buys {'x' * 500}." in lines
    assert "    stage 1: 2 of ann@example.com, bob@example.com" in lines
    assert lines[-1].endswith("exactly these arguments, once all required approvers have agreed")


def test_a_condition_says_what_continues() -> None:
    limit = EveryTurns(limit=1, approval=Approval([ANN]))
    agent = Agent("seller", tools=[buy], conditions=[limit])
    lines = shown_for(agent, call("nosuch"), say("Done."))
    assert lines[0].startswith("Should seller continue? ")
    assert "    limit: 1" in [line.replace("1.0", "1") for line in lines]
    assert lines[-1] == "  if approved: seller continues"


def test_a_call_in_doubt_says_that_the_tool_does_not_run_again() -> None:
    wait = Wait(request_id="r", kind="doubt", agents=("a",), tool="pay", message="Happened?")
    assert [line.plain for line in confirmation.request_lines(wait)][-1] == (
        "  if approved: The tool does not run again. The agent continues with what you found."
    )


# -- on a real terminal ----------------------------------------------------------------------------


@contextmanager
def asked(server: Server, run_id: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`approve` on a pseudo-terminal that waits for the answer."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "agent_continuations.cli", "--url", server.url]
    path = os.pathsep.join(item for item in sys.path if item)
    with subprocess.Popen(
        [*command, "approve", run_id],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        os.close(theirs)
        assert process.stderr
        shown = ""
        while not shown.endswith("Approve? [y/N] "):
            letter = process.stderr.read(1)
            assert letter, shown
            shown += letter
        yield process, ours
    os.close(ours)


@pytest.mark.parametrize(
    ("typed", "code"),
    [(b"y\n", 0), (b"n\n", 1), (b"\x04", 1), (None, 130)],
    ids=["yes", "no", "end of file", "Ctrl-C"],
)
def test_approve_asks_on_a_terminal(
    run: Run, server: Server, typed: bytes | None, code: int
) -> None:
    run_id = start_run(run, "office")
    with asked(server, run_id) as (process, terminal):
        if typed is None:
            process.send_signal(signal.SIGINT)
        else:
            os.write(terminal, typed)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    assert (decisions(server) == []) == (code != 0)
