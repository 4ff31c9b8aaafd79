"""Every kind of wait has its behaviour and its words: a kind that is added without fails here."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from agent_continuations.core.approvals.policy import ApprovalPolicy, Stage
from agent_continuations.core.awaiting import REQUEST_KINDS, Reason
from agent_continuations.core.path import parse_path
from agent_continuations.core.waits import (
    BaseWait,
    ChildWait,
    EventWait,
    JobWait,
    Poll,
    QuestionWait,
    TimerWait,
    Wait,
)
from agent_continuations.views.labels import LABELS, REQUESTS
from agent_continuations.views.waiting import Waiting

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
PATH = parse_path("0.1")
SECOND = timedelta(seconds=1)
POLICY = ApprovalPolicy(stages=(Stage(approvers=("ann@example.com",)),), timeout_seconds=60)

EXAMPLES: tuple[BaseWait, ...] = (
    TimerWait(until=NOW),
    QuestionWait(text="When?", answer={"type": "object"}, gate=POLICY),
    EventWait(name="paid", until=NOW),
    EventWait(name="paid", correlation="o-1"),
    JobWait(handle=7, until=NOW),
    JobWait(handle=7, until=NOW, poll=Poll(first_seconds=1, longest_seconds=9)),
    ChildWait(run_id="r" * 24),
)
MEMBERS: tuple[type[BaseWait], ...] = get_args(get_args(Wait)[0])
TIMED = [each for each in EXAMPLES if each.deadline]


def kind_of(wait: type[BaseWait]) -> str:
    kind = wait.model_fields["kind"].default
    assert isinstance(kind, str)
    return kind


def ids(value: Any) -> str:
    return type(value).__name__ if isinstance(value, BaseWait) else value.__name__


def test_every_class_of_a_wait_is_in_the_union_and_has_an_example_here() -> None:
    assert {*MEMBERS} == {*BaseWait.__subclasses__()} == {type(each) for each in EXAMPLES}


@pytest.mark.parametrize("member", MEMBERS, ids=ids)
def test_every_kind_has_its_words_and_can_be_shown(member: type[BaseWait]) -> None:
    kind = kind_of(member)
    label = LABELS[kind]
    assert label.title
    assert label.state
    assert label.message
    assert kind in get_args(Reason)
    assert kind in get_args(Waiting.model_fields["kind"].annotation)


@pytest.mark.parametrize("kind", REQUEST_KINDS)
def test_every_kind_of_request_has_its_words(kind: Any) -> None:
    label = REQUESTS[kind]
    assert LABELS[kind] is label
    assert all(label.verdicts.values())
    assert all(label.results.values())


@pytest.mark.parametrize("wait", EXAMPLES, ids=ids)
def test_a_wait_awaits_something_under_its_own_kind_or_leaves_it_to_its_request(
    wait: BaseWait,
) -> None:
    awaited = wait.awaits(PATH)
    kind = kind_of(type(wait))
    if awaited is None:
        assert kind in REQUEST_KINDS
        return
    assert (awaited.path, awaited.reason) == (PATH, kind)
    assert not awaited.asks_people
    assert awaited.until == wait.deadline


@pytest.mark.parametrize("wait", TIMED, ids=ids)
def test_a_wait_with_a_deadline_has_an_outcome_then_and_not_before(wait: BaseWait) -> None:
    assert wait.timed_out(NOW - SECOND) is None
    assert wait.timed_out(NOW)
    assert wait.timed_out(NOW + SECOND)


@pytest.mark.parametrize("wait", [each for each in EXAMPLES if not each.deadline], ids=ids)
def test_a_wait_without_a_deadline_never_times_out(wait: BaseWait) -> None:
    assert wait.timed_out(datetime.max.replace(tzinfo=UTC)) is None


@pytest.mark.parametrize("wait", EXAMPLES, ids=ids)
def test_what_is_shown_of_a_wait_has_a_field_in_the_view(wait: BaseWait) -> None:
    assert {*wait.details()} <= {*Waiting.model_fields}


@pytest.mark.parametrize("wait", EXAMPLES, ids=ids)
def test_a_stored_wait_is_read_as_the_same_wait(wait: BaseWait) -> None:
    adapter: TypeAdapter[Wait] = TypeAdapter(Wait)
    assert adapter.validate_json(wait.started(NOW).model_dump_json()) == wait.started(NOW)


def test_only_events_of_the_name_and_the_correlation_are_taken() -> None:
    anyone, one = EventWait(name="paid"), EventWait(name="paid", correlation="o-1")
    assert anyone.takes("paid", None)
    assert anyone.takes("paid", "o-2")
    assert one.takes("paid", "o-1")
    assert not one.takes("paid", "o-2")
    assert not one.takes("paid", None)
    assert not anyone.takes("sent", None)
    assert not TimerWait(until=NOW).takes("paid", None)


def test_a_polled_job_is_due_at_its_next_poll_and_at_last_at_its_deadline() -> None:
    poll = Poll(first_seconds=20, longest_seconds=60)
    wait = JobWait(handle=7, until=NOW + timedelta(seconds=90), poll=poll).started(NOW)
    assert wait.awaits(PATH).until == NOW + timedelta(seconds=20)
    polled = wait.polled(poll, 1, NOW + timedelta(seconds=20))
    assert polled.awaits(PATH).until == NOW + timedelta(seconds=60)
    polled = polled.polled(poll, 2, NOW + timedelta(seconds=60))
    assert polled.awaits(PATH).until == wait.deadline
