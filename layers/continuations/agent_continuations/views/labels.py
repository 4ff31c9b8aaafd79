"""How kinds of waits and of requests are named wherever people read about them.

Names in braces are for `str.format`: `{agent}` asks to call `{tool}`, `{question}` is a question's
text, `{why}` a condition's, and `{event}` an event's name. A new kind of wait needs a label here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.awaiting import RequestKind

RUNNING: Final = "running"
OUTCOMES: Final[Mapping[str, str]] = {"ok": "done", "error": "failed", "rejected": "rejected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The words for a wait.

    Attributes:
        title: the kind of wait.
        state: the state of a call that waits so.
        message: what `GET /runs/{id}` says of the wait.
    """

    title: str
    state: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLabel(Label):
    """The words for a request to people.

    Attributes:
        heading: what is asked.
        subject: the same for a mail's subject; `{high}` stands for what is said of a high risk.
        background: what to know before answering, where the heading does not say it.
        content: the heading of the arguments, the question or the limit.
        content_edited: the same where an approver has changed the arguments.
        verdicts: what each verdict is called on a button.
        results: what each verdict is called once it stands.
        consequences: what each verdict leads to, where its name does not say it.
        edit: where the arguments, the limit or the answer can be typed.
        edited: the button that sends what was typed.
        reason: the label of the reason for rejecting.
        reason_reader: whom that reason is shown to.
        unanswered: what happens at the deadline.
    """

    heading: str
    subject: str
    background: str = ""
    content: str
    content_edited: str
    verdicts: Mapping[Verdict, str]
    results: Mapping[Verdict, str]
    consequences: Mapping[Verdict, str] = field(default_factory=dict)
    edit: str
    edited: str
    reason: str
    reason_reader: str = "shown to the agent"
    unanswered: str


def _pair(approve: str, reject: str) -> Mapping[Verdict, str]:
    return {Verdict.APPROVE: approve, Verdict.REJECT: reject}


REQUESTS: Final[Mapping[RequestKind, RequestLabel]] = {
    "approval": RequestLabel(
        title="Approval",
        state="awaiting approval",
        message="{agent} asks to call {tool}",
        heading="{agent} asks to call {tool}",
        subject="Approval needed{high}: {tool}",
        content="This will run",
        content_edited="Requested",
        verdicts=_pair("Approve", "Reject"),
        results=_pair("Approved", "Rejected"),
        edit="Edit and approve",
        edited="Approve with these arguments",
        reason="Reason for rejecting",
        unanswered="the request is rejected",
    ),
    "question": RequestLabel(
        title="Question",
        state="awaiting answer",
        message="{question}",
        heading="{agent} asks you",
        subject="Answer needed{high}: {tool}",
        content="The question",
        content_edited="The question",
        verdicts=_pair("Send answer", "I cannot answer"),
        results=_pair("Answered", "Not answered"),
        edit="Your answer",
        edited="Send answer",
        reason="If you cannot answer: reason",
        unanswered="the agent continues without an answer",
    ),
    "condition": RequestLabel(
        title="Limit reached",
        state="awaiting go-ahead",
        message="Should {agent} continue? {why} Approve: it continues. Reject: it stops here.",
        heading="Should {agent} continue?",
        subject="Go-ahead needed{high}: {tool}",
        content="Why you are asked",
        content_edited="Why you are asked",
        verdicts=_pair("Continue", "Stop"),
        results=_pair("Continued", "Stopped"),
        edit="Continue with a different limit",
        edited="Continue with this limit",
        reason="Reason for stopping",
        reason_reader="shown to the caller",
        unanswered="the agent stops",
    ),
    "doubt": RequestLabel(
        title="Unknown outcome",
        state="awaiting confirmation",
        message=(
            "It is not known whether {tool} happened: its process was lost while it ran."
            " Approve: it happened, the run continues and your reason is its result."
            " Reject: it did not happen, and it runs now."
        ),
        heading="Did {tool} happen?",
        subject="Did {tool} happen?{high}",
        background=(
            "The process was lost while this tool ran, so the outcome is unknown."
            " Check the system that it acts on."
        ),
        content="The call",
        content_edited="Requested",
        verdicts=_pair("It happened", "It did not happen"),
        results=_pair("Answered: it happened", "Answered: it did not happen"),
        consequences=_pair(
            "The tool does not run again. The agent continues with what you found.",
            "The tool runs now, with exactly these arguments."
            " If it did happen after all, it will have happened twice.",
        ),
        edit="",
        edited="",
        reason="What you found",
        reason_reader="shown to the agent as the result",
        unanswered="the run waits, and the tool does not run",
    ),
}

LABELS: Final[Mapping[str, Label]] = {
    **{str(kind): label for kind, label in REQUESTS.items()},
    "timer": Label(title="Timer", state="sleeping", message="{tool} sleeps"),
    "event": Label(
        title="Event", state="awaiting event", message="{tool} waits for the event {event}"
    ),
    "job": Label(title="Job", state="awaiting job", message="{tool} waits for its job"),
    "child": Label(
        title="Child run",
        state="awaiting child run",
        message="{tool} waits for the run that it has started",
    ),
    "model": Label(title="Model", state="awaiting model", message="the model is not called yet"),
}


def subject(kind: RequestKind, tool: str, *, high_risk: bool, reminder: bool) -> str:
    """The line that announces a request: a mail's subject, a message's heading."""
    high = " (high risk)" if high_risk else ""
    line = REQUESTS[kind].subject.format(tool=tool, high=high)
    return f"Reminder: {line}" if reminder else line
