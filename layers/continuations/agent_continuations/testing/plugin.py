"""The pytest plugin, with the fixture `replay`."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from agent_continuations.authoring.agent import Agent

__all__ = ["Replay", "replay"]


@dataclass(frozen=True, slots=True)
class Replay:
    """Compares recordings with changed agents; see the fixture `replay`."""

    folder: Path

    def __call__(
        self, path: str | Path, agents: "Sequence[Agent]", *, run: Collection[str] = ()
    ) -> None:
        """Fails the test at the first difference between a recorded run and changed agents.

        Args:
            path: file of the recording, relative to the test's file.
            agents: agents that can be started.
            run: names of read tools that are run again, as in `check_recording`.
        """
        # Imported here: pytest imports this module at each start, even if no test replays a run.
        from agent_continuations.errors import Invalid
        from agent_continuations.testing.replay import check_recording

        __tracebackhide__ = True
        file = self.folder / path
        try:
            difference = check_recording(_read(file), agents, run)
        except Invalid as error:
            pytest.fail(f"{file}: {error}", pytrace=False)
        if difference:
            pytest.fail(f"{file.name}: {difference}", pytrace=False)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        how = f"make one with: agent-continuations record RUN --output {file}"
        pytest.fail(f"there is no recording {file}; {how}", pytrace=False)
    except ValueError as error:
        pytest.fail(f"{file} is not JSON: {error}", pytrace=False)


@pytest.fixture
def replay(request: pytest.FixtureRequest) -> Replay:
    """A function that fails the test if changed agents differ from a recorded run.

    ``replay("recordings/payment.json", AGENTS, run=["balance"])``
    """
    return Replay(request.path.parent)
