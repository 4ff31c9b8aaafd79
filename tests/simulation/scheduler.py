"""Processes in virtual time. One thing happens at a time, in an order that the seed decides.

A process is what a Lambda's process is: tasks that run at once, with one clock, killed together
and paused together. Each task is a greenlet that runs until it takes time or meets a *point*: the
moment before a request, after it, or in the middle of a tool. There it may be killed or paused.
"""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
MOST_STEPS_AT_ONCE = 10_000
Result = TypeVar("Result")


class Killed(BaseException):
    """The process has ended in the middle; whatever runs of it now is only its unwinding."""


class Spinning(AssertionError):
    """Something goes on and on without time passing."""


class Process:
    """Tasks that live and die together.

    Attributes:
        skew: how far its clock is ahead, in seconds.
        frozen_until: it does nothing before.
    """

    def __init__(self, scheduler: "Scheduler", name: str, skew: float) -> None:
        self.scheduler = scheduler
        self.name = name
        self.skew = skew
        self.frozen_until = 0.0
        self.dead = False
        self.tasks: list[greenlet] = []

    def clock(self) -> datetime:
        """The time, as this process sees it."""
        return EPOCH + timedelta(seconds=self.scheduler.now + self.skew)

    def run(self, work: Callable[[], None]) -> None:
        """Begin a task."""
        task = greenlet(work)
        self.tasks.append(task)
        self.scheduler.resume(self, task, self.scheduler.now)

    def kill(self) -> None:
        """End it, now. What it unwinds reaches nothing."""
        self.dead = True
        here = getcurrent()
        with self.scheduler.at_work(self):
            for task in self.tasks:
                if task is not here and task:
                    task.parent = here
                    with suppress(Killed):
                        task.throw(Killed)
        if here in self.tasks:
            raise Killed

    # -- the executor port ---------------------------------------------------------------------

    def submit(self, work: "Callable[[], Result]") -> "Future[Result]":
        future: Future[Result] = Future()

        def fly() -> None:
            try:
                result = work()
            except Killed:
                raise
            except BaseException as error:  # noqa: BLE001 - as a thread pool does
                future.set_exception(error)
            else:
                future.set_result(result)
            self.scheduler.notify()

        self.run(fly)
        return future

    def wait(self, begun: Collection["Future[Any]"], seconds: float) -> None:
        self.scheduler.sleep(seconds, lambda: any(each.done() for each in begun))

    def shutdown(self) -> None: ...


class Scheduler:
    """Virtual time.

    Args:
        random: decides every order and duration.
        at_point: told of each point that a process meets; it may kill or pause it there.
    """

    def __init__(self, random: Random, at_point: Callable[[Process, str], None]) -> None:
        self.now = 0.0
        self.random = random
        self._at_point = at_point
        self._hub = getcurrent()
        self._number = 0
        self._agenda: list[tuple[float, int, Process | None, Any]] = []
        self._asleep: dict[greenlet, int] = {}
        self._looking: dict[greenlet, tuple[Process, Callable[[], bool]]] = {}
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The one that is at work."""
        assert self._process
        return self._process

    @contextmanager
    def at_work(self, process: Process | None) -> Iterator[None]:
        """A process is at work as long as the block lasts."""
        before, self._process = self._process, process
        try:
            yield
        finally:
            self._process = before

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something that belongs to no process; it takes no time."""
        self._number += 1
        heappush(self._agenda, (self.now + seconds, self._number, None, work))

    def resume(self, process: Process, task: greenlet, at: float) -> None:
        """Let a task go on at a time, if it does not before."""
        self._number += 1
        self._asleep.setdefault(task, self._number)
        heappush(self._agenda, (at, self._number, process, (task, self._asleep[task])))

    def sleep(self, seconds: float, wakes: Callable[[], bool] | None = None) -> None:
        """Take time, or less if `wakes` comes true before."""
        process, task = self.process, getcurrent()
        until = self.now + max(0.0, seconds)
        while not (wakes and wakes()):
            if process.dead:
                raise Killed
            if wakes:
                self._looking[task] = (process, wakes)
            self.resume(process, task, until)
            self._hub.switch()
            self._looking.pop(task, None)
            if self.now >= until:
                break

    def notify(self) -> None:
        """Something is done that somebody may wait for."""
        for task, (process, wakes) in list(self._looking.items()):
            if wakes():
                self.resume(process, task, self.now)

    def point(self, label: str) -> None:
        """A moment at which the process may be killed or paused, and others go on."""
        process = self.process
        if process.dead:
            raise Killed
        self._at_point(process, label)
        self.sleep(self.random.expovariate(50))

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, until then or until all is done."""
        steps = 0
        while self._agenda and self._agenda[0][0] <= until and not done():
            at, _, process, what = heappop(self._agenda)
            steps = steps + 1 if at <= self.now else 0
            if steps > MOST_STEPS_AT_ONCE:
                raise Spinning(f"{process.name if process else 'nobody'} spins at {self.now}")
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
            with self.at_work(process), suppress(Killed):
                task.switch()
