"""Labels: the texts for each kind of wait and of request, on every page and in every message.

Names in braces are for `str.format`: `{agent}` asks to call `{tool}`, `{question}` is a question's
text, `{why}` a condition's, `{event}` an event's name, and a call in doubt may have happened from
`{since}` to `{until}`. A new kind of wait needs a label here.
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
    """The texts for a wait.

    Attributes:
        title: the kind of wait.
        state: the state of a call with this wait.
        message: the `message` of the wait in `GET /runs/{id}`.
    """

    title: str
    state: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLabel(Label):
    """The texts for a request to people.

    Attributes:
        heading: the question to the approver.
        subject: the same as the subject of a message; `{high}` marks a high risk.
        background: facts that an approver must know besides the heading.
        content: the heading of the arguments, the question or the limit.
        content_edited: the same if an approver has edited the arguments.
        content_closed: the same once nothing is left to decide.
        verdicts: the button of each verdict.
        results: the name of each verdict after the decision.
        consequences: the consequence of each verdict, if its name does not say it.
        edit: the heading of the form for the arguments, the limit or the answer.
        edited: the button of that form.
        reason: the label of the reason for rejecting.
        reason_reader: the readers of that reason.
        unanswered: the consequence of the deadline.
    """

    heading: str
    subject: str
    background: str = ""
    content: str
    content_edited: str = "Requested"
    content_closed: str = "Details"
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
        content="Question",
        content_closed="Question",
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
        content_closed="Why you are asked",
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
            "It is not known whether {tool} happened between {since} and {until}: its process, or"
            " the record of that time, was lost."
            " Approve: it happened, the run continues and your reason is its result."
            " Reject: it did not happen, and it can run again."
        ),
        heading="Did {tool} happen?",
        subject="Did {tool} happen?{high}",
        background=(
            "The process of this tool, or the record of what the run did, was lost, so the outcome"
            " is unknown. Check the system that it acts on."
        ),
        content="Details",
        verdicts=_pair("It happened", "It did not happen"),
        results=_pair("Answered: it happened", "Answered: it did not happen"),
        consequences=_pair(
            "The tool does not run again. The agent continues with what you found.",
            "The tool runs again, with exactly these arguments, once as many people have said so as"
            " must approve it. If it did happen after all, it will have happened twice.",
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
    """The subject of a notification of a request."""
    high = " (high risk)" if high_risk else ""
    line = REQUESTS[kind].subject.format(tool=tool, high=high)
    return f"Reminder: {line}" if reminder else line
