"""The identity of a signed-in person, as the authorizer passes it to the functions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """A person, authenticated by the identity provider.

    Attributes:
        name: the e-mail address, in lower case.
        groups: each as `group:<name>`, which is never an e-mail address.
        authentication: how the person was authenticated, for the audit trail; no secret.
        session: the digest of the token, by which a session is known; no secret.
        expires_at: when the token expires, in seconds since 1970.
    """

    name: str
    groups: tuple[str, ...]
    authentication: str
    session: str
    expires_at: int

    def context(self) -> dict[str, str]:
        """The authorizer context, of text only, which API Gateway passes to the functions."""
        return {
            "signed_in": "yes",
            "name": self.name,
            "groups": json.dumps(self.groups),
            "authentication": self.authentication,
            "session": self.session,
            "expires_at": str(self.expires_at),
        }


def signed_in(context: Mapping[str, Any]) -> Identity | None:
    """The identity that the authorizer verified; None without one.

    Args:
        context: `requestContext.authorizer` of the event. Only API Gateway can write it, so it is
            trusted; on a route without the authorizer it is missing or empty.
    """
    if context.get("signed_in") != "yes":
        return None
    return Identity(
        context["name"],
        tuple(json.loads(context["groups"])),
        context["authentication"],
        context.get("session", ""),  # an authorizer of an earlier version does not give these
        int(context.get("expires_at", 0)),
    )
