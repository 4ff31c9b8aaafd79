"""The runner claims a run and executes it until it ends or can only wait.

Model calls and tools run in threads. Everything else, every write included, happens in the thread
that called `advance`, so the continuation has one writer in this process. A crash at any point is
the same as a load: all state in memory is either on record or can be computed again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import sleep
from uuid import uuid4

from agent_continuations.authoring.in_process_host import InProcessHost
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.run import Status
from agent_continuations.engine.context import EngineContext, Limits
from agent_continuations.engine.execution import RunExecution
from agent_continuations.engine.executor import EffectExecutor, ThreadExecutor
from agent_continuations.engine.log import no_operators
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.model import Model
from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import Store
from agent_continuations.ports.tool_host import HostsFactory


class Runner:
    """Advances runs, one in each call of `advance`; safe for several threads and processes.

    Args:
        operators: are asked about a call in doubt that needed no approval. Without any, such a call
            blocks its run.
        abandon: called at the end of `advance` if an abandoned tool is still running. Where a
            process may be frozen and thawed, as on Lambda, it must end the process.
        executor: makes the executor of one execution; threads by default.
        hosts: makes the tool hosts for one execution; by default tools run in this process.
        callback_url, outcome_token, on_blocked: see `EngineContext`.
    """

    def __init__(
        self,
        *,
        store: Store,
        model: Model,
        registry: Registry,
        queue: WorkQueue,
        clock: Clock = utc_now,
        limits: Limits | None = None,
        operators: Sequence[str] = (),
        abandon: Callable[[], None] = lambda: None,
        pause: Callable[[float], None] = sleep,
        executor: Callable[[], EffectExecutor] | None = None,
        hosts: HostsFactory | None = None,
        callback_url: Callable[[str, str], str] | None = None,
        outcome_token: Callable[[str, str, int], str] | None = None,
        on_blocked: Callable[[], None] = lambda: None,
    ) -> None:
        limits = limits or Limits()
        in_process = InProcessHost(registry, clock)
        self._context = EngineContext(
            store=store,
            model=model,
            registry=registry,
            queue=queue,
            clock=clock,
            limits=limits,
            executor=executor or (lambda: ThreadExecutor(limits.workers)),
            hosts=hosts or (lambda: in_process),
            operators=tuple(operators),
            pause=pause,
            callback_url=callback_url,
            outcome_token=outcome_token,
            on_blocked=on_blocked,
        )
        self._abandon = abandon
        if not operators:
            no_operators()

    def advance(self, run_id: str, *, deadline: datetime | None = None) -> Status | None:
        """Advance a run until it ends or can only wait.

        Args:
            run_id: the run.
            deadline: when this process will end; the run is handed on before that.

        Returns:
            The status that the run was left in, or None if another execution has the lease or the
            run has ended. A parked run is reported each time, because the process that has parked
            it may have died before it raised the alarm.

        Raises:
            Retryable: the store did not answer. The run was handed back, or its lease will expire;
                it will be claimed again.
        """
        now = self._context.clock()
        lease_until = now + timedelta(seconds=self._context.limits.lease)
        head = self._context.store.claim(
            run_id, holder=uuid4().hex, now=now, lease_until=lease_until
        )
        if head is None:
            stored = self._context.store.head(run_id)
            return Status.PARKED if stored and stored.status is Status.PARKED else None
        executor = self._context.executor()
        execution = RunExecution(self._context, head, executor, deadline)
        try:
            status = execution.execute()
            if status is None:
                execution.run.log.lease_lost()
            return status
        finally:
            executor.shutdown()
            if execution.has_abandoned_tools:
                execution.run.log.tools_abandoned()
                self._abandon()
