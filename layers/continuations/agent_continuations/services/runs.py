"""Starts and reads the runs of one tenant."""

from collections.abc import Callable, Mapping
from secrets import token_bytes
from time import sleep as pause_for

from agent_continuations.authoring.registry import Registry
from agent_continuations.core.base import storable
from agent_continuations.core.decisions.lookup import Request, find_request
from agent_continuations.core.events import (
    Started,
)
from agent_continuations.core.fold import fold_readable
from agent_continuations.core.ids import (
    arguments_hash,
    is_opaque_id,
    opaque_id,
    run_id_for,
)
from agent_continuations.core.keys import START_KEY
from agent_continuations.core.run import JournalEntry, LoadedRun, RunHead, Snapshot, Status
from agent_continuations.engine.child_runs import child_run_ids
from agent_continuations.engine.planning import first_frame
from agent_continuations.errors import (
    CorruptValue,
    IllegalEvent,
    Invalid,
    KeyReused,
    NewerForm,
    NotFound,
    Retryable,
)
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.limits import WAKE_UP_GRACE
from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import Page, Store, read_run
from agent_continuations.views.base import moment
from agent_continuations.views.waiting import Waiting, nested, waiting

MAX_INPUT_BYTES = 256 * 1024
MAX_WAITING = 1000
MAX_NAMED_AGENTS = 20
MAX_NAME_CHARACTERS = 64
WATCH_SECONDS = 0.5
UNREADABLE = (CorruptValue, IllegalEvent, NewerForm)
"""How a stored run cannot be read, unlike a store that does not answer."""
UNREADABLE_SECONDS = 300
"""When to try again with a run that cannot be read."""
DEFAULT_TENANT = "default"


class RunService:
    """Starts the runs of one tenant, and reads them.

    Args:
        store: keeps the runs.
        queue: carries wake-up messages.
        registry: returns the agents; called only to start a run and to validate edited arguments
            and answers, so that reading and deciding import no agent.
        tenant: the tenant of the runs; the runs of others are not visible.
        clock: returns the time.
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

    def start(
        self,
        agent: str,
        input: str,
        *,
        key: str | None = None,
        metadata: Mapping[str, str] | None = None,
        requester: str | None = None,
        starter: str | None = None,
    ) -> RunHead:
        """Start a run, or find the one that the same `key` and request started before.

        Args:
            agent: the agent's name.
            input: the input of its first turn.
            key: idempotency key: the same key and request start one run.
            metadata: labels, for the caller's own use.
            requester: the person who requests the run. They may not approve its calls, unless a
                policy allows it.
            starter: the caller that starts it, whose run it is.

        Raises:
            NotFound: there is no agent of this name that can be started.
            Invalid: the input is too large.
            KeyReused: the key was used for another request.
        """
        task, labels = storable(input), storable(dict(metadata or {}))
        registry = self.registry()
        found = registry.startable.get(agent)
        if found is None:
            raise NotFound(_no_such_agent(agent, registry), [("agent", "unknown")])
        if len(task.encode()) > MAX_INPUT_BYTES:
            raise Invalid("the input is too large", [("input", f"over {MAX_INPUT_BYTES} bytes")])
        now = self.clock()
        request = {"agent": agent, "input": task, "metadata": labels}
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
            # The wake-up message comes first; the sweeper wakes the run only if it was lost.
            due=now + WAKE_UP_GRACE,
            metadata=labels,
            requester=storable(requester),
            starter=storable(starter),
        )
        started = Started(continuation=first_frame(found, task), at=now)
        stored = self.store.create(head, JournalEntry(START_KEY, (started,)))
        if stored.request_hash != head.request_hash:
            raise KeyReused("this Idempotency-Key was used for another request")
        if not stored.status.ended:
            self.queue.advance(stored.run_id)
        return stored

    def load(self, run_id: str) -> LoadedRun:
        """A run with its whole continuation.

        Raises:
            NotFound: there is no such run for this tenant.
            Retryable: its state cannot be read before a person or newer code has seen to it.
        """
        try:
            return self._read(run_id)
        except (CorruptValue, IllegalEvent) as error:
            raise Retryable(f"the run cannot be read now: {error}", UNREADABLE_SECONDS) from error

    def look(self, run_id: str) -> LoadedRun:
        """A run as far as it can be read, to show it. If not all can be read, `note` says so.

        Raises:
            NotFound: there is no such run for this tenant.
        """
        try:
            return self._read(run_id)
        except UNREADABLE as error:
            snapshot = self.store.load(run_id, partial=True)
            if snapshot is None or snapshot.head.tenant != self.tenant:
                raise NotFound(f"there is no run {run_id!r}") from None
            head = snapshot.head
            head = head.model_copy(
                update={"note": head.note or f"the run cannot be read now: {error}"}
            )
            snapshot = Snapshot(head, snapshot.entries, snapshot.unreadable)
            return LoadedRun(head, snapshot, fold_readable(snapshot.events(), head.agent))

    def _read(self, run_id: str) -> LoadedRun:
        read = read_run(self.store, run_id) if is_opaque_id(run_id) else None
        if read is None or read[0].head.tenant != self.tenant:
            raise NotFound(f"there is no run {run_id!r}")
        return LoadedRun(read[0].head, *read)

    def watch(
        self,
        run_id: str,
        seconds: float,
        *,
        after: str | None = None,
    ) -> None:
        """Return once a run has ended or is suspended, or after so many seconds.

        Args:
            run_id: the run.
            seconds: the longest wait.
            after: an earlier `updated_at` of the run: wait until it has changed.

        Raises:
            NotFound: there is no such run for this tenant.
        """
        for _ in range(int(seconds / WATCH_SECONDS)):
            head = self.head(run_id)
            at_rest = head.status not in (Status.READY, Status.RUNNING)
            if at_rest and moment(head.updated_at) != after:
                return
            pause_for(WATCH_SECONDS)

    def waiting(self, loaded: LoadedRun) -> list[Waiting]:
        """Everything that a run and its child runs wait for."""
        found: list[Waiting] = []
        for each in waiting(loaded.head, loaded.continuation):
            found.append(each)
            if each.kind == "child" and each.run_id and len(found) < MAX_WAITING:
                child = self._child(each.run_id)
                found += [nested(each, one) for one in self.waiting(child)] if child else []
        return found

    def find_request(self, run_id: str, request_id: str) -> tuple[LoadedRun, Request]:
        """A request of a run or of one of its child runs, with the run that it belongs to.

        Raises:
            NotFound: there is no such run for this tenant, or no such request.
            Retryable: the run, or a child run that may have the request, cannot be read now.
        """
        return self._find_request(self.load(run_id), request_id)

    def _find_request(self, loaded: LoadedRun, request_id: str) -> tuple[LoadedRun, Request]:
        try:
            return loaded, find_request(loaded, request_id)
        except NotFound:
            unread: Retryable | None = None
            for _, child in child_run_ids(loaded.continuation):
                try:
                    return self._find_request(self.load(child), request_id)
                except NotFound:
                    continue
                except Retryable as error:
                    unread = error
            if unread:  # the request may be in there
                raise unread from None
            raise

    def _child(self, run_id: str) -> LoadedRun | None:
        """A child run; None if there is none, or if it cannot be read."""
        try:
            read = read_run(self.store, run_id)
        except UNREADABLE:
            return None
        return LoadedRun(read[0].head, *read) if read else None

    def page(
        self,
        *,
        status: Status | None = None,
        agent: str | None = None,
        starter: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Heads of runs, newest first.

        Args:
            status: of the runs; None for any.
            agent: of the runs; None for any.
            starter: whose runs; None for everybody's.
            cursor: `next` of the page before; None for the first.
            limit: the most heads.

        Raises:
            Invalid: the cursor is not one that this method returned.
        """
        return self.store.list_runs(
            self.tenant, status=status, agent=agent, starter=starter, cursor=cursor, limit=limit
        )

    def head(self, run_id: str) -> RunHead:
        """The head of a run.

        Raises:
            NotFound: there is no such run for this tenant.
        """
        head = self.store.head(run_id) if is_opaque_id(run_id) else None
        if head is None or head.tenant != self.tenant:
            raise NotFound(f"there is no run {run_id!r}")
        return head


def _no_such_agent(name: str, registry: Registry) -> str:
    """The error for an agent that cannot be started, with the names of those that can."""
    shown = name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:MAX_NAME_CHARACTERS]}…"
    known = list(registry.startable)
    more = len(known) - MAX_NAMED_AGENTS
    names = ", ".join(known[:MAX_NAMED_AGENTS]) + (f" and {more} more" if more > 0 else "")
    problem = (
        f"the agent {shown!r} is a sub-agent and cannot be started"
        if registry.find(name)
        else f"there is no agent named {shown!r}"
    )
    return f"{problem}; agents that can be started: {names or 'none'}"
