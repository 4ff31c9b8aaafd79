"""Tool hosts that answer as the test says, in place of functions apart from the engine."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from agent_continuations.ports.tool_host import (
    CallLost,
    HostAnswer,
    HostedCall,
    HostRequest,
    HostResponse,
    NotRun,
)

HOST_SECONDS = 100.0

Answer: TypeAlias = HostResponse | NotRun | CallLost
Rule: TypeAlias = Callable[[HostRequest], Answer]


def each_call(answer: Callable[[HostedCall], HostAnswer]) -> Rule:
    """A host that answers each call of a request by itself."""
    return lambda request: HostResponse(answers=tuple(answer(each) for each in request.calls))


def ok(call: HostedCall) -> HostAnswer:
    """The answer to a call that went well."""
    return HostAnswer(path=call.path, kind="ok", content=f"{call.tool} {call.path}")


class ScriptedHosts:
    """Hosts of one timeout; see `ToolHosts`.

    Args:
        rules: what the hosts do with each request, in their order; the last one with all others.
        unknown: names of hosts that there are not.

    Attributes:
        seconds: the timeout of all hosts.
        requests: the requests that were sent, each with the name of its host.
    """

    def __init__(self, *rules: Rule, unknown: Sequence[str] = ()) -> None:
        self.seconds = HOST_SECONDS
        self.requests: list[tuple[str, HostRequest]] = []
        self._rules = list(rules) or [each_call(ok)]
        self._unknown = unknown

    def timeout(self, host: str) -> float:
        if host in self._unknown:
            raise NotRun(f"there is no host {host}", passes=False)
        return self.seconds

    def invoke(self, host: str, request: HostRequest) -> HostResponse:
        self.requests.append((host, request))
        rule = self._rules.pop(0) if len(self._rules) > 1 else self._rules[0]
        answer = rule(request)
        if isinstance(answer, HostResponse):
            return answer
        raise answer

    @property
    def sent(self) -> list[list[tuple[str, int]]]:
        """The path and the attempt of each call, by requests."""
        return [
            [(each.path, each.attempt) for each in request.calls] for _, request in self.requests
        ]
