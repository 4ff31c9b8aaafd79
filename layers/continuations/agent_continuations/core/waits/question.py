"""A wait for a person's answer."""

from typing import Any, Literal

from typing_extensions import override

from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.path import Path
from agent_continuations.core.waits.base import BaseWait


class QuestionWait(BaseWait):
    """A wait for a person's answer. The request that asks for it has the deadline.

    Attributes:
        answer: the JSON schema, of an object, that the answer must match.
        gate: who is asked, and until when.
    """

    kind: Literal["question"] = "question"
    text: str
    answer: dict[str, Any]
    gate: ApprovalPolicy

    @override
    def awaits(self, path: Path) -> None:
        """Nothing: the request for the answer is awaited."""
        return

    @property
    @override
    def deadline(self) -> None:
        """None: the request has one."""
        return

    @override
    def details(self) -> dict[str, Any]:
        """The schema of the answer."""
        return {"answer_schema": self.answer}
