"""A run as a tree: its agents, their calls, and where it waits."""

from collections.abc import Iterator

from rich.text import Text
from rich.tree import Tree

from agent_continuations.cli.models import Call, Frame, Run, Wait
from agent_continuations.cli.rendering import (
    MAX_SHORT,
    block,
    call_text,
    joined,
    moment,
    status_text,
    wait_details,
    wait_line,
    words,
)
from agent_continuations.views.labels import RUNNING

_ENDS = {"ok": ("done", "green"), "error": ("error", "red"), "rejected": ("rejected", "red")}


def heading(run: Run) -> Iterator[Text]:
    """What there is to say of the run as a whole."""
    yield joined(words(run.run_id), status_text(run.status, paused=run.paused))
    tokens = f"tokens: {run.usage.input_tokens} in, {run.usage.output_tokens} out"
    times = f"created {moment(run.created_at)}, changed {moment(run.updated_at)}"
    yield Text(f"{times}; turns: {run.turns}; {tokens}", "dim")
    if run.metadata:
        yield words(" ".join(f"{name}={value}" for name, value in run.metadata.items()), "dim")
    if run.parent:
        yield words(f"started by a call of run {run.parent}", "dim")
    for each in run.undelivered:
        again = f"; again at {moment(each.again_at)}" if each.again_at else "; given up"
        who = f"not told of {each.request_id}: {', '.join(each.recipients)}: {each.failure}"
        yield joined(words(who, "red"), again, by="")


def ending(run: Run) -> Iterator[Text]:
    """What came of it."""
    for name, style, text in (("result", "green", run.result), ("error", "red", run.error)):
        if text is not None:
            yield Text(name, style)
            yield block(text)


def run_tree(run: Run, root: Frame) -> Tree:
    """The agents and their calls, with each call's state and what it waits for.

    Args:
        run: for what it waits for, which may be inside of runs that it has started.
        root: its continuation.
    """
    tree = Tree(joined(words(root.agent, "bold"), words(_short(root.input))))
    nodes = {"": tree}
    waits = {each.path for each in run.waiting}
    _add_frame(tree, root, "", nodes, waits)
    for wait in run.waiting:
        node, inner = _nearest(nodes, wait.path)
        leaf = node.add(joined(_elsewhere(wait, inner), wait_line(wait)))
        for line in wait_details(wait):
            leaf.add(line)
    return tree


def _add_frame(
    tree: Tree, frame: Frame, path: str, nodes: dict[str, Tree], waits: set[str]
) -> None:
    for number, turn in enumerate(frame.turns):
        for message in turn.heard:
            tree.add(joined(words(f"{message.sender or 'somebody'}:"), words(_short(message.text))))
        for index, call in enumerate(turn.calls):
            _branch(tree, call, f"{path}/{number}.{index}".lstrip("/"), nodes, waits)
    for place, hold in frame.holds.items():
        _branch(tree, hold, f"{path}/{place}".lstrip("/"), nodes, waits)
    for message in frame.messages:
        text = joined(words(f"{message.sender or 'somebody'}:"), words(_short(message.text)))
        tree.add(joined(text, Text("not heard yet", "yellow")))


def _branch(tree: Tree, call: Call, path: str, nodes: dict[str, Tree], waits: set[str]) -> None:
    # Whoever must decide has to see it all; what is over is told shortly.
    longest = None if path in waits else MAX_SHORT
    label = call_text(call.plan.tool, call.arguments, longest)
    node = tree.add(joined(words(path, "dim"), label, _state(call, waits=path in waits)))
    nodes[path] = node
    if call.decision:
        because = f"because: {call.decision.reason}" if call.decision.reason else ""
        said = "answer" if call.decision.answer is not None else call.decision.verdict
        node.add(words(f"{said} by {call.decision.approver} {because}", "dim"))
    if call.child:
        _add_frame(node, call.child, path, nodes, waits)


def _state(call: Call, *, waits: bool) -> Text:
    if call.outcome:
        name, style = _ENDS.get(call.outcome.kind, (call.outcome.kind, ""))
        return joined(words(name, style), words(_short(call.outcome.content)))
    if waits:
        return Text()
    if call.child:
        return Text(RUNNING, "cyan")
    return Text("runs", "cyan") if call.intent else Text("not done yet", "dim")


def _nearest(nodes: dict[str, Tree], path: str) -> tuple[Tree, str]:
    """The innermost call that is drawn on the way to a path, and the rest of the way."""
    outer = path
    while outer not in nodes:
        outer = outer.rpartition("/")[0]
    return nodes[outer], path[len(outer) :].lstrip("/")


def _elsewhere(wait: Wait, inner: str) -> Text:
    """Where in a run of its own something is, since that run's calls are not in this tree."""
    if not inner:
        return Text()
    call = call_text(wait.tool, wait.arguments or {}) if wait.tool else ""
    return joined(words(inner, "dim"), words(wait.agents[-1] if wait.agents else "", "bold"), call)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHORT else f"{line[:MAX_SHORT]}…"
