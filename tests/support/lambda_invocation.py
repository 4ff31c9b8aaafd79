"""What a Lambda invocation is made of: an event of `events/`, a context, and a cold start."""

import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from moto.core.models import DEFAULT_ACCOUNT_ID

from agent_continuations.bootstrap.aws import client
from tests.local.template import ROOT

REGION = "us-east-1"


@dataclass(frozen=True)
class Context:
    """The context object that Lambda passes to a handler."""

    function_name: str
    seconds: float = 900
    memory_limit_in_mb: int = 512
    aws_request_id: str = field(default_factory=lambda: str(uuid4()))
    _started: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{DEFAULT_ACCOUNT_ID}:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.seconds - (time.monotonic() - self._started)))


def example(name: str) -> dict[str, Any]:
    """One of the events in `events/`, fresh."""
    read: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return read


def clear_cached_objects() -> None:
    """Clear the caches of `bootstrap`, except the AWS clients, as a cold start does."""
    for name, module in list(sys.modules.items()):
        if name.startswith("agent_continuations.bootstrap."):
            for cached in vars(module).values():
                kept = hasattr(cached, "cache_clear") and not isinstance(cached, type)
                if kept and cached is not client:
                    cached.cache_clear()
