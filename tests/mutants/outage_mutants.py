"""Mutants of outages: what is kept while a service does not answer, and claims that are handed
back.
"""

from tests.mutants.mutant import Mutant, engine, memory, simulated

EXECUTION = "engine/execution.py"
RESULTS = "engine/results.py"
HEAD_UPDATES = "adapters/stores/dynamodb/head_updates.py"
RECORD = "adapters/stores/memory/record.py"

KEPT = "an_outcome_is_kept_as_long_as_its_process_may_live_and_a_reply_for_a_minute"

RESULTS_IN_HAND = (
    Mutant(
        "an outcome that is dropped before it is stored",
        RESULTS,
        """            event = self._outcomes[0]
            key = call_entry_key(event)
            if late:
                self._run.append_late_outcome(JournalEntry(key, (event,)))
            else:
                self._run.record(key, event)
                settled = self._run.pending.settled
                # A load, after another execution's outcome, has listed what is settled already.
                if event.path in self._run.head.intents and event.path not in settled:
                    settled.append(event.path)
            del self._outcomes[0]
""",
        """            event = self._outcomes.pop(0)
            key = call_entry_key(event)
            if late:
                self._run.append_late_outcome(JournalEntry(key, (event,)))
            else:
                self._run.record(key, event)
                settled = self._run.pending.settled
                # A load, after another execution's outcome, has listed what is settled already.
                if event.path in self._run.head.intents and event.path not in settled:
                    settled.append(event.path)
""",
        engine("results", "an_outcome_that_is_not_stored_is_kept_with_those_after_it"),
    ),
    Mutant(
        "outcomes that are stored last in, first out",
        RESULTS,
        "self._outcomes.append(event)",
        "self._outcomes.insert(0, event)",
        engine("results", "outcomes_are_stored_in_the_order_in_which_they_came"),
    ),
    Mutant(
        "a reply that is dropped before it is stored",
        RESULTS,
        """            finished = self._replies[0]
            if isinstance(finished.effect, CallModel):
                self._record_reply(finished.effect, finished)
            del self._replies[0]
""",
        """            finished = self._replies.pop(0)
            if isinstance(finished.effect, CallModel):
                self._record_reply(finished.effect, finished)
""",
        engine("results", "a_reply_that_is_not_stored_is_kept_and_no_model_is_asked_again"),
    ),
    Mutant(
        "replies that are stored before outcomes",
        EXECUTION,
        """        self.results.record_outcomes(late=not self._is_leased)
        if self._is_leased:
            self.results.record_replies()
            self.run.withdraw_intents()
""",
        """        if self._is_leased:
            self.results.record_replies()
            self.run.withdraw_intents()
        self.results.record_outcomes(late=not self._is_leased)
""",
        engine("results", "an_outcome_is_stored_although_the_reply_at_the_same_time_is_not"),
    ),
    Mutant(
        "a result without an intent that is stored without the lease",
        RESULTS,
        "        elif leased or must_record:",
        "        else:",
        engine("results", "without_the_lease_only_outcomes_of_tools_with_an_intent_count"),
    ),
    Mutant(
        "an outcome that is kept no longer than a reply",
        EXECUTION,
        "return self.in_flight.has_intents or self.results.has_outcomes",
        "return self.in_flight.has_intents",
        engine("failing_steps", f"{KEPT}[outcome-None-900]"),
    ),
    Mutant(
        "a running tool that is given up like a model call",
        EXECUTION,
        "return self.in_flight.has_intents or self.results.has_outcomes",
        "return self.results.has_outcomes",
        engine(
            "failing_steps",
            "an_outage_while_a_tool_runs_is_waited_out_as_long_as_its_process_may_live",
        ),
    ),
    Mutant(
        "an outcome that is given up before the deadline",
        EXECUTION,
        "return self.deadline - timedelta(seconds=self.limits.abandon_margin)",
        "return self.deadline - timedelta(seconds=self.limits.stop_margin)",
        engine("failing_steps", f"{KEPT}[outcome-400-395]"),
    ),
    Mutant(
        "a reply that is given up at once",
        EXECUTION,
        "in_hand = self.in_flight or self.results",
        "in_hand = self.in_flight",
        engine("failing_steps", f"{KEPT}[reply-None-60]"),
    ),
    Mutant(
        "an outage that is not waited out",
        EXECUTION,
        "if self.context.clock() >= self._give_up_at(failing_since):",
        "if True:",
        engine("failing_steps", f"{KEPT}[reply-400-60]"),
    ),
    Mutant(
        "an unreadable run that drops the outcome of its tool",
        EXECUTION,
        "if self.unreadable or not self._has_outcomes:",
        "if True:",
        engine(
            "failing_steps",
            "a_run_that_becomes_unreadable_keeps_the_outcome_of_its_tool_and_is_parked",
        ),
    ),
)

HANDED_BACK = (
    Mutant(
        "an outage that counts as a fruitless execution",
        EXECUTION,
        "except Retryable as error:\n            self._hand_back(str(error), counted=False)",
        "except Retryable as error:\n            self._hand_back(str(error), counted=True)",
        engine("failing_steps", "a_run_is_handed_back_with_the_reason_and_claimed_in_a_minute"),
    ),
    Mutant(
        "a newer form that counts as a fruitless execution",
        EXECUTION,
        "except NewerForm as error:\n            self._hand_back(str(error), counted=False)",
        "except NewerForm as error:\n            self._hand_back(str(error), counted=True)",
        engine(
            "failing_steps",
            "a_run_that_newer_code_writes_meanwhile_keeps_the_outcome_and_is_handed_back",
        ),
    ),
    Mutant(
        "an unexpected exception that is not counted",
        EXECUTION,
        "self._hand_back(error_text(error), counted=True)",
        "self._hand_back(error_text(error), counted=False)",
        engine(
            "failing_steps", "an_unexpected_exception_is_counted_and_is_the_note_of_the_parked_run"
        ),
        raises=("ZeroDivisionError",),
    ),
    Mutant(
        "a parked run that does not say what its claims failed by",
        EXECUTION,
        'why = f": {self.run.head.note}" if self.run.head.note else ""',
        'why = ""',
        engine(
            "failing_steps", "an_unexpected_exception_is_counted_and_is_the_note_of_the_parked_run"
        ),
    ),
    Mutant(
        "a run that is handed back once at most",
        EXECUTION,
        "                self.context.pause(min(2.0**tries, LONGEST_PAUSE_SECONDS))",
        "                return",
        engine("failing_steps", "a_run_is_handed_back_although_the_store_answers_only_later"),
    ),
    Mutant(
        "a lost execution that is counted twice",
        HEAD_UPDATES,
        "(attribute_not_exists(released) OR released < :before)",
        "(attribute_not_exists(released) OR released < :before OR attribute_exists(pk))",
        simulated("lost_executions_are_counted_until_progress"),
    ),
    Mutant(
        "a run that is handed back and counts as lost",
        HEAD_UPDATES,
        'sets=("#status = :ready", "due = :due", "note = :note", "released = epoch"),',
        'sets=("#status = :ready", "due = :due", "note = :note"),',
        simulated("an_execution_that_has_released_its_run_is_not_lost"),
    ),
    Mutant(
        "a lost execution that nobody counts",
        EXECUTION,
        "            if head.lost_execution:",
        "            if head.lost_execution and not head.lost_execution:",
        engine("runner", "a_run_whose_process_dies_again_and_again_is_parked"),
    ),
    Mutant(
        "an uncounted execution that is counted",
        HEAD_UPDATES,
        "    if not counted:\n        return update\n",
        "",
        simulated("a_run_that_is_handed_back_can_be_claimed_at_once"),
    ),
    Mutant(
        "a counted execution that is not counted",
        HEAD_UPDATES,
        "    if not counted:\n        return update\n",
        "    return update\n",
        simulated("a_run_that_is_handed_back_can_be_claimed_at_once"),
    ),
    Mutant(
        "a run that a former holder hands back",
        HEAD_UPDATES,
        'update = lease_held(epoch) + UpdateExpression(\n        sets=("#status = :ready", "due',
        'update = UpdateExpression(\n        sets=("#status = :ready", "due',
        simulated("a_former_lease_holder_hands_nothing_back"),
    ),
    Mutant(
        "a run that is handed back with its lease",
        HEAD_UPDATES,
        '("#owner", "lease_until"),\n        values={":ready": Status.READY, ":due"',
        '(),\n        values={":ready": Status.READY, ":due"',
        simulated("a_run_that_is_handed_back_can_be_claimed_at_once"),
    ),
    Mutant(
        "in memory: an uncounted execution that is counted",
        RECORD,
        "stalls=self.head.stalls + counted,",
        "stalls=self.head.stalls + 1,",
        memory("a_run_that_is_handed_back_can_be_claimed_at_once"),
    ),
)

OUTAGES = (*RESULTS_IN_HAND, *HANDED_BACK)
