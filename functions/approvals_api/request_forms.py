"""The forms on the page of a request: edited arguments, an answer, a standing approval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.policy import MAX_MEMBER_GRANT_SECONDS
from agent_continuations.core.voting import approver_name
from agent_continuations.errors import Conflict
from agent_continuations.html.forms.form import FaultPlacement, fields
from agent_continuations.html.forms.form import attach_faults as placed
from agent_continuations.safe_text import escape, escape_json
from approvals_api.access import RequestAccess
from approvals_api.form_parsing import ARGUMENTS, form_of, grantable

HOUR_SECONDS = 3600
_HOURS = (1, 4, 8, 24, 72, 168)
MAX_EXCERPT_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class GrantForm:
    """The form of a standing approval.

    Attributes:
        arguments: of each its name, its value, and whether it is an amount that can have a limit.
        hours: how long the approval can last.
    """

    arguments: tuple[tuple[str, str, bool], ...]
    hours: tuple[int, ...]


def edit_form(
    visit: RequestAccess,
    registry: Callable[[], Registry],
    posted: Mapping[str, str] | None,
    faults: Sequence[tuple[str, str]],
) -> FaultPlacement | None:
    """The form to edit the arguments; None where the tool no longer exists to check them."""
    try:
        schema, standing = form_of(visit, registry)
    except Conflict:
        return None
    drawn = fields(schema, standing, prefix=ARGUMENTS, posted=posted)
    return placed(drawn, [(_field_name(name), fault) for name, fault in faults])


def _field_name(name: str) -> str:
    return name.removeprefix(f"{ARGUMENTS}.").removeprefix("answer.")


def grant_form(visit: RequestAccess) -> GrantForm | None:
    """The form of a standing approval; None where the policy allows none."""
    policy, asked = visit.request.call.gate, visit.request.asked.arguments
    seconds = policy.grant_seconds if policy else 0
    if approver_name(visit.request.approvers, visit.approver, ()) is None:
        seconds = min(seconds, MAX_MEMBER_GRANT_SECONDS)  # asked as a member of a group
    longest = seconds // HOUR_SECONDS
    if not longest:
        return None
    return GrantForm(
        arguments=tuple(
            (
                escape(name),
                escape_json(asked[name])[:MAX_EXCERPT_CHARACTERS],
                _is_amount(asked[name]),
            )
            for name in grantable(visit)
        ),
        hours=(*(each for each in _HOURS if each < longest), longest),
    )


def _is_amount(value: object) -> bool:
    return type(value) in (int, float) and bool(value >= 0)  # type: ignore[operator]
