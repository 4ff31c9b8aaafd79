"""The modal that asks for a reason before a decision is recorded."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from agent_continuations.adapters.channels.slack.blocks import (
    RequestRef,
    plain_text,
    section,
)
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.views.labels import REQUESTS

MAX_REASON_CHARACTERS = 3000
MAX_TITLE_CHARACTERS = 24
MAX_LABEL_CHARACTERS = 2000
REASON = "reason"


class ReasonDialog(BaseModel):
    """State that Slack keeps with an open modal: the decision, and the message it was made at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: RequestRef
    verdict: Verdict
    channel: str
    message: str


def dialog(reason_dialog: ReasonDialog, tool: str) -> dict[str, Any]:
    """A modal that asks for a reason."""
    labels = REQUESTS[reason_dialog.asked.kind]
    verdict = labels.verdicts[reason_dialog.verdict]
    return {
        "type": "modal",
        "callback_id": "decide",
        "private_metadata": reason_dialog.model_dump_json(),
        "title": plain_text(verdict, MAX_TITLE_CHARACTERS),
        "submit": plain_text(verdict, MAX_TITLE_CHARACTERS),
        "close": plain_text("Cancel", MAX_TITLE_CHARACTERS),
        "blocks": [
            section(f"{tool}: {verdict}"),
            {
                "type": "input",
                "block_id": REASON,
                "optional": True,
                "label": plain_text(labels.reason, MAX_LABEL_CHARACTERS),
                "hint": plain_text(labels.reason_reader.capitalize(), MAX_LABEL_CHARACTERS),
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON,
                    "multiline": True,
                    "max_length": MAX_REASON_CHARACTERS,
                },
            },
        ],
    }
