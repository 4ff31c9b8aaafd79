"""Payments by three levels of agents: the treasury, its clerk, and a worker for each order.

Transfers above 100 euros and the deletion of an account need approval. Several requests can be
open at the same time. What moves money runs in a function of its own, with rights of its own.
"""

from typing import Annotated

from pydantic import Field

from agent_continuations import Agent, Approval, ToolContext, tool

BALANCES = {"ops": 12_000, "reserve": 90_000, "old-vendor": 0}


@tool(effect="read")
def balance(account: str) -> int:
    """The balance of an account, in euros.

    Args:
        account: the account's name.
    """
    return BALANCES[account]


@tool(
    approval=Approval(
        approvers=["cfo@example.com"], when=lambda call: call.arguments["amount"] > 100
    ),
    host="payments",
)
def transfer(amount: Annotated[int, Field(gt=0)], to: str, context: ToolContext) -> str:
    """Transfer money. It cannot be taken back.

    Args:
        amount: euros.
        to: the receiving account.
    """
    return f"Transferred {amount} euros to {to} (order {context.idempotency_key[:8]})."


@tool(approval=Approval(approvers=["cfo@example.com", "audit@example.com"]), host="payments")
def delete_account(account: str) -> str:
    """Delete an account for good.

    Args:
        account: the account's name.
    """
    return f"The account {account} is deleted."


payment_worker = Agent(
    name="payment_worker",
    instructions="You carry out one order: look at the balance, then make the transfer.",
    tools=[balance, transfer],
)

closing_worker = Agent(
    name="closing_worker",
    instructions="You close one account: look at the balance, then delete it if it is empty.",
    tools=[balance, delete_account],
)

clerk = Agent(
    name="clerk",
    instructions="You split a request into orders and give each to the right worker, all at once.",
    tools=[
        payment_worker.as_tool(description="Makes one transfer."),
        closing_worker.as_tool(description="Closes one account."),
    ],
)

treasury = Agent(
    name="treasury",
    instructions="You answer for the company's money. Have the clerk do what is asked; report.",
    tools=[clerk.as_tool(description="Carries out transfers and closings.")],
)
