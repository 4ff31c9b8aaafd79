"""A model server in a separate process, so that its CPU time is not measured with the caller's.

`running` starts the process. It exits when its standard input closes, so it never outlives its
parent.
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
    """The input of a run that reads so many pages."""
    return f"Read {turns} pages of the reference one after another, and say what is in them."


@contextmanager
def running() -> Iterator[str]:
    """Run the server during the block; gives its base URL."""
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
    """Call `look` for one page after another, as many as the task asks for."""
    messages = request["messages"]
    task_text = next(each["content"] for each in messages if each["role"] == "user")
    pages = re.search(r"\d+", task_text)
    turn = sum(each["role"] == "assistant" for each in messages)
    if pages is None or turn >= int(pages[0]):
        return Reply(content="All pages are read.")
    return Reply(tool_calls=(Call("look", {"page": turn}),))


class _Discarding(list[Json]):
    """A list that keeps nothing, because the server would otherwise store every request."""

    def append(self, _request: Json) -> None:
        pass


def main() -> None:
    with ModelServer(respond) as server:
        server.requests = _Discarding()
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
