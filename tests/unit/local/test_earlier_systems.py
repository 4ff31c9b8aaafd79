"""Regression tests for defects of earlier systems of this kind, each reproduced there.

The numbered tests cover the twenty defects of the prototype, the others those of its successors.
"""

import json
from threading import Barrier, Event

import pytest

from agent_continuations import (
    Agent,
    Approval,
    InMemoryStore,
    LocalRunner,
    ScriptedModel,
    ToolContext,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.core.replies import Reply, ToolRequest
from agent_continuations.core.run import JournalEntry
from agent_continuations.errors import AlreadyDecided, Invalid
from agent_continuations.ports.model import ModelRequest
from agent_continuations.views.run import RunView

CFO = Approval(approvers=["cfo@example.com"])


class Bank:
    """External system that records the transfers it makes."""

    def __init__(self) -> None:
        self.transfers: list[tuple[int, str]] = []
        self.keys: list[str] = []

        @tool(approval=CFO)
        def transfer(amount: int, to: str, context: ToolContext) -> str:
            """Transfer money."""
            self.transfers.append((amount, to))
            self.keys.append(context.idempotency_key)
            return f"sent {amount} to {to}"

        @tool(effect="read")
        def balance(account: str) -> int:
            """The balance."""
            return len(account)

        self.transfer = transfer
        self.balance = balance


@pytest.fixture
def bank() -> Bank:
    return Bank()


def pay(amount: int, to: str) -> Reply:
    return call("transfer", amount=amount, to=to)


def runner(
    bank: Bank, scripts: dict[str, Script], store: InMemoryStore | None = None
) -> LocalRunner:
    """Creates a runner of a manager, a middle agent and a worker; tests script those they use."""
    worker = Agent("worker", tools=[bank.transfer, bank.balance])
    middle = Agent("middle", tools=[worker.as_tool(description="Works.")])
    manager = Agent(
        "manager",
        tools=[
            worker.as_tool(description="Works."),
            middle.as_tool(description="Has others work."),
            bank.transfer,
        ],
    )
    key = "k" * 32
    return LocalRunner([manager, worker], ScriptedModel(scripts), store=store, signing_key=key)


def decide(runs: LocalRunner, run: RunView, decision: str, index: int = 0) -> RunView:
    return runs.decide(run.run_id, run.waiting[index].request_id, decision)


def last_result(request: ModelRequest) -> str:
    return str(request.messages[-1]["content"])


def echo(request: ModelRequest) -> Reply:
    """Makes the transfer in the input (`5 to bob`), then replies with the tool's result."""
    if request.messages[-1]["role"] == "tool":
        return say(last_result(request))
    amount, to = str(request.messages[-1]["content"]).split(" to ")
    return pay(int(amount), to)


def test_01_a_flat_rejection_does_not_execute_the_tool(bank: Bank) -> None:
    runs = runner(bank, {"worker": [pay(5, "bob"), say("not sent")]})
    run = runs.start("worker", "pay")
    run = decide(runs, run, "reject")
    assert (run.status, run.result, bank.transfers) == ("completed", "not sent", [])


def test_02_of_two_gated_calls_in_one_turn_only_the_approved_one_runs(bank: Bank) -> None:
    both = calls(("transfer", {"amount": 1, "to": "a"}), ("transfer", {"amount": 2, "to": "b"}))
    runs = runner(bank, {"worker": [both, say("done")]})
    run = runs.start("worker", "pay both")
    run = decide(runs, run, "approve", 1)
    assert (run.status, bank.transfers) == ("suspended", [(2, "b")])


def test_03_an_undecided_call_stays_undecided_and_the_run_stays_suspended(bank: Bank) -> None:
    runs = runner(bank, {"worker": [pay(5, "bob"), say("done")]})
    run = runs.start("worker", "pay")
    again = runs.advance(run.run_id)
    assert (again.status, again.waiting) == ("suspended", run.waiting)
    assert bank.transfers == []


def test_04_deciding_one_sub_agents_approval_keeps_its_siblings(bank: Bank) -> None:
    two = calls(("worker", {"input": "1 to a"}), ("worker", {"input": "2 to b"}))
    runs = runner(bank, {"manager": [two, say("both")], "worker": echo})
    run = runs.start("manager", "pay both")
    assert [each.path for each in run.waiting] == ["0.0/0.0", "0.1/0.0"]
    run = decide(runs, run, "approve", 0)
    assert [each.path for each in run.waiting] == ["0.1/0.0"]
    run = decide(runs, run, "approve")
    assert (run.result, sorted(bank.transfers)) == ("both", [(1, "a"), (2, "b")])


def test_05_a_rejection_deep_in_the_tree_is_a_result_with_its_reason(bank: Bank) -> None:
    scripts: dict[str, Script] = {
        "manager": lambda request: (
            say(last_result(request))
            if request.messages[-1]["role"] == "tool"
            else call("middle", input="5 to bob")
        ),
        "middle": lambda request: (
            say(last_result(request))
            if request.messages[-1]["role"] == "tool"
            else call("worker", input="5 to bob")
        ),
        "worker": echo,
    }
    runs = runner(bank, scripts)
    run = runs.start("manager", "pay")
    assert run.waiting[0].agents == ("manager", "middle", "worker")
    request_id = run.waiting[0].request_id
    run = runs.decide(run.run_id, request_id, "reject", reason="wrong bob")
    assert run.status == "completed"
    assert run.result
    assert json.loads(run.result)["reason"] == "wrong bob"


def test_06_after_a_rejection_every_call_in_the_transcript_has_a_result(bank: Bank) -> None:
    model = ScriptedModel({"worker": [pay(5, "bob"), say("ok")]})
    runs = LocalRunner([Agent("worker", tools=[bank.transfer])], model)
    run = runs.start("worker", "pay")
    decide(runs, run, "reject")
    messages = model.requests[-1].messages
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"]


def test_07_edited_arguments_are_executed_and_shown_in_the_history(bank: Bank) -> None:
    model = ScriptedModel({"worker": [pay(500, "bob"), say("ok")]})
    runs = LocalRunner([Agent("worker", tools=[bank.transfer])], model)
    run = runs.start("worker", "pay")
    edited = {"amount": 5, "to": "bob"}
    runs.decide(run.run_id, run.waiting[0].request_id, "approve", arguments=edited)
    assert bank.transfers == [(5, "bob")]
    _, assistant, result = model.requests[-1].messages
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == edited
    assert '"amount": 500' in result["content"]
    assert "sent 5 to bob" in result["content"]
    stored_call = runs.continuation(run.run_id).turns[0].calls[0]
    assert stored_call.plan.kind == "tool"
    assert stored_call.plan.arguments["amount"] == 500


def test_08_a_suspension_inside_a_sub_agent_is_listed_with_its_agents(bank: Bank) -> None:
    runs = runner(bank, {"manager": [call("worker", input="5 to bob"), say("ok")], "worker": echo})
    run = runs.start("manager", "pay")
    (waiting,) = run.waiting
    assert (waiting.kind, waiting.tool) == ("approval", "transfer")
    assert waiting.agents == ("manager", "worker")
    assert runs.continuation(run.run_id).turns[0].calls[0].decision is None


def test_09_an_approval_is_listed_beside_a_wait_of_another_kind(bank: Bank) -> None:
    launched = Event()

    @tool
    def launch() -> str:
        """Launch."""
        launched.set()
        raise KeyboardInterrupt  # the process is killed while the tool runs

    two = calls(("launch", {}), ("transfer", {"amount": 5, "to": "bob"}))
    agent = Agent("worker", tools=[launch, bank.transfer])
    runs = LocalRunner([agent], ScriptedModel({"worker": [two, say("ok")]}))
    with pytest.raises(KeyboardInterrupt):
        runs.start("worker", "go")
    assert launched.is_set()
    (run_id,) = (head.run_id for head in runs.store.list_runs("default").heads)
    kinds = [(each.kind, each.path) for each in runs.get(run_id).waiting]
    assert ("approval", "0.1") in kinds


def test_10_the_turns_of_a_run_are_counted_in_the_continuation_not_in_the_process(
    bank: Bank,
) -> None:
    agent = Agent("looper", tools=[bank.transfer], max_turns=3)
    store = InMemoryStore()

    def new_process() -> LocalRunner:
        return LocalRunner([agent], ScriptedModel({"looper": lambda _: pay(1, "a")}), store=store)

    run = new_process().start("looper", "go")
    for _ in range(3):
        run = decide(new_process(), run, "approve")
    assert (run.status, run.error) == ("failed", "the limit of 3 turns is reached")
    assert len(bank.transfers) == 3


def test_11_the_turns_of_a_run_do_not_count_for_another_run(bank: Bank) -> None:
    agent = Agent("looper", tools=[bank.balance], max_turns=2)
    script: list[Reply] = [call("balance", account="x"), say("done")]
    runs = LocalRunner([agent], ScriptedModel({"looper": script}))
    assert [runs.start("looper", "go").status for _ in range(3)] == ["completed"] * 3


def test_12_an_approved_call_is_never_dropped_for_another_reason_to_stop(bank: Bank) -> None:
    agent = Agent("worker", tools=[bank.transfer], max_turns=1)
    runs = LocalRunner([agent], ScriptedModel({"worker": [pay(5, "bob")]}))
    run = runs.start("worker", "pay")
    run = decide(runs, run, "approve")
    assert bank.transfers == [(5, "bob")]
    assert run.status == "failed"


def test_13_resuming_twice_runs_the_transfer_once(bank: Bank) -> None:
    runs = runner(bank, {"worker": [pay(5, "bob"), say("ok")]})
    run = runs.start("worker", "pay")
    decide(runs, run, "approve")
    decide(runs, run, "approve")
    runs.advance(run.run_id)
    assert bank.transfers == [(5, "bob")]


def test_14_a_modified_or_forged_document_is_rejected(bank: Bank) -> None:
    scripts: dict[str, Script] = {"worker": [pay(5, "bob"), say("ok")]}
    document = (first := runner(bank, scripts)).dump(first.start("worker", "pay").run_id)
    for forged in (document.replace('"amount": 5', '"amount": 5000'), document[:-9], "{}", "[]"):
        assert forged != document
        with pytest.raises(Invalid):
            runner(bank, scripts).load(forged)
    with pytest.raises(Invalid):
        LocalRunner([Agent("worker")], ScriptedModel({})).load(document)
    run = (other := runner(bank, scripts)).load(document)
    assert decide(other, run, "approve").result == "ok"
    assert bank.transfers == [(5, "bob")]


def test_15_a_plain_agent_in_the_chain_does_not_bypass_the_approval(bank: Bank) -> None:
    scripts: dict[str, Script] = {
        "manager": [call("middle", input="x"), say("ok")],
        "middle": [call("worker", input="5 to bob"), say("ok")],
        "worker": echo,
    }
    runs = runner(bank, scripts)
    run = runs.start("manager", "pay")
    assert (run.status, bank.transfers) == ("suspended", [])


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (ToolRequest(name="explode", arguments="{}"), "ZeroDivisionError"),
        (ToolRequest(name="no_such_tool", arguments="{}"), "there is no tool named"),
        (ToolRequest(name="transfer", arguments='{"amount": "much"}'), "do not fit"),
        (ToolRequest(name="transfer", arguments='{"amount": 5'), "not JSON"),
    ],
)
def test_16_a_failing_tool_or_an_invalid_call_is_a_result_for_the_model(
    bank: Bank, request_: ToolRequest, error: str
) -> None:
    @tool
    def explode() -> float:
        """Fail."""
        return 1 / 0

    agent = Agent("worker", tools=[explode, bank.transfer])
    script = [Reply(requests=(request_,)), say("I see")]
    model = ScriptedModel({"worker": script})
    run = LocalRunner([agent], model).start("worker", "go")
    assert (run.status, run.result) == ("completed", "I see")
    assert error in last_result(model.requests[-1])


@pytest.mark.parametrize("value", [7, None, 1.5, True, {"a": [1]}, ["x"], b"raw", object()])
def test_17_the_model_gets_text_for_any_result_of_a_tool(value: object) -> None:
    @tool(effect="read")
    def give() -> object:
        """Give."""
        return value

    model = ScriptedModel({"worker": [call("give"), say("ok")]})
    run = LocalRunner([Agent("worker", tools=[give])], model).start("worker", "go")
    assert run.status == "completed"
    assert isinstance(model.requests[-1].messages[-1]["content"], str)


def test_18_sub_agents_of_one_turn_run_at_the_same_time() -> None:
    meeting = Barrier(3, timeout=20)

    @tool(effect="read")
    def meet() -> str:
        """Return once all three calls have started."""
        meeting.wait()
        return "met"

    worker = Agent("worker", tools=[meet])
    manager = Agent("manager", tools=[worker.as_tool(description="Meets.")])
    three = calls(*[("worker", {"input": str(number)}) for number in range(3)])
    scripts: dict[str, Script] = {
        "manager": [three, say("all met")],
        "worker": [call("meet"), say("met")],
    }
    assert LocalRunner([manager], ScriptedModel(scripts)).start("manager", "x").result == "all met"


def test_19_a_crash_loses_no_completed_turn_and_repeats_no_effect(bank: Bank) -> None:
    store, crashed = InMemoryStore(), Event()

    def script(request: ModelRequest) -> Reply:
        turn = sum(message["role"] == "assistant" for message in request.messages)
        if turn == 6 and not crashed.is_set():
            crashed.set()
            raise KeyboardInterrupt
        return call("note", text=str(turn)) if turn < 7 else say("done")

    notes: list[str] = []

    @tool(effect="idempotent")
    def note(text: str) -> str:
        """Note."""
        notes.append(text)
        return text

    model = ScriptedModel({"worker": script})
    runs = LocalRunner([Agent("worker", tools=[note])], model, store=store)
    with pytest.raises(KeyboardInterrupt):
        runs.start("worker", "go")
    (head,) = store.list_runs("default").heads
    assert len(runs.continuation(head.run_id).turns) == 6
    assert len(notes) == 6


def test_20_a_turn_only_appends_to_the_journal() -> None:
    @tool(effect="read")
    def read() -> str:
        """Read."""
        return "x" * 1000

    written: list[int] = []

    class Counting(InMemoryStore):
        def append(self, run_id: str, register: JournalEntry) -> JournalEntry:
            written.append(sum(len(each.model_dump_json()) for each in register.events))
            return super().append(run_id, register)

    agent = Agent("worker", tools=[read], max_turns=1000)
    script = [call("read")] * 300 + [say("done")]
    run = LocalRunner([agent], ScriptedModel({"worker": script}), store=Counting()).start(
        "worker", "x"
    )
    assert (run.status, run.turns) == ("completed", 301)
    assert len(written) == 301
    assert max(written) < 2 * sorted(written)[150]


def test_two_concurrent_decisions_cause_one_transfer(bank: Bank) -> None:
    runs = runner(bank, {"worker": [pay(5, "bob"), say("ok")]})
    run = runs.start("worker", "pay")
    decide(runs, run, "approve")
    with pytest.raises(AlreadyDecided) as raised:
        decide(runs, run, "reject")
    assert raised.value.decision["decision"] == "approve"
    assert bank.transfers == [(5, "bob")]


def test_after_a_rejection_no_transfer_is_made(bank: Bank) -> None:
    runs = runner(bank, {"worker": [pay(5, "bob"), say("ok")]})
    run = runs.start("worker", "pay")
    decide(runs, run, "reject")
    with pytest.raises(AlreadyDecided):
        decide(runs, run, "approve")
    assert bank.transfers == []


def test_a_run_whose_tool_was_renamed_is_parked_and_continues_once_it_is_back(bank: Bank) -> None:
    store = InMemoryStore()
    model = ScriptedModel({"worker": [pay(5, "bob"), say("done")]})
    before = LocalRunner([Agent("worker", tools=[bank.transfer])], model, store=store)
    renamed = LocalRunner([Agent("worker", tools=[bank.balance])], model, store=store)
    run = before.start("worker", "pay")
    run = decide(renamed, run, "approve")
    assert (run.status, run.error) == ("parked", "the tool transfer of the agent worker is gone")
    run = before.redrive(run.run_id)
    assert (run.status, run.result, bank.transfers) == ("completed", "done", [(5, "bob")])


def test_a_deployment_during_a_wait_keeps_the_prompt_and_the_open_calls(bank: Bank) -> None:
    store = InMemoryStore()
    model = ScriptedModel({"worker": [pay(5, "bob"), say("done")]})
    old = Agent("worker", "The old prompt.", tools=[bank.transfer])
    new = Agent("worker", "Another prompt.", tools=[bank.balance, bank.transfer])
    run = LocalRunner([old], model, store=store).start("worker", "pay")
    run = decide(LocalRunner([new], model, store=store), run, "approve")
    assert (run.status, bank.transfers) == ("completed", [(5, "bob")])
    assert model.requests[-1].messages[0]["content"] == "The old prompt."


def test_the_same_sub_agent_called_three_times_in_one_turn_runs_three_times(bank: Bank) -> None:
    three = calls(*[("worker", {"input": f"{number} to bob"}) for number in (1, 2, 3)])
    runs = runner(bank, {"manager": [three, say("ok")], "worker": echo})
    run = runs.start("manager", "pay")
    for _ in range(3):
        run = decide(runs, run, "approve")
    assert run.result == "ok"
    assert bank.transfers == [(1, "bob"), (2, "bob"), (3, "bob")]
    assert len(set(bank.keys)) == 3


def test_every_model_request_includes_the_users_task(bank: Bank) -> None:
    model = ScriptedModel(
        {"worker": [*[call("balance", account="x")] * 60, pay(1, "a"), say("ok")]}
    )
    runs = LocalRunner([Agent("worker", tools=[bank.balance, bank.transfer])], model)
    run = runs.start("worker", "the task itself")
    run = decide(runs, run, "approve")
    assert run.result == "ok"
    assert model.requests[-1].messages[0] == {"role": "user", "content": "the task itself"}
