"""Routes of notices: from the approvers of a policy to addresses on channels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from agent_continuations.core.approvals.policy import is_group
from agent_continuations.errors import Fatal

# An address has no white space: a recipient's text separates address and approver by " for ".
_Route = Annotated[str, StringConstraints(pattern=r"^((email|slack|topic):|webhook:https://)\S+$")]
_ROUTES = TypeAdapter(dict[str, Annotated[list[_Route], Field(min_length=1)]])


class Recipient(NamedTuple):
    """An address on a channel, and the approver to whom it belongs.

    Its text is `channel:address`, followed by ` for approver` if the names differ. Notices store
    the text to tell which recipients were reached; no recipient is ever made of it.
    """

    channel: str
    address: str
    approver: str

    def __str__(self) -> str:
        suffix = "" if self.approver == self.address else f" for {self.approver}"
        return f"{self.channel}:{self.address}{suffix}"

    @classmethod
    def parse(cls, route: str, approver: str | None = None) -> "Recipient":
        """The recipient of a route, `channel:address`.

        Args:
            route: the route.
            approver: the approver whose route it is; None for a machine's.
        """
        channel, _, address = route.partition(":")
        return cls(channel, address, address if approver is None else approver)


class NotificationRoutes:
    """Maps approvers to recipients.

    Args:
        routes: addresses as `channel:address` by the approver's name; see `read_routes`.
        machines: addresses as `channel:address` that receive every notice.
    """

    def __init__(self, routes: Mapping[str, Sequence[str]], machines: Sequence[str] = ()) -> None:
        self._routes = routes
        self._machines = machines

    def __call__(self, approvers: Sequence[str]) -> list[Recipient]:
        """Returns the recipients: approvers by route or by e-mail, inboxes, machines.

        A name without a route and without an `@`, such as an IAM ARN, has no recipient.
        """
        routed = [each for approver in approvers for each in self._routed_recipients(approver)]
        inboxes = [Recipient("inbox", each, each) for each in approvers if _can_sign_in(each)]
        machines = map(Recipient.parse, self._machines)
        return list(dict.fromkeys([*routed, *inboxes, *machines]))

    def _routed_recipients(self, approver: str) -> Iterator[Recipient]:
        if approver in self._routes:
            for route in self._routes[approver]:
                yield Recipient.parse(route, approver)
        elif "@" in approver:
            yield Recipient("email", approver, approver)


def read_routes(text: str) -> dict[str, list[str]]:
    """Parses routes: `{"cfo@example.com": ["slack:cfo@example.com", "email:cfo@example.com"]}`.

    Raises:
        Fatal: the JSON is invalid. Ignoring an invalid route would leave approvers unnotified.
    """
    try:
        return _ROUTES.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        at = " at " + ".".join(map(str, first["loc"])) if first["loc"] else ""
        raise Fatal(f"the recipients cannot be read: {first['msg']}{at}") from None


def _can_sign_in(approver: str) -> bool:
    """Whether people can sign in with this name: by an e-mail address, or as group members."""
    return "@" in approver or is_group(approver)


def is_program(approver: str) -> bool:
    """Whether a name is that of a program, an IAM role, which has no address."""
    return approver.startswith("arn:")
