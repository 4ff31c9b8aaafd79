"""Faults of authors' code around a call: each ends in a decision that is safe, and says why."""

import json
import time
from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, SecretStr

from agent_continuations import (
    Agent,
    Approval,
    Condition,
    Job,
    LocalRunner,
    Question,
    Reply,
    ScriptedModel,
    ToolRequest,
    WaitFor,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.approvals.policy import Risk
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.decisions.responses import Decide, GrantTerms
from agent_continuations.core.run import RunHead
from agent_continuations.engine import calls as engine_calls
from agent_continuations.engine import scheduler, tool_calls
from agent_continuations.errors import AlreadyDecided, IllegalEvent, Invalid

BOSS = "boss@example.com"
SURROGATE = "a\ud800b"


@tool(approval=Approval([BOSS]))
def pay(amount: int, to: str = "bob") -> str:
    """Pay."""
    return f"paid {amount} to {to}"


def runner(*tools: Any, replies: Any, **agent: Any) -> tuple[LocalRunner, ScriptedModel]:
    model = ScriptedModel({"clerk": replies})
    return LocalRunner([Agent("clerk", "Work.", tools=list(tools), **agent)], model), model


def test_a_plan_that_fails_is_told_to_the_model_and_pays_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: Tool, _arguments: Any, _agent: str) -> None:
        raise RuntimeError("the policy service is down")

    monkeypatch.setattr(Tool, "policy_for", fail)
    local, model = runner(pay, replies=[call("pay", amount=1), say("done")])
    run = local.start("clerk", "Pay.")
    assert run.result == "done"
    told = model.requests[1].messages[-1]["content"]
    assert "the tool failed before it ran: RuntimeError: the policy service is down" in told
    assert len(model.requests) == 2


def test_a_request_that_cannot_be_made_parks_the_run_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise TypeError("a set is not JSON")

    monkeypatch.setattr(scheduler, "model_request", fail)
    local, model = runner(pay, replies=[say("done")])
    run = local.start("clerk", "Pay.")
    head = local.store.head(run.run_id)
    assert head
    assert head.note == "the model request cannot be made: TypeError: a set is not JSON"
    assert not model.requests


def test_a_condition_that_fails_stops_and_says_why() -> None:
    def broken(_frame: Continuation, _now: Any) -> bool:
        raise KeyError("budget")

    condition = Condition(name="budget", approval=Approval([BOSS]), check=broken)
    local, model = runner(replies=[say("done")], conditions=[condition])
    run = local.start("clerk", "Work.")
    [stop] = run.waiting
    assert stop.preview == "The condition budget cannot be checked: KeyError: 'budget'"
    assert not model.requests


@pytest.mark.parametrize(
    ("preview", "said"),
    [
        (lambda _: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda _: {"effect": "pays"}, "it is no text, but of the type dict"),
        (lambda _: "x" * 2001, "at most 2000 characters"),
        (lambda _: None, "of the type NoneType"),
    ],
)
def test_a_preview_that_cannot_be_shown_counts_as_high_risk(preview: Any, said: str) -> None:
    @tool(approval=Approval([BOSS]), preview=preview)
    def give(amount: int) -> str:
        """Give."""
        return "given"

    local, _ = runner(give, replies=[call("give", amount=5), say("done")])
    [asked] = local.start("clerk", "Give.").waiting
    assert asked.risk is Risk.HIGH
    assert asked.preview
    assert said in asked.preview
    assert asked.arguments == {"amount": 5}


def test_an_async_preview_and_predicate_are_awaited() -> None:
    async def about(arguments: Mapping[str, Any]) -> str:
        return f"Gives {arguments['amount']}."

    async def large(asked: Any) -> bool:
        return bool(asked.arguments["amount"] > 3)

    @tool(approval=Approval([BOSS], when=large), preview=about)  # type: ignore[arg-type]
    def give(amount: int) -> str:
        """Give."""
        return "given"

    local, _ = runner(give, replies=[call("give", amount=5), call("give", amount=2), say("done")])
    run = local.start("clerk", "Give.")
    [asked] = run.waiting
    assert (asked.preview, asked.risk) == ("Gives 5.", Risk.LOW)
    assert local.decide(run.run_id, asked.request_id, "approve").result == "done"


@pytest.mark.parametrize("error", [GeneratorExit(), SystemExit(2), BaseException("panic")])
@pytest.mark.parametrize("effect", ["read", "once"])
def test_whatever_a_tool_raises_is_its_outcome_beside_that_of_its_siblings(
    error: BaseException, effect: Any
) -> None:
    @tool
    def send() -> str:
        """Send."""
        return "sent"

    @tool(effect=effect)
    def parse() -> str:
        """Parse."""
        raise error

    local, model = runner(send, parse, replies=[calls(("send", {}), ("parse", {})), say("done")])
    assert local.start("clerk", "Go.").result == "done"
    sent, failed = (each["content"] for each in model.requests[1].messages[-2:])
    assert sent == "sent"
    assert failed.startswith(f"The tool failed. {type(error).__name__}")


def test_an_interrupt_ends_the_process_after_the_results_beside_it_are_stored() -> None:
    @tool
    def send() -> str:
        """Send."""
        return "sent"

    @tool
    def stop() -> str:
        """Stop."""
        time.sleep(0.2)
        raise KeyboardInterrupt

    local, _ = runner(send, stop, replies=[calls(("send", {}), ("stop", {})), say("done")])
    with pytest.raises(KeyboardInterrupt):
        local.start("clerk", "Go.", key="k")
    [head] = local.store.list_runs("default").heads
    sent, stopped = local.continuation(head.run_id).turns[0].calls
    assert sent.outcome
    assert sent.outcome.content == "sent"
    assert stopped.outcome is None


def test_texts_that_cannot_be_stored_are_replaced_everywhere() -> None:
    @tool(effect="read")
    def job() -> Job:
        """Start a job."""
        return Job({"id": SURROGATE}, timeout_seconds=60)

    @tool(effect="read")
    def event() -> WaitFor:
        """Wait for an event."""
        return WaitFor("paid", correlation=SURROGATE)

    @tool(effect="read")
    def ask() -> Question:
        """Ask."""
        return Question(SURROGATE, ask=[BOSS])

    @tool(effect="read")
    def echo(text: str) -> str:
        """Echo."""
        return SURROGATE

    odd = Reply(
        content=SURROGATE,
        requests=(
            *(ToolRequest(name=each, arguments="{}") for each in ("job", "event", "ask")),
            ToolRequest(name="echo", arguments=json.dumps({"text": "x"}) + SURROGATE),
            ToolRequest(name=f"echo{SURROGATE}", arguments=""),
        ),
    )
    local, _ = runner(job, event, ask, echo, replies=[odd, say("done")])
    run = local.start("clerk", "Go.")
    assert len(run.waiting) == 3
    document = local.continuation(run.run_id).model_dump_json()
    assert "a?b" in document
    document.encode()


# -- what was decided on is what runs ------------------------------------------------------------


def with_text(root: Continuation, text: str) -> Continuation:
    """A continuation whose first call has another text."""
    [turn] = root.turns
    [request] = turn.reply.requests
    reply = turn.reply.model_copy(
        update={"requests": (request.model_copy(update={"arguments": text}),)}
    )
    return root.model_copy(update={"turns": (turn.model_copy(update={"reply": reply}),)})


def test_another_text_than_the_approved_one_never_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that would be shown in the same way."""
    local, _ = runner(pay, replies=[call("pay", amount=5), say("done")])
    run = local.start("clerk", "Pay.")
    bind, seen = engine_calls.bind_tool, []

    def tampered(context: Any, head: RunHead, root: Continuation, *more: Any) -> Any:
        try:
            return bind(context, head, with_text(root, '{"amount": 5, "to": "bob"}'), *more)
        except IllegalEvent as error:
            seen.append(str(error))
            raise

    monkeypatch.setattr(tool_calls, "bind_tool", tampered)
    local.decide(run.run_id, run.waiting[0].request_id, "approve")
    assert seen == ["0.0 is not the text that was approved"]
    head = local.store.head(run.run_id)
    assert head
    assert head.note == seen[0]


def test_a_masked_value_cannot_stand_in_a_standing_approval() -> None:
    @tool(approval=Approval([BOSS], grant_seconds=3600))
    def login(user: str, password: SecretStr) -> str:
        """Log in."""
        return password.get_secret_value()

    local, _ = runner(login, replies=[call("login", user="ann", password="s3cret"), say("done")])
    run = local.start("clerk", "Go.")
    [asked] = run.waiting
    assert asked.arguments == {"user": "ann", "password": "**********"}

    def approve(**rules: Any) -> Decide:
        grant = GrantTerms(seconds=60, rules=rules)
        return Decide(verdict=Verdict.APPROVE, approver=BOSS, via="local", grant=grant)

    with pytest.raises(Invalid, match="masked value"):
        local._services.decisions.decide(run.run_id, asked.request_id, approve())
    local._services.decisions.decide(run.run_id, asked.request_id, approve(password="any"))
    done = local.advance(run.run_id)
    assert done.result == "done"
    [outcome] = [each.outcome for each in local.continuation(run.run_id).turns[0].calls]
    assert outcome
    assert outcome.content == "s3cret"
    audit = local.audit(run.run_id).model_dump_json()
    assert "s3cret" not in audit


def test_a_grant_given_with_an_edit_covers_what_was_approved() -> None:
    @tool(approval=Approval([BOSS], grant_seconds=3600))
    def give(amount: int, to: str = "bob") -> str:
        """Give."""
        return f"gave {amount} to {to}"

    replies = [call("give", amount=5), call("give", amount=3), say("done")]
    local, _ = runner(give, replies=replies)
    run = local.start("clerk", "Go.")
    [asked] = run.waiting
    edit = Decide(
        verdict=Verdict.APPROVE,
        approver=BOSS,
        via="local",
        arguments={"amount": 3, "to": "bob"},
        grant=GrantTerms(seconds=60, rules={}),
    )
    local._services.decisions.decide(run.run_id, asked.request_id, edit)
    done = local.advance(run.run_id)
    assert done.result == "done", "the second call is the one that was pre-approved"


def test_a_validator_that_fails_only_when_the_tool_runs_is_the_calls_error() -> None:
    times: list[int] = []

    def moody(value: int) -> int:
        times.append(value)
        if len(times) > 6:  # two validations each: at planning, before the tool starts, at its host
            raise SystemExit("no more")
        return value

    @tool(effect="read")
    def look(amount: Annotated[int, AfterValidator(moody)]) -> str:
        """Look."""
        return "seen"

    local, model = runner(look, replies=[call("look", amount=1), say("done")])
    assert local.start("clerk", "Go.").result == "done"
    assert "SystemExit" in model.requests[1].messages[-1]["content"]


def test_an_exception_that_cannot_be_printed_is_the_calls_error() -> None:
    class Hidden(ExceptionGroup[Exception]):
        @property
        def exceptions(self) -> Any:
            raise RuntimeError("not for you")

    @tool(effect="read")
    def look() -> str:
        """Look."""
        raise Hidden("hidden", [ValueError("x")])

    local, model = runner(look, replies=[call("look"), say("done")])
    assert local.start("clerk", "Go.").result == "done"
    assert "The tool failed. Hidden" in model.requests[1].messages[-1]["content"]


def test_the_same_edit_given_again_is_the_decision_that_stands() -> None:
    """Also where the edited text is written in another way than the model's was."""
    text = '{ "to" : "bob","amount":5 }'
    odd = Reply(requests=(ToolRequest(name="pay", arguments=text),))
    local, _ = runner(pay, replies=[odd, say("done")])
    run = local.start("clerk", "Pay.")
    [asked] = run.waiting
    edit = {"amount": 3, "to": "bob"}
    first = local.decide(run.run_id, asked.request_id, "approve", arguments=edit)
    again = local.decide(run.run_id, asked.request_id, "approve", arguments=edit)
    assert first.result == again.result == "done"
    [decided] = local.continuation(run.run_id).turns[0].calls
    assert decided.decision
    assert decided.decision.raw == '{"to": "bob", "amount": 3}'
    with pytest.raises(AlreadyDecided):
        local.decide(run.run_id, asked.request_id, "approve", arguments={**edit, "amount": 4})
