"""Reading of runs in one process."""

from agent_continuations.core.continuation import Continuation
from agent_continuations.services.audit import Audit, audit
from agent_continuations.services.model_requests import model_requests
from agent_continuations.services.services import Services
from agent_continuations.views.model_requests import ModelRequestPage
from agent_continuations.views.recording import Recording, record
from agent_continuations.views.run import RunView, run_view
from agent_continuations.views.timeline import Entry, timeline


class LocalReader:
    """Reads runs; the part of `LocalRunner` that changes nothing.

    Args:
        services: services over the store of the runs.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def get(self, run_id: str) -> RunView:
        """Returns the state of a run.

        Raises:
            NotFound: the run does not exist.
        """
        loaded = self._services.runs.look(run_id)
        return run_view(loaded.head, loaded.continuation, waits=self._services.runs.waiting(loaded))

    def continuation(self, run_id: str) -> Continuation:
        """Returns the continuation of a run.

        Raises:
            NotFound: the run does not exist.
        """
        return self._services.runs.look(run_id).continuation

    def timeline(self, run_id: str) -> list[Entry]:
        """Returns the timeline of a run, oldest entry first.

        Raises:
            NotFound: the run does not exist.
        """
        loaded = self._services.runs.look(run_id)
        return timeline(loaded.snapshot, loaded.continuation)

    def messages(self, run_id: str, path: str = "", *, turn: int | None = None) -> ModelRequestPage:
        """Returns the requests to the model of one agent in a run, with the replies.

        Args:
            path: path of the agent; empty for the run's first agent.
            turn: number of the only request to return, with all its messages; otherwise each
                request has the messages that the one before did not have.

        Raises:
            NotFound: the run, the agent or the request does not exist.
        """
        return model_requests(self._services.runs, run_id, path, turn=turn)

    def audit(self, run_id: str) -> Audit:
        """Returns the audit trail of a run: requests, decisions, and the details shown.

        Raises:
            NotFound: the run does not exist.
        """
        return audit(self._services.runs.look(run_id))

    def record(self, run_id: str) -> Recording:
        """Returns a run and its child runs as a recording, to be compared with changed agents.

        Raises:
            NotFound: the run does not exist.
        """
        store = self._services.runs.store
        return record(run_id, self.continuation, lambda request: store.profile(request.digest))
