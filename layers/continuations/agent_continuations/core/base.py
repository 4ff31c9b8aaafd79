"""What every stored value is."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Base of every stored value: frozen, and refusing fields that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
