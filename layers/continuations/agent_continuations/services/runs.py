"""What people and programs do with runs: start, look, decide, talk, cancel, for every door."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from secrets import token_bytes
from time import sleep as pause_for
from typing import Any

from agent_continuations.authoring.registry import Registry
from agent_continuations.core.continuation import Message, Outcome, Signal
from agent_continuations.core.decisions.lookup import Request, find_request
from agent_continuations.core.decisions.responses import Decide, DecisionResult, Response
from agent_continuations.core.events import (
    Event,
    InboundEvent,
    MessageReceived,
    SignalReceived,
    Started,
    ToolReturned,
)
from agent_continuations.core.ids import (
    arguments_hash,
    canonical_json,
    is_opaque_id,
    opaque_id,
    run_id_for,
)
from agent_continuations.core.keys import START_KEY, call_key, inbound_register_key
from agent_continuations.core.path import parse_path
from agent_continuations.core.plans import ToolPlan
from agent_continuations.core.run import JournalEntry, LoadedRun, RunHead, Status
from agent_continuations.core.waits import JobWait
from agent_continuations.engine.child_runs import child_run_ids
from agent_continuations.engine.planning import first_frame
from agent_continuations.errors import Conflict, Invalid, KeyReused, NotFound
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import WAKE_UP_GRACE, Page, Store, read_run
from agent_continuations.services.decisions import DecisionService
from agent_continuations.services.grants import GrantService
from agent_continuations.views.base import moment
from agent_continuations.views.waiting import Waiting, nested, waiting

MAX_INPUT_BYTES = 256 * 1024
MAX_NAME_CHARACTERS = 128
MAX_UNHEARD = 100
MAX_WAITING = 1000
WATCH_SECONDS = 0.5
DEFAULT_TENANT = "default"


class RunService:
    """The commands and queries on runs of one tenant.

    Args:
        registry: gives the agents; asked only where code is needed, to start a run and to check
            edited arguments, so that whoever only looks or decides need not import any agent.
    """

    def __init__(
        self,
        *,
        store: Store,
        queue: WorkQueue,
        registry: Callable[[], Registry],
        tenant: str = DEFAULT_TENANT,
        clock: Clock = utc_now,
    ) -> None:
        self.store = store
        self.queue = queue
        self.registry = registry
        self.tenant = tenant
        self.clock = clock
        self.grants = GrantService(store=store, tenant=tenant, clock=clock)
        self._decisions = DecisionService(
            store=store, queue=queue, load=self.load, registry=registry, clock=clock
        )

    def start(
        self,
        agent: str,
        input: str,
        *,
        key: str | None = None,
        metadata: Mapping[str, str] | None = None,
        requester: str | None = None,
    ) -> RunHead:
        """Start a run, or find the one that the same `key` and request started before.

        Args:
            requester: who asks for it, and so may not approve it, unless a policy allows that.

        Raises:
            NotFound: there is no such agent to be started.
            Invalid: the input is too large.
            KeyReused: the key came with another request.
        """
        found = self.registry().startable.get(agent)
        if found is None:
            raise NotFound(f"there is no agent named {agent!r}", [("agent", "unknown")])
        if len(input.encode()) > MAX_INPUT_BYTES:
            raise Invalid("the input is too large", [("input", f"over {MAX_INPUT_BYTES} bytes")])
        now = self.clock()
        request = {"agent": agent, "input": input, "metadata": dict(metadata or {})}
        head = RunHead(
            run_id=run_id_for(self.tenant, key) if key else opaque_id(token_bytes(15)),
            tenant=self.tenant,
            agent=agent,
            request_hash=arguments_hash(
                tenant=self.tenant,
                run_id="",
                path=(),
                tool="start",
                schema_version="1",
                arguments=request,
            ),
            status=Status.READY,
            created_at=now,
            updated_at=now,
            # The hint comes first; the sweeper only where the hint was lost.
            due=now + WAKE_UP_GRACE,
            metadata=dict(metadata or {}),
            requester=requester,
        )
        started = Started(continuation=first_frame(found, input), at=now)
        stored = self.store.create(head, JournalEntry(START_KEY, (started,)))
        if stored.request_hash != head.request_hash:
            raise KeyReused("this Idempotency-Key was used for another request")
        if not stored.status.terminal:
            self.queue.advance(stored.run_id)
        return stored

    def load(self, run_id: str) -> LoadedRun:
        """A run with its whole continuation.

        Raises:
            NotFound: there is no such run for this tenant.
        """
        read = read_run(self.store, run_id) if is_opaque_id(run_id) else None
        if read is None or read[0].head.tenant != self.tenant:
            raise NotFound(f"there is no run {run_id!r}")
        snapshot, continuation = read
        return LoadedRun(snapshot.head, snapshot, continuation)

    def watch(
        self,
        run_id: str,
        seconds: float,
        *,
        after: str | None = None,
    ) -> None:
        """Return once a run has ended or waits, or when so many seconds have passed.

        Args:
            after: the time, as the run's `updated_at` told it, after which it must have changed.

        Raises:
            NotFound: there is no such run for this tenant.
        """
        for _ in range(int(seconds / WATCH_SECONDS)):
            head = self._head(run_id)
            rests = head.status not in (Status.READY, Status.RUNNING)
            if rests and moment(head.updated_at) != after:
                return
            pause_for(WATCH_SECONDS)

    def waiting(self, loaded: LoadedRun) -> list[Waiting]:
        """All that a run waits for, and what the runs wait for that it has started."""
        found: list[Waiting] = []
        for each in waiting(loaded.head, loaded.continuation):
            found.append(each)
            if each.kind == "child" and each.run_id and len(found) < MAX_WAITING:
                child = self._child(each.run_id)
                found += [nested(each, one) for one in self.waiting(child)] if child else []
        return found

    def _child(self, run_id: str) -> LoadedRun | None:
        read = read_run(self.store, run_id)
        return LoadedRun(read[0].head, *read) if read else None

    def page(
        self,
        *,
        status: Status | None = None,
        agent: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Heads of runs, newest first.

        Raises:
            Invalid: the cursor is none of ours.
        """
        return self.store.list_runs(
            self.tenant, status=status, agent=agent, cursor=cursor, limit=limit
        )

    def cancel(self, run_id: str) -> RunHead:
        """Ask a run to end: nothing new begins, what is running is still recorded.

        Raises:
            NotFound: there is no such run for this tenant.
            Conflict: it has ended in another way.
        """
        before = self._head(run_id)
        if before.status is Status.PARKED:
            # Nobody works on it who would end what it has started.
            for _, child in child_run_ids(self.load(run_id).continuation):
                self.store.wake(child, now=self.clock(), cancel=True)
                self.queue.resume(child)
        head = self.store.wake(run_id, now=self.clock(), cancel=True)
        if head is None:
            raise NotFound(f"there is no run {run_id!r}")
        if head.status.terminal and head.status is not Status.CANCELLED:
            raise Conflict(f"the run is {head.status.value}")
        if not head.status.terminal:
            self.queue.resume(run_id)
        return head

    def pause(self, run_id: str) -> RunHead:
        """Hold a run: nothing new begins until it is resumed, but decisions are taken.

        Raises:
            NotFound: there is no such run for this tenant.
            Conflict: it has ended.
        """
        return self._set_paused(run_id, paused=True)

    def resume(self, run_id: str) -> RunHead:
        """Let a paused run go on; one that is not paused just looks at itself.

        Raises:
            NotFound: there is no such run for this tenant.
            Conflict: it has ended.
        """
        head = self._set_paused(run_id, paused=False)
        self.queue.resume(run_id)
        return head

    def _set_paused(self, run_id: str, *, paused: bool) -> RunHead:
        self._head(run_id)
        head = self.store.pause(run_id, paused=paused, now=self.clock())
        if head is None or head.status.terminal:
            raise Conflict(f"the run is {head.status.value if head else 'gone'}")
        return head

    def redrive(self, run_id: str) -> RunHead:
        """Let a parked run go on, after what stopped it was mended.

        Raises:
            NotFound: there is no such run for this tenant.
            Conflict: it is not parked.
        """
        self._head(run_id)
        head = self.store.redrive(run_id, now=self.clock())
        if head is None:
            raise Conflict("the run is not parked")
        self.queue.resume(run_id)
        return head

    def message(
        self, run_id: str, text: str, *, key: str | None = None, sender: str | None = None
    ) -> Message:
        """Say something to a run. Its model hears it with its next turn; a run that is completed
        goes on with it.

        Args:
            key: with the same one again, it is the same message.
            sender: who says it, as far as that is known.

        Raises:
            NotFound: there is no such run for this tenant.
            Invalid: the text is empty or too large.
            Conflict: the run has ended in another way, was started by another run and has given
                its answer, or has not heard what was said to it before.
            KeyReused: the key came with another text.
        """
        if not text.strip() or len(text.encode()) > MAX_INPUT_BYTES:
            raise Invalid(
                "invalid message", [("content", f"must have 1 to {MAX_INPUT_BYTES} bytes")]
            )
        loaded = self.load(run_id)
        if loaded.head.status is Status.COMPLETED and loaded.head.parent:
            raise Conflict("the run has already returned its result to the run that started it")
        if len(loaded.continuation.messages) >= MAX_UNHEARD:
            raise Conflict(f"{MAX_UNHEARD} messages are already waiting")
        message = Message(message_id=_id(key), text=text, sender=sender, at=self.clock())
        stands = self._send_inbound(run_id, MessageReceived(message=message), reopen=True)
        if not isinstance(stands, MessageReceived) or stands.message.text != text:
            raise KeyReused("this Idempotency-Key was used for another message")
        return stands.message

    def signal(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        *,
        correlation: str | None = None,
        key: str | None = None,
    ) -> Signal:
        """Tell a run of an event. The first call that waits for it takes it; one that comes early
        is kept.

        Args:
            key: with the same one again, it is the same event.

        Raises:
            NotFound: there is no such run for this tenant.
            Invalid: the name or the payload does not fit.
            Conflict: the run has ended, or keeps too many events that nothing has waited for.
            KeyReused: the key came with another event.
        """
        for field, text in (("name", name), ("correlation", correlation)):
            if text is not None and not 1 <= len(text) <= MAX_NAME_CHARACTERS:
                raise Invalid(
                    "invalid event", [(field, f"must have 1 to {MAX_NAME_CHARACTERS} characters")]
                )
        if len(canonical_json(payload).encode()) > MAX_INPUT_BYTES:
            raise Invalid("invalid event", [("payload", f"over {MAX_INPUT_BYTES} bytes")])
        if len(self.load(run_id).continuation.signals) >= MAX_UNHEARD:
            raise Conflict(f"{MAX_UNHEARD} events are already waiting")
        signal = Signal(
            event_id=_id(key), name=name, correlation=correlation, payload=payload, at=self.clock()
        )
        stands = self._send_inbound(run_id, SignalReceived(signal=signal))
        if not isinstance(stands, SignalReceived) or not _same_signal(stands.signal, signal):
            raise KeyReused("this Idempotency-Key was used for another event")
        return stands.signal

    def _send_inbound(self, run_id: str, event: InboundEvent, *, reopen: bool = False) -> Event:
        """Store what came from outside; what stands then at its place."""
        register = JournalEntry(inbound_register_key(event), (event,))
        stored = self.store.append_external(run_id, [register], reopen=reopen, now=self.clock())
        if stored is None:
            self.queue.resume(run_id)
        return (stored or register).events[0]

    def complete(self, run_id: str, path: str, outcome: Outcome) -> Outcome:
        """Tell the outcome of what a call has started elsewhere. The first one stands.

        Raises:
            NotFound: there is no such call, or it has started nothing.
            Conflict: its outcome is known already, or the run has ended.
        """
        loaded = self.load(run_id)
        try:
            at = parse_path(path)
            call = loaded.continuation.call_at(at)
        except (ValueError, LookupError):
            raise NotFound(f"there is no call at {path!r}") from None
        # It may call back before the tool has returned, but not before the tool may run.
        other = call.wait is not None and not isinstance(call.wait, JobWait)
        asked = call.gate is not None and call.decision is None
        if not isinstance(call.plan, ToolPlan) or other or asked:
            raise NotFound(f"the call at {path!r} is not waiting for a job")
        now = self.clock()
        event = ToolReturned(path=path, outcome=outcome, started_at=now, at=now)
        stored = self.store.append_external(
            run_id, [JournalEntry(call_key(at, "outcome"), (event,))], now=now
        )
        if stored is None:
            self.queue.resume(run_id)
            return outcome
        stands = next((e for e in stored.events if getattr(e, "path", None) == path), None)
        if isinstance(stands, ToolReturned) and stands.outcome == outcome:
            return outcome
        raise Conflict("the outcome of this call is already known")

    def decide(self, run_id: str, request_id: str, said: Response) -> DecisionResult:
        """Answer a request. The first decision stands; the same one again is answered alike.

        Returns:
            What stands.

        Raises:
            NotFound: there is no such request.
            Forbidden: the approver is not one of those who are asked now, or has started the run,
                or must be signed in.
            Invalid: several were asked, and no approver is named; the edited arguments do not fit
                the tool, or the request takes none; the place cannot be passed on to this person.
            AlreadyDecided: another decision stands.
            Conflict: too late: the deadline has passed, or the run has ended, or what they saw has
                changed.
        """
        return self.settle(*self._find(self.load(run_id), request_id), said)

    def _find(self, loaded: LoadedRun, request_id: str) -> tuple[LoadedRun, Request]:
        """A request of a run, or of one that it has started and waits for."""
        try:
            return loaded, find_request(loaded, request_id)
        except NotFound:
            for _, child in child_run_ids(loaded.continuation):
                inner = self._child(child)
                with suppress(NotFound):
                    if inner:
                        return self._find(inner, request_id)
            raise

    def settle(self, loaded: LoadedRun, request: Request, said: Response) -> DecisionResult:
        """`decide`, for whoever has loaded the run already."""
        wanted = said.grant if isinstance(said, Decide) and not request.decision else None
        if wanted is None or not isinstance(said, Decide):
            return self._decisions.settle(loaded, request, said)
        # Looked at first, so that a grant that cannot be made leaves the request open; stored
        # last, so that nothing is granted by who could not approve.
        grant = self.grants.prepare(loaded, request, said, wanted)
        settled = self._decisions.settle(loaded, request, said)
        self.grants.make(grant)
        return settled

    def _head(self, run_id: str) -> RunHead:
        head = self.store.head(run_id) if is_opaque_id(run_id) else None
        if head is None or head.tenant != self.tenant:
            raise NotFound(f"there is no run {run_id!r}")
        return head


def _id(key: str | None) -> str:
    """What tells one thing that came from outside from another; the same for the same key."""
    return opaque_id(sha256(key.encode()).digest()[:15] if key else token_bytes(15))


def _same_signal(one: Signal, other: Signal) -> bool:
    return (one.name, one.correlation, canonical_json(one.payload)) == (
        other.name,
        other.correlation,
        canonical_json(other.payload),
    )
