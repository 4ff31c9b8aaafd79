"""The transcript: the `messages` array of a model request, derived from a frame's turns.

Its shape is that of the Chat Completions API, which every OpenAI-compatible server accepts.
Call ids of a provider repeat across turns and replies, so each call's id is made from its path.
"""

import json
import re
from typing import Any, TypeAlias
from weakref import ref

from agent_continuations.core.approvals.request import Decision
from agent_continuations.core.continuation import Call, Continuation, Turn
from agent_continuations.core.inbound import Message as InboundMessage
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.plans import RefusedPlan
from agent_continuations.core.replies import Reply, ToolRequest

Message: TypeAlias = dict[str, Any]

# Chat Completions servers refuse longer strings; the whole result stays in the store.
MAX_CONTENT_CHARACTERS = 8_000_000

_FAULT_TEXT = {
    "empty": "Your reply was empty. Call a tool, or answer in words.",
    "length": "Your reply was cut off at the length limit, so it was not used. Be shorter.",
    "content_filter": "Your reply was withheld by the content filter. Answer differently.",
    "output": "Your answer does not fit its JSON schema. Give it again, as JSON and nothing else.",
}
MAX_FAULT_CHARACTERS = 4000


def chat_messages(frame: Continuation) -> list[Message]:
    """The conversation that the frame's model continues, with a result for each of its calls.

    Raises:
        ValueError: a call of the last turn has no outcome yet.
    """
    messages: list[Message] = []
    if frame.instructions:
        messages.append({"role": "system", "content": frame.instructions})
    messages.append({"role": "user", "content": frame.input})
    for number, turn in enumerate(frame.turns):
        messages.extend(_cached_turn(number, turn))
    messages.extend(map(_user_message, frame.messages))
    return messages


def request_messages(frame: Continuation, number: int) -> list[Message]:
    """The messages of the frame's request with this number, the one that turn `number` answers.

    They are made as they were for the request itself, from the frame as it was then. Each request
    begins with the messages of the one before. The number after the last turn is that of the
    request which comes next.

    Raises:
        ValueError: a call of the turn before has no outcome yet.
    """
    if number < len(frame.turns):
        past = {"turns": frame.turns[:number], "messages": frame.turns[number].heard}
        frame = frame.model_copy(update=past)
    return chat_messages(frame)


_REJECTED_TEXT = {
    "approval": "A person rejected this call, so it was not made. Do not repeat it as it is;"
    " take the reason into account or say what you could not do.",
    "question": "There is no answer to this question.",
}


def rejected_text(decision: Decision, call: Call) -> str:
    """The text for the model in place of the result of a rejected call or unanswered question.

    For a condition it is the reason why the agent was stopped, which its caller's model sees.
    """
    if call.asks == "condition":
        why = f": {decision.reason}" if decision.reason else ""
        return f"stopped by {decision.approver} at the condition {call.plan.tool}{why}"
    message = _REJECTED_TEXT[call.asks]
    return _json({"status": "rejected", "reason": decision.reason, "message": message})


def answered_text(decision: Decision) -> str:
    """The result of a call that asked people a question."""
    answer = decision.answer
    return answer if isinstance(answer, str) else _json(answer)


def happened_text(decision: Decision) -> str:
    """The result of a call in doubt that happened, according to a person."""
    return _json(
        {
            "status": "happened",
            "note": decision.reason,
            "message": "The tool's own answer was lost. A person checked, and the call did happen.",
        }
    )


# The messages of each turn, by the turn's number and identity. Without this cache, a run would
# render all its turns again for each model call, in time that grows with their square.
#
# Module-level state is safe here. A turn is frozen, so its messages never become stale. The key
# holds an `id`, which Python may reuse, so an entry counts only if its weak reference is to the
# very same turn; and the entry is removed when the turn is collected, so the cache cannot outgrow
# the loaded runs. Reads and writes are single dict operations, which threads may interleave: at
# worst, two threads render the same messages. No reader changes the lists that it is given.
_turn_cache: dict[tuple[int, int], tuple[ref[Turn], list[Message]]] = {}


def _cached_turn(number: int, turn: Turn) -> list[Message]:
    key = (number, id(turn))
    cached = _turn_cache.get(key)
    if cached and cached[0]() is turn:
        return cached[1]
    messages = _turn_messages(number, turn)
    _turn_cache[key] = (ref(turn, lambda _gone: _turn_cache.pop(key, None)), messages)
    return messages


def _user_message(message: InboundMessage) -> Message:
    return {"role": "user", "content": _truncated(message.text)}


def _correction(reply: Reply) -> list[Message]:
    if reply.fault is None:
        return []
    text = _FAULT_TEXT[reply.fault]
    if reply.detail:
        text = f"{text}\n{reply.detail[:MAX_FAULT_CHARACTERS]}"
    return [{"role": "user", "content": text}]


def _turn_messages(number: int, turn: Turn) -> list[Message]:
    delivered = list(map(_user_message, turn.heard))
    assistant: Message = {"role": "assistant", "content": _truncated(turn.reply.content)}
    if not turn.calls:
        if not turn.reply.content:
            assistant["content"] = "(no answer)"
        return [*delivered, assistant, *_correction(turn.reply)]
    requests = turn.reply.requests
    assistant["tool_calls"] = [
        {
            "id": f"call_{number}_{index}",
            "type": "function",
            "function": {"name": _name(requests[index]), "arguments": _arguments(call)},
        }
        for index, call in enumerate(turn.calls)
    ]
    results = [
        {
            "role": "tool",
            "tool_call_id": f"call_{number}_{index}",
            "content": _tool_result(call, requests[index]),
        }
        for index, call in enumerate(turn.calls)
    ]
    return [*delivered, assistant, *results]


def _name(request: ToolRequest) -> str:
    """The tool's name in the characters that servers accept, even if the model invented it."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", request.name)[:64] or "_"


def _arguments(call: Call) -> str:
    """The arguments that ran, which may have been edited by an approver."""
    return _json(call.arguments)


def _tool_result(call: Call, request: ToolRequest) -> str:
    outcome = call.outcome
    if outcome is None:
        raise ValueError("a call without an outcome")
    content = _truncated(outcome.content) or ""
    if isinstance(call.plan, RefusedPlan):
        return f"{content}\nYou had sent: {request.arguments[:2000]}"
    return _edit_note(call, outcome) + content


def _edit_note(call: Call, outcome: Outcome) -> str:
    if outcome.kind == "rejected" or not call.decision or call.decision.arguments is None:
        return ""
    if isinstance(call.plan, RefusedPlan):
        return ""
    original, edited = _json(call.plan.arguments), _json(call.decision.arguments)
    return f"[An approver changed the arguments from {original} to {edited} before it ran.]\n"


def _truncated(text: str | None) -> str | None:
    if text is None or len(text) <= MAX_CONTENT_CHARACTERS:
        return text
    cut = len(text) - MAX_CONTENT_CHARACTERS
    return f"{text[:MAX_CONTENT_CHARACTERS]}\n[{cut} characters more are not shown]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
