"""Callers of the API: who they are, and what they may do beside what everybody may.

IAM says which role or user calls. A role's ARN is the caller; the name of its session is not, since
whoever assumes a role chooses that name, unless the role's trust policy demands another.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from pydantic import Field, TypeAdapter, ValidationError

from agent_continuations.core.approvals.policy import normalized, principal_of
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.voting import is_address
from agent_continuations.errors import Fatal

NO_CALLER = "unknown caller"
SESSION = "{session}"
_PATTERN = re.compile(r"arn:[a-z-]+:iam::\d{12}:(?:role|user)/[\w+=,.@/-]*\*?", re.ASCII)
_PATH = re.compile(r"(arn:[a-z-]+:iam::\d{12}:role)/(?:[^/*]+/)*", re.ASCII)


class CallerEntry(FrozenModel):
    """What a deployment says of a caller, or of several.

    Attributes:
        arn: the ARN of an IAM role or user; a `*` at its end stands for any further characters.
        person: the mail address of the person who calls. `{session}` in it stands for the name of
            the role's session; use it only where the trust policy pins that name to the person, as
            IAM Identity Center does. None for a program.
        names_requesters: whether it may say for whom it starts a run or sends a message.
        decides_for_others: whether it may decide for any approver. It must know who they are.
        operator: whether it may read and control every run.
        signals: whether it may send events to every run.
        agents: the agents that it may start; None for all.
    """

    arn: str
    person: str | None = Field(default=None, max_length=254)
    names_requesters: bool = False
    decides_for_others: bool = False
    operator: bool = False
    signals: bool = False
    agents: tuple[str, ...] | None = None

    @property
    def pattern(self) -> str:
        """The ARN without the path of a role, which the ARN of a session does not have."""
        return _PATH.sub(r"\1/", self.arn)

    def matches(self, principal: str) -> bool:
        """Whether this is said of the role or user."""
        pattern = self.pattern
        if pattern.endswith("*"):
            return principal.startswith(pattern[:-1])
        return principal == pattern


_ENTRIES = TypeAdapter(list[CallerEntry])


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller of the API.

    Attributes:
        arn: as API Gateway names it, with the session of a role.
        principal: the ARN of the role or user, without path and session of a role.
        entry: what the deployment says of it; None if it says nothing.
        person: the person who calls, if the deployment says so.
    """

    arn: str
    principal: str
    entry: CallerEntry | None = None
    person: str | None = None

    @property
    def name(self) -> str:
        """The name under which it may be an approver, and owns the runs that it starts."""
        return self.person or self.principal

    @property
    def requester(self) -> str:
        """The name under which it counts as requester: the person, or the ARN with the name of the
        session, which may be that of an approver.
        """
        return self.person or self.arn


class Callers:
    """The callers that a deployment knows.

    Args:
        entries: of several that match, the longest counts.
    """

    def __init__(self, entries: Iterable[CallerEntry] = ()) -> None:
        self._entries = sorted(
            entries, key=lambda each: len(each.pattern.rstrip("*")), reverse=True
        )

    @classmethod
    def read(cls, lists: Iterable[tuple[str, str]]) -> Self:
        """Parses lists of entries.

        Args:
            lists: the name and the JSON of each.

        Raises:
            Fatal: one cannot be read. No entry is left out, since it may say who may not approve.
        """
        entries: list[CallerEntry] = []
        for name, text in lists:
            try:
                found = _ENTRIES.validate_json(text)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(map(str, first["loc"]))
                at = f" at {where}" if where else ""
                raise Fatal(f"the callers in {name} cannot be read: {first['msg']}{at}") from None
            for each in found:
                _check(name, each)
            entries += found
        return cls(entries)

    def find(self, arn: str) -> Caller:
        """The caller of an ARN as API Gateway gives it."""
        principal, session = principal_of(arn)
        entry = next((each for each in self._entries if each.matches(principal)), None)
        person = _person(entry, session) if entry else None
        if entry and entry.person and not person:
            entry = None  # it says who calls, and this session is nobody's
        return Caller(arn=arn, principal=principal, entry=entry, person=person)

    def knows(self, name: str) -> bool:
        """Whether it is known who a name is: a person's, or that of a known caller."""
        return is_address(name) or self.find(name).entry is not None


def _check(name: str, entry: CallerEntry) -> None:
    if not _PATTERN.fullmatch(entry.arn):
        raise Fatal(f"the callers in {name}: {entry.arn} is no ARN of an IAM role or user")
    if entry.arn.endswith("*") and entry.pattern != entry.arn:
        # Without the path, which no caller shows, it would match roles of other paths, too.
        raise Fatal(f"the callers in {name}: {entry.arn} has a path and a *; name roles without it")
    if entry.person is not None and not any(
        is_address(entry.person.replace(SESSION, each)) for each in ("a", "a@example.com")
    ):
        raise Fatal(f"the callers in {name}: {entry.person} is no mail address")


def _person(entry: CallerEntry, session: str | None) -> str | None:
    if entry.person is None or (SESSION in entry.person and session is None):
        return None
    person = entry.person.replace(SESSION, session or "")
    return normalized(person) if is_address(person) else None
