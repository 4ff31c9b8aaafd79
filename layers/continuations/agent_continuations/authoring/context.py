"""Context."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of its call: give a parameter this type to receive it.

    Attributes:
        run_id: the run.
        path: the call's place in it, as `0.1/2.0`.
        attempt: 1, and more after a crash or an answered doubt.
        idempotency_key: the same for every attempt of this call; hand it to the other side.
    """

    run_id: str
    path: str
    attempt: int
    idempotency_key: str
    _callback_url: Callable[[], str] | None = field(default=None, repr=False)

    @property
    def callback_url(self) -> str:
        """Where something that the tool starts elsewhere can tell its outcome: `POST` it
        `{"status": "ok", "result": ...}` or `{"status": "error", "error": "..."}`. Who knows the
        address can answer this one call, and no other.

        Raises:
            RuntimeError: there is none here; a `LocalRunner` is told by `complete`.
        """
        if self._callback_url is None:
            raise RuntimeError("there is no callback URL without an API")
        return self._callback_url()
