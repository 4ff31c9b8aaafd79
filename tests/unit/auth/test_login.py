"""Sign-in: accepted and refused tokens, and the way to the provider and back."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import example, given
from hypothesis import strategies as st

from agent_continuations.auth import identity
from agent_continuations.auth.cookies import read_cookie, set_cookie
from agent_continuations.auth.identity import Identity
from agent_continuations.auth.login import SIGN_IN_SECONDS, CodeFlow, local_path
from agent_continuations.auth.oidc import OidcProvider
from agent_continuations.auth.oidc_metadata import (
    FAILURE_SECONDS,
    METADATA_SECONDS,
    REFETCH_SECONDS,
    STALE_SECONDS,
)
from agent_continuations.errors import Fatal, Forbidden, Invalid, Retryable
from tests.local.issuer import CLIENT_SECRET, IssuerServer, Key

ADA = "ada@example.com"
KEY, OTHER = "k" * 32, "o" * 32
CALLBACK = "http://127.0.0.1:8000/signin/callback"
FIRST, STRANGE = Key.new(), Key.new()


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def shared() -> Iterator[IssuerServer]:
    with IssuerServer() as server:
        yield server


@pytest.fixture
def server(shared: IssuerServer) -> IssuerServer:
    shared.keys = [FIRST]
    shared.published = None
    shared.broken, shared.groups_claim, shared.client_secret = False, "groups", CLIENT_SECRET
    shared.auth_methods = ["client_secret_basic", "client_secret_post"]
    shared.refusals.clear()
    shared.redirect_uris = {CALLBACK}
    shared.reads = 0
    return shared


def issuer_of(server: IssuerServer, **more: Any) -> OidcProvider:
    return OidcProvider(server.url, server.client_id, **more)


def flow_of(server: IssuerServer, *keys: str, client_secret: str = CLIENT_SECRET) -> CodeFlow:
    return CodeFlow(
        issuer_of(server), keys or [KEY], client_secret=client_secret, redirect_uri=CALLBACK
    )


def at_the_provider(url: str, **form: str) -> dict[str, str]:
    """Sign in by the provider's form. Returns the query of the callback."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    path = f"{parts.path}?{parts.query}"
    connection.request("POST", path, urlencode({"email": ADA, **form}), headers)
    answer = connection.getresponse()
    location = answer.getheader("Location")
    connection.close()
    assert location, answer.status
    assert location.startswith(CALLBACK + "?")
    return {name: value for name, [value] in parse_qs(urlsplit(location).query).items()}


# -- tokens --------------------------------------------------------------


def test_a_token_of_the_provider_identifies_a_person(server: IssuerServer) -> None:
    token = server.token("Ada@Example.com", ["finance", "admins"], sub="a 1", amr=["pwd", "mfa"])
    person = issuer_of(server).verify(token)
    assert person == Identity(
        name=ADA,
        groups=("group:finance", "group:admins"),
        authentication=f"oidc {server.url} sub=a%201 amr=pwd,mfa",
        session=sha256(token.encode()).hexdigest(),
        expires_at=jwt.decode(token, options={"verify_signature": False})["exp"],
    )


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_each_kind_of_key_is_supported(server: IssuerServer, algorithm: str) -> None:
    server.rotate(algorithm)
    assert issuer_of(server).verify(server.token(ADA)).name == ADA


def unsigned(server: IssuerServer) -> str:
    claims = jwt.decode(server.token(ADA), options={"verify_signature": False})
    return jwt.encode(claims, "", "none", headers={"kid": server.keys[0].kid})


def signed_with_the_public_key(server: IssuerServer) -> str:
    """PyJWT would not make such a token, so it is made by hand."""
    public = server.keys[0].private.public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = encoded({"alg": "HS256", "typ": "JWT", "kid": server.keys[0].kid})
    signed = f"{head}.{server.token(ADA).split('.')[1]}"
    mac = jwt.algorithms.get_default_algorithms()["HS256"].sign(signed.encode(), pem)
    return f"{signed}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def encoded(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def other_claims(server: IssuerServer) -> str:
    head, _, signature = server.token(ADA).split(".")
    return f"{head}.{server.token('eve@example.com').split('.')[1]}.{signature}"


def changed_algorithm(server: IssuerServer) -> str:
    _, body, signature = server.token(ADA).split(".")
    return f"{encoded({'alg': 'RS512', 'kid': server.keys[0].kid})}.{body}.{signature}"


WRONG: dict[str, Callable[[IssuerServer], str]] = {
    "forged": lambda s: s.token(ADA, key=replace(STRANGE, kid=s.keys[0].kid)),
    "other claims under the signature": other_claims,
    "signature of no algorithm": unsigned,
    "HS256 with the public key": signed_with_the_public_key,
    "another algorithm than the key's": changed_algorithm,
    "unknown key": lambda s: s.token(ADA, key=STRANGE),
    "expired": lambda s: s.token(ADA, exp=int(time.time()) - 60),
    "without an end": lambda s: s.token(ADA, exp=None),
    "not yet valid": lambda s: s.token(ADA, nbf=int(time.time()) + 300),
    "made tomorrow": lambda s: s.token(ADA, iat=int(time.time()) + 86400),
    "made at no time": lambda s: s.token(ADA, iat=None),
    "times that are none": lambda s: s.token(ADA, exp="soon"),
    "another audience": lambda s: s.token(ADA, aud="another-client"),
    "no audience": lambda s: s.token(ADA, aud=None),
    "several audiences, none of them the party": lambda s: s.token(ADA, aud=[s.client_id, "b"]),
    "another party": lambda s: s.token(ADA, azp="another-client"),
    "another issuer": lambda s: s.token(ADA, iss="https://evil.example"),
    "issuer with a slash": lambda s: s.token(ADA, iss=f"{s.url}/"),
    "no issuer": lambda s: s.token(ADA, iss=None),
    "nobody": lambda s: s.token(ADA, sub=None),
    "subject that is no text": lambda s: s.token(ADA, sub=7),
    "e-mail not verified": lambda s: s.token(ADA, email_verified=False),
    "e-mail not verified, as text": lambda s: s.token(ADA, email_verified="false"),
    "no e-mail": lambda s: s.token(ADA, email=None),
    "e-mail that is none": lambda s: s.token("ada"),
    "e-mail that looks like a group": lambda s: s.token("group:admins@example.com"),
    "e-mail in letters that only look the same": lambda s: s.token("mi\u212ae@example.com"),
    "e-mail with a line break": lambda s: s.token(f"{ADA}\n"),
    "groups that are no list": lambda s: s.token(ADA, groups={"admins": True}),
    "groups that are no names": lambda s: s.token(ADA, groups=["admins", 7]),
    "space after it": lambda s: s.token(ADA) + " ",
    "letters between that base64 leaves out": lambda s: s.token(ADA) + "!!!!",
    "only two parts": lambda s: s.token(ADA).rpartition(".")[0],
    "nothing": lambda _: "",
    "incomplete character": lambda _: "\ud800.a.b",
    "no JSON": lambda _: "a.b.c",
}


@pytest.mark.parametrize("way", WRONG)
def test_an_invalid_token_is_refused(server: IssuerServer, way: str) -> None:
    token = WRONG[way](server)
    with pytest.raises(Forbidden) as refusal:
        issuer_of(server).verify(token)
    assert not token or token not in str(refusal.value)


@given(st.text())
@example("..")
@example("e30.e30.e30")
def test_any_other_text_is_refused(shared: IssuerServer, text: str) -> None:
    with pytest.raises(Forbidden):
        issuer_of(shared).verify(text)


def test_a_small_clock_skew_is_tolerated(server: IssuerServer) -> None:
    now = int(time.time())
    token = server.token(ADA, iat=now + 10, nbf=now + 10, exp=now - 10)
    assert issuer_of(server).verify(token).name == ADA


def test_several_audiences_are_accepted_with_the_client_as_authorized_party(
    server: IssuerServer,
) -> None:
    token = server.token(ADA, aud=["another", server.client_id], azp=server.client_id)
    assert issuer_of(server).verify(token).name == ADA


@pytest.mark.parametrize("said", [True, "true", None])
def test_an_address_is_accepted_unless_it_is_marked_as_unverified(
    server: IssuerServer, said: bool | str | None
) -> None:
    assert issuer_of(server).verify(server.token(ADA, email_verified=said)).name == ADA


@pytest.mark.parametrize(
    ("said", "groups"),
    [(["a", "b c"], ("group:a", "group:b c")), ("a", ("group:a",)), ([], ()), (None, ())],
)
def test_groups_are_a_list_a_string_or_missing(
    server: IssuerServer, said: Any, groups: tuple[str, ...]
) -> None:
    issuer = issuer_of(server, groups_claim="cognito:groups")
    token = server.token(ADA, ["not these"], **{"cognito:groups": said})
    assert issuer.verify(token).groups == groups


def test_claims_of_the_provider_are_escaped(server: IssuerServer) -> None:
    token = server.token(ADA, sub="x amr=mfa\nsub=root", amr=["pwd sub=y"])
    told = issuer_of(server).verify(token).authentication
    assert told == f"oidc {server.url} sub=x%20amr%3Dmfa%0Asub%3Droot amr=pwd%20sub%3Dy"


# -- keys ----------------------------------------------------------------


def test_keys_are_cached_until_they_expire(server: IssuerServer) -> None:
    clock = Clock()
    issuer = issuer_of(server, clock=clock)
    assert server.reads == 0
    for _ in range(5):
        issuer.verify(server.token(ADA))
    assert server.reads == 1
    clock.now += METADATA_SECONDS + 1
    issuer.verify(server.token(ADA))
    assert server.reads == 2


def test_a_new_key_is_found_and_the_old_one_is_refused(server: IssuerServer) -> None:
    clock = Clock()
    issuer = issuer_of(server, clock=clock)
    old = server.token(ADA)
    issuer.verify(old)
    server.rotate()
    clock.now += REFETCH_SECONDS + 1
    assert issuer.verify(server.token(ADA)).name == ADA
    with pytest.raises(Forbidden, match="unknown key"):
        issuer.verify(old)


def test_unknown_key_ids_do_not_reload_the_keys_each_time(server: IssuerServer) -> None:
    clock = Clock()
    issuer = issuer_of(server, clock=clock)
    for _ in range(20):
        with pytest.raises(Forbidden, match="unknown key"):
            issuer.verify(server.token(ADA, key=Key(f"k{clock.now}", "RS256", STRANGE.private)))
        clock.now += 4
    assert server.reads == 3


def break_down(server: IssuerServer, how: str) -> None:
    match how:
        case "503":
            server.broken = True
        case "no keys":
            server.keys = []
        case "other issuer":
            server.published = (HTTPStatus.OK, '{"issuer": "https://other.example"}')
        case "404":
            server.published = (HTTPStatus.NOT_FOUND, "{}")
        case text:
            server.published = (HTTPStatus.OK, text)


def repair(server: IssuerServer, *keys: Key) -> None:
    server.broken, server.published, server.keys = False, None, [*keys]


# A page of a proxy, texts that are no JSON object, and JSON that exceeds Python's stack.
FAILURES = ("503", "404", "<html>Back soon</html>", "no keys", "other issuer", "[]", "{" * 10_000)
failing = pytest.mark.parametrize("how", FAILURES, ids=lambda how: how[:12])


@failing
def test_known_keys_are_used_for_a_day_while_the_provider_fails(
    server: IssuerServer, how: str
) -> None:
    clock = Clock()
    issuer = issuer_of(server, clock=clock)
    token = server.token(ADA)
    issuer.verify(token)
    break_down(server, how)
    for seconds in (METADATA_SECONDS + 1, STALE_SECONDS - METADATA_SECONDS - 2):
        clock.now += seconds
        assert issuer.verify(token).name == ADA
    clock.now += 2
    with pytest.raises((Retryable, Fatal)):
        issuer.verify(token)
    repair(server, FIRST)
    clock.now += FAILURE_SECONDS + 1
    assert issuer.verify(token).name == ADA


@failing
def test_an_unknown_key_may_be_a_new_one_while_the_provider_fails(
    server: IssuerServer, how: str
) -> None:
    clock = Clock()
    issuer = issuer_of(server, clock=clock)
    issuer.verify(server.token(ADA))
    token = server.token(ADA, key=STRANGE)
    break_down(server, how)
    clock.now += REFETCH_SECONDS + 1
    with pytest.raises((Retryable, Fatal)):
        issuer.verify(token)
    repair(server, STRANGE)
    clock.now += FAILURE_SECONDS + 1
    assert issuer.verify(token).name == ADA


@failing
@pytest.mark.parametrize("age", [None, REFETCH_SECONDS + 1, METADATA_SECONDS + 1])
def test_a_provider_that_fails_is_not_asked_for_each_token(
    server: IssuerServer, how: str, age: int | None
) -> None:
    clock = Clock()
    issuer = issuer_of(server, clock=clock)
    token = server.token(ADA)
    if age is not None:
        issuer.verify(token)
        clock.now += age
    before = server.discoveries
    break_down(server, how)
    for _ in range(20):
        with pytest.raises((Retryable, Fatal)):
            issuer.verify(server.token(ADA, key=Key(f"k{clock.now}", "RS256", STRANGE.private)))
        if age is None:
            with pytest.raises((Retryable, Fatal)):
                issuer.verify(token)
        else:
            assert issuer.verify(token).name == ADA
        clock.now += 2
    asked = server.discoveries - before
    assert asked == 4, "at the first token, and after each 10 seconds"


def test_a_key_that_is_not_for_signatures_is_not_used(server: IssuerServer) -> None:
    class Encrypts(Key):
        def published(self) -> dict[str, Any]:
            return {**super().published(), "use": "enc"}

    server.keys.append(Encrypts(STRANGE.kid, "RS256", STRANGE.private))
    with pytest.raises(Forbidden, match="unknown key"):
        issuer_of(server).verify(server.token(ADA, key=STRANGE))


def test_a_published_secret_is_not_a_key(server: IssuerServer) -> None:
    class Secret(Key):
        def published(self) -> dict[str, Any]:
            k = urlsafe_b64encode(self.private.encode()).rstrip(b"=").decode()
            return {"kty": "oct", "k": k, "kid": self.kid, "alg": "HS256"}

    secret = Secret("shared", "HS256", "s" * 32)
    server.keys.append(secret)
    with pytest.raises(Forbidden, match="InvalidAlgorithm"):
        issuer_of(server).verify(server.token(ADA, key=secret))


def test_a_token_without_a_key_id_needs_a_single_key(server: IssuerServer) -> None:
    claims = jwt.decode(server.token(ADA), options={"verify_signature": False})
    token = jwt.encode(claims, server.keys[0].private, "RS256")
    assert issuer_of(server).verify(token).name == ADA
    server.keys.append(STRANGE)
    with pytest.raises(Forbidden, match="unknown key"):
        issuer_of(server).verify(token)


# -- the provider --------------------------------------------------------


def test_a_failing_provider_is_not_a_refusal(server: IssuerServer) -> None:
    server.broken = True
    with pytest.raises(Retryable):
        issuer_of(server).verify(server.token(ADA))
    with pytest.raises(Retryable):
        flow_of(server).begin("/")


def test_an_unreachable_provider_is_not_a_refusal() -> None:
    with IssuerServer() as gone:
        token = gone.token(ADA)
    with pytest.raises(Retryable):
        issuer_of(gone).verify(token)


def test_an_issuer_in_another_spelling_is_refused(server: IssuerServer) -> None:
    issuer = OidcProvider(f"{server.url}/", server.client_id)
    with pytest.raises(Fatal, match="the issuer is"):
        issuer.verify(server.token(ADA))


def test_an_invalid_provider_is_reported(server: IssuerServer) -> None:
    with pytest.raises(Fatal, match="404"):
        OidcProvider(f"{server.url}/realms/x", server.client_id).verify(server.token(ADA))


@pytest.mark.parametrize("url", ["http://idp.example.com", "ftp://127.0.0.1", "file:///etc", "x"])
def test_a_provider_is_called_over_https_only(url: str) -> None:
    with pytest.raises(Fatal, match="must use https"):
        OidcProvider(url, "client").verify(jwt.encode({"sub": ADA}, STRANGE.private, "RS256"))


@pytest.mark.parametrize("name", ["authorization_endpoint", "jwks_uri"])
def test_an_insecure_endpoint_of_the_provider_is_refused(name: str) -> None:
    class Careless(IssuerServer):
        def configuration(self) -> dict[str, Any]:
            return {**super().configuration(), name: "http://idp.example.com/x"}

    with Careless() as careless, pytest.raises(Fatal, match="must use https"):
        flow_of(careless).begin("/")


# -- the code flow -------------------------------------------------------


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_sign_in_from_redirect_to_callback(server: IssuerServer, method: str) -> None:
    server.auth_methods = [method]
    flow = flow_of(server)
    url, cookie = flow.begin("/approvals/x?y=1")
    back = at_the_provider(url, groups="finance, admins")
    token, next_path = flow.finish(back["code"], back["state"], cookie)
    assert next_path == "/approvals/x?y=1"
    assert issuer_of(server).verify(token).groups == ("group:finance", "group:admins")
    assert not server.refusals


def test_a_public_client_has_no_secret(server: IssuerServer) -> None:
    server.client_secret = ""
    flow = flow_of(server, client_secret="")
    url, cookie = flow.begin("/")
    back = at_the_provider(url)
    assert flow.finish(back["code"], back["state"], cookie)[1] == "/"


def test_the_browser_carries_neither_secret_nor_verifier_to_the_provider(
    server: IssuerServer,
) -> None:
    url, _ = flow_of(server).begin("/")
    query = {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}
    assert set(query) == {
        *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method"),
    }
    assert query["code_challenge_method"] == "S256"


def test_a_code_is_accepted_once(server: IssuerServer) -> None:
    flow = flow_of(server)
    url, cookie = flow.begin("/")
    back = at_the_provider(url)
    flow.finish(back["code"], back["state"], cookie)
    with pytest.raises(Forbidden, match="code"):
        flow.finish(back["code"], back["state"], cookie)


def test_a_callback_is_accepted_only_in_the_browser_of_the_sign_in(server: IssuerServer) -> None:
    flow = flow_of(server)
    url, mine = flow.begin("/")
    back = at_the_provider(url)
    _, another = flow.begin("/")
    for cookie in (another, "", f"{mine}x", mine[1:]):
        with pytest.raises(Forbidden, match="was started in another browser"):
            flow.finish(back["code"], back["state"], cookie)
    assert flow.finish(back["code"], back["state"], mine)


@pytest.mark.parametrize("state", ["", "forged", "\ud800"])
def test_a_forged_state_is_refused(server: IssuerServer, state: str) -> None:
    flow = flow_of(server)
    url, cookie = flow.begin("/")
    back = at_the_provider(url)
    with pytest.raises(Forbidden, match="was started in another browser"):
        flow.finish(back["code"], state, cookie)


def test_a_stolen_code_is_refused_in_another_sign_in(server: IssuerServer) -> None:
    flow = flow_of(server)
    stolen = at_the_provider(flow.begin("/")[0])["code"]
    url, cookie = flow.begin("/")
    state = at_the_provider(url)["state"]
    with pytest.raises(Forbidden, match="code"):
        flow.finish(stolen, state, cookie)
    assert server.refusals == ["invalid_grant"], "the verifier is another"


def test_a_token_for_another_sign_in_is_refused(server: IssuerServer) -> None:
    flow = flow_of(server)
    url, cookie = flow.begin("/")
    back = at_the_provider(url)
    grant = server.codes[back["code"]]
    server.codes[back["code"]] = replace(grant, claims={**grant.claims, "nonce": "another"})
    with pytest.raises(Forbidden, match="another sign-in"):
        flow.finish(back["code"], back["state"], cookie)


def test_an_expired_sign_in_is_refused(
    server: IssuerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = flow_of(server)
    long_ago = time.time() - SIGN_IN_SECONDS - 2
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: long_ago)
        url, cookie = flow.begin("/")
    back = at_the_provider(url)
    with pytest.raises(Forbidden, match="has expired"):
        flow.finish(back["code"], back["state"], cookie)


def test_keys_can_be_rotated_during_a_sign_in(server: IssuerServer) -> None:
    url, cookie = flow_of(server, KEY).begin("/")
    back = at_the_provider(url)
    with pytest.raises(Forbidden):
        flow_of(server, OTHER).finish(back["code"], back["state"], cookie)
    both = flow_of(server, OTHER, KEY)
    assert both.finish(back["code"], back["state"], cookie)
    url, cookie = both.begin("/")
    back = at_the_provider(url)
    assert flow_of(server, OTHER).finish(back["code"], back["state"], cookie), "the newest signs"


def test_a_wrong_client_secret_is_a_configuration_error(server: IssuerServer) -> None:
    flow = flow_of(server, client_secret="wrong")
    url, cookie = flow.begin("/")
    back = at_the_provider(url)
    with pytest.raises(Fatal, match="401, invalid_client"):
        flow.finish(back["code"], back["state"], cookie)


@pytest.mark.parametrize("secret", ["a:b", "ü&=+ %", "wörd: / ?"])
def test_any_client_secret_is_encoded(server: IssuerServer, secret: str) -> None:
    server.client_secret = secret
    flow = flow_of(server, client_secret=secret)
    url, cookie = flow.begin("/")
    back = at_the_provider(url)
    assert flow.finish(back["code"], back["state"], cookie)


# -- the address after sign-in ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/inbox", "/approvals/AAA.bbb-_?x=1&y=%20", "/a//b", "/a:b@c", "/?next=/"]
)
def test_a_relative_path_may_be_next(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "inbox",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "https://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=y",
        "/a\x00",
        "/a\\b",
        "/\u2215evil.example",
        "/a#b",
        "/" + "a" * 1000,
        "/inbox\n",
    ],
)
def test_any_other_address_may_not_be_next(server: IssuerServer, path: str) -> None:
    with pytest.raises(Invalid):
        flow_of(server).begin(path)
    assert server.reads == 0


# -- cookies and context -------------------------------------------------


def test_a_cookie_is_limited_to_its_host_and_hidden_from_scripts() -> None:
    assert set_cookie("session", "a.b.c", secure=True) == (
        "__Host-session=a.b.c; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert set_cookie("signin", "x", secure=False, seconds=600) == (
        "signin=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=600"
    )


def test_a_token_too_large_for_a_browser_is_reported() -> None:
    with pytest.raises(Invalid, match="too large"):
        set_cookie("session", "a" * 4001, secure=True)


def test_a_cookie_is_found_among_others() -> None:
    headers = ["x=1; __Host-sessions=2;session=plain", "a; __Host-session=3=4 ; y=5"]
    assert read_cookie(headers, "session", secure=True) == "3=4"
    assert read_cookie(headers, "session", secure=False) == "plain"
    assert read_cookie([], "session", secure=True) == ""


def test_a_cookie_without_the_prefix_is_ignored_over_https() -> None:
    assert read_cookie(["session=planted-by-a-neighbour"], "session", secure=True) == ""


def test_the_context_of_the_authorizer_is_parsed() -> None:
    ada = Identity(ADA, ("group:a", 'group:"b, c"'), "oidc https://idp sub=1", "ab", 1_900_000_000)
    assert identity.signed_in({**ada.context(), "principalId": ADA}) == ada
    assert all(isinstance(value, str) for value in ada.context().values())


@pytest.mark.parametrize("context", [{}, {"signed_in": "no"}, {"name": ADA, "principalId": ADA}])
def test_without_the_authorizer_context_there_is_no_identity(context: dict[str, str]) -> None:
    assert identity.signed_in(context) is None
