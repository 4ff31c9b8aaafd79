"""AWS clients, and the secrets that the deployment names."""

import json
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, update_wrapper
from time import time
from typing import Any, Generic, ParamSpec, TypeVar

import boto3
from botocore.config import Config

SECRET_SECONDS = 60

_Arguments = ParamSpec("_Arguments")
_Made = TypeVar("_Made")


class _Refreshed(Generic[_Arguments, _Made]):
    """A function whose result is cached for `seconds`."""

    def __init__(self, make: Callable[_Arguments, _Made], seconds: int) -> None:
        anything: Callable[..., _Made] = make
        self._seconds = seconds
        self._cached = lru_cache(maxsize=4)(
            lambda _period, *args, **kwargs: anything(*args, **kwargs)
        )
        update_wrapper(self, make)

    def __call__(self, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Made:
        cached: Callable[..., _Made] = self._cached
        return cached(int(time() // self._seconds), *args, **kwargs)

    def cache_clear(self) -> None:
        """Drop the cached results."""
        self._cached.cache_clear()


def refreshed_every(
    seconds: int,
) -> Callable[[Callable[_Arguments, _Made]], _Refreshed[_Arguments, _Made]]:
    """Decorator for a function that reads a secret. Its result is cached for so many seconds, so
    that a rotated secret reaches warm containers.
    """
    return lambda make: _Refreshed(make, seconds)


@cache
def client(service: str) -> Any:
    """A client of an AWS service."""
    retries: Any = {"mode": "standard", "total_max_attempts": 5}
    return boto3.client(
        service,  # type: ignore[call-overload]
        config=Config(retries=retries, connect_timeout=2, read_timeout=20, max_pool_connections=32),
    )


def secret(arn: str) -> dict[str, Any]:
    """The current value of a secret."""
    value: dict[str, Any] = json.loads(
        client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    )
    return value


@refreshed_every(SECRET_SECONDS)
def recent_secret(arn: str) -> dict[str, Any]:
    """A secret's value, at most a minute old."""
    return secret(arn)


def keys(value: Mapping[str, Any]) -> list[str]:
    """The keys in a secret's value: the current one, then older ones that are still accepted."""
    return [value["current"], *value.get("previous", [])]
