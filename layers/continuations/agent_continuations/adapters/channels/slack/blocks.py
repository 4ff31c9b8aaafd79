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
from agent_continuations.core.awaiting import RequestKind
from agent_continuations.core.notice import Notice
from agent_continuations.errors import Invalid
from agent_continuations.safe_text import escape, escape_json, escape_line
from agent_continuations.views.labels import REQUESTS, subject

Block = dict[str, Any]

MAX_HEADER_CHARACTERS = 150
MAX_SECTION_CHARACTERS = 3000
MAX_ARGUMENT_SECTIONS = 10
OPEN = "open"

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class RequestRef(BaseModel):
    """What a button or a dialog is about: a request, and the hash of what was shown with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: RequestKind
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
    stands = REQUESTS[asked.kind].results[verdict]
    line = f"{stands} by {decision['approver']}, {decision['decided_at']}."
    if decision.get("reason"):
        line += f"\n{escape_line(decision['reason'])}"
    if decision.get("open"):
        line += "\nWaiting for the other approvers."
    edited = decision.get("arguments")
    blocks = [
        _header(f"{tool}: {stands}"),
        *islice(_sections(escape_json(arguments)), MAX_ARGUMENT_SECTIONS),
        *([section("With edited arguments:")] if edited else []),
        *islice(_sections(escape_json(edited) if edited else ""), MAX_ARGUMENT_SECTIONS),
        section(line),
    ]
    return SlackMessage(blocks, plain(f"{tool}: {stands}", MAX_HEADER_CHARACTERS))


def message(words: str) -> SlackMessage:
    """A sentence."""
    return SlackMessage([section(words)], plain(words, MAX_SECTION_CHARACTERS))


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
    high, reminder = notice.risk is Risk.HIGH, notice.occasion == "reminder"
    return subject(notice.kind, notice.tool, high_risk=high, reminder=reminder)


def _question(notice: Notice) -> str:
    label = REQUESTS[notice.kind]
    lines = [label.heading.format(agent=escape_line(notice.agents[-1]), tool=notice.tool)]
    lines += [label.background] if label.background else []
    lines += [f'"{label.verdicts[each]}": {then}' for each, then in label.consequences.items()]
    return "\n".join(lines)


def _effect(preview: Preview) -> str:
    """The tool's author on what the call would do."""
    taken_back = {True: "Reversible", False: "Cannot be undone", None: ""}
    return f"{escape_line(preview.effect)}\n{taken_back[preview.reversible]}"


def _facts(notice: Notice) -> str:
    agents, approvers = (map(escape_line, each) for each in (notice.agents, notice.approvers))
    lines = [f"Requested by: {' > '.join(agents)}", f"Approvers: {', '.join(approvers)}"]
    if notice.expires_at:
        until = notice.expires_at.strftime("%Y-%m-%d %H:%M UTC")
        lines.append(f"Until: {until}; if nobody answers, {REQUESTS[notice.kind].unanswered}.")
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
            "text": plain_text(REQUESTS[notice.kind].verdicts[verdict], 75),
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
