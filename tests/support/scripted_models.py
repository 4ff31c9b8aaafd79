"""The examples' scripted model with something about each reply changed."""

from tests.local import script
from tests.local.model_server import Call, Json, Reply
from tests.support.safe_pages import HOSTILE


def costly(request: Json) -> Reply:
    """Replies that used many tokens."""
    reply = script.respond(request)
    return Reply(reply.content, reply.tool_calls, usage=(1_000_000, 100_000))


def hostile(request: Json) -> Reply:
    """Replies with hostile text, and a transfer to a hostile account."""
    reply = script.respond(request)
    calls = tuple(
        Call("transfer", {"amount": 250, "to": HOSTILE}) if each.name == "transfer" else each
        for each in reply.tool_calls
    )
    return Reply(content=f"{reply.content} {HOSTILE}", tool_calls=calls)
