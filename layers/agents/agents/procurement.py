"""Procurement with approvals in stages, and with a group.

Orders need the approval of the team lead, and then, if they are large, of the CFO and the
auditors. Contracts need the approval of a signed-in member of the legal group.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from agent_continuations import (
    Agent,
    Approval,
    Escalation,
    Preview,
    Stage,
    ToolCall,
    ToolContext,
    tool,
)

HOUR = 3600


def _is_large(call: ToolCall) -> bool:
    return bool(call.arguments["amount"] > 1000)


def _order_preview(arguments: Mapping[str, Any]) -> Preview:
    speed = "by express" if arguments["express"] else "by ordinary post"
    effect = (
        f"Orders {arguments['item']} from {arguments['supplier']} for {arguments['amount']} euros,"
        f" delivered {speed}."
    )
    return Preview(effect=effect, reversible=True)


@tool(
    preview=_order_preview,
    approval=Approval(
        stages=[
            Stage(["lead@example.com"]),
            Stage(["cfo@example.com", "audit@example.com"], needed="all", when=_is_large),
        ],
        timeout_seconds=72 * HOUR,
        remind_after_seconds=[24 * HOUR, 48 * HOUR],
        escalations=[Escalation(approvers=("ceo@example.com",), timeout_seconds=24 * HOUR)],
        grant_seconds=8 * HOUR,
    ),
)
def order(
    item: str,
    amount: Annotated[int, Field(gt=0)],
    supplier: Literal["acme", "globex", "initech"],
    context: ToolContext,
    express: bool = False,
) -> str:
    """Order something. The supplier takes it back within two weeks.

    Args:
        item: what to buy.
        amount: euros.
        supplier: who sells it.
        express: whether it is delivered the next day.
    """
    speed = "express" if express else "ordinary"
    reference = context.idempotency_key[:8]
    return f"Ordered {item} from {supplier} for {amount} euros, {speed} (order {reference})."


@tool(
    preview=lambda arguments: Preview(
        effect=f"Binds the company to {arguments['supplier']} for {arguments['years']} years.",
        reversible=False,
    ),
    approval=Approval(["group:legal"], risk="high", on_deadline="fail"),
)
def sign_contract(supplier: str, years: Annotated[int, Field(gt=0)]) -> str:
    """Sign a contract. It cannot be taken back.

    Args:
        supplier: with whom.
        years: for how long.
    """
    return f"The contract with {supplier} for {years} years is signed."


procurement = Agent(
    name="procurement",
    instructions="You buy what the company needs, and sign contracts where you are told to.",
    tools=[order, sign_contract],
)
