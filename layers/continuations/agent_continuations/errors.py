"""Errors of the library, in a hierarchy by the action that the caller should take.

ContinuationError
├── Conflict            reload the state and decide again: it changed meanwhile
│   ├── Fenced          stop working on the run: another execution holds its lease
│   ├── Stale           reload and repeat the response: others have responded meanwhile
│   ├── AlreadyDecided  do not repeat: the request has a decision, see `decision`
│   └── KeyReused       use a new Idempotency-Key: this one belongs to another request
├── Retryable           try again after `after_seconds`
│   ├── ModelUnavailable    call the model again later
│   └── NewerForm           leave the run to the newer code that has written it
├── Invalid             correct the request, see `fields`
│   ├── NotFound        use an existing id
│   └── Forbidden       use an identity with the permission
└── Fatal               ask an operator: retrying cannot help, and the run is parked
    ├── ModelRefused    correct the key, the model's name or the size of the request
    ├── IllegalEvent    report a bug: the event contradicts the continuation
    ├── CorruptValue    restore the stored value
    └── Vanished        restore the tool or the agent of an open call
"""

from collections.abc import Mapping, Sequence
from typing import Any


class ContinuationError(Exception):
    """Base of all errors that this library raises deliberately."""


class Conflict(ContinuationError):
    """The state changed meanwhile: reload it and decide again."""


class Fenced(Conflict):
    """The run has a newer epoch or was cancelled: this execution must stop working on it."""


class Stale(Conflict):
    """Others have responded to the request meanwhile: reload it and repeat the response."""


class AlreadyDecided(Conflict):
    """The request has a decision already: do not repeat yours.

    Args:
        decision: the existing decision as plain data.
    """

    def __init__(self, decision: Mapping[str, Any]) -> None:
        super().__init__("this request has already been decided")
        self.decision = dict(decision)


class KeyReused(Conflict):
    """The Idempotency-Key belongs to another request body: use a new key."""


class Retryable(ContinuationError):
    """A temporary failure: try again.

    Args:
        message: description of the failure.
        after_seconds: seconds to wait before the next attempt, if the other side stated them.
    """

    def __init__(self, message: str, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class ModelUnavailable(Retryable):
    """The model service is overloaded, slow or unreachable: call it again later."""


class NewerForm(Retryable):
    """A stored value was written by newer code, which will continue its run."""


class Invalid(ContinuationError):
    """The request is invalid: correct it.

    Args:
        message: description of the error.
        fields: pairs of a field's name and its error.
    """

    def __init__(self, message: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class NotFound(Invalid):
    """The object does not exist, or the caller may not see it: use another id."""


class Forbidden(Invalid):
    """The caller lacks the permission: use another identity."""


class Fatal(ContinuationError):
    """Retrying cannot help: an operator must fix the cause."""


class ModelRefused(Fatal):
    """The model service refuses the request: correct the key, the model's name or the size."""


class IllegalEvent(Fatal):
    """The event contradicts the continuation: report a bug."""


class CorruptValue(Fatal):
    """A stored value is missing, does not match its hash, or cannot be parsed."""


class Vanished(Fatal):
    """The tool or agent of an open call is missing, or no longer accepts the call's arguments."""
