"""Cookies."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from agent_continuations.errors import Invalid

if TYPE_CHECKING:
    pass

SESSION, SIGN_IN = "session", "signin"


# A browser drops a cookie whose name and value are longer together than 4096 bytes
# (draft-ietf-httpbis-rfc6265bis, 5.6).
MAX_COOKIE_CHARACTERS = 4000


def set_cookie(name: str, value: str, *, secure: bool, seconds: int | None = None) -> str:
    """A Set-Cookie header's value. Without `seconds` it lasts until the browser is closed.

    `Lax` sends it along when a link in a mail is followed, and with no form of another site.

    Raises:
        Invalid: no browser would keep it.
    """
    if len(value) > MAX_COOKIE_CHARACTERS:
        detail = f"over {MAX_COOKIE_CHARACTERS} characters: send fewer groups"
        raise Invalid("the ID token is too large for a cookie", [("id_token", detail)])
    lasts = "" if seconds is None else f"; Max-Age={seconds}"
    encrypted = "; Secure" if secure else ""
    return f"{_named(name, secure)}={value}; Path=/; HttpOnly; SameSite=Lax{encrypted}{lasts}"


def read_cookie(headers: Iterable[str], name: str, *, secure: bool) -> str:
    """A cookie's value, or nothing. `headers` are the values of all Cookie headers."""
    for header in headers:
        for each in header.split(";"):
            found, _, value = each.strip().partition("=")
            if found == _named(name, secure):
                return value
    return ""


def _named(name: str, secure: bool) -> str:
    """With the prefix a browser takes it only from this very host, over https (RFC 6265bis, 4.1.3).

    Without it, any other host of the same domain could put its own in the place of ours.
    """
    return f"__Host-{name}" if secure else name
