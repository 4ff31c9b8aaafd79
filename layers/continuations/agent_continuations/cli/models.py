"""Models of the API responses that this client reads.

Unknown fields are ignored, so that responses of newer services can be read. Times stay strings.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_continuations.cli.exit_codes import ServiceUnavailable
from agent_continuations.core.awaiting import REQUEST_KINDS

# Kinds of waits that a person ends by a decision.
HUMAN_WAIT_KINDS = REQUEST_KINDS


class ApiModel(BaseModel):
    """Base of the response models."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Stage(ApiModel):
    """Stage of an approval: approvers who are asked together."""

    approvers: tuple[str, ...] = ()
    needed: int = 1
    approved_by: tuple[str, ...] = ()
    open: bool = False


class Wait(ApiModel):
    """One wait of a run; see `agent_continuations.views.waiting.Waiting`."""

    request_id: str
    kind: str
    path: str = ""
    agents: tuple[str, ...] = ()
    tool: str | None = None
    arguments: dict[str, Any] | None = None
    arguments_hash: str | None = None
    approvers: tuple[str, ...] | None = None
    expires_at: str | None = None
    message: str = ""
    stages: tuple[Stage, ...] | None = None
    risk: str | None = None
    preview: str | None = None
    answer_schema: dict[str, Any] | None = None
    event: str | None = None
    correlation: str | None = None


class Usage(ApiModel):
    """Token counts."""

    input_tokens: int = 0
    output_tokens: int = 0


class Undelivered(ApiModel):
    """Notification with undelivered recipients."""

    request_id: str
    recipients: tuple[str, ...] = ()
    failure: str = ""
    again_at: str | None = None


class RunSummary(ApiModel):
    """Run in a list."""

    run_id: str
    agent: str
    status: str
    created_at: str = ""
    metadata: dict[str, str] = Field(default={})


class RunPage(ApiModel):
    """Page of a list of runs."""

    items: tuple[RunSummary, ...]
    next: str | None = None


class Run(RunSummary):
    """Run with its waits."""

    updated_at: str
    result: str | None = None
    error: str | None = None
    waiting: tuple[Wait, ...] = ()
    usage: Usage = Usage()
    turns: int = 0
    undelivered: tuple[Undelivered, ...] = ()
    paused: bool = False
    parent: str | None = None


class Accepted(ApiModel):
    """Response to starting a run, sending a message or sending an event."""

    run_id: str


class DecisionResult(ApiModel):
    """State of a request after a decision."""

    run_id: str
    request_id: str
    decision: str
    approver: str
    reason: str | None = None
    arguments: dict[str, Any] | None = None
    answer: Any = None
    open: bool | None = None
    stages: tuple[Stage, ...] | None = None


class TimelineEntry(ApiModel):
    """Entry of a timeline."""

    at: str
    kind: str
    path: str = ""
    agent: str = ""
    text: str = ""
    tool: str | None = None
    request_id: str | None = None
    approver: str | None = None
    decided_by: str | None = None
    reason: str | None = None


class Timeline(ApiModel):
    """Timeline of a run."""

    items: tuple[TimelineEntry, ...]


class RequestedCall(ApiModel):
    """Tool call as a model wrote it."""

    name: str
    arguments: str = ""


class ChatCall(ApiModel):
    """Tool call in a message to a model."""

    function: RequestedCall


class ChatMessage(ApiModel):
    """Message to a model, as in the Chat Completions API."""

    role: str
    content: str | None = None
    tool_call_id: str | None = None
    tool_calls: tuple[ChatCall, ...] = ()


class Reply(ApiModel):
    """Reply of a model."""

    content: str | None = None
    tool_calls: tuple[RequestedCall, ...] = ()
    fault: str | None = None
    detail: str | None = None


class ModelRequest(ApiModel):
    """Request to a model; see `agent_continuations.views.model_requests.ModelRequestView`."""

    turn: int
    at: str | None = None
    model: str | None = None
    requested_model: str | None = None
    messages: tuple[ChatMessage, ...] = ()
    tools: tuple[dict[str, Any], ...] | None = None
    settings: dict[str, Any] | None = None
    reply: Reply | None = None
    usage: Usage = Usage()
    cost: float | None = None
    truncated: bool = False


class FrameSummary(ApiModel):
    """Agent of a run; with `run_id`, in a run of its own."""

    path: str
    agent: str
    run_id: str | None = None


class ModelRequestPage(ApiModel):
    """Page of the model requests of one agent."""

    path: str
    items: tuple[ModelRequest, ...]
    next: str | None = None
    frames: tuple[FrameSummary, ...] = ()


class Outcome(ApiModel):
    """Outcome of a call."""

    kind: str
    content: str = ""


class Plan(ApiModel):
    """Planned call."""

    kind: str = "tool"
    tool: str
    arguments: dict[str, Any] = Field(default={})


class Decision(ApiModel):
    """Decision about a call."""

    verdict: str
    approver: str
    reason: str | None = None
    arguments: dict[str, Any] | None = None
    answer: Any = None


class ApprovalRequest(ApiModel):
    """Approval request of a call; `arguments` is set if an approver edited them."""

    arguments: dict[str, Any] | None = None


class Call(ApiModel):
    """Call of a tool or an agent."""

    plan: Plan
    approval: ApprovalRequest | None = None
    decision: Decision | None = None
    intent: dict[str, Any] | None = None
    child: "Frame | None" = None
    outcome: Outcome | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The effective arguments: those edited by an approver, or else the planned ones."""
        source = self.decision or self.approval
        edited = source.arguments if source else None
        return self.plan.arguments if edited is None else edited


class Message(ApiModel):
    """Message to a run."""

    text: str
    sender: str | None = None


class Turn(ApiModel):
    """Model reply and its calls."""

    calls: tuple[Call, ...] = ()
    heard: tuple[Message, ...] = ()


class Frame(ApiModel):
    """Continuation of one agent."""

    agent: str
    input: str = ""
    turns: tuple[Turn, ...] = ()
    holds: dict[str, Call] = Field(default={})
    messages: tuple[Message, ...] = ()


ModelType = TypeVar("ModelType", bound=BaseModel)


def parse(model: type[ModelType], document: Any) -> ModelType:
    """Parses a response.

    Raises:
        ServiceUnavailable: the response does not match the model.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "document"
        message = f"unexpected response from the service ({field}: {first['msg']})"
        raise ServiceUnavailable(message) from None
