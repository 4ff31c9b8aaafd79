"""Mutants of tool hosts: calls that did not run, calls whose end is unknown, deadlines."""

from tests.mutants.mutant import Mutant, engine, unit

TOOL_CALLS = "engine/tool_calls.py"
RESULTS = "engine/results.py"
LAMBDA = "adapters/hosts/aws_lambda.py"

HOSTS = (
    Mutant(
        "a call that did not run and keeps its intent",
        RESULTS,
        "self._run.unstarted_intents += (path_text(event.path),)",
        "pass",
        engine("tool_hosts", "the_intent_of_a_once_call_that_has_not_run_is_withdrawn"),
    ),
    Mutant(
        "a lost call that nobody is asked about at once",
        TOOL_CALLS,
        "self.ended.add((failed.path, failed.attempt))",
        "pass",
        engine("tool_hosts", "people_are_asked_at_once_about_a_once_call_whose_process_has_died"),
    ),
    Mutant(
        "a lost call that is asked about while it may be at work",
        TOOL_CALLS,
        "        elif failed.ended:\n",
        "        else:\n",
        engine(
            "tool_hosts",
            "people_are_asked_about_a_once_call_only_when_its_host_must_have_ended",
        ),
    ),
    Mutant(
        "an intent that lasts as long as the engine's process",
        TOOL_CALLS,
        "        if timeout is not None:\n            return now",
        "        if timeout is not None and not self._deadline:\n            return now",
        engine("tool_hosts", "an_intent_lasts_as_long_as_its_host_may_and_no_body_starts_late"),
    ),
    Mutant(
        "a body that may start late, because its request was sent late",
        TOOL_CALLS,
        'self._request("run", [bound for _, bound in starts], since)',
        'self._request("run", [bound for _, bound in starts], sent_at)',
        engine("tool_hosts", "no_body_starts_late_however_long_its_intent_took_to_be_stored"),
    ),
    Mutant(
        "a call that its process does not outlive",
        TOOL_CALLS,
        "            self.needs_time = True\n            return None\n",
        "            pass\n",
        engine("tool_hosts", "a_call_that_does_not_fit_into_the_time_left_hands_its_run_on"),
    ),
    Mutant(
        "reads that keep each other from their results",
        TOOL_CALLS,
        "self._alone.add(failed.path)",
        "self._blocked[failed.path] = Block(failed.reason, passes=True)",
        engine("tool_hosts", "the_read_that_ends_its_host_keeps_no_other_from_its_result"),
    ),
    Mutant(
        "an invocation that the client sends again",
        LAMBDA,
        '"total_max_attempts": 1',
        '"total_max_attempts": 3',
        unit(
            "adapters/test_lambda_hosts.py",
            "without_an_answer_the_call_may_be_at_work[a closed connection]",
        ),
    ),
    Mutant(
        "an unknown error that is taken for a call that did not run",
        LAMBDA,
        "    return CallLost(f\"the host {host} failed: {code or 'an error without a name'}\","
        " ended=False)",
        "    return NotRun(why, passes=True)",
        unit(
            "adapters/test_lambda_hosts.py",
            "without_an_answer_the_call_may_be_at_work[500 ServiceException]",
        ),
        raises=("NotRun",),
    ),
)
