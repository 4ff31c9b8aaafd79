"""Commits in batches: each as large as a store takes, and the last one alone ends the commit."""

from datetime import timedelta

from agent_continuations.core.approvals.audit_chain import ChainHead, audit_entry, faults
from agent_continuations.core.approvals.policy import Stage
from agent_continuations.core.approvals.request import ApprovalRequest
from agent_continuations.core.events import ApprovalRequested
from agent_continuations.engine.commit_batches import commit_batches
from agent_continuations.engine.pending_writes import PendingWrite, PendingWrites
from agent_continuations.ports.limits import MAX_ITEMS_AT_ONCE
from tests.support.events import NOW, tool_returned

MOST = MAX_ITEMS_AT_ONCE - 1  # the head is an item, too


def requests(number: int) -> list[PendingWrite]:
    """So many requests, of as many calls."""
    stage = Stage(approvers=("ann@example.com",))
    return [
        PendingWrite(
            ApprovalRequested(
                path=f"0.{call}",
                request=ApprovalRequest(
                    request_id=f"q{call}",
                    arguments_hash="h",
                    stages=(stage,),
                    requested_at=NOW,
                    expires_at=NOW + timedelta(hours=1),
                ),
            )
        )
        for call in range(number)
    ]


def test_only_the_last_batch_releases_the_run() -> None:
    pending = PendingWrites(requests(2 * MOST), [tool_returned("0.200")])
    batches = list(commit_batches(pending, ChainHead()))
    assert [each.last for each in batches] == [False, False, True]
    assert [len(each.entries) for each in batches] == [MOST, MOST, 1]


def test_a_commit_of_nothing_is_one_batch() -> None:
    [batch] = commit_batches(PendingWrites(), ChainHead())
    assert (batch.last, batch.entries, batch.trail) == (True, [], None)


def test_each_batch_continues_the_audit_trail_of_the_one_before() -> None:
    pending = PendingWrites(requests(2 * MOST))
    first, second = commit_batches(pending, ChainHead())
    assert first.trail
    assert second.trail
    assert (first.trail.before, second.trail.before) == (0, first.trail.after.number)
    linked = [event for each in (first, second) for entry in each.entries for event in entry.events]
    entries = [audit_entry(each) for each in linked if isinstance(each, ApprovalRequested)]
    assert faults(entries, second.trail.after) == []
