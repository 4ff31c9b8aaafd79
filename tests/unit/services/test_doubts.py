"""Who may say what became of a call that was lost."""

import pytest

from agent_continuations import Approval, call, say, tool
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.run import Status
from agent_continuations.errors import Forbidden
from tests.support.engine_harness import Harness

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"


class Doubted:
    """A run whose approved call was lost while it ran, so that people are asked about it.

    Args:
        requester: who started the run.
        self_approval: whether they may approve its calls.
    """

    def __init__(self, requester: str | None, *, self_approval: bool = False) -> None:
        ran: list[str] = []
        self.ran = ran

        @tool(approval=Approval([ANN, BOB], self_approval=self_approval))
        def pay() -> str:
            """Pay."""
            ran.append("pay")
            if len(ran) == 1:
                raise KeyboardInterrupt
            return "paid"

        self.harness = Harness(pay, script=[call("pay"), say("done")])
        self.run_id = self.harness.services.runs.start("a", "go", requester=requester).run_id
        self.harness.worker().advance(self.run_id)
        self.say(BOB, Verdict.APPROVE)
        with pytest.raises(KeyboardInterrupt):
            self.harness.worker().advance(self.run_id)
        self.harness.later(hours=1)
        assert self.harness.worker().advance(self.run_id) is Status.SUSPENDED
        [asked] = self.harness.waiting(self.run_id)
        assert asked.kind == "doubt"

    def say(self, who: str, verdict: Verdict) -> None:
        [asked] = self.harness.waiting(self.run_id)
        response = Decide(verdict=verdict, approver=who, decided_by=who, via="session")
        self.harness.services.decisions.decide(self.run_id, str(asked.request_id), response)


@pytest.mark.parametrize("requester", [ANN, ANN.upper(), f"{ANN}.", "\uff41nn@example.com"])
def test_who_started_the_run_does_not_have_its_call_run_again(requester: str) -> None:
    doubted = Doubted(requester)
    with pytest.raises(Forbidden, match="cannot have its call run again"):
        doubted.say(ANN, Verdict.REJECT)
    assert doubted.harness.worker().advance(doubted.run_id) is Status.SUSPENDED
    assert doubted.ran == ["pay"]
    doubted.say(BOB, Verdict.REJECT)
    assert doubted.harness.worker().advance(doubted.run_id) is Status.COMPLETED
    assert doubted.ran == ["pay", "pay"]


def test_who_started_the_run_may_say_that_its_call_happened() -> None:
    doubted = Doubted(ANN)
    doubted.say(ANN, Verdict.APPROVE)
    assert doubted.harness.worker().advance(doubted.run_id) is Status.COMPLETED
    assert doubted.ran == ["pay"]


@pytest.mark.parametrize(("requester", "self_approval"), [(ANN, True), (EVE, False), (None, False)])
def test_who_may_approve_the_call_may_have_it_run_again(
    requester: str | None, self_approval: bool
) -> None:
    doubted = Doubted(requester, self_approval=self_approval)
    doubted.say(ANN, Verdict.REJECT)
    assert doubted.harness.worker().advance(doubted.run_id) is Status.COMPLETED
    assert doubted.ran == ["pay", "pay"]


@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.REJECT])
def test_who_was_not_asked_says_nothing(verdict: Verdict) -> None:
    doubted = Doubted(EVE)
    with pytest.raises(Forbidden, match="was not asked"):
        doubted.say(EVE, verdict)
