"""The profile of each model request is stored before a reply names it, and once."""

from datetime import UTC, datetime

import pytest

from agent_continuations import (
    Agent,
    Approval,
    InMemoryStore,
    LocalRunner,
    ScriptedModel,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import ModelReplied
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import JournalEntry, Status
from agent_continuations.errors import Retryable

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ANN = "ann@example.com"


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


@tool(approval=Approval([ANN]))
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


class CountingStore(InMemoryStore):
    """Counts the profiles that it is given, and refuses them while it is `down`."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[str] = []
        self.down = False

    def save_profile(self, profile: RequestProfile) -> None:
        if self.down:
            raise Retryable("down")
        self.saved.append(profile.digest)
        super().save_profile(profile)

    def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
        for event in entry.events:
            if isinstance(event, ModelReplied):
                assert event.profile and self.profile(event.profile), "named before it is stored"
        return super().append(run_id, entry)


def agents(settings: dict[str, object] | None = None) -> list[Agent]:
    clerk = Agent("clerk", "Pay.", tools=[look, pay], model="small", settings=settings or {})
    return [Agent("boss", "Lead.", tools=[clerk.as_tool(description="Pays.")])]


def scripts() -> dict[str, Script]:
    return {
        "boss": [calls(("clerk", {"input": "a"}), ("clerk", {"input": "b"})), say("done")],
        "clerk": [call("look"), call("pay", amount=7), say("paid")],
    }


def runner(store: InMemoryStore, model: ScriptedModel, deployed: list[Agent]) -> LocalRunner:
    return LocalRunner(deployed, model, store=store, clock=lambda: NOW, signing_key="k" * 32)


def turns(root: Continuation) -> list[tuple[str, str | None]]:
    return [(frame.agent, turn.profile) for frame in root.frames() for turn in frame.turns]


def test_each_turn_names_the_profile_of_its_request() -> None:
    store, model = CountingStore(), ScriptedModel(scripts())
    runs = runner(store, model, agents({"temperature": 0, "extra_headers": {"key": "secret"}}))
    run = runs.start("boss", "go")
    found = dict(turns(runs.continuation(run.run_id)))
    assert len(found) == len(set(found.values())) == 2
    boss, clerk = (store.profile(found[name] or "") for name in ("boss", "clerk"))
    assert boss and clerk
    assert (boss.model, clerk.model) == (None, "small")
    assert clerk.settings == {"temperature": 0}
    sent = {each.agent: each for each in model.requests}
    assert list(clerk.tools) == sent["clerk"].tools
    assert [each["function"]["name"] for each in clerk.tools] == ["look", "pay"]


def test_a_run_that_continues_does_not_store_its_profiles_again() -> None:
    store, model = CountingStore(), ScriptedModel(scripts())
    run = runner(store, model, agents()).start("boss", "go")
    before = len(store.saved)
    assert len(set(store.saved)) == 2
    elsewhere = runner(store, model, agents())
    for _ in range(2):
        request_id = elsewhere.get(run.run_id).waiting[0].request_id
        run = elsewhere.decide(run.run_id, request_id, "approve")
    assert run.status is Status.COMPLETED
    assert len(store.saved) == before


def test_a_deployment_between_two_turns_is_seen_in_the_second() -> None:
    store, model = CountingStore(), ScriptedModel({"clerk": [call("pay", amount=7), say("paid")]})
    [old], [new] = (
        [Agent("clerk", "Pay.", tools=[look, pay], settings=settings)]
        for settings in ({"temperature": 0}, {"temperature": 1})
    )
    run = runner(store, model, [old]).start("clerk", "go")
    later = runner(store, model, [new])
    later.decide(run.run_id, run.waiting[0].request_id, "approve")
    first, second = (digest for _, digest in turns(later.continuation(run.run_id)))
    assert first and second
    settings = [each and each.settings for each in map(store.profile, (first, second))]
    assert settings == [{"temperature": 0}, {"temperature": 1}]


def test_no_model_is_called_as_long_as_the_profile_cannot_be_stored() -> None:
    store, model = CountingStore(), ScriptedModel(scripts())
    runs = runner(store, model, agents())
    store.down = True
    with pytest.raises(Retryable):
        runs.start("boss", "go")
    assert model.requests == []
    [head] = store.list_runs("default").heads
    store.down = False
    # The lease of the process that failed is still valid; its successor waits until it is over.
    later = LocalRunner(agents(), model, store=store, clock=lambda: NOW.replace(hour=13))
    assert later.advance(head.run_id).status is Status.SUSPENDED
    assert {each.agent for each in model.requests} == {"boss", "clerk"}


def test_a_document_carries_the_profiles_that_its_turns_name() -> None:
    model = ScriptedModel(scripts())
    here, there = CountingStore(), CountingStore()
    first = runner(here, model, agents())
    run = first.start("boss", "go")
    document = first.dump(run.run_id)
    second = runner(there, model, agents())
    second.load(document)
    for _, digest in turns(second.continuation(run.run_id)):
        assert digest
        assert there.profile(digest) == here.profile(digest) is not None
