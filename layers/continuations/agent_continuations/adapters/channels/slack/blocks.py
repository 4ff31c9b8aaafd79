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
from agent_continuations.core.awaiting import RequestKind
from agent_continuations.core.notice import Notice
from agent_continuations.errors import Invalid
from agent_continuations.look_alikes import look_alike_lines
from agent_continuations.safe_text import escape, escape_json, escape_line
from agent_continuations.views.labels import REQUESTS, subject

Block = dict[str, Any]

MAX_HEADER_CHARACTERS = 150
MAX_SECTION_CHARACTERS = 3000
MAX_ARGUMENT_SECTIONS = 10
OPEN = "open"

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class RequestRef(BaseModel):
    """The value of a button or modal: a request, and the hash of the arguments shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: RequestKind
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


def read_request_ref(value: str) -> RequestRef:
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
        *_look_alikes(notice),
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


def _look_alikes(notice: Notice) -> list[Block]:
    """A section about characters that may be taken for others, if there are any."""
    effect = notice.preview.effect if notice.preview else ""
    lines = look_alike_lines(notice.arguments, effect)
    text = "\n".join(["Characters that may be taken for others:", *lines])
    return [section(text)] if lines else []


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


def decided_message(
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
    result = REQUESTS[asked.kind].results[verdict]
    line = f"{result} by {decision['approver']}, {decision['decided_at']}."
    if decision.get("reason"):
        line += f"\n{escape_line(decision['reason'])}"
    if decision.get("open"):
        line += "\nWaiting for the other approvers."
    edited = decision.get("arguments")
    blocks = [
        _header(f"{tool}: {result}"),
        *islice(_sections(escape_json(arguments)), MAX_ARGUMENT_SECTIONS),
        *([section("With edited arguments:")] if edited else []),
        *islice(_sections(escape_json(edited) if edited else ""), MAX_ARGUMENT_SECTIONS),
        section(line),
    ]
    return SlackMessage(blocks, plain(f"{tool}: {result}", MAX_HEADER_CHARACTERS))


def message(text: str) -> SlackMessage:
    """A message of one text."""
    return SlackMessage([section(text)], plain(text, MAX_SECTION_CHARACTERS))


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
    high, reminder = notice.risk is Risk.HIGH, notice.occasion == "reminder"
    return subject(notice.kind, notice.tool, high_risk=high, reminder=reminder)


def _question(notice: Notice) -> str:
    label = REQUESTS[notice.kind]
    lines = [label.heading.format(agent=escape_line(notice.agents[-1]), tool=notice.tool)]
    lines += [label.background] if label.background else []
    lines += [f'"{label.verdicts[each]}": {then}' for each, then in label.consequences.items()]
    return "\n".join(lines)


def _effect(preview: Preview) -> str:
    """The preview of the call, by the author of the tool."""
    reversible = {True: "Reversible", False: "Cannot be undone", None: ""}
    return f"{escape_line(preview.effect)}\n{reversible[preview.reversible]}"


def _facts(notice: Notice) -> str:
    agents, approvers = (map(escape_line, each) for each in (notice.agents, notice.approvers))
    lines = [f"Requested by: {' > '.join(agents)}", f"Approvers: {', '.join(approvers)}"]
    if notice.expires_at:
        until = notice.expires_at.strftime("%Y-%m-%d %H:%M UTC")
        lines.append(f"Deadline: {until}; if nobody answers, {REQUESTS[notice.kind].unanswered}.")
    return "\n".join([*lines, f"Hash: {notice.arguments_hash[:12]}"])


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
