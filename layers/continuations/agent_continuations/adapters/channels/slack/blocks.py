"""What Slack shows, as Block Kit. Every text is `plain_text`, so that nothing that a model or a
person wrote becomes a link, a mention or a format; links are buttons that stand here.

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
    """What a button or a dialog is about: a request, and the hash of what was shown with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    run_id: str
    request_id: str
    shown_hash: str

    @classmethod
    def of(cls, notice: Notice) -> "RequestRef":
        """What the buttons under a notice are about."""
        return cls(
            kind=notice.kind,
            run_id=notice.run_id,
            request_id=notice.request_id,
            shown_hash=notice.arguments_hash,
        )


class SlackMessage(NamedTuple):
    """Blocks, and the words for where there are none: a notification, a screen reader."""

    blocks: list[Block]
    text: str


def read_asked(value: str) -> RequestRef:
    """What a button carries.

    Raises:
        Invalid: it is none of ours.
    """
    try:
        return RequestRef.model_validate_json(value)
    except ValidationError:
        raise Invalid("unknown button") from None


def private_notice(notice: Notice, link: str, *, own: bool) -> SlackMessage:
    """A notice for one person's eyes.

    It can be answered here only where all of it is seen here: not where the arguments are too
    long, nor where the risk is high. Then, and for a group, the page is the place.

    Args:
        link: the page.
        own: the link is the person's own, and decides without signing in.
    """
    arguments = list(islice(_sections(escape_json(notice.arguments)), MAX_ARGUMENT_SECTIONS + 1))
    whole = len(arguments) <= MAX_ARGUMENT_SECTIONS and "…" not in notice.arguments
    here = own and whole and notice.risk is Risk.LOW and notice.kind != "question"
    buttons = _decisions(notice) if here else []
    opening = "Open request" if own else "Sign in to decide"
    blocks = [
        _header(_title(notice)),
        section(_question(notice)),
        *([section(_effect(notice.preview))] if notice.preview else []),
        *arguments[:MAX_ARGUMENT_SECTIONS],
        *([] if whole else [section("… truncated; the page shows everything.")]),
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
    """A notice for a channel, where others read: ids, and where to sign in."""
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
    """What takes a notice's place once a decision stands.

    Args:
        decision: as `views.settled_view` gives it.
    """
    verdict = Verdict(decision["decision"])
    stands = _OUTCOME_LABELS[asked.kind][verdict]
    line = f"{stands} by {decision['approver']}, {decision['decided_at']}."
    if decision.get("reason"):
        line += f"\n{escape_line(decision['reason'])}"
    if decision.get("open"):
        line += "\nWaiting for the other approvers."
    edited = decision.get("arguments")
    blocks = [
        _header(f"{tool}: {stands}" if asked.kind == "doubt" else f"{stands}: {tool}"),
        *islice(_sections(escape_json(arguments)), MAX_ARGUMENT_SECTIONS),
        *([section("With edited arguments:")] if edited else []),
        *islice(_sections(escape_json(edited) if edited else ""), MAX_ARGUMENT_SECTIONS),
        section(line),
    ]
    return SlackMessage(blocks, plain(f"{stands}: {tool}", MAX_HEADER_CHARACTERS))


def message(words: str) -> SlackMessage:
    """A sentence."""
    return SlackMessage([section(words)], plain(words, MAX_SECTION_CHARACTERS))


def verdict_label(kind: str, verdict: Verdict) -> str:
    """The label of a button that decides."""
    return _VERDICT_LABELS[kind][verdict]


def plain(text: str, limit: int) -> str:
    """Text in which nothing hides and nothing is markup, cut to a number of characters.

    `&`, `<` and `>` are escaped in plain text, too: Slack's clients decode entities there, and
    `&lt;` must look like what it is.
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
    """A long text as so many sections as it needs."""
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
    """The tool's author on what the call would do."""
    taken_back = {True: "Reversible", False: "Cannot be undone", None: ""}
    return f"{escape_line(preview.effect)}\n{taken_back[preview.reversible]}"


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


def _link(words: str, url: str) -> Block:
    return {"type": "button", "action_id": OPEN, "text": plain_text(words, 75), "url": url}


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
