"""One owner's time with one run, from its claim to its release."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, assert_never

from agent_continuations.core.advance import advance
from agent_continuations.core.continuation import (
    Effect,
    Intent,
    Outcome,
    Reply,
)
from agent_continuations.core.effects import (
    AskApproval,
    Await,
    CallModel,
    ClearDoubt,
    RunTool,
    effects,
)
from agent_continuations.core.event import (
    Event,
    ModelReplied,
    ToolReturned,
    ToolStarted,
)
from agent_continuations.core.path import Path, call_key, parse_path, path_text, reply_key
from agent_continuations.dispatch import model_request, notice, prepared_tool
from agent_continuations.errors import (
    Conflict,
    Fatal,
    Fenced,
    ModelUnavailable,
    Retryable,
)
from agent_continuations.means import Means
from agent_continuations.planning import plan_calls
from agent_continuations.ports import (
    MAX_INTENTS_AT_ONCE,
    MAX_REGISTERS_AT_ONCE,
    MAX_SETTLED_AT_ONCE,
    MAX_STALLS,
    Head,
    Register,
    Release,
    Status,
    read_run,
)
from agent_continuations.questions import (
    Question,
    approval_question,
    doubt_question,
    rejected_by_time,
)
from agent_continuations.unwritten import Unwritten

MAX_NOTE_CHARACTERS = 400


class _Stop(Enum):
    """Why an owner begins nothing new."""

    CANCELLED = auto()
    FENCED = auto()
    OUT_OF_TIME = auto()


@dataclass
class Tenure:
    """One owner's time with one run: what it has begun, and what it has not written yet."""

    means: Means
    head: Head
    pool: ThreadPoolExecutor
    deadline: datetime | None
    stop: _Stop | None = None
    newest: Head | None = None
    known: int = 0
    flights: dict[Path, tuple[CallModel | RunTool, Future[Any]]] = field(default_factory=dict)
    unwritten: Unwritten = field(default_factory=Unwritten)
    outcomes: list[ToolReturned] = field(default_factory=list)
    left_behind: list[Future[Any]] = field(default_factory=list)
    deferred: dict[Path, tuple[datetime, str]] = field(default_factory=dict)
    obstacles: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = self.means.store
        self.limits = self.means.limits
        self.run_id = self.head.run_id
        self.renew_at = self._in(self.limits.renewal)

    def serve(self) -> Status | None:
        """Advance the run as far as it goes; the status that it is left in, None if it was lost."""
        try:
            if self.head.stalls > 2 * MAX_STALLS:
                # Not even the load is survived: without this, it would be tried for ever.
                return self._park(f"{self.head.stalls} claims came to nothing")
            self._load()
            if self._poisoned():
                return self._park(f"{MAX_STALLS} claims without progress")
            return self._work()
        except Fenced:
            return None
        except Fatal as error:
            return self._park(str(error))

    @property
    def abandons(self) -> bool:
        """Whether a tool is still running that this owner no longer waits for."""
        running = [future for effect, future in self.flights.values() if _has_intent(effect)]
        return any(not future.done() for future in [*running, *self.left_behind])

    def _park(self, note: str) -> Status | None:
        """What is stored cannot be gone on from; a person has to look. Intents stay on record."""
        head = self.store.head(self.run_id)
        if head is None or head.epoch != self.head.epoch:
            return None
        self.head, self.unwritten = head, Unwritten()
        status = Status.CANCELLED if head.cancelled else Status.PARKED
        try:
            return self._leave(status, None, note)
        except Fenced:
            return None

    def _work(self) -> Status | None:
        give_up_at = self._in(self.limits.patience)
        while True:
            try:
                status = self._step()
                if status or (self.stop is _Stop.FENCED and not self.flights):
                    return status
                give_up_at = self._in(self.limits.patience)
            except Fenced:
                self._fenced()
            except Retryable:
                working = any(_has_intent(effect) for effect, _ in self.flights.values())
                if not (working or self.outcomes) or self.means.clock() >= give_up_at:
                    raise
                self.means.pause(1)

    def _step(self) -> Status | None:
        """Record what came back, begin what can be done, and wait; or leave, if nothing can."""
        self._look_up()
        self._record_outcomes()
        if not self.stop:
            self._begin()
        if not self.flights:
            return self._release()
        if self.unwritten.registers and not self.stop:
            self._publish()
        self._collect()
        return None

    # -- the state of the run ------------------------------------------------------------------

    def _load(self) -> None:
        """Fold what is stored; what this owner has found out by reading stays known."""
        read = read_run(self.store, self.run_id)
        if read is None or read[0].head.epoch != self.head.epoch:
            raise Fenced(self.run_id)
        snapshot, self.continuation = read
        self.head, self.known = snapshot.head, len(snapshot.registers)
        self.unwritten.drop_questions()
        reads, self.unwritten.reads = self.unwritten.reads, []
        for each in reads:
            if not self.continuation.call_at(parse_path(each.path)).outcome:
                self.unwritten.reads.append(each)
                self._take(each)
        # An intent whose outcome is on record has served, whoever left it in the head.
        self.unwritten.settled = [
            path
            for path in self.head.intents
            if self.continuation.call_at(parse_path(path)).outcome
        ]

    def _take(self, event: Event) -> None:
        self.continuation = advance(self.continuation, event)

    def _record(self, key: str, event: Event) -> None:
        """Store an event, or take in the one that another owner stored there before."""
        after = advance(self.continuation, event)  # what cannot be folded is never stored
        register = Register(key, (event,))
        if self.store.append(self.run_id, register) == register:
            self.continuation = after
            self.known += 1
        else:
            # Another owner was here, perhaps with more than this one register.
            self._load()

    def _seen(self, head: Head) -> None:
        """A newer head: it may say that the run was cancelled or that something happened."""
        woken = head.wake != self.head.wake
        self.head = head
        if woken:
            self._load()

    def _poisoned(self) -> bool:
        if self.head.stalls < MAX_STALLS:
            return False
        if self.known == self.head.registers:
            return True
        self._seen(self.store.progress(self.run_id, epoch=self.head.epoch, registers=self.known))
        return False

    def _look_up(self) -> None:
        """Renew the lease when it is time, and find out whether to stop."""
        if self.stop is _Stop.FENCED:
            return
        newest, self.newest = self.newest, None
        if newest:
            self._seen(newest)
        now = self.means.clock()
        if now >= self.renew_at:
            self.renew_at = self._in(self.limits.renewal)
            lease_until = now + timedelta(seconds=self.limits.lease)
            self._seen(
                self.store.renew(self.run_id, epoch=self.head.epoch, lease_until=lease_until)
            )
        if self.head.cancelled:
            self.stop = _Stop.CANCELLED
            self.unwritten.drop_questions()
        elif self.deadline and self._in(self.limits.margin) >= self.deadline:
            self.stop = _Stop.OUT_OF_TIME

    def _fenced(self) -> None:
        """The run is somebody else's or was cancelled: begin nothing, but record late outcomes."""
        head = self.store.head(self.run_id)
        mine = head and head.epoch == self.head.epoch and not head.status.terminal
        self.stop = _Stop.CANCELLED if head and mine and head.cancelled else _Stop.FENCED
        if head and mine:
            self.head = head
        self.unwritten.drop_questions()
        self.unwritten.reads = []

    def _in(self, seconds: float) -> datetime:
        return self.means.clock() + timedelta(seconds=seconds)

    # -- beginning what can be done --------------------------------------------------------------

    def _begin(self) -> None:
        """Begin all that can be done now, but no more than there are threads: what waits in a pool
        would begin after a cancel, or never, and its intent would raise a doubt for nothing.
        """
        self._expire()
        now = self.means.clock()
        starts: list[RunTool] = []
        for effect in effects(self.continuation):
            if effect.path in self.flights or effect.path in self.obstacles:
                continue
            match effect:
                case CallModel():
                    self._begin_model(effect)
                case RunTool():
                    starts.append(effect)
                case AskApproval():
                    self._ask(approval_question(self.head, self.continuation, effect, now))
                case ClearDoubt():
                    if self._given_up_at(effect) <= now:
                        operators = self.means.operators
                        self._ask(
                            doubt_question(self.head, self.continuation, effect, now, operators)
                        )
                case Await():
                    pass
                case _:
                    assert_never(effect)
        self._begin_tools(starts)

    def _begin_model(self, effect: CallModel) -> None:
        until, _ = self.deferred.get(effect.path, (None, ""))
        if (until and until > self.means.clock()) or not self._room():
            return
        self.deferred.pop(effect.path, None)
        try:
            request = model_request(self.means.registry, self.head, self.continuation, effect.path)
        except Fatal as error:
            self.obstacles[effect.path] = str(error)
            return
        self.flights[effect.path] = (effect, self.pool.submit(self.means.model.reply, request))

    def _begin_tools(self, starts: Sequence[RunTool]) -> None:
        """Run tools; the intents of all that may not simply run again are put on record first."""
        ready: dict[Path, tuple[RunTool, Callable[[], Outcome]]] = {}
        room = self._room()
        for start in starts:
            if len(ready) >= room:
                break
            try:
                run = prepared_tool(
                    self.means.registry, self.head, self.continuation, start.path, start.attempt
                )
            except Fatal as error:
                self.obstacles[start.path] = str(error)
            else:
                ready[start.path] = (start, run)
        for start, run in ready.values():
            if not _has_intent(start):
                self._fly(start, run)
        fenced = [path for path, (start, _) in ready.items() if _has_intent(start)]
        for at in range(0, len(fenced), MAX_INTENTS_AT_ONCE):
            batch = [ready[path] for path in fenced[at : at + MAX_INTENTS_AT_ONCE]]
            self._intend([start for start, _ in batch])
            for start, run in batch:
                self._fly(start, run)

    def _room(self) -> int:
        return self.limits.workers - len(self.flights)

    def _fly(self, start: RunTool, run: Callable[[], Outcome]) -> None:
        self.flights[start.path] = (start, self.pool.submit(self._perform, start, run))

    def _intend(self, starts: Sequence[RunTool]) -> None:
        """Put intents on record; the head after it may tell of something new."""
        now = self.means.clock()
        deadline = self.deadline or now + timedelta(seconds=self.limits.stay)
        intents = {
            path_text(start.path): Intent(attempt=start.attempt, started_at=now, deadline=deadline)
            for start in starts
        }
        settled = self.unwritten.settled[:MAX_SETTLED_AT_ONCE]
        self.newest = self.store.intend(
            self.run_id, epoch=self.head.epoch, intents=intents, settled=settled
        )
        self.unwritten.settled = self.unwritten.settled[MAX_SETTLED_AT_ONCE:]
        for path, intent in intents.items():
            self._take(ToolStarted(path=path, intent=intent))

    def _perform(self, start: RunTool, run: Callable[[], Outcome]) -> ToolReturned:
        """In a thread of its own: run a tool, and time it."""
        started_at = self.means.clock()
        outcome = run()
        return ToolReturned(
            path=path_text(start.path),
            outcome=outcome,
            attempt=start.attempt,
            started_at=started_at,
            at=self.means.clock(),
        )

    def _ask(self, question: Question) -> None:
        self._take(question.event)
        self.unwritten.registers.append(Register(question.key, (question.event,)))
        self.unwritten.notices.append(
            notice(
                self.head,
                self.continuation,
                parse_path(question.event.path),
                now=self.means.clock(),
                recipients=self.means.recipients,
            )
        )

    def _expire(self) -> None:
        """Where time is up: rejected, unless a person's decision is on record by now."""
        now = self.means.clock()
        for effect in effects(self.continuation):
            if isinstance(effect, Await) and effect.until and effect.until <= now:
                event = rejected_by_time(self.head, self.continuation, effect, now)
                self._record(call_key(effect.path, "decision"), event)

    # -- taking in what was done -----------------------------------------------------------------

    def _collect(self) -> None:
        """Wait until something has come back or it is time to look up, and record it."""
        if self.stop:
            self._drop_flights()
        if not self.flights:
            return
        wake_at = self.renew_at
        if self.deadline:
            leave_at = self.deadline - timedelta(seconds=self.limits.farewell)
            if self.means.clock() >= leave_at:
                self.left_behind += [future for _, future in self.flights.values()]
                self.flights.clear()
                return
            wake_at = min(wake_at, leave_at)
        timeout = max(0.0, (wake_at - self.means.clock()).total_seconds())
        futures: list[Future[Any]] = [future for _, future in self.flights.values()]
        done, _ = wait(futures, timeout=timeout, return_when=FIRST_COMPLETED)
        for path, (effect, future) in list(self.flights.items()):
            if future in done:
                del self.flights[path]
                if isinstance(effect, CallModel):
                    self._model_returned(effect, future)
                else:
                    self._tool_returned(effect, future.result())

    def _drop_flights(self) -> None:
        """Give up what can be asked again, so as to stop soon."""
        for path, (effect, future) in list(self.flights.items()):
            if not future.done() and not _has_intent(effect):
                del self.flights[path]

    def _model_returned(self, effect: CallModel, future: Future[Reply]) -> None:
        try:
            reply = future.result()
        except ModelUnavailable as error:
            seconds = max(error.after_seconds or 0, self.limits.model_retry)
            self.deferred[effect.path] = (self._in(seconds), str(error))
            return
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the run is told why
            self.obstacles[effect.path] = f"the model call failed: {error}"
            return
        frame = self.continuation.frame_at(effect.path)
        if self.stop is _Stop.FENCED or len(frame.turns) != effect.turn:
            return  # another owner's reply is on record
        agent = self.means.registry.find(frame.agent)
        if agent is None:
            self.obstacles[effect.path] = f"there is no agent named {frame.agent}"
            return
        mine = self.unwritten.reads_of(effect.path)
        event = ModelReplied(
            path=path_text(effect.path),
            turn=effect.turn,
            reply=reply,
            calls=plan_calls(agent, effect.path, reply),
            reads=mine,
            at=self.means.clock(),
        )
        self._record(reply_key(effect.path, effect.turn), event)
        self.unwritten.drop_reads(mine)

    def _tool_returned(self, effect: RunTool, event: ToolReturned) -> None:
        if effect.effect is not Effect.READ:
            self.outcomes.append(event)
        elif self.stop is not _Stop.FENCED and not self.continuation.call_at(effect.path).outcome:
            self.unwritten.reads.append(event)
            self._take(event)

    def _record_outcomes(self) -> None:
        """Store what tools with an intent came to, and reads that no reply will carry."""
        while self.outcomes:
            event = self.outcomes[0]
            key = call_key(parse_path(event.path), "outcome")
            if self.stop is _Stop.FENCED:
                self._deliver_late(Register(key, (event,)))
            else:
                self._record(key, event)
                self.unwritten.settled.append(event.path)
            del self.outcomes[0]
        for read in list(self.unwritten.reads):
            path = parse_path(read.path)
            # A frame that has ended has no next reply; but its caller may reply at once, and what
            # that is made from must be on record before.
            if self.continuation.frame_at(path[:-1]).outcome:
                self._record(call_key(path, "outcome"), read)
                self.unwritten.drop_reads((read,))

    def _deliver_late(self, outcome: Register) -> None:
        """The run is another's by now, and may wait for just this, or for a person's word on it."""
        try:
            self.store.deliver(self.run_id, [outcome], now=self.means.clock())
            self.means.hints.resume(self.run_id)
        except Conflict:
            self.store.append(self.run_id, outcome)

    # -- leaving -----------------------------------------------------------------------------------

    def _publish(self) -> None:
        """Ask people at once, while other work goes on."""
        if not self._commit(None):
            self._load()

    def _release(self) -> Status | None:
        """Leave the run, if nothing has happened that this owner does not know; else None."""
        if self.stop is _Stop.FENCED:
            return None
        status, due, note = self._rest()
        left = self._leave(status, due, note)
        if left is None:
            self._load()
        elif left is Status.READY:
            self.means.hints.resume(self.run_id)
        return left

    def _rest(self) -> tuple[Status, datetime | None, str | None]:
        now = self.means.clock()
        if self.stop is _Stop.CANCELLED:
            return Status.CANCELLED, None, None
        ended = self.continuation.outcome
        if ended:
            if ended.kind == "ok":
                return Status.COMPLETED, None, None
            return Status.FAILED, None, ended.content
        if self.stop is _Stop.OUT_OF_TIME:
            return Status.READY, now, None
        times = [until for until, _ in self.deferred.values()]
        notes = [*self.obstacles.values(), *(note for _, note in self.deferred.values())]
        asked = False
        for effect in effects(self.continuation):
            match effect:
                case Await():
                    asked = True
                    times += [effect.until] if effect.until else []
                case ClearDoubt():
                    times.append(self._given_up_at(effect))
                case _:
                    pass
        note = "; ".join(notes) or None
        if not asked and not times:
            return Status.PARKED, None, note
        return Status.SUSPENDED, min(times, default=None), note

    def _given_up_at(self, effect: ClearDoubt) -> datetime:
        """When the owner of an intent is certainly dead, by its clock as well as by ours."""
        return effect.intent.deadline + timedelta(seconds=self.limits.clock_skew)

    def _leave(self, status: Status, due: datetime | None, note: str | None) -> Status | None:
        def release(known: int) -> Release:
            short = note[:MAX_NOTE_CHARACTERS] if note else None
            progress = status is not Status.READY or known != self.head.registers
            return Release(status, due, self.head.wake, known, short, progress)

        return status if self._commit(release) else None

    def _commit(self, release: Callable[[int], Release] | None) -> bool:
        """Write all that is unwritten together with the head; the last portion may release it."""
        portions = self.unwritten.portions(MAX_REGISTERS_AT_ONCE)
        settled = self.unwritten.settled[:MAX_SETTLED_AT_ONCE]
        for number, (registers, notices) in enumerate(portions, 1):
            last = number == len(portions)
            known = self.known + len(registers)
            written = self.store.commit(
                self.run_id,
                epoch=self.head.epoch,
                registers=registers,
                notices=notices,
                settled=settled if last else (),
                release=release(known) if release and last else None,
                now=self.means.clock(),
            )
            if not written:
                return False
            self.known = known
            for each in notices:
                self.means.hints.notify(self.run_id, each.notice_id)
        self.unwritten = Unwritten(settled=self.unwritten.settled[MAX_SETTLED_AT_ONCE:])
        return True


def _has_intent(effect: CallModel | RunTool) -> bool:
    return isinstance(effect, RunTool) and effect.effect is not Effect.READ
