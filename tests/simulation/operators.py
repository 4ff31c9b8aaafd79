"""The operators of a deployment: they act on alarms only, and once the cause is gone.

P1 no run is parked without a cause: a deployment without a tool of a call, an object that cannot be
read, or claims that ended without progress because their processes died.
"""

from collections import Counter
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from agent_continuations.authoring.registry import Registry
from agent_continuations.core.run import RunHead, Status
from agent_continuations.errors import Conflict, NotFound
from agent_continuations.ports.limits import MAX_FRUITLESS_CLAIMS
from tests.simulation.dynamodb import Item
from tests.simulation.scheduler import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

FRUITLESS = "claims without progress"


class Operators:
    """All operators.

    Attributes:
        needless: runs that were parked without a cause.
        alarms: when an alarm about a run was raised last, in seconds.
        deaths: by run, how many of its processes died, or stood still, since its last progress.
        continued_at: when a parked run was redriven last, in seconds.
    """

    def __init__(self, world: "World") -> None:
        self.needless: list[str] = []
        self.alarms: dict[str, float] = {}
        self.deaths: Counter[str] = Counter()
        self.continued_at: dict[str, float] = {}
        self._world = world
        self._random = Random(f"operators {world.scenario.seed}")

    def head_written(self, before: Item | None, after: Item) -> None:
        """A head was written."""
        run_id = after["pk"]["S"].removeprefix("R#")
        if int(after["stalls"]["N"]) == 0:
            self.deaths[run_id] = 0
        if before and before["status"]["S"] == "parked" != after["status"]["S"]:
            self.continued_at[run_id] = self._world.scheduler.now

    def process_disturbed(self, process: Process) -> None:
        """A process is killed or stands still for long, so that its claim may come to nothing."""
        if not process.disturbed:
            process.disturbed = True
            self.deaths[process.run_id] += 1

    # -- alarms ------------------------------------------------------------------------------------

    def run_parked(self, run_id: str, registry: Registry) -> None:
        """The alarm that a run was parked.

        Args:
            run_id: the run.
            registry: the agents of the process that has parked it.
        """
        head = self._head(run_id)
        if head is None or head.status is not Status.PARKED:
            return
        self._alarm(head)
        note = head.note or ""
        if FRUITLESS in note:
            caused = self.deaths[run_id] >= MAX_FRUITLESS_CLAIMS - 1
        else:
            caused = registry in self._world.incomplete
        if not caused:
            self.needless.append(f"P1: parked without a cause: {note}")

    def run_blocked(self, run_id: str) -> None:
        """The alarm that a run has been blocked for long."""
        if head := self._head(run_id):
            self._alarm(head)

    def _alarm(self, head: RunHead) -> None:
        world = self._world
        world.trace.append(f"{world.scheduler.now:.0f} alarm: {head.status}: {head.note}")
        if head.run_id in self.alarms:
            return  # they see to it already
        self.alarms[head.run_id] = world.scheduler.now
        world.scheduler.later(self._random.uniform(60, 900), partial(self._see_to, head.run_id))

    # -- what they do about it ---------------------------------------------------------------------

    def _see_to(self, run_id: str) -> None:
        """Redrive a run once the cause of its alarm is gone."""
        if self._is_cause_gone():
            self.alarms.pop(run_id)
            self._world.users.retry_until_answered("redrive", partial(self._redrive, run_id))
        else:
            self._world.scheduler.later(300.0, partial(self._see_to, run_id))

    def _is_cause_gone(self) -> bool:
        return self._world.registry not in self._world.incomplete

    def _redrive(self, run_id: str, process: Process) -> None:
        try:
            self._world.services(process).control.redrive(run_id)
        except (Conflict, NotFound):
            return  # it continues already

    def _head(self, run_id: str) -> RunHead | None:
        with self._world.without_faults():
            return self._world.functions.store().head(run_id)
