"""Mutants of runs that move: to newer code, to another deployment, and back to an earlier time."""

from tests.mutants.mutant import Mutant, unit

HEAD_UPDATES = "adapters/stores/dynamodb/head_updates.py"
HAND_OVER = "adapters/stores/dynamodb/hand_over.py"
RUNS = "adapters/stores/dynamodb/runs.py"
RUN = "core/run.py"
EFFECTS = "core/effects.py"
CHILD_RUNS = "engine/child_runs.py"


def forms(test: str) -> tuple[str, ...]:
    """A test of two versions of the code on one table."""
    return unit("adapters/stores/test_forms.py", test)


def hand_over(test: str) -> tuple[str, ...]:
    """A test of hand-overs."""
    return unit("adapters/stores/test_hand_over.py", test)


def restore(test: str) -> tuple[str, ...]:
    """A test of runs after a restore of the table."""
    return unit("operations/test_after_restore.py", test)


FORMS = (
    Mutant(
        "a claim of a run of a newer form",
        HEAD_UPDATES,
        'conditions=("(attribute_not_exists(f) OR f <= :form)",)',
        "conditions=()",
        forms("older_code_claims_no_run_that_newer_code_has_claimed"),
    ),
    Mutant(
        "a claim that leaves no mark of its form",
        HEAD_UPDATES,
        "return form_update(form) + UpdateExpression(",
        "return UpdateExpression(",
        forms("older_code_claims_no_run_that_newer_code_has_claimed"),
    ),
    Mutant(
        "an external entry that leaves no mark of its form",
        RUNS,
        "trail_update(trail) + form\n",
        "trail_update(trail)\n",
        forms("older_code_claims_no_run_that_newer_code_has_added_to"),
    ),
    Mutant(
        "an external entry that older code cannot store",
        RUNS,
        "                form = UpdateExpression()",
        "                pass",
        forms("what_comes_by_older_code_is_stored_and_the_run_stays_with_the_newer"),
    ),
)

HAND_OVERS = (
    Mutant(
        "a hand-over without what was executed meanwhile",
        HAND_OVER,
        'conditions=("#status = :status", "epoch = :epoch"),',
        'conditions=("#status = :status", "(attribute_exists(pk) OR epoch = :epoch)"),',
        hand_over("an_execution_that_came_and_went_before_the_mark_wins"),
    ),
    Mutant(
        "a hand-over that forgets a decision",
        HAND_OVER,
        'conditions=("#status = :status", "epoch = :epoch"),',
        'conditions=("epoch = :epoch",),',
        hand_over("a_decision_before_the_mark_is_part_of_the_hand_over"),
    ),
    Mutant(
        "a moved run that older code may take for its own",
        HAND_OVER,
        '            "f = :form",\n        ),\n        removes=("due",',
        '            "x = :form",\n        ),\n        removes=("due",',
        hand_over("a_run_that_is_handed_over_gets_the_newest_form_which_older_code_leaves_alone"),
    ),
    Mutant(
        "a document that replaces a newer one",
        HAND_OVER,
        "(#status = :moved AND moves <= :number)",
        "(#status = :moved AND (attribute_exists(pk) OR moves <= :number))",
        hand_over("a_newer_document_that_was_loaded_meanwhile_stays"),
    ),
    Mutant(
        "a document that replaces a run that continues",
        HAND_OVER,
        "(#status = :moved AND moves <= :number)",
        "((attribute_exists(pk) OR #status = :moved) AND moves <= :number)",
        hand_over("a_run_that_was_taken_back_meanwhile_is_not_replaced"),
    ),
    Mutant(
        "a document that is compared by its status alone",
        RUN,
        "return self.status is Status.MOVED and self.moves <= other.moves",
        "return self.status is Status.MOVED",
        (
            "tests/contract/test_store.py::test_an_older_document_or_one_of_a_run_that_continues"
            "_here_changes_nothing[memory]",
        ),
    ),
)

RESTORES = (
    Mutant(
        "a lost time in which nothing counts as run",
        EFFECTS,
        "if restore and may_have_run(call, restore):",
        "if False:",
        restore("a_call_that_the_model_makes_again_is_asked_about_and_does_not_run"),
    ),
    Mutant(
        "a doubt about a tool that may simply run again",
        EFFECTS,
        "not isinstance(call.plan, ToolPlan) or call.plan.effect is not Effect.ONCE:",
        "not isinstance(call.plan, ToolPlan):",
        restore("an_idempotent_tool_runs_again_with_its_key_and_nobody_is_asked"),
    ),
    Mutant(
        "a doubt about a tool whose return is on record",
        EFFECTS,
        "if restore is None or call.wait or call.outcome:",
        "if restore is None or call.outcome:",
        restore("a_tool_that_returned_a_wait_is_not_asked_about"),
    ),
    Mutant(
        "a doubt of before the restore that counts as asked",
        EFFECTS,
        "return asked_at is None or asked_at < restore.until",
        "return asked_at is None",
        restore("a_doubt_of_before_the_restore_is_asked_about_again"),
    ),
    Mutant(
        "a doubt while a process of the lost table may run",
        EFFECTS,
        "deadline=max(known.deadline, restore.until),",
        "deadline=known.deadline,",
        restore("people_are_asked_once_no_process_of_the_lost_table_can_be_running"),
    ),
    Mutant(
        "a child run that is started again without the mark",
        CHILD_RUNS,
        "    if root.restore:",
        "    if False:",
        restore(
            "calls_of_sub_agents_and_of_child_runs_that_are_started_again_are_asked_about[True]"
        ),
    ),
)

MOVES = (*FORMS, *HAND_OVERS, *RESTORES)
