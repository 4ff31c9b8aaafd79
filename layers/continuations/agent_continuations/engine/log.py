"""Log lines of the engine: one for each fact about a run, once the fact is certain.

Most lines follow from stored events, see `event_lines`. What a conflict or a lost lease has undone
leaves no line, and neither does a process that dies between a write and its line: the timeline is
the record of a run, the log is there to follow it.

A line is a short message with its details in `extra`: always `run_id` and `agent`, and `path`
unless it is about the whole run. Lines of level INFO hold no text of models and people: no
arguments, results, messages, names of approvers. Level DEBUG adds lines with such texts, shortened.
Reasons and tracebacks, of level WARNING and ERROR, may quote them.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from logging import DEBUG, ERROR, INFO, WARNING, getLogger
from typing import TYPE_CHECKING, Any

from agent_continuations.authoring.tool_log import shortened
from agent_continuations.core.backoff import ModelBackoff, Obstacle
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.effects import PollJob
from agent_continuations.core.events import Event, ModelReplied, ToolReturned
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.run import RunHead, Status
from agent_continuations.engine.event_lines import Completed, event_line, time_text
from agent_continuations.ports.model import ModelRequest

if TYPE_CHECKING:
    from agent_continuations.engine.in_flight import InFlightEffect

_log = getLogger(__name__)


class RunLog:
    """The log lines about one run, written by one execution or for one response.

    Without a handler for their level they cost a comparison.
    """

    def __init__(self, head: RunHead) -> None:
        self._head = head
        self._completed: dict[str, Completed] = {}

    def completed(self, finished: "InFlightEffect") -> None:
        """Keep how an effect was performed, for the line that follows once its event is stored."""
        if _log.isEnabledFor(INFO):
            effect = finished.effect
            poll = effect.number if isinstance(effect, PollJob) else None
            milliseconds = round(1000 * finished.work.seconds)
            self._completed[path_text(effect.path)] = Completed(milliseconds, poll)

    def stored(self, root: Continuation, events: Iterable[Event]) -> None:
        """Write the lines of events that are on record.

        Args:
            root: the run, with the calls of the events.
            events: the events, in their order.
        """
        if not _log.isEnabledFor(INFO):
            return
        for event in events:
            if isinstance(event, ModelReplied):
                self.stored(root, event.reads)
            completed = self._completed.pop(getattr(event, "path", "?"), None)
            if line := event_line(root, event, completed):
                self._write(INFO, line.message, line.details, line.agent, line.path)
                self._write_text(event, line.agent, line.path)

    def model_called(self, request: ModelRequest) -> None:
        """A model is called."""
        if _log.isEnabledFor(DEBUG):
            last: Mapping[str, Any] = request.messages[-1] if request.messages else {}
            details = {
                "model": request.model,
                "messages": len(request.messages),
                "last_message": shortened(str(last.get("content"))),
            }
            self._write(DEBUG, "model request", details, request.agent, request.path)

    def model_unavailable(
        self, root: Continuation, path: Path, backoff: ModelBackoff, now: datetime
    ) -> None:
        """A model call failed, and no model is called until the back-off is over."""
        seconds = round((backoff.until - now).total_seconds(), 1)
        details = {"reason": backoff.reason, "tries": backoff.tries, "seconds": seconds}
        agent = root.frame_at(path).agent
        self._write(WARNING, "model unavailable", details, agent, path_text(path))

    def model_failed(self, root: Continuation, path: Path, error: BaseException) -> None:
        """A model call failed in a way that a person has to fix."""
        agent = root.frame_at(path).agent
        self._write(WARNING, "model call failed", {}, agent, path_text(path), error=error)

    def released(self, status: Status, due: datetime | None, note: str | None) -> None:
        """The run was released. Why it has failed is not written: it may quote a person."""
        details = {"status": status.value, "due": time_text(due)}
        match status:
            case Status.READY:
                self._write(INFO, "run handed on", details)
            case Status.SUSPENDED if note is None:
                self._write(INFO, "run suspended", details)
            case Status.SUSPENDED:
                # The note is about a problem that a person has to fix while something else waits.
                self._write(WARNING, "run suspended", {**details, "reason": note})
            case Status.PARKED:
                self._write(ERROR, "run parked", {**details, "reason": note})
            case _:
                self._write(INFO, "run ended", details)

    def blocked(self, obstacle: Obstacle, note: str | None) -> None:
        """The run has been blocked for some time, and a person should look at it."""
        details = {"since": time_text(obstacle.since), "tries": obstacle.tries, "reason": note}
        self._write(ERROR, "run blocked", details)

    def handed_back(self, note: str) -> None:
        """A claim came to nothing, and the run will be claimed again."""
        self._write(WARNING, "run handed back", {"reason": note})

    def lease_lost(self) -> None:
        """Another execution holds the lease, or soon will."""
        self._write(WARNING, "lease lost", {})

    def tools_abandoned(self) -> None:
        """A tool still runs, and the execution has stopped waiting for it."""
        self._write(WARNING, "tools abandoned", {})

    def _write_text(self, event: Event, agent: str, path: str) -> None:
        """Write the text of an event: what the model replied, or the result of a call."""
        if not _log.isEnabledFor(DEBUG):
            return
        details: dict[str, Any]
        match event:
            case ModelReplied(reply=reply):
                calls = [shortened(f"{each.name} {each.arguments}") for each in reply.requests]
                details = {"turn": event.turn, "calls": calls}
                details["content"] = shortened(reply.content or "")
                self._write(DEBUG, "reply text", details, agent, path)
            case ToolReturned():
                details = {"result": shortened(event.outcome.content)}
                self._write(DEBUG, "result text", details, agent, path)
            case _:
                pass

    def _write(
        self,
        level: int,
        message: str,
        details: Mapping[str, Any],
        agent: str | None = None,
        path: str | None = None,
        error: BaseException | None = None,
    ) -> None:
        place = {"run_id": self._head.run_id, "agent": agent or self._head.agent, "path": path}
        _log.log(level, message, extra={**place, **details}, exc_info=error, stacklevel=2)


def no_operators() -> None:
    """A deployment has nobody to ask about a call in doubt that has no approver."""
    _log.warning("no operators")
