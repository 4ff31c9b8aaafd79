"""Documents of whole runs that earlier code wrote are continued by this code."""

from pathlib import Path

import pytest

from agent_continuations.core.run import Status
from agent_continuations.errors import Forbidden
from agent_continuations.local.document import DOCUMENT_FORM
from agent_continuations.services.audit import document_faults
from tests.contract.stored_documents import BOB, CFO, HERE, new_runner

FIRST_FORM_OF_WHOLE_RUNS = 4
FILES = sorted(HERE.glob("*.json"))


def test_every_form_has_a_file() -> None:
    forms = range(FIRST_FORM_OF_WHOLE_RUNS, DOCUMENT_FORM + 1)
    assert [path.stem for path in FILES] == [str(form) for form in forms]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"form-{path.stem}")
def test_a_stored_document_continues_where_it_was_written(path: Path) -> None:
    runner = new_runner()
    run = runner.load(path.read_text())
    assert (run.status, run.paused) == (Status.SUSPENDED, True)
    [request] = [each for each in run.waiting if each.kind == "approval"]
    assert request.approvers == (BOB, CFO)
    root = runner.continuation(run.run_id)
    assert [each.name for each in root.signals] == ["early"]
    assert [each.text for each in root.messages] == ["hurry"]
    with pytest.raises(Forbidden):
        runner.decide(run.run_id, request.request_id, "approve", approver=CFO)
    runner.resume(run.run_id)
    runner.decide(run.run_id, request.request_id, "approve", approver=BOB)
    assert request.run_id
    child = runner.get(request.run_id)
    assert (child.status, child.result) == (Status.COMPLETED, "paid")
    audit = runner.audit(request.run_id).model_dump(mode="json")
    assert (len(audit["items"]), document_faults(audit)) == (4, [])
