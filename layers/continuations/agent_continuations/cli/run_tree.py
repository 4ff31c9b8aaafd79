"""A run as a tree: its agents, their calls, and where it waits."""

from collections.abc import Iterator

from rich.text import Text
from rich.tree import Tree

from agent_continuations.cli.models import Call, Frame, Run, Wait
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

_ENDS = {"ok": ("done", "green"), "error": ("error", "red"), "rejected": ("rejected", "red")}


def header_lines(run: Run) -> Iterator[Text]:
    """What there is to say of the run as a whole."""
    yield join_parts(line_text(run.run_id), status_text(run.status, paused=run.paused))
    tokens = f"tokens: {run.usage.input_tokens} in, {run.usage.output_tokens} out"
    times = f"created {format_time(run.created_at)}, changed {format_time(run.updated_at)}"
    yield Text(f"{times}; turns: {run.turns}; {tokens}", "dim")
    if run.metadata:
        yield line_text(" ".join(f"{name}={value}" for name, value in run.metadata.items()), "dim")
    if run.parent:
        yield line_text(f"started by a call of run {run.parent}", "dim")
    for each in run.undelivered:
        again = f"; again at {format_time(each.again_at)}" if each.again_at else "; given up"
        who = f"not told of {each.request_id}: {', '.join(each.recipients)}: {each.failure}"
        yield join_parts(line_text(who, "red"), again, by="")


def result_lines(run: Run) -> Iterator[Text]:
    """What came of it."""
    for name, style, text in (("result", "green", run.result), ("error", "red", run.error)):
        if text is not None:
            yield Text(name, style)
            yield block_text(text)


def run_tree(run: Run, root: Frame) -> Tree:
    """The agents and their calls, with each call's state and what it waits for.

    Args:
        run: for what it waits for, which may be inside of runs that it has started.
        root: its continuation.
    """
    tree = Tree(join_parts(line_text(root.agent, "bold"), line_text(_shorten(root.input))))
    nodes = {"": tree}
    waits = {each.path for each in run.waiting}
    _add_frame(tree, root, "", nodes, waits)
    for wait in run.waiting:
        node, inner = _nearest_node(nodes, wait.path)
        leaf = node.add(join_parts(_call_in_child_run(wait, inner), wait_line(wait)))
        for line in wait_details(wait):
            leaf.add(line)
    return tree


def _add_frame(
    tree: Tree, frame: Frame, path: str, nodes: dict[str, Tree], waits: set[str]
) -> None:
    for number, turn in enumerate(frame.turns):
        for message in turn.heard:
            tree.add(
                join_parts(
                    line_text(f"{message.sender or 'somebody'}:"), line_text(_shorten(message.text))
                )
            )
        for index, call in enumerate(turn.calls):
            _add_call(tree, call, f"{path}/{number}.{index}".lstrip("/"), nodes, waits)
    for place, hold in frame.holds.items():
        _add_call(tree, hold, f"{path}/{place}".lstrip("/"), nodes, waits)
    for message in frame.messages:
        text = join_parts(
            line_text(f"{message.sender or 'somebody'}:"), line_text(_shorten(message.text))
        )
        tree.add(join_parts(text, Text("not heard yet", "yellow")))


def _add_call(tree: Tree, call: Call, path: str, nodes: dict[str, Tree], waits: set[str]) -> None:
    # Whoever must decide has to see it all; what is over is told shortly.
    longest = None if path in waits else MAX_SUMMARY_CHARACTERS
    label = call_text(call.plan.tool, call.arguments, longest)
    node = tree.add(join_parts(line_text(path, "dim"), label, _state(call, waits=path in waits)))
    nodes[path] = node
    if call.decision:
        because = f"because: {call.decision.reason}" if call.decision.reason else ""
        said = "answer" if call.decision.answer is not None else call.decision.verdict
        node.add(line_text(f"{said} by {call.decision.approver} {because}", "dim"))
    if call.child:
        _add_frame(node, call.child, path, nodes, waits)


def _state(call: Call, *, waits: bool) -> Text:
    if call.outcome:
        name, style = _ENDS.get(call.outcome.kind, (call.outcome.kind, ""))
        return join_parts(line_text(name, style), line_text(_shorten(call.outcome.content)))
    if waits:
        return Text()
    if call.child:
        return Text("at work", "cyan")
    return Text("runs", "cyan") if call.intent else Text("not done yet", "dim")


def _nearest_node(nodes: dict[str, Tree], path: str) -> tuple[Tree, str]:
    """The innermost call that is drawn on the way to a path, and the rest of the way."""
    outer = path
    while outer not in nodes:
        outer = outer.rpartition("/")[0]
    return nodes[outer], path[len(outer) :].lstrip("/")


def _call_in_child_run(wait: Wait, inner: str) -> Text:
    """Where in a run of its own something is, since that run's calls are not in this tree."""
    if not inner:
        return Text()
    call = call_text(wait.tool, wait.arguments or {}) if wait.tool else ""
    return join_parts(
        line_text(inner, "dim"), line_text(wait.agents[-1] if wait.agents else "", "bold"), call
    )


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SUMMARY_CHARACTERS else f"{line[:MAX_SUMMARY_CHARACTERS]}…"
