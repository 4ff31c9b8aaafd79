"""Ablations of the mechanisms for outages, parked and blocked runs, and wide turns."""

from datetime import datetime
from typing import Any, TypeAlias

import pytest

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore, head_updates, journal, runs
from agent_continuations.adapters.stores.dynamodb.expressions import UpdateExpression
from agent_continuations.adapters.stores.dynamodb.items import Item
from agent_continuations.core.run import Status
from agent_continuations.engine import commit_batches, execution
from agent_continuations.engine.child_runs import report_to_parent
from agent_continuations.engine.execution import RunExecution
from agent_continuations.engine.release_status import ReleaseStatus, release_status
from agent_continuations.engine.unit_of_work import RunUnitOfWork
from agent_continuations.errors import Conflict, CorruptValue

Patch: TypeAlias = pytest.MonkeyPatch


def outages_that_count(patch: Patch) -> None:
    hand_back = RunUnitOfWork.hand_back

    def counted(run: RunUnitOfWork, due: datetime, note: str, **_: bool) -> None:
        hand_back(run, due, note, counted=True)

    patch.setattr(RunUnitOfWork, "hand_back", counted)


def no_input_to_parked_runs(patch: Patch) -> None:
    append_external = DynamoDBStore.append_external

    def refusing(store: DynamoDBStore, run_id: str, *given: Any, **more: Any) -> Any:
        head = store.head(run_id)
        if head and head.status is Status.PARKED:
            raise Conflict("the run is parked")
        return append_external(store, run_id, *given, **more)

    patch.setattr(DynamoDBStore, "append_external", refusing)


def no_retry_of_blocked_calls(patch: Patch) -> None:
    def without_due(*given: Any, **more: Any) -> ReleaseStatus:
        released = release_status(*given, **more)
        return released._replace(due=None) if released.obstacle else released

    patch.setattr(execution, "release_status", without_due)


def no_form_at_claim(patch: Patch) -> None:
    """Older code claims runs with items of newer code, which it cannot read."""

    def check_form(item: Item, newest: int) -> None:
        if item["f"] > newest:
            raise CorruptValue("the item is not readable")

    for module in (head_updates, runs):
        patch.setattr(module, "form_update", lambda _form: UpdateExpression())
    patch.setattr(journal, "check_form", check_form)


def no_batches(patch: Patch) -> None:
    patch.setattr(commit_batches, "MAX_ITEMS_AT_ONCE", 200)


def no_outcome_in_hand(patch: Patch) -> None:
    """An outcome is dropped at the first failure of the store."""
    patch.setattr(RunExecution, "_give_up_at", lambda _execution, since: since)


def no_wait_for_a_parked_child(patch: Patch) -> None:
    """A child run that is parked reports an error to its parent."""
    release = RunUnitOfWork.release

    def reporting(run: RunUnitOfWork, released: ReleaseStatus, *more: Any) -> bool:
        written = release(run, released, *more)
        if written and released.status is Status.PARKED:
            report_to_parent(run._context, run.head, None, Status.FAILED, released.note)
        return written

    patch.setattr(RunUnitOfWork, "release", reporting)


# Each with the promises that break without the mechanism, and a seed that shows it.
INTERRUPTED = [
    (outages_that_count, "P1", 31),
    (no_input_to_parked_runs, "N1", 182),
    (no_retry_of_blocked_calls, "L1", 21),
    (no_form_at_claim, "P1 L1", 4),
    (no_batches, "P1 L1", 14),
    (no_outcome_in_hand, "D1", 339),
    (no_wait_for_a_parked_child, "C1", 575),
]
