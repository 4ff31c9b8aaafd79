"""Reads what the models of a run were sent, agent by agent."""

from functools import cache

from agent_continuations.core.path import Path, parse_path
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import LoadedRun
from agent_continuations.errors import NotFound
from agent_continuations.services.request_pages import PageLimits, page, read_cursor
from agent_continuations.services.runs import RunService
from agent_continuations.views.model_requests import FrameRequests, ModelRequestPage, frames

MAX_FRAMES = 1000
MAX_NAMED_FRAMES = 20
MAX_SHOWN_CHARACTERS = 200


def model_requests(
    runs: RunService,
    run_id: str,
    path: str = "",
    *,
    turn: int | None = None,
    cursor: str | None = None,
    limits: PageLimits | None = None,
) -> ModelRequestPage:
    """The model requests of one agent in a run, oldest first.

    Args:
        runs: loads the run.
        run_id: the run.
        path: the path of the agent; empty for the run's first agent.
        turn: the number of the only request to return, with all its messages. Otherwise each
            request has the messages that the one before did not have.
        cursor: `next` of the page before.
        limits: limits of the page; None for everything on one page, with no text cut.

    Raises:
        NotFound: there is no such run for this tenant, no agent at the path, or no such request.
        Invalid: the cursor is not one of this list.
    """
    loaded = runs.look(run_id)
    requests = FrameRequests(loaded, _frame_path(loaded, path))
    numbers = range(len(requests))
    if turn is not None:
        if turn not in numbers:
            raise NotFound(f"there is no request {turn}; the agent has {len(requests)}, from 0")
        numbers = range(turn, turn + 1)
    start = read_cursor(cursor, numbers)

    @cache
    def profile(digest: str) -> RequestProfile | None:
        return runs.store.profile(digest)

    views = (
        requests.view(
            number,
            profile(digest) if (digest := requests.profile_digest(number)) else None,
            whole=turn is not None,
        )
        for number in range(start.request, numbers.stop)
    )
    items, further = page(views, start, limits) if limits else (list(views), None)
    every = list(frames(loaded.continuation))
    return ModelRequestPage(
        run_id=run_id,
        path=path,
        agent=requests.frame.agent,
        items=tuple(items),
        next=str(further) if further else None,
        usage=requests.usage,
        cost=requests.cost,
        frames=tuple(every[:MAX_FRAMES]),
        more_frames=max(len(every) - MAX_FRAMES, 0),
    )


def _frame_path(loaded: LoadedRun, text: str) -> Path:
    """The path of a frame.

    Raises:
        NotFound: there is no frame at this path.
    """
    try:
        path = parse_path(text)
        loaded.continuation.frame_at(path)
    except (ValueError, LookupError):
        raise NotFound(_no_frame(loaded, text)) from None
    return path


def _no_frame(loaded: LoadedRun, text: str) -> str:
    every = list(frames(loaded.continuation))
    for each in every:
        if each.run_id and each.path == text:
            return f"the agent at {text} has a run of its own, {each.run_id}"
    named = [f"{each.path or 'the empty path'} ({each.agent})" for each in every if not each.run_id]
    listed = ", ".join(named[:MAX_NAMED_FRAMES])
    more = len(named) - MAX_NAMED_FRAMES
    shown = text[:MAX_SHOWN_CHARACTERS]
    return f"there is no agent at {shown!r}; there are agents at {listed}" + (
        f" and {more} more" if more > 0 else ""
    )
