"""Recordings of every form can be read and compared."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_continuations import Agent
from agent_continuations.errors import Invalid
from agent_continuations.testing import check_recording
from agent_continuations.testing.script import script_of
from agent_continuations.views.recording import RECORDING_FORM, read_recording
from tests.contract.recordings import AGENTS, AUDITOR, HERE, SCRIPT, recorded

FILES = sorted(HERE.glob("*.json"))


@pytest.fixture(params=FILES, ids=lambda path: f"form-{path.stem}")
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    path: Path = request.param
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_every_form_has_a_file() -> None:
    forms = {int(path.stem.partition("-")[0]) for path in FILES}
    assert forms == set(range(1, RECORDING_FORM + 1))


def test_a_recording_of_any_form_is_compared_with_agents(document: dict[str, Any]) -> None:
    assert check_recording(document, AGENTS, run=["balance", "ask_account", "nap"]) is None
    changed = Agent("auditor", "You sleep.", tools=AUDITOR.tools)
    tools = [AGENTS[0].tools[0], changed.as_tool(description="Checks.", spawn=True)]
    found = check_recording(document, [Agent("manager", AGENTS[0].instructions, tools=tools)])
    assert found
    assert (found.path, found.what) == ("0.1", "the instructions of auditor differ")


def test_a_recording_of_any_form_has_all_that_a_run_can_have(document: dict[str, Any]) -> None:
    recording = read_recording(document)
    calls = [call for _, root in recording.runs() for _, call in root.calls()]
    assert {call.plan.kind for call in calls} == {"tool", "agent", "refused", "hold"}
    assert {call.wait.kind for call in calls if call.wait} == {"question", "timer", "child"}
    assert {call.decision.verdict for call in calls if call.decision} == {"approve", "reject"}
    assert any(call.decision.arguments for call in calls if call.decision)
    assert [turn.heard for turn in recording.continuation.turns][-1]


def test_the_requests_of_a_recording_are_compared_if_it_has_them() -> None:
    with_requests, without = (
        json.loads((HERE / name).read_text("utf-8")) for name in ("1-requests.json", "1.json")
    )
    assert len(read_recording(with_requests).requests) == 3
    assert read_recording(without).requests == {}
    office = AGENTS[0]
    changed = [replace(office, settings={"temperature": 1})]
    assert check_recording(without, changed) is None
    found = check_recording(with_requests, changed)
    assert found
    assert (found.path, found.what) == ("", "manager has a new setting temperature")


def test_a_recording_of_any_form_becomes_a_script(document: dict[str, Any]) -> None:
    names: dict[str, Any] = {}
    exec(script_of(read_recording(document)).text, names)
    for agent, replies in SCRIPT.items():
        found = [(each.content, each.requests, each.fault) for each in names["SCRIPT"][agent]]
        assert found == [(each.content, each.requests, each.fault) for each in replies]


def test_a_recording_of_today_is_compared_in_the_same_way() -> None:
    assert check_recording(recorded(), AGENTS, run=["balance", "ask_account", "nap"]) is None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"recording": 2}, "recording form 2 is not supported; this code reads 1"),
        ({"recording": None}, "not a recording: it has no field 'recording'"),
        ({"continuation": {}}, "not a recording: continuation.agent: Field required"),
        ({"newer": 1}, "not a recording: newer: Extra inputs are not permitted"),
        ({"children": {}}, "not a complete recording: the run .* is missing"),
    ],
)
def test_what_is_no_recording_is_refused(
    document: dict[str, Any], changed: dict[str, Any], why: str
) -> None:
    with pytest.raises(Invalid, match=why):
        check_recording({**document, **changed}, AGENTS)
    with pytest.raises(Invalid, match="not a recording"):
        check_recording([document], AGENTS)  # type: ignore[arg-type]
