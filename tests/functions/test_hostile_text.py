"""Text of models, tools, callers and approvers stays text: on every page, in mail, in Slack and
in JSON. Each output is compared with the output for harmless text.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from agent_continuations.adapters.channels.slack.blocks import (
    RequestRef,
    decided_message,
    message,
    private_notice,
    public_notice,
)
from agent_continuations.adapters.channels.slack.modals import ReasonDialog, dialog
from agent_continuations.core.notice import Notice
from agent_continuations.safe_text import escape, escape_json, escape_line
from agent_continuations.views.decision import decision_view
from tests.contract.channels import LINK, PAGE, shape
from tests.local.slack_rules import check_message, check_view
from tests.support.email_messages import NOTIFIER, Markup, check_parts, part
from tests.support.form_page import Browser
from tests.support.hostile_run import HostileRun
from tests.support.hostile_scenes import ANN, BOB, CARL, MARKERS, NAMES, SCENES, Words
from tests.support.http_answers import Answer
from tests.support.notices import ADA, HOSTILE
from tests.support.plain_texts import without_look_alikes

# Letters, marks and free places that have no shape of their own: Default_Ignorable_Code_Point of
# Unicode's DerivedCoreProperties.txt, beyond the categories below.
SHAPELESS = [
    *("\u034f", "\u115f", "\u1160", "\u17b4", "\u180b", "\u2065", "\u3164", "\ufe0f", "\uffa0"),
    *("\ufff0", "\U000e0100", "\U000e01ef", "\U000e0fff"),
]
STRANGE = [
    *(each[:200] for each in HOSTILE),
    '" onfocus="alert(1)" autofocus x="',
    "' onclick='alert(1)'",
    '"></form><form action="https://evil.example"><button name="decision" value="approve">',
    "</title></textarea></pre></style><style>*{display:none}</style>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "javascript:alert(1)",
    "<!channel> <@U0ADA> <https://evil.example|Approve> :tada: *b*",
    "\r\nSet-Cookie: a=b\r\nLocation: https://evil.example\r\n\r\n",
    "{{ nonce }}{% raw %}${x}#{x}",
    '"}, "decision": "approve", "x": {"',
    "".join(SHAPELESS),
]
texts = st.sampled_from(STRANGE) | st.text(max_size=40)
strange = st.fixed_dictionaries(dict.fromkeys(MARKERS, texts)).map(
    lambda found: {place: f"{place}{without_look_alikes(text)}x" for place, text in found.items()}
)
few = settings(
    deadline=None,
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink would take minutes
)

# What an attribute does, where it is more than a name for something on the page.
ACTING = {"href", "src", "action", "method", "type", "class", "style", "role", "content"}


def harmless(words: Words) -> Words:
    """Harmless texts for which the forms have the same controls."""
    return {place: f"{place}{_kind(text)}".ljust(len(text), "a") for place, text in words.items()}


def _kind(text: str) -> str:
    if escape(text) != text:
        return "\u202e"
    return "\n" if "\n" in text else ""


class Skeleton(HTMLParser):
    """A page without its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Any] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(
            (tag, [(each, value) if each in ACTING else each for each, value in attrs])
        )

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:  # noqa: ARG002
        self.found.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.found.append(decl)

    def handle_pi(self, data: str) -> None:  # noqa: ARG002
        self.found.append("instruction")


def assert_same_but_for_the_words(hostile: Answer, plain: Answer) -> None:
    assert hostile.status == plain.status
    headers = [{**each.headers, "location": ""} for each in (hostile, plain)]
    assert headers[0] == headers[1]
    assert re.fullmatch(r"[\w.-]*", hostile.headers.get("location", ""), re.ASCII)
    # Without one more of these no parser, however it differs from ours, can see another element.
    assert re.findall("[<>\"']", hostile.body) == re.findall("[<>\"']", plain.body)
    assert Skeleton(hostile.body).found == Skeleton(plain.body).found


def hidden(text: str) -> list[str]:
    """The invisible characters of a text."""
    unseen = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    others = set(re.findall(r"[^\x20-\x7e\n\t]", text))
    return [each for each in others if unicodedata.category(each) in unseen or _FREE.match(each)]


_FREE = re.compile(
    "[\u034f\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)


# -- pages -----------------------------------------------------------------------------------------


def pages(name: str, words: Words) -> Iterator[Answer]:
    """Every page of a scene."""
    world = HostileRun(name, words)
    for who in (ANN, CARL):
        yield world.open(who)
        yield world.open_inbox(who)
    yield from world.open_as_operator()
    # Whoever comes too late is told what stands, and whoever sends nonsense, what was wrong.
    yield HostileRun(name, words).post({"decision": "reject", "reason": words["why"]}, BOB)
    yield world.post({words["other"][:60]: words["why"], "decision": words["key"]})
    run_id, asked = world.head.run_id, world.request_id
    for pick in (f"{run_id}/{asked}/{words['key'].replace('/', '')}", f"{run_id}/{asked}/"):
        form = {"pick": pick, "decision": "reject", "reason": words["why"]}
        yield HostileRun(name, words).post_inbox(form)


@pytest.mark.parametrize("name", SCENES)
@settings(few, max_examples=12)
@given(words=strange)
def test_hostile_text_stays_text_on_every_page(name: str, words: Words) -> None:
    both = zip(pages(name, words), pages(name, harmless(words)), strict=True)
    for hostile, plain in both:
        assert_same_but_for_the_words(hostile, plain)
        assert hidden(unescape(hostile.body)) == []


@few
@given(words=strange)
def test_hostile_text_is_exact_in_the_forms(words: Words) -> None:
    words = {**words, **NAMES}
    world = HostileRun("open", words)
    hostile = world.open(edit="1")
    assert_same_but_for_the_words(
        hostile, HostileRun("open", {**harmless(words), **NAMES}).open(edit="1")
    )
    assert hidden(unescape(hostile.body)) == []
    # An argument that the tool does not know it would refuse, so that one has its own name again.
    world = HostileRun("open", words | {"key": "zzkeyzz"})
    [asked] = world.api("read-run")["waiting"]
    form = {**Browser(world.open(edit="1").body).posted, "decision": "approve"}
    answer = world.post(form, page=False)
    assert answer.status == 200, answer.body
    told = answer.json()
    assert told["arguments_hash"] == asked["arguments_hash"]
    assert "arguments" not in told


@few
@given(words=strange)
def test_hostile_text_that_was_typed_is_shown_again_exactly(words: Words) -> None:
    typed = "\r\n".join(re.split("\r\n|\r|\n", words["other"]))
    form = {"arguments.to": typed, "arguments.amount": "seven", "decision": "approve"}
    words = {**words, **NAMES}
    hostile = HostileRun("open", words).post(form)
    assert hostile.status == 422
    calm = {**harmless(words), **NAMES}
    plain = HostileRun("open", calm).post(form | {"arguments.to": calm["other"]})
    # What hides in a typed text is told beside it, in one more line.
    if _kind(words["other"]) != "\u202e":
        assert_same_but_for_the_words(hostile, plain)
    browser = Browser(hostile.body)
    assert browser.posted["arguments.to"] == typed
    assert browser.posted["arguments.amount"] == "seven"
    values = r'(?<=value=")[^"]*|(?<=>\n)[^<]*(?=</textarea>)'
    assert hidden(unescape(re.sub(values, "", hostile.body))) == []


@pytest.mark.parametrize("text", ["x&next=evil", "\u00e9\u4e2d", "a=b;c", "<b>", "%0d%0aX:y", "'"])
def test_a_hostile_address_stays_within_one_url_parameter(text: str) -> None:
    answer = HostileRun("open", {each: each for each in MARKERS}).open_as_nobody(text, text)
    assert answer.status == 303
    way, _, query = answer.headers["location"].partition("?")
    assert way == "../../signin"
    assert query.isascii()
    found = parse_qs(query, strict_parsing=True)
    assert found.keys() == {"next"}
    assert [unquote(each) for each in found["next"]] == [f"/approvals/{text}/{text}"]


@pytest.mark.parametrize("letter", SHAPELESS)
def test_a_character_without_a_glyph_is_made_visible(letter: str) -> None:
    escaped = f"\\u{{{ord(letter):x}}}"
    assert escape(f"pay{letter}pal") == f"pay{escaped}pal"
    assert json.loads(escape_json({letter: letter})) == {letter: letter}
    assert letter not in escape_json({letter: letter})
    assert escape_line(letter) == escaped


# -- mail and Slack --------------------------------------------------------------------------------


def notices(words: Words) -> Iterator[Notice]:
    for each in HostileRun("doubt", words).notices:
        yield each.model_copy(update={"notice_id": "abcdefgh23456723"})


def links(_notice: Notice, _approver: str) -> str:
    return "https://api.example.com/a/TOKEN-_1?x=1&y=2"


@few
@given(words=strange, occasion=st.sampled_from(["asked", "reminder"]))
def test_hostile_text_stays_text_in_mail(words: Words, occasion: str) -> None:
    for made in zip(notices(words), notices(harmless(words)), strict=True):
        mails = [
            NOTIFIER.message(
                each.model_copy(update={"occasion": occasion}), ADA, each.approvers[-1]
            )
            for each in made
        ]
        received = [message_from_bytes(each.as_bytes(), policy=default) for each in mails]
        check_parts(received[0], ADA)
        assert received[0]["Subject"] == received[1]["Subject"]
        html, calm = (part(each, "html") for each in received)
        assert re.findall("[<>\"']", html) == re.findall("[<>\"']", calm)
        assert Markup(html).found == Markup(calm).found
        text, calm = (part(each, "plain") for each in received)
        assert text.count("\n") == calm.count("\n")
        assert hidden(text + unescape(html)) == []


def slack(words: Words) -> Iterator[dict[str, Any]]:
    """Every message and dialog for Slack, as it is sent."""
    for notice in notices(words):
        asked = RequestRef.of(notice)
        for told in (
            private_notice(notice, LINK, own=True),
            private_notice(notice, LINK, own=False),
            public_notice(notice, PAGE),
        ):
            yield {"blocks": told.blocks, "text": told.text}
    world = HostileRun("edited", words)
    loaded = world.services.runs.load(world.head.run_id)
    call = next(each for _, each in loaded.continuation.calls() if each.decision)
    assert call.decision
    view = decision_view(loaded.head.run_id, world.request_id, call.decision)
    told = decided_message(asked, call.plan.tool, call.arguments, view)
    yield {"blocks": told.blocks, "text": told.text}
    told = message(f"{words['ann']} was not asked for this decision")
    yield {"blocks": told.blocks, "text": told.text}
    reasoning = ReasonDialog(asked=asked, verdict="reject", channel="C0ALL", message="1.2")
    yield dialog(reasoning, call.plan.tool)


@few
@given(words=strange)
def test_hostile_text_stays_text_in_slack(words: Words) -> None:
    for hostile, plain in zip(slack(words), slack(harmless(words)), strict=True):
        if hostile.get("type") == "modal":
            check_view(hostile)
        else:
            check_message(hostile["blocks"])
            assert not re.search("[<>]", hostile["text"])
        assert shape(hostile["blocks"]) == shape(plain["blocks"])
        assert hidden("".join(_texts(hostile))) == []


def _texts(value: Any) -> Iterator[str]:
    match value:
        case dict() | list():
            for each in value.values() if isinstance(value, dict) else value:
                yield from _texts(each)
        case str():
            yield value


# -- JSON ------------------------------------------------------------------------------------------


@few
@given(words=strange)
def test_hostile_text_is_exact_in_json(words: Words) -> None:
    world = HostileRun("edited", words)
    refusal = world.post({"decision": "reject", "reason": words["why"]}, BOB, page=False)
    assert refusal.status == 409
    assert refusal.headers["content-type"] == "application/problem+json"
    stands = refusal.json()["decision"]
    assert stands["approver"] == f"{words['carl']}@example.com"
    assert stands["reason"] == words["why"]
    assert stands["arguments"]["details"] == {words["other"]: None}
    faults = world.post({words["key"]: "", "decision": "approve"}, page=False).json()["errors"]
    [named] = {each["field"] for each in faults}
    assert words["key"].startswith(named) and len(named) >= min(len(words["key"]), 64)
    assert world.api("read-run")["metadata"] == {words["metadata"]: words["metadata"]}
    lines = world.api("read-timeline")["items"]
    assert lines[0]["text"] == words["goal"]
    assert {words["chief"], words["clerk"]} <= {each["agent"] for each in lines}
    assert world.api("read-continuation")["input"] == words["goal"]
    [first, *_] = world.api("read-messages")["items"]
    assert first["messages"][1] == {"role": "user", "content": words["goal"]}
    assert [each["function"]["name"] for each in first["tools"]] == [words["clerk"]]
    trail = world.api("read-audit")["items"]
    assert {words["why"]} == {each["decision"]["reason"] for each in trail if "decision" in each}
