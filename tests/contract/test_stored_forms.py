"""This code continues every run that earlier code has stored."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent_continuations import LocalRunner
from agent_continuations.adapters.stores.dynamodb.items import FORM
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import Status
from agent_continuations.errors import Conflict, Invalid
from agent_continuations.local.document import DOCUMENT_FORM
from agent_continuations.notifications.outbox import NoticeDispatcher
from agent_continuations.notifications.routes import NotificationRoutes
from agent_continuations.ports.limits import MAX_FRUITLESS
from agent_continuations.services.model_requests import model_requests
from tests.contract import stored_forms
from tests.contract.stored_forms import (
    ANN,
    HERE,
    LATER,
    SEAL,
    RuleBasedModel,
    StoredWorld,
    agents,
    request_id,
)

FILES = sorted(HERE.glob("*.json"))


@pytest.fixture(params=FILES, ids=lambda path: f"form-{path.stem}")
def content(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(stored_forms, "LOST", set())
    path: Path = request.param
    return {"form": int(path.stem), **stored_forms.read(path)}


def test_every_form_has_a_file() -> None:
    assert [path.stem for path in FILES] == [str(form) for form in range(1, FORM + 1)]


@pytest.mark.parametrize("name", ["ready", "asked", "decided", "launch", "busy"])
def test_a_stored_run_continues_to_its_end(content: dict[str, Any], name: str) -> None:
    world, run_id = StoredWorld(content), content["runs"][name]
    world.now = LATER
    assert not world.store.head(run_id).status.ended  # type: ignore[union-attr]
    if name in ("ready", "launch"):
        assert world.advance(run_id) is Status.SUSPENDED
    if name in ("ready", "asked", "launch"):
        world.answer(run_id, request_id(world, run_id))
    status = world.advance(run_id)
    if name == "busy":
        # The back-off is over; the model is called again and fails again.
        assert status is Status.SUSPENDED
        head = world.store.head(run_id)
        assert head
        assert head.model_pause
        assert head.model_pause.tries == 2
        return
    assert status is Status.COMPLETED
    end = world.services.runs.load(run_id).continuation.outcome
    assert end
    assert end.content.startswith("done: ")


def new_in_form_5(content: dict[str, Any], name: str) -> tuple[StoredWorld, str]:
    if content["form"] < 5:
        pytest.skip("this form has no such run")
    return StoredWorld(content), content["runs"][name]


def test_a_stored_obstacle_is_counted_on_and_passes(
    content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, run_id = new_in_form_5(content, "blocked")
    world.now = LATER
    assert world.advance(run_id) is Status.SUSPENDED
    head = world.store.head(run_id)
    assert head
    assert head.obstacle
    assert (head.obstacle.since, head.obstacle.tries) == (stored_forms.NOW, 2)
    monkeypatch.setattr(stored_forms, "REFUSED", set())
    world.services.control.redrive(run_id)
    assert world.advance(run_id) is Status.SUSPENDED
    world.answer(run_id, request_id(world, run_id))
    assert world.advance(run_id) is Status.COMPLETED


def test_what_a_parked_run_was_sent_is_there_after_its_redrive(content: dict[str, Any]) -> None:
    world, run_id = new_in_form_5(content, "parked")
    world.services.control.redrive(run_id)
    assert world.advance(run_id) is Status.SUSPENDED  # the message makes it ask once more
    root = world.services.runs.load(run_id).continuation
    assert [each.text for turn in root.turns for each in turn.heard] == ["are you there?"]


def test_a_stored_mark_of_a_restore_asks_whether_the_call_happened(content: dict[str, Any]) -> None:
    world, run_id = new_in_form_5(content, "restored")
    world.now = LATER + timedelta(minutes=10)
    assert world.advance(run_id) is Status.SUSPENDED
    kinds = {each.kind for each in world.services.runs.waiting(world.services.runs.load(run_id))}
    assert "doubt" in kinds


def test_a_stored_notice_reaches_its_approvers(content: dict[str, Any]) -> None:
    world, run_id = StoredWorld(content), content["runs"]["asked"]
    [notice] = world.store.notices(run_id)
    assert (notice.answerers is None) == (content["form"] < 6)
    sent: list[tuple[str, str]] = []

    class Channel:
        def deliver(self, _notice: Notice, address: str, approver: str) -> None:
            sent.append((address, approver))

    routes = NotificationRoutes({"bob@example.com": ["email:desk@example.com"]})
    channels = {"email": Channel(), "inbox": Channel()}
    done = NoticeDispatcher(world.store, channels, routes, lambda: LATER).deliver(
        run_id, notice.notice_id
    )
    assert done
    assert done.due is None
    by_mail = [(ANN, ANN), ("desk@example.com", "bob@example.com")]
    in_inbox = [(ANN, ANN), ("bob@example.com", "bob@example.com")]
    if content["form"] >= 6:
        assert (sent, done.undelivered) == ([*by_mail, *in_inbox], ())
    else:
        # Bob's address was stored, and it is not his any more. There was no inbox.
        assert sent == by_mail[:1]
        assert done.failure == "email:bob@example.com: not an address of an approver"


def test_the_approved_arguments_are_the_ones_that_run(content: dict[str, Any]) -> None:
    world, run_id = StoredWorld(content), content["runs"]["decided"]
    world.advance(run_id)
    root = world.services.runs.load(run_id).continuation
    results = {call.plan.tool: call.outcome for _, call in root.calls()}
    assert results["pay"]
    assert results["pay"].content == "paid 8"
    assert results["look"]
    assert len(results["look"].content) == 2 * stored_forms.LARGE


@pytest.mark.parametrize("name", ["completed", "cancelled"])
def test_a_run_that_has_ended_can_be_read_and_stays_ended(
    content: dict[str, Any], name: str
) -> None:
    world, run_id = StoredWorld(content), content["runs"][name]
    loaded = world.services.runs.load(run_id)
    assert loaded.head.status.value == name
    assert world.advance(run_id) is None
    if name == "completed":
        world.answer(run_id, request_id(world, run_id))  # repeating the same decision is accepted
    else:
        with pytest.raises(Conflict):
            world.answer(run_id, request_id(world, run_id))


@pytest.mark.parametrize(("path", "tools"), [("", ["clerk", "launch"]), ("0.0", ["pay", "look"])])
def test_the_requests_to_the_models_can_be_read_with_their_tools_since_form_3(
    content: dict[str, Any], path: str, tools: list[str]
) -> None:
    world, run_id = StoredWorld(content), content["runs"]["completed"]
    first, second = model_requests(world.services.runs, run_id, path).items
    assert [each["role"] for each in first.messages] == ["system", "user"]
    assert [each["role"] for each in second.messages][:2] == ["assistant", "tool"]
    assert second.reply and second.reply.content
    for item in (first, second):
        assert item.at
        names = [each["function"]["name"] for each in item.tools] if item.tools else None
        assert names == (tools if content["form"] >= 3 else None)


def test_a_document_can_be_loaded(content: dict[str, Any]) -> None:
    runner = LocalRunner(
        list(agents().startable.values()), RuleBasedModel(), signing_key=SEAL, clock=lambda: LATER
    )
    run = runner.load(content["document"])
    [asked] = run.waiting
    assert asked.request_id
    # These forms hold no journal, so the times of the requests to the models are not known.
    told = [each.at is not None for each in runner.messages(run.run_id).items]
    assert told == [content["form"] >= 5]
    done = runner.decide(run.run_id, asked.request_id, "approve", approver=ANN)
    assert done.status is Status.COMPLETED


def test_a_document_of_a_newer_form_is_refused_with_an_explanation(content: dict[str, Any]) -> None:
    runner = LocalRunner(list(agents().startable.values()), RuleBasedModel(), signing_key=SEAL)
    newer = json.loads(content["document"]) | {"version": DOCUMENT_FORM + 1}
    with pytest.raises(Invalid, match=f"form {DOCUMENT_FORM + 1}"):
        runner.load(json.dumps(newer))


@pytest.mark.parametrize("sort", ["J#!start", "J#00000!reply"])
def test_a_run_with_an_item_of_a_newer_form_is_handed_back_uncounted(
    content: dict[str, Any], sort: str
) -> None:
    world, run_id = StoredWorld(content), content["runs"]["decided"]
    item = world.table.items[f"R#{run_id}"][sort]
    item["f"] = {"N": str(FORM + 1)}
    for _ in range(3 * MAX_FRUITLESS):
        assert world.advance(run_id) is Status.READY
    head = world.store.head(run_id)
    assert head
    assert (head.stalls, head.owner) == (0, None)
    assert f"form {FORM + 1}" in (head.note or "")
    item["f"] = {"N": str(FORM)}
    assert world.advance(run_id) is Status.COMPLETED


def test_a_run_of_a_newer_form_is_not_claimed(content: dict[str, Any]) -> None:
    world, run_id = StoredWorld(content), content["runs"]["decided"]
    item = world.table.items[f"R#{run_id}"]["#H"]
    item["f"] = {"N": str(FORM + 1)}
    before = dict(item)
    assert world.advance(run_id) is None
    assert world.table.items[f"R#{run_id}"]["#H"] == before


def test_a_changed_value_in_the_bucket_parks_the_run(content: dict[str, Any]) -> None:
    world, run_id = StoredWorld(content), content["runs"]["decided"]
    [key] = [key for key in world.bucket.objects if run_id in key]
    whole = world.bucket.objects[key]
    world.bucket.objects[key] = whole[:-1] + b"?"
    assert world.advance(run_id) is Status.PARKED
    head = world.store.head(run_id)
    assert head
    assert "has changed" in (head.note or "")
    world.bucket.objects[key] = whole
    world.services.control.redrive(run_id)
    assert world.advance(run_id) is Status.COMPLETED
