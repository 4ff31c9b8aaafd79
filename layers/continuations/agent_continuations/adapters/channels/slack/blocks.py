"""Messages in Slack, as Block Kit. Every text is `plain_text`, so that text of a model or a person
cannot become a link, a mention or formatting; links are buttons made here.

Limits are those of docs.slack.dev/reference/block-kit.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from agent_continuations.core.approvals.policy import Preview, Risk
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.notice import Notice
from agent_continuations.errors import Invalid
from agent_continuations.safe_text import escape, escape_json, escape_line

Block = dict[str, Any]

MAX_HEADER_CHARACTERS = 150
MAX_SECTION_CHARACTERS = 3000
MAX_ARGUMENT_SECTIONS = 10
OPEN = "open"

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_VERDICT_LABELS = {
    "approval": {Verdict.APPROVE: "Approve", Verdict.REJECT: "Reject"},
    "question": {Verdict.APPROVE: "Answer", Verdict.REJECT: "I cannot answer"},
    "condition": {Verdict.APPROVE: "Go on", Verdict.REJECT: "Stop"},
    "doubt": {Verdict.APPROVE: "It happened", Verdict.REJECT: "It did not happen"},
}
_OUTCOME_LABELS = {
    "approval": {Verdict.APPROVE: "Approved", Verdict.REJECT: "Rejected"},
    "question": {Verdict.APPROVE: "Answered", Verdict.REJECT: "Not answered"},
    "condition": {Verdict.APPROVE: "Let go on", Verdict.REJECT: "Stopped"},
    "doubt": {
        Verdict.APPROVE: "Answered: it happened",
        Verdict.REJECT: "Answered: it did not happen",
    },
}
_DOUBT_LABELS = """\
Its process was lost while it ran, and nobody knows. Please look where it would show. If you answer
"It happened": the tool does not run again; the agent goes on, and is told what you found.
"It did not happen": the tool runs now; if it did happen after all, it happens twice.
Until somebody answers, the run waits and the tool does not run."""


class RequestRef(BaseModel):
    """The value of a button or modal: a request, and the hash of the arguments shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    run_id: str
    request_id: str
    shown_hash: str

    @classmethod
    def of(cls, notice: Notice) -> "RequestRef":
        """The value of the buttons of a notice."""
        return cls(
            kind=notice.kind,
            run_id=notice.run_id,
            request_id=notice.request_id,
            shown_hash=notice.arguments_hash,
        )


class SlackMessage(NamedTuple):
    """Blocks, and their fallback text for notifications and screen readers."""

    blocks: list[Block]
    text: str


def read_asked(value: str) -> RequestRef:
    """The value of a button.

    Raises:
        Invalid: the button is unknown.
    """
    try:
        return RequestRef.model_validate_json(value)
    except ValidationError:
        raise Invalid("unknown button") from None


def private_notice(notice: Notice, link: str, *, own: bool) -> SlackMessage:
    """A notice for one person.

    It has buttons to decide only where everything is shown and the risk is low. Otherwise, and for
    a group, the decision is made on the page.

    Args:
        notice: the notice.
        link: to the page.
        own: whether the link is personal, and decides without signing in.
    """
    arguments = list(islice(_sections(escape_json(notice.arguments)), MAX_ARGUMENT_SECTIONS + 1))
    complete = len(arguments) <= MAX_ARGUMENT_SECTIONS and "…" not in notice.arguments
    decidable = own and complete and notice.risk is Risk.LOW and notice.kind != "question"
    buttons = _decisions(notice) if decidable else []
    opening = "Open request" if own else "Sign in to decide"
    blocks = [
        _header(_title(notice)),
        section(_question(notice)),
        *([section(_effect(notice.preview))] if notice.preview else []),
        *arguments[:MAX_ARGUMENT_SECTIONS],
        *([] if complete else [section("… truncated; the page shows everything.")]),
        section(f"{_facts(notice)}\nGoal: {escape_line(notice.goal)}"),
        {"type": "actions", "elements": [*buttons, _link(opening, link)]},
    ]
    if own:
        blocks.append(
            _small(
                "This link is personal: anyone with it can decide as you."
                " Opening it decides nothing."
            )
        )
    return SlackMessage(blocks, plain(_title(notice), MAX_HEADER_CHARACTERS))


def public_notice(notice: Notice, page: str) -> SlackMessage:
    """A notice for a channel, which others can read: ids, and a link that requires signing in."""
    ids = f"Run: {notice.run_id}\nRequest: {notice.request_id}"
    blocks = [
        _header(_title(notice)),
        section(_question(notice)),
        section(f"{_facts(notice)}\n{ids}"),
        {"type": "actions", "elements": [_link("Sign in to decide", page)]},
    ]
    return SlackMessage(blocks, plain(_title(notice), MAX_HEADER_CHARACTERS))


def settled(
    asked: RequestRef, tool: str, arguments: Mapping[str, Any], decision: Mapping[str, Any]
) -> SlackMessage:
    """The message that replaces a notice after a decision.

    Args:
        asked: the request.
        tool: its tool.
        arguments: the arguments shown.
        decision: as of `decision_result_view`.
    """
    verdict = Verdict(decision["decision"])
    outcome = _OUTCOME_LABELS[asked.kind][verdict]
    line = f"{outcome} by {decision['approver']}, {decision['decided_at']}."
    if decision.get("reason"):
        line += f"\n{escape_line(decision['reason'])}"
    if decision.get("open"):
        line += "\nWaiting for the other approvers."
    edited = decision.get("arguments")
    blocks = [
        _header(f"{tool}: {outcome}" if asked.kind == "doubt" else f"{outcome}: {tool}"),
        *islice(_sections(escape_json(arguments)), MAX_ARGUMENT_SECTIONS),
        *([section("With edited arguments:")] if edited else []),
        *islice(_sections(escape_json(edited) if edited else ""), MAX_ARGUMENT_SECTIONS),
        section(line),
    ]
    return SlackMessage(blocks, plain(f"{outcome}: {tool}", MAX_HEADER_CHARACTERS))


def message(text: str) -> SlackMessage:
    """A message of one text."""
    return SlackMessage([section(text)], plain(text, MAX_SECTION_CHARACTERS))


def verdict_label(kind: str, verdict: Verdict) -> str:
    """The label of a button that decides."""
    return _VERDICT_LABELS[kind][verdict]


def plain(text: str, limit: int) -> str:
    """Text without invisible characters or markup, cut to a number of characters.

    `&`, `<` and `>` are escaped even in plain text, because Slack's clients decode entities there.
    """
    kept: list[str] = []
    size = 0
    for each in escape(text):
        size += len(escaped := _ESCAPES.get(each, each))
        if size > limit - 1:
            return "".join(kept) + "…"
        kept.append(escaped)
    return "".join(kept) if text.strip() else "(blank)"


def _sections(text: str) -> Iterator[Block]:
    """A long text, split into sections."""
    part, size = "", 0
    for each in text:
        width = len(_ESCAPES.get(each, each))
        if size + width > MAX_SECTION_CHARACTERS - 1:
            yield section(part)
            part, size = "", 0
        part, size = part + each, size + width
    if part.strip():
        yield section(part)


def _title(notice: Notice) -> str:
    if notice.kind == "doubt":
        return f"Did {notice.tool} happen?"
    high = " (high risk)" if notice.risk is Risk.HIGH else ""
    what = {"question": "answer", "condition": "go-ahead"}.get(notice.kind, "approval")
    again = f"Reminder: {what}" if notice.occasion == "reminder" else what.capitalize()
    return f"{again} needed{high}: {notice.tool}"


def _question(notice: Notice) -> str:
    if notice.kind == "doubt":
        return f"Did {notice.tool} happen? {_DOUBT_LABELS}"
    agent = escape_line(notice.agents[-1])
    if notice.kind == "question":
        return f"{agent} asks you:"
    if notice.kind == "condition":
        return f"Should {agent} continue?"
    return f"{agent} asks to call {notice.tool}."


def _effect(preview: Preview) -> str:
    """The preview of the call, by the author of the tool."""
    reversible = {True: "Reversible", False: "Cannot be undone", None: ""}
    return f"{escape_line(preview.effect)}\n{reversible[preview.reversible]}"


def _facts(notice: Notice) -> str:
    agents, approvers = (map(escape_line, each) for each in (notice.agents, notice.approvers))
    lines = [f"Requested by: {' > '.join(agents)}", f"Approvers: {', '.join(approvers)}"]
    if notice.expires_at:
        until = notice.expires_at.strftime("%Y-%m-%d %H:%M UTC")
        lines.append(f"Deadline: {until}; if nobody answers, {_if_unanswered(notice)}.")
    return "\n".join([*lines, f"Hash: {notice.arguments_hash[:12]}"])


def _if_unanswered(notice: Notice) -> str:
    outcomes = {
        "question": "the agent continues without an answer",
        "condition": "the agent stops",
    }
    return outcomes.get(notice.kind, "it is not approved")


def _decisions(notice: Notice) -> Sequence[Block]:
    value = RequestRef.of(notice).model_dump_json()
    styles = {Verdict.APPROVE: "primary", Verdict.REJECT: "danger"}
    return [
        {
            "type": "button",
            "action_id": verdict.value,
            "text": plain_text(verdict_label(notice.kind, verdict), 75),
            "value": value,
            "style": style,
        }
        for verdict, style in styles.items()
    ]


def _link(label: str, url: str) -> Block:
    return {"type": "button", "action_id": OPEN, "text": plain_text(label, 75), "url": url}


def _header(text: str) -> Block:
    return {"type": "header", "text": plain_text(text, MAX_HEADER_CHARACTERS)}


def section(text: str) -> Block:
    """A section of plain text."""
    return {"type": "section", "text": plain_text(text, MAX_SECTION_CHARACTERS)}


def _small(text: str) -> Block:
    return {"type": "context", "elements": [plain_text(text, MAX_SECTION_CHARACTERS)]}


def plain_text(text: str, limit: int) -> dict[str, Any]:
    """A `plain_text` object, cut to a number of characters."""
    return {"type": "plain_text", "text": plain(text, limit), "emoji": False}
