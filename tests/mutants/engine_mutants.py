"""Mutants of the engine apart from leases: deadlines, the next wake, batches, votes of grants."""

from tests.mutants.mutant import Mutant, engine, grants, policies

BACKOFF = "core/backoff.py"
SCHEDULER = "engine/scheduler.py"
DEADLINES = "engine/deadlines.py"
NEXT_WAKE = "engine/next_wake.py"
RELEASE_STATUS = "engine/release_status.py"
COMMIT_BATCHES = "engine/commit_batches.py"
GRANT_VOTES = "engine/grant_votes.py"


def batch(kind: str, grants: int = 1) -> tuple[str, ...]:
    """A test of how many writes of one kind a batch takes."""
    fit = {"request": 99, "notice": 49, "start": 33}.get(kind, 98 if grants == 1 else 49)
    test = "a_batch_takes_as_many_writes_as_their_items_allow"
    return engine("commit_batches", f"{test}[{kind}-{grants}-{fit}]")


DEADLINE = (
    Mutant(
        "a deadline that is due too late",
        DEADLINES,
        "effect.until <= now",
        "effect.until < now",
        policies("the_deadline_rejects_and_never_approves"),
    ),
    Mutant(
        "a deadline that approves",
        DEADLINES,
        "verdict=Verdict.REJECT",
        "verdict=Verdict.APPROVE",
        engine("runner", "a_missed_deadline_rejects_the_call"),
    ),
    Mutant(
        "a deadline that skips the escalation",
        DEADLINES,
        "if request.escalated < len(policy.escalations):",
        "if False:",
        policies("the_deadline_can_escalate_to_other_approvers"),
    ),
    Mutant(
        "a deadline that does not outlive an earlier decision",
        SCHEDULER,
        "if not self._run.pending.staged or self._run.flush():",
        "if True:",
        engine("scheduler", "a_decision_that_was_stored_before_the_deadline_wins"),
    ),
    Mutant(
        "a back-off that counts each of several calls at once",
        BACKOFF,
        "tries = before.tries if before.until > now else before.tries + 1",
        "tries = before.tries + 1",
        engine("runner", "model_calls_that_fail_together_count_as_one_try"),
    ),
    Mutant(
        "a back-off that nothing wakes the run from",
        NEXT_WAKE,
        "times.append(model_backoff.until)",
        "is_waiting = True",
        engine("runner", "an_unavailable_model_suspends_the_run_until_a_later_time"),
    ),
    Mutant(
        "a wait that nothing wakes the run for",
        NEXT_WAKE,
        "times += [until] if until else []",
        "pass",
        engine("runner", "a_waiting_run_has_no_lease_holder_and_approvers_are_notified"),
    ),
    Mutant(
        "a run that sleeps until the last of its times",
        NEXT_WAKE,
        "return min(self.times, default=None)",
        "return max(self.times, default=None)",
        engine("waits", "a_run_that_waits_for_several_times_wakes_at_the_first"),
    ),
    Mutant(
        "a cancelled run that waits",
        RELEASE_STATUS,
        "    if stop_reason is StopReason.CANCELLED:\n",
        "    if False:\n",
        engine("runner", "a_cancelled_waiting_run_ends_at_once_and_takes_no_decision"),
    ),
    Mutant(
        "a handover that is not due",
        RELEASE_STATUS,
        "return ReleaseStatus(Status.READY, due=now, obstacle=obstacle)",
        "return ReleaseStatus(Status.READY, obstacle=obstacle)",
        engine("runner", "a_run_is_handed_on_when_little_time_is_left"),
    ),
)

COMMITS = (
    Mutant(
        "an audit trail that starts again with each batch",
        COMMIT_BATCHES,
        "trail=TrailMove(before.number, chain)",
        "trail=TrailMove(0, chain)",
        engine("commit_batches", "each_batch_continues_the_audit_trail_of_the_one_before"),
    ),
    Mutant(
        "a batch that is the last although more follow",
        COMMIT_BATCHES,
        "last=not (remaining or reads),",
        "last=True,",
        engine("commit_batches", "only_the_last_batch_releases_the_run"),
    ),
    Mutant(
        "a batch with more children than a store takes",
        COMMIT_BATCHES,
        "        items += ITEMS_OF_A_START if write.start else 0\n",
        "",
        batch("start"),
    ),
    Mutant(
        "a batch in which notices count for nothing",
        COMMIT_BATCHES,
        "1 + (write.notice is not None) + len(used)",
        "1 + len(used)",
        batch("notice"),
    ),
    Mutant(
        "a batch in which grants count for nothing",
        COMMIT_BATCHES,
        " + len(used) - len(grants)",
        "",
        batch("vote", 99),
    ),
    Mutant(
        "a batch in which each use of one grant counts",
        COMMIT_BATCHES,
        " + len(used) - len(grants)",
        " + (write.grant is not None)",
        batch("vote"),
    ),
    Mutant(
        "a batch in which the head counts for nothing",
        COMMIT_BATCHES,
        "room = MAX_ITEMS_AT_ONCE - 1",
        "room = MAX_ITEMS_AT_ONCE",
        batch("request"),
    ),
    Mutant(
        "a batch whose last reads are not written",
        COMMIT_BATCHES,
        "        if not (remaining or reads):\n            return",
        "        if not remaining:\n            return",
        engine("commit_batches", "only_the_last_batch_releases_the_run"),
    ),
    Mutant(
        "a grant that approves a call of high risk by a link",
        GRANT_VOTES,
        "if policy.risk is Risk.HIGH and grant.via not in PROVEN:",
        "if False:",
        grants("a_grant_made_by_a_link_does_not_approve_a_high_risk_call"),
    ),
    # That an ended grant does not vote, and none where the policy allows no grants, only saves
    # writes: the store refuses the use of an ended grant, and the scheduler looks at the policy.
    Mutant(
        "a grant that approves its own requester's run",
        GRANT_VOTES,
        "requesters=asked_by",
        "requesters=()",
        grants("a_grant_of_the_requester_does_not_approve_the_run"),
    ),
    Mutant(
        "a first grant that decides for all",
        GRANT_VOTES,
        "closes = after.open_stage is None",
        "closes = True",
        grants("a_grant_counts_as_one_vote"),
    ),
)

ENGINE = (*DEADLINE, *COMMITS)
