"""The workers and the queue that feeds them: Lambda and SQS, with real processes to kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from threading import Lock

from agent_continuations.core.notice import Notice
from tests.crash.stores import Address
from tests.crash.talk import Done, Mail, Message, Slot, Within
from tests.crash.worker import LAMBDA_SECONDS
from tests.local.template import ROOT

WORKERS = 5
LOST = 0.1
REPEATED = 0.2
TICK_SECONDS = 0.004
NAMES = {Within.TOOL: "a tool", Within.MODEL: "a model call", Within.REQUEST: "a store request"}


class Queue:
    """Hints: some are lost, some come twice. Threads may send, one takes."""

    def __init__(self, random: Random) -> None:
        self._random, self._lock = random, Lock()
        self._waiting: list[tuple[float, Message]] = []

    def advance(self, run_id: str) -> None:
        # Never lost: without it, only the sweeper would find the run, and after a minute.
        self.put(Message("advance", run_id), lost=0.0)

    def resume(self, run_id: str) -> None:
        self.put(Message("resume", run_id))

    def notify(self, run_id: str, notice_id: str) -> None:
        self.put(Message("notify", run_id, notice_id), lost=0.0)

    def sweep(self) -> None:
        """The schedule's minute; one that is not done yet is enough."""
        message = Message("sweep")
        with self._lock:
            if all(each != message for _, each in self._waiting):
                self._waiting.append((time.monotonic(), message))

    def put(self, message: Message, lost: float = LOST) -> None:
        """A hint is sent; it comes once, twice, or never."""
        with self._lock:
            if self._random.random() < lost:
                return
            for _ in range(2 if self._random.random() < REPEATED else 1):
                self._waiting.append((time.monotonic(), message))

    def again(self, message: Message) -> None:
        """Whoever had a message was not done with it: after a while it is visible again."""
        with self._lock:
            after = self._random.uniform(0.1, 1.0)
            self._waiting.append((time.monotonic() + after, message))

    def take(self) -> Message | None:
        """The message that has been visible for longest."""
        with self._lock:
            visible = [each for each in self._waiting if each[0] <= time.monotonic()]
            if not visible:
                return None
            first = min(visible, key=lambda each: each[0])
            self._waiting.remove(first)
            return first[1]


@dataclass
class _Worker:
    number: int
    pid: int
    slot: Slot
    message: Message | None = None
    deadline: float = 0.0


class Fleet:
    """The processes.

    Attributes:
        hits: what kills met; `operations`, which requests they met.
        interrupted: by run, how often an owner was ended that had it, or left it unfinished.
    """

    def __init__(
        self,
        home: Path,
        address: Address,
        queue: Queue,
        mailed: Callable[[Notice, str], None],
        random: Random,
    ) -> None:
        self.kills = 0
        self.hits: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.interrupted: Counter[str] = Counter()
        self.broken: list[str] = []
        self._home, self._queue, self._mailed, self._random = home, queue, mailed, random
        self._workers: dict[Connection, _Worker] = {}
        self._numbers = 0
        address.keep(home / "address")
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(home / "door"))
        self._door.listen()
        self._door.settimeout(30)
        command = [sys.executable, "-m", "tests.crash.worker", str(home)]
        self._nursery = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        for _ in range(WORKERS):
            self._hire()

    def serve(self) -> None:
        """A moment: give messages to those who have none, and hear what they have to say."""
        for line, worker in self._workers.items():
            if worker.message is None and (message := self._queue.take()):
                worker.message, worker.deadline = message, time.time() + LAMBDA_SECONDS
                self._send(line, worker)
        ready = wait(list(self._workers), TICK_SECONDS)
        for line in [each for each in self._workers if each in ready]:
            if not self._hear(line):
                self.ends["by themselves"] += 1
        for line, worker in list(self._workers.items()):
            if worker.message and time.time() > worker.deadline:
                self._end(line)
                self.ends["at Lambda's deadline"] += 1

    def kill(self, aim: Within) -> bool:
        """Kill one who is in the middle of something; False if there is none."""
        found = [line for line, each in self._workers.items() if aim in each.slot.read()]
        if not found:
            return False
        line = self._random.choice(found)
        time.sleep(self._random.uniform(0, TICK_SECONDS))
        worker = self._end(line)
        self.kills += 1
        within = worker.slot.read()
        if Within.REQUEST in within:
            self.operations[worker.slot.operation] += 1
        met = [name for place, name in NAMES.items() if place in within]
        self.hits.update(met or ["between those" if Within.MESSAGE in within else "nothing"])
        return True

    def end(self) -> None:
        """Everybody goes."""
        for line, worker in self._workers.items():
            os.kill(worker.pid, signal.SIGKILL)
            line.close()
        self._workers.clear()
        self._nursery.kill()
        self._nursery.communicate()
        self._door.close()

    def _hire(self) -> None:
        self._numbers += 1
        slot = Slot(self._home / f"slot-{self._numbers}")
        assert self._nursery.stdin
        self._nursery.stdin.write(f"{self._numbers}\n".encode())
        self._nursery.stdin.flush()
        accepted, _ = self._door.accept()
        accepted.setblocking(True)
        line = Connection(accepted.detach())
        number, pid = line.recv()
        assert number == self._numbers
        self._workers[line] = _Worker(number, pid, slot)

    def _send(self, line: Connection, worker: _Worker) -> None:
        try:
            line.send((worker.message, worker.deadline))
        except OSError:
            return  # it has ended, and is heard of next

    def _hear(self, line: Connection) -> bool:
        """One thing that a worker says; False if that was its end."""
        try:
            said = line.recv()
        except (EOFError, OSError):
            self._gone(line)
            return False
        match said:
            case Mail():
                self._mailed(said.notice, said.recipient)
            case Message():
                self._queue.put(said, lost=0.0 if said.kind == "notify" else LOST)
            case Done():
                self._done(self._workers[line], said)
        return True

    def _done(self, worker: _Worker, done: Done) -> None:
        message, worker.message = worker.message, None
        assert message
        self.messages[message.kind] += 1
        if done.broken:
            self.broken.append(f"a worker broke at {message}:\n{done.broken}")
        if done.asked and (done.failed or done.status in (None, "ready")):
            self.interrupted[message.run_id] += 1
        if done.failed:
            self.failures[done.failed[:120]] += 1
            self._queue.again(message)

    def _end(self, line: Connection) -> _Worker:
        """Kill, hear what was said before, and wait for the end."""
        worker = self._workers[line]
        os.kill(worker.pid, signal.SIGKILL)
        while self._hear(line):
            pass
        return worker

    def _gone(self, line: Connection) -> None:
        """A worker is dead, which its connection tells; what it was given comes again."""
        worker = self._workers.pop(line)
        line.close()
        if worker.message and worker.message.kind != "sweep":
            self.interrupted[worker.message.run_id] += 1
            self._queue.again(worker.message)
        self._hire()
