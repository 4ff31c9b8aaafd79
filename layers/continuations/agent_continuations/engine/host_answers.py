"""Answers of tool hosts, as the engine takes them.

A host runs code that may have been taken over, so no answer is believed further than it must be:
an outcome is text for the model, and a wait is made anew from what the body returned, with its
limits checked and the schema of its answer taken from the tool as it is deployed here. A host
cannot name another call, or a child run.
"""

from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from agent_continuations.authoring.in_process_host import failure_text
from agent_continuations.authoring.running import attempted
from agent_continuations.authoring.tool import Tool
from agent_continuations.authoring.waits import read_wait
from agent_continuations.core.base import storable
from agent_continuations.core.events import Polled, Suspended, ToolReturned
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.plans import Effect
from agent_continuations.core.waits import Wait
from agent_continuations.ports.tool_host import HostAnswer, HostResponse

UNUSABLE = "the answer of the tool's host cannot be used"


class NotStarted(NamedTuple):
    """The body has certainly not run.

    Attributes:
        shown: the arguments as they would be shown now, if they differ from those decided on.
        passes, soon: see `Block`.
    """

    path: Path
    reason: str
    shown: dict[str, Any] | None = None
    passes: bool = False
    soon: bool = False


class Lost(NamedTuple):
    """It is not known whether the body has run.

    Attributes:
        ended: whether it certainly does not run any more.
        alone: whether it ran in a request of its own. If not, it was a read, and it may be another
            call of the request that has ended the host.
    """

    path: Path
    attempt: int
    effect: Effect
    reason: str
    ended: bool
    alone: bool


ToolResult: TypeAlias = ToolReturned | Suspended | Polled | NotStarted | Lost


class Sent(NamedTuple):
    """A call that was sent to a host, and when."""

    path: Path
    tool: Tool
    effect: Effect
    attempt: int
    at: datetime
    alone: bool = True

    def lost(self, reason: str, *, ended: bool) -> Lost:
        """The result of a call whose answer never came."""
        return Lost(self.path, self.attempt, self.effect, reason, ended, self.alone)

    def not_started(self, reason: str, *, passes: bool, soon: bool) -> NotStarted:
        """The result of a call that never came to the host."""
        return NotStarted(self.path, reason, passes=passes, soon=soon)

    def result(self, response: HostResponse, now: datetime) -> ToolResult:
        """The result of a call that runs once or not at all."""
        answer = self._answer(response)
        match answer:
            case HostAnswer(kind="ok" | "error" | "wait"):
                made = outcome_or_wait(self.tool, answer, now)
                if isinstance(made, Outcome):
                    return self._returned(made, now)
                path = path_text(self.path)
                return Suspended(path=path, wait=made, attempt=self.attempt, at=now)
            case HostAnswer(kind="refused"):
                reason, passes = storable(answer.content), answer.passes
                return NotStarted(self.path, reason, answer.shown, passes, soon=passes)
            case _:
                return self.lost(UNUSABLE, ended=True)

    def poll_result(self, response: HostResponse, now: datetime) -> ToolResult:
        """The result of a poll; whatever is no result of the job means that it is pending."""
        answer = self._answer(response)
        match answer:
            case HostAnswer(kind="ok"):
                outcome = Outcome(kind="ok", content=storable(answer.content))
                return ToolReturned(
                    path=path_text(self.path), outcome=outcome, started_at=self.at, at=now
                )
            case HostAnswer(kind="refused"):
                return NotStarted(self.path, storable(answer.content))
            case _:
                return self.pending(now)

    def pending(self, now: datetime) -> Polled:
        """The result of a poll of a job that is not done, as far as is known."""
        return Polled(path=path_text(self.path), number=self.attempt, at=now)

    def _answer(self, response: HostResponse) -> HostAnswer | None:
        found = [each for each in response.answers if each.path == path_text(self.path)]
        return found[0] if len(found) == 1 else None

    def _returned(self, outcome: Outcome, now: datetime) -> ToolReturned:
        return ToolReturned(
            path=path_text(self.path),
            outcome=outcome,
            attempt=self.attempt,
            started_at=self.at,
            at=now,
        )


def outcome_or_wait(tool: Tool, answer: HostAnswer, now: datetime) -> Outcome | Wait:
    """What a body has returned: the call's outcome, or its wait as it is stored.

    Args:
        tool: the tool as it is deployed in this process.
        answer: an answer of the kind `ok`, `error` or `wait`.
        now: the time that waits are counted from.
    """
    if answer.kind != "wait":
        kind: Literal["ok", "error"] = "ok" if answer.kind == "ok" else "error"
        return Outcome(kind=kind, content=storable(answer.content))
    made, error = attempted(lambda: tool.wait(read_wait(answer.wait or {}), now))
    if error is not None:
        return Outcome(kind="error", content=failure_text(error))
    wait: Wait = made
    return wait
