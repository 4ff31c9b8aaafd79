"""The cost of a run: bytes, requests, capacity units and milliseconds, measured on one machine.

`python -m tests.bench` is `make bench`. It needs no network and no Docker: the table is DynamoDB
Local's, the bucket MiniStack's, the model a loopback server, and each is a child process.
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def sources() -> list[str]:
    """The folders that the library, the agents and the functions are imported from."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = project["tool"]["pytest"]["ini_options"]["pythonpath"]
    return [str(ROOT / each) for each in listed if each != "."]


sys.path[:0] = [each for each in sources() if each not in sys.path]
