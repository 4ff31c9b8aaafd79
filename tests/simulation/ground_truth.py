"""The ground truth of a world: the real effects, whatever is stored."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from agent_continuations.core.decisions.responses import Written
from agent_continuations.core.outcome import Outcome
from tests.simulation.scheduler import Process


class Execution(NamedTuple):
    """One real execution of a tool."""

    run_id: str
    path: str
    tool: str
    attempt: int
    key: str
    amount: int
    approved: bool


class ReturnedTool(NamedTuple):
    """A tool's outcome in the hands of a process, at a time."""

    run_id: str
    path: str
    attempt: int
    process: Process
    at: float


class UnstartedTool(NamedTuple):
    """A tool that certainly did not run, as its engine learned at a time.

    Attributes:
        intent_at: when the intent was made.
    """

    run_id: str
    path: str
    intent_at: datetime
    process: Process
    at: float


class ConfirmedDecision(NamedTuple):
    """The decision that a user was shown once the request was closed."""

    run_id: str
    request_id: str
    verdict: str
    approver: str


class ConfirmedVote(NamedTuple):
    """A response that a user was shown as recorded while the request was open."""

    run_id: str
    event: Written


@dataclass
class GroundTruth:
    """The real effects of a world, and the responses that its users got.

    Attributes:
        asked: how often each reply was requested, by the frame's path and the turn.
        conversations: the transcript of each answered model call, as JSON; replies name its index.
        mails: run, request and recipient of each e-mail that was sent.
        signals, messages: run and id of each accepted event and message.
        completed: run, path and outcome of each accepted completion of a job.
        returned: the outcomes of tools, as they came to their process.
        unstarted: the tools that hosts did not run, though they were to.
        refusals: inputs that were refused without a good reason.
    """

    executions: list[Execution] = field(default_factory=list)
    transcripts: list[str] = field(default_factory=list)
    model_calls: Counter[tuple[str, int]] = field(default_factory=Counter)
    decisions: list[ConfirmedDecision] = field(default_factory=list)
    votes: list[ConfirmedVote] = field(default_factory=list)
    mails: list[tuple[str, str, str]] = field(default_factory=list)
    signals: list[tuple[str, str]] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)
    completed: list[tuple[str, str, Outcome]] = field(default_factory=list)
    returned: list[ReturnedTool] = field(default_factory=list)
    unstarted: list[UnstartedTool] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
