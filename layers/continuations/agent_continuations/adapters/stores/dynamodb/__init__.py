"""The store on DynamoDB: one table, in which every write that matters is conditional.

The items of one run share the partition key `R#<run>`:

    #H              the head: the only item of a run's state that changes; small
    J#<key>         a journal entry: written once, zlib-compressed JSON; a large value is in S3
    N#<notice>      a notice in the outbox; changes as the notice is delivered

A tenant's grants are a partition `G#<tenant>` of items `<tool>#<grant>`. An approver's inbox is a
partition `A#<tenant>#<approver>` of items `<run>#<request>`.

There are two sparse indexes, which hold keys only. `due` (shard, time) is the timer service; runs
that were never claimed have shards of their own in it. `runs` (tenant and shard, creation time) is
the list of runs.

`table.py` sends the requests and `expressions.py` renders updates; above them there is one module
for each kind of item (`heads`, `journal`, `outbox`, `grants`, `inbox`), `runs.py` for what spans
them, and `store.py`, which is all of it as one `Store`.
"""

from agent_continuations.adapters.stores.dynamodb.inbox import DynamoDBInbox
from agent_continuations.adapters.stores.dynamodb.store import DynamoDBStore

__all__ = ["DynamoDBInbox", "DynamoDBStore"]
