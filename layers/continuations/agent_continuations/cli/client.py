"""HTTP client of the API: retries, and errors with the service's own explanation."""

import random
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from agent_continuations.adapters.retry_after import retry_after_seconds
from agent_continuations.cli.exit_codes import CliError, InvalidUsage, Refused, ServiceUnavailable
from agent_continuations.cli.sigv4 import Signature, gateway_region
from agent_continuations.ports.clock import utc_now

# Seconds between attempts. A Retry-After header takes precedence, up to the maximum.
RETRY_PAUSES_SECONDS = (0.25, 0.75, 2.0)
MAX_RETRY_PAUSE_SECONDS = 20.0
BUSY_STATUSES = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
# API Gateway times out after 29 seconds; a long poll takes up to 20.
TIMEOUT = httpx2.Timeout(35.0, connect=5.0)
_NOT_SENT_ERRORS = (httpx2.ConnectError, httpx2.ConnectTimeout)


class ApiClient:
    """Calls the API and returns its JSON.

    Args:
        url: base URL of the API.
        sign: whether to sign requests to hosts other than API Gateway.
        profile: AWS profile to sign with.
        region: AWS region to sign for, unless the host name contains it.

    Raises:
        InvalidUsage: the URL is invalid, or credentials or region are missing.
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
            raise InvalidUsage(f"not an HTTP URL: {url}")
        signed = sign or gateway_region(base.host) is not None
        self._auth = Signature(base.host, profile=profile, region=region) if signed else None
        self._host, self._base = base.host, url.rstrip("/")
        self._client = httpx2.Client(timeout=TIMEOUT, auth=self._auth)

    def get(self, path: str, query: Mapping[str, str | int | None] | None = None) -> Any:
        """Sends a GET request.

        Args:
            path: path below the base URL, each segment percent-encoded.
            query: query parameters; those that are None are omitted.

        Raises:
            Refused: the service refuses the request.
            ServiceUnavailable: the service is unreachable or overloaded, or it failed.
        """
        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        # Signature Version 4 requires %20 for a space, not +.
        suffix = f"?{urlencode(parameters, quote_via=quote, safe='')}" if parameters else ""
        return self._call(httpx2.Request("GET", f"{self._base}{path}{suffix}"))

    def post(
        self, path: str, body: Any = None, *, key: str | None = None, repeatable: bool = True
    ) -> Any:
        """Sends a POST request.

        Args:
            path: path below the base URL, each segment percent-encoded.
            body: JSON value.
            key: Idempotency-Key, by which the service recognizes a repeated request.
            repeatable: whether to send the request again if it is unknown whether it arrived.

        Raises:
            Refused: the service refuses the request.
            ServiceUnavailable: the service is unreachable or overloaded, or it failed.
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
                seconds = (
                    retry_after_seconds(response.headers.get("Retry-After"), utc_now()) or seconds
                )
            time.sleep(min(seconds, MAX_RETRY_PAUSE_SECONDS) * random.uniform(0.75, 1.25))
        try:
            return self._read_response(self._client.send(request))
        except httpx2.RequestError as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: httpx2.RequestError) -> ServiceUnavailable:
        cause = str(error) or type(error).__name__
        return ServiceUnavailable(f"{self._host} cannot be reached: {cause}")

    def _read_response(self, response: httpx2.Response) -> Any:
        document: Any = None
        try:
            document = response.json()
        except (ValueError, RecursionError):
            if response.is_success:
                message = f"{self._host} did not return JSON; check that the URL is the API's"
                raise ServiceUnavailable(message) from None
        if response.is_success:
            return document
        unavailable = response.status_code in BUSY_STATUSES or response.is_server_error
        error_type: type[CliError] = ServiceUnavailable if unavailable else Refused
        raise error_type(_problem_text(response, document if isinstance(document, dict) else {}))


def _problem_text(response: httpx2.Response, problem: Mapping[str, Any]) -> str:
    """Formats a problem document (RFC 9457), or API Gateway's own error, as one line."""
    status = f"HTTP {response.status_code} {response.reason_phrase}"
    detail = problem.get("detail") or problem.get("message") or problem.get("Message") or status
    errors = problem.get("errors")
    notes = [
        f"{each.get('field')}: {each.get('message') or each.get('detail')}"
        for each in (errors if isinstance(errors, list) else [])
        if isinstance(each, dict)
    ]
    decision = problem.get("decision")
    if isinstance(decision, dict):
        verdict = decision.get("decision") or decision.get("verdict")
        notes.append(f"current decision: {verdict} by {decision.get('approver')}")
    return f"{detail} ({'; '.join(notes)})" if notes else str(detail)
