"""What any version of the code has stored is gone on from by this one."""

from pathlib import Path
from typing import Any

import pytest

from agent_continuations import LocalRunner
from agent_continuations.adapters.stores.dynamodb.items import FORM
from agent_continuations.core.run import Status
from agent_continuations.errors import Conflict, Invalid
from tests.contract import stored_forms
from tests.contract.stored_forms import ANN, HERE, LATER, SEAL, House, Said, agents, request_id

FILES = sorted(HERE.glob("*.json"))


@pytest.fixture(params=FILES, ids=lambda path: f"form-{path.stem}")
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(stored_forms, "LOST", set())
    path: Path = request.param
    return stored_forms.read(path)


def test_there_is_a_file_of_every_form() -> None:
    assert [path.stem for path in FILES] == [str(form) for form in range(1, FORM + 1)]


@pytest.mark.parametrize("name", ["ready", "asked", "decided", "launch", "busy"])
def test_a_run_that_was_left_goes_on_to_its_end(kept: dict[str, Any], name: str) -> None:
    house, run_id = House(kept), kept["runs"][name]
    house.now = LATER
    assert not house.store.head(run_id).status.terminal  # type: ignore[union-attr]
    if name in ("ready", "launch"):
        assert house.advance(run_id) is Status.SUSPENDED
    if name in ("ready", "asked", "launch"):
        house.answer(run_id, request_id(house, run_id))
    said = house.advance(run_id)
    if name == "busy":
        # The pause is over, the model is asked again, and is busy again, for longer.
        assert said is Status.SUSPENDED
        head = house.store.head(run_id)
        assert head
        assert head.model_pause
        assert head.model_pause.tries == 2
        return
    assert said is Status.COMPLETED
    end = house.services.runs.load(run_id).continuation.outcome
    assert end
    assert end.content.startswith("done: ")


def test_what_was_decided_is_what_runs(kept: dict[str, Any]) -> None:
    house, run_id = House(kept), kept["runs"]["decided"]
    house.advance(run_id)
    root = house.services.runs.load(run_id).continuation
    results = {call.plan.tool: call.outcome for _, call in root.calls()}
    assert results["pay"]
    assert results["pay"].content == "paid 8"
    assert results["look"]
    assert len(results["look"].content) == 2 * stored_forms.LARGE


@pytest.mark.parametrize("name", ["completed", "cancelled"])
def test_a_run_that_has_ended_can_be_read_and_stays_ended(kept: dict[str, Any], name: str) -> None:
    house, run_id = House(kept), kept["runs"][name]
    loaded = house.services.runs.load(run_id)
    assert loaded.head.status.value == name
    assert house.advance(run_id) is None
    if name == "completed":
        house.answer(run_id, request_id(house, run_id))  # the same again is answered alike
    else:
        with pytest.raises(Conflict):
            house.answer(run_id, request_id(house, run_id))


def test_a_document_can_be_loaded(kept: dict[str, Any]) -> None:
    runner = LocalRunner(
        list(agents().startable.values()), Said(), signing_key=SEAL, clock=lambda: LATER
    )
    run = runner.load(kept["document"])
    [asked] = run.waiting
    assert asked.request_id
    done = runner.decide(run.run_id, asked.request_id, "approve", approver=ANN)
    assert done.status is Status.COMPLETED


def test_a_document_of_a_newer_form_is_refused_in_words(kept: dict[str, Any]) -> None:
    runner = LocalRunner(list(agents().startable.values()), Said(), signing_key=SEAL)
    newer = kept["document"].replace('"version": 1', '"version": 2', 1)
    with pytest.raises(Invalid, match="form 2"):
        runner.load(newer)


@pytest.mark.parametrize("sort", ["J#!start", "J#00000!reply"])
def test_an_item_of_a_newer_form_parks_the_run_until_that_code_is_back(
    kept: dict[str, Any], sort: str
) -> None:
    house, run_id = House(kept), kept["runs"]["decided"]
    item = house.table.items[f"R#{run_id}"][sort]
    item["f"] = {"N": str(FORM + 1)}
    assert house.advance(run_id) is Status.PARKED
    head = house.store.head(run_id)
    assert head
    assert f"form {FORM + 1}" in (head.note or "")
    item["f"] = {"N": str(FORM)}
    house.services.control.redrive(run_id)
    assert house.advance(run_id) is Status.COMPLETED


def test_a_value_in_the_bucket_that_has_changed_parks_the_run(kept: dict[str, Any]) -> None:
    house, run_id = House(kept), kept["runs"]["decided"]
    [key] = [key for key in house.bucket.objects if run_id in key]
    whole = house.bucket.objects[key]
    house.bucket.objects[key] = whole[:-1] + b"?"
    assert house.advance(run_id) is Status.PARKED
    head = house.store.head(run_id)
    assert head
    assert "has changed" in (head.note or "")
    house.bucket.objects[key] = whole
    house.services.control.redrive(run_id)
    assert house.advance(run_id) is Status.COMPLETED
