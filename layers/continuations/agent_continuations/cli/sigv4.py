"""Requests signed as API Gateway wants them: Signature Version 4, by AWS's own code."""

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
    """The region of an API Gateway, by its name; None for any other host."""
    found = _GATEWAY_HOST.search(host)
    return found[1] if found and found.end() == len(host) else None


class Signature(httpx2.Auth):
    """Signs each request anew, since a signature is good for minutes only.

    Args:
        host: which is called; if it names a region, that one is signed for.
        profile: of the AWS configuration; the default one where not given.
        region: where neither the host nor the profile says it.

    Raises:
        Misused: there are no credentials, or no region.
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
            raise InvalidUsage("there are no AWS credentials to sign with")
        if not found:
            raise InvalidUsage("no region to sign for: give --region or AWS_REGION")
        self._credentials, self._region = credentials, str(found)

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Put the signature on a request."""
        kept = {name: request.headers[name] for name in _SIGNED_HEADERS if name in request.headers}
        signed = AWSRequest(
            method=request.method, url=str(request.url), data=request.content, headers=kept
        )
        try:
            # The default chain may have to ask somebody, and its credentials may have expired.
            frozen = self._credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise InvalidUsage(str(error)) from None
        SigV4Auth(frozen, SERVICE, self._region).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        yield request
