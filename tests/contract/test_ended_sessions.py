"""The contract of every list of ended sessions."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from agent_continuations.adapters.stores.dynamodb import DynamoDBEndedSessions
from tests.local.ministack import client
from tests.local.template import create_table

UNTIL = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("service", ["ministack", "dynamodb_local_url"])
def test_a_session_ends_once_and_no_other_with_it(
    request: pytest.FixtureRequest, service: str
) -> None:
    dynamodb = client("dynamodb", request.getfixturevalue(service))
    sessions = DynamoDBEndedSessions(dynamodb, create_table(dynamodb))
    one, other = uuid4().hex, uuid4().hex
    assert not sessions.has_ended(one)
    for _ in range(2):
        sessions.end(one, until=UNTIL)
        assert sessions.has_ended(one)
    assert not sessions.has_ended(other)
