"""Mutants of what other systems and tools report: checks, proofs, and the register of a call."""

from tests.mutants.mutant import Mutant, unit

CHECKS = "services/inbound_checks.py"
INBOUND = "services/inbound.py"
MESSAGES = "handlers/inbound_messages.py"
QUEUE = "ports/inbound_queue.py"
SIGNATURES = "auth/event_signatures.py"


def late(test: str) -> tuple[str, ...]:
    """A test of late outcomes and checks."""
    return unit("services/test_late_outcomes.py", test)


def tokens(test: str) -> tuple[str, ...]:
    """A test of tokens and signatures."""
    return unit("auth/test_outcome_tokens.py", test)


REPORTS = (
    Mutant(
        "an outcome of an attempt that was not begun",
        CHECKS,
        "or not 1 <= attempt <= begun:",
        "or not 1 <= attempt:",
        late("an_attempt_that_was_not_begun_has_no_outcome[2]"),
    ),
    Mutant(
        "an outcome of the latest attempt only",
        CHECKS,
        "or not 1 <= attempt <= begun:",
        "or attempt != begun:",
        late("the_outcome_of_an_earlier_attempt_counts_as_long_as_there_is_no_other"),
    ),
    Mutant(
        "an attempt that ends the call's wait",
        CHECKS,
        "    if call.wait is not None:\n        raise Conflict",
        "    if False:\n        raise Conflict",
        late("a_call_that_waits_is_not_ended_by_its_own_attempt[job]"),
    ),
    Mutant(
        "a repeated outcome that is taken for an unknown attempt",
        INBOUND,
        "        if outcome_on_record(loaded, at, outcome):\n            return outcome\n",
        "",
        late("a_late_outcome_is_stored_once"),
    ),
    Mutant(
        "another outcome that is taken for the one on record",
        CHECKS,
        "if not isinstance(event, ToolReturned) or event.outcome != outcome:",
        "if not isinstance(event, ToolReturned):",
        late("the_outcome_of_a_later_attempt_on_record_stands"),
    ),
    Mutant(
        "a check that accepts an outcome for a run that has ended",
        INBOUND,
        "        check_open(loaded)\n        check_room",
        "        check_room",
        late("the_check_of_an_event_says_what_storing_it_would"),
    ),
    Mutant(
        "a repeated event that counts as a further one",
        INBOUND,
        "        if not _on_record(loaded, signal):\n            check_room",
        "        if True:\n            check_room",
        late("a_repeated_event_is_no_further_one_where_no_more_are_kept"),
    ),
    Mutant(
        "an event that counts from the time at which it is stored",
        MESSAGES,
        "            at=event.at,\n",
        "",
        unit("handlers/test_inbound_messages.py", "an_event_is_stored_and_counts_from_its_time"),
    ),
    Mutant(
        "an event that is not signed",
        MESSAGES,
        "if not self._events().valid(message):",
        "if False:",
        unit("handlers/test_inbound_messages.py", "a_message_that_proves_nothing_stores_nothing"),
    ),
    Mutant(
        "a signature that leaves out the run",
        SIGNATURES,
        "*(message.run_id, message.name,",
        "*(message.name,",
        tokens("an_event_is_valid_with_its_own_signature_only"),
    ),
    Mutant(
        "a result that no message can bring",
        QUEUE,
        "    if len(json.dumps(content, ensure_ascii=False).encode()) > MAX_LATE_RESULT_BYTES:",
        "    if len(content) > MAX_LATE_RESULT_BYTES:",
        unit("ports/test_inbound_queue.py", "an_outcome_of_any_text_goes_into_one_message"),
    ),
    Mutant(
        "a tool that rejects its own call",
        QUEUE,
        '    if outcome.kind == "rejected":',
        "    if False:",
        unit("ports/test_inbound_queue.py", "any_other_text_is_no_message"),
    ),
)
