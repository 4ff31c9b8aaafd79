"""Mistakes of authors, found where the tool or the agent is made: each message names the fix."""

from collections.abc import Callable
from dataclasses import InitVar, dataclass
from functools import partial
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, Field, InstanceOf, PlainValidator

from agent_continuations import Agent, Approval, Escalation, Stage, ToolContext, tool


class Service: ...


@dataclass
class WithInitVar:
    a: int
    secret: InitVar[int]


class Holder(BaseModel):
    model_config = {"arbitrary_types_allowed": True}

    service: Service


def star(*amounts: int) -> None: ...
def stars(**amounts: int) -> None: ...
def positional(amount: int, /) -> None: ...
def untyped(amount) -> None: ...  # type: ignore[no-untyped-def]
def two_contexts(amount: ToolContext, other: ToolContext) -> None: ...
def callback(amount: Callable[[int], int]) -> None: ...
def optional_callback(amount: Callable[[int], int] | None = None) -> None: ...
def a_class(amount: type[int]) -> None: ...
def a_service(amount: Service) -> None: ...
def an_instance(amount: InstanceOf[Service]) -> None: ...
def held(amount: Holder) -> None: ...
def init_var(amount: WithInitVar) -> None: ...
def plain(amount: Annotated[Service, PlainValidator(lambda _: Service())]) -> None: ...
def bad_default(amount: int = "x") -> None: ...  # type: ignore[assignment]
def bad_none(amount: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013
def bad_bound(amount: Annotated[int, Field(gt=0)] = 0) -> None: ...
def new_default(amount: Annotated[UUID, Field(default_factory=uuid4)]) -> None: ...
def unknown(amount: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def nan_default(amount: float = float("nan")) -> None: ...


# The function, and what the message says besides the tool and the parameter.
SIGNATURES: list[tuple[Callable[..., Any], str]] = [
    (star, "cannot take"),
    (stars, "cannot take"),
    (positional, "positional-only"),
    (untyped, "needs a type"),
    (two_contexts, "only one parameter can be the ToolContext"),
    (callback, "a function"),
    (optional_callback, "a function"),
    (a_class, "a class"),
    (a_service, "get the value inside of the function"),
    (an_instance, "get the value inside of the function"),
    (held, "get the value inside of the function"),
    (init_var, "InitVar"),
    (plain, "get the value inside of the function"),
    (bad_default, "default"),
    (bad_none, "default"),
    (bad_bound, "default"),
    (new_default, "another value each time"),
    (unknown, "import it outside of TYPE_CHECKING"),
    (nan_default, "default"),
]


@pytest.mark.parametrize("function, fix", SIGNATURES)
def test_a_signature_that_cannot_work(function: Callable[..., Any], fix: str) -> None:
    with pytest.raises(TypeError) as caught:
        tool(function)
    message = str(caught.value)
    assert message.startswith(f"{function.__name__}: ")
    assert "amount" in message or function is two_contexts
    assert fix in message
    assert "\n" not in message
    assert "parameter_" not in message


def a(x: int) -> str:
    return "a"


MADE = tool(a)
AGENT = Agent("other", tools=[MADE])

EVERYONE = [f"{number}@example.com" for number in range(1001)]
ALL = Escalation(approvers=tuple(EVERYONE), timeout_seconds=60)
TWICE = Escalation(approvers=("b@x.org", "B@x.org"), timeout_seconds=60)
OPTIONS: list[tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = [
    (lambda: tool(approval="cfo@example.com")(a), TypeError, ("a: approval", "Approval(")),  # type: ignore[call-overload]
    (lambda: tool(preview="x")(a), TypeError, ("a: preview is a function",)),  # type: ignore[call-overload]
    (lambda: tool(poll=3)(a), TypeError, ("a: poll is a function",)),  # type: ignore[call-overload]
    (lambda: tool(name="a b")(a), ValueError, ("a b", "letters, digits")),
    (lambda: tool(effect="never")(a), ValueError, ("a: effect", "'read', 'idempotent' or 'once'")),  # type: ignore[call-overload]
    (lambda: tool(answer=Service)(a), TypeError, ("a: JSON cannot give answer",)),
    (lambda: tool(partial(a, 1)), TypeError, ("made of a function",)),
    (lambda: tool(MADE), TypeError, ("a is a tool already",)),
    (lambda: tool(classmethod(a)), TypeError, ("made of a function",)),  # type: ignore[call-overload,arg-type]
    (lambda: Agent("x", tools=[a]), TypeError, ("x: a is no tool", "@tool")),  # type: ignore[list-item]
    (lambda: Agent("x", tools=[AGENT]), TypeError, ("x: ", "other.as_tool")),  # type: ignore[list-item]
    (lambda: Agent("x", tools=MADE), TypeError, ("x: tools is a list", "[a]")),  # type: ignore[arg-type]
    (lambda: Agent("x", tools=None), TypeError, ("x: tools is a list",)),  # type: ignore[arg-type]
    (lambda: Agent("x", tools="a"), TypeError, ("x: tools is a list",)),  # type: ignore[arg-type]
    (lambda: Agent("x", tools=[MADE, MADE]), ValueError, ("x has two tools named a",)),
    (lambda: Agent("x", conditions=[3]), TypeError, ("x: conditions",)),  # type: ignore[list-item]
    (lambda: Agent("x", instructions=3), TypeError, ("x: instructions is a text",)),  # type: ignore[arg-type]
    (lambda: Agent("x", max_turns=0), ValueError, ("x: max_turns",)),
    (lambda: Agent("x", max_turns="3"), TypeError, ("x: max_turns",)),  # type: ignore[arg-type]
    (lambda: Agent("x y"), ValueError, ("x y", "letters, digits")),
    (lambda: Agent("x", output_type=Service), TypeError, ("x: JSON cannot give output_type",)),
    (lambda: Agent("x", output_type=Callable), TypeError, ("x: JSON cannot give output_type",)),
    (lambda: Agent("x", settings=[1]), TypeError, ("x: settings",)),  # type: ignore[arg-type]
    (lambda: Agent("x", model=3), TypeError, ("x: model",)),  # type: ignore[arg-type]
    (lambda: AGENT.as_tool(description="d", name="a b"), ValueError, ("a b",)),
    (lambda: AGENT.as_tool(description="d", approval=3), TypeError, ("other: approval",)),  # type: ignore[arg-type]
    (lambda: Approval([]), ValueError, ("at least one address",)),
    (lambda: Approval(EVERYONE), ValueError, ("1001 approvers", "at most 1000", "group")),
    (lambda: Approval(["a@x.org"], escalations=[ALL]), ValueError, ("1001 approvers",)),
    (lambda: Approval("cfo@example.com"), ValueError, ("must be a list",)),
    (lambda: Approval(["a@x.org", "A@X.org"]), ValueError, ("'A@X.org'", "twice")),
    (lambda: Approval(["a@x.org", "a@x.org."]), ValueError, ("'a@x.org.'", "twice")),
    (lambda: Approval(["group:it", "group:IT"]), ValueError, ("'group:IT'", "twice")),
    (lambda: Approval(["b@x.org", "a@x.org "]), ValueError, ("'a@x.org '", "spaces")),
    (lambda: Approval(["Group:it"], needed="all"), ValueError, ("does not work with groups",)),
    (lambda: Approval(["jos\u00e9@x.org", "jose\u0301@x.org"]), ValueError, ("twice",)),
    (lambda: Approval(["a@x.org\u200b"]), ValueError, ("cannot be seen",)),
    (lambda: Approval(["a\u00a0@x.org"]), ValueError, ("cannot be seen",)),
    (lambda: Stage(["a@x.org", "a@x.org"], needed=2), ValueError, ("twice",)),
    (lambda: Approval(["a@x.org"], escalations=[TWICE]), ValueError, ("twice",)),
]


@pytest.mark.parametrize("make, error, words", OPTIONS)
def test_a_mistake_is_named(
    make: Callable[[], Any], error: type[Exception], words: tuple[str, ...]
) -> None:
    with pytest.raises(error) as caught:
        make()
    for each in words:
        assert each in str(caught.value)
    assert "\n" not in str(caught.value)
