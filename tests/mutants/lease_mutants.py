"""Mutants of leases and of doubt: a lost lease, the outcomes that come late, and their writes."""

from tests.mutants.mutant import Mutant, engine

UNIT_OF_WORK = "engine/unit_of_work.py"
RELEASE_STATUS = "engine/release_status.py"
EXECUTION = "engine/execution.py"
RESULTS = "engine/results.py"
SCHEDULER = "engine/scheduler.py"
TOOL_CALLS = "engine/tool_calls.py"
IN_FLIGHT = "engine/in_flight.py"
NEXT_WAKE = "engine/next_wake.py"

LEASES = (
    Mutant(
        "a load that takes over another epoch",
        UNIT_OF_WORK,
        "if found is None or found[0].head.epoch != self.head.epoch:",
        "if found is None:",
        engine("unit_of_work", "an_execution_that_is_overtaken_before_it_loads_does_nothing"),
    ),
    Mutant(
        "a load that claims to include what came meanwhile",
        UNIT_OF_WORK,
        "self.loaded_at = now",
        "self.loaded_at = self._context.clock()",
        engine(
            "scheduler",
            "no_call_is_in_doubt_whose_outcome_may_have_been_stored_since_the_load[load]",
        ),
    ),
    Mutant(
        "a lease of an ended run that is still held",
        UNIT_OF_WORK,
        "head.epoch == self.head.epoch and head.status is Status.RUNNING",
        "head.epoch == self.head.epoch",
        engine("unit_of_work", "an_execution_stops_if_its_run_has_ended"),
    ),
    Mutant(
        "a lease of an earlier epoch that is still held",
        UNIT_OF_WORK,
        "head is not None and head.epoch == self.head.epoch and",
        "head is not None and",
        engine("runner", "an_execution_without_a_lease_cannot_park_the_run"),
    ),
    Mutant(
        "a fenced execution that keeps its reads",
        RESULTS,
        "for read in () if late else list(self._run.pending.reads):",
        "for read in list(self._run.pending.reads):",
        engine("unit_of_work", "an_execution_that_lost_its_lease_stores_no_reads"),
    ),
    Mutant(
        "a wake that is merged without a load",
        UNIT_OF_WORK,
        "if head.wake == self.head.wake:",
        "if True:",
        engine("runner", "a_decision_is_loaded_again_after_a_failed_load"),
    ),
    Mutant(
        "a late outcome that is dropped after the end",
        UNIT_OF_WORK,
        "            earlier = self._store.append(self.run_id, outcome)\n",
        "            return\n",
        engine("unit_of_work", "an_outcome_that_is_known_after_the_end_of_its_run_is_stored"),
    ),
    Mutant(
        "a late outcome that wakes nobody",
        UNIT_OF_WORK,
        "            self._context.queue.resume(self.run_id)\n        except Conflict:",
        "        except Conflict:",
        engine("runner", "an_execution_that_lost_its_lease_stops_and_stores_only_late_outcomes"),
    ),
    Mutant(
        "a lost lease that wakes nobody",
        EXECUTION,
        "                self.run.wake()",
        "                pass",
        engine("runner", "an_execution_that_learns_late_of_its_lost_lease_wakes_the_run"),
    ),
    Mutant(
        "a handover that always counts as progress",
        RELEASE_STATUS,
        "progress=self.status is not Status.READY or entry_count != head.registers",
        "progress=True",
        engine("runner", "a_run_that_is_handed_on_repeatedly_without_progress_is_parked"),
    ),
    Mutant(
        "an intent that stays after its outcome",
        RESULTS,
        "                    settled.append(event.path)",
        "                    pass",
        engine("runner", "every_call_of_a_wide_turn_is_requested_and_run[1]"),
    ),
    Mutant(
        "a reply that is stored for a turn that has one",
        RESULTS,
        "if len(frame.turns) != effect.turn:",
        "if False:",
        engine("execution", "a_reply_that_another_execution_has_stored_is_the_turns[True]"),
    ),
    Mutant(
        "an own reply over one that is stored",
        UNIT_OF_WORK,
        "if self._store.append(self.run_id, entry) == entry:",
        "if self._store.append(self.run_id, entry):",
        engine("execution", "a_reply_that_another_execution_has_stored_is_the_turns[False]"),
        raises=("LookupError",),
    ),
    Mutant(
        "a caller's reply from reads that are not stored",
        RESULTS,
        "if self._run.continuation.frame_at(path[:-1]).outcome:",
        "if False:",
        engine("runner", "a_read_of_an_ended_child_is_stored_before_its_caller_replies[2]"),
    ),
    Mutant(
        "an interrupt that loses the results beside it",
        RESULTS,
        "                self.record_outcomes(late=not leased)\n            raise interrupt",
        "                pass\n            raise interrupt",
        engine(
            "execution",
            "an_interrupt_ends_the_process_after_the_results_at_the_same_time_are_stored",
        ),
    ),
    Mutant(
        "a handover that wakes nobody",
        EXECUTION,
        "            self.context.queue.resume(self.run.run_id)",
        "            pass",
        engine("runner", "a_run_is_handed_on_when_little_time_is_left"),
    ),
)

DOUBT = (
    Mutant(
        "a doubt before the clocks agree that the holder is dead",
        NEXT_WAKE,
        "return effect.intent.deadline + timedelta(seconds=clock_skew)",
        "return effect.intent.deadline",
        engine("scheduler", "a_call_is_in_doubt_when_its_process_is_dead_by_any_machines_clock"),
    ),
    Mutant(
        "a doubt by the present time",
        SCHEDULER,
        "lease_dead_at(effect, skew) > self._run.loaded_at:",
        "lease_dead_at(effect, skew) > now:",
        engine(
            "scheduler",
            "no_call_is_in_doubt_whose_outcome_may_have_been_stored_since_the_load[save_profile]",
        ),
    ),
    Mutant(
        "a doubt without a last look",
        SCHEDULER,
        "                    deadline = lease_dead_at(effect, skew)",
        "                    continue",
        engine("runner", "an_outcome_of_a_lost_lease_is_found_before_the_call_is_in_doubt"),
    ),
    Mutant(
        "a doubt that nothing wakes the run for",
        NEXT_WAKE,
        "times.append(lease_dead_at(effect, clock_skew))",
        "pass",
        engine("scheduler", "a_call_is_in_doubt_when_its_process_is_dead_by_any_machines_clock"),
    ),
    Mutant(
        "a tool without an intent",
        TOOL_CALLS,
        "since = self._record_intents(batch)",
        "since = self._context.clock()",
        engine("runner", "a_once_tool_in_doubt_is_put_to_a_person_and_does_not_run_again"),
    ),
    Mutant(
        "an intent that is over before its tool has run",
        TOOL_CALLS,
        "deadline=self._ends_at(bound.tool.host, now),",
        "deadline=now,",
        engine("scheduler", "a_call_is_in_doubt_when_its_process_is_dead_by_any_machines_clock"),
    ),
    Mutant(
        "a tool with an effect that counts as a read",
        IN_FLIGHT,
        "effect.effect is not Effect.READ",
        "effect.effect is Effect.IDEMPOTENT",
        engine("runner", "a_once_tool_in_doubt_is_put_to_a_person_and_does_not_run_again"),
    ),
    Mutant(
        "a cancel that drops running tools",
        IN_FLIGHT,
        "            if each.future.done() or has_intent(each.effect)\n        }",
        "            if each.future.done()\n        }",
        engine("execution", "a_cancelled_execution_waits_for_a_tool_that_has_an_effect"),
    ),
    Mutant(
        "an abandoned tool that the process survives",
        IN_FLIGHT,
        "return any(not future.done() for future in [*running, *self._abandoned])",
        "return any(not future.done() for future in running)",
        engine("runner", "a_process_with_an_abandoned_tool_is_ended"),
    ),
    Mutant(
        "more effects at once than there are workers",
        IN_FLIGHT,
        "return self._limit - len(self._effects)",
        "return 999",
        engine("runner", "no_tool_starts_after_a_cancel_in_a_wide_turn"),
    ),
)

LEASES_AND_DOUBT = (*LEASES, *DOUBT)
