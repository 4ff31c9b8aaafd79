"""Tools that are run again with the recorded arguments, and their results compared."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agent_continuations.authoring.context import ToolContext
from agent_continuations.authoring.in_process_host import run_tool
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.call_text import call_text
from agent_continuations.core.continuation import Call, Continuation
from agent_continuations.core.ids import idempotency_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.plans import Effect
from agent_continuations.core.waits import Wait
from agent_continuations.engine.host_answers import outcome_or_wait
from agent_continuations.ports.clock import utc_now
from agent_continuations.testing.comparison import is_different
from agent_continuations.testing.difference import Change

# The state of a wait after the tool has returned it.
_LATER = {"poll_at", "polls"}


def has_run(call: Call) -> bool:
    """Whether the tool of the call has run, and its own result or wait is recorded.

    The result of a call in doubt may be a person's answer.
    """
    if call.wait:
        return True
    return call.outcome is not None and call.outcome.kind != "rejected" and call.doubt is None


def changed_result(tool: Tool, root: Continuation, run_id: str, path: Path) -> Change | None:
    """Run a tool with the recorded arguments, and compare its result with the recorded one.

    Raises:
        ValueError: the tool is not a read tool.
    """
    if tool.effect is not Effect.READ:
        raise ValueError(f"only read tools can be run again: {tool.name} is {tool.effect.value!r}")
    call, text = root.call_at(path), path_text(path)
    arguments = tool.arguments.read(call_text(root, path))
    context = ToolContext(
        run_id=run_id,
        path=text,
        attempt=call.attempts + 1,
        idempotency_key=idempotency_key(run_id, path),
        _callback_url=lambda: f"https://callback.invalid/{run_id}/{text}",
    )
    # In a thread, as when it is deployed: the test may have an event loop of its own.
    with ThreadPoolExecutor(1) as executor:
        answer = executor.submit(run_tool, tool, arguments, context, "(replay)").result()
    result = outcome_or_wait(tool, answer, utc_now())
    expected, actual = _result(call.wait or call.outcome), _result(result)
    if not is_different(expected, actual):
        return None
    return Change(f"the result of {tool.name} differs", expected, actual)


def _result(result: Outcome | Wait | None) -> Any:
    """The text of a result, or the fields of a wait.

    Its times are left out: they count from the time of the call, which is not recorded.
    """
    if result is None or isinstance(result, Outcome):
        return result.content if result else None
    fields = result.model_dump(mode="json", exclude=_LATER)
    if fields.get("until"):
        fields["until"] = "(a time)"
    return fields
