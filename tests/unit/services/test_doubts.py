"""Who may say what became of a call that was lost."""

from itertools import permutations

import pytest

from agent_continuations import Approval, Stage, call, say, tool
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.run import Status
from agent_continuations.errors import Forbidden
from agent_continuations.services.audit import audit, document_faults
from agent_continuations.views.timeline import timeline
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


class Many:
    """A lost call that several people must approve, and say of that it did not happen.

    Args:
        policy: how many of whom.
        yes: those who have approved it.
    """

    def __init__(self, policy: Approval, *yes: tuple[str, tuple[str, ...]]) -> None:
        self.ran = ran = list[str]()

        @tool(approval=policy)
        def pay() -> str:
            """Pay."""
            ran.append("pay")
            if len(ran) == 1:
                raise KeyboardInterrupt
            return "paid"

        self.harness = Harness(pay, script=[call("pay"), say("done")])
        self.run_id = self.harness.services.runs.start("a", "go").run_id
        self.harness.worker().advance(self.run_id)
        for who, groups in yes:
            self.say(who, Verdict.APPROVE, *groups)
        with pytest.raises(KeyboardInterrupt):
            self.harness.worker().advance(self.run_id)
        self.harness.later(hours=1)
        self.harness.worker().advance(self.run_id)

    def say(self, who: str, verdict: Verdict, *groups: str) -> bool:
        """Whether that closes the request."""
        [asked] = self.harness.waiting(self.run_id)
        response = Decide(
            verdict=verdict, approver=who, decided_by=who, via="session", groups=groups
        )
        decided = self.harness.services.decisions.decide(
            self.run_id, str(asked.request_id), response
        )
        return decided.closed

    def no(self, who: str, *groups: str) -> bool:
        return self.say(who, Verdict.REJECT, *groups)

    def end(self) -> Status | None:
        return self.harness.worker().advance(self.run_id)


TWO = Approval([ANN, BOB, EVE], needed=2)
STAGED = Approval(stages=[Stage([ANN]), Stage([BOB, "group:law"], needed=2)])


def test_as_many_say_that_it_did_not_happen_as_must_approve_it() -> None:
    two = Many(TWO, (ANN, ()), (BOB, ()))
    assert not two.no(ANN)
    assert not two.no(ANN), "the same word again"
    assert not two.no("ANN@example.com")
    assert two.end() is Status.SUSPENDED
    assert two.ran == ["pay"]
    assert two.no(EVE)
    assert two.end() is Status.COMPLETED
    assert two.ran == ["pay", "pay"]


def test_one_says_that_it_happened() -> None:
    two = Many(TWO, (ANN, ()), (BOB, ()))
    assert not two.no(ANN)
    assert two.say(ANN, Verdict.APPROVE)
    assert two.end() is Status.COMPLETED
    assert two.ran == ["pay"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_each_stage_says_so_in_any_order(order: tuple[int, ...]) -> None:
    law = ("group:law",)
    staged = Many(STAGED, (ANN, ()), (BOB, ()), (EVE, law))
    people = [(ANN, ()), (BOB, ()), (EVE, law)]
    for number in order[:2]:
        who, groups = people[number]
        assert not staged.no(who, *groups)
        assert staged.end() is Status.SUSPENDED
    who, groups = people[order[2]]
    assert staged.no(who, *groups)
    assert staged.end() is Status.COMPLETED
    assert staged.ran == ["pay", "pay"]


def test_a_stage_has_only_as_many_voices_as_it_needs() -> None:
    law = ("group:law",)
    staged = Many(STAGED, (ANN, ()), (BOB, ()), (EVE, law))
    assert not staged.no(EVE, *law)
    assert not staged.no("lena@example.com", *law)
    with pytest.raises(Forbidden, match="another stage still must"):
        staged.no("leo@example.com", *law)
    with pytest.raises(Forbidden, match="was not asked"):
        staged.no("mallory@example.com")
    assert staged.no(ANN)
    assert staged.end() is Status.COMPLETED


def test_the_words_are_in_the_audit_trail_and_on_the_timeline() -> None:
    two = Many(TWO, (ANN, ()), (BOB, ()))
    two.no(ANN)
    two.no(EVE)
    loaded = two.harness.services.runs.load(two.run_id)
    document = audit(loaded).model_dump(mode="json")
    assert document_faults(document) == []
    kinds = [each["kind"] for each in document["items"]]
    assert kinds[-3:] == ["doubted", "doubt_voted", "doubt_settled"]
    entries = list(timeline(loaded.snapshot, loaded.continuation))
    said = [each.approver for each in entries if each.kind == "answer"]
    assert said == [ANN, EVE]
