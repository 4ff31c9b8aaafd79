"""The stored part of a model request: what it leaves out, and what it is stored under."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_continuations.core.request_profile import SECRET_SETTINGS, RequestProfile

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


class Odd:
    """An object that JSON cannot hold."""


def settings_of(**settings: Any) -> dict[str, Any]:
    return RequestProfile.of("m", [], settings).settings


def test_settings_that_may_hold_secrets_are_left_out() -> None:
    given_settings = {name: {"Authorization": "Bearer secret"} for name in SECRET_SETTINGS}
    profile = RequestProfile.of("m", [TOOL], {**given_settings, "temperature": 0.5})
    assert profile.settings == {"temperature": 0.5}
    assert b"secret" not in profile.document
    assert profile.digest == RequestProfile.of("m", [TOOL], {"temperature": 0.5}).digest


def test_a_change_of_anything_that_is_sent_changes_the_digest() -> None:
    profiles = [
        RequestProfile.of(None, [], {}),
        RequestProfile.of("m", [], {}),
        RequestProfile.of("m", [TOOL], {}),
        RequestProfile.of("m", [TOOL, TOOL], {}),
        RequestProfile.of("m", [], {"seed": 1}),
        RequestProfile.of("m", [], {"a": 1, "b": 2}),
        RequestProfile.of("m", [], {"b": 2, "a": 1}),  # the order is part of what is sent
    ]
    assert len({each.digest for each in profiles}) == len(profiles)


def test_a_value_that_json_cannot_hold_becomes_a_name() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    found = settings_of(
        timeout=Odd(),
        inside=[Odd()],
        cycle=cycle,
        nan=float("nan"),
        keys={(1, 2): 3},
        half="\ud800",
    )
    assert found == {
        "timeout": "<Odd>",
        "inside": ["<Odd>"],
        "cycle": "<list>",
        "nan": "NaN",
        "keys": "<dict>",
        "half": "?",
    }
    json.dumps(found, allow_nan=False)


def test_half_a_surrogate_pair_in_a_tool_stops_nothing() -> None:
    profile = RequestProfile.of("m", [{"description": "\ud800", "maximum": float("inf")}], {})
    assert profile.tools == ({"description": "?", "maximum": "Infinity"},)
    assert RequestProfile.read(profile.document) == profile


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.floats(), inner),
)


@given(st.dictionaries(st.text(), anything, max_size=3))
def test_any_settings_have_a_profile_that_is_read_as_it_was_stored(
    settings: dict[str, Any],
) -> None:
    profile = RequestProfile.of("m", [TOOL], settings)
    read = RequestProfile.read(profile.document)
    assert read == profile
    assert read.digest == profile.digest


@pytest.mark.parametrize("model", ["", "gpt-5", None])
def test_the_digest_is_short_and_safe_in_keys(model: str | None) -> None:
    digest = RequestProfile.of(model, [], {}).digest
    assert len(digest) == 32
    assert set(digest) <= set("0123456789abcdef")
