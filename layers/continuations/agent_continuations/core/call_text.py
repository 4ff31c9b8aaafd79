"""The text that the arguments of a call are read from: the model's, or an approver's edited one."""

import json

from agent_continuations.core.continuation import Call, Continuation
from agent_continuations.core.path import Path
from agent_continuations.core.plans import AgentPlan, ToolPlan


def call_text(root: Continuation, path: Path, call: Call | None = None) -> str:
    """The text of the call at `path`, which a model has asked for.

    Args:
        root: the run.
        path: the path of the call.
        call: the call as it was at another time, such as before the decision; None for now.
    """
    call = call or root.call_at(path)
    if call.edited_raw is not None:
        return call.edited_raw
    if isinstance(call.plan, ToolPlan | AgentPlan) and call.plan.form == 1:
        return json.dumps(call.arguments)  # earlier code kept only what was shown
    step = path[-1]
    return root.frame_at(path[:-1]).turns[step.turn].reply.requests[step.call].arguments
