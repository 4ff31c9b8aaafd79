"""What people and programs do with runs: start, look, decide, cancel. Every door comes here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from secrets import token_bytes
from typing import Any, Literal

from agent_continuations.agent import Registry
from agent_continuations.core.continuation import (
    Continuation,
    Decision,
    Outcome,
    PendingCall,
    RefusedPlan,
    Verdict,
)
from agent_continuations.core.event import (
    Decided,
    Doubted,
    DoubtSettled,
    Started,
    ToolReturned,
)
from agent_continuations.core.identity import (
    arguments_hash,
    canonical_json,
    is_opaque_id,
    opaque_id,
    run_id_for,
)
from agent_continuations.core.messages import happened_text
from agent_continuations.core.path import START_KEY, Path, call_key, parse_path, path_text
from agent_continuations.dispatch import hash_of
from agent_continuations.errors import (
    AlreadyDecided,
    Conflict,
    Forbidden,
    Invalid,
    KeyReused,
    NotFound,
)
from agent_continuations.planning import begin
from agent_continuations.ports import (
    Clock,
    Head,
    Hints,
    Page,
    Register,
    Snapshot,
    Status,
    Store,
    read_run,
    utc_now,
)
from agent_continuations.tool import ArgumentsRefused
from agent_continuations.views import decision_view

MAX_INPUT_BYTES = 256 * 1024
HINT_GRACE = timedelta(seconds=60)
DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says to a request; see `Decision` for approver and decided_by.

    Without an approver it is for the only one who was asked; `decided_by` None is that one, too.
    """

    verdict: Verdict
    approver: str | None
    decided_by: str | None
    via: Literal["api", "link", "local"]
    reason: str | None = None
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A question that people were asked, with the decision that stands, if there is one."""

    kind: Literal["approval", "doubt"]
    path: Path
    call: PendingCall
    request_id: str
    approvers: tuple[str, ...]
    attempt: int = 0
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A run as it stands now."""

    head: Head
    snapshot: Snapshot
    continuation: Continuation


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

    def start(
        self,
        agent: str,
        input: str,
        *,
        key: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Head:
        """Start a run, or find the one that the same `key` and request started before.

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

    def decide(self, run_id: str, request_id: str, answer: Answer) -> Decision:
        """Decide a request. The first decision stands; the same one again is answered alike.

        Returns:
            The decision that stands.

        Raises:
            NotFound: there is no such request.
            Forbidden: the approver is not one of those who were asked.
            Invalid: several were asked, and no approver is named; the edited arguments do not fit
                the tool, or the request takes none.
            AlreadyDecided: another decision stands.
            Conflict: too late: the deadline has passed, or the run has ended.
        """
        loaded = self.load(run_id)
        request = find_request(loaded.snapshot, loaded.continuation, request_id)
        return self.settle(loaded, request, answer)

    def settle(self, loaded: Loaded, request: Request, answer: Answer) -> Decision:
        """`decide`, for whoever has loaded the run already."""
        run_id, request_id = loaded.head.run_id, request.request_id
        decision = self._decision(loaded, request, answer)
        standing = request.decision
        if standing is None:
            self._check_open(loaded, request, decision)
            registers = _registers(request, decision)
            before = self.store.deliver(run_id, registers, now=self.clock())
            if before is None:
                self.hints.resume(run_id)
                return decision
            standing = _decision_in(before)
        if standing is None:
            raise Conflict("the tool's outcome has arrived meanwhile; nothing is left to answer")
        if not _same(standing, decision):
            raise AlreadyDecided(decision_view(run_id, request_id, standing))
        return standing

    def _head(self, run_id: str) -> Head:
        head = self.store.head(run_id) if is_opaque_id(run_id) else None
        if head is None or head.tenant != self.tenant:
            raise NotFound(f"there is no run {run_id!r}")
        return head

    def _decision(self, loaded: Loaded, request: Request, answer: Answer) -> Decision:
        call, path = request.call, request.path
        approver = _approver(request, answer.approver)
        asked = call.model_copy(update={"decision": None}) if request.kind == "approval" else call
        shown = hash_of(loaded.head, asked, path)
        decision = Decision(
            verdict=answer.verdict,
            approver=approver,
            decided_by=answer.decided_by or approver,
            via=answer.via,
            reason=answer.reason or None,
            arguments=self._edited(loaded, request, answer),
            arguments_hash=shown,
            decided_at=self.clock(),
        )
        if decision.arguments is None:
            return decision
        edited = hash_of(loaded.head, call.model_copy(update={"decision": decision}), path)
        return decision.model_copy(update={"arguments_hash": edited})

    def _edited(self, loaded: Loaded, request: Request, answer: Answer) -> dict[str, Any] | None:
        """An approver's arguments as the tool understands them; None if they change nothing."""
        if answer.arguments is None:
            return None
        if request.kind != "approval" or answer.verdict is Verdict.REJECT:
            fields = [("arguments", "only an approval of a call can change them")]
            raise Invalid("arguments cannot be edited here", fields)
        plan = request.call.plan
        agent = self.registry().find(loaded.continuation.frame_at(request.path[:-1]).agent)
        tool = agent.tool(plan.tool) if agent else None
        if tool is None or isinstance(plan, RefusedPlan):
            raise Conflict(f"the tool {plan.tool} is gone; its arguments cannot be checked")
        try:
            checked = tool.validated(answer.arguments)
        except ArgumentsRefused as error:
            fields = [(f"arguments.{name}", fault) for name, fault in error.fields]
            raise Invalid("the edited arguments do not fit the tool", fields) from None
        return None if canonical_json(checked) == canonical_json(plan.arguments) else checked

    def _check_open(self, loaded: Loaded, request: Request, decision: Decision) -> None:
        if loaded.head.status.terminal or loaded.head.cancelled:
            status = "cancelled" if loaded.head.cancelled else loaded.head.status.value
            raise Conflict(f"the run is {status}")
        if request.call.outcome:
            raise Conflict("the tool's outcome has arrived; nothing is left to answer")
        approval = request.call.approval
        if request.kind == "approval" and approval and decision.decided_at > approval.expires_at:
            raise Conflict("the deadline for this decision has passed")


def find_request(snapshot: Snapshot, root: Continuation, request_id: str) -> Request:
    """A request of a run, open or answered.

    Raises:
        NotFound: no request of this run has this id.
    """
    for path, call in root.calls():
        if call.approval and call.approval.request_id == request_id:
            approvers = call.approval.approvers
            return Request("approval", path, call, request_id, approvers, decision=call.decision)
    # A doubt that was denied has left the tree; its events have not.
    found: Request | None = None
    for event in snapshot.events():
        if isinstance(event, Doubted) and event.doubt.request_id == request_id:
            path, doubt = parse_path(event.path), event.doubt
            attempt = doubt.intent.attempt
            call = root.call_at(path)
            found = Request("doubt", path, call, request_id, doubt.approvers, attempt)
        elif found and isinstance(event, DoubtSettled) and event.request_id == request_id:
            return replace(found, decision=event.decision)
    if found is None:
        raise NotFound(f"there is no request {request_id!r}")
    return found


def _approver(request: Request, name: str | None) -> str:
    """Whom an answer speaks for: `name`, or the only one who was asked."""
    if not request.approvers:
        return name or "operator"
    if name is None:
        if len(request.approvers) > 1:
            raise Invalid("several people were asked; say for whom", [("approver", "required")])
        return request.approvers[0]
    if name not in request.approvers:
        fields = [("approver", "not one of the approvers")]
        raise Forbidden(f"{name} is not asked for this decision", fields)
    return name


def _registers(request: Request, decision: Decision) -> list[Register]:
    """What a decision writes, all or nothing. Who says that a doubted call happened writes its
    outcome, too, at the key where a late outcome of the lost owner would stand: only one can.
    """
    path = path_text(request.path)
    if request.kind == "approval":
        decided = Decided(path=path, request_id=request.request_id, decision=decision)
        return [Register(call_key(request.path, "decision"), (decided,))]
    settled = DoubtSettled(path=path, request_id=request.request_id, decision=decision)
    registers = [Register(call_key(request.path, "answer", request.attempt), (settled,))]
    if decision.verdict is Verdict.APPROVE:
        outcome = ToolReturned(
            path=path,
            outcome=Outcome(kind="ok", content=happened_text(decision)),
            attempt=request.attempt,
            started_at=decision.decided_at,
            at=decision.decided_at,
        )
        registers.append(Register(call_key(request.path, "outcome"), (outcome,)))
    return registers


def _decision_in(register: Register) -> Decision | None:
    for event in register.events:
        if isinstance(event, Decided | DoubtSettled):
            return event.decision
    return None


def _same(one: Decision, other: Decision) -> bool:
    """The same words by the same approver: a double click, not a second opinion."""
    return (one.verdict, one.approver, one.arguments_hash) == (
        other.verdict,
        other.approver,
        other.arguments_hash,
    )
