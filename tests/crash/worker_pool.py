"""Worker processes that can be killed, and an unreliable queue: in the place of Lambda and SQS."""

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
from tests.crash.worker import LAMBDA_SECONDS
from tests.crash.worker_protocol import Activity, ActivitySlot, Mail, Message, Result
from tests.local.template import ROOT

WORKERS = 5
LOSS_RATE = 0.1
REPEAT_RATE = 0.2
TICK_SECONDS = 0.004
ACTIVITY_NAMES = {
    Activity.TOOL: "a tool",
    Activity.MODEL: "a model call",
    Activity.REQUEST: "a store request",
}


class UnreliableQueue:
    """A queue of wake-up messages, some lost and some repeated. Threads may send; one receives."""

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
        """Send the sweeper's message, unless one is still waiting."""
        message = Message("sweep")
        with self._lock:
            if all(each != message for _, each in self._waiting):
                self._waiting.append((time.monotonic(), message))

    def put(self, message: Message, lost: float = LOSS_RATE) -> None:
        """Send a message, which is delivered once, twice, or never."""
        with self._lock:
            if self._random.random() < lost:
                return
            for _ in range(2 if self._random.random() < REPEAT_RATE else 1):
                self._waiting.append((time.monotonic(), message))

    def return_message(self, message: Message) -> None:
        """Make a message visible again after a while, because it was not handled."""
        with self._lock:
            after = self._random.uniform(0.1, 1.0)
            self._waiting.append((time.monotonic() + after, message))

    def take(self) -> Message | None:
        """The message that has been visible for the longest time; None if there is none."""
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
    slot: ActivitySlot
    message: Message | None = None
    deadline: float = 0.0


class WorkerPool:
    """The worker processes.

    Attributes:
        kills_by_activity: how many kills met each activity; `kills_by_operation`, each request.
        interruptions: by run, how often an execution was killed or left the run unfinished.
    """

    def __init__(
        self,
        home: Path,
        address: Address,
        queue: UnreliableQueue,
        mailed: Callable[[Notice, str], None],
        random: Random,
    ) -> None:
        self.kills = 0
        self.kills_by_activity: Counter[str] = Counter()
        self.kills_by_operation: Counter[str] = Counter()
        self.other_ends: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.interruptions: Counter[str] = Counter()
        self.broken: list[str] = []
        self._home, self._queue, self._mailed, self._random = home, queue, mailed, random
        self._workers: dict[Connection, _Worker] = {}
        self._numbers = 0
        address.save(home / "address")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(home / "door"))
        self._listener.listen()
        self._listener.settimeout(30)
        command = [sys.executable, "-m", "tests.crash.worker", str(home)]
        self._forker = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        for _ in range(WORKERS):
            self._start_worker()

    def serve(self) -> None:
        """Give messages to idle workers, and receive what workers have sent."""
        for connection, worker in self._workers.items():
            if worker.message is None and (message := self._queue.take()):
                worker.message, worker.deadline = message, time.time() + LAMBDA_SECONDS
                self._send(connection, worker)
        ready = wait(list(self._workers), TICK_SECONDS)
        for connection in [each for each in self._workers if each in ready]:
            if not self._receive(connection):
                self.other_ends["by themselves"] += 1
        for connection, worker in list(self._workers.items()):
            if worker.message and time.time() > worker.deadline:
                self._kill_worker(connection)
                self.other_ends["at Lambda's deadline"] += 1

    def kill(self, aim: Activity) -> bool:
        """Kill a worker that has an activity; False if there is none, or it has ended its work."""
        found = [
            connection for connection, each in self._workers.items() if aim in each.slot.read()
        ]
        if not found:
            return False
        connection = self._random.choice(found)
        time.sleep(self._random.uniform(0, TICK_SECONDS))
        if Activity.MESSAGE not in self._workers[connection].slot.read():
            return False
        worker = self._kill_worker(connection)
        self.kills += 1
        within = worker.slot.read()
        if Activity.REQUEST in within:
            self.kills_by_operation[worker.slot.operation] += 1
        met = [name for place, name in ACTIVITY_NAMES.items() if place in within]
        self.kills_by_activity.update(
            met or ["between those" if Activity.MESSAGE in within else "nothing"]
        )
        return True

    def stop(self) -> None:
        """Kill all workers."""
        for connection, worker in self._workers.items():
            os.kill(worker.pid, signal.SIGKILL)
            connection.close()
        self._workers.clear()
        self._forker.kill()
        self._forker.communicate()
        self._listener.close()

    def _start_worker(self) -> None:
        self._numbers += 1
        slot = ActivitySlot(self._home / f"slot-{self._numbers}")
        assert self._forker.stdin
        self._forker.stdin.write(f"{self._numbers}\n".encode())
        self._forker.stdin.flush()
        accepted, _ = self._listener.accept()
        accepted.setblocking(True)
        connection = Connection(accepted.detach())
        number, pid = connection.recv()
        assert number == self._numbers
        self._workers[connection] = _Worker(number, pid, slot)

    def _send(self, connection: Connection, worker: _Worker) -> None:
        try:
            connection.send((worker.message, worker.deadline))
        except OSError:
            return  # the worker has died; its end is received next

    def _receive(self, connection: Connection) -> bool:
        """Receive one object from a worker; False if the worker has died."""
        try:
            received = connection.recv()
        except (EOFError, OSError):
            self._worker_died(connection)
            return False
        match received:
            case Mail():
                self._mailed(received.notice, received.recipient)
            case Message():
                self._queue.put(received, lost=0.0 if received.kind == "notify" else LOSS_RATE)
            case Result():
                self._message_done(self._workers[connection], received)
        return True

    def _message_done(self, worker: _Worker, done: Result) -> None:
        message, worker.message = worker.message, None
        assert message
        self.messages[message.kind] += 1
        if done.traceback:
            self.broken.append(f"a worker broke at {message}:\n{done.traceback}")
        if done.model_calls and (done.failure or done.status in (None, "ready")):
            self.interruptions[message.run_id] += 1
        if done.failure:
            self.failures[done.failure[:120]] += 1
            self._queue.return_message(message)

    def _kill_worker(self, connection: Connection) -> _Worker:
        """Kill a worker, and receive what it had sent before."""
        worker = self._workers[connection]
        os.kill(worker.pid, signal.SIGKILL)
        while self._receive(connection):
            pass
        return worker

    def _worker_died(self, connection: Connection) -> None:
        """Replace a dead worker, and make its message visible again."""
        worker = self._workers.pop(connection)
        connection.close()
        if worker.message and worker.message.kind != "sweep":
            self.interruptions[worker.message.run_id] += 1
            self._queue.return_message(worker.message)
        self._start_worker()
