"""Outcomes that a tool host reports beside its answer.

The answer to an invocation of minutes may be lost: its caller may have died, or a network may have
forgotten the connection.
"""

from collections.abc import Iterator

from agent_continuations.core.outcome import Outcome
from agent_continuations.ports.inbound_queue import OutcomeMessage, returnable
from agent_continuations.ports.tool_host import (
    LATE_SECONDS,
    HostAnswer,
    HostRequest,
    HostResponse,
)


def late_outcomes(
    request: HostRequest, response: HostResponse, seconds: float
) -> Iterator[OutcomeMessage]:
    """The messages with the outcomes of a request that took so many seconds.

    The outcomes of reads are not reported, for a read simply runs again; nor is a wait, which is no
    outcome.
    """
    if seconds < LATE_SECONDS:
        return
    tokens = {each.path: each.outcome_token for each in request.calls}
    for answer in response.answers:
        token = tokens.get(answer.path)
        if token is None:
            continue
        match answer:
            case HostAnswer(kind="ok" | "error" as kind):
                outcome = Outcome(kind=kind, content=answer.content)
                yield OutcomeMessage(token=token, outcome=returnable(outcome))
