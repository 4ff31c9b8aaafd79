"""Moves a run, with its child runs, from one store to another in a document.

A run continues in one place at a time:

1. `hand_over` marks the run in its store, which then refuses whatever would change it, and writes
   the document. Each hand-over of a run has a number, one higher than the one before.
2. `take_over` stores the run elsewhere under that number, or takes it back where it was.
3. A store takes a run only if it has none of this id, or handed it over with this document or an
   earlier one. So an older document, and a run that continues here, are refused; the document that
   the run continues from here already changes nothing.

Two stores cannot see each other: one document that is loaded in two of them continues in both. Load
each document in one place.

A run that has failed or was cancelled can never act again. It is copied, and not marked. A
completed run is marked, because a message would continue it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from agent_continuations.core.path import parse_path
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import LoadedRun, RunHead, Snapshot, Status
from agent_continuations.core.waits import ChildWait
from agent_continuations.errors import Conflict, Invalid, NotFound
from agent_continuations.local.document import DocumentRun, RunDocument
from agent_continuations.ports.store import Store, read_run

HAND_OVER_TRIES = 5


def hand_over(store: Store, run_id: str, now: datetime, *, clock_skew: float) -> RunDocument:
    """Hands a run and its child runs over. Repeating it returns the same runs again.

    Args:
        store: the store of the run.
        run_id: the run.
        now: current time.
        clock_skew: seconds after an intent's deadline until its lease holder counts as dead.

    Raises:
        NotFound: the run does not exist.
        Invalid: another run has started the run.
        Conflict: one of the runs is running, or a tool may still be running.
    """
    for _ in range(HAND_OVER_TRIES):
        tree = _load_tree(store, run_id)
        root = tree[0].head
        if root.parent:
            raise Invalid(f"the run was started by the run {root.parent.run_id}: dump that run")
        if root.status is Status.MOVED:
            return _document(store, tree, now)
        for each in tree:
            _check_idle(each, now - timedelta(seconds=clock_skew))
        # Child runs first: a child run that ends reports to its parent, which must still listen.
        if _mark(store, tree[::-1], root.moves + 1, now):
            return _document(store, _load_tree(store, run_id), now)
    raise Conflict("the run changes too often to be dumped; try again")


def take_over(store: Store, document: RunDocument, now: datetime) -> None:
    """Stores the runs of a document, so that they continue in this store.

    Raises:
        Conflict: the document is older than what is stored, or the run continues here without
            having been handed over with this document.
    """
    for text in document.profiles:
        store.save_profile(RequestProfile.read(text))
    # Parents first: a child run that ends early must find its parent.
    for run in document.runs:
        head = run.head.taken_over(now)
        notices = [
            each.model_copy(update={"due": now})
            if (each.due or each.undelivered) and not head.status.ended
            else each
            for each in run.notices
        ]
        _check_taken(store.restore(Snapshot(head, run.journal), notices), head)


def _check_taken(stored: RunHead, head: RunHead) -> None:
    if stored.moves > head.moves:
        raise Conflict(
            f"document {head.moves} is too old: the run was handed over or taken over here with "
            f"document {stored.moves}"
        )
    if stored.moves < head.moves:
        raise Conflict(f"the run continues here: it was not handed over with document {head.moves}")


def _load_tree(store: Store, run_id: str) -> list[LoadedRun]:
    """A run and its child runs, whether they have ended or not; each after its parent."""
    tree: list[LoadedRun] = []
    run_ids = [run_id]
    for each in run_ids:
        found = read_run(store, each)
        if found is None:
            if not tree:
                raise NotFound(f"there is no run {run_id!r}")
            continue
        tree.append(LoadedRun(found[0].head, *found))
        run_ids += [
            call.wait.run_id for _, call in found[1].calls() if isinstance(call.wait, ChildWait)
        ]
    return tree


def _check_idle(loaded: LoadedRun, dead_before: datetime) -> None:
    """Checks that no process works on the run, or may still run one of its tools.

    Raises:
        Conflict: one does.
    """
    head = loaded.head
    if head.status is Status.RUNNING:
        raise Conflict(f"the run {head.run_id} is running: dump it once it is suspended")
    for path, intent in head.intents.items():
        if (
            intent.deadline > dead_before
            and not loaded.continuation.call_at(parse_path(path)).outcome
        ):
            raise Conflict(f"the tool of {path} may still be running: dump the run later")


def _mark(store: Store, runs: Iterable[LoadedRun], number: int, now: datetime) -> bool:
    """Marks all runs as handed over, or none.

    Returns:
        False if a run was claimed since it was loaded.
    """
    marked: list[RunHead] = []
    for each in runs:
        head = store.hand_over(each.head.run_id, epoch=each.head.epoch, number=number)
        if head is None:
            for moved in reversed(marked):
                store.restore(Snapshot(moved.taken_over(now), ()), ())
            return False
        marked.append(head)
    return True


def _document(store: Store, tree: Sequence[LoadedRun], now: datetime) -> RunDocument:
    root = tree[0].head
    frames = (frame for each in tree for frame in each.continuation.frames())
    digests = sorted({turn.profile for frame in frames for turn in frame.turns if turn.profile})
    profiles = [each for each in map(store.profile, digests) if each]
    return RunDocument(
        run_id=root.run_id,
        agent=root.agent,
        number=root.moves,
        dumped_at=now,
        runs=tuple(
            DocumentRun.of(each.snapshot, tuple(store.notices(each.head.run_id))) for each in tree
        ),
        profiles=tuple(each.document.decode() for each in profiles),
    )
