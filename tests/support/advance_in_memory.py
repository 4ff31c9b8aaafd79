"""The function `advance` over a store in memory, with tools that fail and that write to the log.

    python -m tests.support.advance_in_memory

runs it in Lambda's own runtime until its runs wait. What it prints is what Lambda
sends to CloudWatch.
"""

import json
import logging
import sys
import time
from typing import Any, NoReturn

from awslambdaric import bootstrap  # type: ignore[import-untyped]
from awslambdaric.lambda_runtime_client import InvocationRequest  # type: ignore[import-untyped]
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller  # type: ignore[import-untyped]

from agent_continuations import Agent, Approval, InMemoryStore, ScriptedModel, calls, say, tool
from agent_continuations.authoring.registry import Registry
from agent_continuations.bootstrap import engine
from agent_continuations.engine.runner import Runner
from agent_continuations.services.services import Services
from tests.support.lambda_invocation import example
from tests.support.recording_queue import RecordingQueue

RUN_KEYS = ("one", "two")
NOISE = "a line of a client, with a request"


@tool(effect="read")
def look(secret: str) -> str:
    """Look."""
    logging.getLogger("agents.example").info("looked", extra={"seen": 1})
    logging.getLogger("agents.example").debug("details")
    for client in ("botocore.endpoint", "openai._base_client", "slack_sdk.web.client", "urllib3"):
        for level in (logging.DEBUG, logging.INFO):
            logging.getLogger(client).log(level, NOISE)
    logging.getLogger("botocore.retries").warning("throttled")
    return f"{secret}\n\u2028\ud800 seen"


@tool(effect="read")
def fail(secret: str) -> str:
    """Fail."""
    raise LookupError(f"not found\n{'x' * 100_000}{secret}")


@tool(approval=Approval(["ann@example.com"]))
def pay(secret: str) -> str:
    """Pay."""
    raise AssertionError


def _runner() -> tuple[Runner, list[str]]:
    secret = {"secret": "zz-secret-zz"}
    asks = calls(("look", secret), ("fail", secret), ("pay", secret))
    store, registry = InMemoryStore(), Registry([Agent("clerk", tools=[look, fail, pay])])
    services = Services.of(store=store, queue=RecordingQueue(), registry=lambda: registry)
    runs = [services.runs.start("clerk", "zz-secret-zz", key=key).run_id for key in RUN_KEYS]
    model = ScriptedModel({"clerk": [asks, say("zz-secret-zz")]})
    queue = RecordingQueue()
    operators = ["operator@example.com"]
    return Runner(
        store=store, model=model, registry=registry, queue=queue, operators=operators
    ), runs


class _Invocations:
    """Lambda's runtime API: one invocation for each run, and one with a broken message."""

    marshaller = LambdaMarshaller()

    def __init__(self, runs: list[str]) -> None:
        self._bodies = [*(json.dumps({"run_id": each}) for each in runs), "{"]

    def wait_next_invocation(self) -> InvocationRequest:
        if not self._bodies:
            sys.exit(0)
        event = example("advance")
        event["Records"][0]["body"] = self._bodies.pop(0)
        return InvocationRequest(
            invoke_id=f"request-{len(self._bodies)}",
            invocation_id=None,
            tenant_id=None,
            x_amzn_trace_id=None,
            invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:advance",
            deadline_time_in_ms=int(1000 * (time.time() + 900)),
            client_context=None,
            cognito_identity=None,
            content_type="application/json",
            event_body=json.dumps(event),
        )

    def post_invocation_result(self, *_given: Any) -> None: ...

    def post_invocation_error(self, *given: Any) -> NoReturn:
        raise AssertionError(given)


def _main() -> None:
    runner, runs = _runner()
    engine.runner = lambda *_: runner  # type: ignore[assignment]
    client: Any = _Invocations(runs)
    bootstrap.run("advance.app.handler", client)


if __name__ == "__main__":
    _main()
