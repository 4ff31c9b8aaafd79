"""Signature Version 4 for API Gateway, computed by botocore."""

import re
from collections.abc import Generator

import httpx2
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from agent_continuations.cli.exit_codes import InvalidUsage

SERVICE = "execute-api"
_GATEWAY_HOST = re.compile(r"\.execute-api\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?")
_SIGNED_HEADERS = ("Content-Type", "Idempotency-Key")


def gateway_region(host: str) -> str | None:
    """Returns the region in an API Gateway's host name; None for any other host."""
    found = _GATEWAY_HOST.search(host)
    return found[1] if found and found.end() == len(host) else None


class Signature(httpx2.Auth):
    """Signs each request when it is sent, since a signature expires after minutes.

    Args:
        host: host name of the API; a region in it takes precedence.
        profile: AWS profile; the default profile if None.
        region: AWS region, unless the host name contains one.

    Raises:
        InvalidUsage: credentials or region are missing.
    """

    requires_request_body = True

    def __init__(self, host: str, *, profile: str | None, region: str | None) -> None:
        try:
            session = Session(profile=profile)
            found = gateway_region(host) or region or session.get_config_variable("region")
            credentials = session.get_credentials()
        except (BotoCoreError, ClientError) as error:
            raise InvalidUsage(str(error)) from None
        if credentials is None:
            raise InvalidUsage("no AWS credentials to sign requests with")
        if not found:
            raise InvalidUsage("no AWS region to sign for: give --region or set AWS_REGION")
        self._credentials, self._region = credentials, str(found)

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Adds the signature to a request."""
        kept = {name: request.headers[name] for name in _SIGNED_HEADERS if name in request.headers}
        signed = AWSRequest(
            method=request.method, url=str(request.url), data=request.content, headers=kept
        )
        try:
            # The credential chain may call a service here, and credentials may have expired.
            frozen = self._credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise InvalidUsage(str(error)) from None
        SigV4Auth(frozen, SERVICE, self._region).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        yield request
