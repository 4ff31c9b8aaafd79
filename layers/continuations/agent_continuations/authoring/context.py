"""Context of a tool call: ids and the callback URL."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Context of a call, passed to the tool's parameter of this type.

    Attributes:
        run_id: id of the run.
        path: path of the call in the run, such as `0.1/2.0`.
        attempt: number of the attempt, from 1; higher after a crash or a resolved doubt.
        idempotency_key: key that all attempts of this call share; pass it to external services.
    """

    run_id: str
    path: str
    attempt: int
    idempotency_key: str
    _callback_url: Callable[[], str] | None = field(default=None, repr=False)

    @property
    def callback_url(self) -> str:
        """The URL to which an external job POSTs its outcome.

        The body is `{"status": "ok", "result": ...}` or `{"status": "error", "error": "..."}`. The
        URL permits completing this call, and no other.

        Raises:
            RuntimeError: there is no API, as with a `LocalRunner`; call its `complete` instead.
        """
        if self._callback_url is None:
            raise RuntimeError("there is no callback URL without an API")
        return self._callback_url()
