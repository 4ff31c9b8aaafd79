"""The store on DynamoDB: a table of runs, in which every write that matters is conditional, and a
table of notices, which is all that the function that delivers them may write.

The items of one run share the partition key `R#<run>`:

    #H              the head: the only item of a run's state that changes; small
    J#<key>         a journal entry: written once, zlib-compressed JSON; a large value is in S3

A tenant's grants are a partition `G#<tenant>` of items `<tool>#<grant>`, and a session that a
person has ended is an item `S#<session>`, `ended`. There are two sparse
indexes, which hold keys only. `due` (shard, time) is the timer service; runs that were never
claimed have shards of their own in it. `runs` (tenant and shard, creation time) lists the runs.

The other table, the outbox, has an index `due`, too:

    R#<run>, N#<notice>                              a notice; changes as it is delivered
    A#<tenant>#<approver>, <run>#<request>           an entry of an approver's inbox

A notice is written in the transaction of the entry that it tells of; a transaction spans tables.
The keys of both tables differ, so that one table can be both.

`table.py` sends the requests and `expressions.py` renders updates; above them there is one module
for each kind of item (`heads`, `journal`, `outbox`, `grants`, `inbox`, `ended_sessions`),
`runs.py` for what spans them, and `store.py`, which is all of it as one `Store`.
"""

from agent_continuations.adapters.stores.dynamodb.ended_sessions import DynamoDBEndedSessions
from agent_continuations.adapters.stores.dynamodb.inbox import DynamoDBInbox
from agent_continuations.adapters.stores.dynamodb.store import DynamoDBStore

__all__ = ["DynamoDBEndedSessions", "DynamoDBInbox", "DynamoDBStore"]
