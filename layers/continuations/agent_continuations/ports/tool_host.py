"""Tool host: the port through which the engine has a tool's body run apart from its own rights.

A declaration: today `engine.calls` runs bodies in the engine's process, and no adapter of this port
exists yet. Its adapters belong into `adapters/hosts/`, and the function that runs the bodies when
deployed into `functions/tool_host/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInvocation:
    """One attempt of one call, with all that its body may know of the run.

    Attributes:
        tool: the tool's name.
        arguments: as JSON values.
        run_id, path: of the call.
        attempt: the number of the attempt, from 1.
        idempotency_key: the same for every attempt of the call.
    """

    tool: str
    arguments: Mapping[str, Any]
    run_id: str
    path: str
    attempt: int
    idempotency_key: str


class ToolHost(Protocol):
    """Runs the bodies of tools."""

    def invoke(self, invocation: ToolInvocation) -> Mapping[str, Any]:
        """Run a tool's body, at most once for each attempt.

        Returns:
            The outcome, as JSON values.
        """
