"""A wait for a child run."""

from typing import Any, Literal

from typing_extensions import override

from agent_continuations.core.awaiting import Await
from agent_continuations.core.path import Path
from agent_continuations.core.waits.base import BaseWait


class ChildWait(BaseWait):
    """A wait for a child run that the call has started. It reports its outcome when it ends."""

    kind: Literal["child"] = "child"
    run_id: str

    @override
    def awaits(self, path: Path) -> Await:
        """The child run."""
        return Await(path=path, reason=self.kind, request_id=self.run_id)

    @property
    @override
    def deadline(self) -> None:
        """None: the child run has limits of its own."""
        return

    @override
    def details(self) -> dict[str, Any]:
        """The id of the child run."""
        return {"run_id": self.run_id}
