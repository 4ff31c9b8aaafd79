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
    """

    name: str
    groups: tuple[str, ...]
    authentication: str

    def context(self) -> dict[str, str]:
        """The authorizer context, of text only, which API Gateway passes to the functions."""
        return {
            "signed_in": "yes",
            "name": self.name,
            "groups": json.dumps(self.groups),
            "authentication": self.authentication,
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
        context["name"], tuple(json.loads(context["groups"])), context["authentication"]
    )
