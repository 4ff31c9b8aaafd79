"""Waits: values that a tool returns instead of a result that is not available yet.

The run is suspended, without a process, until the wait ends.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from agent_continuations.authoring.approval import MAX_TIMEOUT_SECONDS, WEEK_SECONDS, Approval
from agent_continuations.core.approvals.policy import ApprovalPolicy, Escalation, Preview
from agent_continuations.core.base import storable
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.waits import EventWait, JobWait, Poll, QuestionWait, TimerWait
from agent_continuations.core.waits.event import MAX_EVENT_NAME_CHARACTERS

MAX_QUESTION_CHARACTERS = 2000
MAX_HANDLE_CHARACTERS = 64_000
LONGEST_WAIT_SECONDS = 90 * 24 * 3600
"""For an event without a timeout: no run waits for ever for what nobody sends."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait until a point in time, with a resolution of a minute.

    Args:
        seconds: seconds to wait.
        until: time to wait until, with a time zone; alternative to `seconds`.

    Raises:
        ValueError: neither or both are given, `until` has no time zone, or `seconds` is invalid.
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
        """Returns the wait as it is stored."""
        until = self.until or now + timedelta(seconds=self.seconds or 0)
        return TimerWait(until=until)


@dataclass(frozen=True, slots=True)
class Question:
    """Wait for the answer of a person. The `answer` argument of `tool` defines the answer's type.

    Args:
        text: text of the question.
        ask: e-mail addresses, or groups as `group:name`; one of them answers.
        timeout_seconds: seconds until the agent continues without an answer.
        remind_after_seconds: seconds from the question to each reminder.
        escalations: approvers asked instead after the deadline, one escalation after the other.
        risk: with `"high"`, the person must sign in to answer.

    Raises:
        ValueError: the text is empty, nobody is asked, or a time is invalid.
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
        """Returns the wait as it is stored.

        Args:
            answer: JSON schema of the answer.
        """
        return storable(QuestionWait(text=self.text, answer=answer, gate=self._policy()))

    def _policy(self) -> ApprovalPolicy:
        policy = Approval(
            self.ask,
            timeout_seconds=self.timeout_seconds,
            remind_after_seconds=self.remind_after_seconds,
            escalations=self.escalations,
            risk=self.risk,
            # The requester of the run may know the answer.
            self_approval=True,
        )
        return policy.pinned_policy(Preview(effect=storable(self.text)[:MAX_QUESTION_CHARACTERS]))


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Wait for an external event, including one that arrived before the call.

    Args:
        event: name of the event.
        correlation: correlation that the event must have; None for any.
        timeout_seconds: seconds until the call ends without the event; None for 90 days.

    Raises:
        ValueError: the name, the correlation or the time is invalid.
    """

    event: str
    correlation: str | None = None
    timeout_seconds: float | None = None

    def __post_init__(self) -> None:
        for text in (self.event, self.correlation):
            if text is not None and not 1 <= len(text) <= MAX_EVENT_NAME_CHARACTERS:
                raise ValueError(f"an event's name has 1 to {MAX_EVENT_NAME_CHARACTERS} characters")
        if self.timeout_seconds is not None:
            _check_duration(self.timeout_seconds)

    def wait(self, now: datetime) -> EventWait:
        """Returns the wait as it is stored."""
        seconds = LONGEST_WAIT_SECONDS if self.timeout_seconds is None else self.timeout_seconds
        until = now + timedelta(seconds=seconds)
        return storable(EventWait(name=self.event, correlation=self.correlation, until=until))


@dataclass(frozen=True, slots=True)
class Job:
    """Wait for an external job.

    The job posts its outcome to `ToolContext.callback_url`, or the tool's `poll` is called.

    Args:
        handle: JSON value that identifies the job.
        timeout_seconds: seconds until the call ends without the job's outcome.
        poll_seconds: seconds until the first poll; None for no polling.
        longest_poll_seconds: maximum seconds between polls; the interval doubles up to it.

    Raises:
        ValueError: the handle is not JSON or too large, or a time is invalid.
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
        except (TypeError, RecursionError) as error:
            raise ValueError(f"a handle must be a JSON value: {error}") from None
        if size > MAX_HANDLE_CHARACTERS:
            raise ValueError(f"a handle has {MAX_HANDLE_CHARACTERS} characters at most")

    def wait(self, now: datetime) -> JobWait:
        """Returns the wait as it is stored."""
        seconds, longest = self.poll_seconds, self.longest_poll_seconds
        poll = None
        if seconds is not None:
            poll = Poll(first_seconds=seconds, longest_seconds=max(seconds, longest))
        until = now + timedelta(seconds=self.timeout_seconds)
        # A copy: what the author's code does with its own later changes nothing that is stored.
        handle = json.loads(storable(canonical_json(self.handle)))
        return JobWait(handle=handle, until=until, poll=poll)


@dataclass(frozen=True, slots=True)
class Pending:
    """Result of a `poll` function while the job is pending."""


ToolWait: TypeAlias = Sleep | WaitFor | Question | Job
"""What a tool returns to wait."""
_KINDS: dict[str, type[ToolWait]] = {
    "sleep": Sleep,
    "event": WaitFor,
    "question": Question,
    "job": Job,
}


def wait_values(wait: ToolWait) -> dict[str, Any]:
    """A wait as JSON values, for the engine of another process."""
    kind = next(name for name, each in _KINDS.items() if isinstance(wait, each))
    values: dict[str, Any] = {each.name: getattr(wait, each.name) for each in fields(wait)}
    if isinstance(wait, Job):
        values["handle"] = json.loads(canonical_json(wait.handle))
    if isinstance(wait, Question):
        values["ask"], values["remind_after_seconds"] = [*wait.ask], [*wait.remind_after_seconds]
        values["escalations"] = [each.model_dump(mode="json") for each in wait.escalations]
    values = {
        name: each.isoformat() if isinstance(each, datetime) else each
        for name, each in values.items()
    }
    return {"kind": kind, **values}


def read_wait(values: Mapping[str, Any]) -> ToolWait:
    """A wait from the values that `wait_values` has made, with all its limits checked again.

    Raises:
        Exception: whatever a wrong value causes; the values may come from anybody.
    """
    given = dict(values)
    wait = _KINDS[given.pop("kind")]
    if given.get("until") is not None:
        given["until"] = datetime.fromisoformat(given["until"])
    if wait is Question:
        given["escalations"] = [Escalation.model_validate(each) for each in given["escalations"]]
    return wait(**given)


def _check_duration(seconds: float) -> None:
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        raise ValueError(f"a time is more than 0 and up to {MAX_TIMEOUT_SECONDS} seconds")
