"""Delivery of notices: each recipient gets one delivery, and failures are retried."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

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
from agent_continuations.notifications.routes import NotificationRoutes, Recipient
from agent_continuations.ports.store import Due
from tests.support.log_lines import log_lines

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ADA, BOB, TOPIC = "email:ada@example.com", "email:bob@example.com", "topic:arn:aws:sns:::t"
PEOPLE = ("ada@example.com", "bob@example.com")


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Channel:
    """Records deliveries; raises the error in `broken` for an address."""

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
class DeliveryCase:
    """A store with one notice, and a dispatcher; people without a route get e-mail.

    Attributes:
        claimed: more values of the notice, which may be false.
    """

    answerers: tuple[str, ...] | None = PEOPLE
    approvers: tuple[str, ...] = PEOPLE
    routes: dict[str, list[str]] = field(default_factory=dict)
    machines: tuple[str, ...] = ()
    claimed: dict[str, Any] = field(default_factory=dict)
    store: InMemoryStore = field(default_factory=InMemoryStore)
    email: Channel = field(default_factory=Channel)
    topic: Channel = field(default_factory=Channel)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        channels = {"email": self.email, "topic": self.topic}
        self.outbox = NoticeDispatcher(self.store, channels, self.recipients, self.clock)
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
                approvers=self.approvers,
                answerers=self.answerers,
                due=NOW,
                **self.claimed,
            )
        )

    def recipients(self, approvers: Sequence[str]) -> list[Recipient]:
        routed = [
            Recipient.parse(route, each)
            for each in approvers
            for route in self.routes.get(each, [f"email:{each}"])
        ]
        return [*routed, *map(Recipient.parse, self.machines)]

    def deliver(self) -> Notice:
        notice = self.outbox.deliver("r", "n")
        assert notice is not None
        return notice


def test_each_recipient_gets_a_separate_delivery_on_the_right_channel() -> None:
    case = DeliveryCase(machines=(TOPIC,))
    notice = case.deliver()
    assert case.email.delivered == [("n", "ada@example.com"), ("n", "bob@example.com")]
    assert case.topic.delivered == [("n", "arn:aws:sns:::t")]
    assert notice.delivered == (ADA, BOB, TOPIC)
    assert (notice.undelivered, notice.due, notice.failure, notice.attempts) == ((), None, None, 1)


def test_a_channel_gets_the_approver_of_an_address() -> None:
    case = DeliveryCase(routes={"bob@example.com": ["email:desk@example.com"]})
    assert case.deliver().delivered == (ADA, "email:desk@example.com for bob@example.com")
    assert [address for _, address in case.email.delivered] == [
        "ada@example.com",
        "desk@example.com",
    ]
    assert case.email.approvers == ["ada@example.com", "bob@example.com"]


@pytest.mark.parametrize(
    "seconds, minutes", [(None, 1), (1.0, 1), (300.0, 5), (1e300, 60), (float("inf"), 60)]
)
def test_the_pause_that_a_channel_requests_is_kept_up_to_an_hour(
    seconds: float | None, minutes: int
) -> None:
    case = DeliveryCase()
    case.email.broken["ada@example.com"] = Retryable("slow down", seconds)
    assert case.deliver().due == NOW + timedelta(minutes=minutes)


def test_a_completed_delivery_is_not_repeated() -> None:
    case = DeliveryCase()
    case.deliver()
    assert case.outbox.deliver("r", "n") is None
    assert case.store.due(NOW + timedelta(days=365), 9) == []
    assert len(case.email.delivered) == 2


def test_a_missing_notice_is_ignored() -> None:
    assert DeliveryCase().outbox.deliver("r", "another") is None


def test_a_notice_of_a_missing_run_is_ignored() -> None:
    assert DeliveryCase().outbox.deliver("another", "n") is None


@pytest.mark.parametrize("error", [Retryable("slow down"), Fatal("no such address")])
def test_a_failed_delivery_does_not_block_the_other_recipients(error: Exception) -> None:
    case = DeliveryCase()
    case.email.broken["ada@example.com"] = error
    notice = case.deliver()
    assert case.email.delivered == [("n", "bob@example.com")]
    assert notice.undelivered == (ADA,)
    assert notice.failure == f"{ADA}: {error}"
    assert case.store.notices("r") == [notice]
    # A temporary failure is retried; a permanent one is not.
    assert (notice.due is None) == isinstance(error, Fatal)


def test_an_unexpected_exception_does_not_block_the_other_recipients() -> None:
    case = DeliveryCase()
    case.email.broken["ada@example.com"] = KeyError("a bug in a channel")
    assert case.deliver().undelivered == (ADA,)
    assert case.email.delivered == [("n", "bob@example.com")]


def test_only_failed_deliveries_are_retried() -> None:
    case = DeliveryCase()
    case.email.broken["bob@example.com"] = Retryable("later")
    case.deliver()
    del case.email.broken["bob@example.com"]
    notice = case.deliver()
    assert case.email.tried == ["ada@example.com", "bob@example.com", "bob@example.com"]
    assert (notice.undelivered, notice.due, notice.failure, notice.attempts) == ((), None, None, 2)


def test_the_pauses_double_up_to_an_hour() -> None:
    case = DeliveryCase(answerers=PEOPLE[:1])
    case.email.broken["ada@example.com"] = Retryable("later")
    pauses = []
    for _ in range(10):
        due = case.deliver().due
        assert due is not None
        pauses.append((due - case.clock.now) / timedelta(minutes=1))
        case.clock.now = due
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_a_notice_is_due_after_its_pause_and_not_before() -> None:
    case = DeliveryCase(answerers=PEOPLE[:1])
    case.email.broken["ada@example.com"] = Retryable("later")
    case.deliver()
    assert case.store.due(NOW + timedelta(seconds=59), 9) == []
    assert case.store.due(NOW + timedelta(seconds=60), 9) == [Due("r", "n")]


def test_retries_end_after_a_day_and_the_failure_is_recorded() -> None:
    case = DeliveryCase(answerers=PEOPLE[:1])
    case.email.broken["ada@example.com"] = Retryable("busy")
    for _ in range(MAX_ATTEMPTS - 1):
        assert case.deliver().due
    notice = case.deliver()
    assert (notice.due, notice.undelivered, notice.failure) == (None, (ADA,), f"{ADA}: busy")


@pytest.mark.parametrize("route", ["pigeon:roof", "nowhere:", ":", ":ada@example.com"])
def test_an_unknown_channel_is_recorded_as_a_failure(route: str) -> None:
    case = DeliveryCase(routes={"bob@example.com": [route]})
    notice = case.deliver()
    assert "there is no channel" in (notice.failure or "")
    assert notice.undelivered == (f"{route} for bob@example.com",)
    assert case.email.delivered == [("n", "ada@example.com")]


def test_every_failure_is_recorded() -> None:
    case = DeliveryCase()
    case.email.broken = {
        "ada@example.com": Retryable("slow down"),
        "bob@example.com": Fatal("no such address"),
    }
    assert case.deliver().failure == f"{ADA}: slow down; {BOB}: no such address"


def test_a_notice_without_recipients_has_failed() -> None:
    notice = DeliveryCase(answerers=()).deliver()
    assert notice.due is None
    assert "no address is known of ada@example.com, bob@example.com" in (notice.failure or "")


def test_a_notice_of_a_request_that_nobody_can_approve_has_failed_though_it_was_delivered() -> None:
    case = DeliveryCase(claimed={"obstacle": "too few may approve"})
    notice = case.deliver()
    assert notice.delivered
    assert (notice.due, notice.failure) == (None, "too few may approve")


def test_a_notice_to_programs_needs_no_recipients() -> None:
    program = "arn:aws:iam::1:role/x"
    notice = DeliveryCase((program,), (program,), routes={program: []}).deliver()
    assert (notice.due, notice.failure) == (None, None)


def test_a_notice_to_nobody_has_failed() -> None:
    assert DeliveryCase(answerers=(), approvers=()).deliver().failure == "nobody is asked"


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),
    st.lists(st.sets(st.sampled_from("abcdef")), max_size=5),
)
def test_after_any_outages_each_recipient_has_exactly_one_delivery(
    people: list[str], outages: list[set[str]]
) -> None:
    case = DeliveryCase(answerers=tuple(people))
    for outage in [*outages, set[str]()]:
        case.email.broken = {each: Retryable("later") for each in outage}
        notice = case.outbox.deliver("r", "n")
        if notice is None:
            break
        left = [each for each in people if ("n", each) not in case.email.delivered]
        assert notice.undelivered == tuple(f"email:{each}" for each in left)
        assert (notice.due is None) == (not left) == (notice.failure is None)
    assert sorted(case.email.delivered) == [("n", each) for each in sorted(people)]


def test_a_notice_without_an_address_says_so_in_the_log() -> None:
    with log_lines(logging.INFO) as lines:
        DeliveryCase(answerers=()).deliver()
    [line] = lines.named("notice not delivered")
    assert (line["run_id"], line["agent"], line["path"]) == ("r", "a", "0.0")
    assert (line["notice_id"], line["reason"]) == ("n", "no address")


@pytest.mark.parametrize(
    "error, reason, retry",
    [
        (Fatal("no ada@example.com, <Bob@x.example>"), "no [address], <[address]>", False),
        (Retryable("https://hooks.example/secret?x=1 is slow"), "[address] is slow", True),
        (Retryable("'a@b'"), "'[address]'", True),
        (Fatal("at " + "@" * 5000), "at [address]", False),
        (OSError(), "OSError", True),
    ],
)
def test_a_failed_delivery_has_its_reason_in_the_log_without_addresses(
    error: Exception, reason: str, retry: bool
) -> None:
    case = DeliveryCase()
    case.email.broken["ada@example.com"] = error
    with log_lines(logging.INFO) as lines:
        case.deliver()
    [failure] = lines.named("notice not delivered")
    assert (failure["channel"], failure["reason"], failure["retry"]) == ("email", reason, retry)
    assert len(lines.named("notice delivered")) == 1
    assert "ada@" not in lines.texts(logging.INFO)
    [record] = [each for each in lines.records if each.levelno == logging.WARNING]
    assert bool(record.exc_info) is isinstance(error, OSError)


def test_the_last_attempt_is_not_retried_in_the_log() -> None:
    case = DeliveryCase(answerers=PEOPLE[:1])
    case.email.broken["ada@example.com"] = Retryable("slow")
    with log_lines(logging.INFO) as lines:
        for _ in range(MAX_ATTEMPTS):
            case.deliver()
    retries = [each["retry"] for each in lines.named("notice not delivered")]
    assert retries == [True] * (MAX_ATTEMPTS - 1) + [False]


# -- what a notice says about addresses ------------------------------------------------------------

CFO, EVE = "cfo@example.com", "eve@example.org"
CLAIMS: list[dict[str, Any]] = [
    {"undelivered": (f"email:{EVE} for {CFO}",)},
    {"undelivered": (f"email:{EVE}", f"email:{EVE} for {CFO}"), "attempts": 1},
    {"undelivered": (f"email:{CFO}", f"email:{EVE} for {CFO}"), "failure": f"email:{EVE}: later"},
]


@pytest.mark.parametrize("claimed", CLAIMS)
@pytest.mark.parametrize("answerers", [(CFO,), None])
def test_no_link_goes_to_an_address_that_only_the_notice_knows(
    claimed: dict[str, Any], answerers: tuple[str, ...] | None
) -> None:
    case = DeliveryCase(answerers, (CFO,), claimed=claimed)
    notice = case.deliver()
    assert {address for _, address in case.email.delivered} <= {CFO}
    assert EVE not in str(notice.delivered)
    if answerers is None:
        assert f"email:{EVE} for {CFO}: not an address of an approver" in (notice.failure or "")
        assert notice.due is None


@given(
    st.lists(st.sampled_from([CFO, EVE, "group:finance"]), max_size=3),
    st.none() | st.lists(st.sampled_from([CFO, EVE, "group:finance"]), max_size=3),
    st.lists(st.sampled_from(["email", "slack", "inbox", "webhook", ""]), min_size=3, max_size=3),
    st.integers(0, 3),
)
def test_a_link_for_an_approver_goes_to_an_address_of_theirs_only(
    approvers: list[str], answerers: list[str] | None, channels: list[str], attempts: int
) -> None:
    routes = NotificationRoutes({"group:finance": ["email:leads@example.com"]})
    said = [f"{each}:{to} for {CFO}" for each, to in zip(channels, (EVE, CFO, "x"), strict=True)]
    case = DeliveryCase(
        None if answerers is None else tuple(answerers),
        tuple(approvers),
        claimed={"undelivered": (*said, f"email:{EVE}"), "attempts": attempts},
    )
    outbox = NoticeDispatcher(
        case.store, {"email": case.email, "inbox": Channel()}, routes, case.clock
    )
    outbox.deliver("r", "n")
    own = {CFO: CFO, EVE: EVE, "group:finance": "leads@example.com"}
    named = approvers if answerers is None else answerers
    for address, approver in zip(case.email.tried, case.email.approvers, strict=True):
        assert approver in named
        assert address == own[approver]


def test_an_approver_who_may_not_answer_gets_no_notice() -> None:
    case = DeliveryCase(answerers=("bob@example.com",))
    assert case.deliver().delivered == (BOB,)


def test_a_corrected_route_counts_from_the_next_attempt_on() -> None:
    case = DeliveryCase()
    case.email.broken["ada@example.com"] = Retryable("later")
    assert case.deliver().undelivered == (ADA,)
    case.routes["ada@example.com"] = ["email:ada.l@example.com"]
    notice = case.deliver()
    assert notice.delivered == (BOB, "email:ada.l@example.com for ada@example.com")
    assert (notice.undelivered, notice.failure, notice.due) == ((), None, None)
    assert len(case.email.delivered) == 2


def test_a_route_that_was_taken_away_after_nothing_was_delivered_has_failed() -> None:
    case = DeliveryCase(answerers=PEOPLE[:1])
    case.email.broken["ada@example.com"] = Retryable("later")
    case.deliver()
    case.routes["ada@example.com"] = []
    assert "no address is known of ada@example.com" in (case.deliver().failure or "")


def test_a_notice_of_an_earlier_form_reaches_the_recipients_that_it_lists() -> None:
    # The form before 6 excluded who may not answer by leaving out their recipients.
    desk = "email:desk@example.com for bob@example.com"
    case = DeliveryCase(
        answerers=None,
        approvers=(*PEOPLE, "requester@example.com"),
        routes={"bob@example.com": ["email:desk@example.com"]},
        machines=(TOPIC,),
        claimed={"undelivered": (ADA, desk, TOPIC)},
    )
    case.email.broken["ada@example.com"] = Retryable("later")
    assert case.deliver().undelivered == (ADA,)
    case.email.broken.clear()
    notice = case.deliver()
    assert case.email.tried == ["ada@example.com", "desk@example.com", "ada@example.com"]
    assert len(case.topic.tried) == 1
    assert (notice.undelivered, notice.due, notice.failure) == ((), None, None)
