"""Mutants of the core and of the checks before a decision: the fold, effects, votes, approval."""

from tests.mutants.mutant import Mutant, engine, grants, policies, unit

FOLD = "core/fold.py"
DOUBTS = "core/doubts.py"
EFFECTS = "core/effects.py"
VOTING = "core/voting.py"
REQUEST = "core/approvals/request.py"
CALL_HASH = "core/call_hash.py"
RUN = "core/run.py"
REQUESTERS = "core/requesters.py"
CHILD_RUNS = "engine/child_runs.py"
CHECKS = "services/decision_checks.py"


def fold(test: str) -> tuple[str, ...]:
    """A test of the fold."""
    return unit("core/test_fold.py", test)


def asking(test: str) -> tuple[str, ...]:
    """A test of those who asked for a call."""
    return unit("services/test_requesters.py", test)


STATE = (
    Mutant(
        "a late outcome in place of the first",
        FOLD,
        "    if call.outcome:\n        return call\n    # The intent is not",
        "    # The intent is not",
        fold("the_outcome_that_was_stored_first_stands"),
    ),
    Mutant(
        "an intent of an attempt that is over",
        FOLD,
        "if call.wait or event.intent.attempt <= call.attempts:",
        "if call.wait:",
        fold("a_call_that_did_not_happen_starts_its_next_attempt"),
    ),
    Mutant(
        "an intent without a decision",
        FOLD,
        'if call.plan.kind != "tool" or (call.plan.gate and not call.decision):',
        'if call.plan.kind != "tool":',
        fold("an_illegal_event_is_refused"),
    ),
    Mutant(
        "a doubt about a tool that may run again",
        DOUBTS,
        'if call.plan.kind != "tool" or call.plan.effect is not Effect.ONCE:',
        'if call.plan.kind != "tool":',
        fold("an_illegal_event_is_refused"),
    ),
    Mutant(
        "a reply before its calls have their outcomes",
        FOLD,
        "if frame.turns and not frame.turns[-1].settled:",
        "if False:",
        fold("an_illegal_event_is_refused"),
    ),
    Mutant(
        "a reply that keeps other reads than its own",
        FOLD,
        "    for read in event.reads:\n        frame =",
        "    for read in ():\n        frame =",
        fold("a_reply_replaces_reads_by_those_that_it_was_made_from"),
    ),
    Mutant(
        "a rejected call that is open",
        FOLD,
        "    if decision.verdict is Verdict.REJECT:\n        content = rejected",
        "    if False:\n        content = rejected",
        engine("runner", "a_missed_deadline_rejects_the_call"),
    ),
    Mutant(
        "a call in doubt that runs again",
        EFFECTS,
        "if plan.effect is not Effect.ONCE:",
        "if True:",
        engine("runner", "a_once_tool_in_doubt_is_put_to_a_person_and_does_not_run_again"),
    ),
    Mutant(
        "an attempt with the number of the one before",
        EFFECTS,
        "attempt=call.intent.attempt + 1",
        "attempt=call.intent.attempt",
        engine("runner", "an_idempotent_tool_runs_again_with_the_same_key"),
    ),
    Mutant(
        "a call that runs without its approval",
        EFFECTS,
        "    elif call.gate and not call.approval:",
        "    elif False:",
        engine("runner", "a_waiting_run_has_no_lease_holder_and_approvers_are_notified"),
    ),
    Mutant(
        "a model that is called although the run is stopped",
        EFFECTS,
        "return tuple(each for each in found if not isinstance(each, CallModel))",
        "return tuple(found)",
        unit(
            "engine/test_conditions.py",
            "an_approved_call_runs_although_the_whole_run_is_stopped",
        ),
        raises=("ValueError",),
    ),
    Mutant(
        "an event that two calls take",
        EFFECTS,
        "        signals.remove(signal)  # each is for one call only\n",
        "",
        engine("waits", "each_event_is_taken_by_the_first_call_that_waits_for_it"),
    ),
    Mutant(
        "a stored intent that a load does not fold",
        RUN,
        "            if not root.call_at(parse_path(path)).outcome:",
        "            if False:",
        engine("runner", "a_once_tool_in_doubt_is_put_to_a_person_and_does_not_run_again"),
    ),
)

APPROVAL = (
    Mutant(
        "an approver who is counted twice",
        VOTING,
        "votes = (*_without_vote_of(request.votes, decision.approver), decision)",
        "votes = (*request.votes, decision)",
        grants("two_grants_of_one_approver_are_one_vote"),
    ),
    Mutant(
        "a requester who approves",
        VOTING,
        "any(resembles(each, approver) for each in requesters)",
        "any(resembles(each, approver) for each in ())",
        policies("the_requester_may_not_approve"),
    ),
    Mutant(
        "one who says for all that a lost call did not happen",
        DOUBTS,
        "return doubt.stages[number].needed - said",
        "return 1 - said if number == 0 else 0",
        unit("services/test_doubts.py", "as_many_say_that_it_did_not_happen_as_must_approve_it"),
    ),
    Mutant(
        "a message that asks for nothing",
        REQUESTERS,
        "        found += _of_messages(turns[: turn + 1])\n",
        "",
        asking("who_sent_a_message_may_not_approve_what_was_planned_after_it"),
    ),
    Mutant(
        "a message to a child run that asks for nothing above it",
        CHILD_RUNS,
        "senders=senders, started_at",
        "senders=(), started_at",
        asking("a_message_to_a_child_run_counts_for_what_comes_of_its_result"),
    ),
    Mutant(
        "a child run that does not know who asked for it",
        CHILD_RUNS,
        "if each != head.requester),",
        "if False),",
        asking("an_agent_below_asks_for_those_who_wrote_before_it_was_called"),
    ),
    Mutant(
        "a group's name that votes",
        VOTING,
        "    if not is_group(approver):\n        known",
        "    if True:\n        known",
        policies("a_group_name_alone_does_not_decide"),
    ),
    Mutant(
        "a delegate beside the approver",
        VOTING,
        "        to if normalized(each) == normalized(approver) else each for each in",
        "        each for each in",
        policies("a_reassigned_request_belongs_to_the_new_approver"),
    ),
    Mutant(
        "an edit that removes stages",
        VOTING,
        '"stages": (*request.stages, *decision.further),',
        '"stages": request.stages[:1],',
        policies("an_edit_does_not_bypass_the_stages_of_the_edited_call"),
    ),
    Mutant(
        "a vote for other arguments that counts",
        REQUEST,
        "if vote.arguments_hash == self.arguments_hash)",
        "if vote.arguments_hash)",
        policies("an_edit_restarts_the_approval"),
    ),
    Mutant(
        "a stage with one vote too few",
        REQUEST,
        "in self.counted) < stage.needed:",
        "in self.counted) < stage.needed - 1:",
        policies("a_policy_can_require_two_of_three_approvers"),
    ),
    Mutant(
        "a call that is not the one approved",
        CALL_HASH,
        "if not compare_digest(decision.arguments_hash, call_hash(head, root, path)):",
        "if False:",
        engine("runner", "a_call_runs_only_as_it_was_approved"),
    ),
    Mutant(
        "a call that was approved after its deadline",
        CALL_HASH,
        "if decision.decided_at > approval.expires_at:",
        "if False:",
        engine("runner", "a_call_that_was_approved_after_its_deadline_does_not_run"),
    ),
    Mutant(
        "a decision after the deadline",
        CHECKS,
        "if request.approval and attempt.now > request.approval.expires_at:",
        "if False:",
        policies("a_decision_after_the_deadline_is_refused_before_the_run_advances"),
    ),
    Mutant(
        "a decision on a cancelled run",
        CHECKS,
        "    if head.cancelled:",
        "    if False:",
        engine("runner", "a_cancelled_waiting_run_ends_at_once_and_takes_no_decision"),
    ),
    Mutant(
        "a call of high risk that a link decides",
        CHECKS,
        "    if request.call.risk is Risk.HIGH:\n",
        "    if False:\n",
        policies("a_high_risk_request_is_not_decided_by_a_link_alone"),
    ),
    Mutant(
        "an approval of arguments that were not shown",
        CHECKS,
        "if seen is not None and not compare_digest(",
        "if seen is None and not compare_digest(",
        policies("an_approval_of_other_arguments_is_refused"),
        raises=("AttributeError",),
    ),
)

CORE = (*STATE, *APPROVAL)
