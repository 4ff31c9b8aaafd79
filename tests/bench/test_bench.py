"""Every benchmark runs: a small measurement of each, by `python -m tests.bench --quick`."""

import subprocess
import sys

import pytest

from tests.bench import ROOT
from tests.local import dynamodb_local

TITLES = (
    "How a run grows",
    "What an approval costs",
    "Resuming after a wait",
    "What a turn costs beside the model",
    "What a cold start imports",
    "Many runs decided at once",
    "What waiting costs",
)


def test_a_little_of_each_can_be_measured() -> None:
    try:
        dynamodb_local.fetch(ROOT / ".cache")
    except dynamodb_local.Unavailable as reason:
        pytest.skip(f"DynamoDB Local is not available: {reason}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [title for title in TITLES if title not in done.stdout] == []
