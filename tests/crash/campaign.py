"""Real processes that are killed at random moments on a real store, while users decide.

    python -m tests.crash.campaign --kills 500 --store ministack|dynamodb-local [--seed N]

prints a report and exits with 1 if a promise was broken. The store is restarted in the middle, too.
The seed determines the times, targets and answers, but not the scheduling of the machine, so no two
campaigns are alike.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from threading import Thread

from agent_continuations.core.ids import run_id_for
from agent_continuations.core.run import LoadedRun
from agent_continuations.errors import NotFound
from agent_continuations.operations.stuck_runs import stuck_runs
from agent_continuations.ports.clock import utc_now
from agent_continuations.services.runs import DEFAULT_TENANT
from agent_continuations.services.services import Services
from tests.crash.effect_log import EffectLog, Record
from tests.crash.promises import Evidence, violations
from tests.crash.stores import STORES, OpenStore, RunningStore, running
from tests.crash.users import TRANSIENT_ERRORS, Users
from tests.crash.worker_pool import UnreliableQueue, WorkerPool
from tests.crash.worker_protocol import Activity
from tests.local.ministack import isolate_from_aws
from tests.simulation.scenario import deployment

OPEN_RUNS = 8
KILL_SECONDS = 0.5
SWEEP_SECONDS = 0.4
AIM_SECONDS = 1.5
PATIENCE_SECONDS = 150.0
AIMS = (Activity.TOOL, Activity.MODEL, Activity.REQUEST, Activity.MESSAGE)


class Campaign:
    """One campaign of kills, restarts and runs; its results are in `report` and `broken`."""

    def __init__(self, place: RunningStore, home: Path, kills: int, seed: int) -> None:
        self.kills, self.random = kills, Random(seed)
        self.queue = UnreliableQueue(self.random)
        self.effects = EffectLog(home / "ledger")
        self.services = Services.of(
            store=OpenStore(place.address).store,
            queue=self.queue,
            registry=lambda: deployment(_no_tool),
        )
        self.users = Users(self.services, self.effects, self.random)
        self.workers = WorkerPool(
            home, place.address, self.queue, self.users.receive_mail, self.random
        )
        self.jobs: list[str] = []
        self.restarts = 0
        self.restart_seconds = self.kill_seconds = self.seconds = 0.0
        self.records: list[Record] = []
        self.broken: list[str] = []
        self._place = place
        self._ended: set[str] = set()
        self._restart: Thread | None = None
        self._aim = self.random.choice(AIMS)

    def run(self) -> None:
        """Run from the first start to the end of all runs, or to the time limit."""
        began = time.monotonic()
        next_kill, next_sweep, next_look = began + 1.0, began, began
        last = began
        try:
            while True:
                now = time.monotonic()
                if now >= next_sweep:
                    self.queue.sweep()
                    next_sweep = now + SWEEP_SECONDS
                if now >= next_look:
                    self._start_runs()
                    next_look = now + 0.5
                self.workers.serve()
                if self.workers.kills < self.kills:
                    if now >= next_kill and self._kill(now - next_kill):
                        next_kill = time.monotonic() + self.random.expovariate(1 / KILL_SECONDS)
                    last = now
                elif len(self._ended) == len(self.jobs) or now > last + PATIENCE_SECONDS:
                    break
        finally:
            if self._restart:
                self._restart.join()
            self.users.stop()
            self.workers.stop()
        self.kill_seconds, self.seconds = last - began, time.monotonic() - began
        self.records = self.effects.records()
        self.broken = [*self.users.broken, *self.workers.broken, *self._violations()]

    def _kill(self, late: float) -> bool:
        """Kill a worker in the wanted activity, if there is one; later, any that is busy."""
        if self._restart and self._restart.is_alive():
            return False
        if not self.workers.kill(Activity.MESSAGE if late > AIM_SECONDS else self._aim):
            return False
        self._aim = self.random.choice(AIMS)
        if self.workers.kills == max(1, self.kills // 2):
            self._restart = Thread(target=self._restart_store)
            self._restart.start()
        return True

    def _restart_store(self) -> None:
        began = time.monotonic()
        self._place.restart()
        self.restart_seconds = time.monotonic() - began
        self.restarts += 1

    def _start_runs(self) -> None:
        """Start a run for each that has ended, as long as there are kills to come."""
        try:
            for job in self.jobs:
                if job in self._ended:
                    continue
                head = self.services.runs.store.head(run_id_for(DEFAULT_TENANT, job))
                if head and head.status.ended:
                    self._ended.add(job)
        except TRANSIENT_ERRORS:
            return  # the store is being restarted
        if self.workers.kills < self.kills:
            for _ in range(OPEN_RUNS - (len(self.jobs) - len(self._ended))):
                self.jobs.append(f"job {len(self.jobs)}")
                self.users.start(self.jobs[-1])

    def _violations(self) -> list[str]:
        stuck = [
            f"L1: {run_id}: {why}"
            for run_id, why in stuck_runs(self.services.runs.store, utc_now())
        ]
        return stuck + list(violations(self.evidence()))

    def evidence(self) -> Evidence:
        """The evidence of the campaign."""
        return Evidence(
            runs={job: self._loaded(job) for job in self.jobs},
            records=self.records,
            answers=self.users.answers,
            decisions=self.users.decisions,
            interruptions=self.workers.interruptions,
        )

    def _loaded(self, job: str) -> LoadedRun | None:
        try:
            return self.services.runs.load(run_id_for(DEFAULT_TENANT, job))
        except NotFound:
            return None

    def report(self) -> str:
        """The report, as lines."""
        ran = Counter(each.tool for each in self.records if each.tool)
        asked = Counter(
            (each.run_id, each.path, each.number) for each in self.records if not each.tool
        )
        fleet = self.workers
        return "\n".join(
            [
                f"{fleet.kills} kills, {self.restarts} restarts of the store,"
                f" {len(self.jobs)} runs",
                f"{self.seconds:.0f} s: {self.kill_seconds:.0f} to the last kill, of which"
                f" {self.restart_seconds:.0f} for the restart, then to the end of all runs",
                f"hit (one kill can hit several places): {_summary(fleet.kills_by_activity)}",
                f"requests that were hit: {_summary(fleet.kills_by_operation)}",
                f"workers that ended otherwise: {_summary(fleet.other_ends) or 'none'}",
                f"messages: {_summary(fleet.messages)}",
                f"of which failed, and came again: {_summary(fleet.failures) or 'none'}",
                f"tools ran: {_summary(ran)}",
                f"model calls: {sum(asked.values())}, of which again:"
                f" {sum(asked.values()) - len(asked)}",
                f"people: {_summary(self.users.counts)}",
                f"violations: {len(self.broken)}",
                *self.broken[:50],
            ]
        )


def run_campaign(store: str, kills: int, seed: int) -> Campaign:
    """Run a campaign.

    Raises:
        dynamodb_local.Unavailable: this machine cannot run that store.
    """
    with tempfile.TemporaryDirectory(prefix="campaign-") as temporary:
        home = Path(temporary)
        with running(store, home) as place:
            one = Campaign(place, home, kills, seed)
            one.run()
            return one


def _summary(counts: "Counter[str] | dict[str, int]") -> str:
    return ", ".join(f"{times} {what}" for what, times in sorted(counts.items()))


def _no_tool(*_: object) -> str:
    raise AssertionError("no tool runs in this process")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--store", choices=STORES, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    isolate_from_aws()
    done = run_campaign(given.store, given.kills, given.seed)
    sys.stdout.write(done.report() + "\n")
    return 1 if done.broken else 0


if __name__ == "__main__":
    sys.exit(main())
