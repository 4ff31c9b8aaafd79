"""What the runs of a tree hold in the end: each accepted input once, and no effect too often."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.events import Decided, DoubtResolved, Event, ToolReturned, Voted
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import parse_path, path_text
from agent_continuations.core.run import LoadedRun, Status
from agent_continuations.core.waits import ChildWait


@dataclass
class AcceptedInputs:
    """The inputs that were accepted, and the run of each: messages and signals by id, decisions by
    request, and outcomes of jobs by run and path.
    """

    messages: dict[str, str] = field(default_factory=dict)
    signals: dict[str, str] = field(default_factory=dict)
    decisions: dict[str, tuple[str, Verdict]] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)

    def check(self, runs: Mapping[str, LoadedRun]) -> None:
        """Check that all of it is in the runs, once."""
        for message, run_id in self.messages.items():
            root, head = runs[run_id].continuation, runs[run_id].head
            heard = sum(each.message_id == message for turn in root.turns for each in turn.heard)
            left = sum(each.message_id == message for each in root.messages)
            completed = head.status is Status.COMPLETED
            assert (heard, left) in ([(1, 0)] if completed else [(1, 0), (0, 1)])
        for signal, run_id in self.signals.items():
            took = sum(getattr(each, "took", None) == signal for each in events(runs[run_id]))
            left = sum(each.event_id == signal for each in runs[run_id].continuation.signals)
            assert took + left == 1
        for request, (run_id, verdict) in self.decisions.items():
            stored = [each for each in decided(runs[run_id]) if each.request_id == request]
            assert [each.decision.verdict for each in stored] == [verdict]
        for (run_id, path), text in self.outcomes.items():
            assert runs[run_id].continuation.call_at(parse_path(path)).outcome == Outcome(
                kind="ok", content=text
            )


def check_executions(
    executions: Mapping[tuple[str, str], int], runs: Mapping[str, LoadedRun]
) -> None:
    """Each tool ran as often as people agreed to; the idempotent one may be repeated."""
    for (run_id, path), times in executions.items():
        call = runs[run_id].continuation.call_at(parse_path(path))
        again = [
            each
            for each in decided(runs[run_id])
            if isinstance(each, DoubtResolved)
            and (each.path, each.decision.verdict) == (path, Verdict.REJECT)
        ]
        assert times <= 1 + len(again) or call.plan.tool == "put"
        if call.plan.tool == "pay":
            assert call.decision
            assert call.decision.verdict is Verdict.APPROVE


def check_grants(grants: Sequence[Grant], runs: Mapping[str, LoadedRun]) -> None:
    """Each use of a grant is one vote, and there are no more than agreed."""
    votes = Counter(
        each.decision.grant_id
        for loaded in runs.values()
        for each in events(loaded)
        if isinstance(each, Voted | Decided) and each.decision.grant_id
    )
    for grant in grants:
        assert votes[grant.grant_id] == grant.uses
        assert grant.uses <= (grant.max_uses or grant.uses)


def events(loaded: LoadedRun) -> list[Event]:
    return list(loaded.snapshot.events())


def decided(loaded: LoadedRun) -> list[Decided | DoubtResolved]:
    return [each for each in events(loaded) if isinstance(each, Decided | DoubtResolved)]


def check_children(loaded: LoadedRun, runs: Mapping[str, LoadedRun]) -> None:
    """Each end of a child run is known to its parent, once, as it is; unless that was cancelled."""
    for path, call in loaded.continuation.calls():
        if not isinstance(call.wait, ChildWait):
            continue
        child = runs[call.wait.run_id].continuation
        told = [
            each
            for each in events(loaded)
            if isinstance(each, ToolReturned) and each.path == path_text(path)
        ]
        assert len(told) == 1 or loaded.head.status is not Status.COMPLETED
        if told and told[0].outcome.kind == "ok":
            # A message that comes between the report of a child run and its end gets an answer of
            # its own, which comes too late for the parent.
            spoken_to = any(turn.heard for turn in child.turns)
            assert child.outcome == told[0].outcome or spoken_to
