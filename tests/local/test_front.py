"""The front server: what it holds back, repeats and refuses while functions change."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread, Timer
from typing import Any, ClassVar

import pytest
import urllib3

from tests.local.front import Front


class _Api(BaseHTTPRequestHandler):
    """An API whose answers wait for `go`, and fail as long as `broken`."""

    asked: ClassVar[list[str]] = []
    go: ClassVar[Event] = Event()
    broken: ClassVar[bool] = False
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        type(self).asked.append(self.command)
        broken = type(self).broken  # as when the request came
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        assert self.go.wait(30)
        self.send_response(502 if broken else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def front() -> Iterator[Front]:
    _Api.asked, _Api.go, _Api.broken = [], Event(), False
    api = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    Thread(target=api.serve_forever, daemon=True).start()
    front = Front(0)
    front.open(f"http://127.0.0.1:{api.server_port}", lambda *_: None)
    yield front
    _Api.go.set()
    front.close()
    front.pool.clear()
    api.shutdown()
    api.server_close()


def in_background(front: Front, method: str, answers: list[int]) -> Thread:
    def send() -> None:
        answers.append(front.forward(method, "/runs", {}, b"").status)

    thread = Thread(target=send)
    thread.start()
    return thread


def until(look: Any) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_request_waits_until_the_functions_have_changed(front: Front) -> None:
    answers: list[int] = []
    _Api.go.set()
    with front.held():
        waiting = in_background(front, "POST", answers)
        time.sleep(0.3)
        assert not _Api.asked and not answers
    waiting.join(30)
    assert answers == [200]


def test_the_change_waits_for_a_request_that_changes_something(front: Front) -> None:
    answers: list[int] = []
    posting = in_background(front, "POST", answers)
    until(lambda: _Api.asked)
    Timer(0.3, _Api.go.set).start()
    with front.held():
        posting.join(30)
        assert answers == [200]


def test_a_read_that_is_lost_by_the_change_is_sent_again(front: Front) -> None:
    answers: list[int] = []
    _Api.broken = True
    polling = in_background(front, "GET", answers)
    until(lambda: _Api.asked)
    with front.held():
        _Api.go.set()
        _Api.broken = False
        time.sleep(0.3)
        assert not answers
    polling.join(30)
    assert answers == [200] and len(_Api.asked) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_failure_of_the_api_is_passed_on_without_a_change(front: Front, method: str) -> None:
    _Api.broken = True
    _Api.go.set()
    assert front.forward(method, "/runs", {}, b"").status == 502
    assert len(_Api.asked) == 1


def test_a_write_that_is_lost_by_the_change_is_not_sent_again(front: Front) -> None:
    answers: list[int] = []
    _Api.broken = True
    posting = in_background(front, "POST", answers)
    until(lambda: _Api.asked)
    _Api.go.set()
    with front.held():
        pass
    posting.join(30)
    assert answers == [502] and len(_Api.asked) == 1


def test_another_sites_page_cannot_start_a_run_or_sign_anybody_in(front: Front) -> None:
    pages: list[str] = []
    front.page = lambda _method, path, _body: pages.append(path)
    _Api.go.set()
    pool = urllib3.PoolManager(retries=False)
    for path in ("/start", "/sign-in-as", "/runs"):
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        answer = pool.request("POST", front.url + path, headers=headers, body=b"agent=hr")
        assert answer.status == 403
    pool.clear()
    assert not pages and not _Api.asked


def test_a_page_that_cannot_be_made_is_a_problem_document(front: Front) -> None:
    def page(_method: str, _path: str, _body: bytes) -> None:
        raise TimeoutError("the emulator is busy")

    front.page = page
    pool = urllib3.PoolManager(retries=False)
    answer = pool.request("GET", front.url + "/")
    assert answer.status == 502
    assert "the system does not respond: the emulator is busy" in answer.json()["detail"]
    pool.clear()
