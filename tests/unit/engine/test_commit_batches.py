"""Commits in batches: each as large as a store takes, and the last one alone ends the commit."""

from datetime import timedelta
from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_continuations.core.approvals.audit_chain import ChainHead, audit_entry, faults
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.approvals.policy import Stage
from agent_continuations.core.approvals.request import ApprovalRequest
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import ApprovalRequested, InboundEvent, Started, Suspended
from agent_continuations.core.keys import START_KEY
from agent_continuations.core.run import JournalEntry, NewRun, RunHead, Status
from agent_continuations.core.waits import ChildWait
from agent_continuations.engine.commit_batches import CommitBatch, commit_batches
from agent_continuations.engine.pending_writes import PendingWrite, PendingWrites
from agent_continuations.ports.commit import commit_items
from agent_continuations.ports.limits import ITEMS_OF_A_START, MAX_ITEMS_AT_ONCE
from tests.support.events import NOW, tool_returned
from tests.support.notices import example_notice

MOST = MAX_ITEMS_AT_ONCE - 1  # the head is an item, too


@cache
def request(call: int) -> PendingWrite:
    """The request of a call, without a notice."""
    return PendingWrite(
        ApprovalRequested(
            path=f"0.{call}",
            request=ApprovalRequest(
                request_id=f"q{call}",
                arguments_hash="h",
                stages=(Stage(approvers=("ann@example.com",)),),
                requested_at=NOW,
                expires_at=NOW + timedelta(hours=1),
            ),
        )
    )


def requests(number: int) -> list[PendingWrite]:
    """So many requests, of as many calls."""
    return [request(call) for call in range(number)]


@cache
def grant(number: int) -> Grant:
    return Grant(
        grant_id=f"g{number}",
        tenant="default",
        approver="ann@example.com",
        agent="a",
        tool="t",
        schema_version="1",
        conditions={},
        made_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        via="api",
        run_id="r",
        request_id="q",
    )


@cache
def start(call: int) -> PendingWrite:
    """The start of a child run by a call."""
    run_id = f"child{call}"
    head = RunHead(
        run_id=run_id,
        tenant="default",
        agent="a",
        request_hash="h",
        status=Status.READY,
        created_at=NOW,
        updated_at=NOW,
        due=NOW,
    )
    root = Continuation(agent="a", instructions="", input="go", max_turns=9)
    entry = JournalEntry(START_KEY, (Started(continuation=root, at=NOW),))
    event = Suspended(path=f"0.{call}", wait=ChildWait(run_id=run_id), at=NOW)
    return PendingWrite(event, start=NewRun(head, entry))


class Turns(NamedTuple):
    """What wide turns leave to be written.

    Attributes:
        staged: kinds of writes, each with how many follow one another.
        grants: how many different grants have cast the votes.
        reads: how many results of read tools, each of another frame and so an entry of its own.
    """

    staged: list[tuple[str, int]]
    grants: int
    reads: int

    def pending(self) -> PendingWrites:
        kinds = [kind for kind, times in self.staged for _ in range(times)]
        staged = [self._write(kind, call) for call, kind in enumerate(kinds)]
        return PendingWrites(staged, [tool_returned(f"0.{at}/0.0") for at in range(self.reads)])

    def _write(self, kind: str, call: int) -> PendingWrite:
        match kind:
            case "start":
                return start(call)
            case "vote":
                return request(call)._replace(grant=grant(call % self.grants))
            case "notice":
                return request(call)._replace(notice=example_notice(notice_id=f"n{call}"))
            case _:
                return request(call)


KINDS = st.sampled_from(["request", "notice", "vote", "start"])
TURNS = st.builds(
    Turns,
    st.lists(st.tuples(KINDS, st.integers(1, 110)), max_size=5),
    st.integers(1, 120),
    st.integers(0, 120),
)
some_turns = settings(max_examples=60)(given(TURNS))


def items(batch: CommitBatch) -> int:
    return commit_items(batch.entries, batch.notices, batch.uses, batch.starts)


def paths(batch: CommitBatch) -> list[str]:
    events = (event for entry in batch.entries for event in entry.events)
    return [event.path for event in events if not isinstance(event, Started | InboundEvent)]


@some_turns
def test_each_batch_is_a_transaction_and_together_they_are_all_writes_in_order(
    turns: Turns,
) -> None:
    pending = turns.pending()
    batches = list(commit_batches(pending, ChainHead()))
    assert all(items(each) <= MAX_ITEMS_AT_ONCE for each in batches)
    assert [each.last for each in batches] == [False] * (len(batches) - 1) + [True]
    written = [path for each in batches for path in paths(each)]
    # Reads fill what is left of a transaction, so that they may stand before later requests.
    reads = [each.path for each in pending.reads]
    assert [path for path in written if path in reads] == reads
    assert [path for path in written if path not in reads] == [
        each.event.path for each in pending.staged
    ]


@some_turns
def test_a_write_and_what_belongs_to_it_are_in_one_batch(turns: Turns) -> None:
    pending = turns.pending()
    staged = {each.event.path: each for each in pending.staged}
    for batch in commit_batches(pending, ChainHead()):
        writes = [staged[path] for path in paths(batch) if path in staged]
        assert [each.notice for each in writes if each.notice] == batch.notices
        assert [each.grant for each in writes if each.grant] == batch.uses
        assert [each.start for each in writes if each.start] == batch.starts


@some_turns
def test_no_batch_ends_before_it_is_full(turns: Turns) -> None:
    pending = turns.pending()
    *earlier, _ = commit_batches(pending, ChainHead())
    written = 0
    for batch in earlier:
        written += len([path for path in paths(batch) if "/" not in path])
        more = 1
        if written < len(pending.staged):
            following = pending.staged[written]
            used = {each.grant_id for each in batch.uses}
            more += bool(following.notice) + ITEMS_OF_A_START * bool(following.start)
            more += bool(following.grant and following.grant.grant_id not in used)
        assert items(batch) + more > MAX_ITEMS_AT_ONCE


@pytest.mark.parametrize(
    ("kind", "grants", "fit"),
    [("request", 1, 99), ("notice", 1, 49), ("vote", 1, 98), ("vote", 99, 49), ("start", 1, 33)],
)
def test_a_batch_takes_as_many_writes_as_their_items_allow(
    kind: str, grants: int, fit: int
) -> None:
    batches = list(commit_batches(Turns([(kind, 100)], grants, reads=0).pending(), ChainHead()))
    assert len(batches[0].entries) == fit


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
