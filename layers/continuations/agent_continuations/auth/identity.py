"""Identity."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom the identity provider vouches for.

    Attributes:
        name: the e-mail address, in lower case.
        groups: each as `group:<name>`, which no address can look like.
        authentication: how the person was authenticated, for the record; it holds no secret.
    """

    name: str
    groups: tuple[str, ...]
    authentication: str

    def context(self) -> dict[str, str]:
        """What the authorizer tells the functions behind it; API Gateway passes only text on."""
        return {
            "signed_in": "yes",
            "name": self.name,
            "groups": json.dumps(self.groups),
            "authentication": self.authentication,
        }


def signed_in(context: Mapping[str, Any]) -> Identity | None:
    """The person whom the authorizer saw.

    Args:
        context: `requestContext.authorizer` of the event. Only API Gateway can write it, so it is
            believed; on a route without the authorizer it is missing or empty.
    """
    if context.get("signed_in") != "yes":
        return None
    return Identity(
        context["name"], tuple(json.loads(context["groups"])), context["authentication"]
    )
