"""Request profiles in DynamoDB: one write for each process and profile, within the rights."""

from typing import Any, cast

import pytest

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from agent_continuations.adapters.stores.dynamodb.items import FORM
from agent_continuations.core.ids import is_opaque_id
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.errors import CorruptValue, NewerForm, Retryable
from tests.simulation.aws import Direct, SimulatedS3
from tests.simulation.dynamodb import SimulatedDynamoDB

SMALL = RequestProfile.of("m", [], {"seed": 1})
LARGE = RequestProfile.of(
    "m", [], {"text": "".join(chr(0x4E00 + n % 20_000) for n in range(99_999))}
)


class CountingDynamoDB(SimulatedDynamoDB):
    """Counts the puts, and fails while it is `down`."""

    def __init__(self) -> None:
        super().__init__(cast(Any, Direct()))
        self.puts = 0
        self.down = False

    def put_item(self, **request: Any) -> dict[str, Any]:
        self.puts += 1
        if self.down:
            raise Retryable("down")
        return super().put_item(**request)


@pytest.fixture
def table() -> CountingDynamoDB:
    return CountingDynamoDB()


@pytest.fixture
def bucket() -> SimulatedS3:
    return SimulatedS3(cast(Any, Direct()))


def process(table: SimulatedDynamoDB, bucket: SimulatedS3) -> DynamoDBStore:
    """The store of a new process."""
    return DynamoDBStore(dynamodb=cast(Any, table), s3=cast(Any, bucket), table="t", bucket="b")


def test_a_process_writes_a_profile_once(table: CountingDynamoDB, bucket: SimulatedS3) -> None:
    first, second = process(table, bucket), process(table, bucket)
    for _ in range(3):
        first.save_profile(SMALL)
    assert table.puts == 1
    for _ in range(3):
        second.save_profile(SMALL)
    assert table.puts == 2
    [[item]] = [list(of_partition.values()) for of_partition in table.items.values()]
    assert item["pk"] == {"S": f"P#{SMALL.digest}"}
    assert "ttl" not in item and "due_shard" not in item and "list_shard" not in item


def test_a_write_that_failed_is_made_again(table: CountingDynamoDB, bucket: SimulatedS3) -> None:
    store = process(table, bucket)
    table.down = True
    for _ in range(2):
        with pytest.raises(Retryable):
            store.save_profile(SMALL)
    table.down = False
    store.save_profile(SMALL)
    assert store.profile(SMALL.digest) == SMALL


def test_a_large_profile_lies_where_the_functions_may_read_and_write(
    table: CountingDynamoDB, bucket: SimulatedS3
) -> None:
    process(table, bucket).save_profile(LARGE)
    [key] = bucket.objects
    folder, name, _ = key.split("/")
    assert folder == "runs"
    assert not is_opaque_id(name)  # no run has this folder
    assert process(table, bucket).profile(LARGE.digest) == LARGE
    bucket.objects[key] += b"?"
    with pytest.raises(CorruptValue, match="has changed"):
        process(table, bucket).profile(LARGE.digest)


def test_a_profile_of_a_newer_form_is_refused(table: CountingDynamoDB, bucket: SimulatedS3) -> None:
    store = process(table, bucket)
    store.save_profile(SMALL)
    table.items[f"P#{SMALL.digest}"]["#P"]["f"] = {"N": str(FORM + 1)}
    with pytest.raises(NewerForm, match=f"form {FORM + 1}"):
        store.profile(SMALL.digest)
