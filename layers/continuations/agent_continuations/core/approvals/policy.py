"""Approval policies, as they are pinned to a call."""

import re
from enum import StrEnum
from typing import Any, Literal, TypeAlias
from unicodedata import normalize

from pydantic import Field, model_validator

from agent_continuations.core.base import FrozenModel

GROUP = "group:"
MAX_MEMBER_GRANT_SECONDS = 24 * 3600
"""The longest grant of somebody who is asked as a member of a group, since memberships end."""
_SESSION = re.compile(r"(arn:[a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/(.*)", re.DOTALL)


class Risk(StrEnum):
    """The risk of a call. LOW accepts a decision by link; HIGH needs an authenticated approver."""

    LOW = "low"
    HIGH = "high"


# The source of a decision. The risk of the call determines which sources are accepted.
DecisionSource: TypeAlias = Literal["api", "link", "session", "slack", "grant", "deadline", "local"]


class Stage(FrozenModel):
    """Approvers who are asked at once, and how many must agree. `group:name` is a group."""

    approvers: tuple[str, ...] = Field(min_length=1)
    needed: int = Field(default=1, ge=1)


class Escalation(FrozenModel):
    """Approvers who are asked instead, once the deadline has passed without a decision.

    Args:
        approvers: e-mail addresses or groups.
        needed: how many of them must agree.
        timeout_seconds: time until the next escalation or, after the last, `on_deadline`.
    """

    approvers: tuple[str, ...] = Field(min_length=1)
    needed: int = Field(default=1, ge=1)
    timeout_seconds: int = Field(ge=1)


class Preview(FrozenModel):
    """A description of a call's effect by the tool's author.

    Args:
        effect: one or two sentences for the approvers.
        reversible: whether the effect can be undone; None if that is unknown.
        risk: HIGH raises the policy's risk for this call.
    """

    effect: str = Field(max_length=2000)
    reversible: bool | None = None
    risk: Risk = Risk.LOW


def upgrade_form_1(value: Any) -> Any:
    """Convert stored form 1, which had approvers only, each of whom could decide alone."""
    if isinstance(value, dict) and "approvers" in value:
        value = dict(value)
        value["stages"] = [{"approvers": value.pop("approvers")}]
    return value


class ApprovalPolicy(FrozenModel):
    """The approval that a call needs, pinned as the policy was when the model asked.

    Attributes:
        stages: asked one after the other.
        timeout_seconds: time from the request to the deadline.
        reminders: seconds after the request, rising, at which pending approvers are reminded.
        escalations: asked one after the other, each once a deadline has passed.
        on_deadline: the effect of the last deadline, which never approves.
        self_approval: whether the requester of the run may decide.
        delegates: allowed delegates, as `name` or `*@domain`; None for the approver's own domain.
        grant_seconds: the longest duration of a grant for calls like this one; 0 for no grants.
        preview: the tool author's description of this call.
    """

    stages: tuple[Stage, ...] = Field(min_length=1)
    timeout_seconds: int
    reminders: tuple[int, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    on_deadline: Literal["reject", "fail"] = "reject"
    risk: Risk = Risk.LOW
    self_approval: bool = False
    delegates: tuple[str, ...] | None = None
    grant_seconds: int = 0
    preview: Preview | None = None

    _form_1 = model_validator(mode="before")(upgrade_form_1)

    @property
    def approvers(self) -> tuple[str, ...]:
        """The approvers of all stages."""
        return tuple(dict.fromkeys(each for stage in self.stages for each in stage.approvers))


def normalized(name: str) -> str:
    """A name in the form in which names are compared: ASCII letters in lower case.

    Other letters stay as they are, because some become ASCII letters (the Kelvin sign, a k).
    """
    return name.lower() if name.isascii() else name


def is_group(name: str) -> bool:
    """Whether a name is that of a group, in any case of letters, and not a person's."""
    return name[: len(GROUP)].lower() == GROUP


def resembles(name: str, other: str) -> bool:
    """Whether two names may be one person's: they are equal but for case, a dot at the end, and
    characters that Unicode calls compatible; or they are sessions of one IAM role; or one is that
    of an IAM user, or a session, that is called as the other.

    Only for refusals. Names that are equal in this way are not equal where somebody may answer.
    """
    return not _aliases(name).isdisjoint(_aliases(other))


def principal_of(arn: str) -> tuple[str, str | None]:
    """The ARN of the IAM role of a session, and the session's name; any other name as it is, and
    None.
    """
    session = _SESSION.fullmatch(arn)
    if session is None:
        return arn, None
    return f"{session[1]}:iam::{session[2]}:role/{session[3]}", session[4]


def _aliases(name: str) -> set[str]:
    """The names that who has this name may also have."""
    principal, _ = principal_of(name)
    called = name.rpartition("/")[2] if name.startswith("arn:") else ""
    return {folded(each) for each in (principal, called) if each}


def folded(name: str) -> str:
    """What names that resemble each other have in common."""
    return normalize("NFKC", normalize("NFKC", name).casefold()).rstrip(".")


# Sources that prove identity. Links and chat do not.
AUTHENTICATED_SOURCES: frozenset[DecisionSource] = frozenset({"api", "session", "local"})
