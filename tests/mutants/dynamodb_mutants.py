"""Mutants of the store on DynamoDB: the conditions of each write, and answers that are lost."""

from tests.mutants.mutant import Mutant, simulated

HEAD_UPDATES = "adapters/stores/dynamodb/head_updates.py"
HEADS = "adapters/stores/dynamodb/heads.py"
RUNS = "adapters/stores/dynamodb/runs.py"
JOURNAL = "adapters/stores/dynamodb/journal.py"
TABLE = "adapters/stores/dynamodb/table.py"
GRANTS = "adapters/stores/dynamodb/grants.py"
INDEXES = "adapters/stores/dynamodb/indexes.py"
OUTBOX = "adapters/stores/dynamodb/outbox.py"

LOST_ANSWERS = "tests/unit/adapters/stores/test_lost_answers.py::"


DYNAMODB = (
    Mutant(
        "a claim during another lease",
        HEAD_UPDATES,
        "(attribute_not_exists(lease_until) OR lease_until <= :now)",
        "(attribute_exists(pk) OR lease_until <= :now)",
        simulated("a_lease_keeps_others_out_until_it_ends"),
    ),
    Mutant(
        "a claim that its own holder cannot repeat",
        HEADS,
        'return read_head(failed.item) if failed.item.get("owner") == holder else None',
        "return None",
        simulated("a_claim_whose_answer_was_lost_can_be_repeated"),
    ),
    Mutant(
        "a claim of a run that has ended",
        HEAD_UPDATES,
        '"#status IN (:ready, :running, :suspended)",',
        '"(attribute_exists(pk) OR #status IN (:ready, :running, :suspended))",',
        simulated("a_run_that_has_ended_stays_ended", "-completed"),
    ),
    Mutant(
        "a claim without a new epoch",
        HEAD_UPDATES,
        '":owner": holder,\n            ":one": 1,',
        '":owner": holder,\n            ":one": 0,',
        simulated("a_former_lease_holder_writes_nothing"),
    ),
    Mutant(
        "a claim that nobody sweeps",
        HEAD_UPDATES,
        '"due = :lease",\n            "due_shard',
        '"due_shard',
        simulated("a_lease_keeps_others_out_until_it_ends"),
    ),
    Mutant(
        "a write of an earlier epoch",
        HEAD_UPDATES,
        'conditions=("epoch = :epoch", "#status = :running")',
        'conditions=("(attribute_exists(pk) OR epoch = :epoch)", "#status = :running")',
        simulated("a_former_lease_holder_writes_nothing"),
    ),
    Mutant(
        "a write under the lease of a run that has ended",
        HEAD_UPDATES,
        'conditions=("epoch = :epoch", "#status = :running")',
        'conditions=("epoch = :epoch", "(attribute_exists(pk) OR #status = :running)")',
        simulated("a_run_that_has_ended_stays_ended", "-completed"),
    ),
    Mutant(
        "an intent after the cancel",
        HEAD_UPDATES,
        'conditions=(\n            "attribute_not_exists(cancelled)",\n',
        "conditions=(\n",
        simulated("nothing_begins_after_cancel"),
    ),
    Mutant(
        "an intent of a paused run",
        HEAD_UPDATES,
        '            "attribute_not_exists(paused)",\n',
        "",
        simulated("the_lease_holder_of_a_paused_run_begins_nothing_and_can_release_it"),
    ),
    Mutant(
        "an intent that is recorded twice",
        HEAD_UPDATES,
        ".attempt < :a{number})",
        ".attempt <= :a{number})",
        simulated("an_intent_is_recorded_once"),
    ),
    Mutant(
        "a commit after the cancel",
        HEAD_UPDATES,
        'return update + UpdateExpression(conditions=("attribute_not_exists(cancelled)",))',
        "return update",
        simulated("nothing_begins_after_cancel"),
    ),
    Mutant(
        "a release that does not see a wake",
        HEAD_UPDATES,
        '("wake = :wake",)',
        '("(attribute_exists(pk) OR wake = :wake)",)',
        simulated("a_release_is_refused_after_a_decision_that_the_lease_holder_has_not_seen"),
    ),
    Mutant(
        "a release that keeps the lease",
        HEAD_UPDATES,
        'removes = ["#owner", "lease_until"]',
        'removes = ["#owner"]',
        simulated("a_commit_writes_a_notice_and_releases_the_run_at_once"),
    ),
    Mutant(
        "an ended run that stays paused",
        HEAD_UPDATES,
        'removes.append("paused")',
        "pass",
        simulated("a_run_that_has_ended_is_no_longer_paused"),
    ),
    Mutant(
        "an audit trail that two writers continue",
        HEAD_UPDATES,
        'conditions=(f"({first}entries = :before)",)',
        'conditions=("(attribute_exists(pk) OR entries = :before)",)',
        simulated("a_commit_is_refused_if_the_audit_trail_has_grown"),
    ),
    Mutant(
        "a woken run that is not due",
        HEAD_UPDATES,
        "Status.COMPLETED):\n        return update\n    return update + UpdateExpression(\n"
        '        sets=("#status = :ready", "due = :now"),',
        "Status.COMPLETED):\n        return update\n    return update + UpdateExpression(\n"
        '        sets=("#status = :ready", "x = :now"),',
        simulated("the_first_decision_counts_and_wakes_the_run"),
    ),
    Mutant(
        "a redrive of a run that has ended",
        HEAD_UPDATES,
        'conditions=(f"(#status = :parked OR ({waits}))",)',
        'conditions=(f"(attribute_exists(pk) OR #status = :parked OR ({waits}))",)',
        simulated("a_run_that_has_ended_stays_ended", "-failed"),
    ),
    Mutant(
        "a refused commit that does not tell its holder of the newer epoch",
        HEAD_UPDATES,
        "if head.epoch != epoch or head.status",
        "if head.status",
        simulated("a_former_lease_holder_writes_nothing"),
    ),
    Mutant(
        "an item that is written over",
        TABLE,
        '"ConditionExpression": NEW,',
        '"ConditionExpression": f"{NEW} OR attribute_exists(pk)",',
        simulated("a_journal_entry_is_written_once"),
    ),
    Mutant(
        "due notices in a table of their own that nobody looks for",
        INDEXES,
        '[(self._outbox, "D")] if',
        "[] if",
        simulated("due_runs_and_notices_are_found"),
    ),
    Mutant(
        "a notice that a restored run cannot write again",
        OUTBOX,
        "self._table.replace_write(",
        "self._table.put_write(",
        simulated("a_notice_that_the_outbox_has_from_before_a_restore_of_the_run_is_due_again"),
    ),
    Mutant(
        "an entry of another writer taken for an own one",
        JOURNAL,
        'return entry if failed.item["w"] == write_id else self.read(failed.item)',
        "return entry",
        simulated("a_journal_entry_is_written_once"),
    ),
    Mutant(
        "an own external entry taken for an earlier one",
        RUNS,
        'return None if stored["w"] == write_id else self._journal.read(stored)',
        "return self._journal.read(stored)",
        (f"{LOST_ANSWERS}test_an_external_entry_is_the_first_although_its_answer_was_lost",),
    ),
    Mutant(
        "an earlier external entry taken for an own one",
        RUNS,
        'return None if stored["w"] == write_id else self._journal.read(stored)',
        "return None",
        simulated("the_first_decision_counts_and_wakes_the_run"),
    ),
    Mutant(
        "own intents that fence their holder",
        HEADS,
        "if head.cancelled or head.paused or not written_before:",
        "if True:",
        (f"{LOST_ANSWERS}test_intents_are_recorded_although_the_answer_was_lost",),
    ),
    Mutant(
        "intents taken for recorded that are not",
        HEADS,
        "if head.cancelled or head.paused or not written_before:",
        "if head.cancelled or head.paused:",
        simulated("an_intent_is_recorded_once"),
    ),
    Mutant(
        "an own release that fences its holder",
        HEADS,
        "if head and release and head.epoch == epoch and head.owner is None:",
        "if False:",
        (f"{LOST_ANSWERS}test_a_run_is_released_although_the_answer_was_lost",),
    ),
    Mutant(
        "a grant used more often than it allows",
        GRANTS,
        "grant.max_uses - times}",
        "grant.max_uses}",
        simulated("uses_of_a_grant_are_counted_with_their_commit_or_not_at_all"),
    ),
    Mutant(
        "a revoked grant that is used",
        GRANTS,
        'conditions=("attribute_not_exists(revoked_at)", "expires > :now")',
        'conditions=("expires > :now",)',
        simulated("a_revoked_grant_cannot_be_used_and_keeps_its_first_revoker"),
    ),
)
