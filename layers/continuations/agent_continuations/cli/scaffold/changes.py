"""Changes of files that are made all together, or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Change:
    """A file to write; `before` is its present content, None for a new file."""

    path: Path
    before: bytes | None
    after: bytes


def apply(changes: Iterable[Change]) -> None:
    """Makes the changes. If one fails, those made so far are undone.

    Raises:
        FileExistsError: a new file exists.
        OSError: a file cannot be written, or was changed since it was read.
    """
    folders: list[Path] = []
    done: list[Change] = []
    try:
        for change in changes:
            _make_folders(change.path.parent, folders)
            if change.before is None:
                with change.path.open("xb") as file:
                    done.append(change)
                    file.write(change.after)
            elif change.path.read_bytes() == change.before:
                _replace(change.path, change.after)
                done.append(change)
            else:
                raise OSError(f"{change.path} was changed by another program")
    except BaseException:
        for change in reversed(done):
            with suppress(OSError):
                _undo(change)
        for folder in reversed(folders):
            with suppress(OSError):
                folder.rmdir()
        raise


def _make_folders(folder: Path, made: list[Path]) -> None:
    for each in reversed((folder, *folder.parents)):
        if not each.exists():
            each.mkdir()
            made.append(each)


def _undo(change: Change) -> None:
    if change.before is None:
        change.path.unlink()
    else:
        _replace(change.path, change.before)


def _replace(path: Path, content: bytes) -> None:
    """Replaces the content of a file at once: an interrupted write leaves the file as it was."""
    target = path.resolve()  # of a link, the file that it leads to
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        shutil.copymode(target, name)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
