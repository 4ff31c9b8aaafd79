"""Signing in on the deployed system: through the provider's form and back, over real HTTP."""

from collections.abc import Iterator
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.e2e.conftest import FORM, Answer, Client, System, wait_for

ADA = "ada@example.com"
PAGE = "text/html,*/*;q=0.8"


class Visitor:
    """An HTTP client that keeps cookies and follows where it is sent."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.cookies: dict[str, str] = {}
        self.ever_given: set[str] = set()

    def open(
        self, where: str, *, method: str = "GET", form: dict[str, str] | None = None, **more: str
    ) -> Answer:
        """Open an address, not following."""
        headers = {"Accept": PAGE, **more}
        if self.cookies and where.startswith(("/", self.client.url)):
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        body = None if form is None else urlencode(form).encode()
        if body is not None:
            headers["Content-Type"] = FORM
        answer = self.client.send(method, where, body, headers)
        for each in answer.set_cookies:
            for name, morsel in SimpleCookie(each).items():
                assert morsel["httponly"]
                assert (morsel["path"], morsel["samesite"]) == ("/", "Lax")
                self.ever_given |= {morsel.value} - {""}
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer

    def sign_in(self, next_path: str, **form: str) -> Answer:
        """Go the whole way; the answer that sends one on to where one wanted to go."""
        to_provider = self.open(f"/signin?{urlencode({'next': next_path})}")
        assert to_provider.status == 303, to_provider.text
        there = to_provider.headers["Location"]
        assert "Test sign-in" in self.open(there).text
        back = self.open(there, method="POST", form={"email": ADA, **form})
        assert back.status == 303, back.text
        return self.open(back.headers["Location"])


@pytest.fixture
def visitor(client: Client, system: System) -> Iterator[Visitor]:
    """Whatever was given to the visitor is in no function's log."""
    visitor = Visitor(client)
    yield visitor
    logged = _log(system)
    for secret in (*visitor.ever_given, *system.issuer.codes):
        assert secret not in logged
    assert "eyJ" not in logged, "a JWT"


def test_a_person_signs_in_and_out(visitor: Visitor, system: System) -> None:
    assert visitor.open("/signin/me").status == 401
    arrived = visitor.sign_in("/signin/me", groups="finance, admins")
    assert arrived.status == 303, arrived.text
    assert arrived.headers["Location"] == f"{visitor.client.url}/signin/me"
    assert set(visitor.cookies) == {"session"}
    me = visitor.open(arrived.headers["Location"])
    assert me.json == {"name": ADA, "groups": ["group:finance", "group:admins"]}
    assert "You are signed out." in visitor.open("/signout", method="POST", form={}).text
    assert not visitor.cookies
    assert visitor.open("/signin/me").status == 401
    wait_for("a word of it in the log", lambda: "SignIns" in _log(system))


def test_whoever_refuses_at_the_provider_is_not_signed_in(visitor: Visitor) -> None:
    answer = visitor.sign_in("/signin/me", refuse="yes")
    assert answer.status == 403 and "access_denied" in answer.text
    assert "session" not in visitor.cookies


def test_an_answer_is_good_once_and_only_where_it_was_asked_for(
    visitor: Visitor, client: Client
) -> None:
    there = visitor.open("/signin").headers["Location"]
    back = visitor.open(there, method="POST", form={"email": ADA}).headers["Location"]
    assert Visitor(client).open(back).status == 403
    kept = dict(visitor.cookies)
    assert visitor.open(back).status == 303
    visitor.cookies = kept
    assert visitor.open(back).status == 403, "the provider takes a code once"
    assert parse_qs(urlsplit(back).query)["state"]


def test_a_program_sends_its_token(visitor: Visitor, client: Client, system: System) -> None:
    token = system.issuer.token(ADA, ["finance"])
    visitor.ever_given.add(token)
    for base in (client.url, system.stack.api_url):
        me = visitor.open(f"{base}/signin/me", Authorization=f"Bearer {token}")
        assert me.json == {"name": ADA, "groups": ["group:finance"]}
        refused = visitor.open(f"{base}/signin/me", Authorization=f"Bearer {token[:-8]}AAAAAAAA")
        assert refused.status == 401


def test_a_forged_or_old_cookie_makes_one_nobody(visitor: Visitor, system: System) -> None:
    for token in (system.issuer.token(ADA, exp=1), "AAAA.BBBB.CCCC"):
        visitor.cookies["session"] = token
        answer = visitor.open("/signin/me")
        assert answer.status == 401 and "sign in first" in answer.text


def test_being_signed_in_opens_nothing_that_iam_guards(visitor: Visitor, system: System) -> None:
    token = system.issuer.token(ADA, ["admins"])
    visitor.ever_given.add(token)
    runs = f"{system.stack.api_url}/runs"
    assert visitor.open(runs, Authorization=f"Bearer {token}").status == 403
    assert visitor.open(runs, Cookie=f"session={token}").status == 403


def _log(system: System) -> str:
    """All that the functions have written."""
    logs, group = system.stack.client("logs"), system.stack.resource("Logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    return "\n".join(each["message"] for page in pages for each in page["events"])
