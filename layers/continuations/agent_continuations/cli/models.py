"""What this client reads of the API's answers. All else in them is left alone, so that an answer
of a newer service can be read, too. Times stay as they came.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_continuations.cli.exit_codes import ServiceUnavailable

# Who is asked there is a person, and what they say is a decision.
HUMAN_WAIT_KINDS = ("approval", "question", "condition", "doubt")


class ApiModel(BaseModel):
    """Base of what is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Stage(ApiModel):
    """Who is asked together."""

    approvers: tuple[str, ...] = ()
    needed: int = 1
    approved_by: tuple[str, ...] = ()
    open: bool = False


class Wait(ApiModel):
    """One place where a run waits; see `agent_continuations.views.waiting.Waiting`."""

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
    """Tokens."""

    input_tokens: int = 0
    output_tokens: int = 0


class Undelivered(ApiModel):
    """A notice that has not reached somebody."""

    request_id: str
    recipients: tuple[str, ...] = ()
    failure: str = ""
    again_at: str | None = None


class RunSummary(ApiModel):
    """A run in a list."""

    run_id: str
    agent: str
    status: str
    created_at: str = ""
    metadata: dict[str, str] = Field(default={})


class RunPage(ApiModel):
    """Some runs."""

    items: tuple[RunSummary, ...]
    next: str | None = None


class Run(RunSummary):
    """A run."""

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
    """What starting a run, or saying something to it, is answered with."""

    run_id: str


class DecisionResult(ApiModel):
    """What stands after a decision."""

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
    """A line of a timeline."""

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
    """What happened."""

    items: tuple[TimelineEntry, ...]


class Outcome(ApiModel):
    """How a call ended."""

    kind: str
    content: str = ""


class Plan(ApiModel):
    """What a call is."""

    kind: str = "tool"
    tool: str
    arguments: dict[str, Any] = Field(default={})


class Decision(ApiModel):
    """What was decided about a call."""

    verdict: str
    approver: str
    reason: str | None = None
    arguments: dict[str, Any] | None = None
    answer: Any = None


class ApprovalRequest(ApiModel):
    """A request about a call; `arguments` where an approver has changed them."""

    arguments: dict[str, Any] | None = None


class Call(ApiModel):
    """A call of a tool or of an agent."""

    plan: Plan
    approval: ApprovalRequest | None = None
    decision: Decision | None = None
    intent: dict[str, Any] | None = None
    child: "Frame | None" = None
    outcome: Outcome | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """As they run, or would: an approver's, where somebody has changed them."""
        said = self.decision or self.approval
        changed = said.arguments if said else None
        return self.plan.arguments if changed is None else changed


class Message(ApiModel):
    """What somebody said to a run."""

    text: str
    sender: str | None = None


class Turn(ApiModel):
    """A reply of the model and its calls."""

    calls: tuple[Call, ...] = ()
    heard: tuple[Message, ...] = ()


class Frame(ApiModel):
    """An agent at work: the continuation."""

    agent: str
    input: str = ""
    turns: tuple[Turn, ...] = ()
    holds: dict[str, Call] = Field(default={})
    messages: tuple[Message, ...] = ()


ModelType = TypeVar("ModelType", bound=ApiModel)


def parse(model: type[ModelType], document: Any) -> ModelType:
    """An answer, read.

    Raises:
        Unreachable: it is something else.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the answer"
        what = f"the service answers in another form than is known here ({place}: {first['msg']})"
        raise ServiceUnavailable(what) from None
