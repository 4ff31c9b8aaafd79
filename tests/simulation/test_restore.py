"""The table of runs is lost and restored to an earlier time, in the middle of a world; that of the
notices is kept, or restored with it.
"""

import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent_continuations.core.inbound import Restore
from agent_continuations.operations.after_restore import RunAfterRestore, mark_runs
from tests.simulation.checks import Monitor, violations
from tests.simulation.dynamodb import OUTBOX, SimulatedDynamoDB
from tests.simulation.faults import Faults
from tests.simulation.scenario import OPERATOR, Scenario
from tests.simulation.scheduler import EPOCH, Process
from tests.simulation.world import SWEEP_SECONDS, World

# What must hold whatever was lost: no `once` call runs twice, none without approval, no run stops.
PROMISES = ("S2", "S3", "S4", "L1: still")
LOST_SECONDS = 400.0
WORLDS = 40


class RestoredWorld(World):
    """A world whose table is restored, and whose runs are marked, before it goes on.

    Args:
        scenario: the scenario.
        faults: the faults besides the loss of the table.
        since: the second to which the table is restored, `LOST_SECONDS` later.
        marks: whether the runs are marked.
        both: whether the table of the notices is lost and restored, too.
    """

    def __init__(
        self,
        scenario: Scenario,
        faults: Faults,
        since: float,
        *,
        marks: bool = True,
        both: bool = False,
    ) -> None:
        self.watch = Monitor()
        super().__init__(scenario, faults, self.watch)
        self.since = since
        self.marks = marks
        self.both = both
        self.marked: list[RunAfterRestore] = []
        self.executions_since = 0
        self._processes: list[Process] = []
        self._backup: dict[str, dict[str, dict[str, Any]]] = {}
        self.scheduler.later(since, self._back_up)
        self.scheduler.later(since + LOST_SECONDS, self._restore)

    def process(self, name: str, work: Any) -> Process:
        process = super().process(name, work)
        self._processes.append(process)
        return process

    def _back_up(self) -> None:
        self._backup = self._tables()
        self.executions_since = len(self.ground_truth.executions)

    def _tables(self) -> dict[str, dict[str, dict[str, Any]]]:
        tables = {"table": self.dynamodb.items, OUTBOX: self.dynamodb.outbox}
        return copy.deepcopy(tables)

    def _restore(self) -> None:
        for process in self._processes:
            process.kill()
        self.executions_since = len(self.ground_truth.executions) - self.executions_since
        self.ground_truth.completed.clear()  # the outcomes of jobs are lost, too
        self._every(SWEEP_SECONDS, self.functions.sweep)  # it ends with the last run
        restored = self._backup if self.both else {**self._tables(), "table": self._backup["table"]}
        self.dynamodb = SimulatedDynamoDB(self.transport, self._item_written)
        self.faults = replace(self.faults, lag=0.0)  # the indexes are restored with the table
        with self.without_faults():
            for table, partitions in restored.items():
                for item in (each for items in partitions.values() for each in items.values()):
                    self.dynamodb.put_item(TableName=table, Item=item)
            if self.marks:
                self.marked = self._mark(after=0)
                assert not any(each.marked for each in self._mark(after=1))

    def _mark(self, after: int) -> list[RunAfterRestore]:
        until = EPOCH + timedelta(seconds=self.scheduler.now)
        at = until + timedelta(seconds=after)
        restore = Restore(since=EPOCH + timedelta(seconds=self.since), until=until, at=at)
        return list(mark_runs(self.functions.store(), restore, operators=[OPERATOR]))

    def broken(self) -> list[str]:
        """Run the world; returns the promises that it broke."""
        self.run()
        return [
            each
            for each in violations(self, self.watch)
            if each.startswith(PROMISES) and not self._is_idempotent(each)
        ]

    def _is_idempotent(self, violation: str) -> bool:
        """Whether it is about a call that ran, and was rejected when people were asked again.

        Calls of `idempotent` tools are not in doubt: with their key, they take effect once.
        """
        _, path, *rest = violation.split()
        return rest[-3:] == ["rejected", "and", "ran"] and any(
            each.tool == "note_gated" for each in self.ground_truth.executions if each.path == path
        )


def restored_world(seed: int, *, marks: bool = True) -> RestoredWorld:
    """A world of runs that nobody cancels, under code that does not change."""
    scenario = replace(Scenario.drawn(seed), cancel=False, deploy=False, wide=0)
    faults = Faults.drawn(seed) if seed % 2 else Faults()
    since, both = 5.0 + 37.0 * (seed % 20), seed % 3 == 0
    return RestoredWorld(scenario, faults, since, marks=marks, both=both)


@pytest.mark.parametrize("seed", range(WORLDS))
def test_after_a_restore_no_once_call_runs_twice_and_every_run_ends(seed: int) -> None:
    assert restored_world(seed).broken() == []


def test_without_the_command_once_calls_run_twice() -> None:
    worlds = (restored_world(seed, marks=False) for seed in range(WORLDS))
    assert any(each.startswith("S2") for world in worlds for each in world.broken())
