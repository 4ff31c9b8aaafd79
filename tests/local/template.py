"""Contents of template.yaml, for tests that create its resources without deploying it."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).parents[2]


@cache
def template() -> dict[str, Any]:
    """The template as plain data."""
    # Imported here: it takes seconds, and most users of this module do not need the template.
    from cfnlint.decode.cfn_yaml import load  # type: ignore[import-untyped]

    read: dict[str, Any] = load(str(ROOT / "template.yaml"))
    return read


def create_table(dynamodb: "DynamoDBClient", table: str = "Table") -> str:
    """Creates a table of the template under a unique name; returns the name.

    Args:
        table: its logical id: that of the runs, or `OutboxTable`.
    """
    properties = template()["Resources"][table]["Properties"]
    wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    name = f"t{uuid4().hex}"
    dynamodb.create_table(TableName=name, **{each: properties[each] for each in wanted})
    dynamodb.get_waiter("table_exists").wait(
        TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    return name
