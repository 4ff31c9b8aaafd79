"""What an OpenID Connect provider publishes of itself: its endpoints and its keys.

OpenID Connect Discovery 1.0; RFC 7517 for the keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import jwt
import urllib3

from agent_continuations.errors import Fatal, Retryable

METADATA_SECONDS = 600
REFETCH_SECONDS = 30
FAILURE_SECONDS = 10
STALE_SECONDS = 24 * 3600
CONNECT_SECONDS, READ_SECONDS = 2.0, 5.0

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The published metadata and keys.

    Attributes:
        document: the metadata as published.
        keys: the keys that sign tokens.
        read_at: when they were read, in seconds of the cache's clock.
    """

    document: Mapping[str, Any]
    keys: tuple[jwt.PyJWK, ...]
    read_at: float

    def endpoint(self, name: str) -> str:
        """The address of an endpoint, such as `token_endpoint`.

        Raises:
            Fatal: none is published, or one whose responses can be changed in transit.
        """
        return _endpoint(self.document, name)


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Retryable | Fatal
    at: float


class MetadataCache:
    """The metadata of a provider, read when it is needed.

    A provider that fails, in whatever way, is asked every `FAILURE_SECONDS` at most. Until it
    answers, what it published last is used for a day.

    Args:
        url: the issuer, spelled as the provider spells it.
        clock: the time in seconds, to measure the age of the metadata.
    """

    def __init__(self, url: str, clock: Callable[[], float] = monotonic) -> None:
        self._url = url
        self._clock = clock
        self._kept: Metadata | None = None
        self._failure: _Failure | None = None

    def current(self) -> Metadata:
        """The metadata, at most ten minutes old, or a day while the provider fails.

        Raises:
            Retryable: the provider is not responding, and nothing is known of it.
            Fatal: the provider does not match the configuration, and nothing is known of it.
        """
        kept = self._kept
        if kept and self._age(kept.read_at) <= METADATA_SECONDS:
            return kept
        try:
            return self._read()
        except (Retryable, Fatal):
            if kept and self._age(kept.read_at) <= STALE_SECONDS:
                return kept
            raise

    def newest(self) -> Metadata:
        """The metadata, at most 30 seconds old.

        Raises:
            Retryable: the provider is not responding.
            Fatal: the provider does not match the configuration.
        """
        kept = self._kept
        if kept and self._age(kept.read_at) <= REFETCH_SECONDS:
            return kept
        return self._read()

    def _age(self, at: float) -> float:
        return self._clock() - at

    def _read(self) -> Metadata:
        failure = self._failure
        if failure and self._age(failure.at) <= FAILURE_SECONDS:
            # A new exception, because the same one would collect the callers' frames.
            raise type(failure.error)(str(failure.error))
        try:
            self._kept = _published(self._url, self._clock())
        except (Retryable, Fatal) as error:
            self._failure = _Failure(error.with_traceback(None), self._clock())
            raise
        self._failure = None
        return self._kept


def request(method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
    """The status of a response, and its JSON object, empty if it has none.

    Raises:
        Retryable: the provider is not responding.
        Fatal: the address is not safe.
    """
    # Requests are too rare to keep a connection.
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    try:
        with urllib3.PoolManager(retries=False, timeout=timeout) as pool:
            answer = pool.request(method, _safe(url), redirect=False, **more)
    except urllib3.exceptions.HTTPError:
        raise Retryable("the identity provider is not responding") from None
    status = answer.status
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Retryable("the identity provider is unavailable")
    try:
        document = answer.json()
    except (ValueError, RecursionError):
        document = None
    return status, document if isinstance(document, dict) else {}


def _published(url: str, now: float) -> Metadata:
    document = _document(f"{url.removesuffix('/')}/.well-known/openid-configuration")
    if document.get("issuer") != url:  # Discovery, 4.3
        raise Fatal(f"the issuer is {document.get('issuer')}, not {url}")
    return Metadata(document, _signing_keys(_document(_endpoint(document, "jwks_uri"))), now)


def _document(url: str) -> dict[str, Any]:
    status, document = request("GET", url)
    if status != HTTPStatus.OK:
        raise Fatal(f"the identity provider returned {status} for {url}")
    return document


def _signing_keys(document: Mapping[str, Any]) -> tuple[jwt.PyJWK, ...]:
    """The keys; encryption keys and unknown key types are left out."""
    try:
        keys = jwt.PyJWKSet.from_dict(dict(document)).keys
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        keys = []
    signing = tuple(each for each in keys if each.public_key_use in (None, "sig"))
    if not signing:
        raise Fatal("the identity provider publishes no usable key")
    return signing


def _endpoint(document: Mapping[str, Any], name: str) -> str:
    url = document.get(name)
    if not isinstance(url, str):
        raise Fatal(f"the identity provider publishes no {name}")
    return _safe(url)


def _safe(url: str) -> str:
    """The address, if its responses cannot be changed in transit."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Fatal(f"{url} is no address") from None
    if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise Fatal(f"{url} must use https, or be on this machine")
    return url
