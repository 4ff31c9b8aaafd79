"""API views of the model requests of one agent in a run: what its model was sent and replied."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from agent_continuations.authoring.pricing import PRICES, cost
from agent_continuations.core.continuation import Continuation, Turn
from agent_continuations.core.effects import CallModel, effects
from agent_continuations.core.events import ModelReplied
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.plans import AgentPlan
from agent_continuations.core.replies import Usage
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import LoadedRun
from agent_continuations.core.transcript import Message, request_messages
from agent_continuations.views.base import ApiModel, Rfc3339


class RequestedCall(ApiModel):
    """A tool call as the model wrote it; `arguments` is text that may not be valid JSON."""

    name: str
    arguments: str


class ReplyView(ApiModel):
    """A reply of a model. `fault` and `detail` say why its text was not used as an answer."""

    content: str | None
    tool_calls: tuple[RequestedCall, ...]
    fault: Literal["empty", "length", "content_filter", "output"] | None
    detail: str | None


class ModelRequestView(ApiModel):
    """A request to a model, and its reply.

    Attributes:
        turn: the number of the request and of the turn that it led to, from 0.
        at: when the reply was recorded.
        model: the model's name as its service reported it.
        requested_model: the name that was asked for; null for the deployment's default, and if
            `tools` is null.
        message_count: how many messages the request had.
        offset: the place of the first of `messages` among them; those before it are in earlier
            items.
        messages: messages of the request.
        tools: the tools that were sent; null if they were not recorded.
        settings: further parameters of the request, without `extra_headers`, `extra_query` and
            `extra_body`; null if they were not recorded.
        output: the JSON schema that the answer must match, if there is one.
        reply: the reply; null if there is none yet.
        cost: in US dollars, by the library's list prices; null for a model without a price.
        truncated: whether long texts were cut because the response would have been too large.
    """

    turn: int
    at: Rfc3339 | None
    model: str | None
    requested_model: str | None
    message_count: int
    offset: int
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] | None
    settings: dict[str, Any] | None
    output: dict[str, Any] | None
    reply: ReplyView | None
    usage: Usage
    cost: float | None
    truncated: bool = False


class FrameView(ApiModel):
    """An agent in a run, at the path of the call that started it; the first one's is empty.

    If the call started a run of its own, `run_id` is that run, and the agent's requests are there.
    """

    path: str
    agent: str
    run_id: str | None = None


class ModelRequestPage(ApiModel):
    """The model requests of one agent in a run, oldest first.

    Attributes:
        path: the path of the agent.
        items: each has the messages that the request before it did not have. A request that is too
            large for one page is continued by the first item of the next.
        next: the cursor of the next page.
        usage: the tokens of all replies of this agent, without its sub-agents.
        cost: their cost in US dollars; null if the price of a model is not known.
        frames: the agents of the run, in call order.
        more_frames: how many agents `frames` leaves out.
    """

    run_id: str
    path: str
    agent: str
    items: tuple[ModelRequestView, ...]
    next: str | None
    usage: Usage
    cost: float | None
    frames: tuple[FrameView, ...]
    more_frames: int


class FrameRequests:
    """The model requests of one frame of a run.

    Args:
        loaded: the run.
        path: the path of the frame, which must exist.
    """

    def __init__(self, loaded: LoadedRun, path: Path) -> None:
        self._loaded = loaded
        self._path = path
        self.frame = loaded.continuation.frame_at(path)

    def __len__(self) -> int:
        """The number of requests: one for each reply, and the one that the model gets next."""
        return len(self.frame.turns) + self._calls_model_next

    def profile_digest(self, number: int) -> str | None:
        """The digest of a request's profile; None if it was not recorded."""
        turns = self.frame.turns
        return turns[number].profile if number < len(turns) else None

    def view(
        self, number: int, profile: RequestProfile | None, *, whole: bool = False
    ) -> ModelRequestView:
        """One request.

        Args:
            number: its number.
            profile: its profile, if it was recorded.
            whole: whether all its messages are included, and not only those that it was the first
                to have.
        """
        messages = request_messages(self.frame, number)
        earlier = len(request_messages(self.frame, number - 1)) if number and not whole else 0
        turn = self.frame.turns[number] if number < len(self.frame.turns) else None
        return ModelRequestView(
            turn=number,
            at=self._reply_times.get(number),
            model=turn.reply.model if turn else None,
            requested_model=profile.model if profile else None,
            message_count=len(messages),
            offset=earlier,
            messages=tuple(messages[earlier:]),
            tools=profile.tools if profile else None,
            settings=profile.settings if profile else None,
            output=self.frame.output,
            reply=_reply(turn) if turn else None,
            usage=turn.reply.usage if turn else Usage(),
            cost=_cost([turn]) if turn else None,
        )

    @property
    def usage(self) -> Usage:
        """The tokens of all replies."""
        return sum((turn.reply.usage for turn in self.frame.turns), Usage())

    @property
    def cost(self) -> float | None:
        """The cost of all replies; None if the price of a model is not known."""
        return _cost(self.frame.turns)

    @cached_property
    def _calls_model_next(self) -> bool:
        status = self._loaded.head.status
        if status.ended:
            return False
        return any(
            isinstance(effect, CallModel) and effect.path == self._path
            for effect in effects(self._loaded.continuation)
        )

    @cached_property
    def _reply_times(self) -> dict[int, datetime]:
        path = path_text(self._path)
        return {
            event.turn: event.at
            for event in self._loaded.snapshot.events()
            if isinstance(event, ModelReplied) and event.path == path
        }


def frames(root: Continuation) -> Iterator[FrameView]:
    """The agents of a run, in call order."""
    yield FrameView(path="", agent=root.agent)
    for path, call in root.calls():
        if call.child:
            yield FrameView(path=path_text(path), agent=call.child.agent)
        elif call.child_run and isinstance(call.plan, AgentPlan):
            yield FrameView(path=path_text(path), agent=call.plan.agent, run_id=call.child_run)


def _reply(turn: Turn) -> ReplyView:
    reply = turn.reply
    return ReplyView(
        content=reply.content,
        tool_calls=tuple(
            RequestedCall(name=each.name, arguments=each.arguments) for each in reply.requests
        ),
        fault=reply.fault,
        detail=reply.detail,
    )


def _cost(turns: Sequence[Turn]) -> float | None:
    costs = [cost(turn.reply.usage, turn.reply.model, PRICES) for turn in turns]
    return None if None in costs else sum(each for each in costs if each is not None)
