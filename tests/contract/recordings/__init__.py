"""A recorded run in each form of the document. Earlier files are never changed.

`python -m tests.contract.recordings` writes the file of today's form; with a name, such as
`requests`, the file `1-requests.json` for a field that was added to the form.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent_continuations import (
    Agent,
    Approval,
    EveryTurns,
    LocalRunner,
    Question,
    Reply,
    ScriptedModel,
    Sleep,
    Stage,
    ToolRequest,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.views.recording import Recording

HERE = Path(__file__).parent
ANN, BOB = "ann@example.com", "bob@example.com"


@tool(effect="read")
def balance(account: str) -> int:
    """The balance of an account."""
    return 12_000


@tool(
    approval=Approval(
        stages=[Stage([ANN]), Stage([BOB], when=lambda call: call.arguments["amount"] > 1000)],
        when=lambda call: call.arguments["amount"] > 100,
    ),
    preview=lambda found: f"Pays {found['amount']} euros.",
)
def transfer(amount: int, to: str = "bob") -> str:
    """Transfer money."""
    return f"sent {amount} to {to}"


@tool(effect="read")
def ask_account() -> Question:
    """Ask for the account."""
    return Question("Which account?", ask=[ANN])


@tool(effect="read")
def nap(minutes: int) -> Sleep:
    """Wait."""
    return Sleep(seconds=60 * minutes)


CLERK = Agent("clerk", "You pay.", tools=[balance, ask_account, transfer])
AUDITOR = Agent("auditor", "You check.", tools=[balance, nap])
AGENTS = [
    Agent(
        "manager",
        "You run the office.",
        tools=[
            CLERK.as_tool(description="Pays."),
            AUDITOR.as_tool(description="Checks.", spawn=True),
        ],
        conditions=[EveryTurns(limit=1, approval=Approval([ANN]))],
    )
]
SCRIPT = {
    "manager": [
        calls(("clerk", {"input": "Pay Bob."}), ("auditor", {"input": "Check."})),
        say("Bob is paid."),
        say("You are welcome."),
    ],
    "clerk": [
        Reply(fault="empty"),
        calls(("balance", {"account": "a-1"}), ("ask_account", {}), content="I look."),
        call("transfer", amount=250, to="bob"),
        calls(("transfer", {"amount": 50}), ("transfer", {"amount": 2000}), ("gone", {})),
        Reply(requests=(ToolRequest(name="transfer", arguments="[]"),)),
        say("Done. ✓"),
    ],
    "auditor": [call("nap", minutes=5), call("balance", account="a-1"), say("All is well.")],
}


def recorded() -> Recording:
    """A run with all that a recording can hold: answers of people, waits, a child run."""
    times = ticks(datetime(2026, 11, 27, 12, 0, tzinfo=UTC))
    runner = LocalRunner(AGENTS, ScriptedModel(SCRIPT), clock=lambda: next(times))
    run_id = runner.start("manager", "Pay Bob.", key="recording").run_id
    answers: list[tuple[str, dict[str, Any]]] = [
        ("reject", {"approver": ANN, "reason": "Too much."}),
        ("approve", {"approver": ANN, "arguments": {"amount": 1500, "to": "bob"}}),
        ("approve", {"approver": BOB}),
    ]
    runner.answer(run_id, asked(runner, run_id, "question"), "a-1")
    for decision, more in answers:
        runner.decide(run_id, asked(runner, run_id, "approval"), decision, **more)
    [child] = runner.record(run_id).children
    while runner.advance(child).result is None:
        pass
    runner.advance(run_id)
    approve_condition(runner, run_id)
    runner.message(run_id, "Thank you!")
    approve_condition(runner, run_id)
    return runner.record(run_id)


def asked(runner: LocalRunner, run_id: str, kind: str) -> str:
    """The open request of a kind."""
    [request] = [each for each in runner.get(run_id).waiting if each.kind == kind]
    return request.request_id


def approve_condition(runner: LocalRunner, run_id: str) -> None:
    runner.decide(run_id, asked(runner, run_id, "condition"), "approve")


def ticks(start: datetime) -> Iterator[datetime]:
    """Each time is a second after the one before."""
    while True:
        start += timedelta(seconds=1)
        yield start
