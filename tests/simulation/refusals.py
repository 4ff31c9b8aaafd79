"""Refusals of what comes to a run from outside: each has a reason that the sender can be told.

N1 an input is refused only if the run has ended, or has another stated reason: the request has a
decision, its deadline has passed, its arguments have changed, or the outcome of the call is known.
"""

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from agent_continuations.core.continuation import Call
from agent_continuations.core.path import parse_path
from agent_continuations.core.run import LoadedRun
from agent_continuations.errors import AlreadyDecided, Conflict, ContinuationError, NotFound
from agent_continuations.services.inbound_checks import MAX_PENDING_INBOUND
from tests.simulation.scheduler import EPOCH

if TYPE_CHECKING:
    from tests.simulation.world import World

SKEW = timedelta(seconds=61)


def note_refusal(
    world: "World", run_id: str, error: Conflict | NotFound, path: str | None = None
) -> None:
    """Add a refusal to the ground truth if it has no good reason.

    Args:
        world: the world.
        run_id: the run.
        error: the refusal.
        path: the call that the input is for, if it is for one.
    """
    loaded = world.stored_run(run_id)
    if loaded is None:
        if not isinstance(error, NotFound):
            world.ground_truth.refusals.append(f"N1: refused by a run that is not there: {error}")
        return
    call = None
    with suppress(LookupError):  # a restore of the table may have lost the call
        call = loaded.continuation.call_at(parse_path(path)) if path is not None else None
    if not _has_reason(world, loaded, error, call):
        status = loaded.head.status.value
        world.ground_truth.refusals.append(f"N1: refused by a {status} run: {error}")


def _has_reason(
    world: "World", loaded: LoadedRun, error: ContinuationError, call: Call | None
) -> bool:
    head, text = loaded.head, str(error)
    # A message may have continued a completed run since the refusal.
    if head.status.ended or head.cancelled or isinstance(error, AlreadyDecided):
        return not isinstance(error, NotFound)
    if text == "the run is completed" or "already returned its result" in text:
        return any(run_id == head.run_id for run_id, _ in world.ground_truth.messages)
    if "already waiting" in text:
        pending = (*loaded.continuation.messages, *loaded.continuation.signals)
        return len(pending) >= MAX_PENDING_INBOUND
    if call is None:
        return False
    if "arguments cannot be checked" in text:
        return world.registry in world.incomplete  # an edit of a call whose tool is gone now
    if "already known" in text:
        return call.outcome is not None
    if "deadline" in text:
        return _may_have_expired(world, call)
    return "arguments have changed" in text or "without a standing approval" in text


def _may_have_expired(world: "World", call: Call) -> bool:
    """Whether the first deadline of a request has passed, by the clock of some process."""
    now = EPOCH + timedelta(seconds=world.scheduler.now)
    if call.approval is None or call.gate is None:
        return False
    seconds = timedelta(seconds=call.gate.timeout_seconds)
    return call.approval.requested_at + seconds <= now + SKEW
