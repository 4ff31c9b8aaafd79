"""What can happen to a run. Events are facts: stored once, folded in key order, never replayed
against code.
"""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from agent_continuations.core.continuation import (
    ApprovalRequest,
    Continuation,
    Decision,
    Doubt,
    Intent,
    Outcome,
    Plan,
    Reply,
    Stored,
)


class Started(Stored):
    """A run began: the root frame's beginning, everything pinned."""

    kind: Literal["started"] = "started"
    continuation: Continuation
    at: datetime


class ToolReturned(Stored):
    """A tool call ended. `path` is the call's."""

    kind: Literal["tool_returned"] = "tool_returned"
    path: str
    outcome: Outcome
    attempt: int = 1
    started_at: datetime
    at: datetime


class ModelReplied(Stored):
    """A frame's model replied, and its calls were planned. `path` is the frame's.

    `reads` are outcomes of the previous turn's read tools that no register holds yet. They are
    what this reply was made from, so they take the place of any other outcome of those calls.
    """

    kind: Literal["model_replied"] = "model_replied"
    path: str
    turn: int
    reply: Reply
    calls: tuple[Plan, ...] = ()
    reads: tuple[ToolReturned, ...] = ()
    at: datetime


class ToolStarted(Stored):
    """A call's intent is on record; from here on the tool may have run."""

    kind: Literal["tool_started"] = "tool_started"
    path: str
    intent: Intent


class ApprovalRequested(Stored):
    """People were asked about a call."""

    kind: Literal["approval_requested"] = "approval_requested"
    path: str
    request: ApprovalRequest


class Decided(Stored):
    """A call's approval was decided."""

    kind: Literal["decided"] = "decided"
    path: str
    request_id: str
    decision: Decision


class Doubted(Stored):
    """It is not known whether a call's tool ran; a person was asked."""

    kind: Literal["doubted"] = "doubted"
    path: str
    doubt: Doubt


class DoubtSettled(Stored):
    """A person said whether a doubted call happened. Approve: it did. Reject: it did not."""

    kind: Literal["doubt_settled"] = "doubt_settled"
    path: str
    request_id: str
    decision: Decision


Event: TypeAlias = Annotated[
    Started
    | ModelReplied
    | ToolStarted
    | ToolReturned
    | ApprovalRequested
    | Decided
    | Doubted
    | DoubtSettled,
    Field(discriminator="kind"),
]
