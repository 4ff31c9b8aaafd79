"""What a caller may do: for whom it acts, and which runs it may read, control and decide about."""

from dataclasses import dataclass

from agent_continuations.auth.callers import Caller, Callers
from agent_continuations.core.approvals.policy import resembles
from agent_continuations.core.requesters import requesters
from agent_continuations.core.run import LoadedRun, RunHead
from agent_continuations.core.voting import approver_name
from agent_continuations.errors import Forbidden, Invalid, NotFound
from agent_continuations.services.runs import RunService


@dataclass(frozen=True, slots=True)
class CallerAccess:
    """The rights of one caller. Runs that it may not see do not exist for it.

    Attributes:
        caller: the caller.
        callers: all that the deployment knows.
        runs: the runs.
        decides_for_others: whether it may decide for any approver.
        names_requesters: whether it may say for whom it starts a run or sends a message.
    """

    caller: Caller
    callers: Callers
    runs: RunService
    decides_for_others: bool
    names_requesters: bool

    @classmethod
    def of(
        cls,
        arn: str,
        callers: Callers,
        runs: RunService,
        *,
        all_decide_for_others: bool,
        all_name_requesters: bool,
    ) -> "CallerAccess":
        """The rights of the caller with this ARN.

        Args:
            arn: as API Gateway gives it.
            callers: the callers that the deployment knows.
            runs: the runs.
            all_decide_for_others, all_name_requesters: what the deployment lets every caller do.
        """
        caller = callers.find(arn)
        entry = caller.entry
        return cls(
            caller=caller,
            callers=callers,
            runs=runs,
            decides_for_others=all_decide_for_others or bool(entry and entry.decides_for_others),
            names_requesters=all_name_requesters or bool(entry and entry.names_requesters),
        )

    @property
    def is_operator(self) -> bool:
        """Whether it may read and control every run."""
        return self.caller.entry is not None and self.caller.entry.operator

    def requester(self, named: str | None, field: str) -> str:
        """For whom it starts a run or sends a message: for itself, unless it is a program that may
        name others. A person asks in their own name, or could approve what they have asked for.

        Raises:
            Forbidden: it may not.
        """
        if named in (None, self.caller.arn, self.caller.name):
            return self.caller.requester
        if named is None or not self.names_requesters or self.caller.person:
            raise _only_itself(field)
        if not named.strip():
            raise Invalid("somebody must have asked", [(field, "must be a name")])
        return named

    def knows_who_asked(self, requester: str | None) -> bool:
        """Whether the caller, and for whom it starts a run, are known."""
        return self.caller.entry is not None and self.callers.knows(requester or "")

    def approver(self, named: str | None) -> str | None:
        """For whom it decides: for itself, or for the one it names if it may decide for others;
        None for the only one asked, if it is a program that names nobody.

        Raises:
            Forbidden: it may not.
        """
        if named in (self.caller.arn, self.caller.name):
            return self.caller.name
        if named is None and self.caller.person:
            return self.caller.name
        if self.decides_for_others:
            return named
        if named is not None:
            raise _only_itself("approver")
        return self.caller.name

    def groups(self, named: tuple[str, ...]) -> tuple[str, ...]:
        """The groups of which it says that the approver is a member.

        Raises:
            Forbidden: it may not decide for others.
        """
        if named and not self.decides_for_others:
            raise _only_itself("groups")
        return named

    def check_start(self, agent: str) -> None:
        """Check that it may start an agent.

        Raises:
            Forbidden: it may start others only.
        """
        agents = self.caller.entry.agents if self.caller.entry else None
        if agents is not None and agent not in agents:
            raise Forbidden("this caller may not start this agent", [("agent", "not allowed")])

    def check_control(self, run_id: str) -> None:
        """Check that a run is its own.

        Raises:
            NotFound: there is no such run for this caller.
        """
        if not self._owns(self.runs.head(run_id)):
            raise _no_run(run_id)

    def check_events(self, run_id: str) -> None:
        """Check that it may send events to a run.

        Raises:
            NotFound: there is no such run for this caller.
        """
        if not (self.caller.entry and self.caller.entry.signals):
            self.check_control(run_id)

    def readable(self, run_id: str) -> LoadedRun:
        """A run that is its own, or that asks it.

        Raises:
            NotFound: there is no such run for this caller.
        """
        loaded = self.runs.look(run_id)
        if not self._owns(loaded.head) and not self._is_asked(loaded):
            raise _no_run(run_id)
        return loaded

    def proves_approver(self, run_id: str, request_id: str, named: str | None) -> bool:
        """Whether the API proves who answers a request: the caller and all who asked for the call
        are known, and the caller is none of them.

        Args:
            run_id: the run.
            request_id: the request.
            named: the approver that it names.

        Raises:
            NotFound: there is no such request for this caller.
            Forbidden: the caller is a person who asked for the call. They do not decide about it
                for others either.
        """
        loaded, request = self.runs.find_request(run_id, request_id)
        is_asked = approver_name(request.approvers, self.caller.name, ()) is not None
        if not (is_asked or self.decides_for_others or self._owns(loaded.head)):
            raise _no_run(run_id)
        asked_by = {*requesters(loaded.head, loaded.continuation, request.path)}
        # Who named another requester has asked, too.
        asked_by |= {loaded.head.starter} if loaded.head.starter else set()
        people = {*asked_by, *(self.callers.find(each).name for each in asked_by)}
        has_asked = any(resembles(each, self.caller.name) for each in people)
        gate = request.call.gate
        if has_asked and gate is not None and gate.self_approval:
            has_asked = self.approver(named) != self.caller.name
        if has_asked and self.caller.person and gate is not None:
            why = f"{self.caller.person} started this run or wrote to it, and cannot decide on it"
            raise Forbidden(why, [("approver", "must be decided by somebody else")])
        are_known = self.caller.entry is not None and all(map(self.callers.knows, asked_by))
        return bool(asked_by) and are_known and not has_asked

    def _owns(self, head: RunHead) -> bool:
        if self.is_operator:
            return True
        # A run of an earlier form does not say who started it; its requester did, or was named.
        started_by = head.requester if head.starter is None else head.starter
        return started_by in (self.caller.name, self.caller.arn)

    def _is_asked(self, loaded: LoadedRun) -> bool:
        """Whether a run waits for an answer that the caller may give."""
        asked = [each.approvers for each in self.runs.waiting(loaded) if each.approvers]
        if asked and self.decides_for_others:
            return True
        return any(approver_name(each, self.caller.name, ()) is not None for each in asked)


def _only_itself(field: str) -> Forbidden:
    return Forbidden("callers can act only as themselves", [(field, "not allowed here")])


def _no_run(run_id: str) -> NotFound:
    return NotFound(f"there is no run {run_id!r}")
