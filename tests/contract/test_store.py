"""The contract of every store. Each test runs on each store; `conftest.py` lists them."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from agent_continuations.core.approvals.audit_chain import ChainHead
from agent_continuations.core.approvals.grant import ArgumentRule, Grant
from agent_continuations.core.backoff import ModelBackoff, Obstacle
from agent_continuations.core.continuation import Continuation, Intent
from agent_continuations.core.events import Started, ToolReturned
from agent_continuations.core.ids import opaque_id
from agent_continuations.core.keys import START_KEY, call_key
from agent_continuations.core.notice import Notice
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import parse_path
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import JournalEntry, NewRun, Parent, RunHead, Snapshot, Status
from agent_continuations.errors import Conflict, Fatal, Fenced, Invalid, Stale
from agent_continuations.ports.commit import ReleaseTerms, TrailMove
from agent_continuations.ports.limits import (
    ITEMS_OF_A_START,
    MAX_INTENTS_AT_ONCE,
    MAX_ITEMS_AT_ONCE,
    MAX_SETTLED_AT_ONCE,
)
from agent_continuations.ports.store import Store

T = TypeVar("T")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=120)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def new_head(*, tenant: str = "default", agent: str = "a", created: datetime = NOW) -> RunHead:
    return RunHead(
        run_id=opaque_id(random.randbytes(15)),
        tenant=tenant,
        agent=agent,
        request_hash="hash",
        status=Status.READY,
        created_at=created,
        updated_at=created,
        due=created,
    )


def start(text: str = "go") -> JournalEntry:
    root = Continuation(agent="a", instructions="", input=text, max_turns=9)
    return JournalEntry(START_KEY, (Started(continuation=root, at=NOW),))


def returned(path: str, content: str = "fine") -> JournalEntry:
    event = ToolReturned(
        path=path, outcome=Outcome(kind="ok", content=content), started_at=NOW, at=NOW
    )
    return JournalEntry(call_key(parse_path(path), "outcome"), (event,))


def intent(attempt: int = 1) -> Intent:
    return Intent(attempt=attempt, started_at=NOW, deadline=at(900))


def notice(head: RunHead, notice_id: str = "n1") -> Notice:
    return Notice(
        notice_id=notice_id,
        run_id=head.run_id,
        tenant=head.tenant,
        kind="approval",
        request_id=notice_id,
        path="0.0",
        agents=("a",),
        goal="go",
        tool="t",
        arguments={"amount": 1},
        arguments_hash="h",
        expires_at=at(60),
        created_at=NOW,
        approvers=("x@example.com",),
        answerers=("x@example.com",),
        due=at(60),
    )


@pytest.fixture
def run(store: Store) -> RunHead:
    return store.create(new_head(), start())


def claimed(store: Store, head: RunHead, holder: str = "me", now: datetime = NOW) -> RunHead:
    taken = store.claim(head.run_id, holder=holder, now=now, lease_until=now + LEASE)
    assert taken
    return taken


def release(
    head: RunHead, status: Status = Status.SUSPENDED, due: datetime | None = None
) -> ReleaseTerms:
    return ReleaseTerms(status=status, due=due, wake=head.wake, entry_count=1)


def test_a_run_is_created_once(store: Store) -> None:
    head = new_head()
    assert store.create(head, start("one")) == head
    other = head.model_copy(update={"request_hash": "other"})
    assert store.create(other, start("two")).request_hash == "hash"
    snapshot = store.load(head.run_id)
    assert snapshot
    assert snapshot.head == head
    assert snapshot.entries == (start("one"),)


def test_an_unknown_run_is_nothing(store: Store) -> None:
    assert store.head("unknown") is None
    assert store.load("unknown") is None
    assert store.claim("unknown", holder="me", now=NOW, lease_until=at(120)) is None
    assert store.wake("unknown", now=NOW) is None


def test_a_lease_keeps_others_out_until_it_ends(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    assert (mine.epoch, mine.status, mine.due) == (1, Status.RUNNING, at(120))
    assert store.claim(run.run_id, holder="you", now=at(119), lease_until=at(300)) is None
    yours = claimed(store, run, "you", at(121))
    assert (yours.epoch, yours.stalls) == (2, 0)


def test_a_claim_whose_answer_was_lost_can_be_repeated(store: Store, run: RunHead) -> None:
    first = claimed(store, run)
    mine = claimed(store, run, now=at(1))
    assert (mine.owner, mine.epoch, mine.stalls) == ("me", first.epoch, 0)
    assert store.renew(run.run_id, epoch=mine.epoch, lease_until=at(200)).due == at(200)


def test_a_lease_can_be_renewed_by_its_holder_only(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    assert store.renew(run.run_id, epoch=mine.epoch, lease_until=at(200)).due == at(200)
    assert store.claim(run.run_id, holder="you", now=at(199), lease_until=at(300)) is None
    claimed(store, run, "you", at(201))
    with pytest.raises(Fenced):
        store.renew(run.run_id, epoch=mine.epoch, lease_until=at(400))


def test_a_journal_entry_is_written_once(store: Store, run: RunHead) -> None:
    assert store.append(run.run_id, returned("0.0", "first")) == returned("0.0", "first")
    assert store.append(run.run_id, returned("0.0", "second")) == returned("0.0", "first")
    snapshot = store.load(run.run_id)
    assert snapshot
    assert snapshot.entries[1] == returned("0.0", "first")


def test_journal_entries_are_read_in_the_order_of_the_tree(store: Store, run: RunHead) -> None:
    paths = ["0.0", "0.0/0.0", "0.0/0.1", "0.1", "0.1/2.0", "0.10", "1.0", "10.0"]
    for path in random.sample(paths, len(paths)):
        store.append(run.run_id, returned(path))
    snapshot = store.load(run.run_id)
    assert snapshot
    found = [event.path for event in snapshot.events() if isinstance(event, ToolReturned)]
    expected = ["0.0/0.0", "0.0/0.1", "0.0", "0.1/2.0", "0.1", "0.10", "1.0", "10.0"]
    assert found == expected


def test_large_values_are_read_back_unchanged(store: Store, run: RunHead) -> None:
    large = random.Random(1).randbytes(600_000).hex()
    store.append(run.run_id, returned("0.0", large))
    assert store.append(run.run_id, returned("0.0", "other")) == returned("0.0", large)
    snapshot = store.load(run.run_id)
    assert snapshot
    assert snapshot.entries[1] == returned("0.0", large)


def test_many_journal_entries_are_read_over_several_pages(store: Store, run: RunHead) -> None:
    text = random.Random(1).randbytes(11_000).hex()
    for number in range(60):
        store.append(run.run_id, returned(f"{number}.0", text + str(number)))
    snapshot = store.load(run.run_id)
    assert snapshot
    assert snapshot.entries[1:] == tuple(
        returned(f"{number}.0", text + str(number)) for number in range(60)
    )


def test_an_intent_is_recorded_once(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    head = store.record_intents(
        run.run_id, epoch=mine.epoch, intents={"0.0": intent(), "0.1": intent()}, settled=[]
    )
    assert head.intents == {"0.0": intent(), "0.1": intent()}
    again = store.record_intents(
        run.run_id, epoch=mine.epoch, intents={"0.1": intent(2)}, settled=["0.0", "0.1"]
    )
    assert again.intents == {"0.1": intent(2)}
    yours = claimed(store, run, "you", at(121))
    other = Intent(attempt=2, started_at=at(1), deadline=at(901))
    with pytest.raises(Fenced):
        store.record_intents(run.run_id, epoch=yours.epoch, intents={"0.1": other}, settled=[])


def test_the_largest_allowed_writes_succeed(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    paths = [f"0.{number}" for number in range(MAX_SETTLED_AT_ONCE)]
    for at in range(0, len(paths), MAX_INTENTS_AT_ONCE):
        intents = {path: intent() for path in paths[at : at + MAX_INTENTS_AT_ONCE]}
        head = store.record_intents(run.run_id, epoch=mine.epoch, intents=intents, settled=[])
    assert set(head.intents) == set(paths)
    numbers = range((MAX_ITEMS_AT_ONCE - 1) // 2)
    assert store.commit(
        run.run_id,
        epoch=mine.epoch,
        entries=[returned(f"0.{number}") for number in numbers],
        notices=[notice(run, f"n{number}") for number in numbers],
        settled=paths,
        release=release(mine),
        now=NOW,
    )
    snapshot = store.load(run.run_id)
    assert snapshot
    assert (len(snapshot.entries), snapshot.head.intents) == (1 + len(numbers), {})
    assert len(store.notices(run.run_id)) == len(numbers)


def test_a_commit_of_more_items_than_a_transaction_takes_is_refused(
    store: Store, run: RunHead
) -> None:
    epoch = claimed(store, run).epoch
    entries = [returned(f"0.{number}") for number in range(MAX_ITEMS_AT_ONCE - 3)]
    notices = [notice(run, f"n{number}") for number in range(2)]
    with pytest.raises((ValueError, Fatal)):
        store.commit(
            run.run_id, epoch=epoch, entries=[*entries, returned("1.0")], notices=notices, now=NOW
        )
    starts = [NewRun(new_head(), start()) for _ in range(MAX_ITEMS_AT_ONCE // ITEMS_OF_A_START)]
    with pytest.raises((ValueError, Fatal)):
        store.commit(run.run_id, epoch=epoch, entries=entries[:1], starts=starts, now=NOW)
    snapshot = store.load(run.run_id)
    assert snapshot
    assert len(snapshot.entries) == 1
    assert store.commit(run.run_id, epoch=epoch, entries=entries, notices=notices, now=NOW)


def test_a_run_that_is_handed_back_can_be_claimed_at_once(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    store.hand_back(run.run_id, epoch=mine.epoch, due=at(60), note="no answer", counted=False)
    head = store.head(run.run_id)
    assert head
    assert (head.status, head.due, head.note) == (Status.READY, at(60), "no answer")
    assert (head.stalls, head.owner, head.lease_until) == (0, None, None)
    again = claimed(store, run, "you")
    store.hand_back(run.run_id, epoch=again.epoch, due=at(60), note="a bug", counted=True)
    head = store.head(run.run_id)
    assert head
    assert head.stalls == 1
    with pytest.raises(Fenced):
        store.hand_back(run.run_id, epoch=again.epoch, due=at(60), note="late", counted=True)


def test_a_former_lease_holder_hands_nothing_back(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    yours = claimed(store, run, "you", at(121))
    with pytest.raises(Fenced):
        store.hand_back(run.run_id, epoch=mine.epoch, due=at(60), note="late", counted=False)
    assert store.head(run.run_id) == yours


def test_a_former_lease_holder_writes_nothing(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    claimed(store, run, "you", at(121))
    with pytest.raises(Fenced):
        store.record_intents(run.run_id, epoch=mine.epoch, intents={"0.0": intent()}, settled=[])
    with pytest.raises(Fenced):
        store.commit(run.run_id, epoch=mine.epoch, entries=[returned("0.0")], now=NOW)
    with pytest.raises(Fenced):
        store.commit(run.run_id, epoch=mine.epoch, release=release(mine), now=NOW)
    with pytest.raises(Fenced):
        store.progress(run.run_id, epoch=mine.epoch, entry_count=3)
    snapshot = store.load(run.run_id)
    assert snapshot
    assert snapshot.entries == (start(),)


def test_nothing_begins_after_cancel(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    cancelled = store.wake(run.run_id, now=NOW, cancel=True)
    assert cancelled
    assert (cancelled.cancelled, cancelled.wake) == (True, 1)
    with pytest.raises(Fenced):
        store.record_intents(run.run_id, epoch=mine.epoch, intents={"0.0": intent()}, settled=[])
    with pytest.raises(Fenced):
        store.commit(run.run_id, epoch=mine.epoch, entries=[returned("0.0")], now=NOW)
    assert store.append(run.run_id, returned("0.0")) == returned("0.0")
    ended = release(cancelled, Status.CANCELLED)
    assert store.commit(run.run_id, epoch=mine.epoch, release=ended, now=at(5))
    head = store.head(run.run_id)
    assert head
    assert (head.status, head.due, head.owner) == (Status.CANCELLED, None, None)


def test_a_commit_is_all_or_nothing(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    store.append(run.run_id, returned("0.1", "there"))
    both = [returned("0.0"), returned("0.1")]
    assert not store.commit(
        run.run_id, epoch=mine.epoch, entries=both, notices=[notice(run)], now=NOW
    )
    snapshot = store.load(run.run_id)
    assert snapshot
    assert snapshot.entries == (start(), returned("0.1", "there"))
    assert store.notices(run.run_id) == []


def test_a_notice_that_the_outbox_has_from_before_a_restore_of_the_run_is_due_again(
    store: Store, run: RunHead
) -> None:
    mine = claimed(store, run)
    delivered = notice(run).model_copy(update={"due": None, "attempts": 1})
    store.update_notice(delivered)
    assert store.commit(
        run.run_id, epoch=mine.epoch, entries=[returned("0.0")], notices=[notice(run)], now=NOW
    )
    assert store.notices(run.run_id) == [notice(run)]
    assert store.notice(run.run_id, "n1") == notice(run)


def test_a_commit_writes_a_notice_and_releases_the_run_at_once(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    store.record_intents(run.run_id, epoch=mine.epoch, intents={"0.0": intent()}, settled=[])
    assert store.commit(
        run.run_id,
        epoch=mine.epoch,
        entries=[returned("0.0")],
        notices=[notice(run)],
        settled=["0.0"],
        release=release(mine, due=at(60)),
        now=at(3),
    )
    snapshot = store.load(run.run_id)
    assert snapshot
    head = snapshot.head
    assert snapshot.entries == (start(), returned("0.0"))
    assert (head.status, head.due, head.updated_at) == (Status.SUSPENDED, at(60), at(3))
    assert (head.intents, head.stalls, head.lease_until) == ({}, 0, None)
    assert store.notice(run.run_id, "n1") == notice(run)


def test_a_release_is_refused_after_a_decision_that_the_lease_holder_has_not_seen(
    store: Store, run: RunHead
) -> None:
    mine = claimed(store, run)
    assert store.append_external(run.run_id, [returned("0.0")], now=NOW) is None
    assert not store.commit(run.run_id, epoch=mine.epoch, release=release(mine), now=NOW)
    entries = [returned("0.1")]
    assert not store.commit(
        run.run_id, epoch=mine.epoch, entries=entries, release=release(mine), now=NOW
    )
    head = store.head(run.run_id)
    assert head
    assert (head.status, head.wake) == (Status.RUNNING, 1)
    assert store.commit(
        run.run_id, epoch=mine.epoch, entries=entries, release=release(head), now=NOW
    )


def test_the_first_decision_counts_and_wakes_the_run(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    store.commit(run.run_id, epoch=mine.epoch, release=release(mine), now=NOW)
    assert store.append_external(run.run_id, [returned("0.0", "first")], now=at(7)) is None
    head = store.head(run.run_id)
    assert head
    assert (head.status, head.due, head.wake) == (Status.READY, at(7), 1)
    existing = store.append_external(run.run_id, [returned("0.0", "second")], now=at(8))
    assert existing == returned("0.0", "first")
    existing = store.append_external(run.run_id, [returned("0.1"), returned("0.0")], now=at(8))
    assert existing == returned("0.0", "first")
    snapshot = store.load(run.run_id)
    assert snapshot
    assert snapshot.entries == (start(), returned("0.0", "first"))


def test_an_external_entry_is_refused_if_the_audit_trail_has_grown(
    store: Store, run: RunHead
) -> None:
    first = TrailMove(before=0, after=ChainHead(number=1, digest="a" * 64))
    assert store.append_external(run.run_id, [returned("0.0")], trail=first, now=NOW) is None
    head = store.head(run.run_id)
    assert head
    assert head.trail == first.after
    with pytest.raises(Stale):
        store.append_external(run.run_id, [returned("0.1")], trail=first, now=NOW)
    loaded = store.load(run.run_id)
    assert loaded
    assert [each.key for each in loaded.entries] == [START_KEY, returned("0.0").key]
    second = TrailMove(before=1, after=ChainHead(number=2, digest="b" * 64))
    assert store.append_external(run.run_id, [returned("0.1")], trail=second, now=NOW) is None


def test_a_commit_is_refused_if_the_audit_trail_has_grown(store: Store, run: RunHead) -> None:
    epoch = claimed(store, run).epoch
    first = TrailMove(before=0, after=ChainHead(number=1, digest="a" * 64))
    one, other = [returned("0.0")], [returned("0.1")]
    assert store.commit(run.run_id, epoch=epoch, entries=one, trail=first, now=NOW)
    assert not store.commit(run.run_id, epoch=epoch, entries=other, trail=first, now=NOW)
    head = store.head(run.run_id)
    assert head
    assert head.trail == first.after
    # Entries that are no part of the audit trail are not refused.
    assert store.commit(run.run_id, epoch=epoch, entries=other, now=NOW)


def test_who_started_a_run_and_who_asked_for_it_are_stored(store: Store) -> None:
    about = {
        "requester": "ann@example.com",
        "starter": "arn:aws:iam::123456789012:role/portal",
        "senders": ("bob@example.com", "eve@example.com"),
    }
    head = new_head().model_copy(update=about)
    store.create(head, start())
    stored = store.head(head.run_id)
    assert stored
    assert (stored.requester, stored.starter, stored.senders) == tuple(about.values())


def test_the_runs_of_one_starter_are_listed(store: Store) -> None:
    tenant = opaque_id(random.randbytes(5))
    whose = ["ann", "bob", None, "ann", "ANN"]
    heads = [
        store.create(
            new_head(tenant=tenant, created=at(number)).model_copy(update={"starter": name}),
            start(),
        )
        for number, name in enumerate(whose)
    ]
    first = store.list_runs(tenant, starter="ann", limit=1)
    assert [each.run_id for each in first.heads] == [heads[3].run_id]
    second = store.list_runs(tenant, starter="ann", cursor=first.next, limit=1)
    assert [each.run_id for each in second.heads] == [heads[0].run_id]
    assert second.next is None
    assert store.list_runs(tenant, starter="eve").heads == ()


def grant(tenant: str = "default", **more: Any) -> Grant:
    about: dict[str, Any] = {
        "grant_id": opaque_id(random.randbytes(10)),
        "tenant": tenant,
        "approver": "ann@example.com",
        "agent": "clerk",
        "tool": "pay",
        "schema_version": "1",
        "conditions": {"amount": ArgumentRule(rule="up_to", value=100)},
        "made_at": NOW,
        "expires_at": at(3600),
        "via": "link",
        "run_id": "r",
        "request_id": "q",
    }
    return Grant(**{**about, **more})


def test_grants_are_stored_by_tenant_and_tool(store: Store) -> None:
    tenant = opaque_id(random.randbytes(5))
    pay, refund, payout = (grant(tenant, tool=tool) for tool in ("pay", "refund", "payout"))
    for each in (pay, refund, payout, grant(tenant + "x")):
        store.grant(each)
    by_id = {each.grant_id: each for each in store.grants(tenant)}
    assert by_id == {each.grant_id: each for each in (pay, refund, payout)}
    assert store.grants(tenant, "pay") == [pay]
    assert store.grants(tenant, "nothing") == []


def test_uses_of_a_grant_are_counted_with_their_commit_or_not_at_all(
    store: Store, run: RunHead
) -> None:
    tenant, epoch = opaque_id(random.randbytes(5)), claimed(store, run).epoch
    thrice = grant(tenant, max_uses=3)
    store.grant(thrice)

    def use(path: str, *uses: Grant, now: datetime = NOW) -> bool:
        entries = [returned(path)]
        return store.commit(run.run_id, epoch=epoch, entries=entries, uses=uses, now=now)

    assert use("0.0", thrice, thrice)
    assert not use("0.1", thrice, thrice)  # only one use is left
    assert not use("0.1", thrice, now=at(3600))
    assert not use("0.0", thrice)  # the journal entry exists already
    assert use("0.1", thrice)
    assert not use("0.2", thrice)
    [stored] = store.grants(tenant)
    assert stored.uses == 3
    loaded = store.load(run.run_id)
    assert loaded
    assert len(loaded.entries) == 3


def test_a_grant_is_stored_with_its_decision_or_not_at_all(store: Store, run: RunHead) -> None:
    tenant = opaque_id(random.randbytes(5))
    made, late, second = (grant(tenant, max_uses=2) for _ in range(3))
    first = TrailMove(before=0, after=ChainHead(number=1, digest="a" * 64))

    def decide(path: str, given: Grant) -> JournalEntry | None:
        return store.append_external(
            run.run_id, [returned(path)], trail=first, grant=given, now=NOW
        )

    assert decide("0.0", made) is None
    assert decide("0.0", second) == returned("0.0")  # this decision is stored already
    with pytest.raises(Stale):
        decide("0.1", late)
    assert store.grants(tenant) == [made]
    epoch = claimed(store, run).epoch
    assert store.commit(
        run.run_id, epoch=epoch, entries=[returned("0.2")], uses=[made, made], now=NOW
    )
    assert [each.uses for each in store.grants(tenant)] == [2]


def test_a_run_that_has_ended_takes_no_grant(store: Store, run: RunHead) -> None:
    tenant, mine = opaque_id(random.randbytes(5)), claimed(store, run)
    ended = release(mine, Status.FAILED)
    assert store.commit(run.run_id, epoch=mine.epoch, release=ended, now=NOW)
    with pytest.raises(Conflict):
        store.append_external(run.run_id, [returned("0.0")], grant=grant(tenant), now=NOW)
    assert store.grants(tenant) == []


def test_a_revoked_grant_cannot_be_used_and_keeps_its_first_revoker(
    store: Store, run: RunHead
) -> None:
    tenant, epoch = opaque_id(random.randbytes(5)), claimed(store, run).epoch
    made = grant(tenant)
    store.grant(made)
    revoked = store.revoke(made, by="ann@example.com", now=at(5))
    assert (revoked.revoked_at, revoked.revoked_by) == (at(5), "ann@example.com")
    assert store.revoke(made, by="bob@example.com", now=at(6)) == revoked
    assert store.grants(tenant) == [revoked]
    assert not store.commit(
        run.run_id, epoch=epoch, entries=[returned("0.0")], uses=[made], now=NOW
    )


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_a_run_that_has_ended_stays_ended(store: Store, run: RunHead, status: Status) -> None:
    mine = claimed(store, run)
    assert store.commit(run.run_id, epoch=mine.epoch, release=release(mine, status), now=NOW)
    with pytest.raises(Conflict):
        store.append_external(run.run_id, [returned("0.0")], now=NOW)
    assert store.claim(run.run_id, holder="you", now=at(999), lease_until=at(1200)) is None
    woken = store.wake(run.run_id, now=at(9), cancel=True)
    assert woken
    assert (woken.status, woken.cancelled, woken.due) == (status, False, None)
    assert store.redrive(run.run_id, now=NOW) is None
    with pytest.raises(Fenced):
        store.record_intents(run.run_id, epoch=mine.epoch, intents={"0.0": intent()}, settled=[])


def test_a_parked_run_is_redriven(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    pause = ModelBackoff(until=at(90), tries=2, reason="busy")
    parked = ReleaseTerms(
        Status.PARKED, None, mine.wake, 1, note="the tool is gone", model_pause=pause
    )
    assert store.commit(run.run_id, epoch=mine.epoch, release=parked, now=NOW)
    head = store.head(run.run_id)
    assert head
    assert head.note == "the tool is gone"
    redriven = store.redrive(run.run_id, now=at(5))
    assert redriven
    assert (redriven.status, redriven.due, redriven.note) == (Status.READY, at(5), None)
    assert redriven.model_pause is None
    claimed(store, run, now=at(5))


def test_a_model_back_off_is_stored_until_a_release_without_one(store: Store, run: RunHead) -> None:
    pause = ModelBackoff(until=at(90), tries=2, reason="busy")
    mine = claimed(store, run)
    waits = ReleaseTerms(Status.SUSPENDED, at(90), mine.wake, 1, model_pause=pause)
    assert store.commit(run.run_id, epoch=mine.epoch, release=waits, now=NOW)
    again = claimed(store, run, now=at(1))
    assert again.model_pause == pause
    assert store.commit(run.run_id, epoch=again.epoch, release=release(again), now=at(2))
    head = store.head(run.run_id)
    assert head
    assert head.model_pause is None


def test_lost_executions_are_counted_until_progress(store: Store, run: RunHead) -> None:
    for number in range(4):
        mine = claimed(store, run, now=at(200 * number))
        for _ in range(2):  # a repeated request counts nothing
            mine = store.count_stall(mine)
    assert mine.stalls == 3
    assert store.progress(run.run_id, epoch=mine.epoch, entry_count=4).stalls == 0
    again = claimed(store, run, now=at(900))
    assert store.count_stall(again).stalls == 1
    with pytest.raises(Fenced):
        store.count_stall(mine)


def test_claims_whose_executions_never_began_count_as_one(store: Store, run: RunHead) -> None:
    for number in range(20):
        mine = claimed(store, run, now=at(200 * number))
    assert store.count_stall(mine).stalls == 1


def test_an_execution_that_has_released_its_run_is_not_lost(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    assert not mine.lost_execution
    assert store.commit(run.run_id, epoch=mine.epoch, release=release(mine), now=NOW)
    mine = claimed(store, run)
    assert not mine.lost_execution
    store.hand_back(run.run_id, epoch=mine.epoch, due=NOW, note="no answer", counted=False)
    mine = claimed(store, run)
    assert not mine.lost_execution
    mine = claimed(store, run, "you", at(121))
    assert mine.lost_execution
    assert store.count_stall(mine).stalls == 1


def test_due_runs_and_notices_are_found(store: Store) -> None:
    early = store.create(new_head(created=at(-500_000)), start())
    late = store.create(new_head(created=at(9_000_000)), start())
    asleep = store.create(new_head(created=at(-500_001)), start())
    mine = claimed(store, asleep)
    store.commit(
        asleep.run_id,
        epoch=mine.epoch,
        notices=[notice(asleep)],
        release=release(mine),
        now=at(-499_999),
    )
    found = {(due.run_id, due.notice_id) for due in store.due(NOW, 1000)}
    assert (early.run_id, None) in found
    assert (late.run_id, None) not in found
    assert (asleep.run_id, None) not in found
    assert (asleep.run_id, "n1") not in found
    later = [(due.run_id, due.notice_id) for due in store.due(at(60), 1000)]
    assert later.count((asleep.run_id, "n1")) == 1


def test_runs_that_were_never_claimed_are_marked_as_new(store: Store) -> None:
    waits = store.create(new_head(created=at(-700_000)), start())
    begun = store.create(new_head(created=at(-700_000)), start())
    claimed(store, begun, now=at(-699_000))
    found = {due.run_id: due.new for due in store.due(at(-690_000), 1000)}
    assert (found[waits.run_id], found[begun.run_id]) == (True, False)


def test_a_release_without_progress_counts_as_fruitless(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    idle = ReleaseTerms(Status.READY, NOW, mine.wake, 1, progress=False)
    assert store.commit(run.run_id, epoch=mine.epoch, release=idle, now=NOW)
    again = claimed(store, run)
    assert (again.stalls, again.registers) == (1, 1)


def park(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    parked = ReleaseTerms(Status.PARKED, None, mine.wake, 1, note="the tool is gone")
    assert store.commit(run.run_id, epoch=mine.epoch, release=parked, now=NOW)


def test_a_parked_run_keeps_what_comes_from_outside(store: Store, run: RunHead) -> None:
    park(store, run)
    assert store.append_external(run.run_id, [returned("0.0")], now=at(1)) is None
    head = store.head(run.run_id)
    assert head
    assert (head.status, head.due, head.note, head.wake) == (
        Status.PARKED,
        None,
        "the tool is gone",
        1,
    )
    assert store.claim(run.run_id, holder="you", now=at(9), lease_until=at(99)) is None
    assert store.redrive(run.run_id, now=at(9))
    snapshot = store.load(run.run_id)
    assert snapshot
    assert returned("0.0") in snapshot.entries


def test_a_pause_of_a_parked_run_counts_once_it_is_redriven(store: Store, run: RunHead) -> None:
    park(store, run)
    for paused in (True, False, True):
        head = store.pause(run.run_id, paused=paused, now=at(1))
        assert head
        assert (head.status, head.paused, head.due) == (Status.PARKED, paused, None)
    assert store.redrive(run.run_id, now=at(2))
    mine = claimed(store, run, now=at(2))
    assert mine.paused
    with pytest.raises(Fenced):
        store.record_intents(run.run_id, epoch=mine.epoch, intents={"0.0": intent()}, settled=[])


def test_a_paused_run_that_is_parked_stays_paused(store: Store, run: RunHead) -> None:
    assert store.pause(run.run_id, paused=True, now=NOW)
    park(store, run)
    head = store.redrive(run.run_id, now=at(2))
    assert head
    assert head.paused


@pytest.mark.parametrize("blocked", [False, True])
def test_a_run_that_is_blocked_or_backs_off_is_redriven(
    store: Store, run: RunHead, blocked: bool
) -> None:
    mine = claimed(store, run)
    obstacle = Obstacle(since=NOW, until=at(300), tries=1) if blocked else None
    pause = None if blocked else ModelBackoff(until=at(300), tries=2, reason="busy")
    waits = ReleaseTerms(
        Status.SUSPENDED,
        at(300),
        mine.wake,
        1,
        note="refused",
        progress=False,
        model_pause=pause,
        obstacle=obstacle,
    )
    assert store.commit(run.run_id, epoch=mine.epoch, release=waits, now=NOW)
    head = store.head(run.run_id)
    assert head
    assert (head.obstacle, head.model_pause, head.stalls) == (obstacle, pause, 1)
    redriven = store.redrive(run.run_id, now=at(5))
    assert redriven
    assert (redriven.status, redriven.due, redriven.stalls) == (Status.READY, at(5), 0)
    assert (redriven.note, redriven.obstacle, redriven.model_pause) == (None, None, None)
    again = claimed(store, run, now=at(5))
    idle = ReleaseTerms(Status.SUSPENDED, None, again.wake, 1)
    assert store.commit(run.run_id, epoch=again.epoch, release=idle, now=NOW)
    assert store.redrive(run.run_id, now=at(9)) is None


def test_what_comes_from_outside_wakes_a_blocked_run(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    obstacle = Obstacle(since=NOW, until=at(300), tries=1)
    blocked = ReleaseTerms(Status.SUSPENDED, at(300), mine.wake, 1, note="refused")
    blocked = replace(blocked, obstacle=obstacle)
    assert store.commit(run.run_id, epoch=mine.epoch, release=blocked, now=NOW)
    assert store.append_external(run.run_id, [returned("0.0")], now=at(1)) is None
    head = store.head(run.run_id)
    assert head
    assert (head.status, head.due, head.wake) == (Status.READY, at(1), 1)
    assert (head.note, head.obstacle) == ("refused", obstacle)


def test_a_parked_run_that_is_cancelled_is_claimed_once_more(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    parked = ReleaseTerms(Status.PARKED, None, mine.wake, 1)
    assert store.commit(run.run_id, epoch=mine.epoch, release=parked, now=NOW)
    woken = store.wake(run.run_id, now=at(1))
    assert woken
    assert woken.status is Status.PARKED
    cancelled = store.wake(run.run_id, now=at(2), cancel=True)
    assert cancelled
    assert (cancelled.status, cancelled.cancelled, cancelled.due) == (Status.READY, True, at(2))
    assert claimed(store, run, now=at(2)).cancelled
    assert store.redrive(run.run_id, now=NOW) is None


def test_a_delivered_notice_is_no_longer_due(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    store.commit(run.run_id, epoch=mine.epoch, notices=[notice(run)], now=NOW)
    changes = {"attempts": 1, "failure": "timeout", "due": at(120)}
    failed = notice(run).model_copy(update=changes)
    store.update_notice(failed)
    assert store.notice(run.run_id, "n1") == failed
    due = {(due.run_id, due.notice_id) for due in store.due(at(119), 1000)}
    assert (run.run_id, "n1") not in due
    sent = failed.model_copy(update={"delivered": ("email:x@example.com",), "due": None})
    store.update_notice(sent)
    assert store.notice(run.run_id, "n1") is None
    assert store.notices(run.run_id) == [sent]


def test_runs_are_listed_newest_first_in_pages(store: Store) -> None:
    tenant = opaque_id(random.randbytes(5))
    heads = [
        store.create(new_head(tenant=tenant, agent="ab"[number % 2], created=at(number)), start())
        for number in range(23)
    ]
    newest = [head.run_id for head in reversed(heads)]
    listed: list[str] = []
    cursor = None
    while True:
        page = store.list_runs(tenant, cursor=cursor, limit=5)
        listed += [head.run_id for head in page.heads]
        cursor = page.next
        if not cursor:
            break
    assert listed == newest
    assert [head.run_id for head in store.list_runs(tenant, agent="a", limit=3).heads] == newest[
        :6:2
    ]
    assert store.list_runs(tenant, status=Status.COMPLETED).heads == ()
    assert store.list_runs(f"{tenant}-other").heads == ()
    with pytest.raises(Invalid):
        store.list_runs(tenant, cursor="rubbish")


def test_one_of_many_concurrent_claims_succeeds(store: Store, run: RunHead) -> None:
    def claim(number: int) -> RunHead | None:
        return store.claim(run.run_id, holder=f"o{number}", now=NOW, lease_until=at(120))

    assert sum(taken is not None for taken in _at_once(claim, 8)) == 1


def test_one_of_many_concurrent_decisions_counts(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    store.commit(run.run_id, epoch=mine.epoch, release=release(mine), now=NOW)

    def decide(number: int) -> JournalEntry | None:
        return store.append_external(run.run_id, [returned("0.0", str(number))], now=NOW)

    answers = _at_once(decide, 8)
    assert sum(answer is None for answer in answers) == 1
    assert len({answer for answer in answers if answer}) == 1
    head = store.head(run.run_id)
    assert head
    assert head.wake == 1


def _at_once(act: Callable[[int], T], times: int) -> list[T]:
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(act, range(times)))


# -- paused runs, reopened runs, and child runs ----------------------------------------------------


def test_a_paused_run_stays_paused_until_it_is_resumed(store: Store, run: RunHead) -> None:
    held = store.pause(run.run_id, paused=True, now=at(1))
    assert held
    assert (held.paused, held.status, held.due) == (True, Status.SUSPENDED, None)
    assert store.pause(run.run_id, paused=True, now=at(2)) == held
    assert store.append_external(run.run_id, [returned("0.0")], now=at(3)) is None
    decided = store.head(run.run_id)
    assert decided
    assert (decided.paused, decided.status, decided.due) == (True, Status.READY, at(3))
    resumed = store.pause(run.run_id, paused=False, now=at(4))
    assert resumed
    assert (resumed.paused, resumed.status) == (False, Status.READY)
    assert resumed.wake > held.wake
    assert store.pause("unknown", paused=True, now=NOW) is None


def test_the_lease_holder_of_a_paused_run_begins_nothing_and_can_release_it(
    store: Store, run: RunHead
) -> None:
    mine = claimed(store, run)
    held = store.pause(run.run_id, paused=True, now=at(1))
    assert held
    assert (held.paused, held.status) == (True, Status.RUNNING)
    with pytest.raises(Fenced):
        store.record_intents(run.run_id, epoch=mine.epoch, intents={"0.0": intent()}, settled=[])
    assert not store.commit(run.run_id, epoch=mine.epoch, release=release(mine), now=at(2))
    assert store.commit(run.run_id, epoch=mine.epoch, release=release(held), now=at(3))
    left = store.head(run.run_id)
    assert left
    assert (left.paused, left.status, left.due) == (True, Status.SUSPENDED, None)
    resumed = store.pause(run.run_id, paused=False, now=at(4))
    assert resumed
    assert (resumed.status, resumed.due) == (Status.READY, at(4))


def test_a_run_that_is_being_cancelled_stays_due_when_it_is_paused(
    store: Store, run: RunHead
) -> None:
    store.wake(run.run_id, now=at(1), cancel=True)
    held = store.pause(run.run_id, paused=True, now=at(2))
    assert held
    assert (held.cancelled, held.paused, held.status) == (True, False, Status.READY)
    assert held.due


def test_a_run_that_has_ended_is_no_longer_paused(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    held = store.pause(run.run_id, paused=True, now=at(1))
    assert held
    assert store.commit(
        run.run_id, epoch=mine.epoch, release=release(held, Status.COMPLETED), now=NOW
    )
    ended = store.pause(run.run_id, paused=True, now=at(2))
    assert ended
    assert (ended.status, ended.paused) == (Status.COMPLETED, False)


def test_a_completed_run_continues_only_with_an_entry_that_reopens_it(
    store: Store, run: RunHead
) -> None:
    mine = claimed(store, run)
    ended = release(mine, Status.COMPLETED)
    assert store.commit(run.run_id, epoch=mine.epoch, release=ended, now=NOW)
    with pytest.raises(Conflict):
        store.append_external(run.run_id, [returned("0.0")], now=at(1))
    assert store.append_external(run.run_id, [returned("0.0")], reopen=True, now=at(2)) is None
    again = store.head(run.run_id)
    assert again
    assert (again.status, again.due) == (Status.READY, at(2))
    assert claimed(store, run, now=at(3)).epoch == mine.epoch + 1


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_a_run_that_ended_in_another_way_cannot_be_reopened(
    store: Store, run: RunHead, status: Status
) -> None:
    mine = claimed(store, run)
    assert store.commit(run.run_id, epoch=mine.epoch, release=release(mine, status), now=NOW)
    with pytest.raises(Conflict):
        store.append_external(run.run_id, [returned("0.0")], reopen=True, now=NOW)


def test_child_runs_are_started_with_the_calls_that_wait_for_them_or_not_at_all(
    store: Store, run: RunHead
) -> None:
    epoch = claimed(store, run).epoch
    parent = Parent(run_id=run.run_id, path="0.0")
    count = (MAX_ITEMS_AT_ONCE - 1) // (1 + ITEMS_OF_A_START)
    heads = [new_head().model_copy(update={"parent": parent}) for _ in range(count)]
    starts = [NewRun(head, start("job")) for head in heads]
    waits = [returned(f"0.{number}") for number in range(len(starts))]
    assert store.commit(run.run_id, epoch=epoch, entries=waits, starts=starts, now=NOW)
    for head in heads:
        stored = store.load(head.run_id)
        assert stored
        assert (stored.head.parent, stored.entries) == (parent, (start("job"),))
    other = new_head()
    again = [NewRun(other, start()), starts[0]]
    assert not store.commit(
        run.run_id, epoch=epoch, entries=[returned("1.0")], starts=again, now=NOW
    )
    assert store.head(other.run_id) is None
    with pytest.raises(Fenced):
        store.commit(
            run.run_id,
            epoch=epoch - 1,
            entries=[returned("1.0")],
            starts=[NewRun(other, start())],
            now=NOW,
        )
    assert store.head(other.run_id) is None


# -- request profiles ------------------------------------------------------------------------------


def test_a_request_profile_is_stored_under_its_digest(store: Store) -> None:
    tool = {"function": {"parameters": {"z": 1, "a": 2}, "name": "t"}, "type": "function"}
    one = RequestProfile.of("m", [tool], {"temperature": 0})
    other = RequestProfile.of(None, [], {})
    assert store.profile(one.digest) is None
    for each in (one, other, one):
        store.save_profile(each)
    assert store.profile(other.digest) == other
    stored = store.profile(one.digest)
    assert stored == one
    assert stored.document == one.document  # in the order in which it was sent


def test_a_request_profile_may_be_larger_than_an_item(store: Store) -> None:
    tool = {"function": {"name": "t", "description": random.Random(1).randbytes(400_000).hex()}}
    large = RequestProfile.of("m", [tool], {})
    for _ in range(2):
        store.save_profile(large)
    assert store.profile(large.digest) == large


# -- runs that move to another store ---------------------------------------------------------------


def suspended(store: Store, head: RunHead) -> RunHead:
    """The run with an outcome, a notice, an intent, and a trail, suspended."""
    mine = claimed(store, head)
    store.record_intents(head.run_id, epoch=mine.epoch, intents={"0.1": intent()}, settled=())
    assert store.commit(
        head.run_id,
        epoch=mine.epoch,
        entries=[returned("0.0")],
        notices=[notice(head)],
        release=release(mine, due=at(600)),
        trail=TrailMove(before=0, after=ChainHead(number=1, digest="d")),
        now=at(1),
    )
    found = store.head(head.run_id)
    assert found
    return found


def handed_over(store: Store, head: RunHead, number: int = 1) -> RunHead:
    moved = store.hand_over(head.run_id, epoch=head.epoch, number=number)
    assert moved
    return moved


def taken(store: Store, moved: RunHead, now: datetime = NOW) -> Snapshot:
    """The snapshot with which a moved run continues."""
    found = store.load(moved.run_id)
    assert found
    return Snapshot(found.head.taken_over(now), found.entries)


def test_a_run_that_was_handed_over_takes_nothing_here(store: Store, run: RunHead) -> None:
    before = suspended(store, run)
    moved = handed_over(store, before)
    assert (moved.status, moved.moved_from, moved.moves) == (Status.MOVED, Status.SUSPENDED, 1)
    assert store.claim(run.run_id, holder="you", now=at(9999), lease_until=at(99999)) is None
    with pytest.raises(Conflict, match="handed over with document 1"):
        store.append_external(run.run_id, [returned("0.1")], now=at(3))
    with pytest.raises(Conflict, match="handed over with document 1"):
        store.append_external(run.run_id, [returned("0.1")], reopen=True, now=at(3))
    for same in (
        store.wake(run.run_id, now=at(3)),
        store.wake(run.run_id, now=at(3), cancel=True),
        store.pause(run.run_id, paused=True, now=at(3)),
        store.head(run.run_id),
    ):
        assert same == moved
    assert store.redrive(run.run_id, now=at(3)) is None
    assert [each for each in store.due(at(99999), 10) if each.notice_id is None] == []
    snapshot = store.load(run.run_id)
    assert snapshot
    assert [each.key for each in snapshot.entries] == [START_KEY, returned("0.0").key]


def test_a_paused_run_that_was_handed_over_is_not_resumed_here(store: Store, run: RunHead) -> None:
    suspended(store, run)
    paused = store.pause(run.run_id, paused=True, now=at(2))
    assert paused
    moved = handed_over(store, paused)
    assert store.pause(run.run_id, paused=False, now=at(3)) == moved


def test_a_lease_holder_keeps_a_run_from_being_handed_over(store: Store, run: RunHead) -> None:
    mine = claimed(store, run)
    assert store.hand_over(run.run_id, epoch=mine.epoch, number=1) is None
    assert store.hand_over("unknown", epoch=0, number=1) is None
    assert store.renew(run.run_id, epoch=mine.epoch, lease_until=at(200)).moves == 0


def test_a_run_that_was_claimed_since_it_was_read_is_not_handed_over(
    store: Store, run: RunHead
) -> None:
    suspended(store, run)
    assert store.hand_over(run.run_id, epoch=run.epoch, number=1) is None


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_a_run_that_can_never_act_again_stays_as_it_is(
    store: Store, run: RunHead, status: Status
) -> None:
    mine = claimed(store, run)
    assert store.commit(run.run_id, epoch=mine.epoch, release=release(mine, status), now=at(1))
    before = store.head(run.run_id)
    assert before
    assert store.hand_over(run.run_id, epoch=mine.epoch, number=1) == before


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.PARKED])
def test_a_run_that_could_be_continued_is_handed_over_and_comes_back_as_it_was(
    store: Store, run: RunHead, status: Status
) -> None:
    mine = claimed(store, run)
    assert store.commit(run.run_id, epoch=mine.epoch, release=release(mine, status), now=at(1))
    before = store.head(run.run_id)
    assert before
    moved = handed_over(store, before)
    assert moved.moved_from is status
    back = store.restore(taken(store, moved, at(4)), [])
    assert back == before.model_copy(update={"moves": 1})
    assert store.head(run.run_id) == back


def test_a_run_continues_in_another_store_with_all_that_was_stored(
    store: Store, run: RunHead
) -> None:
    head = suspended(store, run)
    # Stored under another id, as it would be in another store.
    other = opaque_id(random.randbytes(15))
    pause = ModelBackoff(until=at(90), tries=2, reason="busy")
    full = (
        handed_over(store, head)
        .taken_over(at(5))
        .model_copy(
            update={
                "run_id": other,
                "requester": "cfo@example.com",
                "metadata": {"team": "x"},
                "note": "why",
                "model_pause": pause,
                "paused": True,
                "cancelled": True,
                "parent": Parent(run_id="p", path="0.0"),
            }
        )
    )
    entries = (start(), returned("0.0"))
    sent = notice(full).model_copy(update={"delivered": ("email:x@example.com",), "due": None})
    assert store.restore(Snapshot(full, entries), [sent]) == full
    assert store.head(other) == full
    assert (full.status, full.due, full.epoch) == (Status.READY, at(5), 1)
    assert (full.intents, full.trail.number) == ({"0.1": intent()}, 1)
    snapshot = store.load(other)
    assert snapshot
    assert snapshot.entries == entries
    assert store.notices(other) == [sent]
    assert [(each.run_id, each.new) for each in store.due(at(5), 10)] == [(other, False)]
    assert claimed(store, full, now=at(6)).epoch == 2


def test_a_run_is_taken_back_with_what_happened_elsewhere(store: Store, run: RunHead) -> None:
    moved = handed_over(store, suspended(store, run))
    back = taken(store, moved, at(7))
    elsewhere = Snapshot(
        back.head.model_copy(update={"moves": 2, "epoch": 9}), (*back.entries, returned("0.1"))
    )
    assert store.restore(elsewhere, [notice(run, "n2")]) == elsewhere.head
    assert store.load(run.run_id) == elsewhere
    assert {each.notice_id for each in store.notices(run.run_id)} == {"n1", "n2"}
    assert claimed(store, elsewhere.head, now=at(8)).epoch == 10


def test_an_older_document_or_one_of_a_run_that_continues_here_changes_nothing(
    store: Store, run: RunHead
) -> None:
    moved = handed_over(store, suspended(store, run), number=2)
    document = taken(store, moved, at(7))
    older = Snapshot(
        document.head.model_copy(update={"moves": 1}), (*document.entries, returned("0.1"))
    )
    before = store.load(run.run_id)
    assert store.restore(older, []) == moved
    assert store.load(run.run_id) == before
    store.restore(document, [])
    mine = claimed(store, document.head, now=at(8))
    for number in (1, 2, 3):
        again = Snapshot(document.head.model_copy(update={"moves": number}), older.entries)
        assert store.restore(again, []) == mine
    found = store.load(run.run_id)
    assert found
    assert len(found.entries) == 2


def test_a_different_entry_at_the_same_key_is_never_replaced(store: Store, run: RunHead) -> None:
    moved = handed_over(store, suspended(store, run))
    document = taken(store, moved)
    late = returned("0.1", "stored by a process that had lost its lease")
    assert store.append(run.run_id, late) == late
    different = Snapshot(document.head, (*document.entries, returned("0.2"), returned("0.1")))
    with pytest.raises(Conflict, match="another content"):
        store.restore(different, [])
    found = store.load(run.run_id)
    assert found
    assert [each.key for each in found.entries if "outcome" in each.key] == [
        returned("0.0").key,
        late.key,
    ]
    assert store.head(run.run_id) == moved
