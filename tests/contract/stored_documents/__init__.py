"""Documents of whole runs as each form of the code wrote them: `<form>.json`, never changed.

    python -m tests.contract.stored_documents

writes the file of the present form, unless it exists. Do so after you have raised `DOCUMENT_FORM`,
and keep the other files. Forms 1 to 3 hold less, and are in the files of `stored_forms`.
"""

from collections.abc import Sequence
from pathlib import Path

from agent_continuations import (
    Agent,
    Approval,
    LocalRunner,
    ScriptedModel,
    Sleep,
    Stage,
    call,
    calls,
    say,
    tool,
)
from tests.contract.stored_forms import ANN, NOW, SEAL

HERE = Path(__file__).parent
BOB = "bob@example.com"
CFO = "cfo@example.com"


@tool(approval=Approval(stages=[Stage([ANN]), Stage([BOB, CFO])], timeout_seconds=30 * 24 * 3600))
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="read")
def nap() -> Sleep:
    """Wait."""
    return Sleep(seconds=60)


def agents() -> Sequence[Agent]:
    """The agents that were deployed when the files were written, and still are."""
    clerk = Agent("clerk", "Pay.", tools=[pay])
    apart = clerk.as_tool(name="apart", description="Have a clerk work.", spawn=True)
    return [Agent("boss", "Have it paid.", tools=[apart, nap])]


def new_runner() -> LocalRunner:
    """A runner with an empty store."""
    scripts = {
        "boss": [calls(("apart", {"input": "pay"}), ("nap", {})), say("all done")],
        "clerk": [call("pay", amount=7), say("paid")],
    }
    return LocalRunner(agents(), ScriptedModel(scripts), signing_key=SEAL, clock=lambda: NOW)


def new_document() -> str:
    """A paused run whose requester may not approve, with an event, a message, and a child run that
    has the first of two approvals.
    """
    runner = new_runner()
    run = runner.start("boss", "by document", key="document", requester=CFO)
    [request] = [each for each in run.waiting if each.kind == "approval"]
    runner.decide(run.run_id, request.request_id, "approve", approver=ANN)
    runner.signal(run.run_id, "early", {"sum": 3})
    runner.message(run.run_id, "hurry")
    runner.pause(run.run_id)
    return runner.dump(run.run_id)
