"""Approval policies: approvers, number of approvals, edits, deadlines, and the audit."""

from datetime import timedelta
from typing import Any

import pytest

from agent_continuations import (
    Agent,
    Approval,
    Escalation,
    Preview,
    ScriptedModel,
    Stage,
    ToolCall,
    call,
    calls,
    tool,
)
from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.policy import Risk
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.run import Status
from agent_continuations.core.voting import approver_name
from agent_continuations.engine.runner import Runner
from agent_continuations.errors import AlreadyDecided, Conflict, Forbidden, Invalid
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.services.services import Services
from tests.support.policy_harness import (
    ANN,
    APPROVE,
    BOB,
    CARL,
    DAY,
    DORA,
    REJECT,
    PolicyHarness,
    policy_harness,
)

# -- number of approvals ---------------------------------------------------------------------------


def test_any_one_of_the_approvers_decides() -> None:
    one = policy_harness(ANN, BOB)
    assert one.approve(BOB)
    assert one.paid == [700]


def test_a_policy_can_require_all_approvers() -> None:
    all_of_them = policy_harness(ANN, BOB, CARL, needed="all")
    assert not all_of_them.approve(BOB)
    assert not all_of_them.approve(ANN)
    assert all_of_them.paid == []
    assert all_of_them.status is Status.SUSPENDED
    assert all_of_them.approve(CARL)
    assert all_of_them.paid == [700]


def test_a_policy_can_require_two_of_three_approvers() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    assert not two.approve(CARL)
    assert two.approve(ANN)
    assert two.paid == [700]


def test_a_person_counts_once_however_often_they_approve() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    assert not two.approve(ANN)
    assert not two.approve(ANN)
    assert not two.approve(ANN.upper())
    assert two.paid == []
    assert two.audit_kinds() == ["approval_requested", "voted"]


def test_one_rejection_is_enough() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    two.approve(ANN)
    assert two.decide(REJECT, BOB, reason="too much")
    assert two.paid == []
    assert two.status is Status.COMPLETED
    with pytest.raises(AlreadyDecided):
        two.approve(CARL)


def test_stages_are_requested_in_order() -> None:
    manager_then_finance = PolicyHarness(
        Approval(stages=[Stage([ANN]), Stage([BOB, CARL], needed="all")])
    )
    manager_then_finance.start()
    assert manager_then_finance.notified_approvers() == [(ANN,)]
    with pytest.raises(Forbidden, match="another stage"):
        manager_then_finance.approve(BOB)
    assert not manager_then_finance.approve(ANN)
    assert manager_then_finance.notified_approvers() == [(ANN,), (BOB, CARL)]
    assert not manager_then_finance.approve(CARL)
    assert manager_then_finance.approve(BOB)
    assert manager_then_finance.paid == [700]


def test_a_stage_can_apply_above_an_amount_only() -> None:
    finance = Stage([BOB], when=lambda call: call.arguments["amount"] > 1000)
    small = PolicyHarness(Approval(stages=[Stage([ANN]), finance]))
    small.start()
    assert small.approve(ANN)
    large = PolicyHarness(Approval(stages=[Stage([ANN]), finance]), amount=5000)
    large.start()
    assert not large.approve(ANN)
    assert large.approve(BOB)
    assert large.paid == [5000]


def test_an_approval_in_one_stage_does_not_count_in_another() -> None:
    both = PolicyHarness(Approval(stages=[Stage([ANN]), Stage([ANN, BOB])]))
    both.start()
    both.approve(ANN)
    assert not both.approve(ANN)  # the same words again
    assert both.paid == []
    assert both.approve(BOB)


def test_verified_group_members_decide_for_a_group() -> None:
    finance = policy_harness("group:finance", needed=2)
    with pytest.raises(Forbidden, match="not asked"):
        finance.approve(ANN)
    with pytest.raises(Forbidden, match="not asked"):
        finance.approve(ANN, groups=("group:legal",))
    with pytest.raises(Forbidden, match="not asked"):
        finance.approve("group:sales")
    assert not finance.approve(ANN, groups=("group:finance",))
    assert not finance.approve(ANN, groups=("group:finance",))
    assert finance.approve(BOB, groups=("group:finance", "group:legal"))


@pytest.mark.parametrize("asked", ["group:finance", "GROUP:finance", "Group:Finance"])
@pytest.mark.parametrize("name", ["group:finance", "GROUP:finance", "Group:FINANCE"])
def test_a_group_name_alone_does_not_decide(asked: str, name: str) -> None:
    finance = policy_harness(asked)
    with pytest.raises(Forbidden):
        finance.approve(name)
    assert approver_name([asked], name, []) is None
    assert approver_name([asked], ANN, [name]) == asked
    assert finance.approve(ANN, groups=("group:finance",))


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        ({"approvers": []}, "at least one"),
        ({"approvers": "ann@example.com"}, "at least one"),
        ({"approvers": [ANN], "needed": 2}, "needed=2, but the stage has only 1 approver"),
        ({"approvers": [ANN], "needed": 0}, "needed must be at least 1"),
        ({"approvers": [ANN], "needed": "most"}, "needed must be"),
        ({"approvers": ["group:a"], "needed": "all"}, "does not work with groups"),
        ({"approvers": [ANN], "stages": [Stage([BOB])]}, "in the stages"),
        ({"stages": [Stage([ANN], when=lambda _: True)]}, "first stage"),
        ({"approvers": [ANN], "timeout_seconds": 0}, "timeout"),
        ({"approvers": [ANN], "remind_after_seconds": [20, 10]}, "rising"),
        ({"approvers": [ANN], "timeout_seconds": 60, "remind_after_seconds": [60]}, "before"),
        ({"approvers": [ANN], "risk": "huge"}, "risk"),
        ({"approvers": [ANN], "on_deadline": "approve"}, "on_deadline"),
        ({"approvers": [ANN], "grant_seconds": -1}, "grant"),
    ],
)
def test_an_impossible_policy_is_refused_when_it_is_defined(
    policy: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        Approval(**policy)


# -- the approver ----------------------------------------------------------------------------------


def test_the_requester_may_not_approve() -> None:
    own = policy_harness(ANN, BOB, start=False)
    own.start(requester=ANN)
    assert own.notified_approvers() == [(BOB,)]
    with pytest.raises(Forbidden, match="started this run"):
        own.approve(ANN)
    with pytest.raises(Forbidden, match="started this run"):
        own.approve(ANN.upper())
    assert own.approve(BOB)


def test_a_policy_can_allow_the_requester_to_approve() -> None:
    own = policy_harness(ANN, self_approval=True, start=False)
    own.start(requester=ANN)
    assert own.approve(ANN)


@pytest.mark.parametrize("via", ["link", "slack"])
def test_a_high_risk_request_is_not_decided_by_a_link_alone(via: str) -> None:
    risky = policy_harness(ANN, risk="high")
    for verdict in Verdict:
        with pytest.raises(Forbidden, match="sign in"):
            risky.decide(verdict, ANN, via=via)
    assert risky.approve(ANN, via="session", authentication="oidc https://id.example.com")
    assert risky.paid == [700]


def test_a_preview_can_make_a_call_high_risk() -> None:
    risky = PolicyHarness(
        Approval([ANN]),
        preview=lambda _: Preview(effect="Pays a lot.", reversible=False, risk=Risk.HIGH),
    )
    risky.start()
    with pytest.raises(Forbidden, match="sign in"):
        risky.approve(ANN)
    [notice] = risky.notices()
    assert notice.preview
    assert (notice.risk, notice.preview.effect) == (Risk.HIGH, "Pays a lot.")


def test_a_failed_preview_hides_no_request_and_counts_as_high_risk() -> None:
    broken = PolicyHarness(Approval([ANN], risk="low"), preview=lambda given: given["nothing"])
    broken.start()
    [notice] = broken.notices()
    assert notice.preview
    assert "failed (KeyError: 'nothing'). Read the arguments." in notice.preview.effect
    assert notice.risk is Risk.HIGH


# -- repeated requests -----------------------------------------------------------------------------


def test_an_identical_rejected_call_is_not_requested_again_immediately() -> None:
    one = policy_harness(ANN, start=False)
    one.replies = [call("pay", amount=700), call("pay", amount=700), call("pay", amount=700)]
    one.start()
    one.decide(REJECT, ANN, reason="the invoice is wrong")
    assert one.status is Status.COMPLETED
    assert len(one.notices()) == 1
    _, second, third = one.services.runs.load(one.run_id).continuation.calls()
    for _, again in (second, third):
        assert again.plan.kind == "refused"
        assert again.outcome
        assert "the invoice is wrong" in again.outcome.content


def test_after_another_call_a_rejected_call_may_be_requested_again() -> None:
    one = policy_harness(ANN, start=False)
    one.replies = [call("pay", amount=amount) for amount in (700, 699, 700)]
    one.start()
    for asked in (1, 2, 3):
        assert len(one.notices()) == asked
        [request_id] = [each.request_id for each in one.notices()[-1:]]
        answer = Decide(verdict=REJECT, approver=ANN, via="link")
        one.services.decisions.decide(one.run_id, request_id, answer)
        one.runner.advance(one.run_id)
    assert one.status is Status.COMPLETED


def test_a_call_rejected_by_its_deadline_may_be_requested_again() -> None:
    one = policy_harness(ANN, timeout_seconds=DAY, start=False)
    one.replies = [call("pay", amount=700), call("pay", amount=700)]
    one.start()
    one.wait(DAY)
    assert one.status is Status.SUSPENDED
    assert len(one.notices()) == 2


# -- withdrawal and reassignment -------------------------------------------------------------------


def test_an_approval_can_be_withdrawn_until_the_request_is_closed() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    two.approve(ANN)
    two.withdraw(ANN)
    assert not two.approve(BOB)
    with pytest.raises(Forbidden, match="no approval to withdraw"):
        two.withdraw(ANN)
    assert two.approve(CARL)
    with pytest.raises(AlreadyDecided):
        two.withdraw(CARL)
    assert two.audit_kinds() == ["approval_requested", "voted", "withdrawn", "voted", "decided"]


def test_repeating_an_approval_returns_a_later_rejection() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    two.approve(ANN)
    two.decide(REJECT, BOB)
    with pytest.raises(AlreadyDecided) as told:
        two.approve(ANN)
    assert (told.value.decision["decision"], told.value.decision["approver"]) == ("reject", BOB)


def test_repeating_an_approval_returns_the_decision() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    two.approve(ANN)
    two.approve(BOB)
    answer = Decide(verdict=APPROVE, approver=ANN, via="link")
    stands = two.services.decisions.decide(two.run_id, two.request.request_id, answer)
    assert stands.closed and stands.decision.approver == BOB


def test_a_rejection_replaces_an_earlier_approval() -> None:
    two = policy_harness(ANN, BOB, needed=2)
    two.approve(ANN)
    assert two.decide(REJECT, ANN)
    assert two.paid == []


def test_an_earlier_stage_reopens_when_its_approval_is_withdrawn() -> None:
    staged = PolicyHarness(Approval(stages=[Stage([ANN]), Stage([BOB, CARL], needed=2)]))
    staged.start()
    staged.approve(ANN)
    staged.approve(BOB)
    staged.withdraw(ANN)
    with pytest.raises(Forbidden, match="another stage"):
        staged.approve(CARL)
    assert not staged.approve(ANN)
    assert staged.approve(CARL)


def test_a_reassigned_request_belongs_to_the_new_approver() -> None:
    passed = policy_harness(ANN, BOB)
    passed.reassign(ANN, CARL)
    assert passed.notified_approvers() == [(ANN, BOB), (CARL,)]
    with pytest.raises(Forbidden, match="not asked"):
        passed.approve(ANN)
    assert passed.approve(CARL)


@pytest.mark.parametrize(
    ("to", "fault"),
    [
        (BOB, "already asked"),
        (DORA, "started this run"),
        ("carl@elsewhere.example", "reassigned only to"),
        ("carl@example.com.evil.example", "reassigned only to"),
        ("group:everybody", "reassigned only to"),
        ("carl", "reassigned only to"),
    ],
)
def test_an_invalid_reassignment_is_refused(to: str, fault: str) -> None:
    passed = policy_harness(ANN, BOB, start=False)
    passed.start(requester=DORA)
    with pytest.raises(Invalid, match=fault):
        passed.reassign(ANN, to)
    assert passed.request.approvers == (ANN, BOB)


def test_a_policy_lists_the_approvers_for_reassignment() -> None:
    outside = policy_harness(ANN, delegates=["*@audit.example", CARL])
    with pytest.raises(Invalid, match="reassigned only to"):
        outside.reassign(ANN, DORA)
    outside.reassign(ANN, "eve@audit.example")
    nobody = policy_harness(ANN, delegates=[])
    with pytest.raises(Invalid, match="nobody"):
        nobody.reassign(ANN, CARL)


def test_an_approver_who_has_decided_cannot_reassign() -> None:
    two = policy_harness(ANN, BOB, needed=2)
    two.approve(ANN)
    with pytest.raises(Forbidden, match="is not asked by name"):
        two.reassign(ANN, CARL)
    with pytest.raises(Forbidden, match="is not asked by name"):
        two.reassign(DORA, CARL)


def test_a_reassigned_approver_counts_once() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    two.approve(ANN)
    two.approve(BOB, arguments={"amount": 500})
    two.reassign(ANN, DORA)
    two.withdraw(BOB)
    assert not two.approve(DORA)
    assert two.paid == []
    assert two.approve(CARL)
    assert two.paid == [700]


def test_a_request_does_not_come_back_to_who_has_reassigned_it() -> None:
    passed = policy_harness(ANN, BOB)
    passed.reassign(ANN, CARL)
    passed.reassign(CARL, DORA)
    for former in (ANN, CARL, ANN.upper()):
        with pytest.raises(Invalid, match="has reassigned this"):
            passed.reassign(DORA, former)
    assert passed.approve(DORA)


def test_a_request_is_reassigned_ten_times_at_most() -> None:
    passed = policy_harness("p0@example.com")
    for number in range(10):
        passed.reassign(f"p{number}@example.com", f"p{number + 1}@example.com")
    with pytest.raises(Invalid, match="too often"):
        passed.reassign("p10@example.com", "p11@example.com")
    assert passed.approve("p10@example.com")


# Spellings that may be of one person: case, a dot at the end, compatible and composed characters.
ALIKE = [
    (ANN, ANN),
    (ANN, ANN.upper()),
    (ANN, f"{ANN}."),
    (ANN, "\uff41nn@example.com"),
    ("k@example.com", "\u212a@example.com"),
    ("jos\u00e9@example.com", "jose\u0301@example.com"),
    ("stra\u00dfe@example.com", "STRASSE@example.com"),
]


@pytest.mark.parametrize(("approver", "requester"), ALIKE)
def test_no_spelling_of_a_name_approves_what_it_has_started(approver: str, requester: str) -> None:
    for asked, started_by in ((approver, requester), (requester, approver)):
        own = policy_harness(asked, BOB, start=False)
        own.start(requester=started_by)
        with pytest.raises(Forbidden, match="started this run"):
            own.approve(asked)
        with pytest.raises(Invalid, match=r"started this run|is already asked"):
            own.reassign(BOB, started_by)
        [notice] = own.notices()
        assert notice.answerers == (BOB,)
        assert own.approve(BOB)


def test_a_name_that_resembles_an_approvers_does_not_approve() -> None:
    asked = policy_harness("k@example.com")
    with pytest.raises(Forbidden, match="was not asked"):
        asked.approve("\u212a@example.com")


@pytest.mark.parametrize("requester", [ANN, ANN.upper(), "Ann@Example.COM"])
def test_who_started_the_run_has_nothing_to_reassign(requester: str) -> None:
    passed = policy_harness(ANN, BOB, start=False)
    passed.start(requester=requester)
    for to in (CARL, "ann+2@example.com"):
        with pytest.raises(Forbidden, match="started this run"):
            passed.reassign(ANN, to)
    assert passed.request.approvers == (ANN, BOB)


def test_who_may_approve_their_own_run_may_reassign_it() -> None:
    passed = policy_harness(ANN, start=False, self_approval=True)
    passed.start(requester=ANN)
    passed.reassign(ANN, CARL)
    assert passed.approve(CARL)


@pytest.mark.parametrize(
    "to",
    [
        "carl(me@evil.example)@example.com",
        "carl@evil.example(x)@example.com",
        '"carl@evil.example"@example.com',
        "Carl <carl@evil.example>@example.com",
        "carl@evil.example,x@example.com",
        "carl@evil.example;x@example.com",
        "carl@evil.example%@example.com",
        "carl @example.com",
        "carl\t@example.com",
        "carl@evil.example\n@example.com",
        "carl\u00a0@example.com",
        ".carl@example.com",
        "carl..x@example.com",
        "carl.@example.com",
        "c\u0430rl@example.com",
        "@example.com",
        "carl@@example.com",
        "<carl@example.com>",
        "mailto:carl@example.com",
        "carl@example.com\x00",
        "x" * 300 + "@example.com",
    ],
)
def test_a_delegate_is_one_plain_address(to: str) -> None:
    passed = policy_harness(ANN, BOB)
    with pytest.raises(Invalid):
        passed.reassign(ANN, to)
    assert passed.request.approvers == (ANN, BOB)


@pytest.mark.parametrize("to", ["carl.x@example.com", "c+1@EXAMPLE.com", "o'hara@example.com"])
def test_a_plain_address_of_the_domain_is_a_delegate(to: str) -> None:
    passed = policy_harness(ANN, BOB)
    passed.reassign(ANN, to)
    assert passed.approve(to)


# -- edited arguments ------------------------------------------------------------------------------


def test_an_edit_restarts_the_approval() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    seen = two.request.arguments_hash
    two.approve(ANN)
    assert not two.approve(BOB, arguments={"amount": 500})
    assert two.notified_approvers() == [(ANN, BOB, CARL), (ANN, CARL)]
    with pytest.raises(Conflict, match="changed since you saw them"):
        two.approve(CARL, arguments_hash=seen)
    assert two.approve(CARL, arguments_hash=two.request.arguments_hash)
    assert two.paid == [500]


def test_a_repeated_edit_returns_the_same_result() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    seen = two.request.arguments_hash
    for _ in range(2):
        assert not two.approve(ANN, arguments={"amount": 500}, arguments_hash=seen)
    assert two.audit_kinds() == ["approval_requested", "voted", "told"]


def test_sending_the_edited_arguments_unchanged_approves_the_edit() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    two.approve(ANN)
    two.approve(BOB, arguments={"amount": 500})
    assert two.approve(CARL, arguments={"amount": 500})
    assert two.paid == [500]


def test_an_escalation_drops_the_stages_that_an_edit_added() -> None:
    finance = Stage([DORA], when=lambda call: call.arguments["amount"] > 1000)
    late = PolicyHarness(
        Approval(
            stages=[Stage([ANN]), finance],
            timeout_seconds=DAY,
            escalations=[Escalation(approvers=(BOB, CARL), needed=2, timeout_seconds=DAY)],
        )
    )
    late.start()
    assert not late.approve(ANN, arguments={"amount": 5000})
    late.wait(DAY)
    assert not late.approve(BOB, arguments={"amount": 6000})
    late.withdraw(BOB)
    assert not late.approve(CARL)
    assert late.approve(BOB)


def test_withdrawing_an_edit_restores_the_arguments_of_the_model() -> None:
    two = policy_harness(ANN, BOB, CARL, needed=2)
    two.approve(ANN)
    two.approve(BOB, arguments={"amount": 500})
    two.withdraw(BOB)
    assert two.approve(CARL)
    assert two.paid == [700]


def large(call: ToolCall) -> bool:
    return bool(call.arguments["amount"] > 1000)


@pytest.mark.parametrize("seen", ["0" * 64, "", "é", "\u202e"])
def test_an_approval_of_other_arguments_is_refused(seen: str) -> None:
    made = policy_harness(ANN)
    with pytest.raises(Conflict, match="changed since you saw"):
        made.approve(ANN, arguments_hash=seen)
    assert made.paid == []


def test_an_edit_does_not_bypass_the_stages_of_the_edited_call() -> None:
    staged = PolicyHarness(Approval(stages=[Stage([ANN]), Stage([BOB], when=large)]))
    staged.start()
    assert not staged.approve(ANN, arguments={"amount": 5000})
    assert staged.notified_approvers() == [(ANN,), (BOB,)]
    assert [each.approvers for each in staged.request.stages] == [(ANN,), (BOB,)]
    assert staged.approve(BOB)
    assert staged.paid == [5000]


def test_an_edit_never_removes_a_required_approver() -> None:
    staged = PolicyHarness(Approval(stages=[Stage([ANN]), Stage([BOB], when=large)]), amount=5000)
    staged.start()
    assert not staged.approve(ANN, arguments={"amount": 5})
    assert staged.approve(BOB)
    assert staged.paid == [5]


def test_withdrawing_an_edit_removes_the_stages_that_it_added() -> None:
    staged = PolicyHarness(Approval(stages=[Stage([ANN, CARL], 2), Stage([BOB], when=large)]))
    staged.start()
    staged.approve(ANN, arguments={"amount": 5000})
    staged.withdraw(ANN)
    assert not staged.approve(ANN)
    assert staged.approve(CARL)
    assert staged.paid == [700]


def _preview_by_amount(arguments: Any) -> Preview:
    risk = Risk.HIGH if arguments["amount"] > 1000 else Risk.LOW
    return Preview(effect=f"Pays {arguments['amount']}.", risk=risk)


def test_the_preview_of_an_edited_call_uses_the_edited_arguments() -> None:
    two = PolicyHarness(Approval([ANN, BOB], needed=2), preview=_preview_by_amount)
    two.start()
    two.approve(ANN, arguments={"amount": 500})
    assert two.notices()[-1].preview == Preview(effect="Pays 500.")
    assert two.services.runs.load(two.run_id).head.status is Status.SUSPENDED


def test_an_edit_to_a_high_risk_call_needs_a_signed_in_approver() -> None:
    two = PolicyHarness(Approval([ANN, BOB], needed=2), preview=_preview_by_amount)
    two.start()
    with pytest.raises(Forbidden, match="sign in"):
        two.approve(ANN, arguments={"amount": 5000})
    assert not two.approve(ANN, arguments={"amount": 5000}, via="session")
    with pytest.raises(Forbidden, match="sign in"):
        two.approve(BOB)
    assert two.notices()[-1].risk is Risk.HIGH
    assert two.approve(BOB, via="session")


# -- deadlines, escalations, reminders -------------------------------------------------------------


def test_the_deadline_rejects_and_never_approves() -> None:
    two = policy_harness(ANN, BOB, needed=2, timeout_seconds=DAY)
    two.approve(ANN)
    two.wait(DAY)
    assert two.paid == []
    assert two.status is Status.COMPLETED
    with pytest.raises(AlreadyDecided):
        two.approve(BOB)


def test_a_decision_after_the_deadline_is_refused_before_the_run_advances() -> None:
    one = policy_harness(ANN, timeout_seconds=DAY)
    one.now += timedelta(days=1, seconds=1)
    with pytest.raises(Conflict, match="deadline"):
        one.approve(ANN)
    assert one.paid == []


def test_the_deadline_can_fail_the_run() -> None:
    one = policy_harness(ANN, timeout_seconds=DAY, on_deadline="fail")
    one.wait(DAY)
    assert one.status is Status.FAILED
    assert "before the deadline" in (one.services.runs.load(one.run_id).head.note or "")


def test_the_deadline_can_escalate_to_other_approvers() -> None:
    late = policy_harness(
        ANN,
        BOB,
        needed=2,
        timeout_seconds=DAY,
        escalations=[Escalation(approvers=(CARL, DORA), timeout_seconds=3600)],
    )
    late.approve(ANN)
    late.wait(DAY)
    assert late.notified_approvers() == [(ANN, BOB), (CARL, DORA)]
    with pytest.raises(Forbidden, match="escalated"):
        late.approve(BOB)
    assert late.approve(DORA)
    assert late.paid == [700]


def test_after_the_last_escalation_the_deadline_rejects() -> None:
    late = policy_harness(
        ANN,
        timeout_seconds=DAY,
        escalations=[
            Escalation(approvers=(BOB,), timeout_seconds=3600),
            Escalation(approvers=(CARL,), timeout_seconds=3600),
        ],
    )
    late.wait(DAY)
    late.wait(3600)
    assert late.notified_approvers() == [(ANN,), (BOB,), (CARL,)]
    late.wait(3600)
    assert late.paid == []
    assert late.status is Status.COMPLETED


def test_pending_approvers_are_reminded_at_the_times_of_the_policy() -> None:
    two = policy_harness(
        ANN, BOB, CARL, needed=2, timeout_seconds=DAY, remind_after_seconds=[3600, 7200]
    )
    two.approve(ANN)
    two.wait(3599)
    assert len(two.notices()) == 1
    two.wait(1)
    assert two.notified_approvers()[1:] == [(BOB, CARL)]
    assert two.notices()[1].occasion == "reminder"
    two.wait(3600)
    assert two.notified_approvers()[2:] == [(BOB, CARL)]
    assert len({each.notice_id for each in two.notices()}) == 3
    two.wait(DAY)
    assert len(two.notices()) == 3


# -- audit -----------------------------------------------------------------------------------------


def test_every_request_and_response_is_in_the_audit_in_order() -> None:
    late = policy_harness(
        ANN,
        BOB,
        needed=2,
        timeout_seconds=DAY,
        remind_after_seconds=[60],
        escalations=[Escalation(approvers=(CARL,), timeout_seconds=3600)],
    )
    late.approve(ANN)
    late.withdraw(ANN)
    late.reassign(BOB, DORA)
    late.wait(60)
    late.wait(DAY)
    late.decide(REJECT, CARL, reason="no")
    assert late.audit_kinds() == [
        "approval_requested",
        "voted",
        "withdrawn",
        "reassigned",
        "told",
        "told",
        "escalated",
        "told",
        "decided",
    ]


def test_a_request_keeps_its_policy_after_a_new_deployment() -> None:
    two = policy_harness(ANN, BOB, needed=2)
    two.redeploy(Approval([CARL]))
    with pytest.raises(Forbidden):
        two.approve(CARL)
    assert not two.approve(ANN)
    assert two.approve(BOB)
    assert two.paid == [700]


class Counting(InMemoryStore):
    """Counts the refused commits."""

    refused = 0

    def commit(self, *args: Any, **more: Any) -> bool:
        written = super().commit(*args, **more)
        self.refused += not written
        return written


def test_an_execution_that_runs_a_tool_requests_the_next_stage_at_once() -> None:
    @tool(effect="idempotent")
    def note() -> str:
        """Note."""
        return "noted"

    @tool(approval=Approval([ANN]))
    def pay() -> str:
        """Pay."""
        return "paid"

    worker = Agent("worker", tools=[pay])
    ask = worker.as_tool(name="ask", description="Ask.")
    clerk = Agent("clerk", tools=[note, pay, ask])
    script = {
        "clerk": [calls(("note", {}), ("pay", {}), ("ask", {"input": "x"}))],
        "worker": [call("pay")],
    }
    store, registry = Counting(), Registry([clerk])
    services = Services.of(store=store, queue=LocalWorkQueue(), registry=lambda: registry)
    run_id = services.runs.start("clerk", "pay").run_id
    Runner(
        store=store, model=ScriptedModel(script), registry=registry, queue=LocalWorkQueue()
    ).advance(run_id)
    assert len(store.notices(run_id)) == 2
    assert store.refused == 0
