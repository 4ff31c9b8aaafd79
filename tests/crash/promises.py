"""What must hold after a campaign, checked from the outside: what really ran, what people said and
were told, and what is stored.

The promises have the names that they have in the simulator: S2 a `once` tool happens at most once.
S3 one idempotency key per call. S4 nothing gated happens without an approval of just that. S6 the
first decision stands. L1 every run comes to its end. M1 a model call is repeated at most as often
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
from tests.crash.agreement import agreed_to
from tests.crash.ledger import Entry
from tests.crash.people import Said, Told
from tests.crash.script import digest


@dataclass(frozen=True)
class Evidence:
    """All that is known of a campaign that is over.

    Attributes:
        runs: by their jobs, as they are stored; None for one that is not there.
        entries: what tools and the model really did.
        interrupted: by run, how often an owner was ended that had it, or left it unfinished.
    """

    runs: Mapping[str, LoadedRun | None]
    entries: Sequence[Entry]
    said: Sequence[Said]
    told: Sequence[Told]
    interrupted: Mapping[str, int]


def violations(evidence: Evidence) -> Iterator[str]:
    """Every promise that was broken."""
    tools = [each for each in evidence.entries if each.tool]
    yield from _once(tools)
    yield from _keys(tools)
    ran: defaultdict[str, list[Entry]] = defaultdict(list)
    for each in tools:
        ran[each.run_id].append(each)
    for job, loaded in evidence.runs.items():
        if loaded is None:
            yield f"L1: {job} was lost"
            continue
        yield from _ended(job, loaded)
        yield from _gates(loaded, ran[loaded.head.run_id], evidence.said)
        yield from _decisions(loaded, evidence.told)
        yield from _history(loaded)
        yield from _happened(loaded, ran.pop(loaded.head.run_id))
        yield from _model_calls(job, loaded, evidence)
    yield from (f"{run_id} is no run, but its tools ran" for run_id in ran)


def _once(tools: Sequence[Entry]) -> Iterator[str]:
    calls = Counter((each.run_id, each.path) for each in tools if each.tool.startswith("pay"))
    yield from (f"S2: {call} happened {times} times" for call, times in calls.items() if times > 1)


def _keys(tools: Sequence[Entry]) -> Iterator[str]:
    keys, places = defaultdict(set), defaultdict(set)
    for each in tools:
        keys[each.run_id, each.path].add(each.key)
        places[each.key].add((each.run_id, each.path))
    yield from (f"S3: {place} has {len(of)} keys" for place, of in keys.items() if len(of) > 1)
    yield from (f"S3: the key {key} is that of {of}" for key, of in places.items() if len(of) > 1)


def _ended(job: str, loaded: LoadedRun) -> Iterator[str]:
    head = loaded.head
    if head.status is not Status.COMPLETED:
        yield f"L1: {job} is {head.status.value} in the end: {head.note}"
    elif head.due or head.intents or head.lease_until:
        yield f"L1: {job} has ended, but its head says that something is left"


def _gates(loaded: LoadedRun, ran: Sequence[Entry], said: Sequence[Said]) -> Iterator[str]:
    """Each gate above an execution was opened before, on record and by a person's word."""
    run_id = loaded.head.run_id
    words = {(each.path, each.amount) for each in said if each.run_id == run_id and each.approved}
    calls = {path_text(path): call for path, call in loaded.continuation.calls()}
    for each in ran:
        steps = each.path.split("/")
        for end in range(1, len(steps) + 1):
            gate = "/".join(steps[:end])
            call = calls.get(gate)
            if call is None or isinstance(call.plan, RefusedPlan) or call.plan.gate is None:
                continue
            amount = each.amount if end == len(steps) else None
            if not _opened(loaded, gate, amount, each.at):
                yield f"S4: {each} ran without an approval at {gate}"
            if (gate, amount) not in words:
                yield f"S4: {each} ran, but nobody said so at {gate}"


def _opened(loaded: LoadedRun, gate: str, amount: int | None, at: float) -> bool:
    """Whether the call was agreed to before, as it ran: with its amount, or an agent's input."""
    path = parse_path(gate)
    call = loaded.continuation.call_at(path)
    if call.decision is None or call.decision.decided_at.timestamp() > at:
        return False
    arguments = call.arguments if amount is None else {"amount": amount}
    return agreed_to(loaded, path, arguments)


def _decisions(loaded: LoadedRun, told: Sequence[Told]) -> Iterator[str]:
    stands = {
        event.request_id: (event.decision.verdict.value, event.decision.approver)
        for event in loaded.snapshot.events()
        if isinstance(event, Decided | DoubtResolved)
    }
    for each in told:
        if each.run_id != loaded.head.run_id:
            continue
        if stands.get(each.request_id) != (each.verdict, each.approver):
            yield f"S6: {each} was told, but {stands.get(each.request_id)} stands"


def _history(loaded: LoadedRun) -> Iterator[str]:
    for event in loaded.snapshot.events():
        if not isinstance(event, ModelReplied):
            continue
        frame = loaded.continuation.frame_at(parse_path(event.path))
        before = frame.model_copy(update={"turns": frame.turns[: event.turn]})
        if (event.reply.content or "").split()[-1:] != [digest(chat_messages(before))]:
            yield f"M2: {loaded.head.run_id} {event.path} {event.turn} was made from another past"


def _happened(loaded: LoadedRun, ran: Sequence[Entry]) -> Iterator[str]:
    """All that was to happen did, and what was rejected did not."""
    paths = {each.path for each in ran}
    known: set[str] = set()
    for path, call in loaded.continuation.calls():
        place = f"{loaded.head.run_id} {path_text(path)}"
        known.add(path_text(path))
        if call.outcome is None:
            yield f"L1: {place} has no outcome"
        elif isinstance(call.plan, ToolPlan):
            yield from _outcome(place, call, path_text(path) in paths)
    yield from (f"{loaded.head.run_id} {path} ran, but is no call" for path in paths - known)


def _outcome(place: str, call: Call, ran: bool) -> Iterator[str]:
    assert call.outcome
    if call.outcome.kind == "rejected" and ran:
        yield f"S4: {place} was rejected and ran"
    if call.outcome.kind != "rejected" and not ran:
        yield f"S2: {place} has an outcome, but never ran"


def _model_calls(job: str, loaded: LoadedRun, evidence: Evidence) -> Iterator[str]:
    """The model knows no run, only the job that all agents of a run are given."""
    calls = Counter(
        (each.path, each.number)
        for each in evidence.entries
        if not each.tool and each.run_id == job
    )
    allowed = evidence.interrupted.get(loaded.head.run_id, 0)
    for place, times in calls.items():
        if times - 1 > allowed:
            yield f"M1: {job} {place} was asked {times} times, and interrupted {allowed} times"
