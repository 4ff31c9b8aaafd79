"""What the models of a run were sent: exactly the requests that they really got."""

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agent_continuations import (
    Agent,
    Approval,
    EveryTurns,
    InMemoryStore,
    LocalRunner,
    Question,
    ScriptedModel,
    Sleep,
    WaitFor,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.core.events import ModelReplied
from agent_continuations.core.replies import Reply, Usage
from agent_continuations.core.run import JournalEntry, Status
from agent_continuations.errors import Invalid, ModelRefused, NotFound
from agent_continuations.ports.model import ModelRequest
from agent_continuations.services import model_requests as service
from agent_continuations.services.model_requests import model_requests
from agent_continuations.services.request_pages import PageLimits
from agent_continuations.views.model_requests import ModelRequestPage, ModelRequestView
from agent_continuations.views.waiting import Waiting
from tests.support.local_harness import ANN, NOW, LocalHarness

BOSS = "boss@example.com"


@tool(effect="read")
def look(what: str) -> str:
    """Look."""
    return f"seen: {what}"


@tool(approval=Approval([ANN]))
def pay(amount: int) -> str:
    """Pay."""
    if amount == 13:
        raise ValueError("not this amount")
    return f"paid {amount}"


@tool(effect="read")
def ask() -> Question:
    """Ask."""
    return Question("What now?", ask=[ANN])


@tool(effect="read")
def nap() -> Sleep:
    """Wait."""
    return Sleep(seconds=60)


@tool(effect="read")
def wait_paid() -> WaitFor:
    """Wait for a payment."""
    return WaitFor("paid")


class Total(BaseModel):
    euros: int


def deployed() -> list[Agent]:
    tools = [look, pay, ask, nap, wait_paid]
    inner = Agent("inner", "Look.", tools=tools, output_type=Total, settings={"seed": 7})
    alone = Agent("alone", "Do it.", tools=tools)
    outer = Agent(
        "outer",
        "Lead.",
        model="gpt-5",
        tools=[
            *tools,
            inner.as_tool(description="Looks."),
            alone.as_tool(description="Works.", spawn=True),
        ],
        conditions=[EveryTurns(limit=2, approval=Approval([BOSS]))],
        max_turns=30,
    )
    return [outer]


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("look", {"what": "\u202e\u00e9"}),
    ("look", {"what": 7}),  # not valid
    ("pay", {"amount": 5}),
    ("pay", {"amount": 13}),  # fails
    ("fly", {"to": "the moon"}),  # no such tool
    ("ask", {}),
    ("nap", {}),
    ("wait_paid", {}),
    ("inner", {"input": "Look into it."}),
    ("alone", {"input": "Do it."}),
]


class Strange(ScriptedModel):
    """A model whose replies are drawn: calls, words, and faulty replies."""

    def __init__(self, seed: int) -> None:
        super().__init__(dict.fromkeys(("outer", "inner", "alone"), self._draw))
        self._seed = seed

    def _draw(self, request: ModelRequest) -> Reply:
        turn = sum(each["role"] == "assistant" for each in request.messages)
        random = Random(f"{self._seed} {request.agent} {request.path} {turn}")
        used = Usage(input_tokens=random.randrange(9999), output_tokens=random.randrange(999))
        named = random.choice(["gpt-5-mini-2025-08-07", "gpt-5", "unheard-of", None])
        about: dict[str, Any] = {"usage": used, "model": named}
        if turn < 6 and random.random() < 0.7:
            wanted = random.choices(REQUESTS, k=random.randint(1, 3))
            reply = calls(*wanted)
            words = random.choice([None, "I will look."])
            return reply.model_copy(update={**about, "content": words})
        if random.random() < 0.3:
            return Reply(fault=random.choice(["empty", "length"]), content=None, **about)
        words = '{"euros": 7}' if random.random() < 0.7 else "seven"
        return Reply(content=words, **about)


class World:
    """A run with every kind of wait, people who respond at random, and a model."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = NOW
        self.model = Strange(seed)
        self.runner = LocalRunner(deployed(), self.model, clock=lambda: self.now)
        self.run_id = self.runner.start("outer", "Begin.").run_id

    def step(self) -> None:
        """Respond to one wait, or send a message."""
        view = self.runner.get(self.run_id)
        if view.status.ended or self.random.random() < 0.15:
            if view.status not in (Status.FAILED, Status.PARKED):
                self.runner.message(self.run_id, f"And {self.random.random()}?")
            return
        self.now += timedelta(seconds=90)
        if not view.waiting:
            self.runner.advance(self.run_id)
            return
        wait = self.random.choice(view.waiting)
        self._respond(wait)
        for each in {wait.run_id or self.run_id, self.run_id}:
            if not self.runner.get(each).status.ended:
                self.runner.advance(each)

    def _respond(self, wait: Waiting) -> None:
        rejects = self.random.random() < 0.25
        verdict = "reject" if rejects else "approve"
        edits = self.random.random() < 0.4 and not rejects
        match wait.kind:
            case "approval":
                arguments = {"amount": 6} if edits else None
                self.runner.decide(
                    self.run_id, wait.request_id, verdict, arguments=arguments, reason="why not"
                )
            case "condition":
                self.runner.decide(self.run_id, wait.request_id, verdict)
            case "question" if rejects:
                self.runner.decide(self.run_id, wait.request_id, verdict, reason="no idea")
            case "question":
                self.runner.answer(self.run_id, wait.request_id, "friday")
            case "event":
                self.runner.signal(wait.run_id or self.run_id, "paid", {"euros": 5})
            case _:
                pass


def sent(world: World, agent: str, path: str, turn: int) -> list[ModelRequest]:
    """The requests that the model really got, of all runs that have this agent at this path."""
    return [
        each
        for each in world.model.requests
        if (each.agent, each.path) == (agent, path)
        and sum(message["role"] == "assistant" for message in each.messages) == turn
    ]


def pages(
    runner: LocalRunner, run_id: str, path: str, limits: PageLimits, turn: int | None = None
) -> Iterator[ModelRequestPage]:
    cursor: str | None = None
    while True:
        found = model_requests(
            runner._services.runs, run_id, path, turn=turn, cursor=cursor, limits=limits
        )
        yield found
        cursor = found.next
        if cursor is None:
            return


def exact(items: list[ModelRequestView]) -> list[list[Any]]:
    """The messages of each request, put together from the items."""
    requests: list[list[Any]] = []
    for item in items:
        if item.turn == len(requests):
            requests.append(list(requests[-1]) if requests else [])
        assert item.offset == len(requests[-1])
        assert not item.truncated
        requests[-1] += item.messages
    for number, request in enumerate(requests):
        assert {len(request)} == {each.message_count for each in items if each.turn == number}
    return requests


def check_frame(world: World, run_id: str, path: str) -> None:
    whole = world.runner.messages(run_id, path)
    derived = exact(list(whole.items))
    replied = [each for each in whole.items if each.reply]
    for item in replied:
        got = sent(world, whole.agent, path, item.turn)
        assert len(got) == 1 or whole.agent == "alone"
        [request, *_] = [each for each in got if list(each.messages) == derived[item.turn]]
        assert item.tools is not None
        assert list(item.tools) == request.tools
        assert item.settings == request.settings
        assert item.requested_model == request.model
        assert item.output == request.output
        assert item.at is not None
        alone = world.runner.messages(run_id, path, turn=item.turn)
        assert [each.messages for each in alone.items] == [tuple(request.messages)]
        assert alone.items[0].reply == item.reply
    assert sum((each.usage for each in replied), Usage()) == whole.usage
    for limits in (PageLimits(1, 100_000), PageLimits(3, 100_000), PageLimits(50, 6000)):
        found = [each for page in pages(world.runner, run_id, path, limits) for each in page.items]
        assert exact(found) == derived


def played(seed: int) -> World:
    world = World(seed)
    for _ in range(25):
        world.step()
    return world


def runs_of(world: World) -> list[tuple[str, str]]:
    """Every run and path at which there is an agent."""
    found, runs = [], [world.run_id]
    for run_id in runs:
        frames = world.runner.messages(run_id).frames
        runs += [each.run_id for each in frames if each.run_id]
        found += [(run_id, each.path) for each in frames if not each.run_id]
    return found


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6))
def test_the_derived_requests_are_those_that_the_model_got(seed: int) -> None:
    world = played(seed)
    for run_id, path in runs_of(world):
        check_frame(world, run_id, path)


def test_the_runs_that_are_checked_have_everything_that_changes_a_request() -> None:
    seen: set[str] = set()
    for seed in range(12):
        world = played(seed)
        for run_id, path in runs_of(world):
            root = world.runner.continuation(run_id)
            seen |= {"child run"} if run_id != world.run_id else set()
            seen |= {"sub-agent"} if path else set()
            for frame in root.frames():
                seen |= {"condition"} if frame.holds else set()
                for turn in frame.turns:
                    seen |= {str(turn.reply.fault)} | {"message" for _ in turn.heard}
            for _, each in root.calls():
                kind = each.wait.kind if each.wait else each.plan.kind
                seen |= {kind, each.outcome.kind if each.outcome else "open"}
                decision = each.decision
                seen |= {"edited"} if decision and decision.arguments else set()
    assert seen >= {
        *("child run", "sub-agent", "condition", "message", "edited", "rejected", "refused"),
        *("empty", "length", "output", "question", "event", "timer", "error", "ok"),
    }


# -- single cases ----------------------------------------------------------------------------------

CLERK = Agent("clerk", "Pay.", tools=[look, pay])
OFFICE = [Agent("office", "Lead.", tools=[CLERK.as_tool(description="Pays.")])]
OFFICE_SCRIPT = {
    "office": [call("clerk", input="Pay Bob."), say("Paid.")],
    "clerk": [call("look", what="it"), call("pay", amount=5), say("Done.")],
}


def test_a_request_that_the_service_refuses_is_the_last_item_and_has_no_reply() -> None:
    refused: list[ModelRequest] = []

    def reply(request: ModelRequest) -> Reply:
        if len(request.messages) == 1:
            return call("look", what="it")
        refused.append(request)
        raise ModelRefused("no")

    harness = LocalHarness(look, scripts={"a": reply})
    run = harness.runner.start("a", "go")
    assert run.status is Status.SUSPENDED
    first, last = harness.runner.messages(run.run_id).items
    assert first.reply
    assert (last.turn, last.reply, last.at, last.cost, last.usage) == (1, None, None, None, Usage())
    assert (last.tools, last.settings, last.requested_model) == (None, None, None)
    assert [*first.messages, *last.messages] == list(refused[0].messages)
    [alone] = harness.runner.messages(run.run_id, turn=1).items
    assert alone.messages == tuple(refused[0].messages)


def test_a_frame_that_calls_no_model_next_has_no_request_without_a_reply() -> None:
    harness = LocalHarness(agents=OFFICE, scripts=OFFICE_SCRIPT)
    run = harness.runner.start("office", "go")
    assert [each.reply is None for each in harness.runner.messages(run.run_id).items] == [False]
    inner = harness.runner.messages(run.run_id, "0.0").items
    assert [each.reply is None for each in inner] == [False, False]  # it waits for an approval


def test_a_run_that_has_not_begun_shows_its_first_request_unless_it_is_cancelled() -> None:
    harness = LocalHarness(look, script=[say("ok")])
    services = harness.runner._services
    run_id = services.runs.start("a", "go").run_id
    [first] = harness.runner.messages(run_id).items
    assert [each["content"] for each in first.messages] == ["go"]
    assert first.reply is None
    harness.runner.cancel(run_id)
    assert harness.runner.messages(run_id).items == ()


def test_paths_lead_from_agent_to_agent() -> None:
    harness = LocalHarness(agents=OFFICE, scripts=OFFICE_SCRIPT)
    run = harness.runner.start("office", "go")
    found = harness.runner.messages(run.run_id)
    assert [(each.path, each.agent, each.run_id) for each in found.frames] == [
        ("", "office", None),
        ("0.0", "clerk", None),
    ]
    inner = harness.runner.messages(run.run_id, "0.0")
    assert (inner.path, inner.agent, inner.frames) == ("0.0", "clerk", found.frames)


@pytest.mark.parametrize("path", ["1.0", "0.0/0.0", "0.1", "nonsense", "00.0", "\u202e", "9" * 999])
def test_an_unknown_path_is_refused_with_the_paths_that_exist(path: str) -> None:
    harness = LocalHarness(agents=OFFICE, scripts=OFFICE_SCRIPT)
    run = harness.runner.start("office", "go")
    with pytest.raises(NotFound, match=r"the empty path \(office\), 0\.0 \(clerk\)$") as refused:
        harness.runner.messages(run.run_id, path)
    assert len(str(refused.value)) < 400


def test_the_path_of_a_child_run_is_refused_with_its_id() -> None:
    tools = [CLERK.as_tool(description="Pays.", spawn=True)]
    harness = LocalHarness(agents=[Agent("office", tools=tools)], scripts=OFFICE_SCRIPT)
    run = harness.runner.start("office", "go")
    [_, child] = harness.runner.messages(run.run_id).frames
    assert (child.path, child.agent) == ("0.0", "clerk")
    assert child.run_id
    assert harness.runner.messages(child.run_id).agent == "clerk"
    with pytest.raises(NotFound, match=child.run_id):
        harness.runner.messages(run.run_id, "0.0")


@pytest.mark.parametrize("turn", [-1, 2, 10**30])
def test_an_unknown_turn_is_refused(turn: int) -> None:
    harness = LocalHarness(look, script=[call("look", what="it"), say("ok")])
    run = harness.runner.start("a", "go")
    with pytest.raises(NotFound, match=f"no request {turn}; the agent has 2, from 0"):
        harness.runner.messages(run.run_id, turn=turn)


@pytest.mark.parametrize(
    "cursor", ["", "x", "2.0", "1", "-1.0", "1.0\n", "\u0661.0", "1.0.0", "9" * 5000 + ".0"]
)
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    harness = LocalHarness(look, script=[call("look", what="it"), say("ok")])
    run = harness.runner.start("a", "go")
    runs = harness.runner._services.runs
    with pytest.raises(Invalid) as refused:
        model_requests(runs, run.run_id, cursor=cursor, limits=PageLimits(1, 1000))
    assert refused.value.fields == (("cursor", "unknown"),)


def test_a_cursor_beyond_a_request_gives_no_message_twice_or_from_elsewhere() -> None:
    harness = LocalHarness(look, script=[call("look", what="it"), say("ok")])
    run = harness.runner.start("a", "go")
    runs = harness.runner._services.runs
    found = model_requests(runs, run.run_id, cursor="0.99", limits=PageLimits(1, 1000))
    assert [each.messages for each in found.items] == [()]
    assert found.next == "1.1"


def test_a_model_without_a_price_has_no_cost_and_neither_has_the_agent() -> None:
    used = Usage(input_tokens=1_000_000, output_tokens=100_000)
    replies = [
        call("look", what="it").model_copy(update={"model": "gpt-5-2025-08-07", "usage": used}),
        say("ok").model_copy(update={"model": "gpt-5-mini", "usage": used}),
        say("ok").model_copy(update={"model": "wise-owl", "usage": used}),
    ]
    harness = LocalHarness(look, script=replies)
    run = harness.runner.start("a", "go")
    found = harness.runner.messages(run.run_id)
    assert [each.cost for each in found.items] == [2.25, pytest.approx(0.45)]
    assert found.cost == pytest.approx(2.7)
    harness.runner.message(run.run_id, "More.")
    found = harness.runner.messages(run.run_id)
    assert [each.cost for each in found.items][2] is None
    assert found.cost is None
    assert found.usage.input_tokens == 3_000_000


def test_a_turn_of_earlier_code_has_no_tools_and_a_run_from_a_document_keeps_its_times() -> None:
    class EarlierStore(InMemoryStore):
        def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
            events = tuple(
                each.model_copy(update={"profile": None})
                if isinstance(each, ModelReplied)
                else each
                for each in entry.events
            )
            super().append(run_id, JournalEntry(entry.key, events))
            return entry

    model = ScriptedModel(OFFICE_SCRIPT)
    earlier = LocalRunner(OFFICE, model, store=EarlierStore(), signing_key="k")
    run = earlier.start("office", "go")
    for path in ("", "0.0"):
        for item in earlier.messages(run.run_id, path).items:
            assert (item.tools, item.settings, item.requested_model) == (None, None, None)
            assert item.at
            assert item.messages
    later = LocalRunner(OFFICE, model, signing_key="k")
    later.load(earlier.dump(run.run_id))
    assert later.messages(run.run_id) == earlier.messages(run.run_id)
    run = later.decide(run.run_id, run.waiting[0].request_id, "approve")
    assert run.status is Status.COMPLETED
    assert [bool(each.tools) for each in later.messages(run.run_id).items] == [False, True]


# -- sizes -----------------------------------------------------------------------------------------


def long_run(text: str, *, times: int = 3) -> LocalHarness:
    @tool(effect="read")
    def read() -> str:
        """Read."""
        return text

    script: list[Reply] = [calls(*[("read", {})] * times), say("ok")]
    harness = LocalHarness(read, script=script)
    harness.runner.start("a", "go")
    return harness


def run_id_of(harness: LocalHarness) -> str:
    [head] = harness.store.list_runs("default").heads
    return head.run_id


@pytest.mark.parametrize("text", ["a" * 70_000, "\u0000" * 70_000, "\U0001f600" * 70_000])
@pytest.mark.parametrize("turn", [None, 1])
def test_a_page_has_at_most_twice_its_bytes_and_says_what_it_cut(
    text: str, turn: int | None
) -> None:
    harness = long_run(text)
    limits = PageLimits(50, 50_000)
    found = list(pages(harness.runner, run_id_of(harness), "", limits, turn))
    for each in found:
        assert len(each.model_dump_json()) < 100_000 + 2000
    items = [item for each in found for item in each.items if item.turn == 1]
    results = [
        str(message["content"])
        for item in items
        for message in item.messages
        if message["role"] == "tool"
    ]
    assert len(results) == 3
    for result in results:
        start, end = result.split("\n[")
        assert text.startswith(start)
        assert end == f"{len(text) - len(start)} characters more are not shown]"
    assert items[-1].truncated
    whole = harness.runner.messages(run_id_of(harness), turn=turn)
    assert text in {each["content"] for each in whole.items[-1].messages}
    assert not any(each.truncated for each in whole.items)


def test_a_request_with_many_messages_is_continued_on_the_next_pages() -> None:
    harness = long_run("a" * 3000, times=100)
    limits = PageLimits(50, 30_000)
    found = list(pages(harness.runner, run_id_of(harness), "", limits))
    assert len(found) > 10
    assert exact([item for each in found for item in each.items])[1] == list(
        harness.model.requests[1].messages
    )
    assert {each.items[-1].turn for each in found[1:]} == {1}


def test_a_long_reply_and_long_tools_are_cut_too() -> None:
    long = "b" * 70_000

    @tool(effect="read")
    def read(what: str) -> str:
        """Read."""
        return what

    described = Agent("a", tools=[read], settings={"stop": [long]})
    harness = LocalHarness(agents=[described], scripts={"a": [call("read", what=long), say(long)]})
    run = harness.runner.start("a", "go")
    found = list(pages(harness.runner, run.run_id, "", PageLimits(50, 50_000)))
    for each in found:
        assert len(each.model_dump_json()) < 100_000 + 2000
        assert all(item.truncated for item in each.items)
    [reply, *_] = [item.reply for each in found for item in each.items if item.turn == 1]
    assert reply and reply.content
    assert reply.content.endswith("characters more are not shown]")


def test_very_many_agents_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_FRAMES", 5)
    helper = Agent("helper", "Help.")
    boss = Agent("boss", tools=[helper.as_tool(description="Helps.")])
    asked = [("helper", {"input": str(number)}) for number in range(30)]
    harness = LocalHarness(
        agents=[boss], scripts={"boss": [calls(*asked), say("ok")], "helper": [say("done")]}
    )
    run = harness.runner.start("boss", "go")
    found = harness.runner.messages(run.run_id, "0.29")
    assert (len(found.frames), found.more_frames, found.agent) == (5, 26, "helper")
    with pytest.raises(NotFound, match=r"and 11 more$"):
        harness.runner.messages(run.run_id, "7.7")
