"""Whom a notice goes to: from the approvers that a policy names to addresses on channels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from agent_continuations.core.approvals.policy import GROUP
from agent_continuations.errors import Fatal

_APPROVER_SEPARATOR = " for "
# A white space would end the address where the approver is read from the stored text.
_Route = Annotated[str, StringConstraints(pattern=r"^((email|slack|topic):|webhook:https://)\S+$")]
_ROUTES = TypeAdapter(dict[str, Annotated[list[_Route], Field(min_length=1)]])


class Recipient(NamedTuple):
    """One address on one channel, and the approver whom it stands for.

    It is stored as `channel:address`, followed by ` for approver` where that is another name.
    """

    channel: str
    address: str
    approver: str

    def __str__(self) -> str:
        other = "" if self.approver == self.address else f"{_APPROVER_SEPARATOR}{self.approver}"
        return f"{self.channel}:{self.address}{other}"

    @classmethod
    def parse(cls, text: str, approvers: Sequence[str]) -> "Recipient":
        """A recipient from what is stored of it, for a request of these approvers."""
        channel, _, rest = text.partition(":")
        address, found, approver = rest.partition(_APPROVER_SEPARATOR)
        if rest in approvers or not found:
            return cls(channel, rest, rest)
        return cls(channel, address, approver)


class NotificationRoutes:
    """From approvers to recipients.

    Args:
        routes: from an approver's name to `channel:address`es; see `read_routes`.
        machines: `channel:address`es that hear of every notice.
    """

    def __init__(self, routes: Mapping[str, Sequence[str]], machines: Sequence[str] = ()) -> None:
        self._routes = routes
        self._machines = machines

    def __call__(self, approvers: Sequence[str]) -> list[str]:
        """The recipients as they are stored: approvers by their routes, or by mail, then machines.

        A name without a route and without an `@`, such as an IAM ARN, is told nothing.
        """
        found = [str(each) for approver in approvers for each in self._routed_recipients(approver)]
        found += [f"inbox:{approver}" for approver in approvers if _can_sign_in(approver)]
        return list(dict.fromkeys([*found, *self._machines]))

    def _routed_recipients(self, approver: str) -> Iterator[Recipient]:
        if approver in self._routes:
            for route in self._routes[approver]:
                channel, _, address = route.partition(":")
                yield Recipient(channel, address, approver)
        elif "@" in approver:
            yield Recipient("email", approver, approver)


def read_routes(text: str) -> dict[str, list[str]]:
    """Routes from JSON: `{"cfo@example.com": ["slack:cfo@example.com", "email:cfo@example.com"]}`.

    Raises:
        Fatal: it is not such JSON. Nobody may be left untold because of a slip in it.
    """
    try:
        return _ROUTES.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        at = " at " + ".".join(map(str, first["loc"])) if first["loc"] else ""
        raise Fatal(f"the recipients cannot be read: {first['msg']}{at}") from None


def _can_sign_in(approver: str) -> bool:
    """Whether somebody can sign in under this name: by a mail address, or as one of a group."""
    return "@" in approver or is_group(approver)


def is_group(approver: str) -> bool:
    """Whether a name stands for several people, so that no link can be made that is one's own."""
    return approver.startswith(GROUP)
