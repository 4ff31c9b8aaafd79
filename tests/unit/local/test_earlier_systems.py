"""What earlier systems of this kind got wrong, each shown there by running it; each is a test.

The first twenty are of the prototype that the idea comes from, by their number; the others are of
its successors, measured on the same work.
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
    """The outside world: what really happened to it."""

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
    """A manager over a worker over the bank; each test scripts those that it needs."""
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


def deciding(runs: LocalRunner, run: RunView, decision: str, place: int = 0) -> RunView:
    return runs.decide(run.run_id, run.waiting[place].request_id, decision)


def last_result(request: ModelRequest) -> str:
    return str(request.messages[-1]["content"])


def echo(request: ModelRequest) -> Reply:
    """Do what the input says as `amount to`, then report what came of it."""
    if request.messages[-1]["role"] == "tool":
        return say(last_result(request))
    amount, to = str(request.messages[-1]["content"]).split(" to ")
    return pay(int(amount), to)


def test_01_a_flat_rejection_does_not_execute_the_tool(bank: Bank) -> None:
    runs = runner(bank, {"worker": [pay(5, "bob"), say("not sent")]})
    run = runs.start("worker", "pay")
    run = deciding(runs, run, "reject")
    assert (run.status, run.result, bank.transfers) == ("completed", "not sent", [])


def test_02_of_two_gated_calls_in_one_turn_only_the_approved_one_runs(bank: Bank) -> None:
    both = calls(("transfer", {"amount": 1, "to": "a"}), ("transfer", {"amount": 2, "to": "b"}))
    runs = runner(bank, {"worker": [both, say("done")]})
    run = runs.start("worker", "pay both")
    run = deciding(runs, run, "approve", 1)
    assert (run.status, bank.transfers) == ("suspended", [(2, "b")])


def test_03_an_undecided_call_stays_undecided_and_the_run_goes_on_waiting(bank: Bank) -> None:
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
    run = deciding(runs, run, "approve", 0)
    assert [each.path for each in run.waiting] == ["0.1/0.0"]
    run = deciding(runs, run, "approve")
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


def test_06_after_a_rejection_every_call_in_the_transcript_has_its_answer(bank: Bank) -> None:
    model = ScriptedModel({"worker": [pay(5, "bob"), say("ok")]})
    runs = LocalRunner([Agent("worker", tools=[bank.transfer])], model)
    run = runs.start("worker", "pay")
    deciding(runs, run, "reject")
    told = model.requests[-1].messages
    assert [message["role"] for message in told] == ["user", "assistant", "tool"]
    assert told[1]["tool_calls"][0]["id"] == told[2]["tool_call_id"]


def test_07_edited_arguments_are_what_runs_and_what_history_shows(bank: Bank) -> None:
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
    kept = runs.continuation(run.run_id).turns[0].calls[0]
    assert kept.plan.kind == "tool"
    assert kept.plan.arguments["amount"] == 500


def test_08_a_suspension_inside_a_sub_agent_is_open_and_named(bank: Bank) -> None:
    runs = runner(bank, {"manager": [call("worker", input="5 to bob"), say("ok")], "worker": echo})
    run = runs.start("manager", "pay")
    (waiting,) = run.waiting
    assert (waiting.kind, waiting.tool) == ("approval", "transfer")
    assert waiting.agents == ("manager", "worker")
    assert runs.continuation(run.run_id).turns[0].calls[0].decision is None


def test_09_an_approval_beside_a_wait_of_another_kind_are_two_entries_in_order(bank: Bank) -> None:
    lost = Event()

    @tool
    def launch() -> str:
        """Launch."""
        lost.set()
        raise KeyboardInterrupt  # the process is killed while the tool runs

    two = calls(("launch", {}), ("transfer", {"amount": 5, "to": "bob"}))
    agent = Agent("worker", tools=[launch, bank.transfer])
    runs = LocalRunner([agent], ScriptedModel({"worker": [two, say("ok")]}))
    with pytest.raises(KeyboardInterrupt):
        runs.start("worker", "go")
    assert lost.is_set()
    (run_id,) = (head.run_id for head in runs.store.list_runs("default").heads)
    kinds = [(each.kind, each.path) for each in runs.get(run_id).waiting]
    assert ("approval", "0.1") in kinds


def test_10_what_a_run_has_used_up_is_in_the_continuation_not_in_the_process(bank: Bank) -> None:
    agent = Agent("looper", tools=[bank.transfer], max_turns=3)
    store = InMemoryStore()

    def process() -> LocalRunner:
        return LocalRunner([agent], ScriptedModel({"looper": lambda _: pay(1, "a")}), store=store)

    run = process().start("looper", "go")
    for _ in range(3):
        run = deciding(process(), run, "approve")
    assert (run.status, run.error) == ("failed", "the limit of 3 turns is reached")
    assert len(bank.transfers) == 3


def test_11_one_runs_count_does_not_touch_another_run(bank: Bank) -> None:
    agent = Agent("looper", tools=[bank.balance], max_turns=2)
    script: list[Reply] = [call("balance", account="x"), say("done")]
    runs = LocalRunner([agent], ScriptedModel({"looper": script}))
    assert [runs.start("looper", "go").status for _ in range(3)] == ["completed"] * 3


def test_12_an_approved_call_is_never_dropped_for_another_reason_to_stop(bank: Bank) -> None:
    agent = Agent("worker", tools=[bank.transfer], max_turns=1)
    runs = LocalRunner([agent], ScriptedModel({"worker": [pay(5, "bob")]}))
    run = runs.start("worker", "pay")
    run = deciding(runs, run, "approve")
    assert bank.transfers == [(5, "bob")]
    assert run.status == "failed"


def test_13_resuming_twice_runs_the_transfer_once(bank: Bank) -> None:
    runs = runner(bank, {"worker": [pay(5, "bob"), say("ok")]})
    run = runs.start("worker", "pay")
    deciding(runs, run, "approve")
    deciding(runs, run, "approve")
    runs.advance(run.run_id)
    assert bank.transfers == [(5, "bob")]


def test_14_a_state_that_was_edited_or_invented_is_refused(bank: Bank) -> None:
    scripts: dict[str, Script] = {"worker": [pay(5, "bob"), say("ok")]}
    document = (first := runner(bank, scripts)).dump(first.start("worker", "pay").run_id)
    for forged in (document.replace('"amount": 5', '"amount": 5000'), document[:-9], "{}", "[]"):
        assert forged != document
        with pytest.raises(Invalid):
            runner(bank, scripts).load(forged)
    with pytest.raises(Invalid):
        LocalRunner([Agent("worker")], ScriptedModel({})).load(document)
    run = (other := runner(bank, scripts)).load(document)
    assert deciding(other, run, "approve").result == "ok"
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
    ("request_", "told"),
    [
        (ToolRequest(name="explode", arguments="{}"), "ZeroDivisionError"),
        (ToolRequest(name="no_such_tool", arguments="{}"), "there is no tool named"),
        (ToolRequest(name="transfer", arguments='{"amount": "much"}'), "do not fit"),
        (ToolRequest(name="transfer", arguments='{"amount": 5'), "not JSON"),
    ],
)
def test_16_a_failing_tool_or_a_bad_call_is_a_result_and_loses_nothing(
    bank: Bank, request_: ToolRequest, told: str
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
    assert told in last_result(model.requests[-1])


@pytest.mark.parametrize("value", [7, None, 1.5, True, {"a": [1]}, ["x"], b"raw", object()])
def test_17_whatever_a_tool_returns_the_model_gets_text(value: object) -> None:
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
        """Return once all three are here."""
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


def test_19_a_crash_loses_no_finished_turn_and_repeats_no_effect(bank: Bank) -> None:
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


def test_20_a_turn_appends_and_rewrites_nothing() -> None:
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


def test_two_people_who_answer_at_once_cause_one_transfer(bank: Bank) -> None:
    runs = runner(bank, {"worker": [pay(5, "bob"), say("ok")]})
    run = runs.start("worker", "pay")
    deciding(runs, run, "approve")
    with pytest.raises(AlreadyDecided) as stands:
        deciding(runs, run, "reject")
    assert stands.value.decision["decision"] == "approve"
    assert bank.transfers == [(5, "bob")]


def test_who_is_told_rejected_sees_no_money_move(bank: Bank) -> None:
    runs = runner(bank, {"worker": [pay(5, "bob"), say("ok")]})
    run = runs.start("worker", "pay")
    deciding(runs, run, "reject")
    with pytest.raises(AlreadyDecided):
        deciding(runs, run, "approve")
    assert bank.transfers == []


def test_a_run_whose_tool_was_renamed_parks_and_goes_on_when_it_is_back(bank: Bank) -> None:
    store = InMemoryStore()
    model = ScriptedModel({"worker": [pay(5, "bob"), say("done")]})
    before = LocalRunner([Agent("worker", tools=[bank.transfer])], model, store=store)
    renamed = LocalRunner([Agent("worker", tools=[bank.balance])], model, store=store)
    run = before.start("worker", "pay")
    run = deciding(renamed, run, "approve")
    assert (run.status, run.error) == ("parked", "the tool transfer of the agent worker is gone")
    run = before.redrive(run.run_id)
    assert (run.status, run.result, bank.transfers) == ("completed", "done", [(5, "bob")])


def test_code_that_changed_while_a_run_waited_changes_only_what_comes_next(bank: Bank) -> None:
    store = InMemoryStore()
    model = ScriptedModel({"worker": [pay(5, "bob"), say("done")]})
    old = Agent("worker", "The old prompt.", tools=[bank.transfer])
    new = Agent("worker", "Another prompt.", tools=[bank.balance, bank.transfer])
    run = LocalRunner([old], model, store=store).start("worker", "pay")
    run = deciding(LocalRunner([new], model, store=store), run, "approve")
    assert (run.status, bank.transfers) == ("completed", [(5, "bob")])
    assert model.requests[-1].messages[0]["content"] == "The old prompt."


def test_the_same_sub_agent_called_three_times_in_one_turn_runs_three_times(bank: Bank) -> None:
    three = calls(*[("worker", {"input": f"{number} to bob"}) for number in (1, 2, 3)])
    runs = runner(bank, {"manager": [three, say("ok")], "worker": echo})
    run = runs.start("manager", "pay")
    for _ in range(3):
        run = deciding(runs, run, "approve")
    assert run.result == "ok"
    assert bank.transfers == [(1, "bob"), (2, "bob"), (3, "bob")]
    assert len(set(bank.keys)) == 3


def test_the_users_task_is_told_again_after_any_number_of_turns(bank: Bank) -> None:
    model = ScriptedModel(
        {"worker": [*[call("balance", account="x")] * 60, pay(1, "a"), say("ok")]}
    )
    runs = LocalRunner([Agent("worker", tools=[bank.balance, bank.transfer])], model)
    run = runs.start("worker", "the task itself")
    run = deciding(runs, run, "approve")
    assert run.result == "ok"
    assert model.requests[-1].messages[0] == {"role": "user", "content": "the task itself"}
