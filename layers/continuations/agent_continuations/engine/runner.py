"""The shell around the core: claim, load, perform effects, record, until only waiting is left.

Model calls and tools run in threads. All else, every write included, happens in the one thread
that called `advance`, so the continuation has one writer here. A crash anywhere is the same as a
load: whatever this module keeps in memory is either on record or can be found out again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import sleep
from uuid import uuid4

from agent_continuations.authoring.registry import Registry
from agent_continuations.core.run import Status
from agent_continuations.engine.context import EngineContext, Limits
from agent_continuations.engine.execution import RunExecution
from agent_continuations.engine.executor import EffectExecutor, ThreadExecutor
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.model import Model
from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import Store


class Runner:
    """Advances runs, one at a time a call; safe to call from several threads and processes.

    Args:
        recipients: from a request's approvers, whom the outbox must reach, as `channel:address`.
        operators: who is asked about a lost call that needed no approver.
        abandon: called when a tool is still running that was given up on, at the end of `advance`;
            where a process may be frozen and thawed, it must end the process.
        crew: makes those who call models and run tools; threads where not given.
        callback_url: see `Means`.
    """

    def __init__(
        self,
        *,
        store: Store,
        model: Model,
        registry: Registry,
        queue: WorkQueue,
        recipients: Callable[[Sequence[str]], Sequence[str]] = lambda _approvers: (),
        clock: Clock = utc_now,
        limits: Limits | None = None,
        operators: Sequence[str] = (),
        abandon: Callable[[], None] = lambda: None,
        pause: Callable[[float], None] = sleep,
        executor: Callable[[], EffectExecutor] | None = None,
        callback_url: Callable[[str, str], str] | None = None,
    ) -> None:
        limits = limits or Limits()
        self._context = EngineContext(
            store=store,
            model=model,
            registry=registry,
            queue=queue,
            recipients=recipients,
            clock=clock,
            limits=limits,
            executor=executor or (lambda: ThreadExecutor(limits.workers)),
            operators=tuple(operators),
            pause=pause,
            callback_url=callback_url,
        )
        self._abandon = abandon

    def advance(self, run_id: str, *, deadline: datetime | None = None) -> Status | None:
        """Advance a run until it ends or can only wait.

        Args:
            run_id: the run.
            deadline: when this process will be gone; the run is handed on before.

        Returns:
            The status it was left in, or None where somebody else has it or it has ended.

        Raises:
            Retryable: the store did not answer; the lease will run out and the run go on.
        """
        now = self._context.clock()
        lease_until = now + timedelta(seconds=self._context.limits.lease)
        head = self._context.store.claim(
            run_id, holder=uuid4().hex, now=now, lease_until=lease_until
        )
        if head is None:
            return None
        executor = self._context.executor()
        execution = RunExecution(self._context, head, executor, deadline)
        try:
            return execution.run_to_rest()
        finally:
            executor.shutdown()
            if execution.has_abandoned_tools:
                self._abandon()
