"""The command line client, against the API on loopback: what it prints, sends, and ends with."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from click.testing import CliRunner, Result

from agent_continuations import Agent, Approval, Stage, call, calls, say, tool
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.cli import client as api_module
from agent_continuations.cli.app import cli
from agent_continuations.cli.sigv4 import gateway_region
from agent_continuations.core.run import Status
from tests.support.cli_world import FileHandler, ReceivedRequest, Server, serve_api
from tests.unit.engine.test_waits import ANN, BOB, Place, ask_anything, ask_delivery, nap, wait_paid

ESC, RLO, CSI = "\x1b", "\u202e", "\x9b"
HOSTILE = f"[bold red]{ESC}[2J{ESC}]8;;http://evil{ESC}\\{RLO}{CSI}31m:smile:[/]"


@tool(approval=Approval([ANN], when=lambda asked: asked.arguments["amount"] > 100))
def transfer(amount: int, to: str) -> str:
    """Transfer money."""
    return f"sent {amount} to {to}"


@tool(approval=Approval(stages=[Stage([ANN, BOB], needed=2)]))
def order(item: str) -> str:
    """Order something."""
    return f"ordered {item}"


CLERK = Agent("clerk", "Pays.", tools=[transfer])
BIG, SMALL = {"amount": 250, "to": "bob"}, {"amount": 50, "to": "eve"}
AGENTS = [
    Agent("talker", "Talk."),
    Agent("office", "Pay.", tools=[CLERK.as_tool(description="Pays.")]),
    Agent("both", "Pay.", tools=[transfer]),
    Agent("buyer", "Buy.", tools=[order]),
    Agent("asker", "Ask.", tools=[ask_anything]),
    Agent("shop", "Ask.", tools=[ask_delivery]),
    Agent("sleeper", "Sleep.", tools=[nap]),
    Agent("waiter", "Wait.", tools=[wait_paid]),
    Agent("broken", "Break."),
    Agent("hostile", "Bite.", tools=[transfer]),
]
SCRIPTS: dict[str, Script] = {
    "talker": [say("hello\nyou"), say("fine")],
    "office": [call("clerk", input="Pay Bob."), say("Paid.")],
    "clerk": [calls(("transfer", SMALL), ("transfer", BIG)), say("Done.")],
    "both": [calls(("transfer", BIG), ("transfer", {**BIG, "to": "carl"})), say("Done.")],
    "buyer": [call("order", item="chairs"), say("Bought.")],
    "asker": [call("ask_anything"), say("Done.")],
    "shop": [call("ask_delivery", order="o-1"), say("Done.")],
    "sleeper": [call("nap", minutes=10), say("awake")],
    "waiter": [call("wait_paid", order="o-1"), say("paid")],
    "broken": [],
    "hostile": [call("transfer", amount=250, to=HOSTILE), say(HOSTILE)],
}


@pytest.fixture
def place() -> Place:
    return Place(agents=AGENTS, scripts=SCRIPTS)


@pytest.fixture
def server(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(api_module, "RETRY_PAUSES_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("AWS_PROFILE", "AGENT_CONTINUATIONS_URL", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    with serve_api(place.runner) as found:
        yield found


@pytest.fixture
def said(server: Server) -> Callable[..., Result]:
    """Run a command."""

    def run(*words: str, code: int = 0, **more: Any) -> Result:
        result = CliRunner().invoke(cli, ["--url", server.url, *words], **more)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        if code in (1, 4) and not result.stdout:
            assert result.stderr.startswith("agent-continuations: ")
            assert result.stderr.count("\n") == 1
        return result

    return run


Said = Callable[..., Result]


def begun(said: Said, agent: str) -> str:
    return said("start", agent, "go").stdout.strip()


def document(result: Result) -> Any:
    return json.loads(result.stdout)


# -- starting, listing, showing --------------------------------------------------------------------


def test_start_prints_the_id_alone_and_sends_what_was_given(said: Said, server: Server) -> None:
    words = ("--metadata", "order=o=1", "--metadata", "empty=", "--key", "k-1")
    run_id = said("start", "talker", "hi", *words).stdout.strip()
    view = server.runner.get(run_id)
    assert view.metadata == {"order": "o=1", "empty": ""}
    assert said("start", "talker", "hi", *words).stdout.strip() == run_id
    assert "Idempotency-Key" in said("start", "talker", "ho", "--key", "k-1", code=1).stderr


def test_start_reads_its_input_from_the_standard_input(said: Said, server: Server) -> None:
    run_id = said("start", "talker", "-", input="a long\nletter").stdout.strip()
    assert server.runner.continuation(run_id).input == "a long\nletter"


def test_start_in_json_is_what_the_api_answers(said: Said) -> None:
    told = document(said("start", "talker", "hi", "--json"))
    assert told["links"]["self"] == f"/runs/{told['run_id']}"


@pytest.mark.parametrize(
    ("agent", "code", "told"),
    [
        ("talker", 0, "completed\n  hello\n  you\n"),
        ("broken", 1, "parked\n  the model call failed: the script of broken ends"),
        ("office", 3, "waits for approval by ann@example.com until 2026-12-03 12:00:00 UTC"),
        ("waiter", 3, "waits for the event paid of o-1"),
        ("asker", 3, "What now?"),
    ],
)
def test_start_and_wait_ends_with_how_the_run_stands(
    said: Said, agent: str, code: int, told: str
) -> None:
    result = said("start", agent, "go", "--wait", code=code)
    assert told in result.stdout
    assert result.stdout.startswith(result.stderr.strip())
    assert document(said("--json", "start", agent, "go", "--wait", code=code))["agent"] == agent


def test_list_has_a_line_for_each_run_and_follows_the_cursor(said: Said) -> None:
    ids = [begun(said, "talker") for _ in range(5)] + [begun(said, "sleeper")]
    lines = said("list").stdout.splitlines()
    assert {line.split()[0] for line in lines} == {*ids}
    assert not [line for line in lines if line != line.rstrip()]
    assert len({line.index("2026") for line in lines}) == 1
    assert said("list", "--agent", "sleeper", "--status", "suspended").stdout.startswith(ids[-1])
    some = said("list", "--limit", "2")
    assert len(some.stdout.splitlines()) == 2
    assert "--all" in some.stderr
    every = document(said("list", "--limit", "2", "--all", "--json"))
    assert {each["run_id"] for each in every["items"]} == {*ids}
    assert every["next"] is None
    assert document(said("list", "--limit", "2", "--json"))["next"]
    assert said("list", "--status", "failed").output == ""


def test_show_draws_the_tree_with_every_state(said: Said, server: Server) -> None:
    run_id = begun(said, "office")
    lines = said("show", run_id).stdout.splitlines()
    request_id = server.runner.get(run_id).waiting[0].request_id
    assert lines[0] == f"{run_id} suspended"
    assert lines[2:] == [
        "office go",
        '└── 0.0 clerk(input="Pay Bob.") at work',
        '    ├── 0.0/0.0 transfer(amount=50, to="eve") done sent 50 to eve',
        '    └── 0.0/0.1 transfer(amount=250, to="bob")',
        "        └── waits for approval by ann@example.com until 2026-12-03 12:00:00 UTC"
        f" request {request_id}",
    ]
    said("reject", run_id, "--reason", "too much")
    told = said("show", run_id).stdout
    assert "rejected" in told
    assert "reject by ann@example.com because: too much" in told
    assert told.endswith("result\n  Paid.\n")
    assert document(said("show", run_id, "--json"))["result"] == "Paid."


def test_show_tells_what_was_said_and_what_went_wrong(said: Said) -> None:
    run_id = begun(said, "sleeper")
    said("message", run_id, "hurry")
    assert "somebody: hurry not heard yet" in said("show", run_id).stdout
    said("pause", run_id)
    assert "suspended (paused)" in said("show", run_id).stdout
    assert "error\n  " in said("show", begun(said, "broken")).stdout


def test_show_finds_the_place_of_what_waits_in_a_run_of_its_own(server: Server) -> None:
    spawned = CLERK.as_tool(description="Pays.", spawn=True)
    place = Place(agents=[Agent("office", tools=[spawned]), CLERK], scripts=SCRIPTS)
    with serve_api(place.runner) as other:
        view = place.runner.start("office", "go")
        told = CliRunner().invoke(cli, ["--url", other.url, "show", view.run_id]).stdout
        assert '0.1 clerk transfer(amount=250, to="bob") waits for approval' in told
        done = CliRunner().invoke(cli, ["--url", other.url, "approve", view.run_id])
        assert done.exit_code == 0
    assert place.runner.advance(view.run_id).result == "Paid."


def test_a_run_id_may_be_cut_short_where_it_is_clear(said: Said, server: Server) -> None:
    ids = [server.runner.start("talker", "hi", key=str(n)).run_id for n in range(40)]
    clear = next(each for each in ids if sum(one[:3] == each[:3] for one in ids) == 1)
    assert said("show", clear[:3]).stdout.startswith(clear)
    letter = next(each[0] for each in ids if sum(one[0] == each[0] for one in ids) > 1)
    refused = said("show", letter, code=2)
    assert f"runs begin with '{letter}'" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "'0'" in said("show", "0", code=1).stderr
    assert "there is no run" in said("show", "a" * 24, code=1).stderr


def test_a_word_that_is_empty_means_nothing(said: Said, server: Server) -> None:
    run_id = begun(said, "office")
    assert said("cancel", "", code=2).stderr == "agent-continuations: RUN is empty\n"
    said("approve", run_id, "", code=1)
    assert server.runner.get(run_id).status is Status.SUSPENDED


# -- deciding and talking --------------------------------------------------------------------------


def test_approve_takes_the_only_open_request(said: Said, server: Server) -> None:
    run_id = begun(said, "office")
    words = ("--arguments", '{"amount": 200, "to": "bob"}', "--reason", "less")
    told = said("approve", run_id, *words).stdout
    assert "approve by ann@example.com because: less" in told
    assert 'with amount=200, to="bob"' in told
    assert server.runner.get(run_id).result == "Paid."
    assert (
        "nothing is open that fits: the run is completed" in said("approve", run_id, code=1).stderr
    )


def test_several_open_requests_are_listed_and_one_may_be_named(said: Said, server: Server) -> None:
    run_id = begun(said, "both")
    first, second = (each.request_id for each in server.runner.get(run_id).waiting)
    refused = said("approve", run_id, code=2)
    assert refused.stderr.startswith("agent-continuations: 2 requests are open, say which (")
    assert first in refused.stderr
    assert second in refused.stderr
    assert refused.stderr.count("\n") == 1
    told = document(said("--json", "reject", run_id, second[:6]))
    assert (told["request_id"], told["decision"]) == (second, "reject")
    assert said("approve", run_id).stdout.startswith(first)


def test_a_refused_decision_is_told_in_one_line(said: Said, server: Server) -> None:
    run_id = begun(said, "office")
    request_id = server.runner.get(run_id).waiting[0].request_id
    wrong = said("approve", run_id, "--arguments", '{"amount": "x"}', code=1).stderr
    assert "amount" in wrong
    assert "eve@example.com" not in wrong
    said("approve", run_id, "--approver", "eve@example.com", code=1)
    said("approve", run_id, request_id)
    said("approve", run_id, request_id)
    late = said("reject", run_id, request_id, code=1)
    assert late.stderr == (
        "agent-continuations: this request has already been decided"
        " (what stands: approve by ann@example.com)\n"
    )
    assert "there is no request" in said("approve", run_id, "nosuch", code=1).stderr


def test_an_approval_is_for_the_arguments_that_were_seen(said: Said, server: Server) -> None:
    run_id = begun(said, "office")
    [waits] = document(said("show", run_id, "--json"))["waiting"]
    assert "changed since you saw" in said("approve", run_id, "--hash", "0" * 64, code=1).stderr
    assert server.runner.get(run_id).status is Status.SUSPENDED
    told = said("approve", run_id).stdout
    assert server.received_by_method("POST")[-1].body["arguments_hash"] == waits["arguments_hash"]
    assert 'transfer(amount=250, to="bob")' in told


def test_a_decision_tells_who_must_agree_yet(said: Said, server: Server) -> None:
    run_id = begun(said, "buyer")
    assert "stage 1: 2 of ann@example.com, bob@example.com" in said("show", run_id).stdout
    told = said("approve", run_id, "--approver", BOB).stdout
    assert "others must agree yet" in told
    assert "agreed: bob@example.com" in told
    said("approve", run_id, "--approver", ANN)
    assert server.runner.get(run_id).result == "Bought."


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("Go home.", "Go home."), ("42", "42"), ("null", "null"), ('"quoted"', "quoted")],
)
def test_a_question_for_a_text_gets_a_text(
    said: Said, server: Server, text: str, wanted: str
) -> None:
    run_id = begun(said, "asker")
    said("answer", run_id, text)
    assert server.received_by_method("POST")[-1].body["answer"] == wanted
    assert server.runner.get(run_id).status is Status.COMPLETED


def test_a_question_for_an_object_gets_one(said: Said, server: Server) -> None:
    run_id = begun(said, "shop")
    assert 'answer: {"day"' in said("show", run_id).stdout
    refused = said("answer", run_id, '{"day": "sunday", "floor": 1}', "--approver", BOB, code=1)
    assert "answer.day" in refused.stderr
    request_id = server.runner.get(run_id).waiting[0].request_id
    value = {"day": "friday", "floor": 3}
    told = said("answer", run_id, request_id, json.dumps(value), "--approver", BOB).stdout
    assert "answer by bob@example.com" in told
    assert "answer by bob@example.com" in said("show", run_id).stdout
    said("answer", run_id, "one", "two", "three", code=2)


def test_a_question_may_be_declined_but_not_approved(said: Said, server: Server) -> None:
    run_id = begun(said, "asker")
    assert "waits for: question" in said("approve", run_id, code=1).stderr
    assert document(said("reject", run_id, "--json"))["decision"] == "reject"


def test_message_goes_on_with_a_run_that_is_completed(said: Said, server: Server) -> None:
    run_id = begun(said, "talker")
    assert said("message", run_id, "and?", "--wait").stdout == f"{run_id} completed\n  fine\n"
    told = document(said("message", begun(said, "sleeper"), "x", "--json"))
    assert told["message_id"]
    assert said("message", begun(said, "sleeper"), "x").stdout.startswith("the message is taken")


def test_event_brings_its_payload_to_the_call_that_waits_for_it(said: Said, server: Server) -> None:
    run_id = begun(said, "waiter")
    early = said("event", run_id, "a name/with %", "--json")
    assert document(early)["name"] == "a name/with %"
    words = ("--payload", '{"euros": 5}', "--correlation", "o-1")
    assert said("event", run_id, "paid", *words).stdout == f"the event is taken by {run_id}\n"
    assert server.runner.get(run_id).result == "paid"
    said("event", run_id, "paid", "--payload", "{", code=2)
    assert "the run" in said("event", run_id, "paid", code=1).stderr


def test_pause_resume_cancel_and_redrive_tell_how_the_run_stands(said: Said) -> None:
    run_id = begun(said, "sleeper")
    assert document(said("pause", run_id, "--json"))["status"] == "suspended"
    said("tail", run_id, code=3)
    assert said("resume", run_id).stdout.startswith(run_id)
    said("cancel", run_id)
    assert said("tail", run_id, code=1).stdout.endswith(f"{run_id} cancelled\n")
    assert "not parked" in said("redrive", run_id, code=1).stderr
    assert document(said("redrive", begun(said, "broken"), "--json"))["status"] != "parked"


# -- following -------------------------------------------------------------------------------------


def test_tail_tells_what_happened_and_for_what_the_run_waits(said: Said) -> None:
    run_id = begun(said, "office")
    told = said("tail", run_id, code=3).stdout
    assert told.startswith("12:00:00 office started go\n")
    assert "12:00:00 0.0/0.0 clerk tool transfer: sent 50 to eve\n" in told
    assert '  office > clerk transfer(amount=250, to="bob")\n' in told
    assert document(said("tail", run_id, "--json", code=3))["status"] == "suspended"
    said("approve", run_id)
    assert "office ended completed: Paid." in said("tail", run_id).stdout


def test_tail_goes_on_while_only_time_is_waited_for(
    said: Said, server: Server, place: Place
) -> None:
    run_id = begun(said, "sleeper")

    def wake() -> None:
        while not any("after" in each.query for each in server.received):
            time.sleep(0.01)
        place.later(minutes=10)
        place.runner.advance(run_id)

    waker = threading.Thread(target=wake)
    waker.start()
    told = said("tail", run_id).stdout
    waker.join()
    assert told.count("sleeper started go") == 1
    assert told.endswith(f"{run_id} completed\n  awake\n")
    polls = [each.query for each in server.received_by_method("GET") if "wait" in each.query]
    assert polls[0] == {"wait": "20", "after": "2026-11-26T12:00:00.000Z"}


def test_tail_is_interrupted_quietly(said: Said, server: Server) -> None:
    run_id = begun(said, "sleeper")
    command = [sys.executable, "-m", "agent_continuations.cli", "--url", server.url, "tail", run_id]
    path = os.pathsep.join(each for each in sys.path if each)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        while not any("after" in each.query for each in server.received):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    assert "sleeper started go" in out


# -- the audit trail -------------------------------------------------------------------------------


def test_audit_prints_the_document_and_checks_it(said: Said, server: Server) -> None:
    run_id = begun(said, "office")
    said("approve", run_id)
    trail = server.runner.audit(run_id).model_dump(mode="json")
    assert document(said("audit", run_id)) == trail
    whole = said("audit", run_id, "--verify", "--expect", trail["end"]["digest"])
    assert f"2 entries, whole; the last digest is {trail['end']['digest']}" in whole.stderr
    wrong = said("audit", run_id, "--expect", "0" * 64, code=1)
    assert wrong.stderr.startswith("agent-continuations: the trail is not whole: ")


# -- strangers' text -------------------------------------------------------------------------------


def hidden(text: str) -> list[str]:
    return [each for each in (ESC, RLO, CSI) if each in text]


def test_what_models_and_people_write_reaches_no_terminal(said: Said) -> None:
    run_id = said("start", "hostile", HOSTILE, "--metadata", f"{RLO}=x{ESC}").stdout.strip()
    shown = [said("show", run_id), said("list"), said("tail", run_id, code=3)]
    said("approve", run_id, "--reason", HOSTILE)
    refused = said("message", run_id, "x", "--approver", HOSTILE, code=2)
    more = [said(*words) for words in (("show", run_id), ("tail", run_id), ("audit", run_id))]
    told = [*shown, *more, said("show", run_id, "--json"), refused]
    assert [hidden(each.output) for each in told] == [[]] * len(told)
    for each in (shown[0], more[0], more[1]):
        assert "[bold red]\\u{1b}[2J" in each.output
        assert ":smile:[/]" in each.output
    assert document(told[-2])["result"] == HOSTILE


def test_in_colour_only_our_own_escapes_are_sent(said: Said) -> None:
    run_id = begun(said, "hostile")
    said("approve", run_id)
    coloured = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "40"}
    told = said("show", run_id, env=coloured).stdout
    assert f"{ESC}[32mcompleted{ESC}[0m" in told
    assert not hidden(told.replace(f"{ESC}[", ""))
    assert f"{ESC}[2J" not in told
    plain = said("show", run_id, env={**coloured, "NO_COLOR": "1"}).stdout
    assert f"{ESC}[32m" not in plain


def test_a_long_line_cannot_go_on_where_ours_begin(place: Place, server: Server) -> None:
    forged = "a" * 38 + " forged completed " + "b" * 30
    other = Place(agents=[Agent("a")], scripts={"a": [say(f"{forged}\n{forged}\n\nend")]})
    with serve_api(other.runner) as api:
        run_id = other.runner.start("a", forged).run_id
        words = ["--url", api.url, "tail", run_id]
        env = {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "40"}
        told = CliRunner().invoke(cli, words, env=env).stdout.replace(f"{ESC}[1m", "")
    lines = told.replace(f"{ESC}[2m", "").replace(f"{ESC}[0m", "").splitlines()
    ours = ("12:00:00 ", "  ", run_id)
    assert [each for each in lines if not each.startswith(ours) and each.strip()] == []
    assert sum("forged" in each for each in lines) >= 4


def test_a_line_cannot_be_forged_by_what_the_service_refuses(said: Said, server: Server) -> None:
    told = said("start", f"nobody\nagent-continuations: {ESC}fine", "x", code=1).stderr
    assert told.count("\n") == 1
    assert hidden(told) == []


# -- going wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [("start", "talker", "hi"), ("message", "RUN", "x"), ("event", "RUN", "e"), ("list",)],
)
def test_what_is_busy_is_asked_again_with_the_same_key(
    said: Said, server: Server, words: tuple[str, ...]
) -> None:
    run_id = begun(said, "sleeper")
    server.received.clear()
    server.refusals = [(503, {}), (429, {"Retry-After": "0"})]
    server.dropped = 1
    said(*(run_id if each == "RUN" else each for each in words))
    assert len(server.received) == 4
    keys = {each.headers.get("idempotency-key") for each in server.received}
    assert len(keys) == 1
    assert (keys == {None}) == (words == ("list",))
    assert not server.refusals


def test_a_service_that_stays_busy_or_fails_is_told_in_one_line(said: Said, server: Server) -> None:
    server.refusals = [(503, {})] * 4
    assert said("list", code=4).stderr == "agent-continuations: not now\n"
    server.refusals = [(500, {})]
    said("list", code=4)
    server.dropped = 4
    assert "127.0.0.1 cannot be reached" in said("list", code=4).stderr


def test_a_redrive_that_may_have_arrived_is_not_sent_again(said: Said, server: Server) -> None:
    run_id = begun(said, "broken")
    server.dropped = 1
    said("redrive", run_id, code=4)
    assert len([each for each in server.received if each.path.endswith("/redrive")]) == 1


def test_a_service_asks_for_its_own_pause(
    said: Said, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(api_module, "time", SimpleNamespace(sleep=slept.append))
    server.refusals = [(503, {"Retry-After": "7"}), (503, {"Retry-After": "9000"})]
    said("list")
    assert 7 * 0.75 <= slept[0] <= 7 * 1.25
    assert slept[1] <= api_module.MAX_RETRY_PAUSE_SECONDS * 1.25


def test_where_the_api_is_must_be_known(
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
    assert "no http address: ftp://x" in CliRunner().invoke(cli, ["list"], env=nowhere).stderr
    found = CliRunner().invoke(cli, ["list", "--url", server.url], env=nowhere)
    assert found.exit_code == 0
    assert (
        CliRunner()
        .invoke(cli, ["list"], env={"AGENT_CONTINUATIONS_URL": "http://127.0.0.1:port"})
        .exit_code
        == 2
    )


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("<p>Hello", "not in JSON: is this the API's address?"),
        ("[]", "another form than is known here (the answer: "),
        ('{"items": [{"run_id": 1}]}', "another form than is known here (items.0.run_id: "),
        ("[" * 100_000, "not in JSON"),
    ],
)
def test_what_is_no_api_is_told_in_one_line(
    said: Said, tmp_path: Path, answer: str, told: str
) -> None:
    (tmp_path / "runs").write_text(answer)
    files = partial(FileHandler, directory=str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), files) as other:
        thread = threading.Thread(target=other.handle_request)
        thread.start()
        assert told in said("list", "--url", f"http://127.0.0.1:{other.server_port}", code=4).stderr
        thread.join()


def test_what_the_gateway_itself_says_is_told(said: Said, server: Server) -> None:
    server.refusals, server.refusal = [(403, {})], {"message": "Missing Authentication Token"}
    told = said("list", code=1).stderr
    assert told == "agent-continuations: Missing Authentication Token\n"
    server.refusals, server.refusal = [(502, {})], "<html>"
    assert "HTTP 502 Bad Gateway" in said("list", code=4).stderr


def test_what_is_not_installed_is_named() -> None:
    code = "import sys; sys.modules['rich'] = None; import agent_continuations.cli as c; c.main()"
    path = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    needs = "agent-continuations: needs pip install 'agent-continuations[cli]'\n"
    assert (done.returncode, done.stderr) == (1, needs)


@pytest.mark.parametrize(
    "words",
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
def test_what_cannot_be_meant_is_not_sent(
    said: Said, server: Server, words: tuple[str, ...]
) -> None:
    assert "Usage: " in said(*words, code=2).stderr
    assert server.received == []


def test_the_exit_codes_stand_in_the_help() -> None:
    told = CliRunner().invoke(cli, ["--help"]).stdout
    for code in (0, 1, 2, 3, 4, 130):
        assert f"\n    {code}  " in told
    assert {*cli.commands} == {
        *("start", "list", "show", "approve", "reject", "answer", "message", "event"),
        *("cancel", "pause", "resume", "redrive", "tail", "audit"),
    }


# -- signatures ------------------------------------------------------------------------------------

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not a secret",
    "AWS_SESSION_TOKEN": "a token",
    "AWS_REGION": "eu-central-1",
}


def test_requests_are_signed_where_that_is_wanted(said: Said, server: Server) -> None:
    run_id = begun(said, "sleeper")
    assert "authorization" not in server.received[-1].headers
    said("--sign", "event", run_id, "a b", "--key", "k", env=CREDENTIALS)
    sent = server.received[-1].headers
    scope, names = "eu-central-1/execute-api/aws4_request", sent["authorization"].split(", ")[1]
    assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert scope in sent["authorization"]
    assert {"host", "idempotency-key", "x-amz-security-token"} <= {*names[14:].split(";")}
    assert sent["x-amz-security-token"] == "a token"


def signature(seen: ReceivedRequest) -> str:
    """What AWS makes of a request as it arrived."""
    credential, names, _ = seen.headers["authorization"].split(", ")
    kept = {name: seen.headers[name] for name in names.removeprefix("SignedHeaders=").split(";")}
    url = f"http://{seen.headers['host']}{seen.target}"
    request = AWSRequest(method=seen.method, url=url, data=seen.text, headers=kept)
    request.context["timestamp"] = seen.headers["x-amz-date"]
    key = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    auth = SigV4Auth(key, "execute-api", credential.split("/")[2])
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def test_what_is_signed_is_what_arrives(said: Said, server: Server) -> None:
    run_id = begun(said, "sleeper")
    said("--sign", "event", run_id, "a b/c", "--payload", '"\u00e9"', env=CREDENTIALS)
    said("--sign", "list", "--agent", "a b+c&d=\u00e9", env=CREDENTIALS)
    for seen in server.received[-2:]:
        assert seen.headers["authorization"].endswith(f"Signature={signature(seen)}")


def test_nothing_is_sent_unsigned_where_it_should_be_signed(
    said: Said, server: Server, tmp_path: Path
) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_REGION": "x-1"}
    nobody |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(tmp_path / "none")}
    nobody |= {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    assert "no AWS credentials" in said("list", "--sign", code=2, env=nobody).stderr
    assert "nosuch" in said("list", "--sign", "--profile", "nosuch", code=2, env=nobody).stderr
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
def test_a_gateway_is_known_by_its_name(host: str, region: str | None) -> None:
    assert gateway_region(host) == region
