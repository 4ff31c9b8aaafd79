"""What people and programs do with runs: start, look, decide, cancel. Every door comes here."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from secrets import token_bytes

from agent_continuations.agent import Registry
from agent_continuations.core.event import Started
from agent_continuations.core.identity import (
    arguments_hash,
    is_opaque_id,
    opaque_id,
    run_id_for,
)
from agent_continuations.core.path import START_KEY
from agent_continuations.decisions import Decisions
from agent_continuations.errors import Conflict, Invalid, KeyReused, NotFound
from agent_continuations.grants import Grants
from agent_continuations.planning import begin
from agent_continuations.ports import (
    Clock,
    Head,
    Hints,
    Page,
    Register,
    Status,
    Store,
    read_run,
    utc_now,
)
from agent_continuations.requests import Answer, Loaded, Request, Said, Settled, find_request

MAX_INPUT_BYTES = 256 * 1024
HINT_GRACE = timedelta(seconds=60)
DEFAULT_TENANT = "default"


class Runs:
    """The commands and queries on runs of one tenant.

    Args:
        registry: gives the agents; asked only where code is needed, to start a run and to check
            edited arguments, so that whoever only looks or decides need not import any agent.
    """

    def __init__(
        self,
        *,
        store: Store,
        hints: Hints,
        registry: Callable[[], Registry],
        tenant: str = DEFAULT_TENANT,
        clock: Clock = utc_now,
    ) -> None:
        self.store = store
        self.hints = hints
        self.registry = registry
        self.tenant = tenant
        self.clock = clock
        self.grants = Grants(store=store, tenant=tenant, clock=clock)
        self._decisions = Decisions(
            store=store, hints=hints, load=self.load, registry=registry, clock=clock
        )

    def start(
        self,
        agent: str,
        input: str,
        *,
        key: str | None = None,
        metadata: Mapping[str, str] | None = None,
        requester: str | None = None,
    ) -> Head:
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
        head = Head(
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
            due=now + HINT_GRACE,
            metadata=dict(metadata or {}),
            requester=requester,
        )
        started = Started(continuation=begin(found, input), at=now)
        stored = self.store.create(head, Register(START_KEY, (started,)))
        if stored.request_hash != head.request_hash:
            raise KeyReused("this Idempotency-Key was used for another request")
        if not stored.status.terminal:
            self.hints.advance(stored.run_id)
        return stored

    def load(self, run_id: str) -> Loaded:
        """A run with its whole continuation.

        Raises:
            NotFound: there is no such run for this tenant.
        """
        read = read_run(self.store, run_id) if is_opaque_id(run_id) else None
        if read is None or read[0].head.tenant != self.tenant:
            raise NotFound(f"there is no run {run_id!r}")
        snapshot, continuation = read
        return Loaded(snapshot.head, snapshot, continuation)

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
        return self.store.page(self.tenant, status=status, agent=agent, cursor=cursor, limit=limit)

    def cancel(self, run_id: str) -> Head:
        """Ask a run to end: nothing new begins, what is running is still recorded.

        Raises:
            NotFound: there is no such run for this tenant.
            Conflict: it has ended in another way.
        """
        self._head(run_id)
        head = self.store.wake(run_id, now=self.clock(), cancel=True)
        if head is None:
            raise NotFound(f"there is no run {run_id!r}")
        if head.status.terminal and head.status is not Status.CANCELLED:
            raise Conflict(f"the run is {head.status.value}")
        if not head.status.terminal:
            self.hints.resume(run_id)
        return head

    def redrive(self, run_id: str) -> Head:
        """Let a parked run go on, after what stopped it was mended.

        Raises:
            NotFound: there is no such run for this tenant.
            Conflict: it is not parked.
        """
        self._head(run_id)
        head = self.store.redrive(run_id, now=self.clock())
        if head is None:
            raise Conflict("the run is not parked")
        self.hints.resume(run_id)
        return head

    def decide(self, run_id: str, request_id: str, said: Said) -> Settled:
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
        loaded = self.load(run_id)
        return self.settle(loaded, find_request(loaded, request_id), said)

    def settle(self, loaded: Loaded, request: Request, said: Said) -> Settled:
        """`decide`, for whoever has loaded the run already."""
        wanted = said.grant if isinstance(said, Answer) and not request.decision else None
        if wanted is None or not isinstance(said, Answer):
            return self._decisions.settle(loaded, request, said)
        # Looked at first, so that a grant that cannot be made leaves the request open; stored
        # last, so that nothing is granted by who could not approve.
        grant = self.grants.proposed(loaded, request, said, wanted)
        settled = self._decisions.settle(loaded, request, said)
        self.grants.make(grant)
        return settled

    def _head(self, run_id: str) -> Head:
        head = self.store.head(run_id) if is_opaque_id(run_id) else None
        if head is None or head.tenant != self.tenant:
            raise NotFound(f"there is no run {run_id!r}")
        return head
