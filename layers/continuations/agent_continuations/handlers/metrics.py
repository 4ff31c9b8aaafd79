"""Metrics: counts, logged in CloudWatch's embedded metric format."""

from collections.abc import Callable

from aws_lambda_powertools.metrics import MetricUnit, single_metric


def counter(service: str) -> Callable[..., None]:
    """A function that counts something of a service: `count("RunsStarted")`."""

    def count(name: str, value: float = 1) -> None:
        dimensions = {"service": service}
        with single_metric(name, MetricUnit.Count, value, default_dimensions=dimensions):
            pass

    return count
