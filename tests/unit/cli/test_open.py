"""`open` opens pages in the browser, and prints their addresses."""

import webbrowser
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent_continuations.cli.app import cli
from tests.support.cli_commands import Run, document, start_run
from tests.support.cli_server import Server


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were opened."""
    found: list[str] = []

    def open_url(url: str) -> bool:
        found.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", open_url)
    return found


def test_the_start_page_of_the_local_stack_is_opened(
    run: Run, server: Server, opened: list[str]
) -> None:
    assert run("open").stdout == f"{server.url}/\n"
    assert opened == [f"{server.url}/"]
    assert server.received == []


def test_the_page_of_a_run_is_opened(run: Run, server: Server, opened: list[str]) -> None:
    run_id = start_run(run, "talker")
    assert run("open", run_id[:8]).stdout == f"{server.url}/web/runs/{run_id}\n"
    assert opened == [f"{server.url}/web/runs/{run_id}"]
    assert "RUN is empty" in run("open", "", code=2).stderr


def test_with_print_nothing_is_opened(run: Run, server: Server, opened: list[str]) -> None:
    assert run("open", "--print").stdout == f"{server.url}/\n"
    assert document(run("open", "--print", "--json")) == {"url": f"{server.url}/"}
    assert opened == []


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://abc.execute-api.eu-west-1.amazonaws.com/v1/", "/web"),
        ("https://agents.example.com", "/web"),
        ("http://localhost:8000/", "/"),
        ("http://[::1]:8000", "/"),
    ],
)
def test_a_deployed_stack_has_no_start_page(url: str, page: str, opened: list[str]) -> None:
    result = CliRunner().invoke(cli, ["--url", url, "open"])
    assert (result.exit_code, opened) == (0, [url.rstrip("/") + page])


def test_the_id_of_a_run_cannot_change_the_address(run: Run, opened: list[str]) -> None:
    run("open", "../../approvals?x=1#aaaaaaaaaa")
    assert opened[0].endswith("/web/runs/..%2F..%2Fapprovals%3Fx%3D1%23aaaaaaaaaa")


def test_without_a_browser_the_address_is_printed(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)  # noqa: ARG005
    result = run("open", code=1)
    assert result.stdout == f"{server.url}/\n"
    assert "no browser could be opened" in result.stderr


@pytest.mark.parametrize("url", ["file:///etc", "javascript:alert(1)", "http://", "http://[", ""])
def test_only_http_addresses_are_opened(
    url: str, opened: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENT_CONTINUATIONS_URL", raising=False)
    result = CliRunner().invoke(cli, ["--url", url, "open"])
    assert (result.exit_code, opened) == (2, [])
