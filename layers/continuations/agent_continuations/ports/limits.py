"""Limits that every store keeps, and the time limits that go with a run's lease and wake-up.

The limits on one write follow from DynamoDB's: a transaction takes 100 items and 4 MB, an item
400 KB, an expression 4 KB and 300 operators.
"""

from datetime import timedelta

MAX_ITEMS_AT_ONCE = 100
"""Items in one transaction: the head of the run, each journal entry, each notice, each different
grant, and two for each run that is started."""

MAX_TRANSACTION_BYTES = 4_000_000
"""Of all items of a transaction. Values of more than 32 KB are in the bucket, and notices are
shortened to less, so that 100 items are smaller than this."""

MAX_INTENTS_AT_ONCE = 25
"""Intents recorded in one write."""

MAX_SETTLED_AT_ONCE = 100
"""Intents removed in one write."""

MAX_FRUITLESS = 5
"""Executions in a row without progress, after which a run is parked."""

READ_TRIES = 4
"""Loads of a run whose journal entries contradict each other, before that counts as an error."""

ITEMS_OF_A_START = 2
"""Items of a run that is started in a commit: its head, and its first journal entry."""

WAKE_UP_GRACE = timedelta(seconds=60)
"""How long a new run or notification waits for its wake-up message before the sweeper finds it."""
