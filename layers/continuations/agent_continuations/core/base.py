"""The base of all stored values."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Base of every stored value: immutable, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
