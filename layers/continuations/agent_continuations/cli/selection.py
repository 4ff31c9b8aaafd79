"""Selection of the run and the request from an id, a prefix of an id, or no argument."""

import json
from collections.abc import Collection
from typing import Any

from agent_continuations.cli.client import ApiClient
from agent_continuations.cli.exit_codes import InvalidUsage, Refused
from agent_continuations.cli.models import Run, RunPage, Wait, parse

RUN_ID_CHARACTERS = 24
NEWEST_RUNS = 100
MAX_LISTED = 10


def resolve_run_id(api: ApiClient, given: str) -> str:
    """Resolves a prefix of a run id among the newest runs; a full id is returned unchecked.

    Raises:
        Refused: no run matches.
        InvalidUsage: several runs match, or the prefix is empty.
    """
    if not given:
        # An unset shell variable must not select the only run.
        raise InvalidUsage("RUN is empty")
    if len(given) >= RUN_ID_CHARACTERS:
        return given
    page = parse(RunPage, api.get("/runs", {"limit": NEWEST_RUNS}))
    found = [each for each in page.items if each.run_id.startswith(given)]
    match [each for each in found if each.run_id == given] or found:
        case [one]:
            return one.run_id
        case []:
            raise Refused(f"no run id among the newest {NEWEST_RUNS} starts with {given!r}")
        case several:
            listed = _join_items([f"{each.run_id} {each.agent} {each.status}" for each in several])
            raise InvalidUsage(f"{len(several)} run ids start with {given!r} ({listed})")


def select_request(run: Run, kinds: Collection[str], given: str | None) -> tuple[str, Wait | None]:
    """Selects a request of a run by its id or a prefix of it, or else the only open one.

    An id that matches no open request is returned unchanged, since the service knows about
    requests that were decided already.

    Args:
        run: the run.
        kinds: kinds of waits that the command applies to.
        given: id or prefix from the command line.

    Returns:
        The request's id, and the request if it is open.

    Raises:
        Refused: no request is open.
        InvalidUsage: several requests are open.
    """
    candidates = [each for each in run.waiting if each.kind in kinds]
    if given is not None:
        found = [each for each in candidates if given and each.request_id.startswith(given)]
        return (found[0].request_id, found[0]) if len(found) == 1 else (given, None)
    match candidates:
        case [one]:
            return one.request_id, one
        case []:
            raise Refused(f"nothing to answer: the run {_describe_state(run)}")
        case _:
            listed = _join_items([f"{each.request_id}: {each.message}" for each in candidates])
            raise InvalidUsage(f"{len(candidates)} requests are open; give REQUEST ({listed})")


def answer_value(question: Wait | None, text: str) -> Any:
    """Converts the VALUE argument: parsed as JSON if it is JSON, otherwise the text itself.

    For a question with a text answer, JSON values other than strings stay text: `42` is "42".
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    expects_text = question is not None and _expects_text(question)
    return value if isinstance(value, str) or not expects_text else text


def _expects_text(question: Wait) -> bool:
    """Whether the answer is a single string, the schema's field `answer`."""
    match (question.answer_schema or {}).get("properties"):
        case {"answer": {"type": "string"}, **others} if not others:
            return True
        case _:
            return False


def _describe_state(run: Run) -> str:
    if run.status in ("completed", "failed"):
        return f"has {run.status}"
    state = "was cancelled" if run.status == "cancelled" else f"is {run.status}"
    kinds = sorted({each.kind for each in run.waiting})
    return f"{state}, waiting for: {', '.join(kinds)}" if kinds else state


def _join_items(items: list[str]) -> str:
    more = len(items) - MAX_LISTED
    return "; ".join(items[:MAX_LISTED]) + (f"; and {more} more" if more > 0 else "")
