"""The promises that are checked after a campaign, by real effects, answers, and stored runs.

The promises have the names that they have in the simulator: S2 a `once` tool happens at most once.
S3 one idempotency key per call. S4 a call that needs approval runs only as approved. S6 the first
decision stands. L1 every run comes to its end. M1 a model call is repeated at most as often
as the run was interrupted. M2 a reply on record was made from the conversation on record.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent_continuations.core.continuation import Call
from agent_continuations.core.events import Decided, DoubtResolved, ModelReplied
from agent_continuations.core.path import parse_path, path_text
from agent_continuations.core.plans import RefusedPlan, ToolPlan
from agent_continuations.core.run import LoadedRun, Status
from agent_continuations.core.transcript import chat_messages
from tests.crash.approval_oracle import was_approved
from tests.crash.effect_log import Record
from tests.crash.scripted_model import digest
from tests.crash.users import ConfirmedDecision, GivenAnswer


@dataclass(frozen=True)
class Evidence:
    """The evidence of a finished campaign.

    Attributes:
        runs: the stored runs by job; None for a missing run.
        records: the real effects of tools, and the model calls.
        answers: the answers that users gave.
        decisions: the decisions that users were shown.
        interruptions: by run, how often an execution was killed or left the run unfinished.
    """

    runs: Mapping[str, LoadedRun | None]
    records: Sequence[Record]
    answers: Sequence[GivenAnswer]
    decisions: Sequence[ConfirmedDecision]
    interruptions: Mapping[str, int]


def violations(evidence: Evidence) -> Iterator[str]:
    """Every promise that was broken."""
    tools = [each for each in evidence.records if each.tool]
    yield from _check_once(tools)
    yield from _check_keys(tools)
    ran: defaultdict[str, list[Record]] = defaultdict(list)
    for each in tools:
        ran[each.run_id].append(each)
    for job, loaded in evidence.runs.items():
        if loaded is None:
            yield f"L1: {job} was lost"
            continue
        yield from _check_ended(job, loaded)
        yield from _check_approvals(loaded, ran[loaded.head.run_id], evidence.answers)
        yield from _check_decisions(loaded, evidence.decisions)
        yield from _check_transcripts(loaded)
        yield from _check_outcomes(loaded, ran.pop(loaded.head.run_id))
        yield from _check_model_calls(job, loaded, evidence)
    yield from (f"{run_id} is no run, but its tools ran" for run_id in ran)


def _check_once(tools: Sequence[Record]) -> Iterator[str]:
    calls = Counter((each.run_id, each.path) for each in tools if each.tool.startswith("pay"))
    yield from (f"S2: {call} happened {times} times" for call, times in calls.items() if times > 1)


def _check_keys(tools: Sequence[Record]) -> Iterator[str]:
    keys, places = defaultdict(set), defaultdict(set)
    for each in tools:
        keys[each.run_id, each.path].add(each.key)
        places[each.key].add((each.run_id, each.path))
    yield from (f"S3: {place} has {len(of)} keys" for place, of in keys.items() if len(of) > 1)
    yield from (f"S3: the key {key} is that of {of}" for key, of in places.items() if len(of) > 1)


def _check_ended(job: str, loaded: LoadedRun) -> Iterator[str]:
    head = loaded.head
    if head.status is not Status.COMPLETED:
        yield f"L1: {job} is {head.status.value} in the end: {head.note}"
    elif head.due or head.intents or head.lease_until:
        yield f"L1: {job} has ended, but its head says that something is left"


def _check_approvals(
    loaded: LoadedRun, ran: Sequence[Record], answers: Sequence[GivenAnswer]
) -> Iterator[str]:
    """Each approval that an effect needed was given before: on record, and by a user."""
    run_id = loaded.head.run_id
    approved = {
        (each.path, each.amount) for each in answers if each.run_id == run_id and each.approved
    }
    calls = {path_text(path): call for path, call in loaded.continuation.calls()}
    for each in ran:
        steps = each.path.split("/")
        for end in range(1, len(steps) + 1):
            place = "/".join(steps[:end])
            call = calls.get(place)
            if call is None or isinstance(call.plan, RefusedPlan) or call.plan.gate is None:
                continue
            amount = each.amount if end == len(steps) else None
            if not _was_approved_before(loaded, place, amount, each.at):
                yield f"S4: {each} ran without an approval at {place}"
            if (place, amount) not in approved:
                yield f"S4: {each} ran, but nobody said so at {place}"


def _was_approved_before(loaded: LoadedRun, place: str, amount: int | None, at: float) -> bool:
    """Whether the call was approved before, as it ran: with its amount, or an agent's input."""
    path = parse_path(place)
    call = loaded.continuation.call_at(path)
    if call.decision is None or call.decision.decided_at.timestamp() > at:
        return False
    arguments = call.arguments if amount is None else {"amount": amount}
    return was_approved(loaded, path, arguments)


def _check_decisions(loaded: LoadedRun, decisions: Sequence[ConfirmedDecision]) -> Iterator[str]:
    stands = {
        event.request_id: (event.decision.verdict.value, event.decision.approver)
        for event in loaded.snapshot.events()
        if isinstance(event, Decided | DoubtResolved)
    }
    for each in decisions:
        if each.run_id != loaded.head.run_id:
            continue
        if stands.get(each.request_id) != (each.verdict, each.approver):
            yield f"S6: {each} was told, but {stands.get(each.request_id)} stands"


def _check_transcripts(loaded: LoadedRun) -> Iterator[str]:
    for event in loaded.snapshot.events():
        if not isinstance(event, ModelReplied):
            continue
        frame = loaded.continuation.frame_at(parse_path(event.path))
        before = frame.model_copy(update={"turns": frame.turns[: event.turn]})
        if (event.reply.content or "").split()[-1:] != [digest(chat_messages(before))]:
            yield f"M2: {loaded.head.run_id} {event.path} {event.turn} was made from another past"


def _check_outcomes(loaded: LoadedRun, ran: Sequence[Record]) -> Iterator[str]:
    """Every planned call ran, and no rejected call did."""
    paths = {each.path for each in ran}
    known: set[str] = set()
    for path, call in loaded.continuation.calls():
        place = f"{loaded.head.run_id} {path_text(path)}"
        known.add(path_text(path))
        if call.outcome is None:
            yield f"L1: {place} has no outcome"
        elif isinstance(call.plan, ToolPlan):
            yield from _check_outcome(place, call, path_text(path) in paths)
    yield from (f"{loaded.head.run_id} {path} ran, but is no call" for path in paths - known)


def _check_outcome(place: str, call: Call, ran: bool) -> Iterator[str]:
    assert call.outcome
    if call.outcome.kind == "rejected" and ran:
        yield f"S4: {place} was rejected and ran"
    if call.outcome.kind != "rejected" and not ran:
        yield f"S2: {place} has an outcome, but never ran"


def _check_model_calls(job: str, loaded: LoadedRun, evidence: Evidence) -> Iterator[str]:
    """Model calls are counted by job, because the model does not see the run's id."""
    calls = Counter(
        (each.path, each.number)
        for each in evidence.records
        if not each.tool and each.run_id == job
    )
    allowed = evidence.interruptions.get(loaded.head.run_id, 0)
    for place, times in calls.items():
        if times - 1 > allowed:
            yield f"M1: {job} {place} was asked {times} times, and interrupted {allowed} times"
