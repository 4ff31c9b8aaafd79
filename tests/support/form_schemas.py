"""A tool with an argument of each type that forms can show."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Optional

from pydantic import BaseModel, Field, create_model

from agent_continuations import tool

PREFIX = "arguments"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    zip: str = Field(default="1234", pattern=r"^\d{4}$")
    before: Optional["Address"] = None


def schema_of(**members: Any) -> dict[str, Any]:
    made: type[BaseModel] = create_model("Made", **members)
    return made.model_json_schema()


@tool
def pay(
    amount: Annotated[Decimal, Field(gt=0, le=100)],
    to: Address,
    count: int,
    when: date,
    at: datetime,
    colour: Colour,
    reason: str,
    cc: str | None = None,
) -> str:
    """Pay somebody.

    Args:
        amount: in euros.
        to: where they live.
    """
    return f"{amount} {to} {count} {when} {at} {colour} {reason} {cc}"


PAID = pay.validate(
    {
        "amount": "12.50",
        "to": {"street": "Lane 1"},
        "count": 3,
        "when": "2026-11-22",
        "at": "2026-11-22T12:00:00+01:00",
        "colour": "blue",
        "reason": "\nas agreed\r\n",
    }
)
