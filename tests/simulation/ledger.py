"""What really happened in a world, whatever is stored of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from agent_continuations.core.decisions.responses import Written
from agent_continuations.core.outcome import Outcome


class Execution(NamedTuple):
    """A tool's effect on the world."""

    run_id: str
    path: str
    tool: str
    attempt: int
    key: str
    amount: int
    approved: bool


class Told(NamedTuple):
    """What somebody who decided was told to stand, once nothing was left to be answered."""

    run_id: str
    request_id: str
    verdict: str
    approver: str


class Heard(NamedTuple):
    """What somebody was told to be on record while others still had to answer."""

    run_id: str
    event: Written


@dataclass
class Ledger:
    """What really happened, outside of what is stored.

    Attributes:
        asked: how often each reply was asked for, by the frame's path and the turn.
        conversations: what each answered model call was told, as JSON; a reply names its number.
        mails: run, request and recipient of each mail that went out.
        signals, messages: run and id of each event and message that was taken.
        completed: run, path and outcome of each job whose end was taken.
    """

    executions: list[Execution] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    told: list[Told] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    mails: list[tuple[str, str, str]] = field(default_factory=list)
    signals: list[tuple[str, str]] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)
    completed: list[tuple[str, str, Outcome]] = field(default_factory=list)
