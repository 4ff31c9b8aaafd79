"""What is shown to the outside is made of this."""

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema


def moment(at: datetime) -> str:
    """A time in RFC 3339, UTC, always of the same length, so that texts sort like times."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Rfc3339: TypeAlias = Annotated[
    datetime,
    PlainSerializer(moment, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class ApiModel(BaseModel):
    """Base of what is shown."""

    model_config = ConfigDict(frozen=True)
