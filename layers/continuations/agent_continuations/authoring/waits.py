"""What a tool can return in place of its outcome, when that comes later.

The process ends then, and the run waits for nothing but what is named here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from agent_continuations.authoring.approval import MAX_TIMEOUT_SECONDS, WEEK_SECONDS, Approval
from agent_continuations.core.approvals.policy import ApprovalPolicy, Escalation, Preview
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.waits import EventWait, JobWait, Poll, QuestionWait, TimerWait

MAX_QUESTION_CHARACTERS = 2000
MAX_NAME_CHARACTERS = 128
MAX_HANDLE_CHARACTERS = 64_000


@dataclass(frozen=True, slots=True)
class Sleep:
    """Go on after a time. What is due is looked at every minute.

    Args:
        seconds: for so long,
        until: or until then.

    Raises:
        ValueError: neither or both are given, or a time without a zone.
    """

    seconds: float | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) is (self.until is None):
            raise ValueError("say for how many seconds, or until when")
        if self.seconds is not None:
            _check_duration(self.seconds)
        if self.until is not None and self.until.tzinfo is None:
            raise ValueError("a time needs a zone")

    def wait(self, now: datetime) -> TimerWait:
        """What is stored."""
        until = self.until or now + timedelta(seconds=self.seconds or 0)
        return TimerWait(until=until)


@dataclass(frozen=True, slots=True)
class Question:
    """Ask a person, and go on with the answer. What it must be stands at the tool; see `tool`.

    Args:
        text: the question.
        ask: mail addresses, or groups as `group:name`; any one of them answers.
        timeout_seconds: after this the model is told that nobody has answered.
        remind_after_seconds: when they are told again, after the question.
        escalations: who is asked instead, once nobody has answered in time.
        risk: with `"high"`, whoever answers must be signed in.

    Raises:
        ValueError: nobody is asked, or the times do not fit.
    """

    text: str
    ask: Sequence[str]
    timeout_seconds: int = WEEK_SECONDS
    remind_after_seconds: Sequence[int] = ()
    escalations: Sequence[Escalation] = ()
    risk: Literal["low", "high"] = "low"

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("a question needs a text")
        self._policy()

    def wait(self, answer: dict[str, Any]) -> QuestionWait:
        """What is stored.

        Args:
            answer: the JSON schema of the answer.
        """
        return QuestionWait(text=self.text, answer=answer, gate=self._policy())

    def _policy(self) -> ApprovalPolicy:
        policy = Approval(
            self.ask,
            timeout_seconds=self.timeout_seconds,
            remind_after_seconds=self.remind_after_seconds,
            escalations=self.escalations,
            risk=self.risk,
            # Whoever started the run may well be the one who knows.
            self_approval=True,
        )
        return policy.pinned_policy(Preview(effect=self.text[:MAX_QUESTION_CHARACTERS]))


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Go on with what an event from outside brings; one that came before will do.

    Args:
        event: its name.
        correlation: only one that was sent with this.
        timeout_seconds: after this the model is told that it has not come; never, where not given.

    Raises:
        ValueError: the name, the correlation or the time does not fit.
    """

    event: str
    correlation: str | None = None
    timeout_seconds: float | None = None

    def __post_init__(self) -> None:
        for text in (self.event, self.correlation):
            if text is not None and not 1 <= len(text) <= MAX_NAME_CHARACTERS:
                raise ValueError(f"an event's name has 1 to {MAX_NAME_CHARACTERS} characters")
        if self.timeout_seconds is not None:
            _check_duration(self.timeout_seconds)

    def wait(self, now: datetime) -> EventWait:
        """What is stored."""
        seconds = self.timeout_seconds
        until = None if seconds is None else now + timedelta(seconds=seconds)
        return EventWait(name=self.event, correlation=self.correlation, until=until)


@dataclass(frozen=True, slots=True)
class Job:
    """Go on when something is done that was started elsewhere.

    It calls back at `ToolContext.callback_url`, or is polled by the tool's `poll`.

    Args:
        handle: its name there, as a JSON value.
        timeout_seconds: after this the model is told that it has not finished.
        poll_seconds: when it is polled first; never, where not given.
        longest_poll_seconds: the time between polls is doubled up to this.

    Raises:
        ValueError: the handle is no JSON, or the times do not fit.
    """

    handle: Any
    timeout_seconds: float
    poll_seconds: float | None = None
    longest_poll_seconds: float = 3600

    def __post_init__(self) -> None:
        _check_duration(self.timeout_seconds)
        if self.poll_seconds is not None:
            _check_duration(self.poll_seconds)
            _check_duration(self.longest_poll_seconds)
        try:
            size = len(canonical_json(self.handle))
        except TypeError as error:
            raise ValueError(f"a handle must be a JSON value: {error}") from None
        if size > MAX_HANDLE_CHARACTERS:
            raise ValueError(f"a handle has {MAX_HANDLE_CHARACTERS} characters at most")

    def wait(self, now: datetime) -> JobWait:
        """What is stored."""
        seconds, longest = self.poll_seconds, self.longest_poll_seconds
        poll = None
        if seconds is not None:
            poll = Poll(first_seconds=seconds, longest_seconds=max(seconds, longest))
        until = now + timedelta(seconds=self.timeout_seconds)
        return JobWait(handle=self.handle, until=until, poll=poll)


@dataclass(frozen=True, slots=True)
class Pending:
    """What a `poll` function returns as long as the job is not done."""


def _check_duration(seconds: float) -> None:
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        raise ValueError(f"a time is more than 0 and up to {MAX_TIMEOUT_SECONDS} seconds")
