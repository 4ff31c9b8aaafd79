"""Tool hosts whose functions run in this process, behind the JSON that Lambda would carry."""

import json
from collections.abc import Mapping
from typing import Any

from agent_continuations.adapters.hosts.aws_lambda import LambdaHost
from agent_continuations.ports.tool_host import HostRequest, HostResponse
from tests.support.lambda_invocation import Context
from tool_host.app import handler


class HandlerHosts:
    """In place of `LambdaToolHosts`: each request is one call of the function's handler."""

    def __init__(self, hosts: Mapping[str, LambdaHost]) -> None:
        self._hosts = hosts

    def timeout(self, host: str) -> float:
        return self._hosts[host].timeout

    def invoke(self, host: str, request: HostRequest) -> HostResponse:
        function = self._hosts[host].arn.rpartition(":")[2]
        event: dict[str, Any] = json.loads(request.model_dump_json())
        answer = handler(event, Context(function, self.timeout(host)))
        return HostResponse.model_validate_json(json.dumps(answer))
