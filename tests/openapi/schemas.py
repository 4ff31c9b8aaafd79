"""The schemas of the document, from the models of the code."""

from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import DataclassField, ModelField, TypedDictField

from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import Continuation
from agent_continuations.handlers.problems import Problem
from agent_continuations.services.audit import Audit
from agent_continuations.views.agent import AgentPage
from agent_continuations.views.decision import DecisionResultView
from agent_continuations.views.grant import GrantPage, GrantView
from agent_continuations.views.model_requests import ModelRequestPage
from agent_continuations.views.run import (
    Accepted,
    CompletedView,
    MessageView,
    RunPage,
    RunView,
    SignalView,
    Summary,
)
from agent_continuations.views.timeline import Timeline
from approvals_api import form_parsing, inbox_page
from callbacks import app as callbacks
from runs_api import schemas as bodies
from signin import app as signin

_REFERENCE = "#/components/schemas/{model}"


class _Shown(GenerateJsonSchema):
    """Schemas of responses, in which every field is required, with or without a default."""

    def field_is_required(
        self, field: ModelField | DataclassField | TypedDictField, total: bool
    ) -> bool:
        whole = field["type"] == "model-field" and self.mode == "serialization"
        return whole or super().field_is_required(field, total)


# In `validation` mode fields with a default are optional: in requests, and where None is omitted.
_MODELS: list[tuple[Any, Literal["validation", "serialization"]]] = [
    (bodies.Start, "validation"),
    (bodies.Decide, "validation"),
    (bodies.Say, "validation"),
    (bodies.Happen, "validation"),
    (callbacks.Callback, "validation"),
    (CompletedView, "serialization"),
    (MessageView, "serialization"),
    (SignalView, "serialization"),
    (Accepted, "serialization"),
    (RunPage, "serialization"),
    (Summary, "serialization"),
    (RunView, "serialization"),
    (Continuation, "serialization"),
    (Timeline, "serialization"),
    (Audit, "serialization"),
    (ModelRequestPage, "serialization"),
    (DecisionResultView, "validation"),
    (AgentPage, "serialization"),
    (GrantView, "validation"),
    (GrantPage, "validation"),
    (Problem, "validation"),
    (signin.Me, "serialization"),
    (inbox_page.Done, "serialization"),
]


def components() -> dict[str, Any]:
    """All schemas by name."""
    inputs = [(model.__name__, mode, TypeAdapter(model)) for model, mode in _MODELS]
    _, made = TypeAdapter.json_schemas(inputs, ref_template=_REFERENCE, schema_generator=_Shown)
    schemas: dict[str, Any] = dict(made["$defs"])
    return {**schemas, **_forms()}


def _forms() -> dict[str, Any]:
    """The forms of pages. No model parses them; a test compares them with the known fields."""
    text = {"type": "string"}
    reason = {"type": "string", "maxLength": form_parsing.MAX_REASON_CHARACTERS}
    verdicts = [each.value for each in Verdict]
    answer = {
        "decision": {"enum": [*verdicts, "withdraw", "reassign"]},
        "reason": reason,
        "arguments": {"type": "string", "description": "a JSON object that replaces the arguments"},
        "arguments_hash": {"type": "string", "description": "of the arguments that were shown"},
        "to": {"type": "string", "description": "the address to reassign it to"},
        "nonce": {"type": "string", "description": "the page's CSRF nonce; required from browsers"},
    }
    pick = {"type": "string", "pattern": "^[^/]+/[^/]+/[^/]+$"}
    inbox = {
        "pick": {"type": "array", "items": pick, "description": "run/request/arguments_hash"},
        "decision": {"enum": verdicts},
        "reason": reason,
        "revoke": {
            "type": "string",
            "description": "the id of a standing approval to revoke, instead of an answer",
        },
        "nonce": text,
    }
    return {
        "AnswerForm": {
            "type": "object",
            "properties": answer,
            "patternProperties": {r"^(arguments|grant)\.": text},
            "additionalProperties": False,
            "required": ["decision"],
        },
        "InboxForm": {"type": "object", "properties": inbox, "additionalProperties": False},
    }
