"""Every error of the library; the tree says what a caller should do.

ContinuationError
├── Conflict            reload, then look again: somebody else was first
│   ├── Fenced          the run has another owner now; stop working on it
│   ├── Stale           others have answered meanwhile: look again, and say it again
│   ├── AlreadyDecided  the request has its decision; it is in `decision`
│   └── KeyReused       an Idempotency-Key came back with another request
├── Retryable           try again after `after_seconds`
│   └── ModelUnavailable
├── Invalid             the caller's mistake, told by field
│   ├── NotFound
│   └── Forbidden
└── Fatal               a person must change something first; the run is parked
    ├── ModelRefused    the model service refuses the request for good
    ├── IllegalEvent    an event that the continuation cannot have had
    ├── CorruptValue    a stored value is not what was written
    └── Vanished        an open call's tool or agent is gone or has changed
"""

from collections.abc import Mapping, Sequence
from typing import Any


class ContinuationError(Exception):
    """Base of everything that this library raises on purpose."""


class Conflict(ContinuationError):
    """Somebody else was first: reload, then look again."""


class Fenced(Conflict):
    """The run's epoch has moved on, or the run was cancelled: this owner must stop."""


class Stale(Conflict):
    """What this was said about has moved on since: load again, and repeat it if it holds."""


class AlreadyDecided(Conflict):
    """Another decision stands; `decision` holds it as plain data."""

    def __init__(self, decision: Mapping[str, Any]) -> None:
        super().__init__("this request has already been decided")
        self.decision = dict(decision)


class KeyReused(Conflict):
    """The same Idempotency-Key came with another request body."""


class Retryable(ContinuationError):
    """A passing fault. `after_seconds` is how long the other side asks us to wait, if it said."""

    def __init__(self, message: str, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class ModelUnavailable(Retryable):
    """The model service is overloaded, slow or unreachable."""


class Invalid(ContinuationError):
    """The caller's mistake. `fields` pairs a field's name with what is wrong with it."""

    def __init__(self, message: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class NotFound(Invalid):
    """There is no such thing, or the caller may not know of it."""


class Forbidden(Invalid):
    """The caller may not do this."""


class Fatal(ContinuationError):
    """Nothing will change by trying again: a person has to act."""


class ModelRefused(Fatal):
    """The model service refuses the request (key, model name, size): trying again is useless."""


class IllegalEvent(Fatal):
    """The event cannot have happened to this continuation."""


class CorruptValue(Fatal):
    """A stored value does not match its hash, or its form is unknown to this code."""


class Vanished(Fatal):
    """An open call's tool or agent is gone, or no longer admits the call's arguments."""
