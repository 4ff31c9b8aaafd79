"""Limits that every store keeps, and the time limits that go with a run's lease and wake-up.

The limits on one write follow from DynamoDB's: a transaction takes 100 items, an expression 4 KB.
"""

from datetime import timedelta

MAX_ENTRIES_AT_ONCE = 45
"""Journal entries in one commit, and notices beside them."""

MAX_INTENTS_AT_ONCE = 25
"""Intents recorded in one write."""

MAX_SETTLED_AT_ONCE = 100
"""Intents removed in one write."""

MAX_GRANTS_AT_ONCE = 8
"""Different grants used in one commit."""

MAX_STARTS_AT_ONCE = 20
"""Runs started in one commit."""

MAX_FRUITLESS_CLAIMS = 5
"""Claims in a row without progress, after which a run is parked."""

READ_TRIES = 4
"""Loads of a run whose journal entries contradict each other, before that counts as an error."""

WAKE_UP_GRACE = timedelta(seconds=60)
"""How long a new run waits for its wake-up message before the sweeper finds it."""
