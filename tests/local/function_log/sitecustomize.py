"""Imported by each function's Python at its start: what the function writes goes into a file, too.

The emulator shows the output of an invocation only when it has ended.
"""

import os
import sys
from threading import Lock
from typing import Any


class _Copy:
    """A stream that also writes whole lines into a file."""

    def __init__(self, stream: Any, file: int, name: str) -> None:
        self._stream, self._file, self._name = stream, file, name
        self._rest, self._lock = "", Lock()

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                # One write is one append, also between processes.
                os.write(self._file, (self._line(line) + "\n").encode("utf-8", "replace"))
        written: int = self._stream.write(text)
        return written

    def _line(self, line: str) -> str:
        if line.startswith("{"):
            return line
        import json

        return json.dumps({"message": line, "function_name": self._name})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_path, _function = os.environ.get("LOCAL_FUNCTION_LOG"), os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
if _path and _function:
    _file = os.open(_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    sys.stderr = _Copy(sys.stderr, _file, _function)
