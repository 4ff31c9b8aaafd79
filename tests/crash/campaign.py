"""Real processes, killed at random moments on a real store, while people decide.

    python -m tests.crash.campaign --kills 500 --store ministack|dynamodb-local [--seed N]

prints what it did and ends with 1 if a promise was broken. In the middle the store is restarted,
too. The seed draws the moments, aims and answers; what they meet is the machine's doing, so no two
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
from tests.crash.fleet import Fleet, Queue
from tests.crash.ledger import Entry, Ledger
from tests.crash.people import PASSING, People
from tests.crash.promises import Evidence, violations
from tests.crash.stores import STORES, Opened, Place, running
from tests.crash.talk import Within
from tests.local.ministack import isolate_from_aws
from tests.simulation.scenario import deployment

OPEN_RUNS = 8
KILL_SECONDS = 0.5
SWEEP_SECONDS = 0.4
AIM_SECONDS = 1.5
PATIENCE_SECONDS = 150.0
AIMS = (Within.TOOL, Within.MODEL, Within.REQUEST, Within.MESSAGE)


class Campaign:
    """Kills, restarts and runs; `report` and `broken` tell what came of it."""

    def __init__(self, place: Place, home: Path, kills: int, seed: int) -> None:
        self.kills, self.random = kills, Random(seed)
        self.queue = Queue(self.random)
        self.ledger = Ledger(home / "ledger")
        self.services = Services.of(
            store=Opened(place.address).store,
            queue=self.queue,
            registry=lambda: deployment(_nothing),
        )
        self.people = People(self.services, self.ledger, self.random)
        self.fleet = Fleet(home, place.address, self.queue, self.people.mail, self.random)
        self.jobs: list[str] = []
        self.restarts = 0
        self.restart_seconds = self.kill_seconds = self.seconds = 0.0
        self.entries: list[Entry] = []
        self.broken: list[str] = []
        self._place = place
        self._ended: set[str] = set()
        self._restart: Thread | None = None
        self._aim = self.random.choice(AIMS)

    def run(self) -> None:
        """From the first start to the last run's end, or until patience has one."""
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
                    self._look()
                    next_look = now + 0.5
                self.fleet.serve()
                if self.fleet.kills < self.kills:
                    if now >= next_kill and self._kill(now - next_kill):
                        next_kill = time.monotonic() + self.random.expovariate(1 / KILL_SECONDS)
                    last = now
                elif len(self._ended) == len(self.jobs) or now > last + PATIENCE_SECONDS:
                    break
        finally:
            if self._restart:
                self._restart.join()
            self.people.leave()
            self.fleet.end()
        self.kill_seconds, self.seconds = last - began, time.monotonic() - began
        self.entries = self.ledger.entries()
        self.broken = [*self.people.broken, *self.fleet.broken, *self._violations()]

    def _kill(self, late: float) -> bool:
        """Kill a worker where it hurts, if one is there; after a while, any that is at work."""
        if self._restart and self._restart.is_alive():
            return False
        if not self.fleet.kill(Within.MESSAGE if late > AIM_SECONDS else self._aim):
            return False
        self._aim = self.random.choice(AIMS)
        if self.fleet.kills == max(1, self.kills // 2):
            self._restart = Thread(target=self._restarted)
            self._restart.start()
        return True

    def _restarted(self) -> None:
        began = time.monotonic()
        self._place.restart()
        self.restart_seconds = time.monotonic() - began
        self.restarts += 1

    def _look(self) -> None:
        """Start a run for each that has ended, as long as there are kills to come."""
        try:
            for job in self.jobs:
                if job in self._ended:
                    continue
                head = self.services.runs.store.head(run_id_for(DEFAULT_TENANT, job))
                if head and head.status.terminal and head.status.value != "parked":
                    self._ended.add(job)
        except PASSING:
            return  # the store is being restarted
        if self.fleet.kills < self.kills:
            for _ in range(OPEN_RUNS - (len(self.jobs) - len(self._ended))):
                self.jobs.append(f"job {len(self.jobs)}")
                self.people.start(self.jobs[-1])

    def _violations(self) -> list[str]:
        stuck = [
            f"L1: {run_id}: {why}"
            for run_id, why in stuck_runs(self.services.runs.store, utc_now())
        ]
        return stuck + list(violations(self.evidence()))

    def evidence(self) -> Evidence:
        """All that is known of it."""
        return Evidence(
            runs={job: self._loaded(job) for job in self.jobs},
            entries=self.entries,
            said=self.people.said,
            told=self.people.told,
            interrupted=self.fleet.interrupted,
        )

    def _loaded(self, job: str) -> LoadedRun | None:
        try:
            return self.services.runs.load(run_id_for(DEFAULT_TENANT, job))
        except NotFound:
            return None

    def report(self) -> str:
        """What was done, in lines."""
        ran = Counter(each.tool for each in self.entries if each.tool)
        asked = Counter(
            (each.run_id, each.path, each.number) for each in self.entries if not each.tool
        )
        fleet = self.fleet
        return "\n".join(
            [
                f"{fleet.kills} kills, {self.restarts} restarts of the store,"
                f" {len(self.jobs)} runs",
                f"{self.seconds:.0f} s: {self.kill_seconds:.0f} to the last kill, of which"
                f" {self.restart_seconds:.0f} for the restart, then to the end of all runs",
                f"hit (one kill can hit several places): {_listed(fleet.hits)}",
                f"requests that were hit: {_listed(fleet.operations)}",
                f"workers that ended otherwise: {_listed(fleet.ends) or 'none'}",
                f"messages: {_listed(fleet.messages)}",
                f"of which failed, and came again: {_listed(fleet.failures) or 'none'}",
                f"tools ran: {_listed(ran)}",
                f"model calls: {sum(asked.values())}, of which again:"
                f" {sum(asked.values()) - len(asked)}",
                f"people: {_listed(self.people.counts)}",
                f"violations: {len(self.broken)}",
                *self.broken[:50],
            ]
        )


def campaign(store: str, kills: int, seed: int) -> Campaign:
    """Run one.

    Raises:
        dynamodb_local.Unavailable: this machine cannot have that store.
    """
    with tempfile.TemporaryDirectory(prefix="campaign-") as temporary:
        home = Path(temporary)
        with running(store, home) as place:
            one = Campaign(place, home, kills, seed)
            one.run()
            return one


def _listed(counts: "Counter[str] | dict[str, int]") -> str:
    return ", ".join(f"{times} {what}" for what, times in sorted(counts.items()))


def _nothing(*_: object) -> str:
    raise AssertionError("no tool runs in this process")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--store", choices=STORES, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    isolate_from_aws()
    told = campaign(given.store, given.kills, given.seed)
    sys.stdout.write(told.report() + "\n")
    return 1 if told.broken else 0


if __name__ == "__main__":
    sys.exit(main())
