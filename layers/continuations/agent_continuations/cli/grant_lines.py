"""Lines of standing approvals."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import Field
from rich.text import Text

from agent_continuations.cli.models import ApiModel
from agent_continuations.cli.rendering import format_time, join_parts, line_text


class ArgumentRule(ApiModel):
    """Values that an argument may have: `is` this one, a number `up_to` it, or `any`."""

    rule: str
    value: Any = None


class Grant(ApiModel):
    """Standing approval; `lives` while it can still be used."""

    grant_id: str
    approver: str
    member_of: str | None = None
    agent: str
    tool: str
    conditions: dict[str, ArgumentRule] = Field(default={})
    expires_at: str
    max_uses: int | None = None
    uses: int = 0
    revoked_at: str | None = None
    revoked_by: str | None = None
    lives: bool = True


class GrantPage(ApiModel):
    """List of standing approvals."""

    items: tuple[Grant, ...]


def grant_lines(grants: Iterable[Grant]) -> Iterator[Text]:
    """Formats standing approvals, one a line: the approver, the covered calls, the state."""
    for each in grants:
        member = f"(for {each.member_of})" if each.member_of else ""
        rules = ", ".join(_rule_text(name, rule) for name, rule in each.conditions.items())
        call = Text.assemble(line_text(each.tool, "bold"), "(", line_text(rules), ")")
        yield join_parts(
            line_text(each.grant_id, "dim"),
            line_text(each.approver),
            line_text(member),
            "approves",
            call,
            line_text(f"by agent {each.agent};"),
            _state_text(each),
        )


def _rule_text(name: str, rule: ArgumentRule) -> str:
    value = json.dumps(rule.value, ensure_ascii=False)
    match rule.rule:
        case "is":
            return f"{name}={value}"
        case "up_to":
            return f"{name} up to {value}"
        case "any":
            return f"any {name}"
        case other:
            return f"{name} {other} {value}"


def _state_text(grant: Grant) -> Text:
    most = f" of {grant.max_uses}" if grant.max_uses else ""
    used = f"uses: {grant.uses}{most}"
    if grant.revoked_at:
        by = f" by {grant.revoked_by}" if grant.revoked_by else ""
        return line_text(f"revoked {format_time(grant.revoked_at)}{by}; {used}", "dim")
    if grant.lives:
        return line_text(f"until {format_time(grant.expires_at)}; {used}", "green")
    return line_text(f"ended; valid until {format_time(grant.expires_at)}; {used}", "dim")
