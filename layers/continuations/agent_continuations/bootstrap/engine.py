"""The engine: the model service, and the runner that advances runs.

Both are imported when the first run is advanced, not when this module is.
"""

import logging
import os
import sys
from functools import cache
from typing import TYPE_CHECKING

from agent_continuations.bootstrap.aws import secret
from agent_continuations.bootstrap.links import callback_url
from agent_continuations.bootstrap.routes import operators, routes
from agent_continuations.bootstrap.services import queue, registry, store
from agent_continuations.ports.model import Model

if TYPE_CHECKING:
    from agent_continuations.engine.runner import Runner


@cache
def model() -> Model:
    """The model service that the deployment names."""
    from agent_continuations.adapters.models.openai import OpenAIModel

    return OpenAIModel(
        api_key=secret(os.environ["MODEL_SECRET"])["api_key"] or "none",
        base_url=os.environ.get("OPENAI_BASE_URL") or None,
        model=os.environ["MODEL"],
    )


@cache
def runner() -> "Runner":
    """The runner that advances runs."""
    from agent_continuations.engine.runner import Runner

    return Runner(
        store=store(),
        model=model(),
        registry=registry(),
        queue=queue(),
        recipients=routes(),
        operators=operators(),
        abandon=_end_process,
        callback_url=callback_url,
    )


def _end_process() -> None:
    """End this Lambda's process, because an abandoned tool is still running in it.

    When a handler returns, its process is only frozen: the next invocation would resume the tool,
    long after people were notified that it can no longer be running.
    """
    logging.shutdown()
    sys.stdout.flush()
    os._exit(1)
