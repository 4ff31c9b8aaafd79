"""The page of a run: each kind of wait, pauses, and messages.

The function is the deployed one; the runs are made in memory, on a clock that the tests move.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from agent_continuations import (
    Agent,
    Approval,
    EveryTurns,
    Job,
    Question,
    WaitFor,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import Intent
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.ids import child_run_id
from agent_continuations.core.path import parse_path
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.services.services import Services
from tests.support.http_answers import Answer
from tests.support.lambda_invocation import Context, example
from tests.support.local_harness import ANN, BOB, LocalHarness, nap
from tests.support.safe_pages import assert_is_a_safe_run, links, refresh_seconds, statuses_of

Page = Callable[..., Answer]


@tool(approval=Approval([ANN]))
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


@tool
def wonder(about: str) -> Question:
    """Ask."""
    return Question(f"What about {about}?", [BOB], timeout_seconds=86400)


@tool
def listen() -> WaitFor:
    """Wait for an event."""
    return WaitFor("parcel", timeout_seconds=3600)


@tool
def build() -> Job:
    """Build elsewhere."""
    return Job(handle="42", timeout_seconds=7200)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """Opens the page of a run in a harness."""
    monkeypatch.setenv("WEB_IS_OPEN", "yes")
    monkeypatch.setenv("PUBLIC_URL", "http://localhost:8000")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tests")

    def opened(harness: LocalHarness, run_id: str) -> Answer:
        function = import_module("dashboard.app")
        monkeypatch.setattr(function, "services", lambda: services_of(harness))
        monkeypatch.setattr(function, "utc_now", lambda: harness.now)
        event = example("web-run") | {"pathParameters": {"run_id": run_id}}
        got = function.handler(event, Context("WebFunction"))
        told = {each.lower(): value for each, [value] in got["multiValueHeaders"].items()}
        answer = Answer(got["statusCode"], told, got["body"])
        assert_is_a_safe_run(answer)
        return answer

    return opened


def services_of(harness: LocalHarness) -> Services:
    """The services of a harness, with a queue that nothing reads."""
    registry = Registry(harness.agents)
    return Services.of(
        store=harness.store,
        queue=LocalWorkQueue(),
        registry=lambda: registry,
        clock=lambda: harness.now,
    )


def harness_of(*requests: tuple[str, dict[str, Any]], **agent: Any) -> LocalHarness:
    tools = [pay, wonder, listen, build, nap]
    script = [calls(*requests), say("done")]
    return LocalHarness(agents=[Agent("a", tools=tools, **agent)], scripts={"a": script})


def waits_of(answer: Answer) -> list[str]:
    """The reason of each wait, as the page shows it."""
    found = re.search(r'id="waits">.*?<ul class="plain waits">(.*?)\n  </ul>', answer.body, re.S)
    items = re.findall(r"<li>(.*?)</li>", found[1], re.S) if found else []
    return [" ".join(re.sub("<[^>]*>", " ", each).split()) for each in items]


def tree_of(answer: Answer) -> str:
    found = re.search(r'<div class="tree">(.*?)</div>', answer.body, re.S)
    assert found
    return " ".join(re.sub("<[^>]*>", " ", found[1]).split())


def test_every_reason_to_wait_is_shown(page: Page) -> None:
    harness = harness_of(
        ("pay", {"amount": 5}),
        ("wonder", {"about": "lunch"}),
        ("nap", {"minutes": 10}),
        ("listen", {}),
        ("build", {}),
    )
    view = harness.runner.start("a", "go")
    answer = page(harness, view.run_id)
    approval, question, timer, event, job = waits_of(answer)
    assert approval.startswith(f"Approval: pay a asks to call pay Asked: {ANN} 7 days left")
    assert question.startswith(f"Question: wonder What about lunch? Asked: {BOB} 24 hours left")
    assert timer.startswith("Timer: nap nap sleeps 10 minutes left , until 2026-11-26 12:10 UTC")
    assert event.startswith("Event: listen listen waits for the event parcel 60 minutes left")
    assert job.startswith("Job: build build waits for its job 2 hours left")
    asked = [f"../../approvals/{view.run_id}/{each.request_id}" for each in view.waiting[:2]]
    assert {each for each in links(answer) if "approvals" in each} == {*asked}
    assert tree_of(answer) == (
        "a messages pay awaiting approval (open) wonder awaiting answer (open)"
        " nap sleeping (open) listen awaiting event (open)"
        " build awaiting job (open)"
    )


def test_a_run_suspended_by_a_condition_shows_the_approvers(page: Page) -> None:
    far = EveryTurns(limit=1, approval=Approval([ANN]))
    harness = LocalHarness(
        agents=[Agent("a", tools=[look], conditions=[far])],
        scripts={"a": [call("look"), say("done")]},
    )
    view = harness.runner.start("a", "go")
    [waits] = view.waiting
    assert waits.kind == "condition"
    answer = page(harness, view.run_id)
    assert f"../../approvals/{view.run_id}/{waits.request_id}" in links(answer)
    assert waits_of(answer)[0].startswith("Limit reached")
    assert "awaiting go-ahead (open)" in tree_of(answer)


def test_a_call_in_doubt_is_shown_as_a_question(page: Page) -> None:
    harness = harness_of(("pay", {"amount": 5}))
    view = harness.runner.start("a", "go")
    lose(harness, view.run_id, view.waiting[0].request_id)
    [waits] = harness.runner.get(view.run_id).waiting
    answer = page(harness, view.run_id)
    assert waits_of(answer)[0].startswith("Unknown outcome: pay It is not known whether pay")
    assert f"../../approvals/{view.run_id}/{waits.request_id}" in links(answer)
    assert tree_of(answer) == "a messages pay awaiting confirmation (open)"


def lose(harness: LocalHarness, run_id: str, request_id: str) -> None:
    """Approve the one call, and lose its process while the tool runs."""
    response = Decide(verdict=Verdict.APPROVE, approver=ANN, via="local")
    services_of(harness).decisions.decide(run_id, request_id, response)
    until = harness.now + timedelta(seconds=1)
    head = harness.store.claim(run_id, holder="gone", now=harness.now, lease_until=until)
    assert head
    intent = Intent(attempt=1, started_at=harness.now, deadline=until)
    harness.store.record_intents(run_id, epoch=head.epoch, intents={"0.0": intent}, settled=())
    harness.later(hours=1)
    harness.runner.advance(run_id)


def test_a_child_run_and_its_parent_link_to_each_other(page: Page) -> None:
    worker = Agent("worker", tools=[pay])
    boss = Agent("boss", tools=[worker.as_tool(description="Work.", spawn=True)])
    scripts: dict[str, Script] = {
        "boss": [calls(("worker", {"input": "one"})), say("all done")],
        "worker": [call("pay", amount=5), say("paid")],
    }
    harness = LocalHarness(agents=[boss], scripts=scripts)
    view = harness.runner.start("boss", "go")
    child = child_run_id(view.run_id, parse_path("0.0"))
    answer = page(harness, view.run_id)
    assert child in links(answer)
    assert tree_of(answer) == "boss messages worker awaiting child run (open) open run"
    [waits] = waits_of(answer)
    assert waits.startswith(
        "Child run: worker worker waits for the run that it has started In boss"
    )
    assert waits.endswith("{ &#34;input&#34;: &#34;one&#34; } Open run")
    assert "1 call is a separate run; its cost is shown there." in answer.body
    inner = page(harness, child)
    assert view.run_id in links(inner)
    assert "Started by a call of" in inner.body
    assert "its cost is shown there" not in inner.body


def test_a_paused_run_is_shown_as_paused_until_it_ends(page: Page) -> None:
    harness = harness_of(("pay", {"amount": 5}))
    view = harness.runner.start("a", "go")
    harness.runner.pause(view.run_id)
    answer = page(harness, view.run_id)
    assert statuses_of(answer) == ["suspended", "paused"]
    assert "Nothing new starts until the run is resumed" in answer.body
    harness.runner.cancel(view.run_id)
    assert statuses_of(page(harness, view.run_id)) == ["cancelled"]


def test_the_page_of_a_running_run_refreshes_soon(page: Page) -> None:
    harness = harness_of(("pay", {"amount": 5}))
    view = harness.runner.start("a", "go")
    later = harness.now + timedelta(minutes=1)
    harness.store.wake(view.run_id, now=harness.now)
    assert harness.store.claim(view.run_id, holder="x", now=harness.now, lease_until=later)
    answer = page(harness, view.run_id)
    assert (statuses_of(answer), refresh_seconds(answer)) == (["running"], 3)


def test_later_messages_are_shown_whether_delivered_or_not(page: Page) -> None:
    harness = LocalHarness(
        nap, script=[calls(("nap", {"minutes": 10})), say("first"), say("second")]
    )
    view = harness.runner.start("a", "go")
    services_of(harness).inbound.message(view.run_id, "hurry up", sender=ANN)
    answer = page(harness, view.run_id)
    assert re.search(
        rf"hurry up</p>\s*<p class=\"small\">{ANN}, <time.*not read by the model yet", answer.body
    )
    harness.later(minutes=11)
    harness.runner.advance(view.run_id)
    heard = page(harness, view.run_id)
    assert "hurry up" in heard.body and "not read by the model yet" not in heard.body


def test_the_tree_of_a_long_run_shows_open_calls_and_the_last_completed(page: Page) -> None:
    turns = [calls(*[("look", {})] * 100)] * 4
    harness = LocalHarness(
        look,
        pay,
        script=[call("pay", amount=1), *turns, call("pay", amount=2)],
    )
    view = harness.runner.start("a", "go")
    view = harness.runner.decide(view.run_id, view.waiting[0].request_id, "approve")
    tree = tree_of(page(harness, view.run_id))
    assert tree.startswith("a messages 102 more calls look done")
    assert tree.endswith("look done pay awaiting approval (open)")
    assert tree.count("look done") == 299
