"""What the model is told: the `messages` array, derived from a frame's turns.

The shape is that of the Chat Completions API, which every OpenAI-compatible server speaks.
Provider call ids repeat across turns and replies, so calls are named by their place instead.
"""

import json
import re
from typing import Any, TypeAlias
from weakref import ref

from agent_continuations.core.approvals.request import Decision
from agent_continuations.core.continuation import Call, Continuation, Turn
from agent_continuations.core.continuation import Message as Spoken
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
    """The conversation that `frame`'s model continues. Every call of the turns has an answer.

    Raises:
        ValueError: a call of the last turn has no outcome yet.
    """
    told: list[Message] = []
    if frame.instructions:
        told.append({"role": "system", "content": frame.instructions})
    told.append({"role": "user", "content": frame.input})
    for number, turn in enumerate(frame.turns):
        told.extend(_cached_turn(number, turn))
    told.extend(map(_user_message, frame.messages))
    return told


_REJECTED_TEXT = {
    "approval": "A person rejected this call, so it was not made. Do not repeat it as it is;"
    " take the reason into account or say what you could not do.",
    "question": "There is no answer to this question.",
}


def rejected_text(decision: Decision, call: Call) -> str:
    """What the model reads in place of the result of a rejected call or an unanswered question;
    for a condition, why the agent was stopped there.
    """
    if call.asks == "condition":
        why = f": {decision.reason}" if decision.reason else ""
        return f"stopped by {decision.approver} at the condition {call.plan.tool}{why}"
    message = _REJECTED_TEXT[call.asks]
    return _json({"status": "rejected", "reason": decision.reason, "message": message})


def answered_text(decision: Decision) -> str:
    """What the model reads as the result of a call that a person has answered."""
    answer = decision.answer
    return answer if isinstance(answer, str) else _json(answer)


def happened_text(decision: Decision) -> str:
    """What the model reads as the result of a call that a person says has happened."""
    return _json(
        {
            "status": "happened",
            "note": decision.reason,
            "message": "The tool's own answer was lost. A person checked, and the call did happen.",
        }
    )


# What turns told, by their place and identity, for as long as they live. A turn never changes, and
# is told again at each later call: without this, a run's time grows with the square of its turns.
_TURN_CACHE: dict[tuple[int, int], tuple[ref[Turn], list[Message]]] = {}


def _cached_turn(number: int, turn: Turn) -> list[Message]:
    key = (number, id(turn))
    kept = _TURN_CACHE.get(key)
    if kept and kept[0]() is turn:
        return kept[1]
    told = _turn_messages(number, turn)
    _TURN_CACHE[key] = (ref(turn, lambda _gone: _TURN_CACHE.pop(key, None)), told)
    return told


def _user_message(message: Spoken) -> Message:
    return {"role": "user", "content": _capped(message.text)}


def _correction(reply: Reply) -> list[Message]:
    if reply.fault is None:
        return []
    told = _FAULT_TEXT[reply.fault]
    if reply.detail:
        told = f"{told}\n{reply.detail[:MAX_FAULT_CHARACTERS]}"
    return [{"role": "user", "content": told}]


def _turn_messages(number: int, turn: Turn) -> list[Message]:
    heard = list(map(_user_message, turn.heard))
    said: Message = {"role": "assistant", "content": _capped(turn.reply.content)}
    if not turn.calls:
        if not turn.reply.content:
            said["content"] = "(no answer)"
        return [*heard, said, *_correction(turn.reply)]
    requests = turn.reply.requests
    said["tool_calls"] = [
        {
            "id": f"call_{number}_{index}",
            "type": "function",
            "function": {"name": _name(requests[index]), "arguments": _arguments(call)},
        }
        for index, call in enumerate(turn.calls)
    ]
    answers = [
        {
            "role": "tool",
            "tool_call_id": f"call_{number}_{index}",
            "content": _answer(call, requests[index]),
        }
        for index, call in enumerate(turn.calls)
    ]
    return [*heard, said, *answers]


def _name(request: ToolRequest) -> str:
    """The tool's name as a server accepts it in history, whatever the model made up."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", request.name)[:64] or "_"


def _arguments(call: Call) -> str:
    """The arguments that ran, so that history agrees with the world."""
    return _json(call.arguments)


def _answer(call: Call, request: ToolRequest) -> str:
    outcome = call.outcome
    if outcome is None:
        raise ValueError("a call without an outcome")
    content = _capped(outcome.content) or ""
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


def _capped(text: str | None) -> str | None:
    if text is None or len(text) <= MAX_CONTENT_CHARACTERS:
        return text
    cut = len(text) - MAX_CONTENT_CHARACTERS
    return f"{text[:MAX_CONTENT_CHARACTERS]}\n[{cut} characters more are not shown]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
