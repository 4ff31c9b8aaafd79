"""The page of a run: status, waits, timeline, usage and cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aws_lambda_powertools.event_handler import Response

from agent_continuations.authoring.pricing import PRICES
from agent_continuations.core.awaiting import REQUEST_KINDS
from agent_continuations.core.path import Path, parse_path
from agent_continuations.core.run import LoadedRun, RunHead, Status
from agent_continuations.html.durations import humanize, remaining
from agent_continuations.html.run_tree import nodes
from agent_continuations.safe_text import escape_json
from agent_continuations.services.runs import RunService
from agent_continuations.views.labels import LABELS
from agent_continuations.views.run import RunView, run_view
from agent_continuations.views.waiting import Waiting
from dashboard.cost_section import spending
from dashboard.rendering import PAGES, Text, text
from dashboard.timeline_section import lines, message_rows

# The refresh interval of the page, in seconds; none once the run has ended.
REFRESH = {Status.READY: 3, Status.RUNNING: 3, Status.SUSPENDED: 30}
MAX_WAITS = 50
MAX_TEXT_CHARACTERS = 20_000
MAX_MESSAGE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Wait:
    """An open wait of the run.

    Attributes:
        whom: the approvers asked now.
        address: of the page of the request, or of the child run; relative to this page.
    """

    kind: str
    what: str
    agents: tuple[str, ...]
    tool: str
    message: Text
    preview: str
    arguments: Text | None
    whom: tuple[str, ...]
    until: datetime | None
    left: str
    risk: str
    address: str


def of_run(runs: RunService, run_id: str, now: datetime, *, still: bool) -> Response[str]:
    """The page of a run.

    Args:
        runs: loads the run.
        run_id: of the run.
        now: the time.
        still: whether the page does not refresh itself.

    Raises:
        NotFound: no such run.
    """
    loaded = runs.look(run_id)
    head, root = loaded.head, loaded.continuation
    # Undelivered notices only matter while the run is suspended.
    notices = runs.store.notices(run_id) if head.status is Status.SUSPENDED else ()
    view = run_view(head, root, notices)
    happened, before = lines(loaded)
    every = REFRESH.get(head.status, 0)
    variables = {
        **_about(loaded, view, now),
        "every": every,
        "refresh": 0 if still else every,
        "waits": [_wait(head, each, now) for each in view.waiting[:MAX_WAITS]],
        "more_waits": max(len(view.waiting) - MAX_WAITS, 0),
        "undelivered": view.undelivered[:MAX_WAITS],
        "tree": nodes(root, set(_places(view))),
        "lines": happened,
        "lines_before": before,
        "messages": message_rows(root),
        "spending": spending(root, PRICES),
    }
    return PAGES.render("run.html", variables)


def _about(loaded: LoadedRun, view: RunView, now: datetime) -> dict[str, Any]:
    head, root = loaded.head, loaded.continuation
    answer = view.result if view.error is None else view.error
    return {
        "run_id": head.run_id,
        "agent": head.agent,
        "status": head.status.value,
        "paused": view.paused,
        "stopping": head.cancelled and not head.status.ended,
        "started": head.created_at,
        "changed": head.updated_at,
        "ago": _ago(head.updated_at, now),
        "retried": head.obstacle if head.status is Status.SUSPENDED else None,
        "requester": head.requester,
        "metadata": head.metadata,
        "parent": view.parent,
        "goal": text(root.input, MAX_TEXT_CHARACTERS, stands_open=1000),
        "answer": text(answer, MAX_TEXT_CHARACTERS, stands_open=4000) if answer else None,
    }


def _ago(at: datetime, now: datetime) -> str:
    seconds = (now - at).total_seconds()
    return f"{humanize(seconds)} ago" if seconds >= 60 else "just now"


def _places(view: RunView) -> Iterator[Path]:
    """The paths of the calls that wait; a wait for the model has none."""
    return (parse_path(each.path) for each in view.waiting if each.path)


def _wait(head: RunHead, waiting: Waiting, now: datetime) -> Wait:
    until = waiting.expires_at
    if waiting.kind == "model" and head.model_pause:
        until = head.model_pause.until
    address = waiting.run_id or ""
    if waiting.kind in REQUEST_KINDS:
        address = f"../../approvals/{head.run_id}/{waiting.request_id}"
    given = waiting.arguments
    # The message of every other kind contains the preview.
    shows_preview = waiting.kind == "approval"
    return Wait(
        kind=waiting.kind,
        what=LABELS[waiting.kind].title,
        agents=waiting.agents,
        tool=waiting.tool or "",
        message=text(waiting.message, MAX_MESSAGE_CHARACTERS, stands_open=MAX_MESSAGE_CHARACTERS),
        preview=(waiting.preview or "")[:MAX_MESSAGE_CHARACTERS] if shows_preview else "",
        arguments=text(escape_json(given), MAX_MESSAGE_CHARACTERS) if given else None,
        whom=waiting.approvers or (),
        until=until,
        left=remaining(until, now),
        risk=waiting.risk.value if waiting.risk else "",
        address=address,
    )
