"""The callers that the deployment knows, each in a parameter of its own below one path."""

import os
from collections.abc import Iterator

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.auth.callers import Callers
from agent_continuations.bootstrap.aws import client, refreshed_every
from agent_continuations.errors import Retryable

CALLERS_SECONDS = 60


@refreshed_every(CALLERS_SECONDS)
def callers() -> Callers:
    """The callers, at most a minute old.

    Raises:
        Fatal: one of them cannot be read.
        Retryable: the parameter store does not answer.
    """
    try:
        return Callers.read(_parameters(os.environ["CALLERS_PATH"]))
    except (ClientError, BotoCoreError) as error:
        raise Retryable("the callers cannot be read") from error


def _parameters(path: str) -> Iterator[tuple[str, str]]:
    pages = client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path)
    for page in pages:
        for each in page["Parameters"]:
            yield each["Name"], each["Value"]
