"""The audit: any change, removal or move of an entry in a document is detected."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from agent_continuations import Agent, Approval, LocalRunner, ScriptedModel, call, say, tool
from agent_continuations.core.approvals.audit_chain import digest
from agent_continuations.operations.verify_audit import main
from agent_continuations.services.audit import document_faults

ANN, BOB, CARL = "ann@example.com", "bob@example.com", "carl@example.com"

Document: TypeAlias = dict[str, Any]


@tool(approval=Approval([ANN, BOB, CARL], needed=2))
def pay(amount: int, note: str | None = None) -> str:
    """Pay."""
    return f"paid {amount}"


@pytest.fixture
def document() -> Document:
    script = [call("pay", amount=7, note=None), say("done")]
    runner = LocalRunner([Agent("clerk", "Pay.", tools=[pay])], ScriptedModel({"clerk": script}))
    run = runner.start("clerk", "pay", requester="dora@example.com")
    request_id = run.waiting[0].request_id
    runner.decide(run.run_id, request_id, "approve", approver=ANN, reason="fine")
    runner.decide(run.run_id, request_id, "approve", approver=BOB, arguments={"amount": 8})
    runner.decide(run.run_id, request_id, "approve", approver=CARL)
    document: Document = json.loads(runner.audit(run.run_id).model_dump_json())
    return document


def test_the_audit_names_people_times_channels_and_the_arguments_seen(document: Document) -> None:
    asked, ann, bob, told, carl = document["items"]
    assert [each["number"] for each in document["items"]] == [1, 2, 3, 4, 5]
    assert asked["request"]["stages"] == [{"approvers": [ANN, BOB, CARL], "needed": 2}]
    assert ann["decision"]["approver"] == ANN
    assert ann["decision"]["reason"] == "fine"
    assert ann["decision"]["arguments_hash"] == asked["request"]["arguments_hash"]
    assert told["approvers"] == [ANN, CARL]
    assert carl["decision"]["arguments"] == {"amount": 8, "note": None}
    assert carl["decision"]["arguments_hash"] == bob["decision"]["arguments_hash"]
    assert {each["decision"]["via"] for each in (ann, bob, carl)} == {"local"}
    assert document["requester"] == "dora@example.com"
    assert document_faults(document) == []


def changed(document: Document, number: int, *names: str, to: Any) -> None:
    part = document["items"][number]
    for name in names[:-1]:
        part = part[name]
    part[names[-1]] = to


def last_rewritten(document: Document) -> None:
    """The last digest is recomputed, which only an expected digest can reveal."""
    changed(document, -1, "decision", "reason", to="I never said so")
    document["end"]["digest"] = digest(document["items"][-1])


TAMPERED: dict[str, Callable[[Document], Any]] = {
    "another approver": lambda each: changed(each, 1, "decision", "approver", to=CARL),
    "another reason": lambda each: changed(each, 1, "decision", "reason", to="no"),
    "another time": lambda each: changed(each, 0, "request", "requested_at", to="2020-01-01"),
    "another verdict": lambda each: changed(each, -1, "decision", "verdict", to="reject"),
    "a null that was there": lambda each: each["items"][-1]["decision"]["arguments"].pop("note"),
    "one entry less": lambda each: each["items"].pop(1),
    "the first entry less": lambda each: each["items"].pop(0),
    "the last entry less": lambda each: each["items"].pop(),
    "one entry twice": lambda each: each["items"].append(deepcopy(each["items"][-1])),
    "two entries in another order": lambda each: each["items"].insert(1, each["items"].pop(2)),
    "another end": lambda each: each["end"].update(digest="0" * 64),
    "no entry at all": lambda each: each["items"].clear(),
    "other arguments": lambda each: each["calls"]["0.0"]["arguments"].update(amount=9),
    "another tool": lambda each: each["calls"]["0.0"].update(tool="refund"),
    "another policy": lambda each: each["calls"]["0.0"]["policy"].update(self_approval=True),
    "no such call": lambda each: each["calls"].clear(),
    "another run": lambda each: each.update(run_id="elsewhere"),
    "no document": lambda each: each.pop("end"),
    "a request in a word": lambda each: changed(each, 0, "request", to="?"),
    "a decision in a list": lambda each: changed(each, 1, "decision", to=["approve"]),
    "edited arguments in a number": lambda each: changed(each, 2, "decision", "arguments", to=8),
    "a number that JSON does not have": lambda each: changed(each, 1, "at", to=float("nan")),
    "a call at no place": lambda each: each["calls"]["0.0"].update(path="somewhere"),
    "an entry about no place": lambda each: changed(each, 1, "path", to={}),
    "a newer form": lambda each: each.update(form=99),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_audit_document_is_detected(document: Document, name: str) -> None:
    TAMPERED[name](document)
    assert document_faults(document) != []


def test_a_rebuilt_audit_chain_is_detected_by_a_separate_digest(
    document: Document,
) -> None:
    kept = document["end"]["digest"]
    assert document_faults(document, kept) == []
    last_rewritten(document)
    assert document_faults(document) == []
    assert document_faults(document, kept) != []


def test_the_command_reports_the_error(
    document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "audit.json"
    file.write_text(json.dumps(document))
    assert main([str(file)]) == 0
    assert document["end"]["digest"] in capsys.readouterr().out
    assert main([str(file), "--expect", "0" * 64]) == 1
    document["items"].pop(1)
    file.write_text(json.dumps(document))
    assert main([str(file)]) == 1
    assert "entry 2 says that it is number 3" in capsys.readouterr().out
    file.write_text("no JSON")
    assert main([str(file)]) == 2
