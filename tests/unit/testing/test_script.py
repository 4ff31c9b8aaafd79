"""The script of a recorded run: executed, it gives the recorded replies again."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_continuations import (
    Agent,
    LocalRunner,
    Reply,
    Script,
    ScriptedModel,
    ToolRequest,
    by_input,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.core.continuation import Call, Continuation, Turn
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.plans import RefusedPlan
from agent_continuations.core.transcript import chat_messages
from agent_continuations.ports.model import ModelRequest
from agent_continuations.testing.script import script_of
from agent_continuations.testing.source import string
from agent_continuations.views.recording import Recording


def recording(*frames: Continuation) -> Recording:
    """A recording of the first frame, with the others as child runs."""
    root, *others = frames
    children = {
        f"child{number}": {"agent": each.agent, "input": each.input, "continuation": each}
        for number, each in enumerate(others)
    }
    return Recording.model_validate(
        {
            "run_id": "run",
            "agent": root.agent,
            "input": root.input,
            "continuation": root,
            "children": children,
        }
    )


def frame(*replies: Reply, agent: str = "a", input: str = "go") -> Continuation:
    return Continuation(
        agent=agent,
        instructions="Work.",
        input=input,
        max_turns=100,
        turns=tuple(Turn(reply=each, calls=tuple(map(refused, each.requests))) for each in replies),
    )


def refused(request: ToolRequest) -> Call:
    plan = RefusedPlan(tool=request.name[:64], reason="no")
    return Call(plan=plan, outcome=Outcome(kind="error", content="no"))


def executed(text: str) -> dict[str, Script]:
    names: dict[str, Any] = {}
    exec(compile(text, "script.py", "exec"), names)
    script: dict[str, Script] = names["SCRIPT"]
    return script


def replies_of(script: dict[str, Script], frame: Continuation) -> list[Reply]:
    """What the model of the frame replies, turn by turn, with the recorded conversation."""
    model = ScriptedModel(script)
    return [
        model.reply(
            ModelRequest(
                agent=frame.agent,
                path="",
                model=None,
                messages=chat_messages(frame.model_copy(update={"turns": frame.turns[:number]})),
            )
        )
        for number in range(len(frame.turns))
    ]


def meaning(reply: Reply) -> Any:
    """A reply as the engine reads it: without usage and model, and with arguments as values."""
    return (
        reply.content,
        [(each.name, arguments_read(each.arguments)) for each in reply.requests],
        reply.fault,
        reply.detail,
    )


def arguments_read(text: str) -> str:
    """The arguments in one form if they are JSON without a name given twice, else their text."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        return json.dumps(json.loads(text, object_pairs_hook=unique)) if text.strip() else "{}"
    except (ValueError, RecursionError):
        return text


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
names = st.text(min_size=1, max_size=20) | st.sampled_from(["tool", "class", "match", "__debug__"])
objects = st.dictionaries(names, values, max_size=5)
malformed = st.sampled_from(
    [
        *("", "  ", "{", "null", "[1]", '"x"', '{"a": NaN}', '{"a": 1e999}', '{"a": -Infinity}'),
        *('{"a": 1, "a": 2}', "[" * 100_000, '{"a": ' * 40 + "1" + "}" * 40, '{"a": "\\ud800"}'),
        '{"a": 1.50, "b": 1E5, "c": -0, "d": -0.0}',
    ]
)
texts = st.text() | st.text("\"'\\\n\r\t {}", max_size=30)
arguments = st.one_of(
    objects.map(json.dumps),
    objects.map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))),
    malformed,
    texts,
)
requests = st.lists(
    st.builds(ToolRequest, name=st.text(max_size=10) | st.just("look"), arguments=arguments),
    max_size=3,
).map(tuple)
replies = st.builds(
    Reply,
    content=st.none() | texts,
    requests=requests,
    fault=st.none() | st.sampled_from(["empty", "length", "content_filter", "output"]),
    detail=st.none() | texts,
)


@settings(max_examples=300)
@given(st.lists(replies, max_size=4), texts)
def test_the_script_gives_the_recorded_replies_again(found: list[Reply], input: str) -> None:
    recorded = frame(*found, input=input)
    script = executed(script_of(recording(recorded)).text)
    assert list(map(meaning, replies_of(script, recorded))) == list(map(meaning, found))


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from("ab"),
        st.dictionaries(texts, st.lists(replies, max_size=2), min_size=1),
        min_size=1,
    )
)
def test_each_input_of_an_agent_has_its_own_replies(
    agents: dict[str, dict[str, list[Reply]]],
) -> None:
    frames = [
        frame(*found, agent=agent, input=asked)
        for agent, inputs in agents.items()
        for asked, found in inputs.items()
    ]
    made = script_of(recording(*frames))
    assert made.warnings == ()
    script = executed(made.text)
    for each in frames:
        expected = [meaning(turn.reply) for turn in each.turns]
        assert list(map(meaning, replies_of(script, each))) == expected


@given(st.text() | st.text("\"'\\"))
def test_a_string_literal_is_the_text(text: str) -> None:
    assert eval(string(text)) == text
    assert string(text).isprintable()


def test_a_script_is_in_the_words_of_the_scripted_model() -> None:
    made = script_of(
        recording(
            frame(
                call("look", at="x", deep=True),
                calls(("look", {"tool": 1})),
                calls(
                    ("look", {"at": 1.5}), ("gaze", {"to the": ["left", None]}), content="I look."
                ),
                Reply(requests=(ToolRequest(name="look", arguments="{oops"),)),
                Reply(content="Once", fault="length"),
                say('It is "there".'),
            ),
            frame(say("one"), agent="b", input="1"),
            frame(say("two"), agent="b", input="2"),
        )
    )
    assert made.text == EXPECTED


EXPECTED = '''"""The replies of the run run, as a script for `ScriptedModel`."""

from agent_continuations import Reply, Script, ToolRequest, by_input, call, calls, say

SCRIPT: dict[str, Script] = {
    "a": [
        call("look", at="x", deep=True),
        calls(("look", {"tool": 1})),
        calls(
            ("look", {"at": 1.5}),
            ("gaze", {"to the": ["left", None]}),
            content="I look.",
        ),
        Reply(requests=(ToolRequest(name="look", arguments="{oops"),)),
        Reply(content="Once", fault="length"),
        say('It is "there".'),
    ],
    "b": by_input({"1": [say("one")], "2": [say("two")]}),
}
'''


def test_the_same_replies_to_every_input_need_no_inputs() -> None:
    frames = [frame(say("ok"), input=each) for each in "xyz"]
    assert '"a": [say("ok")],' in script_of(recording(*frames)).text


def test_different_replies_to_the_same_input_keep_the_first_and_warn_once() -> None:
    frames = [frame(say(each), input="x\x1b") for each in "pqr"]
    made = script_of(recording(*frames))
    assert made.warnings == (
        "a had different replies to the same input, and the script has the first ones only:"
        " 'x\\x1b'",
    )
    assert executed(made.text)["a"] == [say("p")]


def test_a_frame_that_has_not_ended_gets_the_replies_of_one_that_has() -> None:
    short, long = frame(call("look")), frame(call("look"), say("done"))
    for frames in ((short, long), (long, short)):
        made = script_of(recording(*frames))
        assert made.warnings == ()
        assert executed(made.text)["a"] == [call("look"), say("done")]


def test_the_script_of_a_real_run_runs_again() -> None:
    @tool(effect="read")
    def look(at: int) -> str:
        """Look."""
        return f"{at}!"

    clerk = Agent("clerk", tools=[look])
    agents = [
        Agent(
            "boss",
            tools=[
                clerk.as_tool(description="Looks.", name="near"),
                clerk.as_tool(description="Looks.", name="far", spawn=True),
            ],
        )
    ]
    model = ScriptedModel(
        {
            "boss": [calls(("near", {"input": "1"}), ("far", {"input": "2"})), say("done")],
            "clerk": by_input(
                {"1": [call("look", at=1), say("one")], "2": [call("look", at="two"), say("two")]}
            ),
        }
    )
    runner = LocalRunner(agents, model)
    recorded = runner.record(runner.start("boss", "go").run_id)
    again = LocalRunner(agents, ScriptedModel(executed(script_of(recorded).text)))
    repeated = again.record(again.start("boss", "go").run_id)
    assert [bare(each) for _, each in repeated.runs()] == [
        bare(each) for _, each in recorded.runs()
    ]


def bare(root: Continuation) -> Any:
    return [(call.plan, call.outcome) for _, call in root.calls()]


def random_reply(random: random.Random) -> Reply:
    def text(longest: int) -> str:
        return "".join(random.choices("ab cd\n\"'\\é☃漢e\u0301", k=random.randrange(longest)))

    def value(depth: int) -> Any:
        kind = random.randrange(8 if depth else 5)
        if kind > 5:
            return {text(9): value(depth - 1) for _ in range(random.randrange(4))}
        if kind == 5:
            return [value(depth - 1) for _ in range(random.randrange(4))]
        return [text(random.choice([5, 40, 120])), random.random() * 1e20, -3, None, True][kind]

    requests = tuple(
        ToolRequest(
            name=random.choice(["look", "a_tool_with_a_long_name"]),
            arguments=random.choice(
                [text(90), json.dumps({f"name{n}": value(3) for n in range(random.randrange(5))})]
            ),
        )
        for _ in range(random.randrange(3))
    )
    return Reply(
        content=random.choice([None, text(30), text(120)]),
        requests=requests,
        fault=random.choice([None, None, None, "length"]),
    )


@pytest.mark.parametrize("line_length", [88, 100])
def test_the_script_is_formatted_as_ruff_would(line_length: int, tmp_path: Path) -> None:
    seeded = random.Random(line_length)
    for number in range(40):
        inputs = (("a", "one"), ("b", "x" * seeded.randrange(120)), ("b", "two\n"))
        frames = [
            frame(
                *(random_reply(seeded) for _ in range(seeded.randrange(5))),
                agent=agent,
                input=asked,
            )
            for agent, asked in inputs
        ]
        (tmp_path / f"script{number}.py").write_text(script_of(recording(*frames)).text)
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--no-cache", "--line-length", str(line_length), str(tmp_path)]
    done = subprocess.run([*ruff, "format", "--diff", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[:5000]
    done = subprocess.run(
        [*ruff, "check", "--select", "I,F", *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[:5000]


def test_all_child_runs_are_recorded_and_too_many_are_refused() -> None:
    from agent_continuations.errors import Invalid
    from agent_continuations.views import recording as module

    inner = Agent("inner")
    agents = [Agent("outer", tools=[inner.as_tool(description="Works.", spawn=True)])]
    many = [("inner", {"input": str(number)}) for number in range(3)]
    model = ScriptedModel({"outer": [calls(*many), say("done")], "inner": [say("ok")]})
    runner = LocalRunner(agents, model)
    run_id = runner.start("outer", "go").run_id
    assert sorted(each.input for each in runner.record(run_id).children.values()) == ["0", "1", "2"]
    limit = module.MAX_CHILD_RUNS
    module.MAX_CHILD_RUNS = 2
    try:
        with pytest.raises(Invalid, match="more than 2 child runs"):
            runner.record(run_id)
    finally:
        module.MAX_CHILD_RUNS = limit
