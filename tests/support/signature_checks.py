"""Checks of a tool's call from its JSON text to its function, in this process and in another."""

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Any

from pydantic import BaseModel

from agent_continuations import Agent, Approval, LocalRunner, Reply, ScriptedModel, ToolRequest, say
from agent_continuations import tool as make_tool
from agent_continuations.authoring.schema import ObjectSchema
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.plans import RefusedPlan, ToolPlan

KEY = "shared by both processes"
BOSS = "boss@example.com"


@dataclass
class Recorded:
    """A tool whose function, `when` and `preview` keep what they receive."""

    tool: Tool
    body: list[dict[str, Any]]
    when: list[Mapping[str, Any]]
    preview: list[Mapping[str, Any]]


def recorded(function: Callable[..., Any], *, gated: bool) -> Recorded:
    body: list[dict[str, Any]] = []
    when: list[Mapping[str, Any]] = []
    preview: list[Mapping[str, Any]] = []

    @wraps(function)
    def keep(**arguments: Any) -> str:
        body.append(arguments)
        return "done"

    if not gated:
        return Recorded(make_tool(keep), body, when, preview)

    def asks(call: Any) -> bool:
        when.append(call.arguments)
        return True

    def effect(arguments: Mapping[str, Any]) -> str:
        preview.append(arguments)
        return "as it says"

    made = make_tool(approval=Approval([BOSS], when=asks), preview=effect)(keep)
    return Recorded(made, body, when, preview)


def expected(made: Tool, raw: str) -> dict[str, Any] | None:
    """What one validation of the text gives, by parameter name; None if it is refused."""
    assert isinstance(made.arguments, ObjectSchema)
    try:
        value = made.arguments.model.model_validate_json(raw or "{}")
    except Exception:  # noqa: BLE001 - validators may raise any exception
        return None
    return {
        str(field.alias): getattr(value, name) for name, field in type(value).model_fields.items()
    }


def identical(got: Any, wanted: Any) -> bool:
    """Whether two values are equal, of the same types, in all their parts."""
    if type(wanted).__name__ == "ValidatorIterator":
        wanted = list(wanted)
    if type(got) is not type(wanted):
        return False
    if isinstance(got, BaseModel):
        same_set = got.model_fields_set == wanted.model_fields_set
        extras = identical(got.__pydantic_extra__, wanted.__pydantic_extra__)
        return same_set and extras and identical(got.__dict__, wanted.__dict__)
    if is_dataclass(got):
        return all(
            identical(getattr(got, each.name), getattr(wanted, each.name)) for each in fields(got)
        )
    if isinstance(got, dict):
        return list(got) == list(wanted) and all(identical(got[n], wanted[n]) for n in got)
    if isinstance(got, list | tuple | deque):
        return len(got) == len(wanted) and all(map(identical, got, wanted))
    if hasattr(got, "get_secret_value"):
        return identical(got.get_secret_value(), wanted.get_secret_value())
    if isinstance(got, set | frozenset):
        return bool(got == wanted) and sorted(map(repr, got)) == sorted(map(repr, wanted))
    return bool(got == wanted) and repr(got) == repr(wanted)


def runner_of(made: Tool, raw: str) -> LocalRunner:
    """A runner whose agent calls the tool once with the text."""
    request = Reply(requests=(ToolRequest(name=made.name, arguments=raw),))
    model = ScriptedModel({"agent": [request, say("the end")]})
    return LocalRunner([Agent("agent", tools=[made])], model, signing_key=KEY)


def check_free(function: Callable[..., Any], raw: str) -> bool:
    """A free call: the function receives what the text says. Returns whether it was accepted."""
    kept = recorded(function, gated=False)
    runner = runner_of(kept.tool, raw)
    run = runner.start("agent", "go")
    assert run.status == "completed", runner.store.head(run.run_id)
    made = runner.continuation(run.run_id).turns[0].calls[0]
    wanted = expected(kept.tool, raw)
    if wanted is None:
        assert isinstance(made.plan, RefusedPlan)
        assert made.plan.reason.startswith("This call was not made: ")
        assert not kept.body
        return False
    assert isinstance(made.plan, ToolPlan), made.plan
    assert identical(kept.body, [wanted]), (kept.body, wanted)
    return True


def check_gated(
    function: Callable[..., Any], raw: str, *, keeps_shape: bool = True
) -> tuple[str, dict[str, Any]]:
    """A gated call whose approver sends back what was shown. Returns the run as it was before the
    decision, for another process, and what was shown.
    """
    kept = recorded(function, gated=True)
    runner = runner_of(kept.tool, raw)
    run = runner.start("agent", "go")
    assert run.waiting, runner.continuation(run.run_id).turns[0].calls[0]
    document = runner.dump(run.run_id)
    runner.load(document)  # take the run back: it is decided here and elsewhere
    shown = run.waiting[0].arguments
    assert shown is not None
    assert shown == json.loads(json.dumps(shown))
    if keeps_shape:
        assert kept.tool.arguments.read(json.dumps(shown)).shown == shown
    run = runner.decide(
        run.run_id, run.waiting[0].request_id, "approve", arguments=json.loads(json.dumps(shown))
    )
    assert run.status == "completed", runner.store.head(run.run_id)
    decision = runner.continuation(run.run_id).turns[0].calls[0].decision
    assert decision
    assert decision.arguments is None
    assert len(kept.body) == 1
    assert kept.when
    assert kept.preview
    for received in (*kept.body, *kept.when, *kept.preview):
        assert identical(dict(received), expected(kept.tool, raw)), (received, raw)
    return document, dict(shown)


def check_elsewhere(module: str, cases: Iterable[tuple[Any, str, str]]) -> None:
    """Each case runs from its document in another process, whose hashes differ.

    Args:
        module: a module with a `function_of`, from what names a case to its function.
        cases: what names a case, its JSON text, and the document of its run.
    """
    completed = subprocess.run(
        [sys.executable, "-m", __name__, module],
        input="\n".join(json.dumps(case) for case in cases),
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr[-4000:]


def _decide_here(function: Callable[..., Any], raw: str, document: str) -> None:
    kept = recorded(function, gated=True)
    runner = runner_of(kept.tool, raw)
    run = runner.load(document)
    run = runner.decide(run.run_id, run.waiting[0].request_id, "approve")
    assert run.status == "completed", runner.store.head(run.run_id)
    assert identical(kept.body, [expected(kept.tool, raw)]), (kept.body, raw)


def main() -> None:
    from importlib import import_module

    function_of = import_module(sys.argv[1]).function_of
    for line in sys.stdin:
        name, raw, document = json.loads(line)
        _decide_here(function_of(name), raw, document)


if __name__ == "__main__":
    main()
