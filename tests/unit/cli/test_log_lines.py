"""Log lines for a terminal."""

import io
import json
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from agent_continuations.cli.log_lines import log_line
from tests.support.cli_agents import CSI, ESC, RLO

FIELDS = {
    "level": "INFO",
    "location": "reply:88",
    "message": "model replied",
    "timestamp": "2026-11-27 01:00:26,065+0000",
    "service": "advance",
    "function_name": "AdvanceFunction",
    "function_request_id": "r-1",
    "cold_start": True,
    "run_id": "6mqfenwe5vxd6nod5252l7ij",
    "agent": "hr",
    "path": "0.1/1.0",
    "turn": 2,
    "calls": ["create_account"],
    "duration_ms": 812.25,
}


def shown(fields: Any) -> str:
    return log_line(json.dumps(fields)).plain


def test_a_line_has_its_fields_in_a_fixed_order() -> None:
    assert shown(FIELDS) == (
        "11-27 01:00:26.065 INFO advance model replied 6mqfenwe5vxd6nod5252l7ij hr 0.1/1.0 812 ms"
        ' turn=2 calls=["create_account"]'
    )


def test_a_problem_shows_where_it_happened_and_its_traceback() -> None:
    fields = {**FIELDS, "level": "ERROR", "exception": "Traceback:\n  File x\nValueError: no\n"}
    first, *trace = shown(fields).split("\n")
    assert "location=reply:88" in first
    assert "function_request_id=r-1" in first
    assert trace == ["    Traceback:", "      File x", "    ValueError: no"]


def test_a_line_of_powertools_is_shown_whole() -> None:
    """Not only what this test believes that Powertools writes."""
    stream = io.StringIO()
    logger = Logger(service="sweep-test", stream=stream, level="DEBUG")
    try:
        logger.debug("swept", extra={"due": 3, "duration_ms": 1234})
        raise LookupError("lost")
    except LookupError:
        logger.exception("the sweep failed")
    swept, failed = stream.getvalue().splitlines()
    assert " DEBUG sweep-test swept 1.2 s due=3" in log_line(swept).plain
    assert log_line(swept).plain[:5].count("-") == 1
    lines = log_line(failed).plain.split("\n")
    assert " ERROR sweep-test the sweep failed " in lines[0]
    assert "stack_trace" not in lines[0]
    assert lines[-1] == "    LookupError: lost"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"time": "2026-11-27T01:00:26.065Z", "type": "platform.report", "record": {"a": 1}},
            '11-27 01:00:26.065 platform.report record={"a": 1}',
        ),
        (
            {"errorMessage": "boom", "errorType": "E", "stackTrace": [" a\n", " b\n"]},
            "boom errorType=E\n     a\n     b",
        ),
        ({}, ""),
        ({"_aws": {"CloudWatchMetrics": []}, "RunsStarted": [1.0]}, "RunsStarted=[1.0]"),
        ({"timestamp": 7, "level": 3, "message": {"a": 1}, "run_id": None}, '3 {"a": 1}'),
        ({"timestamp": "2026-11-27T01:00:26"}, "11-27 01:00:26.000"),
        ({"timestamp": "now", "duration_ms": "long"}, "long"),
        ({"duration_ms": 0.0421}, "0.0421 ms"),
        ({"duration_ms": True}, "true"),
    ],
)
def test_lines_of_lambda_and_odd_ones_are_shown(fields: Any, text: str) -> None:
    assert shown(fields) == text


@pytest.mark.parametrize(
    "text", ["START RequestId: 1", "[1, 2]", '"text"', "{", "", "[" * 100_000, "NaN"]
)
def test_a_line_that_is_no_json_object_is_shown_as_it_is(text: str) -> None:
    assert log_line(text).plain == text


def test_text_in_a_log_cannot_forge_or_colour_a_line() -> None:
    evil = f"[red]{ESC}[2J{RLO}{CSI}\nINFO forged"
    for fields in (
        dict.fromkeys(FIELDS, evil),
        {"level": "ERROR", "exception": evil, evil: evil},
    ):
        text = shown(fields)
        assert [each for each in (ESC, RLO, CSI) if each in text] == []
        assert [line for line in text.split("\n")[1:] if not line.startswith("    ")] == []
    plain = log_line(evil).plain
    assert "\n" not in plain
    assert "[red]" in plain


def test_the_levels_have_colours() -> None:
    styles = {
        level: str(log_line(json.dumps({"level": level})).spans[0].style)
        for level in ("DEBUG", "INFO", "WARNING", "ERROR")
    }
    assert styles == {"DEBUG": "dim", "INFO": "green", "WARNING": "yellow", "ERROR": "bold red"}
