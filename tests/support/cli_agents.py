"""Agents, and their scripts, that the tests of the command line client run."""

from agent_continuations import Agent, Approval, Stage, call, calls, say, tool
from agent_continuations.adapters.models.scripted import Script
from tests.support.local_harness import (
    ANN,
    BOB,
    ask_anything,
    ask_delivery,
    nap,
    wait_paid,
)

ESC, RLO, CSI = "\x1b", "\u202e", "\x9b"
HOSTILE = f"[bold red]{ESC}[2J{ESC}]8;;http://evil{ESC}\\{RLO}{CSI}31m:smile:[/]"


@tool(approval=Approval([ANN], when=lambda asked: asked.arguments["amount"] > 100))
def transfer(amount: int, to: str) -> str:
    """Transfer money."""
    return f"sent {amount} to {to}"


@tool(approval=Approval(stages=[Stage([ANN, BOB], needed=2)]))
def order(item: str) -> str:
    """Order something."""
    return f"ordered {item}"


CLERK = Agent("clerk", "Pays.", tools=[transfer])
BIG, SMALL = {"amount": 250, "to": "bob"}, {"amount": 50, "to": "eve"}
AGENTS = [
    Agent("talker", "Talk."),
    Agent("office", "Pay.", tools=[CLERK.as_tool(description="Pays.")]),
    Agent("both", "Pay.", tools=[transfer]),
    Agent("buyer", "Buy.", tools=[order]),
    Agent("asker", "Ask.", tools=[ask_anything]),
    Agent("shop", "Ask.", tools=[ask_delivery]),
    Agent("sleeper", "Sleep.", tools=[nap]),
    Agent("waiter", "Wait.", tools=[wait_paid]),
    Agent("broken", "Break."),
    Agent("hostile", "Bite.", tools=[transfer]),
]
SCRIPTS: dict[str, Script] = {
    "talker": [say("hello\nyou"), say("fine")],
    "office": [call("clerk", input="Pay Bob."), say("Paid.")],
    "clerk": [calls(("transfer", SMALL), ("transfer", BIG)), say("Done.")],
    "both": [calls(("transfer", BIG), ("transfer", {**BIG, "to": "carl"})), say("Done.")],
    "buyer": [call("order", item="chairs"), say("Bought.")],
    "asker": [call("ask_anything"), say("Done.")],
    "shop": [call("ask_delivery", order="o-1"), say("Done.")],
    "sleeper": [call("nap", minutes=10), say("awake")],
    "waiter": [call("wait_paid", order="o-1"), say("paid")],
    "broken": [],
    "hostile": [call("transfer", amount=250, to=HOSTILE), say(HOSTILE)],
}
