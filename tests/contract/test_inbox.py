"""The contract of every inbox."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from agent_continuations.adapters.channels.inbox import InboxNotifier
from agent_continuations.adapters.stores.dynamodb import DynamoDBInbox
from agent_continuations.adapters.stores.memory import InMemoryInbox
from agent_continuations.ports.inbox import Inbox, InboxEntry
from tests.local.ministack import client
from tests.local.template import create_table
from tests.support.notices import notice_with_secret

UNTIL = datetime(2027, 1, 1, tzinfo=UTC)
ONE, TWO = InboxEntry("r1", "q1"), InboxEntry("r2", "q2")
ANN = "ann@example.com"


@pytest.fixture(params=["memory", "ministack", "dynamodb-local"])
def inbox(request: pytest.FixtureRequest) -> Inbox:
    if request.param == "memory":
        return InMemoryInbox()
    service = {"ministack": "ministack", "dynamodb-local": "dynamodb_local_url"}[request.param]
    dynamodb = client("dynamodb", request.getfixturevalue(service))
    return DynamoDBInbox(dynamodb, create_table(dynamodb, "OutboxTable"))


def test_each_approver_of_each_tenant_has_an_inbox(inbox: Inbox) -> None:
    tenant = uuid4().hex
    inbox.put(tenant, ANN, ONE, until=UNTIL)
    inbox.put(tenant, ANN, TWO, until=UNTIL)
    inbox.put(tenant, "group:finance", TWO, until=UNTIL)
    inbox.put(tenant + "x", ANN, ONE, until=UNTIL)
    assert inbox.list(tenant, ANN, 10) == [ONE, TWO]
    assert inbox.list(tenant, ANN.upper(), 10) == [ONE, TWO]
    assert inbox.list(tenant, ANN, 1) == [ONE]
    assert inbox.list(tenant, "group:finance", 10) == [TWO]
    assert inbox.list(tenant, "eve@example.com", 10) == []


def test_an_entry_that_is_put_twice_is_listed_once(inbox: Inbox) -> None:
    tenant = uuid4().hex
    for _ in range(2):
        inbox.put(tenant, ANN, ONE, until=UNTIL)
    assert inbox.list(tenant, ANN, 10) == [ONE]


def test_a_dropped_entry_is_gone_and_can_be_dropped_again(inbox: Inbox) -> None:
    tenant = uuid4().hex
    inbox.put(tenant, ANN, ONE, until=UNTIL)
    for _ in range(2):
        inbox.drop(tenant, ANN, ONE)
    assert inbox.list(tenant, ANN, 10) == []


def test_a_delivered_notice_is_in_the_inbox_of_its_approver(inbox: Inbox) -> None:
    delivered = notice_with_secret()
    InboxNotifier(inbox).deliver(delivered, ANN, ANN)
    assert InboxEntry(delivered.run_id, delivered.request_id) in inbox.list(
        delivered.tenant, ANN, 50
    )
