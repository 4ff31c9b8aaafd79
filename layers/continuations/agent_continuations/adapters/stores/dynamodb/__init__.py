"""The store on DynamoDB: one table, where everything that matters is a conditional write.

Items of one run share the partition key `R#<run>`:

    #H              the head; small, the only part of a run's state that changes
    J#<register>    a register: written once, zlib-compressed JSON; large ones point to S3
    N#<notice>      the outbox; changes as its notice is delivered

A tenant's grants are a partition `G#<tenant>` of items `<tool>#<grant>`, and an approver's inbox is
one, `A#<tenant>#<approver>`, of items `<run>#<request>`.

Two sparse indexes, keys only: `due` (shard, time; runs that nobody has had yet stand in shards of
their own) is the timer service, `runs` (tenant and shard,
creation time) is the list.
"""

from agent_continuations.adapters.stores.dynamodb.inbox import DynamoDBInbox
from agent_continuations.adapters.stores.dynamodb.store import DynamoDBStore

__all__ = ["DynamoDBInbox", "DynamoDBStore"]
