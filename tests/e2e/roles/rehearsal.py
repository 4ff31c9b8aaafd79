"""What a command of the library would write, found out on copies of the tables.

So an attack is a list of items, and it does not matter by which requests they come into the table.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple, TypeAlias

import pytest

from agent_continuations.bootstrap import aws
from agent_continuations.bootstrap.agents import registry
from agent_continuations.bootstrap.services import store
from agent_continuations.ports.store import Store
from agent_continuations.services.services import Services
from tests.e2e.conftest import System
from tests.e2e.roles.attacker import Item
from tests.e2e.roles.rights import resources
from tests.local.ministack import ADMINISTRATOR
from tests.support.lambda_invocation import clear_cached_objects
from tests.support.recording_queue import RecordingQueue

Key: TypeAlias = tuple[str, str, str]
Command: TypeAlias = Callable[[Store, Services], object]


class Written(NamedTuple):
    """An item that a command leaves in a table."""

    table: str
    item: Item


class Rehearsal:
    """Tries commands, with an administrator's credentials.

    Args:
        system: the deployed system.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._dynamodb = system.stack.client("dynamodb")
        tables = map(system.stack.resource, resources("AWS::DynamoDB::Table"))
        self._copies = {table: f"copy-of-{table}" for table in tables}

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Commands may be tried while this is open: then this process is as the engine's."""
        given = self._system.stack.client("lambda").get_function_configuration(
            FunctionName=self._system.stack.resource("AdvanceFunction")
        )["Environment"]["Variables"]
        url = self._system.stack.ministack.url
        with ExitStack() as ends, pytest.MonkeyPatch.context() as patch:
            for table, copy in self._copies.items():
                self._create_like(table)
                ends.callback(self._dynamodb.delete_table, TableName=copy)
            for name, value in {**given, **ADMINISTRATOR, "AWS_ENDPOINT_URL": url}.items():
                patch.setenv(name, self._copies.get(value, value))
            _start_cold()
            yield
        _start_cold()

    def written(self, run_id: str | None, command: Command) -> list[Written]:
        """The items that a command leaves, with a run as it is now; the head of a run is the last.

        Args:
            run_id: the run that the command is about; None for no run.
            command: is given the store and the services of the deployment.
        """
        before = self._fill(run_id)
        command(store(), Services.of(store=store(), queue=RecordingQueue(), registry=registry))
        after = {key: each for key, each in self._items() if before.get(key) != each.item}
        return [after[key] for key in sorted(after, key=lambda key: key[2] == "#H")]

    def _create_like(self, table: str) -> None:
        found = self._dynamodb.describe_table(TableName=table)["Table"]
        indexes = [
            {name: each[name] for name in ("IndexName", "KeySchema", "Projection")}
            for each in found["GlobalSecondaryIndexes"]
        ]
        self._dynamodb.create_table(
            TableName=self._copies[table],
            BillingMode="PAY_PER_REQUEST",
            GlobalSecondaryIndexes=indexes,
            **{name: found[name] for name in ("AttributeDefinitions", "KeySchema")},
        )

    def _fill(self, run_id: str | None) -> dict[Key, Item]:
        """Empty the copies but for a run's items, which are returned."""
        for _, each in self._items():
            key = {name: each.item[name] for name in ("pk", "sk")}
            self._dynamodb.delete_item(TableName=self._copies[each.table], Key=key)
        for table, copy in self._copies.items() if run_id else ():
            found = self._dynamodb.query(
                TableName=table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"R#{run_id}"}},
            )
            for item in found["Items"]:
                self._dynamodb.put_item(TableName=copy, Item=item)
        return {key: each.item for key, each in self._items()}

    def _items(self) -> Iterator[tuple[Key, Written]]:
        for table, copy in self._copies.items():
            for item in self._dynamodb.scan(TableName=copy)["Items"]:
                yield (table, item["pk"]["S"], item["sk"]["S"]), Written(table, item)


def _start_cold() -> None:
    clear_cached_objects()
    aws.client.cache_clear()
