"""Tree of a run: its agents, their calls, and its waits."""

from collections.abc import Iterator

from rich.text import Text
from rich.tree import Tree

from agent_continuations.cli.models import Call, Frame, Message, Run, Wait
from agent_continuations.cli.rendering import (
    MAX_SUMMARY_CHARACTERS,
    block_text,
    call_text,
    format_time,
    join_parts,
    line_text,
    status_text,
    wait_details,
    wait_line,
)
from agent_continuations.views.labels import RUNNING

_ENDS = {"ok": ("done", "green"), "error": ("error", "red"), "rejected": ("rejected", "red")}


def header_lines(run: Run) -> Iterator[Text]:
    """Formats the run itself: status, times, usage, metadata and failed notifications."""
    yield join_parts(line_text(run.run_id), status_text(run.status, paused=run.paused))
    tokens = f"tokens: {run.usage.input_tokens} in, {run.usage.output_tokens} out"
    times = f"created {format_time(run.created_at)}, updated {format_time(run.updated_at)}"
    yield Text(f"{times}; turns: {run.turns}; {tokens}", "dim")
    if run.metadata:
        yield line_text(" ".join(f"{name}={value}" for name, value in run.metadata.items()), "dim")
    if run.parent:
        yield line_text(f"started by run {run.parent}", "dim")
    for each in run.undelivered:
        retry = f"; next attempt {format_time(each.again_at)}" if each.again_at else "; gave up"
        recipients = ", ".join(each.recipients)
        problem = f"notification failed: request {each.request_id}: {recipients}: {each.failure}"
        yield join_parts(line_text(problem, "red"), retry, by="")


def result_lines(run: Run) -> Iterator[Text]:
    """Formats the result or the error of the run."""
    for name, style, text in (("result", "green", run.result), ("error", "red", run.error)):
        if text is not None:
            yield Text(name, style)
            yield block_text(text)


def run_tree(run: Run, root: Frame) -> Tree:
    """Draws the agents and their calls, with the state and the wait of each call.

    Args:
        run: the run; its waits include those of its child runs.
        root: continuation of the run.
    """
    tree = Tree(join_parts(line_text(root.agent, "bold"), line_text(_shorten(root.input))))
    nodes = {"": tree}
    waiting_paths = {each.path for each in run.waiting}
    _add_frame(tree, root, "", nodes, waiting_paths)
    for wait in run.waiting:
        node, inner_path = _nearest_node(nodes, wait.path)
        leaf = node.add(join_parts(_call_in_child_run(wait, inner_path), wait_line(wait)))
        for line in wait_details(wait):
            leaf.add(line)
    return tree


def _add_frame(
    tree: Tree, frame: Frame, path: str, nodes: dict[str, Tree], waiting_paths: set[str]
) -> None:
    for number, turn in enumerate(frame.turns):
        for message in turn.heard:
            tree.add(_message_text(message))
        for index, call in enumerate(turn.calls):
            _add_call(tree, call, f"{path}/{number}.{index}".lstrip("/"), nodes, waiting_paths)
    for index_path, call in frame.holds.items():
        _add_call(tree, call, f"{path}/{index_path}".lstrip("/"), nodes, waiting_paths)
    for message in frame.messages:
        tree.add(join_parts(_message_text(message), Text("not delivered yet", "yellow")))


def _message_text(message: Message) -> Text:
    sender = line_text(f"{message.sender or 'unknown sender'}:")
    return join_parts(sender, line_text(_shorten(message.text)))


def _add_call(
    tree: Tree, call: Call, path: str, nodes: dict[str, Tree], waiting_paths: set[str]
) -> None:
    # Approvers see the arguments of a waiting call in full; those of other calls are shortened.
    waiting = path in waiting_paths
    label = call_text(call.plan.tool, call.arguments, None if waiting else MAX_SUMMARY_CHARACTERS)
    node = tree.add(join_parts(line_text(path, "dim"), label, _state(call, waits=waiting)))
    nodes[path] = node
    if call.decision:
        verdict = "answer" if call.decision.answer is not None else call.decision.verdict
        reason = f"reason: {call.decision.reason}" if call.decision.reason else ""
        node.add(line_text(f"{verdict} by {call.decision.approver} {reason}", "dim"))
    if call.child:
        _add_frame(node, call.child, path, nodes, waiting_paths)


def _state(call: Call, *, waits: bool) -> Text:
    if call.outcome:
        name, style = _ENDS.get(call.outcome.kind, (call.outcome.kind, ""))
        return join_parts(line_text(name, style), line_text(_shorten(call.outcome.content)))
    if waits:
        return Text()
    if call.child:
        return Text(RUNNING, "cyan")
    return Text("runs", "cyan") if call.intent else Text("not done yet", "dim")


def _nearest_node(nodes: dict[str, Tree], path: str) -> tuple[Tree, str]:
    """Returns the innermost drawn node above a path, and the path below that node."""
    outer = path
    while outer not in nodes:
        outer = outer.rpartition("/")[0]
    return nodes[outer], path[len(outer) :].lstrip("/")


def _call_in_child_run(wait: Wait, inner_path: str) -> Text:
    """Formats the waiting call of a child run, whose calls are not nodes of this tree."""
    if not inner_path:
        return Text()
    agent = wait.agents[-1] if wait.agents else ""
    call = call_text(wait.tool, wait.arguments or {}) if wait.tool else ""
    return join_parts(line_text(inner_path, "dim"), line_text(agent, "bold"), call)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SUMMARY_CHARACTERS else f"{line[:MAX_SUMMARY_CHARACTERS]}…"
