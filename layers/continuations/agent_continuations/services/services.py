"""All services of one tenant, over one store and queue."""

from collections.abc import Callable
from dataclasses import dataclass

from agent_continuations.authoring.registry import Registry
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import Store
from agent_continuations.services.control import RunControl
from agent_continuations.services.decisions import DecisionService
from agent_continuations.services.grants import GrantService
from agent_continuations.services.inbound import RunInbound
from agent_continuations.services.runs import DEFAULT_TENANT, RunService


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one tenant.

    Attributes:
        runs: starts and reads runs.
        control: cancels, pauses, resumes and redrives them.
        inbound: stores messages, events and outcomes of jobs.
        decisions: accepts responses of approvers.
        grants: keeps standing approvals.
    """

    runs: RunService
    control: RunControl
    inbound: RunInbound
    decisions: DecisionService
    grants: GrantService

    @classmethod
    def of(
        cls,
        *,
        store: Store,
        queue: WorkQueue,
        registry: Callable[[], Registry],
        tenant: str = DEFAULT_TENANT,
        clock: Clock = utc_now,
    ) -> "Services":
        """The services over a store and a queue.

        Args:
            store: keeps the runs.
            queue: carries wake-up messages.
            registry: returns the agents; called only to start a run and to validate edited
                arguments and answers.
            tenant: the tenant of the runs; the runs of others are not visible.
            clock: returns the time.
        """
        runs = RunService(store=store, queue=queue, registry=registry, tenant=tenant, clock=clock)
        grants = GrantService(store=store, tenant=tenant, clock=clock)
        return cls(
            runs=runs,
            control=RunControl(runs),
            inbound=RunInbound(runs),
            decisions=DecisionService(runs, grants),
            grants=grants,
        )
