"""The dependencies and the time limits of an execution."""

from collections.abc import Callable
from dataclasses import dataclass
from time import sleep

from agent_continuations.authoring.registry import Registry
from agent_continuations.engine.executor import EffectExecutor
from agent_continuations.ports.clock import Clock
from agent_continuations.ports.model import Model
from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import Store
from agent_continuations.ports.tool_host import HostsFactory


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of one execution, in seconds, and the number of its threads.

    Attributes:
        lease: how long a claim is valid without renewal.
        lease_renewal: interval between renewals; also how soon a running execution sees a
            decision.
        stop_margin: with this much time left before the deadline no new effect is started, and
            the run is handed on once the effects in flight have completed.
        abandon_margin: with this much time left the execution stops waiting for running tools.
        default_tool_timeout: without a deadline from the caller, how long a tool may run before
            its call is in doubt.
        model_retry, model_retry_longest: first and longest back-off after the model service was
            unavailable; it doubles in between.
        blocked_retry, blocked_retry_longest: first and longest interval between tries of a blocked
            call; it doubles in between.
        busy_retry: the first interval if a call is blocked because a host is busy.
        blocked_alarm: how long a run is blocked before operators are told.
        clock_skew: twice the largest difference between the clocks of two machines. A lease
            holder counts as dead this long after its deadline.
        store_retry_seconds: how long to retry the store while replies are unsaved. For an unsaved
            outcome of a tool, it is retried until the deadline.
        workers: how many model calls, tools and polls may be in flight at once.
    """

    lease: float = 120
    lease_renewal: float = 40
    stop_margin: float = 60
    abandon_margin: float = 5
    default_tool_timeout: float = 900
    model_retry: float = 30
    model_retry_longest: float = 900
    blocked_retry: float = 300
    blocked_retry_longest: float = 3600
    busy_retry: float = 30
    blocked_alarm: float = 900
    clock_skew: float = 120
    store_retry_seconds: float = 60
    workers: int = 32


@dataclass(frozen=True, slots=True)
class EngineContext:
    """The dependencies of an execution.

    Attributes:
        executor: makes the executor of one execution.
        hosts: makes the tool hosts for one execution.
        operators: are asked about a call in doubt that needed no approval.
        pause: waits for so many seconds between two tries of the store.
        callback_url: maps a run id and a call's path to the URL that takes the outcome of the job
            that the call has started; None if there is no such URL.
        outcome_token: maps a run id, a call's path and the number of an attempt to the token with
            which a host reports the attempt's outcome beside its answer; None if hosts report none.
        on_blocked: called each time a run stays blocked that has been for `Limits.blocked_alarm`.
    """

    store: Store
    model: Model
    registry: Registry
    queue: WorkQueue
    clock: Clock
    limits: Limits
    executor: Callable[[], EffectExecutor]
    hosts: HostsFactory
    operators: tuple[str, ...] = ()
    pause: Callable[[float], None] = sleep
    callback_url: Callable[[str, str], str] | None = None
    outcome_token: Callable[[str, str, int], str] | None = None
    on_blocked: Callable[[], None] = lambda: None
