"""What an owner of a run works with, and the times that bind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import sleep

from agent_continuations.authoring.registry import Registry
from agent_continuations.engine.executor import EffectExecutor
from agent_continuations.ports.clock import Clock
from agent_continuations.ports.model import Model
from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import Store


@dataclass(frozen=True, slots=True)
class Limits:
    """Times that bound one advance, in seconds.

    Attributes:
        lease: how long a claim holds without renewal.
        renewal: how often it is renewed; also how soon a running owner sees a decision.
        margin: with this much time left nothing new is begun, and the run is handed on once what
            was begun has come back.
        farewell: with this much left even what has not come back is left behind.
        stay: where the caller gives no deadline, how long a tool may take before it is in doubt.
        model_retry, model_retry_longest: the first wait after the model service was unavailable,
            and the longest to which it is doubled.
        clock_skew: twice what the clocks of two machines may differ by; so much after its
            deadline, an owner is given up.
        patience: how long a store that does not answer is tried again, while there is something
            in hand that only this owner knows.
    """

    lease: float = 120
    lease_renewal: float = 40
    stop_margin: float = 60
    abandon_margin: float = 5
    default_tool_timeout: float = 900
    model_retry: float = 30
    model_retry_longest: float = 900
    clock_skew: float = 120
    store_retry_seconds: float = 60
    workers: int = 32


@dataclass(frozen=True, slots=True)
class EngineContext:
    """What an owner works with.

    Attributes:
        crew: makes those who do the work at the side of one advance.
        callback_url: from a run and a call's path to where the outcome of what the call has started
            elsewhere can be told; None where there is no such place.
    """

    store: Store
    model: Model
    registry: Registry
    queue: WorkQueue
    recipients: Callable[[Sequence[str]], Sequence[str]]
    clock: Clock
    limits: Limits
    executor: Callable[[], EffectExecutor]
    operators: tuple[str, ...] = ()
    pause: Callable[[float], None] = sleep
    callback_url: Callable[[str, str], str] | None = None
