"""Delivery of an order: an example of all waits other than approvals.

The agent asks the buyer for a day (question), waits for the goods (event), books a truck that the
carrier confirms later (job), and starts a child run for each parcel. After twenty model replies an
operator decides whether the run continues (condition).
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from agent_continuations import (
    Agent,
    Approval,
    EveryTurns,
    Job,
    Pending,
    Question,
    Sleep,
    ToolContext,
    WaitFor,
    tool,
)

DAY = 24 * 3600
BOOKING = timedelta(seconds=90)


class Delivery(BaseModel):
    """When and where a buyer wants an order."""

    day: date = Field(description="When you are there.")
    floor: int = Field(default=0, ge=0, le=40, description="0 is the ground floor.")
    lift: bool = Field(default=True, description="Whether there is a lift.")


@tool(effect="read", answer=Delivery)
def ask_buyer(order: str) -> Question:
    """Ask the buyer when an order shall be delivered, and to which floor.

    Args:
        order: the order's number.
    """
    return Question(
        f"When shall we deliver the order {order}, and to which floor?",
        ask=["buyer@example.com"],
        timeout_seconds=3 * DAY,
        remind_after_seconds=[DAY],
    )


@tool(effect="read")
def await_goods(order: str) -> WaitFor:
    """Wait until the goods of an order are in the warehouse.

    Args:
        order: the order's number.
    """
    return WaitFor("goods-arrived", correlation=order, timeout_seconds=30 * DAY)


def _booked(handle: Any, _context: ToolContext) -> Pending | str:
    """Polls the carrier, whose bookings take 90 seconds in this example."""
    if datetime.now(UTC) < datetime.fromisoformat(handle["ready_at"]):
        return Pending()
    return f"The truck {handle['booking']} is booked."


@tool(effect="idempotent", poll=_booked)
def book_truck(order: str, context: ToolContext) -> Job:
    """Book a truck for an order. The carrier confirms it later.

    Args:
        order: the order's number.
    """
    # A carrier with callbacks would get `context.callback_url`, and no poll would be needed.
    handle = {
        "booking": f"t-{order}-{context.idempotency_key[:8]}",
        "ready_at": (datetime.now(UTC) + BOOKING).isoformat(),
    }
    return Job(handle, timeout_seconds=DAY, poll_seconds=60)


@tool(effect="read")
def rest(minutes: int) -> Sleep:
    """Wait for some minutes.

    Args:
        minutes: how many.
    """
    return Sleep(seconds=60 * minutes)


@tool(effect="idempotent")
def hand_over(parcel: str, context: ToolContext) -> str:
    """Hand a parcel over to the driver.

    Args:
        parcel: the parcel's number.
    """
    return f"The parcel {parcel} is on its way (receipt {context.idempotency_key[:8]})."


courier = Agent(
    name="courier",
    instructions="You bring one parcel on its way: hand it over, and report.",
    tools=[hand_over],
)

logistics = Agent(
    name="logistics",
    instructions=(
        "You bring orders to their buyers. Ask the buyer for a day and wait for the goods, both at"
        " once; then book a truck, and have a courier take each parcel. Then report."
    ),
    tools=[
        ask_buyer,
        await_goods,
        book_truck,
        rest,
        courier.as_tool(description="Brings one parcel on its way.", spawn=True),
    ],
    conditions=[EveryTurns(limit=20, scope="run", approval=Approval(["operator@example.com"]))],
)
