"""Tool host: the port through which the engine has a tool's body run apart from its own rights.

A host gets no state and returns no state: a request holds all that the bodies of its calls may know
of the run, and an answer is what a body returned. The engine checks each answer anew, and takes
from it nothing but the outcome or the wait of that call.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

from agent_continuations.core.base import FrozenModel

DEFAULT_HOST = "tools"
MAX_HOST_SECONDS = 600
"""The longest timeout of a host, so that a call fits into one invocation of the engine."""
HOST_GRACE_SECONDS = 15
"""A host may take so much longer than its timeout until it answers: it is initialised first."""
LATE_SECONDS = 30
"""A host that took longer reports an outcome beside its answer, which may be lost on its way."""
MAX_HOST_BYTES = 5_500_000
"""The largest request to a host, and the largest answer; AWS Lambda takes 6 MB each way."""


class DecidedContent(FrozenModel):
    """What people decided on.

    Attributes:
        shown_hash: `shown_hash` of the arguments as they were shown.
        schema_version: the version of the tool's schema that they were read by.
    """

    shown_hash: str
    schema_version: str


class HostedCall(FrozenModel):
    """One attempt of one call, or one poll of its job.

    Attributes:
        path: the call's path.
        attempt: the number of the attempt, or of the poll, from 1.
        agent: the name of the agent that makes the call.
        tool: the tool's name.
        raw: the text that the arguments are read from.
        decided: what people decided on; None if the call needed nobody.
        handle: the job's handle, for a poll.
        idempotency_key: the same for every attempt of the call.
        callback_url: where a job posts its outcome; None if there is no API, or no need of it.
        outcome_token: proves an outcome of this attempt that the host reports beside its answer;
            None if it is not to report one.
    """

    path: str
    attempt: int
    agent: str
    tool: str
    raw: str
    decided: DecidedContent | None = None
    handle: Any = None
    idempotency_key: str
    callback_url: str | None = None
    outcome_token: str | None = None


class HostRequest(FrozenModel):
    """What a host is asked to do: to run one call, to run several that only read, or to poll a job.

    Attributes:
        v: the version of this form.
        not_after: no body starts after this time; None if any time will do.
    """

    v: Literal[1] = 1
    do: Literal["run", "poll"]
    run_id: str
    not_after: datetime | None = None
    calls: tuple[HostedCall, ...]


class HostAnswer(FrozenModel, extra="ignore"):
    """What became of one call. A host of newer code may say more.

    Attributes:
        path: the call's path.
        kind: `ok` and `error` are outcomes; `wait` means that the body returned a wait; `pending`
            that the job of a poll is not done; and `refused` that the body certainly did not run.
        content: the text for the model, or why the call was refused.
        wait: what the body returned, see `authoring.waits.wait_values`.
        shown: of a refused call, the arguments as they would be shown now.
        passes: of a refused call, whether trying again helps.
    """

    path: str
    kind: Literal["ok", "error", "wait", "pending", "refused"]
    content: str = ""
    wait: dict[str, Any] | None = None
    shown: dict[str, Any] | None = None
    passes: bool = False


class HostResponse(FrozenModel, extra="ignore"):
    """The answers of a host, one for each call of its request."""

    v: Literal[1] = 1
    answers: tuple[HostAnswer, ...]


class NotRun(Exception):
    """The host has certainly run no body of the request.

    Args:
        reason: for the run's note.
        passes: whether trying again helps, without a deployment.
        soon: whether to try again in seconds, because the host is busy.
    """

    def __init__(self, reason: str, *, passes: bool, soon: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.passes, self.soon = reason, passes, soon


class CallLost(Exception):
    """It is not known whether the host has run the bodies of the request.

    Args:
        reason: for the run's note.
        ended: whether none of them can be running any more.
    """

    def __init__(self, reason: str, *, ended: bool) -> None:
        super().__init__(reason)
        self.reason, self.ended = reason, ended


class ToolHosts(Protocol):
    """The hosts of a deployment, by name."""

    def timeout(self, host: str) -> float | None:
        """After how many seconds a host ends a body; None if it runs in the engine's process.

        Raises:
            NotRun: there is no host of this name.
        """

    def invoke(self, host: str, request: HostRequest) -> HostResponse:
        """Have the bodies of a request run, each at most once.

        Raises:
            NotRun: none has run.
            CallLost: some may have run.
            KeyboardInterrupt: a body in the engine's own process was interrupted.
        """


HostsFactory: TypeAlias = Callable[[], ToolHosts]
"""Makes the hosts anew for each execution: a connection may be dead after a frozen process."""
