"""Grants: they cover calls like one that was shown, for a limited time, and no others."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_continuations import Approval, Preview, Stage, call, say
from agent_continuations.core.approvals.grant import ArgumentRule, Grant
from agent_continuations.core.approvals.policy import Risk
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide, GrantTerms
from agent_continuations.core.run import Status
from agent_continuations.errors import (
    AlreadyDecided,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Retryable,
)
from tests.support.policy_harness import ANN, BOB, CARL, HOUR, PolicyHarness, policy_harness

DAY = 24 * HOUR


def granting(*approvers: str, **policy: Any) -> PolicyHarness:
    return policy_harness(*approvers, grant_seconds=DAY, **policy)


def agree(
    one: PolicyHarness,
    who: str = ANN,
    *,
    rules: Any = None,
    seconds: int = HOUR,
    max_uses: int | None = None,
    via: Any = "link",
    **more: Any,
) -> Grant:
    """Approve the request and grant similar calls."""
    rules = {"amount": "up_to"} if rules is None else rules
    wanted = GrantTerms(seconds=seconds, rules=rules, max_uses=max_uses)
    answer = Decide(verdict=Verdict.APPROVE, approver=who, via=via, grant=wanted, **more)
    one.services.decisions.decide(one.run_id, one.request.request_id, answer)
    one.runner.advance(one.run_id)
    return one.services.grants.all()[0]


def again(one: PolicyHarness, amount: int) -> Status:
    """The status of another run of the same agent, with this amount."""
    one.next_amount = amount
    one.start()
    return one.status


def test_a_call_under_a_grant_needs_no_request() -> None:
    one = granting(ANN, BOB)
    grant = agree(one)
    assert again(one, 700) is Status.COMPLETED
    assert again(one, 1) is Status.COMPLETED
    assert one.paid == [700, 700, 1]
    assert one.notices() == []
    [kept] = one.services.grants.all()
    assert kept.uses == 2
    assert one.audit_kinds() == ["approval_requested", "decided"]
    [(_, asked)] = one.services.runs.load(one.run_id).continuation.calls()
    decision = asked.decision
    assert decision
    assert (decision.via, decision.grant_id, decision.approver) == ("grant", grant.grant_id, ANN)


@pytest.mark.parametrize("amount", [701, -1])
def test_a_call_outside_the_grant_is_requested(amount: int) -> None:
    one = granting(ANN)
    agree(one)
    assert again(one, amount) is Status.SUSPENDED
    assert len(one.notices()) == 1
    assert one.paid == [700]


def test_an_argument_without_a_rule_must_be_equal() -> None:
    one = granting(ANN)
    agree(one, rules={})
    assert again(one, 699) is Status.SUSPENDED
    assert again(one, 700) is Status.COMPLETED


def test_a_grant_expires() -> None:
    one = granting(ANN)
    agree(one, seconds=HOUR)
    one.now += timedelta(seconds=HOUR - 1)
    assert again(one, 5) is Status.COMPLETED
    one.now += timedelta(seconds=1)
    assert again(one, 5) is Status.SUSPENDED


def test_a_grant_ends_after_its_maximal_uses() -> None:
    one = granting(ANN)
    agree(one, max_uses=1)
    assert again(one, 5) is Status.COMPLETED
    assert again(one, 5) is Status.SUSPENDED


def test_a_revoked_grant_approves_no_call() -> None:
    one = granting(ANN)
    grant = agree(one)
    with pytest.raises(Forbidden):
        one.services.grants.revoke(grant.grant_id, by=BOB, only_of=BOB)
    revoked = one.services.grants.revoke(grant.grant_id, by=ANN, only_of=ANN)
    assert revoked.revoked_by == ANN
    assert again(one, 5) is Status.SUSPENDED
    again_revoked = one.services.grants.revoke(grant.grant_id, by="operator")
    assert again_revoked.revoked_by == ANN
    with pytest.raises(NotFound):
        one.services.grants.revoke("unknown", by=ANN)


def test_a_grant_counts_as_one_vote() -> None:
    two = granting(ANN, BOB, CARL, needed=2)
    agree(two)
    assert again(two, 700) is Status.SUSPENDED
    assert two.notified_approvers() == [(BOB, CARL)]
    assert [vote.via for vote in two.request.votes] == ["grant"]
    assert two.approve(BOB)
    assert two.paid == [700]


def test_two_grants_approve_a_call_that_needs_two_approvers() -> None:
    two = granting(ANN, BOB, CARL, needed=2)
    agree(two, ANN)
    agree(two, BOB)
    assert again(two, 700) is Status.COMPLETED
    assert two.paid == [700, 700]


def test_two_grants_of_one_approver_are_one_vote() -> None:
    two = granting(ANN, BOB, needed=2)
    agree(two, ANN)
    two.start()
    two.withdraw(ANN)
    agree(two, ANN)
    assert len(two.services.grants.all()) == 2
    assert again(two, 700) is Status.SUSPENDED
    assert two.notified_approvers() == [(BOB,)]


def test_a_grant_does_not_count_in_another_stage() -> None:
    staged = PolicyHarness(Approval(stages=[Stage([ANN]), Stage([BOB])], grant_seconds=DAY))
    staged.start()
    agree(staged)
    staged.approve(BOB)
    assert again(staged, 5) is Status.SUSPENDED
    assert staged.notified_approvers() == [(BOB,)]
    assert staged.approve(BOB)


def test_a_grant_of_the_requester_does_not_approve_the_run() -> None:
    one = granting(ANN, BOB)
    agree(one)
    one.start(requester=ANN)
    assert one.status is Status.SUSPENDED
    assert one.notified_approvers() == [(BOB,)]


def test_a_grant_of_who_sent_a_message_does_not_approve_what_comes_of_it() -> None:
    one = granting(ANN, BOB)
    agree(one)
    one.replies = [say("hello"), call("pay", amount=7), say("done")]
    one.start()
    one.services.inbound.message(one.run_id, "pay 7", sender=ANN)
    one.runner.advance(one.run_id)
    assert one.status is Status.SUSPENDED
    assert one.notified_approvers() == [(BOB,)]


def test_a_grant_of_a_former_approver_approves_no_call() -> None:
    one = granting(ANN)
    agree(one)
    one.redeploy(Approval([BOB], grant_seconds=DAY))
    assert again(one, 5) is Status.SUSPENDED


def test_a_policy_without_grants_ends_earlier_grants() -> None:
    one = granting(ANN)
    agree(one)
    one.redeploy(Approval([ANN]))
    assert again(one, 5) is Status.SUSPENDED


def test_a_grant_made_by_a_link_does_not_approve_a_high_risk_call() -> None:
    one = granting(ANN)
    agree(one)
    one.redeploy(Approval([ANN], risk="high", grant_seconds=DAY))
    assert again(one, 5) is Status.SUSPENDED
    agree(one, via="session", rules={"amount": "any"})
    assert again(one, 6) is Status.COMPLETED


def test_a_grant_covers_one_version_of_one_tool_of_one_agent() -> None:
    one = granting(ANN)
    grant = agree(one)
    about = {"agent": "clerk", "tool": "pay", "schema_version": grant.schema_version}
    assert grant.covers(**about, arguments={"amount": 5})
    for name in about:
        assert not grant.covers(**{**about, name: "other"}, arguments={"amount": 5})
    assert not grant.covers(**about, arguments={"amount": 5, "to": "eve"})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"seconds": DAY + 1}, "for that long"),
        ({"seconds": 0}, "for that long"),
        ({"rules": {"to": "any"}}, "unknown argument"),
        ({"max_uses": 0}, "number"),
    ],
)
def test_a_grant_beyond_the_policy_is_refused(change: dict[str, Any], fault: str) -> None:
    one = granting(ANN)
    with pytest.raises(Invalid, match=fault):
        agree(one, **change)
    assert one.status is Status.SUSPENDED


def test_a_grant_without_a_policy_for_grants_is_refused() -> None:
    with pytest.raises(Invalid, match="no standing approval"):
        agree(policy_harness(ANN))


def test_a_grant_by_another_person_than_an_approver_is_refused() -> None:
    with pytest.raises(Forbidden):
        agree(granting(ANN), CARL)


def approve_with_grant(two: PolicyHarness, **more: Any) -> None:
    two.approve(ANN, grant=GrantTerms(seconds=HOUR, rules={"amount": "up_to"}), **more)


def test_a_vote_that_is_repeated_with_its_grant_makes_one_grant() -> None:
    two = granting(ANN, BOB, needed=2)
    approve_with_grant(two)
    approve_with_grant(two)
    approve_with_grant(two, via="api")
    assert len(two.services.grants.all()) == 1
    assert two.approve(BOB)
    approve_with_grant(two)
    assert len(two.services.grants.all()) == 1


def test_a_vote_that_is_repeated_cannot_add_a_grant() -> None:
    two = granting(ANN, BOB, needed=2)
    two.approve(ANN)
    with pytest.raises(Conflict, match="withdraw it"):
        approve_with_grant(two)
    assert two.services.grants.all() == []
    two.withdraw(ANN)
    two.wait(1)
    approve_with_grant(two)
    assert len(two.services.grants.all()) == 1


def test_a_grant_given_before_a_withdrawal_is_no_grant_of_the_next_vote() -> None:
    two = granting(ANN, BOB, needed=2)
    approve_with_grant(two)
    two.withdraw(ANN)
    two.wait(1)
    two.approve(ANN)
    with pytest.raises(Conflict):
        approve_with_grant(two)
    assert len(two.services.grants.all()) == 1


def test_a_decision_that_cannot_be_stored_makes_no_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    one = granting(ANN)

    def unreachable(*_: Any, **__: Any) -> None:
        raise Retryable("the store does not answer")

    with monkeypatch.context() as outage:
        outage.setattr(one.store, "append_external", unreachable)
        with pytest.raises(Retryable):
            agree(one)
    assert one.services.grants.all() == []
    agree(one)
    assert len(one.services.grants.all()) == 1


def test_a_decision_that_another_precedes_makes_no_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    one = granting(ANN, BOB)
    stored = one.store.append_external

    def overtaken(*given: Any, **more: Any) -> Any:
        monkeypatch.undo()
        one.approve(BOB, arguments={"amount": 5})
        return stored(*given, **more)

    monkeypatch.setattr(one.store, "append_external", overtaken)
    with pytest.raises(AlreadyDecided):
        agree(one)
    assert one.services.grants.all() == []


def test_a_grant_on_a_closed_request_is_refused() -> None:
    one = granting(ANN)
    one.approve(ANN)
    with pytest.raises(AlreadyDecided):
        agree(one, rules={"amount": "any"}, arguments={"amount": 5})
    assert one.services.grants.all() == []


def test_an_upper_limit_covers_only_numbers_from_zero() -> None:
    condition = ArgumentRule(rule="up_to", value=5)
    grant = agree(granting(ANN))
    bounded = grant.model_copy(update={"conditions": {"amount": condition}})
    about = {"agent": "clerk", "tool": "pay", "schema_version": grant.schema_version}
    for value in ("3", True, None, [3], float("nan"), 5.5, -0.5):
        assert not bounded.covers(**about, arguments={"amount": value})
    for value in (0, 3, 4.5, 5):
        assert bounded.covers(**about, arguments={"amount": value})


@given(st.integers(0, 700), st.integers(-50, 1500))
def test_a_grant_covers_a_call_only_if_every_argument_matches(limit: int, amount: int) -> None:
    condition = ArgumentRule(rule="up_to", value=limit)
    base = agree(granting(ANN))
    grant = base.model_copy(update={"conditions": {"amount": condition}})
    admitted = grant.covers(
        agent="clerk",
        tool="pay",
        schema_version=grant.schema_version,
        arguments={"amount": amount},
    )
    assert admitted == (0 <= amount <= limit)


def test_a_high_risk_preview_needs_a_grant_of_a_signed_in_approver() -> None:
    one = PolicyHarness(
        Approval([ANN], grant_seconds=DAY),
        preview=lambda given: Preview(
            effect="Pays.", risk=Risk.HIGH if given["amount"] > 100 else Risk.LOW
        ),
        amount=50,
    )
    one.start()
    agree(one, rules={"amount": "any"})
    assert again(one, 60) is Status.COMPLETED
    assert again(one, 700) is Status.SUSPENDED
