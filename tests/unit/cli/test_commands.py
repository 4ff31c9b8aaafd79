"""The command line client against the API on loopback: output, requests and exit codes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from click.testing import CliRunner

from agent_continuations import Agent, say
from agent_continuations.cli import client as client_module
from agent_continuations.cli.app import cli
from agent_continuations.cli.sigv4 import gateway_region
from agent_continuations.core.run import Status
from tests.support.cli_agents import CLERK, CSI, ESC, HOSTILE, RLO, SCRIPTS
from tests.support.cli_commands import Run, document, start_run
from tests.support.cli_server import FileHandler, ReceivedRequest, Server, serve_api
from tests.support.local_harness import (
    ANN,
    BOB,
    LocalHarness,
)

# -- starting, listing, showing --------------------------------------------------------------------


def test_start_prints_only_the_run_id_and_sends_metadata_and_key(run: Run, server: Server) -> None:
    arguments = ("--metadata", "order=o=1", "--metadata", "empty=", "--key", "k-1")
    run_id = run("start", "talker", "hi", *arguments).stdout.strip()
    view = server.runner.get(run_id)
    assert view.metadata == {"order": "o=1", "empty": ""}
    assert run("start", "talker", "hi", *arguments).stdout.strip() == run_id
    assert "Idempotency-Key" in run("start", "talker", "ho", "--key", "k-1", code=1).stderr


def test_start_reads_the_input_from_standard_input(run: Run, server: Server) -> None:
    run_id = run("start", "talker", "-", input="a long\nletter").stdout.strip()
    assert server.runner.continuation(run_id).input == "a long\nletter"


def test_start_with_json_prints_the_response_of_the_api(run: Run) -> None:
    output = document(run("start", "talker", "hi", "--json"))
    assert output["links"]["self"] == f"/runs/{output['run_id']}"


@pytest.mark.parametrize(
    ("agent", "code", "output"),
    [
        ("talker", 0, "completed\n  hello\n  you\n"),
        ("broken", 3, "suspended\n  the model call failed: the script of broken ends"),
        ("office", 3, "awaiting approval by ann@example.com until 2026-12-03 12:00:00 UTC"),
        ("waiter", 3, "awaiting event paid (correlation o-1)"),
        ("asker", 3, "What now?"),
    ],
)
def test_start_with_wait_prints_the_state_and_exits_with_its_code(
    run: Run, agent: str, code: int, output: str
) -> None:
    result = run("start", agent, "go", "--wait", code=code)
    assert output in result.stdout
    assert result.stdout.startswith(result.stderr.strip())
    assert document(run("--json", "start", agent, "go", "--wait", code=code))["agent"] == agent


def test_list_prints_one_line_per_run_and_follows_the_cursor(run: Run) -> None:
    ids = [start_run(run, "talker") for _ in range(5)] + [start_run(run, "sleeper")]
    lines = run("list").stdout.splitlines()
    assert {line.split()[0] for line in lines} == {*ids}
    assert not [line for line in lines if line != line.rstrip()]
    assert len({line.index("2026") for line in lines}) == 1
    assert run("list", "--agent", "sleeper", "--status", "suspended").stdout.startswith(ids[-1])
    some = run("list", "--limit", "2")
    assert len(some.stdout.splitlines()) == 2
    assert "--all" in some.stderr
    every = document(run("list", "--limit", "2", "--all", "--json"))
    assert {item["run_id"] for item in every["items"]} == {*ids}
    assert every["next"] is None
    assert document(run("list", "--limit", "2", "--json"))["next"]
    assert run("list", "--status", "failed").output == ""


def test_show_draws_the_tree_with_the_state_of_each_call(run: Run, server: Server) -> None:
    run_id = start_run(run, "office")
    lines = run("show", run_id).stdout.splitlines()
    request_id = server.runner.get(run_id).waiting[0].request_id
    assert lines[0] == f"{run_id} suspended"
    assert lines[2:] == [
        "office go",
        '└── 0.0 clerk(input="Pay Bob.") running',
        '    ├── 0.0/0.0 transfer(amount=50, to="eve") done sent 50 to eve',
        '    └── 0.0/0.1 transfer(amount=250, to="bob")',
        "        └── awaiting approval by ann@example.com until 2026-12-03 12:00:00 UTC"
        f" request {request_id}",
    ]
    run("reject", run_id, "--reason", "too much")
    output = run("show", run_id).stdout
    assert "rejected" in output
    assert "reject by ann@example.com reason: too much" in output
    assert output.endswith("result\n  Paid.\n")
    assert document(run("show", run_id, "--json"))["result"] == "Paid."


def test_show_prints_messages_a_pause_and_an_error(run: Run) -> None:
    run_id = start_run(run, "sleeper")
    run("message", run_id, "hurry")
    assert "unknown sender: hurry not delivered yet" in run("show", run_id).stdout
    run("pause", run_id)
    assert "suspended (paused)" in run("show", run_id).stdout
    assert "error\n  " in run("show", start_run(run, "broken")).stdout


def test_show_places_the_wait_of_a_child_run_below_its_call(server: Server) -> None:
    spawned = CLERK.as_tool(description="Pays.", spawn=True)
    harness = LocalHarness(agents=[Agent("office", tools=[spawned]), CLERK], scripts=SCRIPTS)
    with serve_api(harness.runner) as other:
        view = harness.runner.start("office", "go")
        output = CliRunner().invoke(cli, ["--url", other.url, "show", view.run_id]).stdout
        assert '0.1 clerk transfer(amount=250, to="bob") awaiting approval' in output
        done = CliRunner().invoke(cli, ["--url", other.url, "approve", "--yes", view.run_id])
        assert done.exit_code == 0
    assert harness.runner.advance(view.run_id).result == "Paid."


def test_a_unique_prefix_of_a_run_id_is_accepted(run: Run, server: Server) -> None:
    ids = [server.runner.start("talker", "hi", key=str(n)).run_id for n in range(40)]
    clear = next(item for item in ids if sum(one[:3] == item[:3] for one in ids) == 1)
    assert run("show", clear[:3]).stdout.startswith(clear)
    letter = next(item[0] for item in ids if sum(one[0] == item[0] for one in ids) > 1)
    refused = run("show", letter, code=2)
    assert f"run ids start with '{letter}'" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "'0'" in run("show", "0", code=1).stderr
    assert "there is no run" in run("show", "a" * 24, code=1).stderr


def test_an_empty_argument_selects_nothing(run: Run, server: Server) -> None:
    run_id = start_run(run, "office")
    assert run("cancel", "", code=2).stderr == "agent-continuations: RUN is empty\n"
    run("approve", "--yes", run_id, "", code=1)
    assert server.runner.get(run_id).status is Status.SUSPENDED


# -- decisions and messages ------------------------------------------------------------------------


def test_approve_selects_the_only_open_request(run: Run, server: Server) -> None:
    run_id = start_run(run, "office")
    arguments = ("--arguments", '{"amount": 200, "to": "bob"}', "--reason", "less")
    output = run("approve", "--yes", run_id, *arguments).stdout
    assert "approve by ann@example.com reason: less" in output
    assert 'edited arguments: amount=200, to="bob"' in output
    assert server.runner.get(run_id).result == "Paid."
    assert (
        "nothing to answer: the run has completed" in run("approve", "--yes", run_id, code=1).stderr
    )


def test_several_open_requests_are_listed_and_one_can_be_selected(run: Run, server: Server) -> None:
    run_id = start_run(run, "both")
    first, second = (item.request_id for item in server.runner.get(run_id).waiting)
    refused = run("approve", "--yes", run_id, code=2)
    assert refused.stderr.startswith("agent-continuations: 2 requests are open; give REQUEST (")
    assert first in refused.stderr
    assert second in refused.stderr
    assert refused.stderr.count("\n") == 1
    output = document(run("--json", "reject", run_id, second[:6]))
    assert (output["request_id"], output["decision"]) == (second, "reject")
    assert run("approve", "--yes", run_id).stdout.startswith(first)


def test_a_refused_decision_is_explained_in_one_line(run: Run, server: Server) -> None:
    run_id = start_run(run, "office")
    request_id = server.runner.get(run_id).waiting[0].request_id
    wrong = run("approve", "--yes", run_id, "--arguments", '{"amount": "x"}', code=1).stderr
    assert "amount" in wrong
    assert "eve@example.com" not in wrong
    run("approve", "--yes", run_id, "--approver", "eve@example.com", code=1)
    run("approve", "--yes", run_id, request_id)
    run("approve", "--yes", run_id, request_id)
    late = run("reject", run_id, request_id, code=1)
    assert late.stderr == (
        "agent-continuations: this request has already been decided"
        " (current decision: approve by ann@example.com)\n"
    )
    assert "there is no request" in run("approve", "--yes", run_id, "nosuch", code=1).stderr


def test_an_approval_is_bound_to_the_arguments_that_were_shown(run: Run, server: Server) -> None:
    run_id = start_run(run, "office")
    [waits] = document(run("show", run_id, "--json"))["waiting"]
    assert (
        "changed since you saw"
        in run("approve", "--yes", run_id, "--hash", "0" * 64, code=1).stderr
    )
    assert server.runner.get(run_id).status is Status.SUSPENDED
    output = run("approve", "--yes", run_id).stdout
    assert server.received_by_method("POST")[-1].body["arguments_hash"] == waits["arguments_hash"]
    assert 'transfer(amount=250, to="bob")' in output


def test_a_decision_lists_the_remaining_approvers(run: Run, server: Server) -> None:
    run_id = start_run(run, "buyer")
    assert "stage 1: 2 of ann@example.com, bob@example.com" in run("show", run_id).stdout
    output = run("approve", "--yes", run_id, "--approver", BOB).stdout
    assert "waiting for the other approvers" in output
    assert "approved by: bob@example.com" in output
    run("approve", "--yes", run_id, "--approver", ANN)
    assert server.runner.get(run_id).result == "Bought."


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Go home.", "Go home."), ("42", "42"), ("null", "null"), ('"quoted"', "quoted")],
)
def test_a_question_with_a_text_answer_gets_text(
    run: Run, server: Server, text: str, expected: str
) -> None:
    run_id = start_run(run, "asker")
    run("answer", run_id, text)
    assert server.received_by_method("POST")[-1].body["answer"] == expected
    assert server.runner.get(run_id).status is Status.COMPLETED


def test_a_question_with_an_object_answer_gets_an_object(run: Run, server: Server) -> None:
    run_id = start_run(run, "shop")
    assert 'answer: {"day"' in run("show", run_id).stdout
    refused = run("answer", run_id, '{"day": "sunday", "floor": 1}', "--approver", BOB, code=1)
    assert "answer.day" in refused.stderr
    request_id = server.runner.get(run_id).waiting[0].request_id
    value = {"day": "friday", "floor": 3}
    output = run("answer", run_id, request_id, json.dumps(value), "--approver", BOB).stdout
    assert "answer by bob@example.com" in output
    assert "answer by bob@example.com" in run("show", run_id).stdout
    run("answer", run_id, "one", "two", "three", code=2)


def test_a_question_can_be_declined_but_not_approved(run: Run, server: Server) -> None:
    run_id = start_run(run, "asker")
    assert "waiting for: question" in run("approve", "--yes", run_id, code=1).stderr
    assert document(run("reject", run_id, "--json"))["decision"] == "reject"


def test_message_continues_a_completed_run(run: Run, server: Server) -> None:
    run_id = start_run(run, "talker")
    assert run("message", run_id, "and?", "--wait").stdout == f"{run_id} completed\n  fine\n"
    output = document(run("message", start_run(run, "sleeper"), "x", "--json"))
    assert output["message_id"]
    assert run("message", start_run(run, "sleeper"), "x").stdout.startswith("message sent to")


def test_event_delivers_its_payload_to_the_waiting_call(run: Run, server: Server) -> None:
    run_id = start_run(run, "waiter")
    early = run("event", run_id, "a name/with %", "--json")
    assert document(early)["name"] == "a name/with %"
    arguments = ("--payload", '{"euros": 5}', "--correlation", "o-1")
    assert run("event", run_id, "paid", *arguments).stdout == f"event sent to {run_id}\n"
    assert server.runner.get(run_id).result == "paid"
    run("event", run_id, "paid", "--payload", "{", code=2)
    assert "the run" in run("event", run_id, "paid", code=1).stderr


def test_pause_resume_cancel_and_redrive_print_the_state_of_the_run(
    run: Run,
) -> None:
    run_id = start_run(run, "sleeper")
    assert document(run("pause", run_id, "--json"))["status"] == "suspended"
    run("tail", run_id, code=3)
    assert run("resume", run_id).stdout.startswith(run_id)
    run("cancel", run_id)
    assert run("tail", run_id, code=1).stdout.endswith(f"{run_id} cancelled\n")
    assert "neither parked nor blocked" in run("redrive", run_id, code=1).stderr
    assert document(run("redrive", start_run(run, "broken"), "--json"))["status"] != "parked"


# -- tail ------------------------------------------------------------------------------------------


def test_tail_prints_the_timeline_and_the_open_requests(run: Run) -> None:
    run_id = start_run(run, "office")
    output = run("tail", run_id, code=3).stdout
    assert output.startswith("12:00:00 office started go\n")
    assert "12:00:00 0.0/0.0 clerk tool transfer: sent 50 to eve\n" in output
    assert '  office > clerk transfer(amount=250, to="bob")\n' in output
    assert document(run("tail", run_id, "--json", code=3))["status"] == "suspended"
    run("approve", "--yes", run_id)
    assert "office ended completed: Paid." in run("tail", run_id).stdout


def test_tail_continues_while_the_run_waits_for_a_timer(
    run: Run, server: Server, harness: LocalHarness
) -> None:
    run_id = start_run(run, "sleeper")

    def wake() -> None:
        while not any("after" in item.query for item in server.received):
            time.sleep(0.01)
        harness.later(minutes=10)
        harness.runner.advance(run_id)

    waker = threading.Thread(target=wake)
    waker.start()
    output = run("tail", run_id).stdout
    waker.join()
    assert output.count("sleeper started go") == 1
    assert output.endswith(f"{run_id} completed\n  awake\n")
    polls = [item.query for item in server.received_by_method("GET") if "wait" in item.query]
    assert polls[0] == {"wait": "20", "after": "2026-11-26T12:00:00.000Z"}


def test_tail_exits_without_output_when_interrupted(run: Run, server: Server) -> None:
    run_id = start_run(run, "sleeper")
    command = [sys.executable, "-m", "agent_continuations.cli", "--url", server.url, "tail", run_id]
    path = os.pathsep.join(item for item in sys.path if item)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        while not any("after" in item.query for item in server.received):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    assert "sleeper started go" in out


# -- the audit trail -------------------------------------------------------------------------------


def test_audit_prints_and_verifies_the_document(run: Run, server: Server) -> None:
    run_id = start_run(run, "office")
    run("approve", "--yes", run_id)
    trail = server.runner.audit(run_id).model_dump(mode="json")
    assert document(run("audit", run_id)) == trail
    whole = run("audit", run_id, "--verify", "--expect", trail["end"]["digest"])
    assert f"2 entries, chain intact; last digest: {trail['end']['digest']}" in whole.stderr
    wrong = run("audit", run_id, "--expect", "0" * 64, code=1)
    assert wrong.stderr.startswith("agent-continuations: the audit chain is broken: ")


# -- untrusted text --------------------------------------------------------------------------------


def unescaped_in(text: str) -> list[str]:
    return [item for item in (ESC, RLO, CSI) if item in text]


def test_text_of_models_and_people_is_escaped(run: Run) -> None:
    run_id = run("start", "hostile", HOSTILE, "--metadata", f"{RLO}=x{ESC}").stdout.strip()
    before_decision = [
        run("show", run_id),
        run("list"),
        run("tail", run_id, code=3),
    ]
    run("approve", "--yes", run_id, "--reason", HOSTILE)
    refused = run("message", run_id, "x", "--approver", HOSTILE, code=2)
    more = [
        run(*arguments) for arguments in (("show", run_id), ("tail", run_id), ("audit", run_id))
    ]
    output = [*before_decision, *more, run("show", run_id, "--json"), refused]
    assert [unescaped_in(item.output) for item in output] == [[]] * len(output)
    for item in (before_decision[0], more[0], more[1]):
        assert "[bold red]\\u{1b}[2J" in item.output
        assert ":smile:[/]" in item.output
    assert document(output[-2])["result"] == HOSTILE


def test_coloured_output_has_no_escape_sequences_of_others(run: Run) -> None:
    run_id = start_run(run, "hostile")
    run("approve", "--yes", run_id)
    coloured = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "40"}
    output = run("show", run_id, env=coloured).stdout
    assert f"{ESC}[32mcompleted{ESC}[0m" in output
    assert not unescaped_in(output.replace(f"{ESC}[", ""))
    assert f"{ESC}[2J" not in output
    plain = run("show", run_id, env={**coloured, "NO_COLOR": "1"}).stdout
    assert f"{ESC}[32m" not in plain


def test_wrapped_lines_of_untrusted_text_are_indented(
    harness: LocalHarness, server: Server
) -> None:
    forged = "a" * 38 + " forged completed " + "b" * 30
    other = LocalHarness(agents=[Agent("a")], scripts={"a": [say(f"{forged}\n{forged}\n\nend")]})
    with serve_api(other.runner) as api:
        run_id = other.runner.start("a", forged).run_id
        arguments = ["--url", api.url, "tail", run_id]
        env = {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "40"}
        output = CliRunner().invoke(cli, arguments, env=env).stdout.replace(f"{ESC}[1m", "")
    lines = output.replace(f"{ESC}[2m", "").replace(f"{ESC}[0m", "").splitlines()
    ours = ("12:00:00 ", "  ", run_id)
    assert [item for item in lines if not item.startswith(ours) and item.strip()] == []
    assert sum("forged" in item for item in lines) >= 4


def test_an_error_of_the_service_cannot_forge_a_line(run: Run, server: Server) -> None:
    output = run("start", f"nobody\nagent-continuations: {ESC}fine", "x", code=1).stderr
    assert output.count("\n") == 1
    assert unescaped_in(output) == []


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("start", "talker", "hi"), ("message", "RUN", "x"), ("event", "RUN", "e"), ("list",)],
)
def test_a_busy_service_gets_a_retry_with_the_same_key(
    run: Run, server: Server, arguments: tuple[str, ...]
) -> None:
    run_id = start_run(run, "sleeper")
    server.received.clear()
    server.refusals = [(503, {}), (429, {"Retry-After": "0"})]
    server.dropped = 1
    run(*(run_id if item == "RUN" else item for item in arguments))
    assert len(server.received) == 4
    keys = {item.headers.get("idempotency-key") for item in server.received}
    assert len(keys) == 1
    assert (keys == {None}) == (arguments == ("list",))
    assert not server.refusals


def test_a_busy_or_failing_service_is_reported_in_one_line(run: Run, server: Server) -> None:
    server.refusals = [(503, {})] * 4
    assert run("list", code=4).stderr == "agent-continuations: not now\n"
    server.refusals = [(500, {})]
    run("list", code=4)
    server.dropped = 4
    assert "127.0.0.1 cannot be reached" in run("list", code=4).stderr


def test_a_redrive_that_may_have_arrived_is_not_repeated(run: Run, server: Server) -> None:
    run_id = start_run(run, "broken")
    server.dropped = 1
    run("redrive", run_id, code=4)
    assert len([item for item in server.received if item.path.endswith("/redrive")]) == 1


def test_retry_after_sets_the_pause_up_to_the_maximum(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(client_module, "time", SimpleNamespace(sleep=slept.append))
    server.refusals = [(503, {"Retry-After": "7"}), (503, {"Retry-After": "9000"})]
    run("list")
    assert 7 * 0.75 <= slept[0] <= 7 * 1.25
    assert slept[1] <= client_module.MAX_RETRY_PAUSE_SECONDS * 1.25


def test_the_url_comes_from_the_option_the_environment_or_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.chdir(tmp_path)
    lost = CliRunner().invoke(cli, ["list"])
    assert (lost.exit_code, lost.stdout, lost.stderr.count("\n")) == (2, "", 1)
    assert "AGENT_CONTINUATIONS_URL" in lost.stderr
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "api_url").write_text(f"{server.url}\n")
    assert CliRunner().invoke(cli, ["list"]).exit_code == 0
    nowhere = {"AGENT_CONTINUATIONS_URL": "ftp://x"}
    assert "not an HTTP URL: ftp://x" in CliRunner().invoke(cli, ["list"], env=nowhere).stderr
    found = CliRunner().invoke(cli, ["list", "--url", server.url], env=nowhere)
    assert found.exit_code == 0
    assert (
        CliRunner()
        .invoke(cli, ["list"], env={"AGENT_CONTINUATIONS_URL": "http://127.0.0.1:port"})
        .exit_code
        == 2
    )


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("<p>Hello", "did not return JSON; check that the URL is the API's"),
        ("[]", "unexpected response from the service (document: "),
        ('{"items": [{"run_id": 1}]}', "unexpected response from the service (items.0.run_id: "),
        ("[" * 100_000, "did not return JSON"),
    ],
)
def test_a_response_that_is_not_the_apis_is_reported_in_one_line(
    run: Run, tmp_path: Path, answer: str, output: str
) -> None:
    (tmp_path / "runs").write_text(answer)
    files = partial(FileHandler, directory=str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), files) as other:
        thread = threading.Thread(target=other.handle_request)
        thread.start()
        assert (
            output in run("list", "--url", f"http://127.0.0.1:{other.server_port}", code=4).stderr
        )
        thread.join()


def test_errors_of_api_gateway_are_printed(run: Run, server: Server) -> None:
    server.refusals, server.refusal = [(403, {})], {"message": "Missing Authentication Token"}
    output = run("list", code=1).stderr
    assert output == "agent-continuations: Missing Authentication Token\n"
    server.refusals, server.refusal = [(502, {})], "<html>"
    assert "HTTP 502 Bad Gateway" in run("list", code=4).stderr


def test_missing_dependencies_are_reported() -> None:
    code = "import sys; sys.modules['rich'] = None; import agent_continuations.cli as c; c.main()"
    path = os.pathsep.join(item for item in sys.path if item)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    message = (
        "agent-continuations: missing dependencies; run pip install 'agent-continuations[cli]'\n"
    )
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.parametrize(
    "arguments",
    [
        ("start", "talker", "hi", "--key", ""),
        ("start", "talker", "hi", "--key", "k\n"),
        ("start", "talker", "hi", "--key", "k" * 256),
        ("start", "talker", "hi", "--metadata", "novalue"),
        ("start", "talker"),
        ("approve", "RUN", "--arguments", "[1]"),
        ("list", "--limit", "101"),
        ("list", "--status", "nosuch"),
    ],
)
def test_invalid_arguments_are_not_sent(
    run: Run, server: Server, arguments: tuple[str, ...]
) -> None:
    assert "Usage: " in run(*arguments, code=2).stderr
    assert server.received == []


def test_the_help_lists_the_exit_codes() -> None:
    output = CliRunner().invoke(cli, ["--help"]).stdout
    for code in (0, 1, 2, 3, 4, 130):
        assert f"\n    {code}  " in output
    assert {*cli.commands} == {
        *("start", "list", "show", "approve", "reject", "answer", "message", "event"),
        *("cancel", "pause", "resume", "redrive", "tail", "audit", "messages", "grants"),
        *("agents", "new", "open", "logs", "record"),
    }
    for name in cli.commands:
        assert f"\n  {name} " in output


# -- signatures ------------------------------------------------------------------------------------

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not a secret",
    "AWS_SESSION_TOKEN": "a token",
    "AWS_REGION": "eu-central-1",
}


def test_requests_are_signed_if_requested(run: Run, server: Server) -> None:
    run_id = start_run(run, "sleeper")
    assert "authorization" not in server.received[-1].headers
    run("--sign", "event", run_id, "a b", "--key", "k", env=CREDENTIALS)
    sent = server.received[-1].headers
    scope, names = "eu-central-1/execute-api/aws4_request", sent["authorization"].split(", ")[1]
    assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert scope in sent["authorization"]
    assert {"host", "idempotency-key", "x-amz-security-token"} <= {*names[14:].split(";")}
    assert sent["x-amz-security-token"] == "a token"


def signature(seen: ReceivedRequest) -> str:
    """Computes the signature of a received request as AWS does."""
    credential, names, _ = seen.headers["authorization"].split(", ")
    kept = {name: seen.headers[name] for name in names.removeprefix("SignedHeaders=").split(";")}
    url = f"http://{seen.headers['host']}{seen.target}"
    request = AWSRequest(method=seen.method, url=url, data=seen.text, headers=kept)
    request.context["timestamp"] = seen.headers["x-amz-date"]
    key = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    auth = SigV4Auth(key, "execute-api", credential.split("/")[2])
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def test_the_signature_matches_the_request_that_arrives(run: Run, server: Server) -> None:
    run_id = start_run(run, "sleeper")
    run("--sign", "event", run_id, "a b/c", "--payload", '"\u00e9"', env=CREDENTIALS)
    run("--sign", "list", "--agent", "a b+c&d=\u00e9", env=CREDENTIALS)
    for seen in server.received[-2:]:
        assert seen.headers["authorization"].endswith(f"Signature={signature(seen)}")


def test_no_unsigned_request_is_sent_without_credentials(
    run: Run, server: Server, tmp_path: Path
) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_REGION": "x-1"}
    nobody |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(tmp_path / "none")}
    nobody |= {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    assert "no AWS credentials" in run("list", "--sign", code=2, env=nobody).stderr
    assert "nosuch" in run("list", "--sign", "--profile", "nosuch", code=2, env=nobody).stderr
    assert server.received == []


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("abc123.execute-api.eu-west-1.amazonaws.com", "eu-west-1"),
        ("abc123.execute-api.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("abc123.execute-api.eu-west-1.amazonaws.com.evil.example", None),
        ("execute-api.example.com", None),
        ("127.0.0.1", None),
    ],
)
def test_an_api_gateway_is_recognized_by_its_host_name(host: str, region: str | None) -> None:
    assert gateway_region(host) == region
