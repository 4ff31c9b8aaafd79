"""Hosts on Lambda: an invocation is sent once, whatever the network and the service do to it."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent_continuations.adapters.hosts import aws_lambda
from agent_continuations.adapters.hosts.aws_lambda import LambdaHost, LambdaToolHosts, read_hosts
from agent_continuations.errors import Fatal
from agent_continuations.ports.tool_host import (
    MAX_HOST_BYTES,
    CallLost,
    HostAnswer,
    HostedCall,
    HostRequest,
    HostResponse,
    NotRun,
)

ARN = "arn:aws:lambda:us-east-1:123456789012:function:tools"
CALL = HostedCall(
    path="0.0", attempt=1, agent="clerk", tool="pay", raw="{}", idempotency_key="k" * 8
)
REQUEST = HostRequest(do="run", run_id="r" * 24, calls=(CALL,))
RESPONSE = HostResponse(answers=(HostAnswer(path="0.0", kind="ok", content="paid"),))
Behaviour = Callable[[socket.socket], None]


class Service:
    """A service on loopback that reads each request whole, counts it, and then misbehaves."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.requests: list[bytes] = []
        self._behaviour = behaviour
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                more = connection.recv(65536)
                if not more:
                    return
                received += more
            head, _, body = received.partition(b"\r\n\r\n")
            [length] = [
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            ]
            while len(body) < length:
                body += connection.recv(65536)
            self.requests.append(body)
            self._behaviour(connection)

    def close(self) -> None:
        self._listener.close()


def reply(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return lambda connection: connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def refusal(status: int, code: str) -> Behaviour:
    return reply(status, b'{"Message": "no"}', x_amzn_ErrorType=code)


def failure(name: str) -> Behaviour:
    body = json.dumps({"errorType": name, "errorMessage": "it ended"}).encode()
    return reply(200, body, X_Amz_Function_Error="Unhandled")


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close(_connection: socket.socket) -> None:
    pass


def cut(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")


def hang(connection: socket.socket) -> None:
    connection.settimeout(20)
    connection.recv(1)


def garbled(connection: socket.socket) -> None:
    connection.sendall(b"what?\r\n\r\n")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is waited for longer than the host's own timeout."""
    monkeypatch.setattr(aws_lambda, "HOST_GRACE_SECONDS", 0.2)


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], tuple[Service, LambdaToolHosts]]]:
    made: list[Service] = []

    def start(behaviour: Behaviour) -> tuple[Service, LambdaToolHosts]:
        service = Service(behaviour)
        made.append(service)
        return service, hosts(service.url)

    yield start
    for each in made:
        each.close()


def hosts(url: str) -> LambdaToolHosts:
    return LambdaToolHosts(
        {"tools": LambdaHost(arn=ARN, timeout=0.8)},
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


Serve = Callable[[Behaviour], tuple[Service, LambdaToolHosts]]


def test_an_answer_is_what_the_host_has_returned(serve: Serve) -> None:
    service, lambdas = serve(reply(200, RESPONSE.model_dump_json().encode()))
    assert lambdas.invoke("tools", REQUEST) == RESPONSE
    [sent] = service.requests
    assert HostRequest.model_validate_json(sent) == REQUEST


LOST: dict[str, Behaviour] = {
    "a reset": reset,
    "a closed connection": close,
    "an answer that is cut off": cut,
    "no answer": hang,
    "no HTTP": garbled,
    "500 ServiceException": refusal(500, "ServiceException"),
    "500 without a name": reply(500),
    "502 without a name": reply(502),
    "503 without a name": reply(503),
    "504 without a name": reply(504),
    "an unknown error": refusal(418, "SomethingNewException"),
    "a moved function": reply(307, Location="http://127.0.0.1:9/"),
}
ENDED = {
    "a timeout": failure("Sandbox.Timedout"),
    "an exit": failure("Runtime.ExitError"),
    "out of memory": failure("Runtime.OutOfMemory"),
    "a handler that raised": failure("KeyError"),
    "an error that is no JSON": reply(200, b"<html>", X_Amz_Function_Error="Unhandled"),
    "an error of many levels": reply(200, b"[" * 100_000, X_Amz_Function_Error="Unhandled"),
    "an error with a long name": failure("x" * 5_000_000),
    "an answer of many levels": reply(200, b'{"answers":' + b"[" * 100_000),
    "an answer that is none": reply(200, b'{"v": 7}'),
    "an empty answer": reply(200, b""),
}
NOT_RUN = {  # passes, soon
    "429": (refusal(429, "TooManyRequestsException"), True, True),
    "429 without a name": (reply(429), True, True),
    "403": (refusal(403, "AccessDeniedException"), True, False),
    "expired credentials": (refusal(403, "ExpiredTokenException"), True, False),
    "404": (refusal(404, "ResourceNotFoundException"), False, False),
    "409": (refusal(409, "ResourceConflictException"), True, False),
    "413": (refusal(413, "RequestTooLargeException"), False, False),
    "400": (refusal(400, "InvalidRequestContentException"), False, False),
    "415": (refusal(415, "UnsupportedMediaTypeException"), False, False),
    "no environment": (refusal(502, "EC2AccessDeniedException"), True, False),
    "throttled EC2": (refusal(502, "EC2ThrottledException"), True, False),
    "no address": (refusal(502, "ENILimitReachedException"), True, False),
    "no subnet": (refusal(502, "SubnetIPAddressLimitReachedException"), True, False),
    "no key": (refusal(502, "KMSAccessDeniedException"), True, False),
    "no file system": (refusal(408, "EFSMountTimeoutException"), True, False),
    "no snapshot": (refusal(409, "SnapStartNotReadyException"), True, False),
    "not ready": (refusal(502, "ResourceNotReadyException"), True, False),
    "a wrong archive": (refusal(502, "InvalidZipFileException"), False, False),
    "no import": (failure("Runtime.ImportModuleError"), False, False),
    "no handler": (failure("Runtime.HandlerNotFound"), False, False),
    "a syntax error": (failure("Runtime.UserCodeSyntaxError"), False, False),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", LOST)
def test_without_an_answer_the_call_may_be_at_work(serve: Serve, name: str) -> None:
    service, lambdas = serve(LOST[name])
    with pytest.raises(CallLost) as lost:
        lambdas.invoke("tools", REQUEST)
    assert not lost.value.ended
    assert len(service.requests) == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ENDED)
def test_after_an_error_of_the_function_nothing_is_at_work(serve: Serve, name: str) -> None:
    service, lambdas = serve(ENDED[name])
    with pytest.raises(CallLost) as lost:
        lambdas.invoke("tools", REQUEST)
    assert lost.value.ended
    assert len(lost.value.reason) < 300
    assert len(service.requests) == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", NOT_RUN)
def test_what_certainly_did_not_run_is_told_apart(serve: Serve, name: str) -> None:
    behaviour, passes, soon = NOT_RUN[name]
    service, lambdas = serve(behaviour)
    with pytest.raises(NotRun) as refused:
        lambdas.invoke("tools", REQUEST)
    assert (refused.value.passes, refused.value.soon) == (passes, soon)
    assert len(service.requests) == 1


def test_a_refused_connection_and_an_unknown_address_have_run_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://nobody.invalid"):
        with pytest.raises(NotRun) as refused:
            hosts(url).invoke("tools", REQUEST)
        assert refused.value.passes


def test_without_credentials_nothing_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    lambdas = LambdaToolHosts(
        {"tools": LambdaHost(arn=ARN, timeout=1)},
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
    )
    with pytest.raises(NotRun):
        lambdas.invoke("tools", REQUEST)


def test_a_request_that_is_too_large_is_not_sent(serve: Serve) -> None:
    service, lambdas = serve(reply(200, RESPONSE.model_dump_json().encode()))
    large = CALL.model_copy(update={"raw": "x" * MAX_HOST_BYTES})
    with pytest.raises(NotRun):
        lambdas.invoke("tools", REQUEST.model_copy(update={"calls": (large,)}))
    assert service.requests == []


def test_an_unknown_host_runs_nothing(serve: Serve) -> None:
    _, lambdas = serve(close)
    with pytest.raises(NotRun, match="payments"):
        lambdas.invoke("payments", REQUEST)
    with pytest.raises(NotRun, match="payments"):
        lambdas.timeout("payments")


def test_hosts_are_read_from_json() -> None:
    text = json.dumps({"tools": {"arn": ARN, "timeout": 300}})
    assert read_hosts(text) == {"tools": LambdaHost(arn=ARN, timeout=300)}


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "[]",
        '{"tools": "arn"}',
        '{"tools": {"arn": "a"}}',
        '{"tools": {"arn": "a", "timeout": 601}}',
        '{"tools": {"arn": "a", "timeout": 0}}',
        '{"tools": {"arn": "a", "timeout": 5, "more": 1}}',
    ],
)
def test_hosts_that_cannot_be_read_stop_the_function(wrong: str) -> None:
    with pytest.raises(Fatal, match="the tool hosts cannot be read"):
        read_hosts(wrong)


def test_a_client_of_its_own_is_made_for_each_execution() -> None:
    known: Any = {"tools": LambdaHost(arn=ARN, timeout=1)}
    one, other = (LambdaToolHosts(known, region_name="us-east-1") for _ in range(2))
    assert not one._clients, "none is made before a call needs it"
    assert one._client(1.0) is one._client(1.0)
    assert one._client(1.0) is not other._client(1.0)
    config = one._client(1.0).meta.config
    assert config.retries["total_max_attempts"] == 1
    assert config.tcp_keepalive
