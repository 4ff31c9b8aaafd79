"""A recording: a run and its child runs as one JSON document, to keep beside a test."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError

from agent_continuations.core.base import FrozenModel
from agent_continuations.core.continuation import Continuation
from agent_continuations.errors import Invalid

RECORDING_FORM = 1
MAX_CHILD_RUNS = 1000


class RecordedRun(FrozenModel):
    """A child run of a recorded run."""

    agent: str
    input: str
    continuation: Continuation


class Recording(FrozenModel):
    """A recorded run.

    Attributes:
        recording: the form of the document.
        children: by run id, every run that a call of this run, or of one of these, has started.
    """

    recording: Literal[1] = 1
    run_id: str
    agent: str
    input: str
    continuation: Continuation
    children: dict[str, RecordedRun] = Field(default={})

    def runs(self) -> Iterator[tuple[str, Continuation]]:
        """The run and its child runs, each with its id."""
        yield self.run_id, self.continuation
        for run_id, child in self.children.items():
            yield run_id, child.continuation


def record(run_id: str, load: Callable[[str], Continuation]) -> Recording:
    """Record a run and its child runs.

    Args:
        run_id: the run.
        load: returns the continuation of a run.

    Raises:
        Invalid: the run has more than `MAX_CHILD_RUNS` child runs.
    """
    root = load(run_id)
    children: dict[str, RecordedRun] = {}
    unread = _child_runs(root)
    while unread:
        if len(children) == MAX_CHILD_RUNS:
            raise Invalid(f"the run {run_id} has more than {MAX_CHILD_RUNS} child runs")
        child_id = unread.pop(0)
        child = load(child_id)
        children[child_id] = RecordedRun(agent=child.agent, input=child.input, continuation=child)
        unread += _child_runs(child)
    return Recording(
        run_id=run_id, agent=root.agent, input=root.input, continuation=root, children=children
    )


def read_recording(document: Mapping[str, Any]) -> Recording:
    """The recording in a JSON document.

    Raises:
        Invalid: the document is no recording, or has a form that this code cannot read.
    """
    form = document.get("recording") if isinstance(document, Mapping) else None
    if form is None:
        raise Invalid("not a recording: it has no field 'recording'")
    if form != RECORDING_FORM:
        raise Invalid(f"recording form {form} is not supported; this code reads {RECORDING_FORM}")
    try:
        return Recording.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise Invalid(f"not a recording: {field}: {first['msg']}") from None


def _child_runs(root: Continuation) -> list[str]:
    return [call.child_run for _, call in root.calls() if call.child_run]
