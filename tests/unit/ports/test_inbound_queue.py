"""The messages of the inbound queue: their stored form, and what they can bring."""

import json
from datetime import UTC, datetime

import pytest

from agent_continuations.core.outcome import MAX_LATE_RESULT_BYTES, Outcome, too_large
from agent_continuations.ports.inbound_queue import (
    CallbackMessage,
    EventMessage,
    InboundMessage,
    OutcomeMessage,
    message_text,
    parsed_message,
    returnable,
)

MAX_MESSAGE_BYTES = 1024 * 1024  # of SQS
DONE = Outcome(kind="ok", content="12 rows")
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)

# As they lie in the queue for up to 14 days; they never change.
STORED: list[tuple[InboundMessage, str]] = [
    (
        CallbackMessage(token="t.s", outcome=DONE),
        '{"v": 1, "kind": "callback", "token": "t.s",'
        ' "outcome": {"kind": "ok", "content": "12 rows"}}',
    ),
    (
        OutcomeMessage(token="t.s", outcome=Outcome(kind="error", content="no")),
        '{"v": 1, "kind": "outcome", "token": "t.s",'
        ' "outcome": {"kind": "error", "content": "no"}}',
    ),
    (
        EventMessage(run_id="r", name="n", payload={"a": [1]}, key="k", at=AT, signature="s"),
        '{"v": 1, "kind": "event", "run_id": "r", "name": "n", "payload": {"a": [1]},'
        ' "correlation": null, "key": "k", "at": "2026-11-27T12:00:00+00:00", "signature": "s"}',
    ),
]


@pytest.mark.parametrize(("message", "text"), STORED, ids=lambda each: type(each).__name__)
def test_a_message_has_the_form_in_which_it_is_stored(message: InboundMessage, text: str) -> None:
    assert message_text(message) == text
    assert parsed_message(text) == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1",
        "null",
        "[]",
        "{}",
        '"kind"',
        "[" * 200_000,
        "9" * 5000,
        '{"v": 2, "kind": "callback", "token": "t", "outcome": {"kind": "ok", "content": ""}}',
        '{"v": 1, "kind": "decision", "token": "t", "outcome": {"kind": "ok", "content": ""}}',
        '{"v": 1, "kind": "callback", "token": "t"}',
        '{"v": 1, "kind": "callback", "token": "t", "outcome": {"kind": "ok"}}',
        '{"v": 1, "kind": "callback", "token": 1, "outcome": {"kind": "ok", "content": ""}}',
        '{"v": 1, "kind": "outcome", "token": "t", "outcome": {"kind": "wait", "content": ""}}',
        '{"v": 1, "kind": "outcome", "token": "t", "outcome": {"kind": "rejected", "content": ""}}',
        '{"v": 1, "kind": "outcome", "token": "t", "outcome": {"kind": "ok", "content": ""},'
        ' "x": 1}',
        '{"v": 1, "kind": "event", "run_id": "r", "name": "n", "key": "k", "at": "soon"}',
    ],
    ids=lambda text: text[:70],
)
def test_any_other_text_is_no_message(text: str) -> None:
    with pytest.raises(ValueError, match="no form that is known"):
        parsed_message(text)


@pytest.mark.parametrize(
    "character",
    ["a", '"', "\\", "\n", "\0", "\x1f", "é", "漢", "\U0010ffff", "\ufffe", "\uffff", "\ud800"],
    ids=ascii,
)
@pytest.mark.parametrize("count", [1, 100_000, MAX_LATE_RESULT_BYTES, 6_000_000])
def test_an_outcome_of_any_text_goes_into_one_message(character: str, count: int) -> None:
    outcome = returnable(Outcome(kind="ok", content=character * count))
    text = message_text(OutcomeMessage(token="t" * 200, outcome=outcome))
    assert len(text.encode()) <= MAX_MESSAGE_BYTES
    # What SQS takes.
    assert all(
        each in "\t\n\r"
        or " " <= each <= "\ud7ff"
        or "\ue000" <= each <= "\ufffd"
        or each > "\uffff"
        for each in set(text)
    )
    arrived = parsed_message(text)
    assert isinstance(arrived, OutcomeMessage)
    assert arrived.outcome == outcome


def test_a_text_that_is_too_large_is_a_sentence_of_its_size() -> None:
    limit = MAX_LATE_RESULT_BYTES - len(json.dumps(""))
    most = Outcome(kind="ok", content="a" * limit)
    assert returnable(most) == most
    for kind in ("ok", "error"):
        outcome = returnable(Outcome(kind=kind, content="a" * (limit + 1)))
        assert outcome == Outcome(kind=kind, content=too_large(limit + 1))
    assert too_large(1_234_567) == (
        "The call is done. Its result of 1,234,567 bytes is too large to return."
    )
