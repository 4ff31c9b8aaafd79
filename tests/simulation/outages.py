"""Correlated outages: windows of minutes to hours in which services fail, alone or together."""

from dataclasses import dataclass
from random import Random
from typing import Any, Literal, TypeAlias

from botocore.exceptions import ClientError

Service: TypeAlias = Literal[
    "reads", "writes", "transactions", "s3 get", "s3 put", "sqs", "model", "key", "mail"
]
Error: TypeAlias = Literal["throttled", "failing", "silent", "unanswered"]

DYNAMODB: tuple[Service, ...] = ("reads", "writes", "transactions")
S3: tuple[Service, ...] = ("s3 get", "s3 put")
OTHERS: tuple[Service, ...] = ("sqs", "model", "key", "mail")
EVERY = (*DYNAMODB, *S3, *OTHERS)
ERRORS: tuple[Error, ...] = ("throttled", "failing", "silent", "unanswered")
SHARE = 0.2
LONGEST_SECONDS = 3 * 3600.0

SERVICE_OF: dict[str, Service] = {
    "GetItem": "reads",
    "Query": "reads",
    "BatchGetItem": "reads",
    "PutItem": "writes",
    "UpdateItem": "writes",
    "TransactWriteItems": "transactions",
    "GetObject": "s3 get",
    "PutObject": "s3 put",
    "SendMessage": "sqs",
}


@dataclass(frozen=True)
class Outage:
    """One window.

    Attributes:
        services: the services that fail.
        since, until: in seconds.
        error: how requests fail; `silent` ones get no answer and have no effect, `unanswered` ones
            have one.
        share: the share of the requests that fail.
    """

    services: tuple[Service, ...]
    since: float
    until: float
    error: Error
    share: float


def drawn_outages(seed: int) -> tuple[Outage, ...]:
    """The outages of a seed: none in most worlds."""
    random = Random(f"outages {seed}")
    if random.random() >= SHARE:
        return ()
    return tuple(_drawn(random) for _ in range(random.choice([1, 1, 2, 3])))


def _drawn(random: Random) -> Outage:
    together = random.choice(["one", "one", "dynamodb", "s3", "aws", "some", "everything"])
    services: dict[str, tuple[Service, ...]] = {
        "one": (random.choice(EVERY),),
        "dynamodb": DYNAMODB,
        "s3": S3,
        "aws": (*DYNAMODB, *S3, "sqs"),
        "some": tuple(random.sample(EVERY, random.randint(2, 5))),
        "everything": EVERY,
    }
    since = random.uniform(0, 1500)
    seconds = random.choice([120.0, 600.0, 1800.0, 3600.0, 7200.0]) * random.uniform(0.5, 1.5)
    return Outage(
        services=services[together],
        since=since,
        until=since + min(seconds, LONGEST_SECONDS),
        error=random.choice(ERRORS),
        share=random.choice([1.0, 1.0, 0.7]),
    )


def outage_error(operation: str, error: Error) -> ClientError:
    """How a service refuses a request in an outage."""
    if error == "throttled" and operation == "TransactWriteItems":
        response: Any = {
            "Error": {"Code": "TransactionCanceledException", "Message": "simulated"},
            "CancellationReasons": [{"Code": "ThrottlingError"}, {"Code": "None"}],
        }
        return ClientError(response, operation)
    throttled = {
        "reads": "ProvisionedThroughputExceededException",
        "writes": "ProvisionedThroughputExceededException",
        "s3 get": "SlowDown",
        "s3 put": "SlowDown",
    }
    code = throttled.get(SERVICE_OF[operation], "ThrottlingException")
    code = code if error == "throttled" else "InternalServerError"
    return ClientError({"Error": {"Code": code, "Message": "simulated"}}, operation)
