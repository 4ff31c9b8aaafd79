"""Conversion of tool results to text for the model."""

import json
from typing import Any

from pydantic import BaseModel


def result_text(result: Any) -> str:
    """Converts a tool's result to text: strings unchanged, other values as JSON if possible."""
    if isinstance(result, str):
        text = result
    else:
        try:
            if isinstance(result, BaseModel):
                text = result.model_dump_json()
            else:
                text = json.dumps(result, ensure_ascii=False, default=_to_json_value)
        except Exception:  # noqa: BLE001 - the call succeeded, so this is not a tool failure
            text = repr(result)
    # Lone surrogates have no UTF-8 encoding, which the store and the model require.
    return text.encode("utf-8", "replace").decode("utf-8")


def _to_json_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)
