"""DynamoDB in memory, as far as the store uses it, with its refusals, limits and lagging indexes.

`table.py` is the client. `requests.py` and `transactions.py` check a request before anything is
read; `reader.py`, `conditions.py`, `updates.py` and `queries.py` are the expressions; `values.py`
has the values and their sizes, `indexes.py` the indexes. `tests/contract` compares all of it
with AWS's DynamoDB Local.
"""

from tests.simulation.dynamodb.indexes import INDEXES
from tests.simulation.dynamodb.requests import check_expressions
from tests.simulation.dynamodb.table import OUTBOX, SimulatedDynamoDB
from tests.simulation.dynamodb.values import Item, item_bytes

__all__ = ["INDEXES", "OUTBOX", "Item", "SimulatedDynamoDB", "check_expressions", "item_bytes"]
