"""The operators of a deployment: they act on alarms only, and once the cause is gone.

P1 no run is parked without a cause: a deployment without a tool of a call, an object that cannot be
read, or claims that ended without progress because their processes died.
"""

from collections import Counter
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from agent_continuations.core.run import RunHead, Status
from agent_continuations.errors import Conflict, NotFound
from agent_continuations.ports.limits import MAX_FRUITLESS
from tests.simulation.dynamodb import Item
from tests.simulation.scheduler import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

FRUITLESS = "executions without progress"


class Operators:
    """All operators.

    Attributes:
        needless: runs that were parked without a cause.
        alarms: when an alarm about a run was raised last, in seconds.
        told: runs about which there was ever an alarm.
        deaths: by run, how many of its processes died, or stood still, since its last progress.
        continued_at: when a parked run was redriven last, in seconds.
        damaged: the keys of the objects that were damaged.
        refused: runs with a call that was sent to a host without one of the tools.
    """

    def __init__(self, world: "World") -> None:
        self.needless: list[str] = []
        self.alarms: dict[str, float] = {}
        self.told: set[str] = set()
        self.deaths: Counter[str] = Counter()
        self.continued_at: dict[str, float] = {}
        self.damaged: list[str] = []
        self.refused: set[str] = set()
        self._world = world
        self._random = Random(f"operators {world.scenario.seed}")

    def head_written(self, before: Item | None, after: Item) -> None:
        """A head was written."""
        run_id = after["pk"]["S"].removeprefix("R#")
        was, now = before["status"]["S"] if before else "", after["status"]["S"]
        if int(after["stalls"]["N"]) == 0 and now not in ("running", "parked"):
            self.deaths[run_id] = 0
        if was == "parked" != now:
            self.continued_at[run_id] = self._world.scheduler.now
        if was != "parked" == now:
            self._check_cause(run_id, after["note"]["S"])

    def _check_cause(self, run_id: str, note: str) -> None:
        """Check that a run is parked for a cause."""
        if FRUITLESS in note:
            caused = self.deaths[run_id] >= MAX_FRUITLESS
        else:
            incomplete = self._world.scheduler.agents in self._world.incomplete
            caused = incomplete or run_id in self.refused or self._was_unreadable(run_id)
        if not caused:
            self.needless.append(f"P1: parked without a cause: {note}")

    def incomplete_host(self, run_id: str) -> None:
        """A host without one of the tools got a call of a run."""
        self.refused.add(run_id)

    def process_disturbed(self, process: Process) -> None:
        """A process is killed or stands still for long, so that its claim may come to nothing."""
        if not process.disturbed:
            process.disturbed = True
            if process.caller is None:
                self.deaths[process.run_id] += 1

    # -- alarms ------------------------------------------------------------------------------------

    def run_parked(self, run_id: str) -> None:
        """The alarm that a run is parked."""
        head = self._head(run_id)
        if head and head.status is Status.PARKED:
            self._alarm(head)

    def run_blocked(self, run_id: str) -> None:
        """The alarm that a run has been blocked for long."""
        if head := self._head(run_id):
            self._alarm(head)

    def _alarm(self, head: RunHead) -> None:
        world = self._world
        self.told.add(head.run_id)
        world.trace.append(f"{world.scheduler.now:.0f} alarm: {head.status}: {head.note}")
        if head.run_id in self.alarms:
            return  # they see to it already
        self.alarms[head.run_id] = world.scheduler.now
        world.scheduler.later(self._random.uniform(60, 900), partial(self._see_to, head.run_id))

    # -- what they do about it ---------------------------------------------------------------------

    def _see_to(self, run_id: str) -> None:
        """Redrive a run once the cause of its alarm is gone."""
        if self._is_cause_gone(run_id):
            self.alarms.pop(run_id)
            self._world.users.retry_until_answered("redrive", partial(self._redrive, run_id))
        else:
            self._world.scheduler.later(300.0, partial(self._see_to, run_id))

    def _is_cause_gone(self, run_id: str) -> bool:
        world = self._world
        unreadable = any(f"runs/{run_id}/" in key for key in world.s3.damaged)
        key_refused = any(
            "key" in each.services and each.since <= world.scheduler.now < each.until
            for each in world.faults.outages
        )
        return not (world.registry in world.incomplete or unreadable or key_refused)

    # -- the bucket and the dead letters -----------------------------------------------------------

    def damage_an_object(self) -> None:
        """Lose or change an object of the bucket. Operators restore it after a while."""
        bucket, random = self._world.s3, self._random
        keys = sorted(bucket.objects)
        if not keys:
            return
        key = random.choice(keys)
        bucket.damaged[key] = random.choice([None, bucket.objects[key][:-1]])
        self.damaged.append(key)
        self._world.trace.append(f"{self._world.scheduler.now:.0f} {key} is damaged")
        self._world.scheduler.later(
            random.choice([300.0, 3600.0, 10_000.0]) * random.uniform(0.5, 1.5),
            partial(bucket.damaged.pop, key, None),
        )

    def _was_unreadable(self, run_id: str) -> bool:
        return any(f"runs/{run_id}/" in key for key in self.damaged)

    def redrive_dead_letters(self) -> None:
        """Send the messages of the dead-letter queue again."""
        letters, self._world.functions.dead_letters = self._world.functions.dead_letters, []
        for queue, body in letters:
            self._world.functions.receive(queue, body, 1)

    def _redrive(self, run_id: str, process: Process) -> None:
        try:
            self._world.services(process).control.redrive(run_id)
        except (Conflict, NotFound):
            return  # it continues already

    def _head(self, run_id: str) -> RunHead | None:
        with self._world.without_faults():
            return self._world.functions.store().head(run_id)
