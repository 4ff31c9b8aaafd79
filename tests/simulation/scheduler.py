"""Processes in virtual time: one task runs at a time, in an order that the seed determines.

A process stands for a Lambda process: concurrent tasks with one clock, killed and paused together.
Each task is a greenlet that runs until it sleeps or reaches a *point*: the moment before a request,
after it, or in the middle of a tool. At a point the process may be killed or paused.
"""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

from agent_continuations.adapters.stores.dynamodb.items import FORM
from agent_continuations.authoring.registry import Registry

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
MAX_STEPS_AT_ONCE = 100_000
Result = TypeVar("Result")


class Killed(BaseException):
    """The process was killed; its code only unwinds now."""


class EndlessLoop(AssertionError):
    """Tasks run endlessly without time passing."""


class Process:
    """Tasks that run and are killed together.

    Attributes:
        skew: how many seconds its clock is ahead.
        frozen_until: the process is paused until this time.
        disturbed: it was killed, or was paused as a whole or in part.
        run_id: the run that it advances; empty if it advances none.
        ends_at: when it will be killed, at the latest, if it advances a run.
        agents: the agents that it has deployed, if it advances a run.
        form: the newest form of stored items that its code knows.
        caller: the process that waits for its answer, if it is a tool host's.
    """

    def __init__(self, scheduler: "Scheduler", name: str, skew: float) -> None:
        self.scheduler = scheduler
        self.name = name
        self.skew = skew
        self.frozen_until = 0.0
        self.disturbed = False
        self.run_id = ""
        self.ends_at = 0.0
        self.agents: Registry | None = None
        self.form = FORM
        self.caller: Process | None = None
        self.dead = False
        self.tasks: list[greenlet] = []

    @property
    def may_lose_outcomes(self) -> bool:
        """Whether an outcome in its hands may never be stored, with good reason."""
        return self.disturbed or (self.caller is not None and self.caller.may_lose_outcomes)

    def clock(self) -> datetime:
        """The time by the clock of this process."""
        return EPOCH + timedelta(seconds=self.scheduler.now + self.skew)

    def run(self, work: Callable[[], None]) -> None:
        """Start a task."""
        task = greenlet(work)
        self.tasks.append(task)
        self.scheduler.resume(self, task, self.scheduler.now)

    def kill(self) -> None:
        """Kill the process now. Its unwinding code sends no requests."""
        self.dead = True
        here = getcurrent()
        with self.scheduler.running(self):
            for task in self.tasks:
                if task is not here and task:
                    task.parent = here
                    with suppress(Killed):
                        task.throw(Killed)
        self.scheduler.notify()
        if here in self.tasks:
            raise Killed

    # -- the executor port ---------------------------------------------------------------------

    def submit(self, work: "Callable[[], Result]") -> "Future[Result]":
        future: Future[Result] = Future()

        def run_work() -> None:
            try:
                result = work()
            except Killed:
                raise
            except BaseException as error:  # noqa: BLE001 - as a thread pool does
                future.set_exception(error)
            else:
                future.set_result(result)
            self.scheduler.notify()

        self.run(run_work)
        return future

    def wait(self, begun: Collection["Future[Any]"], seconds: float) -> None:
        self.scheduler.sleep(seconds, lambda: any(each.done() for each in begun))

    def shutdown(self) -> None: ...


class Scheduler:
    """Virtual time.

    Args:
        random: decides every order and duration.
        at_point: called at each point that a process reaches; it may kill or pause the process.
    """

    def __init__(self, random: Random, at_point: Callable[[Process, str], None]) -> None:
        self.now = 0.0
        self.random = random
        self._at_point = at_point
        self._hub = getcurrent()
        self._number = 0
        self._agenda: list[tuple[float, int, Process | None, Any]] = []
        self._asleep: dict[greenlet, int] = {}
        self._conditions: dict[greenlet, tuple[Process, Callable[[], bool]]] = {}
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The process that is running."""
        assert self._process
        return self._process

    @property
    def agents(self) -> Registry | None:
        """The agents of the process that is running, if it advances a run."""
        return self._process.agents if self._process else None

    @contextmanager
    def running(self, process: Process | None) -> Iterator[None]:
        """Run a process as long as the block lasts."""
        before, self._process = self._process, process
        try:
            yield
        finally:
            self._process = before

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Schedule work that belongs to no process and takes no time."""
        self._number += 1
        heappush(self._agenda, (self.now + seconds, self._number, None, work))

    def resume(self, process: Process, task: greenlet, at: float) -> None:
        """Resume a task at a time, unless it is resumed before."""
        self._number += 1
        self._asleep.setdefault(task, self._number)
        heappush(self._agenda, (at, self._number, process, (task, self._asleep[task])))

    def sleep(self, seconds: float, wakes: Callable[[], bool] | None = None) -> None:
        """Sleep, or less long if `wakes` becomes true before."""
        process, task = self.process, getcurrent()
        until = self.now + max(0.0, seconds)
        while not (wakes and wakes()):
            if process.dead:
                raise Killed
            if wakes:
                self._conditions[task] = (process, wakes)
            self.resume(process, task, until)
            self._hub.switch()
            self._conditions.pop(task, None)
            if self.now >= until:
                break

    def notify(self) -> None:
        """Resume the tasks whose condition has become true."""
        for task, (process, wakes) in list(self._conditions.items()):
            if wakes():
                self.resume(process, task, self.now)

    def point(self, label: str) -> None:
        """A point at which the process may be killed or paused, and others run."""
        process = self.process
        if process.dead:
            raise Killed
        self._at_point(process, label)
        self.sleep(self.random.expovariate(50))

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> None:
        """Run until a time, or until `done`."""
        steps = 0
        while self._agenda and self._agenda[0][0] <= until and not done():
            at, _, process, what = heappop(self._agenda)
            steps = steps + 1 if at <= self.now else 0
            if steps > MAX_STEPS_AT_ONCE:
                raise EndlessLoop(f"{process.name if process else 'nobody'} spins at {self.now}")
            if process is None:
                self.now = max(self.now, at)
                what()
                continue
            task, sleep = what
            if process.dead or self._asleep.get(task) != sleep:
                continue
            if process.frozen_until > max(at, self.now):
                self.resume(process, task, process.frozen_until)
                continue
            self.now = max(self.now, at)
            del self._asleep[task]
            task.parent = self._hub
            with self.running(process), suppress(Killed):
                task.switch()
