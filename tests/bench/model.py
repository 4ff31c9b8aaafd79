"""The model as a process of its own, so that its time is not ours: the same for whoever asks.

`running` starts it; it ends with its standard input, and so outlives nobody.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import ROOT
from tests.local.model_server import Call, Json, ModelServer, Reply

NAME = "test-model"


def task(turns: int) -> str:
    """What to ask for, to have so many pages read."""
    return f"Read {turns} pages of the reference one after another, and say what is in them."


@contextmanager
def running() -> Iterator[str]:
    """The server's base URL, for as long as the block lasts."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.model"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin and process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def respond(request: Json) -> Reply:
    """Ask for one page after another, as many as the task says."""
    messages = request["messages"]
    asked = next(each["content"] for each in messages if each["role"] == "user")
    wanted = re.search(r"\d+", asked)
    said = sum(each["role"] == "assistant" for each in messages)
    if wanted is None or said >= int(wanted[0]):
        return Reply(content="All pages are read.")
    return Reply(tool_calls=(Call("look", {"page": said}),))


class _Forgetful(list[Json]):
    """A list that keeps nothing: the server would keep every request."""

    def append(self, _request: Json) -> None:
        pass


def main() -> None:
    with ModelServer(respond) as server:
        server.requests = _Forgetful()
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
