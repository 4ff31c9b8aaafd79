"""The base of API models, and the format of times."""

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema


def moment(at: datetime) -> str:
    """A time as RFC 3339 text in UTC, always of the same length, so that texts sort by time."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Rfc3339: TypeAlias = Annotated[
    datetime,
    PlainSerializer(moment, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class ApiModel(BaseModel):
    """Base of the API's response models."""

    model_config = ConfigDict(frozen=True)
