"""Files of Python source that are edited."""

from dataclasses import dataclass
from pathlib import Path

from agent_continuations.cli.scaffold.changes import Change
from agent_continuations.cli.scaffold.source_edits import CannotEdit

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class SourceFile:
    """A file of Python source; without a `content` it does not exist yet."""

    path: Path
    content: bytes | None

    @classmethod
    def read(cls, path: Path) -> "SourceFile":
        """Reads a file, which may be missing.

        Raises:
            OSError: it cannot be read.
        """
        return cls(path, path.read_bytes() if path.exists() else None)

    def text(self, default: str = "") -> str:
        """The source, in which every line ends with a line feed; of a new file, `default`.

        Raises:
            CannotEdit: it is not UTF-8, or its lines end in different ways.
        """
        if self.content is None:
            return default
        if self._has_windows_ends and self.content.count(b"\r\n") != self.content.count(b"\n"):
            raise CannotEdit("its lines end in different ways")
        try:
            return self.content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            raise CannotEdit("it is not UTF-8") from None

    def changed_to(self, text: str) -> Change:
        """The change to another source, encoded as the present one is."""
        content = (text.replace("\n", "\r\n") if self._has_windows_ends else text).encode()
        if self.content is not None and self.content.startswith(_BYTE_ORDER_MARK):
            content = _BYTE_ORDER_MARK + content
        return Change(self.path, self.content, content)

    @property
    def _has_windows_ends(self) -> bool:
        return self.content is not None and b"\r\n" in self.content
