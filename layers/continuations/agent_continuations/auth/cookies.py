"""Cookies of the session and of a sign-in."""

from collections.abc import Iterable

from agent_continuations.errors import Invalid

SESSION, SIGN_IN = "session", "signin"
# A browser drops a cookie whose name and value are longer together than 4096 bytes
# (draft-ietf-httpbis-rfc6265bis, 5.6).
MAX_COOKIE_CHARACTERS = 4000


def set_cookie(name: str, value: str, *, secure: bool, seconds: int | None = None) -> str:
    """The value of a Set-Cookie header. Without `seconds` it lasts until the browser is closed.

    `Lax` sends the cookie when a link in a mail is followed, but not with a form of another site.

    Raises:
        Invalid: the value is too long for a cookie.
    """
    if len(value) > MAX_COOKIE_CHARACTERS:
        detail = f"over {MAX_COOKIE_CHARACTERS} characters: send fewer groups"
        raise Invalid("the ID token is too large for a cookie", [("id_token", detail)])
    lasts = "" if seconds is None else f"; Max-Age={seconds}"
    encrypted = "; Secure" if secure else ""
    return f"{_named(name, secure)}={value}; Path=/; HttpOnly; SameSite=Lax{encrypted}{lasts}"


def read_cookie(headers: Iterable[str], name: str, *, secure: bool) -> str:
    """The value of a cookie; empty where there is none.

    Args:
        headers: the values of all Cookie headers.
        name: of the cookie.
        secure: whether the API is served over https.
    """
    for header in headers:
        for each in header.split(";"):
            found, _, value = each.strip().partition("=")
            if found == _named(name, secure):
                return value
    return ""


def _named(name: str, secure: bool) -> str:
    """The prefixed name, which a browser accepts only from this host over https (6265bis, 4.1.3).

    Without the prefix, another host of the same domain could overwrite the cookie.
    """
    return f"__Host-{name}" if secure else name
