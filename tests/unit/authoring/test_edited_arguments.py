"""Edits of arguments: what a person did not touch stays as the model wrote it."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
)

from agent_continuations import Agent, Approval, LocalRunner, Reply, ScriptedModel, ToolRequest, say
from agent_continuations import tool as make_tool
from agent_continuations.authoring.raw_json import edited_object, parsed_object
from agent_continuations.authoring.schema import ArgumentsRefused
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.ids import canonical_json
from agent_continuations.errors import Invalid

BOSS = "boss@example.com"


class Account(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    owner: str = Field(validation_alias=AliasChoices("ownerName", "holder"))
    city: str = Field(default="Graz", validation_alias=AliasPath("address", "city"))
    zip: str = Field(
        default="8010", validation_alias=AliasChoices(AliasPath("address", "zip"), "zipCode")
    )
    limit: float = 1.0
    password: SecretStr = SecretStr("")


class Login(BaseModel):
    user: str
    password: SecretStr


def transfer(
    amount: float,
    account: Account | None = None,
    tags: list[str] | None = None,
    logins: list[Login] | None = None,
    note: str = "none",
) -> str:
    return "done"


MADE = make_tool(transfer)


def edit(raw: str, change: Mapping[str, Any], made: Tool = MADE) -> str:
    """The text after an edit of the members named."""
    before = made.arguments.read(raw)
    return made.arguments.edit(raw, before.shown, {**before.shown, **change}).raw


def account(raw: str, **change: Any) -> str:
    before = MADE.arguments.read(raw).shown["account"]
    return edit(raw, {"account": {**before, **change}})


def test_what_was_not_touched_stays_byte_for_byte() -> None:
    raw = '{ "amount" : 1.10 ,\n "note":"caf\\u00e9", "tags": ["a",  "b"]}'
    assert edit(raw, {}) == raw
    assert edit(raw, {"note": "tea"}) == '{"amount": 1.10, "note": "tea", "tags": ["a",  "b"]}'
    assert edit(raw, {"tags": ["a"]}) == '{"amount": 1.10, "note": "caf\\u00e9", "tags": ["a"]}'


def test_defaults_are_written_only_if_they_were_touched() -> None:
    assert edit('{"amount": 1}', {"note": "none"}) == '{"amount": 1}'
    assert edit('{"amount": 1}', {"note": "x"}) == '{"amount": 1, "note": "x"}'


def test_members_of_an_object_stay_each_by_itself() -> None:
    raw = '{"amount": 1e0, "account": {"holder": "ann", "limit": 2.50, "password": "s3cret"}}'
    assert account(raw) == raw
    edited = account(raw, limit=3)
    assert edited == (
        '{"amount": 1e0, "account": {"holder": "ann", "limit": 3, "password": "s3cret"}}'
    )


def test_a_touched_member_is_written_by_the_name_shown_and_its_aliases_go() -> None:
    raw = '{"amount": 1, "account": {"holder": "ann", "limit": 2}}'
    assert account(raw, ownerName="bob") == (
        '{"amount": 1, "account": {"limit": 2, "ownerName": "bob"}}'
    )
    by_name = '{"amount": 1, "account": {"owner": "ann"}}'
    assert account(by_name, ownerName="bob") == '{"amount": 1, "account": {"ownerName": "bob"}}'


def test_members_at_paths_are_edited_one_by_one() -> None:
    raw = '{"amount": 1, "account": {"holder": "ann", "address": {"city": "Wien"}, "zipCode": "1"}}'
    shown = MADE.arguments.read(raw).shown["account"]["address"]
    assert shown == {"city": "Wien", "zip": "1"}
    edited = account(raw, address={**shown, "city": "Linz"})
    assert json.loads(edited)["account"] == {
        "holder": "ann",
        "address": {"city": "Linz"},
        "zipCode": "1",
    }
    edited = account(raw, address={**shown, "zip": "2"})
    assert json.loads(edited)["account"] == {
        "holder": "ann",
        "address": {"city": "Wien", "zip": "2"},
    }


def test_a_secret_that_was_not_touched_stays() -> None:
    raw = '{"amount": 1, "account": {"holder": "a", "password": "s3cret"}}'
    edited = MADE.arguments.read(account(raw, limit=7)).typed()
    assert edited["account"].password.get_secret_value() == "s3cret"
    edited = MADE.arguments.read(account(raw, password="new")).typed()
    assert edited["account"].password.get_secret_value() == "new"


@pytest.mark.parametrize(
    "raw, change, field",
    [
        (
            '{"amount": 1, "logins": [{"user": "a", "password": "x"}]}',
            {"logins": [{"user": "b", "password": "**********"}]},
            "logins.0.password",
        ),
        (
            '{"amount": 1}',
            {"account": {"ownerName": "a", "password": "**********"}},
            "account.password",
        ),
    ],
)
def test_an_edit_that_would_lose_a_secret_is_refused(
    raw: str, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(ArgumentsRefused) as caught:
        edit(raw, change)
    assert [name for name, _ in caught.value.fields] == [field]


@pytest.mark.parametrize("field", ["password", "logins"])
def test_a_mask_is_no_value(field: str) -> None:
    @make_tool
    def made(password: SecretStr = SecretStr(""), logins: list[SecretStr] = []) -> str:  # noqa: B006, B008
        return "x"

    value: Any = "**********" if field == "password" else ["a", "**********"]
    with pytest.raises(ArgumentsRefused, match="mask of a secret") as caught:
        made.validate({field: value})
    assert caught.value.fields[0][0].split(".")[0] == field


def test_the_page_and_the_api_refuse_a_lost_secret_by_its_name() -> None:
    @make_tool(approval=Approval([BOSS]))
    def log_in(logins: list[Login]) -> str:
        return logins[0].password.get_secret_value()

    raw = '{"logins": [{"user": "a", "password": "s3cret"}]}'
    request = Reply(requests=(ToolRequest(name="log_in", arguments=raw),))
    runner = LocalRunner([Agent("a", tools=[log_in])], ScriptedModel({"a": [request, say("end")]}))
    run = runner.start("a", "go")
    waiting = run.waiting[0]
    assert waiting.arguments
    changed = json.loads(json.dumps(waiting.arguments))
    changed["logins"][0]["user"] = "b"
    with pytest.raises(Invalid) as caught:
        runner.decide(run.run_id, waiting.request_id, "approve", arguments=changed)
    assert [name for name, _ in caught.value.fields] == ["arguments.logins.0.password"]
    run = runner.decide(run.run_id, waiting.request_id, "approve", arguments=waiting.arguments)
    outcome = runner.continuation(run.run_id).turns[0].calls[0].outcome
    assert outcome
    assert outcome.content == "s3cret"


def test_an_edit_that_a_validator_would_change_is_refused() -> None:
    @make_tool
    def charge(euros: Annotated[int, AfterValidator(lambda v: v * 100)], note: str = "") -> str:
        return "x"

    raw = '{"euros": 5}'
    assert edit(raw, {"note": "x"}, charge) == '{"euros": 5, "note": "x"}'
    with pytest.raises(ArgumentsRefused, match="60000") as caught:
        edit(raw, {"euros": 600}, charge)
    assert [name for name, _ in caught.value.fields] == ["euros"]


def test_an_edit_that_a_validator_normalizes_is_taken() -> None:
    @make_tool
    def send(to: Annotated[str, AfterValidator(str.lower)], at: float = 0) -> str:
        return "x"

    assert edit('{"to": "A"}', {"to": "BOB", "at": "2"}, send) == '{"to": "BOB", "at": "2"}'


# -- any object ------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


@given(OBJECTS, st.booleans(), st.sampled_from([None, 0, 2]))
def test_an_object_that_was_not_touched_is_the_same_text(
    value: dict[str, Any], escaped: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=escaped, indent=indent)
    assert edited_object(text, value, json.loads(json.dumps(value)), {}) == text


@given(OBJECTS, OBJECTS, st.booleans(), st.sampled_from([None, 0, 2]))
def test_an_edited_object_is_what_was_sent(
    value: dict[str, Any], edited: dict[str, Any], escaped: bool, indent: int | None
) -> None:
    edited = {**value, **edited} if escaped else edited
    text = json.dumps(value, ensure_ascii=escaped, indent=indent)
    found = parsed_object(edited_object(text, value, edited, {}))
    assert canonical_json(found) == canonical_json(_as_sent(value, edited))


def _as_sent(before: Any, edited: Any) -> Any:
    """What was sent, with the numbers that equal those before as they were: 1.0 for 1."""
    if isinstance(before, dict) and isinstance(edited, dict):
        return {name: _as_sent(before.get(name), each) for name, each in edited.items()}
    is_number = all(type(each) in (int, float) for each in (before, edited))
    return before if is_number and before == edited else edited
