"""Child runs: runs that a call of another run starts and waits for."""

from datetime import datetime

from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import Event, Restored, Started, Suspended, ToolReturned
from agent_continuations.core.ids import arguments_hash, child_run_id
from agent_continuations.core.keys import START_KEY, call_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, parse_path, path_text
from agent_continuations.core.plans import AgentPlan
from agent_continuations.core.requesters import requesters, senders_of
from agent_continuations.core.run import (
    JournalEntry,
    LoadedRun,
    NewRun,
    Parent,
    RunHead,
    Status,
)
from agent_continuations.core.waits import ChildWait
from agent_continuations.engine.context import EngineContext
from agent_continuations.errors import Conflict, IllegalEvent
from agent_continuations.ports.limits import WAKE_UP_GRACE


def start_child(
    head: RunHead, root: Continuation, path: Path, now: datetime
) -> tuple[Suspended, NewRun]:
    """The child run of the call at `path`, and the event that makes the call wait for it.

    Raises:
        IllegalEvent: the call does not start a run.
    """
    call = root.call_at(path)
    plan = call.plan
    if not isinstance(plan, AgentPlan):
        raise IllegalEvent(f"{path_text(path)} calls no agent")
    run_id = child_run_id(head.run_id, path)
    continuation = Continuation(
        agent=plan.agent,
        instructions=plan.instructions,
        input=call.arguments["input"],
        max_turns=plan.max_turns,
        output=plan.output,
    )
    child = RunHead(
        run_id=run_id,
        tenant=head.tenant,
        agent=plan.agent,
        request_hash=arguments_hash(
            tenant=head.tenant,
            run_id=head.run_id,
            path=path,
            tool=plan.tool,
            schema_version=plan.schema_version,
            arguments=call.arguments,
        ),
        status=Status.READY,
        created_at=now,
        updated_at=now,
        due=now + WAKE_UP_GRACE,
        metadata=head.metadata,
        requester=head.requester,
        starter=head.starter,
        senders=tuple(each for each in requesters(head, root, path) if each != head.requester),
        parent=Parent(run_id=head.run_id, path=path_text(path)),
    )
    events: tuple[Event, ...] = (Started(continuation=continuation, at=now),)
    if root.restore:
        # The child may have been started before, and lost with the records of that time.
        events += (Restored(restore=root.restore),)
    entry = JournalEntry(START_KEY, events)
    suspended = Suspended(path=path_text(path), wait=ChildWait(run_id=run_id), at=now)
    return suspended, NewRun(child, entry)


def child_run_ids(root: Continuation) -> list[tuple[Path, str]]:
    """The child runs that a run waits for, parked ones too, each with the path of its call."""
    return [
        (path, call.wait.run_id)
        for path, call in root.calls()
        if isinstance(call.wait, ChildWait) and not call.outcome
    ]


def report_to_parent(
    context: EngineContext,
    head: RunHead,
    root: Continuation | None,
    status: Status,
    note: str | None,
) -> None:
    """Store the end of a child run as the outcome of the call that started it.

    The outcome is stored before the child's own end, so that a crash in between cannot lose it. A
    parent that has ended itself takes no outcome.

    Args:
        context: dependencies.
        head: the child's head.
        root: the child; None if it cannot be loaded.
        status: the status that the child ends with.
        note: the reason for which it has failed.
    """
    if head.parent is None:
        return
    now = context.clock()
    entry = _end(head.parent, head, root, _outcome(head, root, status, note), now)
    try:
        context.store.append_external(head.parent.run_id, [entry], now=now)
    except Conflict:
        return
    context.queue.resume(head.parent.run_id)


def _end(
    parent: Parent, head: RunHead, root: Continuation | None, outcome: Outcome, now: datetime
) -> JournalEntry:
    senders = senders_of(head, root) if root else head.senders
    return end_of_child(parent, outcome, head.created_at, now, senders)


def end_of_child(
    parent: Parent,
    outcome: Outcome,
    started_at: datetime,
    now: datetime,
    senders: tuple[str, ...] = (),
) -> JournalEntry:
    """The entry of the run `parent` with the outcome of the child run that its call started.

    Args:
        parent: the run, and its call.
        outcome: how the child run ended.
        started_at: when it was started.
        now: the time.
        senders: who sent the messages that it had read.
    """
    event = ToolReturned(
        path=parent.path, outcome=outcome, senders=senders, started_at=started_at, at=now
    )
    return JournalEntry(call_key(parse_path(parent.path), "outcome"), (event,))


def end_again(child: LoadedRun, now: datetime) -> JournalEntry | None:
    """The same entry, once more, for a parent that has lost it; None if the child has not ended."""
    head = child.head
    if head.parent is None or head.status not in _REASONS:
        return None
    outcome = _outcome(head, child.continuation, head.status, head.note)
    return _end(head.parent, head, child.continuation, outcome, now)


def cancel_children(context: EngineContext, parent: str, root: Continuation | None) -> None:
    """Cancel the child runs of a run that ends itself.

    Args:
        context: dependencies.
        parent: the id of the run.
        root: the run; None if it cannot be loaded, and its readable entries have to do.
    """
    if root:
        children = [run_id for _, run_id in child_run_ids(root)]
    else:
        snapshot = context.store.load(parent, partial=True)
        events = snapshot.events() if snapshot else ()
        waits = [each.wait for each in events if isinstance(each, Suspended)]
        children = [each.run_id for each in waits if isinstance(each, ChildWait)]
    for run_id in children:
        context.store.wake(run_id, now=context.clock(), cancel=True)
        context.queue.resume(run_id)


def _outcome(head: RunHead, root: Continuation | None, status: Status, note: str | None) -> Outcome:
    ended = root.outcome if root else None
    if status is Status.COMPLETED and ended:
        return ended
    why = ended.content if ended else (note or "")
    text = f"the agent {head.agent} {_REASONS[status]}, in the run {head.run_id}"
    return Outcome(kind="error", content=f"{text}: {why}" if why else text)


_REASONS = {
    Status.COMPLETED: "has ended",
    Status.FAILED: "failed",
    Status.CANCELLED: "was cancelled",
}
