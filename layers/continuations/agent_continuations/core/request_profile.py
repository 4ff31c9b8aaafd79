"""What a model request holds besides its messages: the model, the tools and the settings.

Tools and settings come from the code that is deployed at the moment of the request. Most requests
of an agent have the same ones, so they are stored once, and each turn names them by their digest.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from agent_continuations.core.base import FrozenModel

# Settings that may hold secrets, such as the key of a gateway before the model service.
SECRET_SETTINGS = ("extra_headers", "extra_query", "extra_body")


class RequestProfile(FrozenModel):
    """The part of a model request that is not its messages, without what may be secret.

    Attributes:
        model: the name that was asked for; None for the deployment's default.
        tools: the tools as they were sent.
        settings: further parameters of the request.
    """

    model: str | None
    tools: tuple[dict[str, Any], ...]
    settings: dict[str, Any]

    @classmethod
    def of(
        cls, model: str | None, tools: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
    ) -> "RequestProfile":
        """The profile of a request. Values of settings that JSON cannot hold become a name."""
        return cls(
            model=_as_json(model),
            tools=tuple(_as_json(dict(each)) for each in tools),
            settings={
                name: _as_json(value)
                for name, value in settings.items()
                if name not in SECRET_SETTINGS
            },
        )

    @property
    def digest(self) -> str:
        """The key that the profile is stored under: a hash of its text, 32 hex characters."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:32]


def _as_json(value: Any) -> Any:
    """A value as it is after a way through JSON; `<Timeout>` for an object of that class."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=_class_name)
        return json.loads(text.encode(errors="replace"), parse_constant=str)
    except (TypeError, ValueError, RecursionError):
        return _class_name(value)


def _class_name(value: Any) -> str:
    return f"<{type(value).__name__}>"
