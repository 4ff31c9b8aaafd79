"""What the outside sees of a run."""

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
    """A notice that has not reached everybody yet, as far as that was tried.

    Attributes:
        recipients: whom it has not reached, as `channel:address`.
        attempts: how often it was tried.
        failure: what went wrong the last time.
        again_at: when it is tried next; None where it was given up.
    """

    request_id: str
    recipients: tuple[str, ...]
    attempts: int
    failure: str
    again_at: Rfc3339 | None


class RunView(ApiModel):
    """A run, as `GET /runs/{id}` shows it. `turns` and `usage` count the whole tree.

    `undelivered` holds the notices of open requests that have not reached somebody. `parent` is the
    run that this one was started by.
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
    """What starting a run is answered with."""

    run_id: str
    status: Status
    links: Links


class MessageView(ApiModel):
    """What saying something to a run is answered with."""

    run_id: str
    message_id: str
    at: Rfc3339


class SignalView(ApiModel):
    """What telling a run of an event is answered with."""

    run_id: str
    event_id: str
    name: str
    at: Rfc3339


class CompletedView(ApiModel):
    """What telling the outcome of a job is answered with."""

    run_id: str
    path: str
    status: Literal["ok", "error"]


class Summary(ApiModel):
    """A run as it stands in a list."""

    run_id: str
    agent: str
    status: Status
    created_at: Rfc3339
    updated_at: Rfc3339
    metadata: dict[str, str]
    links: Links


class RunPage(ApiModel):
    """Some runs, newest first; `next` is the cursor of those that follow."""

    items: tuple[Summary, ...]
    next: str | None


def run_view(
    head: RunHead,
    root: Continuation,
    notices: Sequence[Notice] = (),
    inner: Sequence[Waiting] | None = None,
) -> RunView:
    """The summary of a run.

    Args:
        head: of the run.
        root: the run.
        notices: of its outbox.
        inner: what it waits for, where it is known with what the runs wait for that it started.
    """
    ended = root.outcome
    error = ended.content if ended and head.status is Status.FAILED else head.note
    turns, usage = totals(root)
    return RunView(
        run_id=head.run_id,
        agent=head.agent,
        status=head.status,
        result=ended.content if ended and head.status is Status.COMPLETED else None,
        error=error if head.status in (Status.FAILED, Status.PARKED) else None,
        waiting=tuple(waiting(head, root)) if inner is None else tuple(inner),
        usage=usage,
        created_at=head.created_at,
        updated_at=head.updated_at,
        turns=turns,
        metadata=head.metadata,
        undelivered=tuple(_undelivered(head, root, notices)),
        paused=head.paused and not head.status.terminal,
        parent=head.parent.run_id if head.parent else None,
    )


def _undelivered(
    head: RunHead, root: Continuation, notices: Sequence[Notice]
) -> Iterator[Undelivered]:
    open_requests = {each.request_id for each in waiting(head, root)}
    for each in notices:
        if each.failure and each.undelivered and each.request_id in open_requests:
            yield Undelivered(
                request_id=each.request_id,
                recipients=each.undelivered,
                attempts=each.attempts,
                failure=each.failure,
                again_at=each.due,
            )


def summary(head: RunHead) -> Summary:
    """A run as it stands in a list."""
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
    """Where more about a run is to be had, relative to the API's base URL."""
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
    turns, usage = len(frame.turns), Usage()
    for turn in frame.turns:
        usage += turn.reply.usage
        for call in turn.calls:
            if call.child:
                inner_turns, inner_usage = totals(call.child)
                turns += inner_turns
                usage += inner_usage
    return turns, usage
