"""`record`: a run as a document beside a test, and as a script, from the API on loopback."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent_continuations import (
    Agent,
    Approval,
    InMemoryStore,
    LocalRunner,
    Script,
    ScriptedModel,
    by_input,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.cli.app import cli
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.services.model_requests import model_requests
from agent_continuations.services.request_pages import PageLimits
from agent_continuations.testing import check_recording
from agent_continuations.views import recording
from tests.support.cli_server import ReceivedRequest, Server, serve_api
from tests.support.local_harness import ANN, LocalHarness

HOSTILE = "\x1b[2J\u202e\"'\\\u3164漢"


@tool(approval=Approval([ANN], when=lambda asked: asked.arguments["amount"] > 100))
def transfer(amount: int, to: str) -> str:
    """Transfer money."""
    return f"sent {amount} to {to}"


CLERK = Agent("clerk", "Pays.", tools=[transfer], model="small", settings={"temperature": 0.5})
AGENTS = [
    Agent(
        "office",
        "Pay.",
        tools=[
            CLERK.as_tool(description="Pays."),
            CLERK.as_tool(description="Pays apart.", name="other_clerk", spawn=True),
        ],
    )
]
SCRIPTS: dict[str, Script] = {
    "office": [
        calls(("clerk", {"input": "Bob"}), ("other_clerk", {"input": "Eve"})),
        say(HOSTILE),
    ],
    "clerk": by_input(
        {
            "Bob": [call("transfer", amount=50, to=HOSTILE), say("Bob is paid.")],
            "Eve": [call("transfer", amount=250, to="eve"), say("Eve is paid.")],
        }
    ),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve_api(LocalHarness(agents=AGENTS, scripts=SCRIPTS).runner) as found:
        yield found


@pytest.fixture
def run(server: Server) -> Callable[..., Result]:
    def invoke(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, ["--url", server.url, *arguments])
        assert result.exit_code == code, result.output
        return result

    return invoke


Run = Callable[..., Result]


def ended(server: Server) -> str:
    run_id = server.runner.start("office", "Pay all.").run_id
    assert approve_child(server.runner, run_id) == HOSTILE
    return run_id


def approve_child(runner: LocalRunner, run_id: str) -> str | None:
    """The result of a run, once the transfer of its child run is approved."""
    [child] = runner.record(run_id).children
    runner.decide(child, runner.get(child).waiting[0].request_id, "approve")
    return runner.advance(run_id).result


def test_a_recording_is_the_one_of_the_local_runner(run: Run, server: Server) -> None:
    run_id = ended(server)
    result = run("record", run_id)
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert document == json.loads(server.runner.record(run_id).model_dump_json())
    assert list(document) == [
        *("recording", "run_id", "agent", "input", "continuation", "children", "requests")
    ]
    assert [each["input"] for each in document["children"].values()] == ["Eve"]
    assert check_recording(document, AGENTS) is None
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout


def messages_requests(server: Server) -> list[ReceivedRequest]:
    return [each for each in server.received if each.path.endswith("/messages")]


def test_each_request_profile_is_read_once(run: Run, server: Server) -> None:
    run_id = ended(server)
    document = json.loads(run("record", run_id).stdout)
    runner = server.runner
    named = [
        turn.profile
        for each in (run_id, *document["children"])
        for frame in runner.continuation(each).frames()
        for turn in frame.turns
    ]
    assert len(named) == 6
    assert set(document["requests"]) == set(named)
    assert [each.target for each in messages_requests(server)] == [
        f"/runs/{run_id}/messages?turn=0",
        f"/runs/{run_id}/messages?path=0.0&turn=0",
    ]
    _, clerk = document["requests"].values()
    assert clerk["model"] == "small"
    assert clerk["settings"] == {"temperature": 0.5}
    assert [each["function"]["name"] for each in clerk["tools"]] == ["transfer"]
    assert all(RequestProfile(**each).digest == key for key, each in document["requests"].items())


def test_a_profile_that_a_later_turn_names_first_is_read_from_that_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, model = InMemoryStore(), ScriptedModel({"a": [say("one"), say("two")]})
    old, new = (
        LocalRunner([Agent("a", settings={"seed": seed})], model, store=store) for seed in (1, 2)
    )
    run_id = old.start("a", "go").run_id
    assert new.message(run_id, "And?").result == "two"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve_api(new) as api:
        result = CliRunner().invoke(cli, ["--url", api.url, "record", run_id])
    assert result.stderr == ""
    requests = json.loads(result.stdout)["requests"]
    assert [each["settings"] for each in requests.values()] == [{"seed": 1}, {"seed": 2}]


def test_a_script_needs_no_request_profiles(run: Run, server: Server) -> None:
    run_id = ended(server)
    assert run("record", run_id, "--script").stderr == ""
    assert messages_requests(server) == []


def test_tools_that_the_service_shortens_are_left_out_with_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = CLERK.as_tool(description="x" * 5000, name="other_clerk")
    agents = [Agent("office", "Pay.", tools=[*AGENTS[0].tools[:1], long])]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    harness = LocalHarness(
        agents=agents, scripts={"office": [call("clerk", input="Bob")], "clerk": [say("Paid.")]}
    )
    with serve_api(harness.runner) as api:
        run_id = harness.runner.start("office", "Pay all.").run_id
        api.page_limits = PageLimits(50, 6000)
        result = CliRunner().invoke(cli, ["--url", api.url, "record", run_id])
    document = json.loads(result.stdout)
    assert [each["tools"][0]["function"]["name"] for each in document["requests"].values()] == [
        "transfer"
    ]
    note = "the tools and settings of some requests could not be read, and are left out"
    assert note in result.stderr.splitlines()
    assert check_recording(document, agents) is None


def test_tools_are_recorded_where_only_a_message_is_shortened(run: Run, server: Server) -> None:
    run_id = server.runner.start("office", "Pay all. " + "x" * 20_000).run_id
    server.page_limits = PageLimits(50, 6000)
    shown = server.runner._services.runs
    assert model_requests(shown, run_id, turn=0, limits=server.page_limits).items[0].truncated
    result = run("record", run_id)
    assert len(json.loads(result.stdout)["requests"]) == 2
    assert "left out" not in result.stderr


def test_too_many_request_profiles_are_refused(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ended(server)
    monkeypatch.setattr(recording, "MAX_REQUEST_PROFILES", 1)
    error = run("record", run_id, code=1).stderr
    assert f"the run {run_id} has more than 1 request profiles" in error
    assert messages_requests(server) == []


def test_a_recording_is_written_to_a_file(run: Run, server: Server, tmp_path: Path) -> None:
    run_id = ended(server)
    file = tmp_path / "payment.json"
    file.write_text("old")
    assert run("record", run_id[:8], "--output", str(file)).output == ""
    assert file.read_text("utf-8") == run("record", run_id).stdout
    missing = tmp_path / "missing" / "payment.json"
    error = run("record", run_id, "--output", str(missing), code=2).stderr
    assert error == (f"agent-continuations: cannot write {missing}: No such file or directory\n")


def test_a_script_gives_the_replies_of_the_run_again(run: Run, server: Server) -> None:
    run_id = ended(server)
    result = run("record", run_id, "--script")
    assert "\u202e" not in result.stdout
    assert "\u3164" not in result.stdout
    names: dict[str, Any] = {}
    exec(result.stdout, names)
    runner = LocalHarness(agents=AGENTS, scripts=names["SCRIPT"]).runner
    again = runner.start("office", "Pay all.")
    assert approve_child(runner, again.run_id) == HOSTILE


def test_a_run_without_a_result_is_recorded_with_a_note(run: Run, server: Server) -> None:
    run_id = server.runner.start("office", "Pay all.").run_id
    result = run("record", run_id)
    assert result.stderr == ("the run has no result yet: the recording ends with its last reply\n")
    assert check_recording(json.loads(result.stdout), AGENTS) is None


def test_replies_that_a_script_lacks_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    replies = iter([say("one"), say("two")])
    harness = LocalHarness(
        agents=[Agent("boss", tools=[CLERK.as_tool(description="Pays.")])],
        scripts={
            "boss": [call("clerk", input="Pay\nBob."), call("clerk", input="Pay\nBob."), say("ok")],
            "clerk": lambda _: next(replies),
        },
    )
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve_api(harness.runner) as api:
        run_id = harness.runner.start("boss", "go").run_id
        result = CliRunner().invoke(cli, ["--url", api.url, "record", run_id, "--script"])
    assert result.exit_code == 0
    assert result.stderr == (
        "clerk had different replies to the same input, and the script has the first ones only:"
        " 'Pay\\nBob.'\n"
    )
    assert '"clerk": [say("one")],' in result.stdout


def test_too_many_child_runs_and_an_unknown_run_are_refused(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ended(server)
    monkeypatch.setattr(recording, "MAX_CHILD_RUNS", 0)
    error = run("record", run_id, code=1).stderr
    assert f"the run {run_id} has more than 0 child runs" in error
    assert "no run" in run("record", "a" * 24, code=1).stderr.lower()


def test_a_response_that_is_no_continuation_is_an_error(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ended(server)
    monkeypatch.setattr(server.runner, "continuation", lambda _: {"agent": "office", "new": 1})
    error = run("record", run_id, code=4).stderr
    assert "unexpected response from the service" in error


def test_the_help_says_that_a_recording_may_hold_secrets(run: Run) -> None:
    text = " ".join(run("record", "--help").stdout.split())
    assert "including any personal or secret data in them" in text
