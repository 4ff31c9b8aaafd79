"""Agents in a process of their own, under the functions' Python with the functions' packages.

The process describes the agents, or says why they cannot be imported; then it plays their script.
Arguments: the script's file, and the folder of this repository.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


def main() -> None:
    """Writes one JSON line: the description, or the fault. Then answers each line of the input."""
    script, root = Path(sys.argv[1]), sys.argv[2]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the agents print goes elsewhere
    try:
        from agents import AGENTS

        sys.path.append(root)
        from tests.local.script import ScriptedReplies, load_script

        scripted = ScriptedReplies(AGENTS, load_script(script), script)
        first: dict[str, Any] = {"agents": scripted.described()}
    except BaseException as error:  # noqa: BLE001 - a file of the user's may raise anything
        first = {"fault": _readable(error)}
    print(json.dumps(first), file=answers, flush=True)
    if "fault" in first:
        return
    for line in sys.stdin:
        print(json.dumps(scripted.answer(json.loads(line))), file=answers, flush=True)


def _readable(error: BaseException) -> str:
    """The traceback without the frames of this file and of the import system."""
    read = traceback.TracebackException.from_exception(error)
    chain: traceback.TracebackException | None = read
    while chain:
        own = [
            each
            for each in chain.stack
            if each.filename not in (__file__, "<frozen runpy>")
            and not each.filename.startswith("<frozen importlib")
        ]
        chain.stack = traceback.StackSummary.from_list(own)
        chain = chain.__cause__ or chain.__context__
    return "".join(read.format()).rstrip()


if __name__ == "__main__":
    main()
