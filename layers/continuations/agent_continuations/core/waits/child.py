"""A wait for a run that the call has started."""

from typing import Any, Literal

from typing_extensions import override

from agent_continuations.core.awaiting import Await
from agent_continuations.core.path import Path
from agent_continuations.core.waits.base import BaseWait


class ChildWait(BaseWait):
    """A wait for a run that the call has started. It reports its outcome when it ends."""

    kind: Literal["child"] = "child"
    run_id: str

    @override
    def awaits(self, path: Path) -> Await:
        """The end of the run."""
        return Await(path=path, reason=self.kind, request_id=self.run_id)

    @property
    @override
    def deadline(self) -> None:
        """None: the run has its own."""
        return

    @override
    def details(self) -> dict[str, Any]:
        """The run's id."""
        return {"run_id": self.run_id}
