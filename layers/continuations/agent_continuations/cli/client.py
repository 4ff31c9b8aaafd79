"""The HTTP API as this client calls it: retries, and errors that say what the service said."""

import random
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from agent_continuations.cli.exit_codes import CliError, InvalidUsage, Refused, ServiceUnavailable
from agent_continuations.cli.sigv4 import Signature, gateway_region

# Seconds between tries; the service's own word for it comes first, up to the longest.
RETRY_PAUSES_SECONDS = (0.25, 0.75, 2.0)
MAX_RETRY_PAUSE_SECONDS = 20.0
BUSY_STATUSES = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
# API Gateway gives up after 29 seconds, and a long poll is 20 of them.
TIMEOUT = httpx2.Timeout(35.0, connect=5.0)
_NOT_SENT_ERRORS = (httpx2.ConnectError, httpx2.ConnectTimeout)


class ApiClient:
    """Calls the API and gives its JSON.

    Args:
        url: the API's base.
        sign: whether to sign requests to hosts that are no API Gateway, too.
        profile: of the AWS configuration.
        region: to sign for, where the host does not name it.

    Raises:
        Fault: the address is none, or requests cannot be signed.
    """

    def __init__(
        self,
        url: str,
        *,
        sign: bool = False,
        profile: str | None = None,
        region: str | None = None,
    ) -> None:
        try:
            base = httpx2.URL(url)
        except httpx2.InvalidURL:
            base = httpx2.URL("")
        if base.scheme not in ("http", "https") or not base.host:
            raise InvalidUsage(f"this is no http address: {url}")
        signed = sign or gateway_region(base.host) is not None
        self._auth = Signature(base.host, profile=profile, region=region) if signed else None
        self._host, self._base = base.host, url.rstrip("/")
        self._client = httpx2.Client(timeout=TIMEOUT, auth=self._auth)

    def get(self, path: str, query: Mapping[str, str | int | None] | None = None) -> Any:
        """What is at a path.

        Args:
            path: below the base, each part quoted.
            query: parameters; those that are None are left out.

        Raises:
            Fault: the service refuses, or cannot be reached.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        # With %20 and not +, as a signature wants it.
        text = f"?{urlencode(given, quote_via=quote, safe='')}" if given else ""
        return self._call(httpx2.Request("GET", f"{self._base}{path}{text}"))

    def post(
        self, path: str, body: Any = None, *, key: str | None = None, repeatable: bool = True
    ) -> Any:
        """Tell the service something.

        Args:
            path: below the base, each part quoted.
            body: a JSON value.
            key: the Idempotency-Key, by which the service knows it when it is sent once more.
            again: whether it may be sent once more when it is not known whether it arrived.

        Raises:
            Fault: the service refuses, or cannot be reached.
        """
        headers = {"Idempotency-Key": key} if key else {}
        request = httpx2.Request(
            "POST", f"{self._base}{path}", json={} if body is None else body, headers=headers
        )
        return self._call(request, repeatable=repeatable)

    def _call(self, request: httpx2.Request, *, repeatable: bool = True) -> Any:
        for seconds in RETRY_PAUSES_SECONDS:
            try:
                response = self._client.send(request)
            except httpx2.RequestError as error:
                if not repeatable and not isinstance(error, _NOT_SENT_ERRORS):
                    raise self._unreachable(error) from None
            else:
                if not repeatable or response.status_code not in BUSY_STATUSES:
                    return self._read_response(response)
                seconds = _retry_after(response) or seconds
            time.sleep(min(seconds, MAX_RETRY_PAUSE_SECONDS) * random.uniform(0.75, 1.25))
        try:
            return self._read_response(self._client.send(request))
        except httpx2.RequestError as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: httpx2.RequestError) -> ServiceUnavailable:
        why = str(error) or type(error).__name__
        return ServiceUnavailable(f"{self._host} cannot be reached: {why}")

    def _read_response(self, response: httpx2.Response) -> Any:
        document: Any = None
        try:
            document = response.json()
        except (ValueError, RecursionError):
            if response.is_success:
                why = f"{self._host} answers, but not in JSON: is this the API's address?"
                raise ServiceUnavailable(why) from None
        if response.is_success:
            return document
        busy = response.status_code in BUSY_STATUSES or response.is_server_error
        kind: type[CliError] = ServiceUnavailable if busy else Refused
        raise kind(_problem_text(response, document if isinstance(document, dict) else {}))


def _retry_after(response: httpx2.Response) -> float | None:
    """How long the service asks us to wait, in seconds."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _problem_text(response: httpx2.Response, problem: Mapping[str, Any]) -> str:
    """A problem document (RFC 9457), or what API Gateway says in its place, in one line."""
    code = f"HTTP {response.status_code} {response.reason_phrase}"
    detail = problem.get("detail") or problem.get("message") or problem.get("Message") or code
    found = problem.get("errors")
    faults = [
        f"{each.get('field')}: {each.get('message') or each.get('detail')}"
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, dict)
    ]
    stands = problem.get("decision")
    if isinstance(stands, dict):
        who = f"{stands.get('decision') or stands.get('verdict')} by {stands.get('approver')}"
        faults.append(f"what stands: {who}")
    return f"{detail} ({'; '.join(faults)})" if faults else str(detail)
