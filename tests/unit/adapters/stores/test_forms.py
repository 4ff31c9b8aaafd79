"""Two versions of the code on one table: the older one leaves to the newer one what that writes."""

from typing import Any

import pytest

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from agent_continuations.adapters.stores.dynamodb.items import FORM
from agent_continuations.core.run import RunHead
from agent_continuations.errors import NewerForm
from tests.contract.test_store import at, claimed, new_head, release, returned, start
from tests.simulation.aws import Direct, SimulatedS3
from tests.simulation.dynamodb import SimulatedDynamoDB


class TwoVersions:
    """A table that two versions of the code use, and a run that the older one has started."""

    def __init__(self) -> None:
        wire: Any = Direct()
        self.table: Any = SimulatedDynamoDB(wire)
        self.bucket: Any = SimulatedS3(wire)
        self.older, self.newer = self._store(FORM - 1), self._store(FORM)
        self.run = self.older.create(new_head(), start())

    def _store(self, form: int) -> DynamoDBStore:
        return DynamoDBStore(dynamodb=self.table, s3=self.bucket, table="t", bucket="b", form=form)

    def suspend(self, store: DynamoDBStore) -> RunHead:
        """Let a version claim the run and release it, with nothing but its claim written."""
        mine = claimed(store, self.run, now=at(1))
        assert store.commit(self.run.run_id, epoch=mine.epoch, release=release(mine), now=at(1))
        return mine

    def claim_as_older(self) -> RunHead | None:
        return self.older.claim(self.run.run_id, holder="old", now=at(900), lease_until=at(990))


def test_older_code_claims_no_run_that_newer_code_has_claimed() -> None:
    versions = TwoVersions()
    versions.suspend(versions.older)
    versions.suspend(versions.newer)
    assert versions.claim_as_older() is None
    assert claimed(versions.newer, versions.run, now=at(900))


def test_older_code_claims_no_run_that_newer_code_has_added_to() -> None:
    versions = TwoVersions()
    versions.suspend(versions.older)
    assert versions.newer.append_external(versions.run.run_id, [returned("0.0")], now=at(2)) is None
    assert versions.claim_as_older() is None
    with pytest.raises(NewerForm):
        versions.older.load(versions.run.run_id)


def test_what_comes_by_older_code_is_stored_and_the_run_stays_with_the_newer() -> None:
    versions = TwoVersions()
    versions.suspend(versions.newer)
    assert versions.older.append_external(versions.run.run_id, [returned("0.0")], now=at(2)) is None
    assert versions.claim_as_older() is None
    snapshot = versions.newer.load(versions.run.run_id)
    assert snapshot
    assert returned("0.0") in snapshot.entries
