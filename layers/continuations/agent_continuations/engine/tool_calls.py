"""Tools and polls: their intents, and the requests to the hosts that run them.

A request that is not answered is never sent again. A call whose body has certainly not run starts
again later; one of which this is not known is in doubt, unless it may simply run again.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from agent_continuations.core.awaiting import Await
from agent_continuations.core.continuation import Intent
from agent_continuations.core.effects import PollJob, RunTool
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.plans import Effect
from agent_continuations.core.waits import JobWait
from agent_continuations.engine.calls import BoundCall, bind_poll, bind_tool, refusal_text
from agent_continuations.engine.context import EngineContext
from agent_continuations.engine.deadlines import is_due
from agent_continuations.engine.host_answers import Lost, NotStarted, Sent, ToolResult
from agent_continuations.engine.in_flight import InFlight, has_intent
from agent_continuations.engine.release_status import Block
from agent_continuations.engine.unit_of_work import RunUnitOfWork
from agent_continuations.errors import Fatal, Retryable
from agent_continuations.ports.limits import MAX_INTENTS_AT_ONCE
from agent_continuations.ports.tool_host import (
    HOST_GRACE_SECONDS,
    MAX_HOST_BYTES,
    CallLost,
    HostRequest,
    NotRun,
)

MAX_CALLS_BYTES = MAX_HOST_BYTES - 1000
"""The largest size of the calls of one request; all else in it is short."""

Start = tuple[RunTool, BoundCall]


class ToolCalls:
    """Starts tools and polls, and takes what their hosts say about those that did not end well.

    Args:
        context: dependencies and time limits.
        run: the run's unit of work.
        in_flight: takes the calls that are started.
        deadline: when this process will end; None if it has no deadline.
        blocked: takes what keeps a call from starting.

    Attributes:
        needs_time: whether a call was not started because its host may take longer than this
            process has left.
        ended: calls whose last attempt has certainly ended, though nobody knows how, with the
            number of that attempt.
    """

    def __init__(
        self,
        context: EngineContext,
        run: RunUnitOfWork,
        in_flight: InFlight,
        deadline: datetime | None,
        blocked: dict[Path, Block],
    ) -> None:
        self.needs_time = False
        self.ended: set[tuple[Path, int]] = set()
        self._context = context
        self._limits = context.limits
        self._run = run
        self._in_flight = in_flight
        self._deadline = deadline
        self._started_at = context.clock()
        self._blocked = blocked
        self._hosts = context.hosts()
        self._alone: set[Path] = set()

    def start(self, starts: Sequence[RunTool]) -> None:
        """Start tools; the intents of those that may not simply run again are stored first."""
        ready: dict[Path, Start] = {}
        capacity = self._in_flight.capacity
        for start in starts:
            if len(ready) >= capacity:
                break
            bound = self._bound(
                start.path,
                lambda head, root, each=start: bind_tool(
                    self._context, head, root, each.path, each.attempt
                ),
            )
            if bound:
                ready[start.path] = (start, bound)
        reads = [each for each in ready.values() if not has_intent(each[0])]
        for together in self._that_share_a_request(reads):
            self._submit(together, self._context.clock())
        with_intent = [each for each in ready.values() if has_intent(each[0])]
        for at in range(0, len(with_intent), MAX_INTENTS_AT_ONCE):
            batch = with_intent[at : at + MAX_INTENTS_AT_ONCE]
            since = self._record_intents(batch)
            for each in batch:
                self._submit([each], since)

    def poll(self, effect: Await) -> None:
        """Start the poll of a job, if it is due."""
        now, root = self._context.clock(), self._run.continuation
        wait = root.call_at(effect.path).wait
        if not isinstance(wait, JobWait) or not is_due(effect, now) or not self._in_flight.capacity:
            return
        bound = self._bound(
            effect.path, lambda head, root: bind_poll(self._context, head, root, effect.path)
        )
        if bound is None:
            return
        number, request = wait.polls + 1, self._request("poll", [bound], now)
        sent = Sent(effect.path, bound.tool, Effect.READ, number, now)

        def perform() -> ToolResult:
            try:
                response = self._hosts.invoke(bound.tool.host, request)
            except NotRun as error:
                return sent.not_started(error.reason, passes=error.passes, soon=error.soon)
            except CallLost:
                return sent.pending(self._context.clock())
            return sent.poll_result(response, self._context.clock())

        self._in_flight.submit(PollJob(path=effect.path, number=number), perform)

    def take(self, failed: NotStarted | Lost) -> None:
        """Take a call that did not end well. An intent of one that was not started is withdrawn."""
        if isinstance(failed, NotStarted):
            root = self._run.continuation
            reason = refusal_text(root, failed.path, failed.reason, failed.shown)
            self._blocked[failed.path] = Block(reason, failed.passes, failed.soon)
            return
        if not failed.alone:
            self._alone.add(failed.path)
        elif failed.effect is not Effect.ONCE:
            self._blocked[failed.path] = Block(failed.reason, passes=True)
        elif failed.ended:
            self.ended.add((failed.path, failed.attempt))

    # -- what is sent ------------------------------------------------------------------------------

    def _bound(self, path: Path, bind: Callable[..., BoundCall]) -> BoundCall | None:
        """The bound call, if it can start; else it is blocked, or waits for another process."""
        try:
            bound = bind(self._run.head, self._run.continuation)
            timeout = self._hosts.timeout(bound.tool.host)
        except Fatal as error:
            self._blocked[path] = Block(str(error), passes=False)
            return None
        except Retryable as error:
            self._blocked[path] = Block(str(error), passes=True, soon=True)
            return None
        except NotRun as error:
            self._blocked[path] = Block(error.reason, error.passes)
            return None
        if timeout is None:
            return bound
        if _size(bound) > MAX_CALLS_BYTES:
            self._blocked[path] = Block("the call is too large for its tool's host", passes=False)
            return None
        longest = timedelta(seconds=self._longest(timeout))
        if self._deadline and self._started_at + longest > self._deadline:
            # Handing the run on would not help, and so never end.
            why = f"the engine's timeout is too short for the tool host {bound.tool.host}"
            self._blocked[path] = Block(why, passes=True)
            return None
        if self._deadline and self._context.clock() + longest > self._deadline:
            self.needs_time = True
            return None
        return bound

    def _that_share_a_request(self, reads: Sequence[Start]) -> Iterator[list[Start]]:
        """Calls that only read, in groups: those of one host apart, as many as fit a request."""
        together: dict[str, list[Start]] = {}
        left: dict[str, int] = {}
        for start in reads:
            path, bound = start[0].path, start[1]
            host = bound.tool.host
            if path in self._alone or self._hosts.timeout(host) is None:
                yield [start]
                continue
            size = _size(bound)
            if size > left.get(host, 0):
                if host in together:
                    yield together[host]
                together[host], left[host] = [], MAX_CALLS_BYTES
            together[host].append(start)
            left[host] -= size
        yield from together.values()

    def _record_intents(self, starts: Sequence[Start]) -> datetime:
        """Store the intents of tools that start now; past their deadline no process runs them.

        Returns:
            The time from which their deadlines count.
        """
        now = self._context.clock()
        self._run.record_intents(
            {
                path_text(start.path): Intent(
                    attempt=start.attempt,
                    started_at=now,
                    deadline=self._ends_at(bound.tool.host, now),
                )
                for start, bound in starts
            }
        )
        return now

    def _ends_at(self, host: str, now: datetime) -> datetime:
        """When no process can run a body any more that is sent to a host now."""
        timeout = self._hosts.timeout(host)
        if timeout is not None:
            return now + timedelta(seconds=timeout + HOST_GRACE_SECONDS)
        return self._deadline or now + timedelta(seconds=self._limits.default_tool_timeout)

    def _submit(self, starts: Sequence[Start], since: datetime) -> None:
        """Start the request for calls of one host.

        Args:
            starts: the calls.
            since: the time from which the deadlines of their intents count.
        """
        sent_at, host = self._context.clock(), starts[0][1].tool.host
        alone = len(starts) == 1
        sent = [
            Sent(start.path, bound.tool, start.effect, start.attempt, sent_at, alone)
            for start, bound in starts
        ]
        request = self._request("run", [bound for _, bound in starts], since)

        def perform() -> list[ToolResult]:
            try:
                response = self._hosts.invoke(host, request)
            except NotRun as error:
                return [
                    each.not_started(error.reason, passes=error.passes, soon=error.soon)
                    for each in sent
                ]
            except CallLost as error:
                return [each.lost(error.reason, ended=error.ended) for each in sent]
            now = self._context.clock()
            return [each.result(response, now) for each in sent]

        self._in_flight.submit_together([start for start, _ in starts], perform)

    def _request(
        self, do: Literal["run", "poll"], calls: Sequence[BoundCall], since: datetime
    ) -> HostRequest:
        """A request to the host of some calls.

        A body that starts in time, by any machine's clock, ends before people are asked about it:
        this process, or the request on its way, may have stood still since the intent was stored.
        """
        late = timedelta(seconds=HOST_GRACE_SECONDS + self._limits.clock_skew / 2)
        is_apart = self._hosts.timeout(calls[0].tool.host) is not None
        return HostRequest(
            do=do,
            run_id=self._run.run_id,
            not_after=since + late if is_apart else None,
            calls=tuple(each.hosted for each in calls),
        )

    def _longest(self, timeout: float) -> float:
        """How many seconds this process may have to wait for a host."""
        return timeout + HOST_GRACE_SECONDS + self._limits.abandon_margin


def _size(bound: BoundCall) -> int:
    """How many bytes a call has in a request."""
    return len(bound.hosted.model_dump_json().encode())
