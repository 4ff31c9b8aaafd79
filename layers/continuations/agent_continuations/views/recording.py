"""A recording: a run and its child runs as one JSON document, to keep beside a test."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from agent_continuations.core.base import FrozenModel
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.path import ROOT, path_text
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.errors import Invalid

RECORDING_FORM = 1
MAX_CHILD_RUNS = 1000
MAX_REQUEST_PROFILES = 1000


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
        requests: by digest, the request profiles that the turns name; those that could not be read,
            and all in a recording of earlier code, are missing.
    """

    recording: Literal[1] = 1
    run_id: str
    agent: str
    input: str
    continuation: Continuation
    children: dict[str, RecordedRun] = Field(default={})
    requests: dict[str, RequestProfile] = Field(default={})

    def runs(self) -> Iterator[tuple[str, Continuation]]:
        """The run and its child runs, each with its id."""
        yield self.run_id, self.continuation
        for run_id, child in self.children.items():
            yield run_id, child.continuation

    def profiled_requests(self) -> Iterator["ProfiledRequest"]:
        """The first request of each profile that the turns name."""
        seen: set[str] = set()
        for run_id, root in self.runs():
            frames = ((path, call.child) for path, call in root.calls() if call.child)
            for path, frame in ((ROOT, root), *frames):
                for number, turn in enumerate(frame.turns):
                    if turn.profile and turn.profile not in seen:
                        seen.add(turn.profile)
                        yield ProfiledRequest(run_id, path_text(path), number, turn.profile)


class ProfiledRequest(NamedTuple):
    """A model request whose profile was stored: its place, and the digest of the profile."""

    run_id: str
    path: str
    turn: int
    digest: str


def record(
    run_id: str,
    load: Callable[[str], Continuation],
    profile: Callable[[ProfiledRequest], RequestProfile | None],
) -> Recording:
    """Record a run and its child runs.

    Args:
        run_id: the run.
        load: returns the continuation of a run.
        profile: returns the profile of a request, or None if it cannot be read. It is called once
            for each profile.

    Raises:
        Invalid: the run has more than `MAX_CHILD_RUNS` child runs, or more than
            `MAX_REQUEST_PROFILES` request profiles.
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
    recording = Recording(
        run_id=run_id, agent=root.agent, input=root.input, continuation=root, children=children
    )
    return recording.model_copy(update={"requests": _profiles(recording, profile)})


def _profiles(
    recording: Recording, profile: Callable[[ProfiledRequest], RequestProfile | None]
) -> dict[str, RequestProfile]:
    requests = list(recording.profiled_requests())
    if len(requests) > MAX_REQUEST_PROFILES:
        most = f"more than {MAX_REQUEST_PROFILES} request profiles"
        raise Invalid(f"the run {recording.run_id} has {most}")
    found = ((each.digest, profile(each)) for each in requests)
    return {digest: each for digest, each in found if each}


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
