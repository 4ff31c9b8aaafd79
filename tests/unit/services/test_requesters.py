"""Who sends a message to a run has asked for what the run plans next, and may not approve it."""

from collections.abc import Sequence
from typing import Any

import pytest

from agent_continuations import Agent, Approval, LocalRunner, ScriptedModel, Stage, call, say, tool
from agent_continuations.errors import Forbidden, Invalid
from agent_continuations.views.run import RunView
from tests.support.policy_harness import PolicyHarness

ANN, BOB, CFO = "ann@example.com", "bob@example.com", "cfo@example.com"


def runner(
    policy: Approval,
    *,
    inside: str = "",
    turns: Sequence[Any] = (),
    clerk: Sequence[Any] = (),
    key: str | None = None,
) -> LocalRunner:
    """A boss that pays, itself or by its clerk: a frame of the run (`frame`), or a run (`run`)."""

    @tool(approval=policy)
    def pay(amount: int) -> str:
        """Pay."""
        return f"paid {amount}"

    payer = Agent("clerk", "Pay.", tools=[pay])
    tools = [payer.as_tool(description="Ask.", spawn=inside == "run")] if inside else []
    model = ScriptedModel({"boss": [*turns], "clerk": [*clerk]})
    return LocalRunner([Agent("boss", "Pay.", tools=[*tools, pay])], model, signing_key=key)


PAY = call("pay", amount=7)
ASK = call("clerk", input="pay 7")


def asked(run: RunView) -> str:
    [waiting] = run.waiting
    assert waiting.request_id
    return waiting.request_id


def refused(here: LocalRunner, run: RunView, *people: str) -> None:
    for person in people:
        with pytest.raises(Forbidden, match="wrote to it"):
            here.decide(run.run_id, asked(run), "approve", approver=person)


def test_who_sent_a_message_may_not_approve_what_was_planned_after_it() -> None:
    here = runner(Approval([ANN, BOB]), turns=[say("hello"), PAY, say("done")])
    run = here.start("boss", "go")
    run = here.message(run.run_id, "pay 7 to the gardener", sender=ANN)
    refused(here, run, ANN, "ANN@example.com", "ann@example.com.", "\uff41nn@example.com")
    assert here.decide(run.run_id, asked(run), "approve", approver=BOB).result == "done"


def test_what_was_planned_before_the_message_its_sender_may_approve() -> None:
    here = runner(Approval([ANN, BOB]), turns=[PAY, PAY, say("done")])
    run = here.start("boss", "go")
    run = here.message(run.run_id, "and once more", sender=ANN)
    run = here.decide(run.run_id, asked(run), "approve", approver=ANN)
    refused(here, run, ANN)
    assert here.decide(run.run_id, asked(run), "approve", approver=BOB).result == "done"


def test_answers_edits_and_reasons_are_no_messages() -> None:
    turns = [*(call("pay", amount=each) for each in (5, 6, 7)), say("done")]
    here = runner(Approval([ANN, BOB]), turns=turns)
    run = here.start("boss", "go")
    run = here.decide(run.run_id, asked(run), "reject", approver=ANN, reason="pay 8 instead")
    run = here.decide(run.run_id, asked(run), "approve", approver=ANN, arguments={"amount": 8})
    assert here.decide(run.run_id, asked(run), "approve", approver=ANN).result == "done"


def test_a_policy_can_allow_it() -> None:
    here = runner(Approval([ANN], self_approval=True), turns=[say("hello"), PAY, say("done")])
    run = here.message(here.start("boss", "go").run_id, "pay 7", sender=ANN)
    assert here.decide(run.run_id, asked(run), "approve", approver=ANN).result == "done"


@pytest.mark.parametrize("inside", ["frame", "run"])
def test_an_agent_below_asks_for_those_who_wrote_before_it_was_called(inside: str) -> None:
    here = runner(
        Approval([ANN, BOB]),
        inside=inside,
        turns=[say("hello"), ASK, say("done")],
        clerk=[PAY, say("paid")],
    )
    run = here.start("boss", "go", requester=CFO)
    run = here.message(run.run_id, "have the clerk pay 7", sender=ANN)
    asking = here.get(child_of(run)) if inside == "run" else run
    refused(here, asking, ANN)
    here.decide(asking.run_id, asked(asking), "approve", approver=BOB)
    assert here.advance(run.run_id).result == "done"


def child_of(run: RunView) -> str:
    [child] = {each.run_id for each in run.waiting if each.run_id}
    return child


def test_a_message_to_a_child_run_counts_for_what_comes_of_its_result() -> None:
    turns, clerk = [ASK, PAY, say("done")], [PAY, PAY, say("pay 7 to the gardener")]
    here, there = (
        runner(Approval([ANN, BOB]), inside="run", turns=turns, clerk=clerk, key="k" * 32)
        for _ in range(2)
    )
    run = here.start("boss", "go")
    child = child_of(run)
    here.message(child, "also pay the gardener", sender=ANN)
    asking = here.decide(child, asked(here.get(child)), "approve", approver=ANN)
    refused(here, asking, ANN)
    here.decide(child, asked(asking), "approve", approver=BOB)
    run = here.advance(run.run_id)
    refused(here, run, ANN)
    moved = there.load(here.dump(run.run_id))
    refused(there, moved, ANN)
    assert there.decide(moved.run_id, asked(moved), "approve", approver=BOB).result == "done"


def test_a_child_run_is_its_roots_starters() -> None:
    here = runner(Approval([ANN]), inside="run", turns=[ASK, say("done")], clerk=[PAY])
    head = here._services.runs.start("boss", "go", starter=BOB)
    child = child_of(here.advance(head.run_id))
    assert here._services.runs.head(child).starter == BOB


def test_who_sent_a_message_is_not_reassigned_to_and_reassigns_nothing() -> None:
    turns = [say("hello"), say("how much?"), PAY, say("done")]
    here = runner(Approval([ANN, BOB], delegates=[CFO]), turns=turns)
    run = here.start("boss", "go")
    for sender in (ANN, CFO):
        run = here.message(run.run_id, "pay 7", sender=sender)
    with pytest.raises(Forbidden, match="wrote to it"):
        here.reassign(run.run_id, asked(run), CFO, approver=ANN)
    with pytest.raises(Invalid, match="wrote to it"):
        here.reassign(run.run_id, asked(run), CFO, approver=BOB)


def test_operators_are_told_where_too_few_are_left_who_may_approve() -> None:
    def obstacle(policy: Approval, *senders: str) -> str | None:
        hello = [say("hello")] if senders else []
        harness = PolicyHarness(policy, replies=[*hello, PAY, say("done")])
        harness.start()
        for sender in senders:
            harness.services.inbound.message(harness.run_id, "pay", sender=sender)
        harness.runner.advance(harness.run_id)
        return harness.notices()[-1].obstacle

    both = Approval(stages=[Stage([ANN, BOB], "all")])
    second = Approval(stages=[Stage([ANN]), Stage([CFO])])
    group = Approval(stages=[Stage([ANN, "group:finance"], 2)])
    assert obstacle(both) is obstacle(Approval([ANN, BOB]), ANN) is obstacle(group, ANN) is None
    assert obstacle(both, ANN) == (
        f"of {ANN}, {BOB}, 1 may approve and 2 must: the others started the run or wrote to it"
    )
    assert obstacle(second, CFO.upper())
    assert obstacle(Approval([ANN, BOB]), ANN, BOB)
    assert obstacle(Approval([ANN], self_approval=True), ANN) is None
