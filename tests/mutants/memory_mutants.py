"""Mutants of the store in memory: the conditions of each write."""

from tests.mutants.mutant import Mutant, memory

STORE = "adapters/stores/memory/store.py"
RECORD = "adapters/stores/memory/record.py"
GRANTS = "adapters/stores/memory/grants.py"


IN_MEMORY = (
    Mutant(
        "in memory: a claim during another lease",
        RECORD,
        "if head.lease_until and head.lease_until > now:",
        "if False:",
        memory("a_lease_keeps_others_out_until_it_ends"),
    ),
    Mutant(
        "in memory: a claim that its own holder cannot repeat",
        RECORD,
        "return head if head.owner == holder else None",
        "return None",
        memory("a_claim_whose_answer_was_lost_can_be_repeated"),
    ),
    Mutant(
        "in memory: a write of an earlier epoch",
        STORE,
        "run is None or run.head.epoch != epoch or run.head.status is not Status.RUNNING:",
        "run is None or run.head.status is not Status.RUNNING:",
        memory("a_former_lease_holder_writes_nothing"),
    ),
    Mutant(
        "in memory: a write under the lease of a run that has ended",
        STORE,
        " or run.head.status is not Status.RUNNING:",
        ":",
        memory("a_run_that_has_ended_stays_ended", "-completed"),
    ),
    Mutant(
        "in memory: an intent of a cancelled run",
        RECORD,
        "return not (self.head.cancelled or ",
        "return not (",
        memory("nothing_begins_after_cancel"),
    ),
    Mutant(
        "in memory: an intent of a paused run",
        RECORD,
        "self.head.paused or repeated)",
        "repeated)",
        memory("the_lease_holder_of_a_paused_run_begins_nothing_and_can_release_it"),
    ),
    Mutant(
        "in memory: an intent that is recorded twice",
        RECORD,
        "recorded[path].attempt >= intent.attempt",
        "recorded[path].attempt > intent.attempt",
        memory("an_intent_is_recorded_once"),
    ),
    Mutant(
        "in memory: a commit after the cancel",
        STORE,
        "if run.head.cancelled and not release:",
        "if False:",
        memory("nothing_begins_after_cancel"),
    ),
    Mutant(
        "in memory: a release that does not see a wake",
        STORE,
        "if release and run.head.wake != release.wake:",
        "if False:",
        memory("a_release_is_refused_after_a_decision_that_the_lease_holder_has_not_seen"),
    ),
    Mutant(
        "in memory: an entry that is written over",
        STORE,
        "return self._runs[run_id].entries.setdefault(entry.key, entry)",
        "return self._runs[run_id].entries.update({entry.key: entry}) or entry",
        memory("a_journal_entry_is_written_once"),
    ),
    Mutant(
        "in memory: a commit over an entry that exists",
        STORE,
        "if run.first_stored(entries) or ",
        "if ",
        memory("a_commit_is_all_or_nothing"),
    ),
    Mutant(
        "in memory: an outside entry over one that exists",
        STORE,
        "            if stored:\n                return stored\n",
        "",
        memory("the_first_decision_counts_and_wakes_the_run"),
    ),
    Mutant(
        "in memory: a grant that is used after its end",
        GRANTS,
        "if stored is None or not stored.is_active(now):",
        "if stored is None:",
        memory("uses_of_a_grant_are_counted_with_their_commit_or_not_at_all"),
    ),
)
