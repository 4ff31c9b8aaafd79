"""The texts of a new agent's files."""

from string import Template

AGENT = Template('''\
"""The agent $NAME, which refunds orders.

A starting point: replace its tools and instructions with your own.
"""

from agent_continuations import Agent, Approval, tool

ORDERS = {"o-1001": 49, "o-1002": 250}


@tool(effect="read")
def order_total(order_id: str) -> int:
    """Look up the total of an order, in euros.

    Args:
        order_id: the id of the order, such as o-1001.
    """
    return ORDERS[order_id]


@tool(approval=Approval(["approver@example.com"]))
def refund(order_id: str, euros: int) -> str:
    """Refund an order.

    Args:
        order_id: the id of the order.
        euros: the amount, at most the total of the order.
    """
    return f"refunded {euros} euros for order {order_id}"


$NAME = Agent(
    "$NAME",
    "You are the agent $NAME. You refund orders."
    " Look up the total of an order first, and never refund more.",
    tools=[order_total, refund],
)
''')

SCRIPT_VALUE = """\
[
    call("order_total", order_id="o-1001"),
    call("refund", order_id="o-1001", euros=49),
    say("Order o-1001 is taken care of."),
]"""

SCRIPT_WORDS = ("call", "say")

SCRIPT = '''\
"""Scripted replies of the agents, for their tests and for `make run` without a model key."""

from agent_continuations import call, say

SCRIPT = {}
'''

AGENTS = '''\
"""Your agents, one file each; the agents in `AGENTS` can be started by name."""

AGENTS = []
'''

INPUT = "Refund order o-1001."

# IMPORTS are those of the agent and of SCRIPT; LEVELS says how far above the test they are found.
TEST = Template('''\
"""The agent $NAME, played by its script."""

import sys
from pathlib import Path

from agent_continuations import LocalRunner, ScriptedModel

sys.path.insert(0, str(Path(__file__).parents[$LEVELS]))

$IMPORTS


def test_a_refund_waits_for_approval_and_then_completes() -> None:
    runner = LocalRunner([$NAME], ScriptedModel(SCRIPT))

    run = runner.start("$NAME", "$INPUT")
    assert run.status == "suspended"
    [request] = run.waiting
    assert (request.kind, request.tool) == ("approval", "refund")
    assert request.arguments == {"order_id": "o-1001", "euros": 49}
    assert request.approvers == ("approver@example.com",)

    run = runner.decide(run.run_id, request.request_id, "approve")
    assert run.status == "completed"
    assert run.result == "Order o-1001 is taken care of."
''')

# Names that these files use, or that the folder's own modules have.
RESERVED = frozenset(
    {
        *("Agent", "Approval", "LocalRunner", "Path", "ScriptedModel", "call", "say", "tool"),
        *("AGENTS", "MODELS", "ORDERS", "SCRIPT", "order_total", "refund"),
        *("runner", "run", "request", "test_a_refund_waits_for_approval_and_then_completes"),
        *("agent_continuations", "agents", "conftest", "pytest", "script", "tests"),
    }
)
