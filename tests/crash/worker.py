"""A worker: a process that handles messages as the functions do, until it is killed.

    python -m tests.crash.worker HOME

imports everything once and forks a worker for each number on its standard input, because starting
Python anew after each kill would take a second. The workers end with this process.
"""

import os
import signal
import socket
import sys
import time
import traceback
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.authoring.context import ToolContext
from agent_continuations.core.notice import Notice
from agent_continuations.core.replies import Reply
from agent_continuations.engine.context import Limits
from agent_continuations.engine.runner import Runner
from agent_continuations.engine.sweeper import sweep
from agent_continuations.errors import Retryable
from agent_continuations.notifications.outbox import NoticeDispatcher
from agent_continuations.ports.clock import utc_now
from agent_continuations.ports.model import ModelRequest
from agent_continuations.ports.store import Store
from tests.crash.effect_log import EffectLog, Record
from tests.crash.scripted_model import digest, job_of, reply, turn_of
from tests.crash.stores import Address, OpenStore
from tests.crash.worker_protocol import Activity, ActivitySlot, Mail, Message, Result
from tests.simulation.external_services import by_mail
from tests.simulation.scenario import LARGE, OPERATOR, deployment

# As short as a busy machine with two cores allows, in the same proportions as deployed.
LIMITS = Limits(
    lease=1.5,
    lease_renewal=0.5,
    stop_margin=0.8,
    abandon_margin=0.2,
    clock_skew=0.3,
    store_retry_seconds=1.0,
    model_retry=0.2,
    model_retry_longest=1.0,
)
LAMBDA_SECONDS = 3.0
STEP_SECONDS = 0.15

random: Random = SystemRandom()  # forked processes must not all draw the same


class ParentConnection(Protocol):
    """The connection to the parent."""

    def send(self, message: Any, /) -> None: ...


class Worker:
    """One process: model, tools, queues and mail, wired to the production code."""

    def __init__(
        self, line: ParentConnection, slot: ActivitySlot, ledger: EffectLog, store: Store
    ) -> None:
        self._parent, self._slot, self._effects = line, slot, ledger
        self._store = store
        self._model_calls = 0
        self._run_id = ""
        self._runner = Runner(
            store=self._store,
            model=self,
            registry=deployment(self._tool),
            queue=self,
            limits=LIMITS,
            operators=(OPERATOR,),
            abandon=lambda: os._exit(1),
        )
        self._outbox = NoticeDispatcher(self._store, {"mail": self}, by_mail)

    def handle(self, message: Message, deadline: float) -> Result:
        """Handle a message as the function of its queue does."""
        self._model_calls, self._run_id = 0, message.run_id
        try:
            with self._slot.during(Activity.MESSAGE):
                status = self._handle(message, datetime.fromtimestamp(deadline, UTC))
        except (Retryable, ClientError, BotoCoreError) as error:
            return Result(model_calls=self._model_calls, failure=str(error) or type(error).__name__)
        except Exception:  # noqa: BLE001 - the parent reports it
            return Result(model_calls=self._model_calls, traceback=traceback.format_exc())
        return Result(status, self._model_calls)

    def _handle(self, message: Message, deadline: datetime) -> str | None:
        if message.kind == "sweep":
            sweep(self._store, self, utc_now())
        elif message.kind == "notify":
            self._outbox.deliver(message.run_id, message.notice_id)
        else:
            return self._runner.advance(message.run_id, deadline=deadline)
        return None

    # -- messages and e-mails go to the parent, which has the queues and the users ----------------

    def advance(self, run_id: str) -> None:
        self._parent.send(Message("advance", run_id))

    def resume(self, run_id: str) -> None:
        self._parent.send(Message("resume", run_id))

    def notify(self, run_id: str, notice_id: str) -> None:
        self._parent.send(Message("notify", run_id, notice_id))

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        del approver
        self._parent.send(Mail(notice, address))

    # -- the model and the tools -----------------------------------------------------------------

    def reply(self, request: ModelRequest) -> Reply:
        with self._slot.during(Activity.MODEL):
            self._model_calls += 1
            made_from = digest(request.messages)
            called = Record(
                job_of(request), request.path, "", turn_of(request), made_from, 0, time.time()
            )
            self._effects.append(called)
            time.sleep(random.uniform(0.3, 2) * STEP_SECONDS)
            return reply(request)

    def _tool(self, name: str, context: ToolContext, amount: int) -> str:
        with self._slot.during(Activity.TOOL):
            time.sleep(random.uniform(0, 1) * STEP_SECONDS)
            ran = Record(
                context.run_id,
                context.path,
                name,
                context.attempt,
                context.idempotency_key,
                amount,
                time.time(),
            )
            self._effects.append(ran)
            time.sleep(random.uniform(0, 1) * STEP_SECONDS)
        if amount == 13:
            raise ValueError("unlucky")
        return random.randbytes(LARGE).hex() if name.endswith("_large") else f"{name} {amount}"


def serve(number: int, home: Path, opened: OpenStore) -> None:
    """Handle the parent's messages until its end."""
    with socket.socket(socket.AF_UNIX) as unix_socket:
        unix_socket.connect(str(home / "door"))
        connection = Connection(unix_socket.detach())
    connection.send((number, os.getpid()))
    slot = ActivitySlot(home / f"slot-{number}")
    slot.watch(opened.dynamodb)
    worker = Worker(connection, slot, EffectLog(home / "ledger"), opened.store)
    while True:
        message, deadline = connection.recv()
        connection.send(worker.handle(message, deadline))


def main() -> None:
    home = Path(sys.argv[1])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # dead workers leave no zombie processes
    opened = OpenStore(Address.load(home / "address"))  # no connection yet, so it can be forked
    for number in sys.stdin:
        if os.fork() == 0:
            try:
                serve(int(number), home, opened)
            except (EOFError, OSError):
                os._exit(0)  # the parent is gone
            finally:
                os._exit(1)  # never back into the loop above


if __name__ == "__main__":
    main()
