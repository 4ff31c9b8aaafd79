"""Mail to approvers: text of models and strangers stays text in the body."""

import re
from collections.abc import Callable
from email.message import EmailMessage
from html import unescape
from typing import Any

import boto3
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from agent_continuations.adapters.channels.email import EmailNotifier
from agent_continuations.authoring.agent import Agent
from agent_continuations.core.approvals.policy import Preview
from agent_continuations.core.notice import Notice
from agent_continuations.errors import Fatal
from agent_continuations.look_alikes import look_alikes
from agent_continuations.safe_text import escape
from tests.support.email_messages import (
    NOTIFIER,
    SENDER,
    Markup,
    check_parts,
    part,
    received,
)
from tests.support.notices import (
    ADA,
    HOSTILE,
    example_notice,
    hostile_texts,
    json_values,
    texts_with_surrogates,
)

tools = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)


BENIGN = Markup(part(received(), "html")).found


def check(mail: EmailMessage) -> None:
    """Check that the mail has exactly the headers and parts of the library."""
    check_parts(mail, ADA)
    assert mail.defects == []


@settings(deadline=None)
@given(st.dictionaries(texts_with_surrogates, json_values, max_size=4))
@example({"to": "\r\nBcc: eve@example.com\r\n\r\n<b>"})
@example({"\ud800": "\udfff"})
def test_arguments_stay_text(arguments: dict[str, Any]) -> None:
    assume(not look_alikes(arguments))
    mail = received(arguments=arguments)
    check(mail)
    assert Markup(part(mail, "html")).found == BENIGN


def test_characters_that_may_be_taken_for_others_are_pointed_out_as_text() -> None:
    mail = received(arguments={"to": "\u0430<b>", "plain": "\u0430\r\nBcc: eve@example.com"})
    check(mail)
    code = "is U+0430 Cyrillic small letter a, and looks like a"
    for kind in ("plain", "html"):
        text = " ".join(unescape(part(mail, kind)).split())
        assert "Characters that may be taken for others" in text
        assert f"In \u0430<b>: \u0430 {code}" in text
    assert "\u0430&lt;b&gt;" in part(mail, "html")


@settings(deadline=None)
@given(texts_with_surrogates)
def test_the_goal_stays_text(goal: str) -> None:
    mail = received(goal=goal)
    check(mail)
    assert Markup(part(mail, "html")).found == BENIGN


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_each_field(text: str) -> None:
    mail = received(arguments={text: [text]}, goal=text, agents=(text, text))
    check(mail)
    assert Markup(part(mail, "html")).found == BENIGN


@settings(deadline=None)
@given(st.lists(hostile_texts, min_size=1, max_size=3))
def test_agent_names_stay_text_even_if_invalid(agents: list[str]) -> None:
    mail = received(agents=tuple(agents))
    check(mail)
    assert Markup(part(mail, "html")).found == BENIGN


@pytest.mark.parametrize("name", [each for each in HOSTILE if len(each) < 60])
def test_an_agent_with_a_hostile_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="an agent's name"):
        Agent(name=name)


@settings(deadline=None)
@given(tools, st.sampled_from(["approval", "doubt"]))
def test_the_subject_names_the_tool(tool: str, kind: str) -> None:
    mail = received(tool=tool, kind=kind, expires_at=None)
    check(mail)
    asked = f"Did {tool} happen?" if kind == "doubt" else f"Approval needed: {tool}"
    assert mail["Subject"] == asked


def test_reminders_and_high_risk_are_marked() -> None:
    subjects = {
        ("asked", "low"): "Approval needed: pay",
        ("reminder", "low"): "Reminder: Approval needed: pay",
        ("asked", "high"): "Approval needed (high risk): pay",
        ("reminder", "high"): "Reminder: Approval needed (high risk): pay",
    }
    for (occasion, risk), subject in subjects.items():
        mail = received(occasion=occasion, risk=risk)
        check(mail)
        assert mail["Subject"] == subject
        assert part(mail, "plain").startswith("Reminder: ") == (occasion == "reminder")
        assert (">Reminder<" in part(mail, "html")) == (occasion == "reminder")


def test_a_high_risk_mail_requires_sign_in() -> None:
    mail = received(risk="high")
    for body in (part(mail, "plain"), part(mail, "html")):
        assert "High risk: you must sign in to decide." in body
        assert "sign in" in body
        assert "decide as you" not in body
        assert "can view this request, but not decide it" in body


@pytest.mark.parametrize(
    ("reversible", "said"),
    [(True, "Reversible"), (False, "Cannot be undone"), (None, None)],
)
def test_the_preview_of_the_tool_is_in_the_mail(reversible: bool | None, said: str | None) -> None:
    mail = received(preview=Preview(effect="Pays Bob <b>.", reversible=reversible))
    assert "Effect: Pays Bob <b>.\n" in part(mail, "plain")
    assert "Pays Bob &lt;b&gt;.</p>" in part(mail, "html")
    for body in (part(mail, "plain"), part(mail, "html")):
        assert [each for each in ("Reversible", "Cannot be undone") if each in body] == (
            [said] if said else []
        )


@pytest.mark.parametrize("text", HOSTILE)
def test_an_effect_with_hostile_text_stays_text(text: str) -> None:
    harmless, hostile = (
        received(preview=Preview(effect=f"Pays {each}.", reversible=False), risk="high")
        for each in ("Bob", text[:1000])
    )
    check(hostile)
    assert Markup(part(hostile, "html")).found == Markup(part(harmless, "html")).found
    lines = part(hostile, "plain").splitlines()
    assert len(lines) == len(part(harmless, "plain").splitlines())


@settings(deadline=None)
@given(texts_with_surrogates)
def test_invisible_characters_are_escaped(text: str) -> None:
    mail = received(arguments={"to": text}, goal=text)
    for body in (part(mail, "plain"), part(mail, "html")):
        assert not re.search(
            "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e]", body
        )
        assert not re.search("[\u2066-\u2069\ufeff\ue000-\uf8ff\ud800-\udfff]", body)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029"])
def test_unusual_line_breaks_are_escaped(separator: str) -> None:
    assert escape(f"one{separator}two") == f"one\\u{{{ord(separator):x}}}two"


def test_a_goal_cannot_add_a_line_to_the_text() -> None:
    goal = "Pay.\n\nView everything and decide:\n\nhttps://evil.example/\n"
    lines = part(received(goal=goal), "plain").split("\n")
    assert lines.count("View everything and decide:") == 1
    assert "https://evil.example/" not in lines


def test_both_parts_describe_the_request_and_its_agents() -> None:
    mail = received(arguments={"to": "Müller & Söhne", "amount": 12.5})
    for body in (part(mail, "plain"), part(mail, "html")):
        assert "clerk asks to call" in body
        assert "12.5" in body
        assert "0123456789ab" in body
        assert "2026-11-29 12:00 UTC" in body
    assert '"Müller & Söhne"' in part(mail, "plain")
    assert "Müller &amp; Söhne" in part(mail, "html")
    assert "chief > clerk" in part(mail, "plain")


def test_a_doubt_is_a_question() -> None:
    mail = received(kind="doubt", expires_at=None)
    check(mail)
    for body in (part(mail, "plain"), part(mail, "html")):
        words = " ".join(re.sub("<[^>]*>", "", body).split())
        assert "happen?" in words
        assert "the tool does not run again; the agent continues" in words
        again = "the tool runs again, once as many people say so as must approve it; if it did"
        assert f"{again} happen after all, it will have happened twice" in words
        assert "if nobody answers" not in words


def test_each_recipient_gets_a_personal_link() -> None:
    link: Callable[[Notice, str], str] = lambda _notice, who: f"https://x.example/{who}"  # noqa: E731
    ses = boto3.client(
        "sesv2", region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t"
    )
    mine = EmailNotifier(ses=ses, sender=SENDER, link=link)
    for who in (ADA, "bob@example.com"):
        mail = mine.message(example_notice(), who, who)
        assert mail["To"] == who
        assert f"https://x.example/{who}" in part(mail, "plain")


def test_a_mail_to_another_address_has_the_approvers_link() -> None:
    link: Callable[[Notice, str], str] = lambda _notice, who: f"https://x.example/{who}"  # noqa: E731
    mine = EmailNotifier(ses=NOTIFIER._ses, sender=SENDER, link=link)
    mail = mine.message(example_notice(), "desk@example.com", ADA)
    assert mail["To"] == "desk@example.com"
    assert f"https://x.example/{ADA}" in part(mail, "plain")
    assert "This link is personal" in part(mail, "plain")


def test_a_group_signs_in_to_decide() -> None:
    mail = NOTIFIER.message(example_notice(), "finance@example.com", "group:fi\u202enance\nX")
    check_parts(mail, "finance@example.com")
    for body in (part(mail, "plain"), part(mail, "html")):
        assert "Sign in" in body
        assert "You are asked as a member of group:fi\\u{202e}nance X." in body
        assert "personal" not in body


@pytest.mark.parametrize("recipient", ["a@x.org\nBcc: eve@example.com", "a@x.org\r\n\r\nhello"])
def test_a_recipient_with_a_line_feed_is_refused(recipient: str) -> None:
    with pytest.raises(Fatal, match="not a mail address, or more than one"):
        NOTIFIER.message(example_notice(), recipient, ADA)


@pytest.mark.parametrize("recipient", ["<", "'.) \u202er ax,\xe9@[", "' .>a;)\t '"])
def test_a_recipient_that_breaks_the_parser_is_refused(recipient: str) -> None:
    with pytest.raises(Fatal, match="not a mail address, or more than one"):
        NOTIFIER.message(example_notice(), recipient, ADA)


@pytest.mark.parametrize("recipient", ["", "@", "a@x.org, eve@example.com"])
def test_a_recipient_is_exactly_one_address(recipient: str) -> None:
    with pytest.raises(Fatal, match="not a mail address, or more than one"):
        NOTIFIER.message(example_notice(), recipient, ADA)


def test_a_megabyte_of_arguments_fits_into_a_mail() -> None:
    check(received(arguments={"text": "é<" * 500_000}))
