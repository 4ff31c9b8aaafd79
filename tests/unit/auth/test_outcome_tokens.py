"""Tokens of attempts and signatures of events: own ones are read back, all others are refused."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_continuations.auth.callback_tokens import CallbackTokens, OutcomeTokens
from agent_continuations.auth.event_signatures import EventSignatures
from agent_continuations.core.ids import opaque_id
from agent_continuations.errors import NotFound
from agent_continuations.ports.inbound_queue import EventMessage, message_text, parsed_message

KEY, OTHER = "k" * 32, "o" * 32
RUN = opaque_id(b"r" * 15)
TOKEN = OutcomeTokens([KEY]).token(RUN, "0.1/2.0", 3)
EVENT = EventMessage(
    run_id=RUN,
    name="paid",
    payload={"euros": 5},
    correlation="o-1",
    key="eventbridge e-1",
    at=datetime(2026, 11, 27, 12, tzinfo=UTC),
)


def test_a_token_is_read_back() -> None:
    assert OutcomeTokens([KEY]).read(TOKEN) == (RUN, "0.1/2.0", 3)
    assert OutcomeTokens([OTHER, KEY]).read(TOKEN) == (RUN, "0.1/2.0", 3)
    assert OutcomeTokens([KEY]).token(RUN, "0.1/2.0", 3) == TOKEN
    with pytest.raises(NotFound):
        OutcomeTokens([OTHER]).read(TOKEN)


@pytest.mark.parametrize("index", range(len(TOKEN)))
def test_a_token_with_one_other_character_is_refused(index: int) -> None:
    changed = TOKEN[:index] + ("A" if TOKEN[index] != "A" else "B") + TOKEN[index + 1 :]
    with pytest.raises(NotFound):
        OutcomeTokens([KEY]).read(changed)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    for token in (text, f"{text}.{TOKEN}", f"{TOKEN}{text}" if text else ""):
        with pytest.raises(NotFound):
            OutcomeTokens([KEY]).read(token)


def test_neither_kind_of_token_is_valid_as_the_other() -> None:
    callback = CallbackTokens([KEY]).token(RUN, "0.1/2.0")
    with pytest.raises(NotFound):
        OutcomeTokens([KEY]).read(callback)
    with pytest.raises(NotFound):
        CallbackTokens([KEY]).read(TOKEN)


def test_an_event_is_valid_with_its_own_signature_only() -> None:
    signed = EventSignatures([KEY]).signed(EVENT)
    assert EventSignatures([OTHER, KEY]).valid(signed)
    assert not EventSignatures([OTHER]).valid(signed)
    changes: list[dict[str, Any]] = [
        {"run_id": opaque_id(b"q" * 15)},
        {"name": "unpaid"},
        {"payload": {"euros": 6}},
        {"payload": float("nan")},
        {"payload": "\ud800"},
        {"correlation": None},
        {"key": "eventbridge e-2"},
        {"at": datetime(2026, 11, 27, 13, tzinfo=UTC)},
        {"signature": ""},
        {"signature": "\ud800"},
        {"signature": f"{signed.signature}A"},
    ]
    for change in changes:
        assert not EventSignatures([KEY]).valid(signed.model_copy(update=change)), change


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(json_values, st.datetimes(timezones=st.just(UTC)))
def test_a_signature_survives_the_queue(payload: Any, at: datetime) -> None:
    event = EVENT.model_copy(update={"payload": payload, "at": at})
    arrived = parsed_message(message_text(EventSignatures([KEY]).signed(event)))
    assert isinstance(arrived, EventMessage)
    assert EventSignatures([KEY]).valid(arrived)
    assert arrived.payload == payload


def test_a_key_must_be_long_enough() -> None:
    for kind in (OutcomeTokens, EventSignatures):
        with pytest.raises(ValueError, match="at least 32"):
            kind(["short"])
