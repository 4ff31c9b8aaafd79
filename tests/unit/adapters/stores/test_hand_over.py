"""Hand-overs on the table when another process writes the same run between read and write."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from agent_continuations.adapters.stores.dynamodb.items import FORM
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import Started, ToolReturned
from agent_continuations.core.keys import START_KEY, call_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import parse_path
from agent_continuations.core.run import JournalEntry, RunHead, Snapshot, Status
from agent_continuations.errors import Conflict
from agent_continuations.ports.commit import ReleaseTerms
from tests.simulation.aws import Direct, SimulatedS3
from tests.simulation.dynamodb import SimulatedDynamoDB

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
LEASE_UNTIL = NOW + timedelta(minutes=2)
ROOT = Continuation(agent="a", instructions="", input="go", max_turns=9)
START = JournalEntry(START_KEY, (Started(continuation=ROOT, at=NOW),))
HEAD = RunHead(
    run_id="run",
    tenant="default",
    agent="a",
    request_hash="hash",
    status=Status.READY,
    created_at=NOW,
    updated_at=NOW,
    due=NOW,
)


def returned(content: str) -> JournalEntry:
    outcome = Outcome(kind="ok", content=content)
    event = ToolReturned(path="0.0", outcome=outcome, started_at=NOW, at=NOW)
    return JournalEntry(call_key(parse_path("0.0"), "outcome"), (event,))


class RacingTable(SimulatedDynamoDB):
    """Lets another process act right before the next write of one kind."""

    race: Callable[[], object] | None = None
    before = ""

    def _act(self, operation: str) -> None:
        if self.race and operation == self.before:
            act, self.race = self.race, None
            act()

    def put_item(self, **request: Any) -> dict[str, Any]:
        self._act(f"put {request['Item']['sk']['S'][0]}")
        return super().put_item(**request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        self._act("update")
        return super().update_item(**request)


class Race:
    """A store, and another process on the same table that acts before a write of the first."""

    def __init__(self) -> None:
        wire: Any = Direct()
        self.table = RacingTable(wire)
        self.bucket = SimulatedS3(wire)
        self.store = self.store_of_form(FORM)
        self.store.create(HEAD, START)

    def store_of_form(self, form: int) -> DynamoDBStore:
        """A store on the same table, with code that knows no newer form."""
        return DynamoDBStore(
            dynamodb=self.table,  # type: ignore[arg-type]
            s3=self.bucket,  # type: ignore[arg-type]
            table="t",
            bucket="b",
            form=form,
        )

    def before(self, operation: str, act: Callable[[], object]) -> None:
        self.table.before, self.table.race = operation, act

    def claim(self) -> RunHead:
        head = self.store.claim("run", holder="other", now=NOW, lease_until=LEASE_UNTIL)
        assert head
        return head

    def execute(self, status: Status = Status.SUSPENDED) -> RunHead:
        """An execution from claim to release."""
        head = self.claim()
        terms = ReleaseTerms(status=status, due=None, wake=head.wake, entry_count=1)
        assert self.store.commit("run", epoch=head.epoch, release=terms, now=NOW)
        return head

    def hand_over(self, head: RunHead, number: int = 1) -> RunHead | None:
        return self.store.hand_over("run", epoch=head.epoch, number=number)


def test_a_claim_before_the_mark_wins() -> None:
    race = Race()
    before = race.execute()
    race.before("update", race.claim)
    assert race.hand_over(before) is None
    head = race.store.head("run")
    assert head
    assert head.status is Status.RUNNING


def test_an_execution_that_came_and_went_before_the_mark_wins() -> None:
    race = Race()
    before = race.execute()
    race.before("update", race.execute)
    assert race.hand_over(before) is None


def test_a_decision_before_the_mark_is_part_of_the_hand_over() -> None:
    race = Race()
    before = race.execute()
    race.before("update", lambda: race.store.append_external("run", [returned("x")], now=NOW))
    moved = race.hand_over(before)
    assert moved
    assert (moved.status, moved.moved_from) == (Status.MOVED, Status.READY)


def test_another_hand_over_before_the_mark_is_the_same_one() -> None:
    race = Race()
    before = race.execute()
    race.before("update", lambda: race.hand_over(before))
    moved = race.hand_over(before)
    assert moved
    assert (moved.moves, moved.moved_from) == (1, Status.SUSPENDED)


def test_a_run_that_was_taken_back_meanwhile_is_not_replaced() -> None:
    race = Race()
    moved = race.hand_over(race.execute())
    assert moved
    document = Snapshot(moved.taken_over(NOW), (START,))

    def take_back_and_execute() -> None:
        race.store.restore(document, ())
        race.execute(Status.COMPLETED)

    race.before("put #", take_back_and_execute)
    assert race.store.restore(document, ()).status is Status.COMPLETED
    head = race.store.head("run")
    assert head
    assert head.status is Status.COMPLETED


def test_a_newer_document_that_was_loaded_meanwhile_stays() -> None:
    race = Race()
    moved = race.hand_over(race.execute())
    assert moved
    document = Snapshot(moved.taken_over(NOW), (START,))
    newer = Snapshot(document.head.model_copy(update={"moves": 3, "epoch": 7}), (START,))

    def move_on() -> None:
        race.store.restore(newer, ())
        race.hand_over(newer.head, number=4)

    race.before("put #", move_on)
    stored = race.store.restore(document, ())
    assert (stored.status, stored.moves) == (Status.MOVED, 4)


def test_an_entry_that_was_stored_meanwhile_is_not_taken_for_the_documents() -> None:
    race = Race()
    moved = race.hand_over(race.execute())
    assert moved
    document = Snapshot(moved.taken_over(NOW), (START, returned("from the document")))
    # The first entry that is put is the start, and the outcome follows.
    race.before("put J", lambda: race.store.append("run", returned("late")))
    with pytest.raises(Conflict, match="another content"):
        race.store.restore(document, ())
    assert race.store.head("run") == moved


def test_a_run_that_is_handed_over_gets_the_newest_form_which_older_code_leaves_alone() -> None:
    race = Race()
    race.store_of_form(FORM - 1).create(HEAD.model_copy(update={"run_id": "older"}), START)
    head = race.table.items["R#older"]["#H"]
    assert head["f"] == {"N": str(FORM - 1)}
    assert race.store.hand_over("older", epoch=0, number=1)
    assert race.table.items["R#older"]["#H"]["f"] == {"N": str(FORM)}
