"""Replay of a recorded run: every change of an agent is found, and no change gives none."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from agent_continuations import (
    Agent,
    Approval,
    Escalation,
    EveryTurns,
    Job,
    LocalRunner,
    Pending,
    Preview,
    Question,
    Reply,
    Script,
    ScriptedModel,
    Sleep,
    Stage,
    ToolContext,
    ToolRequest,
    WaitFor,
    by_input,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.schema import ObjectSchema
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.plans import AgentPlan, ToolPlan
from agent_continuations.errors import Invalid
from agent_continuations.testing import Difference, check_recording
from agent_continuations.testing.comparison import (
    CALL_FIELDS,
    DERIVED,
    FRAME_FIELDS,
    NAMES,
    POLICY_FIELDS,
)
from agent_continuations.views.recording import Recording

CFO, LEAD, BOSS = "cfo@example.com", "lead@example.com", "boss@example.com"
POLICY: dict[str, Any] = {
    "stages": [
        Stage([LEAD]),
        Stage([CFO], when=lambda call: call.arguments["amount"] > 1000),
    ],
    "when": lambda call: call.arguments["amount"] > 100,
}


class Report(BaseModel):
    total: int


def make_balance(effect: Any = "read", name: str = "balance", result: Any = 12_000) -> Tool:
    @tool(effect=effect, name=name)
    def balance(account: str, context: ToolContext) -> int:
        """The balance of an account."""
        if result is None:
            raise RuntimeError("the bank is closed")
        found: int = result(context) if callable(result) else result
        return found

    return balance


def make_transfer(preview: Any = None, **policy: Any) -> Tool:
    @tool(
        approval=Approval(**{**POLICY, **policy}),
        preview=preview or (lambda found: f"Pays {found['amount']} euros."),
    )
    def transfer(amount: int, to: str = "bob") -> str:
        """Transfer money."""
        return f"sent {amount} to {to}"

    return transfer


def make_ask(answer: Any = str, text: str = "Which account?", ask: str = LEAD) -> Tool:
    @tool(effect="read", answer=answer)
    def ask_account() -> Question:
        """Ask."""
        return Question(text, ask=[ask])

    return ask_account


def office(
    *,
    tools: Mapping[str, Tool] | None = None,
    clerk: Mapping[str, Any] | None = None,
    manager: Mapping[str, Any] | None = None,
    as_tool: Mapping[str, Any] | None = None,
    name: str = "clerk",
) -> list[Agent]:
    """A manager, whose clerk pays; each part can be changed."""
    found = {"balance": make_balance(), "transfer": make_transfer(), "ask_account": make_ask()}
    found |= tools or {}
    inner = Agent(
        name,
        **{"instructions": "You pay.\nBe quick.", "tools": [*found.values()], **(clerk or {})},
    )
    given = {"description": "Pays.", "name": "clerk", **(as_tool or {})}
    given_manager = {"instructions": "You run the office.\nAsk the clerk.", **(manager or {})}
    return [Agent("manager", tools=[inner.as_tool(**given)], **given_manager)]


SCRIPTS: dict[str, Script] = {
    "manager": [call("clerk", input="Pay Bob."), say("Bob is paid."), say("You are welcome.")],
    "clerk": [
        calls(("balance", {"account": "a-1"}), ("ask_account", {})),
        call("transfer", amount=250, to="bob"),
        call("transfer", amount=250),
        calls(("transfer", {"amount": 50}), ("transfer", {"amount": 2000})),
        say("Done."),
    ],
}


def record_office() -> Recording:
    runner = LocalRunner(office(), ScriptedModel(SCRIPTS))
    run = runner.start("manager", "Pay Bob.")
    run = runner.answer(run.run_id, run.waiting[0].request_id, "a-1")
    run = runner.decide(run.run_id, run.waiting[0].request_id, "reject", reason="Too much.")
    # The same call is refused without a question, then a small one needs no approval.
    [asked] = run.waiting
    edited = {"amount": 1500, "to": "bob"}
    for approver in (LEAD, CFO):
        given = edited if approver == LEAD else None
        run = runner.decide(
            run.run_id, asked.request_id, "approve", approver=approver, arguments=given
        )
    run = runner.message(run.run_id, "Thank you!")
    assert run.status == "completed"
    assert run.result == "You are welcome."
    return runner.record(run.run_id)


def earlier(recording: Recording) -> Recording:
    """A recording of earlier code, which has no request profiles: only the plans are compared."""
    assert recording.requests
    return recording.model_copy(update={"requests": {}})


RECORDED = record_office()
EARLIER = earlier(RECORDED)


def check(**changes: Any) -> Difference:
    """The difference of the plans of the office with changes; the JSON document has it, too."""
    run = changes.pop("run", ())
    found = check_recording(EARLIER, office(**changes), run)
    document = json.loads(EARLIER.model_dump_json())
    assert check_recording(document, office(**changes), run) == found
    assert found
    return found


def with_tool(name: str, changed: Tool) -> dict[str, Any]:
    return {"tools": {name: changed}}


@pytest.mark.parametrize("recorded", [RECORDED, EARLIER], ids=["today", "earlier"])
def test_unchanged_agents_do_not_differ(recorded: Recording) -> None:
    assert check_recording(recorded, office()) is None
    assert check_recording(recorded, office(), run=["balance", "ask_account"]) is None


TRANSFER = "0.0/1.0"
# The change, the tool or agent that differs, a part of what differs, the call's path.
CHANGES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"manager": {"instructions": "You rest."}}, "manager", "the instructions of manager", ""),
    ({"manager": {"max_turns": 7}}, "manager", "the turn limit (max_turns) of manager", ""),
    ({"manager": {"output_type": Report}}, "manager", "the JSON schema of the answer", ""),
    ({"as_tool": {"name": "payer"}}, "manager", "manager has no tool clerk any more", "0.0"),
    ({"name": "payer"}, "manager", "clerk calls another agent", "0.0"),
    ({"clerk": {"instructions": "You pay.\nBe slow."}}, "manager", "instructions of clerk", "0.0"),
    ({"clerk": {"max_turns": 7}}, "manager", "the turn limit (max_turns) of clerk", "0.0"),
    ({"clerk": {"output_type": Report}}, "manager", "schema of the answer of clerk", "0.0"),
    ({"as_tool": {"spawn": True}}, "manager", "whether clerk starts a run of its own", "0.0"),
    (
        {"as_tool": {"approval": Approval([CFO])}},
        "manager",
        "approval is now asked for clerk",
        "0.0",
    ),
    (
        with_tool("balance", make_balance(name="saldo")),
        "clerk",
        "clerk has no tool balance any more",
        "0.0/0.0",
    ),
    (
        with_tool("balance", make_balance(effect="once")),
        "clerk",
        "the effect of balance differs",
        "0.0/0.0",
    ),
    (
        with_tool("transfer", make_transfer(when=lambda call: call.arguments["amount"] > 300)),
        "clerk",
        "approval is no longer asked for transfer",
        TRANSFER,
    ),
    (
        with_tool("transfer", make_transfer(when=None)),
        "clerk",
        "approval is now asked for transfer",
        "0.0/3.0",
    ),
    (
        with_tool("transfer", make_transfer(stages=[Stage([BOSS])])),
        "clerk",
        "the approvers of transfer differ",
        TRANSFER,
    ),
    (
        with_tool("transfer", make_transfer(stages=[Stage([LEAD])])),
        "clerk",
        "the approvers of transfer differ",
        "0.0/3.1",
    ),
    *(
        (with_tool("transfer", make_transfer(**policy)), "clerk", f"{what} transfer", TRANSFER)
        for policy, what in (
            ({"timeout_seconds": 60}, "the approval timeout of"),
            ({"remind_after_seconds": [60]}, "the reminders of the approval of"),
            ({"escalations": [Escalation(approvers=(BOSS,), timeout_seconds=9)]}, "of"),
            ({"on_deadline": "fail"}, "the effect of a missed deadline of"),
            ({"risk": "high"}, "the risk of"),
            ({"self_approval": True}, "the right of the requester to approve"),
            ({"delegates": [BOSS]}, "the allowed delegates of the approval of"),
            ({"grant_seconds": 60}, "the standing approvals of"),
            ({"preview": "Pays {amount}.".format_map}, "the preview of"),
        )
    ),
    (
        with_tool("ask_account", make_ask(answer=int)),
        "clerk",
        "the JSON schema of the answer to ask_account",
        "0.0/0.1",
    ),
]


@pytest.mark.parametrize(
    ("change", "agent", "what", "path"), CHANGES, ids=[each[2] for each in CHANGES]
)
def test_each_change_is_found_where_it_has_its_effect(
    change: dict[str, Any], agent: str, what: str, path: str
) -> None:
    found = check(**change)
    assert what in found.what
    assert (found.run, found.path) == (RECORDED.run_id, path)
    assert found.agents == (("manager",) if agent == "manager" else ("manager", "clerk"))
    assert found.turn == (int(path.rpartition("/")[2].partition(".")[0]) if path else 0)
    assert found.expected != found.actual
    text = str(found)
    assert text.startswith(f"{found.what} (turn {found.turn} of {' > '.join(found.agents)}")
    assert "--- recorded\n+++ now\n@@" in text


def test_a_missing_agent_is_the_first_difference() -> None:
    found = check_recording(RECORDED, [Agent("chief")])
    assert found
    assert found.what == "there is no agent manager any more"
    assert found.actual == "chief"


def test_the_text_shows_the_place_and_the_lines_that_differ() -> None:
    found = check(clerk={"instructions": "You pay.\nBe slow."})
    assert str(found) == (
        f"the instructions of clerk differ (turn 0 of manager, path 0.0, run {RECORDED.run_id})\n"
        "\n--- recorded\n+++ now\n@@ -1,2 +1,2 @@\n You pay.\n-Be quick.\n+Be slow."
    )
    found = check(tools={"transfer": make_transfer(timeout_seconds=60)})
    assert str(found).endswith("@@ -1 +1 @@\n-604800\n+60")


def test_the_parents_turn_comes_before_its_children_and_those_before_its_next_turn() -> None:
    # The clerk and the balance differ, too, but the manager's call is made before.
    found = check(tools={"balance": make_balance(effect="once")}, clerk={"instructions": "Hurry."})
    assert found.path == "0.0"
    both = {"balance": make_balance(effect="once"), "transfer": make_transfer(risk="high")}
    assert check(tools=both).path == "0.0/0.0"


# -- arguments ---------------------------------------------------------------------------------


def record_run(agents: list[Agent], scripts: Mapping[str, Script], input: str = "go") -> Recording:
    """A recorded run that ends, or waits, without an answer of people."""
    runner = LocalRunner(agents, ScriptedModel(scripts))
    return runner.record(runner.start(agents[0].name, input).run_id)


def one(changed: Callable[..., Any], **options: Any) -> list[Agent]:
    return [Agent("a", tools=[tool(name="look", **options)(changed)])]


def look(at: int) -> str:
    """Look."""
    return str(at)


def look_bounded(at: int) -> str:
    """Look."""
    if at > 3:
        raise ValueError("too far")
    return str(at)


def look_text(at: str) -> str:
    """Look."""
    return at


def look_more(at: int, depth: float = 1) -> str:
    """Look."""
    return f"{at} {depth}"


def test_arguments_that_are_refused_or_validated_differently_are_found() -> None:
    recorded = earlier(record_run(one(look), {"a": [call("look", at=3), say("done")]}))
    assert check_recording(recorded, one(look)) is None
    found = check_recording(recorded, one(look_text))
    assert found
    assert found.what == "the call of look is refused"
    assert found.expected == {"at": 3}
    assert "the arguments do not fit look: at: Input should be a valid string" in found.actual
    found = check_recording(recorded, one(look_more))
    assert found
    assert found.what == "the arguments of look are validated differently"
    assert found.actual == {"at": 3, "depth": 1}


def test_a_whole_number_differs_from_one_with_a_fraction() -> None:
    def look_float(at: float) -> str:
        """Look."""
        return str(at)

    recorded = earlier(record_run(one(look), {"a": [call("look", at=3), say("done")]}))
    found = check_recording(recorded, one(look_float))
    assert found
    assert (found.expected, found.actual) == ({"at": 3}, {"at": 3.0})
    assert "are validated differently" in found.what


def test_a_schema_that_validates_the_same_is_found() -> None:
    def look_described(at: int) -> str:
        """Look.

        Args:
            at: where.
        """
        return str(at)

    recorded = earlier(record_run(one(look), {"a": [call("look", at=3), say("done")]}))
    found = check_recording(recorded, one(look_described))
    assert found
    assert found.what == "the JSON schema of the arguments of look differs"


def test_refused_calls_are_found_when_they_are_accepted_or_refused_otherwise() -> None:
    replies = [
        call("look", at="far"),
        call("gaze", at=1),
        Reply(requests=(ToolRequest(name="look", arguments="{oops"),)),
        say("done"),
    ]
    recorded = earlier(record_run(one(look), {"a": replies}))
    assert check_recording(recorded, one(look)) is None
    found = check_recording(recorded, one(look_text))
    assert found
    assert (found.path, found.what) == ("0.0", "the call of look is no longer refused")
    extended = [Agent("a", tools=[*one(look)[0].tools, make_balance()])]
    found = check_recording(recorded, extended)
    assert found
    assert (found.path, found.what) == ("1.0", "the call of gaze is refused with another text")


def test_a_tool_that_becomes_an_agent_is_found() -> None:
    recorded = earlier(record_run(one(look_text), {"a": [call("look", at="x"), say("done")]}))
    inner = Agent("look").as_tool(description="Looks.")
    found = check_recording(recorded, [Agent("a", tools=[inner])])
    assert found
    assert found.what == "the call of look is refused"  # it takes `input`, not `at`
    script: Script = [call("look", input="x"), say("y")]
    recorded = earlier(record_run([Agent("a", tools=[inner])], {"a": script, "look": [say("z")]}))

    def look_input(input: str) -> str:
        """Look."""
        return input

    found = check_recording(recorded, one(look_input))
    assert found
    assert (found.what, found.expected, found.actual) == (
        "the kind of look differs",
        "agent",
        "tool",
    )


def test_edited_arguments_that_are_refused_are_found() -> None:
    def bounded(limit: int) -> list[Agent]:
        @tool(approval=Approval([CFO]))
        def pay(amount: int) -> str:
            """Pay."""
            return str(amount)

        class Bounded(pay.arguments.model):  # type: ignore[name-defined, misc]
            @field_validator("parameter_0")
            @classmethod
            def check(cls, value: int) -> int:
                if value > limit:
                    raise ValueError("too much")
                return value

        object.__setattr__(pay, "arguments", ObjectSchema(Bounded))
        return [Agent("a", tools=[pay])]

    runner = LocalRunner(bounded(100), ScriptedModel({"a": [call("pay", amount=5), say("done")]}))
    run = runner.start("a", "go")
    runner.decide(run.run_id, run.waiting[0].request_id, "approve", arguments={"amount": 50})
    recorded = runner.record(run.run_id)
    assert check_recording(recorded, bounded(100)) is None
    found = check_recording(recorded, bounded(10))
    assert found
    assert (found.path, found.what) == ("0.0", "the edited arguments of pay are refused")


# -- answers ---------------------------------------------------------------------------------------


def typed(output: type[BaseModel]) -> list[Agent]:
    return [Agent("a", output_type=output)]


def test_a_typed_answer_and_its_corrections_do_not_differ() -> None:
    replies = [say("none"), say('{"total": "many"}'), say('{"total": 3}')]
    recorded = record_run(typed(Report), {"a": replies})
    assert recorded.continuation.outcome
    assert recorded.continuation.outcome.content == '{"total": 3}'
    assert check_recording(recorded, typed(Report)) is None


def test_an_answer_that_is_validated_differently_is_found() -> None:
    class Even(Report):
        @field_validator("total")
        @classmethod
        def check(cls, value: int) -> int:
            if value % 2:
                raise ValueError("must be even")
            return value

    class Rounded(Report):
        @field_validator("total")
        @classmethod
        def check(cls, value: int) -> int:
            return value // 10 * 10

    for changed in (Even, Rounded):
        changed.__name__ = "Report"
        changed.model_config["title"] = "Report"
        changed.model_rebuild(force=True)
    recorded = record_run(typed(Report), {"a": [say('{"total": 3}')]})
    found = check_recording(recorded, typed(Even))
    assert found
    assert (found.turn, found.what) == (0, "the answer of a is refused")
    assert "must be even" in found.actual
    found = check_recording(recorded, typed(Rounded))
    assert found
    assert found.what == "the answer of a is validated differently"
    recorded = record_run(typed(Even), {"a": [say('{"total": 3}'), say('{"total": 4}')]})
    assert check_recording(recorded, typed(Even)) is None
    found = check_recording(recorded, typed(Report))
    assert found
    assert found.what == "the answer of a is no longer refused"


def test_an_answer_type_that_does_not_read_what_it_writes_does_not_differ() -> None:
    from pydantic import ConfigDict, computed_field

    class Circle(BaseModel):
        model_config = ConfigDict(extra="forbid")
        radius: int

        @computed_field
        def area(self) -> int:
            return 3 * self.radius

    class Growing(BaseModel):
        total: int

        @field_validator("total")
        @classmethod
        def check(cls, value: int) -> int:
            return value + 1

    for output, answer in ((Circle, '{"radius": 2}'), (Growing, '{"total": 2}')):
        recorded = record_run(typed(output), {"a": [say(answer)]})
        assert check_recording(recorded, typed(output)) is None


# -- other runs ------------------------------------------------------------------------------------


def spawning(inner: Agent) -> list[Agent]:
    return [Agent("boss", tools=[inner.as_tool(description="Works.", spawn=True)])]


def test_child_runs_are_compared_after_the_call_that_started_them() -> None:
    def agents(**policy: Any) -> list[Agent]:
        helper = Agent("helper", tools=[make_transfer(**policy)])
        worker = Agent("worker", tools=[helper.as_tool(description="Helps.", spawn=True)])
        return spawning(worker)

    scripts: dict[str, Script] = {
        "boss": [calls(("worker", {"input": "one"}), ("worker", {"input": "two"})), say("done")],
        "worker": by_input(
            {"one": [say("nothing to do")], "two": [call("helper", input="pay"), say("paid")]}
        ),
        "helper": [call("transfer", amount=50), say("sent")],
    }
    recorded = record_run(agents(), scripts)
    assert len(recorded.children) == 3
    assert recorded.continuation.outcome
    assert check_recording(recorded, agents()) is None
    found = check_recording(recorded, agents(when=None))
    assert found
    [run_id] = [each for each, run in recorded.children.items() if run.agent == "helper"]
    assert (found.run, found.path, found.turn) == (run_id, "0.0", 0)
    assert found.agents == ("boss", "worker", "helper")
    assert f"run {run_id}" in str(found)


def test_a_recording_without_one_of_its_runs_is_refused() -> None:
    agents = spawning(Agent("worker"))
    recorded = record_run(
        agents, {"boss": [call("worker", input="x"), say("y")], "worker": [say("z")]}
    )
    with pytest.raises(Invalid, match="is missing"):
        check_recording(recorded.model_copy(update={"children": {}}), agents)


def test_faulty_replies_failing_tools_and_open_runs_do_not_differ() -> None:
    replies = [
        Reply(fault="empty"),
        Reply(content="Once upon a", fault="length"),
        call("balance", account="a-1"),
        Reply(fault="content_filter"),
        call("transfer", amount=500),
    ]
    agents = [Agent("a", tools=[make_balance(result=None), make_transfer()])]
    recorded = record_run(agents, {"a": replies})
    assert recorded.continuation.outcome is None
    assert check_recording(recorded, agents, run=["balance"]) is None


def test_conditions_are_not_compared() -> None:
    limit = EveryTurns(limit=1, approval=Approval([BOSS]))
    agents = [Agent("a", tools=[make_balance()], conditions=[limit])]
    script: Script = [call("balance", account="a"), call("balance", account="b"), say("done")]
    runner = LocalRunner(agents, ScriptedModel({"a": script}))
    run = runner.start("a", "go")
    run = runner.decide(run.run_id, run.waiting[0].request_id, "approve", arguments={"limit": 2})
    recorded = runner.record(run.run_id)
    assert recorded.continuation.holds
    assert check_recording(recorded, agents) is None
    assert check_recording(recorded, [Agent("a", tools=[make_balance()])]) is None


def test_a_run_before_its_first_reply_is_compared_in_what_it_starts_with() -> None:
    recorded = record_run([Agent("a", "Work.")], {})
    assert recorded.continuation.turns == ()
    assert check_recording(recorded, [Agent("a", "Work.")]) is None
    found = check_recording(recorded, [Agent("a", "Rest.")])
    assert found
    assert found.what == "the instructions of a differ"


# -- tools that are run again ----------------------------------------------------------------------


def test_the_result_of_a_tool_that_is_run_again_is_compared() -> None:
    changed = with_tool("balance", make_balance(result=1))
    assert check_recording(RECORDED, office(**changed)) is None
    found = check(**changed, run=["balance"])
    assert (found.path, found.what) == ("0.0/0.0", "the result of balance differs")
    assert (found.expected, found.actual) == ("12000", "1")
    found = check(**with_tool("balance", make_balance(result=None)), run="balance")
    assert found.actual == "The tool failed. RuntimeError: the bank is closed"


def test_a_tool_that_is_run_again_gets_the_recorded_context() -> None:
    seen: list[ToolContext] = []

    def result(context: ToolContext) -> int:
        assert context.callback_url.startswith("https://callback.invalid/")
        seen.append(context)
        return 12_000

    assert (
        check_recording(RECORDED, office(**with_tool("balance", make_balance(result=result))))
        is None
    )
    assert seen == []
    agents = office(**with_tool("balance", make_balance(result=result)))
    assert check_recording(RECORDED, agents, ["balance"]) is None
    [context] = seen
    assert (context.run_id, context.path, context.attempt) == (RECORDED.run_id, "0.0/0.0", 1)


def test_only_read_tools_that_exist_are_run_again() -> None:
    with pytest.raises(ValueError, match="only read tools can be run again: transfer is 'once'"):
        check_recording(RECORDED, office(), run=["transfer"])
    with pytest.raises(ValueError, match="no agent has a tool blance; there are: ask_account, bal"):
        check_recording(RECORDED, office(), run=["blance"])


def test_an_async_tool_is_run_again_inside_a_running_loop() -> None:
    @tool(effect="read")
    async def look(at: int) -> str:
        """Look."""
        await asyncio.sleep(0)
        return str(at)

    agents = [Agent("a", tools=[look])]
    recorded = record_run(agents, {"a": [call("look", at=3), say("done")]})

    async def test() -> Difference | None:
        return check_recording(recorded, agents, run=["look"])

    assert asyncio.run(test()) is None


def waits(
    *, days: int = 1, event: str = "paid", handle: int = 7, text: str = "Which account?"
) -> list[Agent]:
    @tool(effect="read")
    def nap(short: bool = False) -> Sleep | str:
        """Sleep."""
        return "too short" if short else Sleep(seconds=60 * days)

    @tool(effect="read")
    def await_payment() -> WaitFor:
        """Wait."""
        return WaitFor(event, correlation="o-1", timeout_seconds=60 * days)

    def status(handle: Any, context: ToolContext) -> Any:
        return Pending()

    @tool(effect="read", poll=status)
    def export(context: ToolContext) -> Job:
        """Export."""
        return Job({"id": handle}, timeout_seconds=3600 * days, poll_seconds=60)

    return [Agent("a", tools=[nap, await_payment, export, make_ask(text=text)])]


def test_the_wait_of_a_tool_that_is_run_again_is_compared_without_its_times() -> None:
    names = ("nap", "await_payment", "export", "ask_account")
    runner = LocalRunner(waits(), ScriptedModel({"a": [calls(*((each, {}) for each in names))]}))
    run = runner.start("a", "go")
    runner.answer(run.run_id, run.waiting[3].request_id, "a-1")
    recorded = runner.record(run.run_id)
    assert check_recording(recorded, waits(), names) is None
    assert check_recording(recorded, waits(days=2), names) is None
    for changed, path in (
        ({"event": "sent"}, "0.1"),
        ({"handle": 8}, "0.2"),
        ({"text": "?"}, "0.3"),
    ):
        assert check_recording(recorded, waits(**changed)) is None
        found = check_recording(recorded, waits(**changed), names)
        assert found
        assert found.path == path
        assert found.expected["kind"] == found.actual["kind"]


def test_every_field_of_a_plan_and_of_a_policy_is_compared() -> None:
    assert {*CALL_FIELDS, *NAMES, *DERIVED} >= set(ToolPlan.model_fields)
    assert {*CALL_FIELDS, *FRAME_FIELDS, *NAMES, *DERIVED} >= set(AgentPlan.model_fields)
    assert set(POLICY_FIELDS) == set(ApprovalPolicy.model_fields)


def test_a_preview_with_a_risk_is_compared() -> None:
    def risky(found: Mapping[str, Any]) -> Preview:
        return Preview(effect=f"Pays {found['amount']} euros.", reversible=False)

    assert check(tools={"transfer": make_transfer(preview=risky)}).actual == {
        "effect": "Pays 250 euros.",
        "reversible": False,
        "risk": "low",
    }
