"""Tool hosts that are Lambda functions, invoked synchronously, once for each attempt.

An invocation is never sent again, by nobody: not by the client, and not by what reads its answer.
What is not known here to mean that no body has run means that one may have run. The lists follow
Lambda's API reference for Invoke and its documents on errors of the environment.
"""

import json
from collections.abc import Mapping
from threading import Lock
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config
from pydantic import Field, TypeAdapter, ValidationError

from agent_continuations.core.base import FrozenModel
from agent_continuations.errors import Fatal
from agent_continuations.ports.tool_host import (
    HOST_GRACE_SECONDS,
    MAX_HOST_BYTES,
    MAX_HOST_SECONDS,
    CallLost,
    HostRequest,
    HostResponse,
    NotRun,
)

# No connection was made, or nothing could be signed: no byte of the request has left.
NOT_SENT = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.TokenRetrievalError,
    exceptions.ParamValidationError,
    exceptions.NoRegionError,
)
BUSY = (
    "TooManyRequestsException",
    "ThrottlingException",
    "Throttling",
    "RequestLimitExceeded",
)
# These pass: rights spread, functions are updated, environments are made.
PASSES = (
    "AccessDeniedException",
    "AccessDenied",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "ExpiredTokenException",
    "ResourceConflictException",
    "ResourceNotReadyException",
    "EC2",
    "ENILimitReached",
    "Subnet",
    "InvalidSubnet",
    "InvalidSecurityGroup",
    "KMS",
    "EFS",
    "SnapStart",
)
NEEDS_DEPLOYMENT = (
    "ResourceNotFoundException",
    "RequestTooLargeException",
    "RequestEntityTooLarge",
    "InvalidRequestContentException",
    "InvalidParameterValueException",
    "UnsupportedMediaTypeException",
    "InvalidRuntimeException",
    "InvalidZipFileException",
    "ValidationException",
)
MAX_NAME_CHARACTERS = 200
# The function's code could not be loaded, so it has not begun.
NOT_LOADED = (
    "Runtime.ImportModuleError",
    "Runtime.HandlerNotFound",
    "Runtime.UserCodeSyntaxError",
)


class LambdaHost(FrozenModel):
    """A host, as the deployment names it.

    Attributes:
        arn: the function.
        timeout: its timeout in seconds.
    """

    arn: str
    timeout: float = Field(gt=0, le=MAX_HOST_SECONDS)


_HOSTS = TypeAdapter(dict[str, LambdaHost])


def read_hosts(text: str) -> dict[str, LambdaHost]:
    """Parses hosts: `{"tools": {"arn": "arn:aws:lambda:...", "timeout": 300}}`.

    Raises:
        Fatal: the JSON is invalid, or a timeout is too long.
    """
    try:
        return _HOSTS.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        at = " at " + ".".join(map(str, first["loc"])) if first["loc"] else ""
        raise Fatal(f"the tool hosts cannot be read: {first['msg']}{at}") from None


class LambdaToolHosts:
    """Hosts that are Lambda functions; see `ToolHosts`.

    Clients are made anew with this object, when they are needed. A connection that a network
    forgot while the process was frozen looks alive: a request on it would be lost, and its call in
    doubt.

    Args:
        hosts: the hosts by name.
        **client: options of the client, such as its region.
    """

    def __init__(self, hosts: Mapping[str, LambdaHost], **client: Any) -> None:
        self._hosts = hosts
        self._options = client
        self._clients: dict[float, Any] = {}
        self._making = Lock()

    def _client(self, timeout: float) -> Any:
        # Hosts are invoked by several threads, and boto3's default session is not made for that.
        with self._making:
            if timeout not in self._clients:
                self._clients[timeout] = self._made(timeout)
            return self._clients[timeout]

    def _made(self, timeout: float) -> Any:
        retries: Any = {"mode": "standard", "total_max_attempts": 1}
        config = Config(
            retries=retries,
            connect_timeout=2,
            read_timeout=timeout + HOST_GRACE_SECONDS,
            tcp_keepalive=True,
            max_pool_connections=32,
        )
        return boto3.client("lambda", config=config, **self._options)

    def timeout(self, host: str) -> float:
        """The timeout of a host's function in seconds.

        Raises:
            NotRun: there is no host of this name.
        """
        return self._host(host).timeout

    def invoke(self, host: str, request: HostRequest) -> HostResponse:
        """Invoke a host's function once.

        Raises:
            NotRun: no body has run.
            CallLost: a body may have run.
        """
        function = self._host(host)
        body = request.model_dump_json().encode()
        if len(body) > MAX_HOST_BYTES:
            raise NotRun(f"the request is too large for the host {host}", passes=False)
        try:
            response = self._client(function.timeout).invoke(
                FunctionName=function.arn, InvocationType="RequestResponse", Payload=body
            )
            payload = response["Payload"].read()
        except NOT_SENT as error:
            raise NotRun(
                f"the host {host} was not reached: {error}", passes=True, soon=True
            ) from error
        except exceptions.ClientError as error:
            raise _refusal(host, error) from error
        except Exception as error:  # whatever a broken connection causes
            raise CallLost(f"the host {host} gave no answer: {error}", ended=False) from error
        if response.get("FunctionError"):
            raise _function_error(host, payload)
        try:
            return HostResponse.model_validate_json(payload)
        except ValidationError:
            raise CallLost(f"the host {host} gave an answer that is none", ended=True) from None

    def _host(self, host: str) -> LambdaHost:
        found = self._hosts.get(host)
        if found is None:
            raise NotRun(f"there is no tool host named {host}", passes=False)
        return found


def _refusal(host: str, error: exceptions.ClientError) -> NotRun | CallLost:
    """What an error of the service means."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    why = f"the host {host} did not take the call: {code}"
    if code in BUSY or status == 429:
        return NotRun(why, passes=True, soon=True)
    if code in NEEDS_DEPLOYMENT or status in (404, 413, 415):
        return NotRun(why, passes=False)
    if code.startswith(PASSES) or status in (401, 403, 409):
        return NotRun(why, passes=True)
    return CallLost(f"the host {host} failed: {code or 'an error without a name'}", ended=False)


def _function_error(host: str, payload: bytes) -> NotRun | CallLost:
    """What an error of the function means. A host catches all that a body raises."""
    try:
        name = str(json.loads(payload)["errorType"])[:MAX_NAME_CHARACTERS]
    except (ValueError, LookupError, TypeError, RecursionError):
        name = "an error without a name"
    if name in NOT_LOADED:
        return NotRun(f"the code of the host {host} cannot be loaded: {name}", passes=False)
    return CallLost(f"the process of the host {host} ended: {name}", ended=True)
