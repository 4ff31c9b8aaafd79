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
        """The profile of a request. Values that JSON cannot hold become a name."""
        return cls(
            model=model,
            tools=tuple(_as_json(dict(each)) for each in tools),
            settings={
                name: _as_json(value)
                for name, value in settings.items()
                if name not in SECRET_SETTINGS
            },
        )

    @property
    def document(self) -> bytes:
        """The stored form: JSON in UTF-8, with all names in the order in which they were sent."""
        fields = {"model": self.model, "tools": self.tools, "settings": self.settings}
        return _dumped(fields)

    @property
    def digest(self) -> str:
        """The key that the profile is stored under: a hash of `document`, 32 hex characters."""
        return sha256(self.document).hexdigest()[:32]

    @classmethod
    def read(cls, document: str | bytes) -> "RequestProfile":
        """The profile in a document.

        Raises:
            ValueError: it is none.
        """
        return cls.model_validate_json(document)


def _as_json(value: Any) -> Any:
    """A value as it is after a way through JSON; `<Timeout>` for an object of that class."""
    try:
        return json.loads(_dumped(value), parse_constant=str)
    except (TypeError, ValueError, RecursionError):
        return _class_name(value)


def _dumped(value: Any) -> bytes:
    """JSON, with `?` for half a surrogate pair, which UTF-8 cannot hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_class_name)
    return text.encode(errors="replace")


def _class_name(value: Any) -> str:
    return f"<{type(value).__name__}>"
