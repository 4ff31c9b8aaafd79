"""What a tool host uses beside the agents."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_continuations.ports.inbound_queue import InboundQueue


@cache
def outcome_reports() -> "InboundQueue":
    """The queue to which a host reports outcomes. It gives up within ten seconds: the engine waits
    for the answer of the host.
    """
    import boto3
    from botocore.config import Config

    from agent_continuations.adapters.queues.sqs import SqsInboundQueue

    retries: Any = {"mode": "standard", "total_max_attempts": 2}
    config = Config(retries=retries, connect_timeout=2, read_timeout=3)
    return SqsInboundQueue(boto3.client("sqs", config=config), os.environ["INBOUND_QUEUE"])
