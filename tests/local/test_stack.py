"""The deployment of a local run: what happens without a network."""

from pathlib import Path
from typing import Any

import pytest

from tests.local.stack import Parameters, Provider, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    parameters = Parameters("http://127.0.0.1:1", "", "", "m", Provider("", "", ""))
    said: list[str] = []
    stack = Stack(tmp_path, parameters, said.append)
    stack.said = said  # type: ignore[attr-defined]
    return stack


def failing_with(text: str, calls: list[dict[str, str]]) -> Any:
    """A SAM that fails with a text, unless it is told to use downloaded packages only."""

    def sam(*_arguments: str, **variables: str) -> None:
        calls.append(variables)
        if "UV_OFFLINE" not in variables:
            raise RuntimeError(text)

    return sam


def test_without_a_network_the_build_takes_downloaded_packages(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[dict[str, str]] = []
    error = "sam build failed:\nerror: Failed to fetch: https://pypi.org/simple/pydantic/"
    monkeypatch.setattr(stack, "_sam", failing_with(error, calls))
    stack._build(tmp_path)
    assert calls == [{}, {"UV_OFFLINE": "1"}]
    assert "building from downloaded packages" in stack.said[-1]  # type: ignore[attr-defined]


def test_another_failure_of_the_build_is_not_tried_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[dict[str, str]] = []
    monkeypatch.setattr(stack, "_sam", failing_with("sam build failed:\nmake: Error 2", calls))
    with pytest.raises(RuntimeError, match="Error 2"):
        stack._build(tmp_path)
    assert calls == [{}]
