"""Signing in with the deployed functions, as a browser does it, and as a program."""

import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.local.issuer import IssuerServer, Key
from tests.support.deployment import SECURITY, Deployment
from tests.support.http_answers import CURL, Answer
from tests.support.lambda_invocation import example

ADA = "ada@example.com"
BASE = "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/v1"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Browser:
    """Keeps cookies as a browser does, and signs in with the provider's form."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.cookies: dict[str, str] = {}
        self.ever_given: set[str] = set()

    def open(
        self,
        name: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send one of the events, with the cookies that are kept."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Cookie": cookie or None, **(headers or {})}
        answer = self.deployment.http(name, query=query, headers=sent)
        for each in answer.cookies:
            pair, *rules = each.split("; ")
            name, _, value = pair.partition("=")
            assert name.startswith("__Host-")
            assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(rules)
            if "Max-Age=0" in rules:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
                self.ever_given.add(value)
        return answer

    def to_the_provider(self, next_path: str = "/signin/me") -> str:
        answer = self.open("signin", query={"next": next_path})
        assert answer.status == 303, answer.body
        return answer.headers["location"]

    def sign_in(self, email: str = ADA, groups: str = "", next_path: str = "/signin/me") -> Answer:
        back = fill_in(self.to_the_provider(next_path), email=email, groups=groups)
        return self.open("signin-callback", query=back)

    def me(self, **headers: str | None) -> Answer:
        return self.open("signin-me", headers=headers)


def fill_in(url: str, **form: str) -> dict[str, str]:
    """Fill in the provider's form. Returns the query of the callback."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc)
    connection.request("POST", f"{parts.path}?{parts.query}", urlencode(form), FORM)
    location = connection.getresponse().getheader("Location")
    connection.close()
    assert location
    assert location.startswith(f"{BASE}/signin/callback?")
    return {name: value for name, [value] in parse_qs(urlsplit(location).query).items()}


@pytest.fixture
def browser(deployment: Deployment, issuer: IssuerServer) -> Iterator[Browser]:
    """A browser. Checks afterwards that the log has none of its cookies."""
    issuer.redirect_uris = {f"{BASE}/signin/callback"}
    deployment.trust(issuer)
    browser = Browser(deployment)
    yield browser
    log = deployment.log.getvalue()
    for secret in (*browser.ever_given, *issuer.codes, issuer.client_secret):
        assert secret not in log
    assert "eyJ" not in log, "a JWT"
    issuer.broken, issuer.redirect_uris = False, set()


def test_a_person_signs_in_and_is_identified(browser: Browser) -> None:
    answer = browser.sign_in("Ada@Example.com", "finance, admins", next_path="/approvals/x?y=1")
    assert (answer.status, answer.headers["location"]) == (303, f"{BASE}/approvals/x?y=1")
    assert set(browser.cookies) == {"__Host-session"}, "the way's cookie is gone"
    me = browser.me()
    assert me.status == 200
    assert me.json() == {"name": ADA, "groups": ["group:finance", "group:admins"]}
    assert me.headers["cache-control"] == "no-store"


def test_a_request_without_sign_in_has_no_identity(browser: Browser) -> None:
    assert "sign in" in browser.me().refused(401)["detail"]


def test_a_request_after_sign_out_has_no_identity(browser: Browser) -> None:
    browser.sign_in()
    page = browser.open("signout")
    assert page.status == 200 and "You are signed out." in page.body
    assert not browser.cookies
    browser.me().refused(401)


def test_a_program_signs_out_without_a_page(browser: Browser) -> None:
    browser.sign_in()
    assert browser.open("signout", headers=CURL).status == 204
    assert not browser.cookies


def test_after_sign_out_a_copy_of_the_token_opens_no_page(
    browser: Browser, deployment: Deployment
) -> None:
    deployment.suspended()
    browser.sign_in(SECURITY, groups="operators")
    copy = dict(browser.cookies)
    pages = ("inbox", "web")
    assert [browser.open(each, query={}).status for each in pages] == [200, 200]
    browser.open("signout")
    browser.cookies = copy
    assert [browser.open(each, query={}).status for each in pages] == [303, 303]
    before = deployment.state()
    assert browser.open("inbox-decision").status == 401
    assert deployment.state() == before
    browser.sign_in(SECURITY, groups="operators")
    assert [browser.open(each, query={}).status for each in pages] == [200, 200]


def test_nobody_fills_the_table_with_sessions_that_never_were(
    browser: Browser, deployment: Deployment
) -> None:
    before = deployment.items()
    assert browser.open("signout").status == 200
    browser.cookies = {"__Host-session": "e30.e30.e30"}
    assert browser.open("signout").status == 200
    assert deployment.items() == before


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_sign_a_person_out(browser: Browser, site: str) -> None:
    browser.sign_in()
    assert browser.open("signout", headers={"Sec-Fetch-Site": site}).status == 403
    assert browser.me().status == 200


def test_a_public_url_replaces_the_url_of_the_api(
    browser: Browser, deployment: Deployment, issuer: IssuerServer
) -> None:
    deployment.parameters["PublicUrl"] = "https://agents.example.com/"
    asked = {name: value for name, [value] in parse_qs(browser.to_the_provider()).items()}
    assert asked["redirect_uri"] == "https://agents.example.com/signin/callback"


def test_over_plain_http_on_loopback_cookies_have_no_prefix(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    deployment.trust(issuer)
    deployment.parameters["PublicUrl"] = "http://127.0.0.1:8000"
    [cookie] = deployment.http("signin").cookies
    assert cookie.startswith("signin=") and "Secure" not in cookie
    session = {"Cookie": f"session={issuer.token(ADA)}"}
    assert deployment.http("signin-me", headers=session).status == 200


def test_over_https_a_cookie_without_the_prefix_is_ignored(
    browser: Browser, issuer: IssuerServer
) -> None:
    browser.cookies["session"] = issuer.token(ADA)
    browser.me().refused(401)


# -- the authorizer ------------------------------------------------------


def bad_tokens(issuer: IssuerServer) -> dict[str, str]:
    return {
        "forged": issuer.token(ADA, key=Key(issuer.keys[0].kid, "RS256", Key.new().private)),
        "expired": issuer.token(ADA, exp=int(time.time()) - 60),
        "for another": issuer.token(ADA, aud="another-client"),
        "unverified": issuer.token(ADA, email_verified=False),
        "no token": "AAAA.BBBB.CCCC",
    }


@pytest.mark.parametrize("kind", ["forged", "expired", "for another", "unverified", "no token"])
def test_a_bad_cookie_gives_no_identity_and_a_bad_token_is_refused(
    browser: Browser, issuer: IssuerServer, kind: str
) -> None:
    token = bad_tokens(issuer)[kind]
    browser.cookies["__Host-session"] = token
    browser.me().refused(401)
    del browser.cookies["__Host-session"]
    assert browser.me(Authorization=f"Bearer {token}").body == "{}", "refused by API Gateway"


def test_a_program_signs_in_with_a_token(browser: Browser, issuer: IssuerServer) -> None:
    token = issuer.token(ADA, ["finance"])
    for scheme in ("Bearer", "bearer"):
        me = browser.me(Authorization=f"{scheme} {token}")
        assert me.json() == {"name": ADA, "groups": ["group:finance"]}


def test_a_token_takes_precedence_over_a_cookie(browser: Browser, issuer: IssuerServer) -> None:
    browser.sign_in()
    me = browser.me(Authorization=f"Bearer {issuer.token('grace@example.com')}")
    assert me.json()["name"] == "grace@example.com"
    assert browser.me(Authorization="Bearer AAAA.BBBB.CCCC").status == 401


@pytest.mark.parametrize(
    "value", ["AWS4-HMAC-SHA256 Credential=A/20261122, Signature=0", "Basic eA=="]
)
def test_other_authorization_schemes_are_ignored(browser: Browser, value: str) -> None:
    browser.sign_in()
    assert browser.me(Authorization=value).status == 200


def test_a_failing_provider_is_an_error_and_not_a_missing_identity(
    browser: Browser, issuer: IssuerServer
) -> None:
    browser.sign_in()
    issuer.broken = True
    assert browser.me().status == 500
    assert browser.me(Authorization=f"Bearer {issuer.token(ADA)}").status == 500


def test_a_header_or_query_cannot_set_the_identity(browser: Browser) -> None:
    answer = browser.open(
        "signin-me",
        query={"name": ADA, "signed_in": "yes"},
        headers={"signed_in": "yes", "name": ADA, "principalId": ADA},
    )
    answer.refused(401)


# -- errors during sign-in -------------------------------------------------------------------------


def test_a_refusal_at_the_provider_is_shown(browser: Browser) -> None:
    back = fill_in(browser.to_the_provider(), email=ADA, refuse="yes")
    page = browser.open("signin-callback", query=back)
    assert page.status == 403 and "access_denied" in page.body
    assert "__Host-session" not in browser.cookies


def test_an_error_in_the_callback_address_is_only_shown(browser: Browser) -> None:
    query = {"error": "<script>alert(1)</script>\u202e"}
    page = browser.open("signin-callback", query=query)
    assert page.status == 403
    assert "<script" not in page.body and "\u202e" not in page.body


def test_the_callback_of_one_browser_does_not_sign_in_another(
    browser: Browser, deployment: Deployment
) -> None:
    other = Browser(deployment)
    back = fill_in(other.to_the_provider(), email="eve@example.com")
    assert browser.open("signin-callback", query=back).status == 403
    browser.to_the_provider()
    assert browser.open("signin-callback", query=back).status == 403
    assert "__Host-session" not in browser.cookies


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_sign_in_does_not_redirect_to_another_site(browser: Browser, path: str) -> None:
    page = browser.open("signin", query={"next": path})
    assert page.status == 422 and not page.cookies and "location" not in page.headers
    browser.open("signin", query={"next": path}, headers=CURL).refused(422)


def test_a_failing_provider_is_shown(browser: Browser, issuer: IssuerServer) -> None:
    issuer.broken = True
    page = browser.open("signin")
    assert page.status == 503 and "the identity provider" in page.body
    browser.open("signin", headers=CURL).refused(503)


def test_a_token_too_large_for_a_cookie_is_reported(browser: Browser) -> None:
    page = browser.sign_in(groups=", ".join(f"department-{each:04}" for each in range(250)))
    assert page.status == 422 and "too large" in page.body
    assert "__Host-session" not in browser.cookies


def test_sign_in_without_a_provider_is_an_error(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    for name in ("signin", "signin-callback"):
        page = deployment.http(name)
        assert page.status == 501 and "no identity provider is configured" in page.body
        deployment.http(name, headers=CURL).refused(501)
    deployment.http("signin-me", headers={"Cookie": None}).refused(401)
    session = {"Cookie": f"__Host-session={issuer.token(ADA)}"}
    deployment.http("signin-me", headers=session).refused(401)
    bearer = {"Authorization": f"Bearer {issuer.token(ADA)}"}
    assert deployment.http("signin-me", headers=bearer).status == 401


@pytest.mark.parametrize("name", ["signin", "signin-callback", "signout"])
def test_each_response_is_private_and_without_scripts(browser: Browser, name: str) -> None:
    for query in (None, {"next": "//", "error": "x"}):
        headers = browser.open(name, query=query).headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha")


def test_the_example_for_the_authorizer_has_no_identity(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    deployment.trust(issuer)
    said = deployment.invoke("AuthorizeFunction", example("authorize"))
    assert said["context"] == {"signed_in": "no"}
