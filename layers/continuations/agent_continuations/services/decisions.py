"""The one command by which people answer requests, whatever its source: page, link, chat or API.

A response is decided in six steps: find the request, resolve the approver and hash the call, check
that the request is open, build the event that the response makes, prepare a grant where one is
asked for, commit. The commit stores the event and the grant in one transaction, and succeeds only
if the run's audit trail has not grown since the run was loaded; otherwise the run is loaded again
and all steps are repeated. So concurrent responses are stored one after another, and each is
checked against those stored before it.
"""

from dataclasses import replace

from agent_continuations.core.approvals.audit_chain import append
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.approvals.request import Decision
from agent_continuations.core.base import storable
from agent_continuations.core.decisions.lookup import Request, find_request
from agent_continuations.core.decisions.responses import (
    Decide,
    DecisionResult,
    Response,
    Written,
)
from agent_continuations.core.events import (
    Decided,
    DoubtVoted,
    ToolReturned,
    Voted,
)
from agent_continuations.core.path import path_text
from agent_continuations.core.run import LoadedRun
from agent_continuations.engine.log import RunLog
from agent_continuations.errors import (
    AlreadyDecided,
    Conflict,
    Retryable,
    Stale,
)
from agent_continuations.ports.commit import TrailMove
from agent_continuations.services.decision_checks import (
    DecisionAttempt,
    check_open,
    new_attempt,
)
from agent_continuations.services.decision_events import (
    decision_of,
    entries_of,
    event_of,
    request_after,
    same_content,
    same_vote,
)
from agent_continuations.services.grants import GrantService
from agent_continuations.services.runs import RunService
from agent_continuations.views.decision import decision_view

MAX_TRIES = 20


class DecisionService:
    """Accepts responses to the requests of one tenant's runs.

    Args:
        runs: loads runs; its registry is used only to check edited arguments and answers.
        grants: keeps the grants that approvers give with an approval.
    """

    def __init__(self, runs: RunService, grants: GrantService) -> None:
        self._runs = runs
        self._grants = grants

    def decide(self, run_id: str, request_id: str, response: Response) -> DecisionResult:
        """Answer a request. The first decision stands; the same one again gets the same result.

        Returns:
            The stored result.

        Raises:
            NotFound: there is no such run or request.
            Forbidden: the approver is not eligible now, has started the run, or must be signed in.
            Invalid: several were asked, and no approver is named; the edited arguments are invalid
                for the tool, or the request takes none; the request cannot be reassigned to this
                person.
            AlreadyDecided: another decision stands.
            Conflict: the deadline has passed, the run has ended, or the arguments have changed
                since the approver saw them.
            Retryable: too many responses are being stored at once.
        """
        return self.decide_loaded(*self._runs.find_request(run_id, request_id), response)

    def decide_loaded(
        self, loaded: LoadedRun, request: Request, response: Response
    ) -> DecisionResult:
        """`decide`, for a caller that has loaded the run already."""
        response = _storable(response)
        for _ in range(MAX_TRIES):
            attempt = new_attempt(loaded, request, response, self._runs.clock())
            try:
                return self._closed(attempt) if request.decision else self._open(attempt)
            except Stale:
                loaded = self._runs.load(loaded.head.run_id)
                request = find_request(loaded, request.request_id)
        raise Retryable("too many people are answering at once: try again")

    def _open(self, attempt: DecisionAttempt) -> DecisionResult:
        """Check and store the response to an open request."""
        response, approval = attempt.response, attempt.request.approval
        wanted = response.grant if isinstance(response, Decide) else None
        check_open(attempt)
        event = event_of(attempt, self._runs.registry)
        edited = event.decision.arguments if isinstance(event, Voted | Decided) else None
        grant = self._grants.prepare(attempt.loaded, attempt.request, response, wanted, edited)
        doubt = attempt.request.call.doubt
        if isinstance(event, DoubtVoted) and doubt and event.decision in doubt.votes:
            return DecisionResult(event, None)  # the same word again
        if approval and isinstance(event, Voted) and event.decision in approval.votes:
            self._check_granted(attempt, event.decision)
            return DecisionResult(event, approval)  # the same vote again
        return self._commit(attempt, event, grant)

    def _closed(self, attempt: DecisionAttempt) -> DecisionResult:
        """The result of a decided request for a repeated response; any other is too late."""
        request, approval = attempt.request, attempt.request.approval
        earlier = request.decision
        assert earlier is not None
        if isinstance(attempt.response, Decide):
            repeated = decision_of(attempt, attempt.response, self._runs.registry)
            agreed = (
                [vote for vote in approval.votes if same_content(vote, earlier)] if approval else []
            )
            if any(same_vote(each, repeated) for each in (earlier, *agreed)):
                path = path_text(request.path)
                event = Decided(path=path, request_id=request.request_id, decision=earlier)
                return DecisionResult(event, approval)
        run_id = attempt.loaded.head.run_id
        raise AlreadyDecided(decision_view(run_id, request.request_id, earlier))

    def _check_granted(self, attempt: DecisionAttempt, vote: Decision) -> None:
        """Check that the grant which a repeated vote asks for was stored with the vote.

        Raises:
            Conflict: it was not: the vote was given without one.
        """
        response, run_id = attempt.response, attempt.loaded.head.run_id
        if not isinstance(response, Decide) or response.grant is None:
            return
        if not self._grants.made_with(run_id, attempt.request.request_id, vote):
            raise Conflict(
                "your approval is stored without a standing approval: withdraw it, and approve"
                " again with one"
            )

    def _commit(
        self, attempt: DecisionAttempt, event: Written, grant: Grant | None
    ) -> DecisionResult:
        run_id, before = attempt.loaded.head.run_id, attempt.loaded.head.trail
        after, event = append(before, event)
        entries, move = entries_of(attempt.request, event), TrailMove(before.number, after)
        store, queue = self._runs.store, self._runs.queue
        stored = store.append_external(run_id, entries, trail=move, grant=grant, now=attempt.now)
        if stored is None:
            queue.resume(run_id)
            RunLog(attempt.loaded.head).stored(attempt.loaded.continuation, (event,))
            return DecisionResult(event, request_after(attempt.request, event))
        if any(isinstance(each, ToolReturned) for each in stored.events):
            raise Conflict("the outcome of the call is already known; nothing is left to answer")
        raise Stale(run_id)


def _storable(response: Response) -> Response:
    """A response whose texts can be stored. Edited arguments and answers are left as they are: the
    checks of their values refuse what cannot be stored, because nobody has approved a `?`.
    """
    if not isinstance(response, Decide):
        return storable(response)
    return replace(storable(response), arguments=response.arguments, answer=response.answer)
