"""Results as the text that a model reads."""

import json
from typing import Any

from pydantic import BaseModel


def result_text(result: Any) -> str:
    """A tool's result as text: strings as they are, anything else as JSON where it has one."""
    if isinstance(result, str):
        text = result
    else:
        try:
            if isinstance(result, BaseModel):
                text = result.model_dump_json()
            else:
                text = json.dumps(result, ensure_ascii=False, default=_to_json_value)
        except Exception:  # noqa: BLE001 - it did happen, so it must not read as a failure
            text = repr(result)
    # Lone surrogates have no UTF-8 form, so neither the store nor the model could take them.
    return text.encode("utf-8", "replace").decode("utf-8")


def _to_json_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)
