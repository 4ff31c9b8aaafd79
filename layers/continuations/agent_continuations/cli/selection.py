"""Which run and which request is meant, where it is not said in full."""

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
    """The run whose id begins like this, among the newest; a whole id is not looked for.

    Raises:
        Refused: there is none.
        Misused: there are several, or nothing is given.
    """
    if not given:
        # A variable that is not set must not mean the only run there is.
        raise InvalidUsage("RUN is empty")
    if len(given) >= RUN_ID_CHARACTERS:
        return given
    page = parse(RunPage, api.get("/runs", {"limit": NEWEST_RUNS}))
    found = [each for each in page.items if each.run_id.startswith(given)]
    match [each for each in found if each.run_id == given] or found:
        case [one]:
            return one.run_id
        case []:
            none = f"none of the newest {NEWEST_RUNS} runs has an id that begins with {given!r}"
            raise Refused(none)
        case several:
            more = _join_items([f"{each.run_id} {each.agent} {each.status}" for each in several])
            raise InvalidUsage(f"{len(several)} runs begin with {given!r} ({more})")


def select_request(run: Run, kinds: Collection[str], given: str | None) -> tuple[str, Wait | None]:
    """The request that is meant: as given, in full or how it begins, or the only open one.

    What fits no open request is taken as it is: the service knows what was decided about it.

    Returns:
        The request's id, and the request if it is open.

    Raises:
        Refused: none is open.
        Misused: several are.
    """
    fitting = [each for each in run.waiting if each.kind in kinds]
    if given is not None:
        found = [each for each in fitting if given and each.request_id.startswith(given)]
        return (found[0].request_id, found[0]) if len(found) == 1 else (given, None)
    match fitting:
        case [one]:
            return one.request_id, one
        case []:
            raise Refused(f"nothing is open that fits: the run is {_describe_state(run)}")
        case _:
            more = _join_items([f"{each.request_id}: {each.message}" for each in fitting])
            raise InvalidUsage(f"{len(fitting)} requests are open, say which ({more})")


def answer_value(question: Wait | None, text: str) -> Any:
    """The value that a text on the command line stands for: JSON if it is, else the text itself.

    A question for a text gets the text: `42` is no number there.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    wants_text = question is not None and _wants_text(question)
    return value if isinstance(value, str) or not wants_text else text


def _wants_text(question: Wait) -> bool:
    """Whether the answer is one text alone, which the schema calls `answer`."""
    match (question.answer_schema or {}).get("properties"):
        case {"answer": {"type": "string"}, **others} if not others:
            return True
        case _:
            return False


def _describe_state(run: Run) -> str:
    kinds = sorted({each.kind for each in run.waiting})
    return f"{run.status}, and waits for: {', '.join(kinds)}" if kinds else run.status


def _join_items(items: list[str]) -> str:
    more = len(items) - MAX_LISTED
    return "; ".join(items[:MAX_LISTED]) + (f"; and {more} more" if more > 0 else "")
