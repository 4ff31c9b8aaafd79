"""The callers that the deployment knows: lists in the parameter store, numbered from 1."""

import os
from collections.abc import Iterator
from itertools import count

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.auth.callers import Callers
from agent_continuations.bootstrap.aws import client, refreshed_every
from agent_continuations.errors import Retryable

CALLERS_SECONDS = 60


@refreshed_every(CALLERS_SECONDS)
def callers() -> Callers:
    """The callers, at most a minute old.

    Raises:
        Fatal: a list cannot be read.
        Retryable: the parameter store does not answer.
    """
    return Callers.read(_lists(os.environ["CALLERS_PATH"]))


def _lists(path: str) -> Iterator[tuple[str, str]]:
    """The name and the text of each list. There may be several, because a parameter has 4 KB."""
    for number in count(1):
        name = f"{path}/{number}"
        try:
            yield name, client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                return
            raise Retryable("the callers cannot be read") from error
        except BotoCoreError as error:
            raise Retryable("the callers cannot be read") from error
