"""The engine: the model service, and the runner that advances runs.

Both are imported when the first run is advanced, not when this module is.
"""

import logging
import os
import sys
from collections.abc import Callable, Collection
from functools import cache
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.bootstrap.agents import registry
from agent_continuations.bootstrap.aws import recent_secret
from agent_continuations.bootstrap.links import callback_url, outcome_tokens
from agent_continuations.bootstrap.routes import operators
from agent_continuations.bootstrap.services import queue, store
from agent_continuations.errors import Fatal, ModelRefused, ModelUnavailable
from agent_continuations.ports.model import Model

if TYPE_CHECKING:
    from agent_continuations.authoring.registry import Registry
    from agent_continuations.engine.runner import Runner


@cache
def model() -> Model:
    """The model service that the deployment names."""
    from agent_continuations.adapters.models.openai import OpenAIModel

    return OpenAIModel(
        api_key=_ModelKey(os.environ["MODEL_SECRET"]),
        base_url=os.environ.get("OPENAI_BASE_URL") or None,
        model=os.environ["MODEL"],
    )


class _ModelKey:
    """The key in the secret of the model service; see `ApiKey`.

    It is read when a model is called, not when the runner is made: a run must be claimed to say
    that its model's key cannot be read.
    """

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def value(self) -> str:
        try:
            key = recent_secret(self._arn)["api_key"] or ""
        except ClientError as error:
            raise _unreadable(error.response["Error"]["Code"]) from error
        except BotoCoreError as error:
            raise _unreadable(type(error).__name__) from error
        except (ValueError, LookupError, TypeError):
            key = None
        if not isinstance(key, str):
            raise ModelRefused('the secret of the model service\'s key must be {"api_key": "..."}')
        return key.strip() or "none"  # some servers take any key

    def renewed(self) -> str:
        recent_secret.cache_clear()
        return self.value()


def _unreadable(reason: str) -> ModelUnavailable:
    return ModelUnavailable(f"the secret of the model service's key cannot be read: {reason}")


@cache
def runner(on_blocked: Callable[[], None] = lambda: None) -> "Runner":
    """The runner that advances runs.

    Args:
        on_blocked: see `EngineContext`.

    Raises:
        Fatal: a tool names a host that is not deployed, or the hosts cannot be read.
    """
    from agent_continuations.adapters.hosts.aws_lambda import LambdaToolHosts, read_hosts
    from agent_continuations.engine.runner import Runner

    hosts = read_hosts(os.environ["TOOL_HOSTS"])
    check_hosts(registry(), hosts)
    return Runner(
        store=store(),
        model=model(),
        registry=registry(),
        queue=queue(),
        operators=operators(),
        abandon=_end_process,
        hosts=lambda: LambdaToolHosts(hosts),
        callback_url=callback_url,
        outcome_token=lambda run_id, path, attempt: outcome_tokens().token(run_id, path, attempt),
        on_blocked=on_blocked,
    )


def check_hosts(agents: "Registry", hosts: Collection[str]) -> None:
    """Check that the host of each tool is deployed.

    Raises:
        Fatal: one is not.
    """
    from agent_continuations.authoring.tool import Tool

    for agent in agents.agents:
        for each in agent.tools:
            if isinstance(each, Tool) and each.host not in hosts:
                raise Fatal(
                    f"the tool {each.name} of the agent {agent.name} runs in the host"
                    f" {each.host!r}, and TOOL_HOSTS names {', '.join(sorted(hosts)) or 'none'}"
                )


def _end_process() -> None:
    """End this Lambda's process, because an abandoned tool is still running in it.

    When a handler returns, its process is only frozen: the next invocation would resume the tool,
    long after people were notified that it can no longer be running.
    """
    logging.shutdown()
    sys.stdout.flush()
    os._exit(1)
