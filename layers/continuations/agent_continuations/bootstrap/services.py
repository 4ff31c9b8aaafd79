"""The tables, the queues, the agents, and the services over them."""

import os
from functools import cache

from agent_continuations.adapters.stores.dynamodb import (
    DynamoDBEndedSessions,
    DynamoDBInbox,
    DynamoDBStore,
)
from agent_continuations.bootstrap.agents import registry
from agent_continuations.bootstrap.aws import client
from agent_continuations.ports.ended_sessions import EndedSessions
from agent_continuations.ports.inbound_queue import InboundQueue
from agent_continuations.ports.inbox import Inbox
from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import Store
from agent_continuations.services.services import Services


@cache
def store() -> Store:
    """The tables and their bucket."""
    return DynamoDBStore(
        dynamodb=client("dynamodb"),
        s3=client("s3"),
        table=os.environ["TABLE"],
        bucket=os.environ["BUCKET"],
        outbox_table=os.environ["OUTBOX_TABLE"],
    )


@cache
def inbox() -> Inbox:
    """The inbox: the requests sent to each approver."""
    return DynamoDBInbox(client("dynamodb"), os.environ["OUTBOX_TABLE"])


@cache
def ended_sessions() -> EndedSessions:
    """The sessions that people have ended."""
    return DynamoDBEndedSessions(client("dynamodb"), os.environ["TABLE"])


@cache
def queue() -> WorkQueue:
    """The queues."""
    from agent_continuations.adapters.queues.sqs import SqsWorkQueue

    return SqsWorkQueue(
        sqs=client("sqs"),
        advance_queue=os.environ.get("ADVANCE_QUEUE", ""),
        resume_queue=os.environ.get("RESUME_QUEUE", ""),
        notify_queue=os.environ.get("NOTIFY_QUEUE", ""),
    )


@cache
def inbound_queue() -> InboundQueue:
    """The queue of the function that stores what others only verify."""
    from agent_continuations.adapters.queues.sqs import SqsInboundQueue

    return SqsInboundQueue(client("sqs"), os.environ["INBOUND_QUEUE"])


@cache
def services() -> Services:
    """The services of the deployment's one tenant."""
    return Services.of(store=store(), queue=queue(), registry=registry)
