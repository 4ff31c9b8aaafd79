"""The log in the terminal: which lines are shown, whatever a line holds."""

from io import StringIO
from pathlib import Path
from threading import Event, Thread

import pytest
from rich.console import Console

from tests.local import log_view

LINES = [
    '{"level": "DEBUG", "message": "model request"}',
    '{"level": "INFO", "message": "run ended", "run_id": "r1"}',
    '{"level": "ERROR", "message": "run parked"}',
    '{"_aws": {}, "message": "a metric"}',
    "plain text of a print",
    "123",
    '{"level": 7, "message": "odd level"}',
    "[" * 100_000,
]


def shown(level: str, tmp_path: Path) -> str:
    end = '{"level": "ERROR", "message": "the end"}'
    file, stop, output = tmp_path / "log.jsonl", Event(), StringIO()
    log_view.prepare(file)
    console = Console(file=output, width=200)
    viewer = Thread(target=log_view.show, args=(file, level, console, stop, lambda text: text))
    viewer.start()
    while viewer.is_alive() and not output.getvalue().count("the end"):
        with file.open("a", encoding="utf-8") as log:
            # Repeated, because lines from before the view began are not shown.
            log.write("\n".join([*LINES, end]) + "\n")
        stop.wait(0.2)
    stop.set()
    viewer.join(30)
    assert not viewer.is_alive()
    return output.getvalue()


@pytest.mark.parametrize(
    ("level", "there", "absent"),
    [
        ("DEBUG", ["model request", "run ended", "run parked"], ["a metric"]),
        ("INFO", ["run ended", "plain text of a print", "odd level"], ["model request"]),
        ("ERROR", ["run parked"], ["run ended"]),
    ],
)
def test_lines_of_the_level_and_above_are_shown(
    level: str, there: list[str], absent: list[str], tmp_path: Path
) -> None:
    text = shown(level, tmp_path)
    assert all(each in text for each in there)
    assert not any(each in text for each in absent)
