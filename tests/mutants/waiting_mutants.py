"""Mutants of runs that wait, are blocked or parked: what wakes them, and who is told."""

from tests.mutants.mutant import Mutant, engine, memory, simulated, unit

BACKOFF = "core/backoff.py"
EFFECTS = "core/effects.py"
SCHEDULER = "engine/scheduler.py"
NEXT_WAKE = "engine/next_wake.py"
RELEASE_STATUS = "engine/release_status.py"
UNIT_OF_WORK = "engine/unit_of_work.py"
CHILD_RUNS = "engine/child_runs.py"
HEAD_UPDATES = "adapters/stores/dynamodb/head_updates.py"
RUNS = "adapters/stores/dynamodb/runs.py"
STORE = "adapters/stores/memory/store.py"
RECORD = "adapters/stores/memory/record.py"
OUTBOX = "notifications/outbox.py"


def released(test: str) -> tuple[str, ...]:
    """A test of the status that a run is left in."""
    return engine("release_status", test)


def obstacle(test: str) -> tuple[str, ...]:
    """A test of obstacles."""
    return unit("core/test_backoff.py", test)


def outbox(test: str) -> tuple[str, ...]:
    """A test of the delivery of notices."""
    return unit("notifications/test_outbox.py", test)


PARKED = (
    Mutant(
        "a parked run that anything from outside starts again",
        HEAD_UPDATES,
        "if status not in (Status.SUSPENDED, Status.COMPLETED):",
        "if status not in (Status.SUSPENDED, Status.COMPLETED, Status.PARKED):",
        simulated("a_parked_run_keeps_what_comes_from_outside"),
    ),
    Mutant(
        "a parked run that refuses what comes from outside",
        RUNS,
        "if status.ended and not (reopen and status is Status.COMPLETED):",
        "if (status.ended or status is Status.PARKED) and not (reopen and status.ended):",
        simulated("a_parked_run_keeps_what_comes_from_outside"),
    ),
    Mutant(
        "a run that failed or was moved and that a message reopens",
        RUNS,
        "if status.ended and not (reopen and status is Status.COMPLETED):",
        "if status.ended and not reopen:",
        simulated("a_run_that_ended_in_another_way_cannot_be_reopened", "-failed"),
    ),
    Mutant(
        "a parked run whose cancel nobody executes",
        HEAD_UPDATES,
        "    if status is not Status.PARKED:\n        return update\n",
        "    if True:\n        return update\n",
        simulated("a_parked_run_that_is_cancelled_is_claimed_once_more"),
    ),
    Mutant(
        "a blocked run that cannot be redriven",
        HEAD_UPDATES,
        "(attribute_exists(obstacle) OR attribute_exists(model_pause))",
        "attribute_exists(model_pause)",
        simulated("a_run_that_is_blocked_or_backs_off_is_redriven", "-True"),
    ),
    Mutant(
        "a run that backs off and cannot be redriven",
        HEAD_UPDATES,
        "(attribute_exists(obstacle) OR attribute_exists(model_pause))",
        "attribute_exists(obstacle)",
        simulated("a_run_that_is_blocked_or_backs_off_is_redriven", "-False"),
    ),
    Mutant(
        "a redrive of a run that waits for something else",
        HEAD_UPDATES,
        " AND (attribute_exists(obstacle) OR attribute_exists(model_pause))",
        "",
        simulated("a_run_that_is_blocked_or_backs_off_is_redriven", "-True"),
    ),
    Mutant(
        "a redriven run that still backs off",
        HEAD_UPDATES,
        'removes=("note", "model_pause", "obstacle"),\n        conditions=(f"',
        'removes=("note",),\n        conditions=(f"',
        simulated("a_run_that_is_blocked_or_backs_off_is_redriven", "-True"),
    ),
    Mutant(
        "a redriven run that its earlier claims park again",
        HEAD_UPDATES,
        '"due = :now", "stalls = :zero"),',
        '"due = :now", "x = :zero"),',
        simulated("a_run_that_is_blocked_or_backs_off_is_redriven", "-True"),
    ),
    Mutant(
        "in memory: a parked run that anything from outside starts again",
        RECORD,
        "if self.head.status in (Status.SUSPENDED, Status.COMPLETED):",
        "if self.head.status in (Status.SUSPENDED, Status.COMPLETED, Status.PARKED):",
        memory("a_parked_run_keeps_what_comes_from_outside"),
    ),
    Mutant(
        "in memory: a parked run that refuses what comes from outside",
        STORE,
        "            if run.head.status.ended and not reopened:",
        "            if (run.head.status.ended or run.head.note) and not reopened:",
        memory("a_parked_run_keeps_what_comes_from_outside"),
    ),
    Mutant(
        "in memory: a blocked run that cannot be redriven",
        RECORD,
        "(head.obstacle or head.model_pause)",
        "head.model_pause",
        memory("a_run_that_is_blocked_or_backs_off_is_redriven", "-True"),
    ),
)

BLOCKED = (
    Mutant(
        "an obstacle whose tries are always as soon as the first",
        BACKOFF,
        "shortest * 2.0 ** min(tries - 1, 64)",
        "shortest",
        obstacle("the_interval_between_tries_doubles_up_to_the_longest"),
    ),
    Mutant(
        "an obstacle that is tried ever more rarely without end",
        BACKOFF,
        "seconds = min(shortest * 2.0 ** min(tries - 1, 64), longest)",
        "seconds = shortest * 2.0 ** min(tries - 1, 20)",
        obstacle("the_interval_between_tries_doubles_up_to_the_longest"),
        raises=("OverflowError",),
    ),
    Mutant(
        "an obstacle whose interval a wake doubles",
        BACKOFF,
        "    if before and before.until > now:\n        return before\n",
        "",
        obstacle("a_wake_before_the_next_try_is_not_another_try"),
    ),
    Mutant(
        "an obstacle that begins with each try, so that nobody is told",
        BACKOFF,
        "since, tries = (before.since, before.tries + 1)",
        "since, tries = (now, before.tries + 1)",
        obstacle("a_run_is_blocked_since_its_first_try"),
    ),
    Mutant(
        "a run that is parked although it may pass",
        RELEASE_STATUS,
        "if not (passes or wake.is_waiting or wake.times):",
        "if not (wake.is_waiting or wake.times):",
        released("a_run_is_tried_again_if_one_of_its_calls_is_blocked_by_what_passes"),
    ),
    Mutant(
        "a run that is parked although it waits for an event",
        RELEASE_STATUS,
        "if not (passes or wake.is_waiting or wake.times):",
        "if not (passes or wake.times):",
        released("a_run_that_waits_for_something_else_is_not_parked"),
    ),
    Mutant(
        "a run that is parked although its model is asked later",
        RELEASE_STATUS,
        "if not (passes or wake.is_waiting or wake.times):",
        "if not (passes or wake.is_waiting):",
        released("a_run_whose_model_is_asked_later_is_not_parked"),
    ),
    Mutant(
        "a run that waits forever for what only a deployment brings",
        RELEASE_STATUS,
        "    if not (passes or wake.is_waiting or wake.times):\n",
        "    if False:\n",
        released("a_run_that_nothing_can_continue_is_parked_with_all_reasons"),
    ),
    Mutant(
        "a blocked call that keeps the run from its other times",
        RELEASE_STATUS,
        "due = min((obstacle.until, *wake.times))",
        "due = obstacle.until",
        released("a_blocked_run_is_woken_for_a_wait_that_ends_before_the_next_try"),
    ),
    Mutant(
        "a handover that forgets since when the run is blocked",
        RELEASE_STATUS,
        "due=now, obstacle=obstacle)",
        "due=now)",
        released("a_run_that_is_handed_on_keeps_its_obstacle"),
    ),
    Mutant(
        "a call in doubt that nobody is asked about, and that keeps its run busy",
        NEXT_WAKE,
        "case AskIfHappened() if effect.path not in blocked:",
        "case AskIfHappened():",
        engine(
            "runner",
            "a_call_in_doubt_that_can_be_put_to_nobody_blocks_the_run_until_there_are_operators",
        ),
    ),
    Mutant(
        "a call in doubt that is put to nobody",
        SCHEDULER,
        "                if request.doubt.approvers:",
        "                if True:",
        engine(
            "runner",
            "a_call_in_doubt_that_can_be_put_to_nobody_blocks_the_run_until_there_are_operators",
        ),
    ),
)

TOLD = (
    Mutant(
        "an event that came in time and loses to the deadline",
        SCHEDULER,
        "                    deadline = until",
        "                    continue",
        engine("scheduler", "an_event_that_was_stored_before_the_deadline_counts"),
    ),
    Mutant(
        "an event that came too late and counts",
        EFFECTS,
        "if wait.deadline is None or each.at <= wait.deadline)",
        "if True)",
        engine("waits", "an_event_counts_up_to_the_deadline_whenever_the_run_gets_to_see_it"),
    ),
    Mutant(
        "an event at the deadline that does not count",
        EFFECTS,
        "each.at <= wait.deadline)",
        "each.at < wait.deadline)",
        engine("waits", "an_event_counts_up_to_the_deadline_whenever_the_run_gets_to_see_it"),
    ),
    Mutant(
        "a parked child whose parent takes it for ended",
        UNIT_OF_WORK,
        "        if status.ended:\n",
        "        if status.ended or status is Status.PARKED:\n",
        engine(
            "child_runs", "a_child_that_is_parked_reports_its_end_to_its_parent_once_it_has_ended"
        ),
        raises=("KeyError",),
    ),
    Mutant(
        "a child whose end nobody hears of",
        UNIT_OF_WORK,
        "            report_to_parent(self._context, self.head, root, status, note)\n",
        "",
        engine(
            "child_runs", "a_child_that_is_parked_reports_its_end_to_its_parent_once_it_has_ended"
        ),
    ),
    Mutant(
        "a parent that cannot be read and leaves its children running",
        CHILD_RUNS,
        "children = [each.run_id for each in waits if isinstance(each, ChildWait)]",
        "children: list[str] = []",
        engine("child_runs", "a_cancel_reaches_the_child_runs_of_a_run_that_cannot_be_read"),
    ),
    Mutant(
        "a notice to nobody that counts as delivered",
        OUTBOX,
        "None if failures or reached else _why_nobody(notice)",
        "None",
        outbox("a_notice_without_recipients_has_failed"),
    ),
    Mutant(
        "a notice to programs that counts as failed",
        OUTBOX,
        "if not is_program(each)]",
        "if each]",
        outbox("a_notice_to_programs_needs_no_recipients"),
    ),
    Mutant(
        "a notice that asks nobody and counts as delivered",
        OUTBOX,
        "if notice.approvers and not people:",
        "if not people:",
        outbox("a_notice_to_nobody_has_failed"),
    ),
    Mutant(
        "a recipient that was reached and is not left out",
        OUTBOX,
        " if str(each) not in notice.delivered",
        "",
        outbox("only_failed_deliveries_are_retried"),
    ),
    Mutant(
        "a stored notice that reaches also who may not answer",
        OUTBOX,
        " if str(each) in notice.undelivered",
        "",
        outbox("a_notice_of_an_earlier_form_reaches_the_recipients_that_it_lists"),
    ),
    Mutant(
        "a stored recipient that is nobody's address, and is not reported",
        OUTBOX,
        '{each: Fatal("not an address of an approver") for each in sorted(unknown)}',
        "{}",
        outbox("no_link_goes_to_an_address_that_only_the_notice_knows"),
    ),
    Mutant(
        "a link that does not say what it was sent for",
        "auth/approval_links.py",
        "self.asked in (None, _start(arguments_hash))",
        "True",
        unit("auth/test_approval_links.py", "a_token_says_what_was_asked_when_it_was_made"),
    ),
)

WAITING = (*PARKED, *BLOCKED, *TOLD)
