"""API views of a run."""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from agent_continuations.core.continuation import Continuation
from agent_continuations.core.notice import Notice
from agent_continuations.core.replies import Usage
from agent_continuations.core.run import RunHead, Status
from agent_continuations.views.base import ApiModel, Rfc3339
from agent_continuations.views.waiting import Waiting, waiting


class Undelivered(ApiModel):
    """A notice whose delivery has failed for some recipients.

    Attributes:
        recipients: the recipients that it has not reached, as `channel:address`.
        attempts: how often delivery was tried.
        failure: the last error.
        again_at: when delivery is tried next; null if it was given up.
    """

    request_id: str
    recipients: tuple[str, ...]
    attempts: int
    failure: str
    again_at: Rfc3339 | None


class RunView(ApiModel):
    """A run. `turns` and `usage` count the whole tree.

    `undelivered` lists the notices of open requests whose delivery has failed. `parent` is the id
    of the run that started this one.
    """

    run_id: str
    agent: str
    status: Status
    result: str | None = None
    error: str | None = None
    waiting: tuple[Waiting, ...] = ()
    usage: Usage
    created_at: Rfc3339
    updated_at: Rfc3339
    turns: int
    metadata: dict[str, str] = Field(default={})
    undelivered: tuple[Undelivered, ...] = ()
    paused: bool = False
    parent: str | None = None


class Links(TypedDict):
    """Addresses, relative to the API's base URL."""

    self: str
    continuation: str
    timeline: str
    audit: str
    decisions: str
    messages: str
    cancel: str
    pause: str
    resume: str
    redrive: str


class Accepted(ApiModel):
    """The response to starting a run. `warning` says what the caller should know beside it."""

    run_id: str
    status: Status
    links: Links
    warning: str | None = None


class MessageView(ApiModel):
    """The response to sending a message to a run."""

    run_id: str
    message_id: str
    at: Rfc3339


class SignalView(ApiModel):
    """The response to sending an event to a run."""

    run_id: str
    event_id: str
    name: str
    at: Rfc3339


class CompletedView(ApiModel):
    """The response to completing a job."""

    run_id: str
    path: str
    status: Literal["ok", "error"]


class Summary(ApiModel):
    """A run in a list."""

    run_id: str
    agent: str
    status: Status
    created_at: Rfc3339
    updated_at: Rfc3339
    metadata: dict[str, str]
    links: Links


class RunPage(ApiModel):
    """A page of runs, newest first; `next` is the cursor of the next page."""

    items: tuple[Summary, ...]
    next: str | None


def run_view(
    head: RunHead,
    root: Continuation,
    notices: Sequence[Notice] = (),
    waits: Sequence[Waiting] | None = None,
) -> RunView:
    """The view of a run.

    Args:
        head: the run's head.
        root: the run.
        notices: the notices of its outbox.
        waits: its waits, including those of its child runs, if they were loaded; by default only
            its own.
    """
    ended = root.outcome
    error = ended.content if ended and head.status is Status.FAILED else head.note
    turns, usage = totals(root)
    return RunView(
        run_id=head.run_id,
        agent=head.agent,
        status=head.status,
        result=ended.content if ended and head.status is Status.COMPLETED else None,
        error=error if head.status not in (Status.COMPLETED, Status.CANCELLED) else None,
        waiting=tuple(waiting(head, root)) if waits is None else tuple(waits),
        usage=usage,
        created_at=head.created_at,
        updated_at=head.updated_at,
        turns=turns,
        metadata=head.metadata,
        undelivered=tuple(_undelivered(head, root, notices)),
        paused=head.paused and not head.status.ended,
        parent=head.parent.run_id if head.parent else None,
    )


def _undelivered(
    head: RunHead, root: Continuation, notices: Sequence[Notice]
) -> Iterator[Undelivered]:
    open_requests = {each.request_id for each in waiting(head, root)}
    for each in notices:
        if each.failure and each.request_id in open_requests:
            yield Undelivered(
                request_id=each.request_id,
                recipients=each.undelivered or each.approvers,
                attempts=each.attempts,
                failure=each.failure,
                again_at=each.due,
            )


def summary(head: RunHead) -> Summary:
    """A run in a list."""
    return Summary(
        run_id=head.run_id,
        agent=head.agent,
        status=head.status,
        created_at=head.created_at,
        updated_at=head.updated_at,
        metadata=head.metadata,
        links=links(head.run_id),
    )


def links(run_id: str) -> Links:
    """The addresses of a run's resources, relative to the API's base URL."""
    base = f"/runs/{run_id}"
    return {
        "self": base,
        "continuation": f"{base}/continuation",
        "timeline": f"{base}/timeline",
        "audit": f"{base}/audit",
        "decisions": f"{base}/decisions",
        "messages": f"{base}/messages",
        "cancel": f"{base}/cancel",
        "pause": f"{base}/pause",
        "resume": f"{base}/resume",
        "redrive": f"{base}/redrive",
    }


def totals(frame: Continuation) -> tuple[int, Usage]:
    """The number of turns and the token usage of a frame and all frames inside it."""
    turns, usage = len(frame.turns), Usage()
    for turn in frame.turns:
        usage += turn.reply.usage
        for call in turn.calls:
            if call.child:
                inner_turns, inner_usage = totals(call.child)
                turns += inner_turns
                usage += inner_usage
    return turns, usage
