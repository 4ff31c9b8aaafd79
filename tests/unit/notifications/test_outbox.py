"""The outbox: everybody is reached once, whoever cannot be reached now is tried again."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import Started
from agent_continuations.core.keys import START_KEY
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import JournalEntry, RunHead, Status
from agent_continuations.errors import Fatal, Retryable
from agent_continuations.notifications.outbox import MAX_ATTEMPTS, NoticeDispatcher
from agent_continuations.ports.store import Due

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ADA, BOB, TOPIC = "email:ada@example.com", "email:bob@example.com", "topic:arn:aws:sns:::t"


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Channel:
    """Keeps what it delivers; raises for addresses that it cannot reach."""

    broken: dict[str, Exception] = field(default_factory=dict)
    delivered: list[tuple[str, str]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    approvers: list[str] = field(default_factory=list)

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        self.tried.append(address)
        if address in self.broken:
            raise self.broken[address]
        self.delivered.append((notice.notice_id, address))
        self.approvers.append(approver)


@dataclass
class World:
    """A store with one notice to `undelivered`, and the outbox that shall deliver it."""

    undelivered: tuple[str, ...] = (ADA, BOB)
    store: InMemoryStore = field(default_factory=InMemoryStore)
    email: Channel = field(default_factory=Channel)
    topic: Channel = field(default_factory=Channel)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.outbox = NoticeDispatcher(
            self.store, {"email": self.email, "topic": self.topic}, self.clock
        )
        root = Continuation(agent="a", instructions="", input="go", max_turns=9)
        head = RunHead(
            run_id="r",
            tenant="default",
            agent="a",
            request_hash="h",
            status=Status.SUSPENDED,
            created_at=NOW,
            updated_at=NOW,
            due=None,
        )
        self.store.create(head, JournalEntry(START_KEY, (Started(continuation=root, at=NOW),)))
        self.store.update_notice(
            Notice(
                notice_id="n",
                run_id="r",
                tenant="default",
                kind="approval",
                request_id="q",
                path="0.0",
                agents=("a",),
                goal="go",
                tool="pay",
                arguments={"amount": 1},
                arguments_hash="h",
                expires_at=NOW + timedelta(days=7),
                created_at=NOW,
                approvers=("ada@example.com", "bob@example.com"),
                undelivered=self.undelivered,
                due=NOW,
            )
        )

    def deliver(self) -> Notice:
        notice = self.outbox.deliver("r", "n")
        assert notice is not None
        return notice


def test_each_recipient_is_reached_by_himself_through_his_channel() -> None:
    world = World(undelivered=(ADA, TOPIC, BOB))
    notice = world.deliver()
    assert world.email.delivered == [("n", "ada@example.com"), ("n", "bob@example.com")]
    assert world.topic.delivered == [("n", "arn:aws:sns:::t")]
    assert (notice.undelivered, notice.due, notice.failure, notice.attempts) == ((), None, None, 1)


def test_a_channel_hears_whom_an_address_stands_for() -> None:
    world = World(undelivered=(ADA, "email:desk@example.com for bob@example.com"))
    world.deliver()
    assert [address for _, address in world.email.delivered] == [
        "ada@example.com",
        "desk@example.com",
    ]
    assert world.email.approvers == ["ada@example.com", "bob@example.com"]


@pytest.mark.parametrize(
    "seconds, minutes", [(None, 1), (1.0, 1), (300.0, 5), (1e300, 60), (float("inf"), 60)]
)
def test_a_channel_that_asks_for_time_gets_it(seconds: float | None, minutes: int) -> None:
    world = World()
    world.email.broken["ada@example.com"] = Retryable("slow down", seconds)
    assert world.deliver().due == NOW + timedelta(minutes=minutes)


def test_what_is_done_is_not_done_again() -> None:
    world = World()
    world.deliver()
    assert world.outbox.deliver("r", "n") is None
    assert world.store.due(NOW + timedelta(days=365), 9) == []
    assert len(world.email.delivered) == 2


def test_a_notice_that_is_not_there_is_nothing_to_do() -> None:
    assert World().outbox.deliver("r", "another") is None


def test_a_notice_of_a_run_that_is_not_there_is_nothing_to_do() -> None:
    assert World().outbox.deliver("another", "n") is None


@pytest.mark.parametrize("error", [Retryable("slow down"), Fatal("no such address")])
def test_who_cannot_be_reached_does_not_hold_up_the_others(error: Exception) -> None:
    world = World()
    world.email.broken["ada@example.com"] = error
    notice = world.deliver()
    assert world.email.delivered == [("n", "bob@example.com")]
    assert notice.undelivered == (ADA,)
    assert notice.failure == f"{ADA}: {error}"
    assert world.store.notices("r") == [notice]
    # Who can be reached another time is tried again; who is refused for good is not.
    assert (notice.due is None) == isinstance(error, Fatal)


def test_a_channel_that_breaks_in_an_unforeseen_way_does_not_hold_up_the_others() -> None:
    world = World()
    world.email.broken["ada@example.com"] = KeyError("a bug in a channel")
    assert world.deliver().undelivered == (ADA,)
    assert world.email.delivered == [("n", "bob@example.com")]


def test_only_those_who_were_not_reached_are_tried_again() -> None:
    world = World()
    world.email.broken["bob@example.com"] = Retryable("later")
    world.deliver()
    del world.email.broken["bob@example.com"]
    notice = world.deliver()
    assert world.email.tried == ["ada@example.com", "bob@example.com", "bob@example.com"]
    assert (notice.undelivered, notice.due, notice.failure, notice.attempts) == ((), None, None, 2)


def test_the_pauses_grow_up_to_an_hour() -> None:
    world = World(undelivered=(ADA,))
    world.email.broken["ada@example.com"] = Retryable("later")
    pauses = []
    for _ in range(10):
        due = world.deliver().due
        assert due is not None
        pauses.append((due - world.clock.now) / timedelta(minutes=1))
        world.clock.now = due
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_a_notice_comes_up_again_when_its_pause_is_over_and_not_before() -> None:
    world = World(undelivered=(ADA,))
    world.email.broken["ada@example.com"] = Retryable("later")
    world.deliver()
    assert world.store.due(NOW + timedelta(seconds=59), 9) == []
    assert world.store.due(NOW + timedelta(seconds=60), 9) == [Due("r", "n")]


def test_after_a_day_of_trying_it_is_given_up_and_says_why() -> None:
    world = World(undelivered=(ADA,))
    world.email.broken["ada@example.com"] = Retryable("busy")
    for _ in range(MAX_ATTEMPTS - 1):
        assert world.deliver().due
    notice = world.deliver()
    assert (notice.due, notice.undelivered, notice.failure) == (None, (ADA,), f"{ADA}: busy")


@pytest.mark.parametrize("recipient", ["pigeon:roof", "nowhere", "", ":ada@example.com"])
def test_a_channel_that_there_is_not_is_recorded(recipient: str) -> None:
    world = World(undelivered=(recipient, ADA))
    notice = world.deliver()
    assert "there is no channel" in (notice.failure or "")
    assert notice.undelivered == (recipient,)
    assert world.email.delivered == [("n", "ada@example.com")]


def test_every_failure_is_told() -> None:
    world = World()
    world.email.broken = {
        "ada@example.com": Retryable("slow down"),
        "bob@example.com": Fatal("no such address"),
    }
    assert world.deliver().failure == f"{ADA}: slow down; {BOB}: no such address"


def test_a_notice_to_nobody_is_done() -> None:
    notice = World(undelivered=()).deliver()
    assert (notice.due, notice.failure) == (None, None)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),
    st.lists(st.sets(st.sampled_from("abcdef")), max_size=5),
)
def test_whatever_breaks_when_everybody_is_reached_exactly_once_in_the_end(
    people: list[str], outages: list[set[str]]
) -> None:
    world = World(undelivered=tuple(f"email:{each}" for each in people))
    for outage in [*outages, set[str]()]:
        world.email.broken = {each: Retryable("later") for each in outage}
        notice = world.outbox.deliver("r", "n")
        if notice is None:
            break
        left = [each for each in people if ("n", each) not in world.email.delivered]
        assert notice.undelivered == tuple(f"email:{each}" for each in left)
        assert (notice.due is None) == (not left) == (notice.failure is None)
    assert sorted(world.email.delivered) == [("n", each) for each in sorted(people)]
