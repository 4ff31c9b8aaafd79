"""The scripted model: its words, and the choice of a reply."""

import pytest

from agent_continuations import (
    Agent,
    LocalRunner,
    Reply,
    ScriptedModel,
    by_input,
    call,
    calls,
    say,
)
from agent_continuations.errors import ModelRefused
from agent_continuations.ports.model import ModelRequest


def request(input: str, replies: int = 0, agent: str = "a") -> ModelRequest:
    messages = [{"role": "system", "content": "Work."}, {"role": "user", "content": input}]
    for number in range(replies):
        messages.append({"role": "assistant", "content": str(number)})
        messages.append({"role": "user", "content": "And then?"})
    return ModelRequest(agent=agent, path="", model=None, messages=messages)


def test_a_reply_can_have_a_text_and_calls() -> None:
    reply = calls(("look", {"at": 1}), content="I look.")
    assert reply.content == "I look."
    assert [each.name for each in reply.requests] == ["look"]
    assert calls(("look", {})).content is None
    assert calls(("look", {}), content="").content == ""


def test_a_script_by_input_begins_anew_for_each_input() -> None:
    model = ScriptedModel({"a": by_input({"one": [say("1"), say("1b")], "two": [say("2")]})})
    assert model.reply(request("two")).content == "2"
    assert model.reply(request("one")).content == "1"
    assert model.reply(request("one", replies=1)).content == "1b"
    with pytest.raises(ModelRefused, match="the script of a ends before turn 1"):
        model.reply(request("two", replies=1))


def test_an_unknown_input_is_refused_with_the_known_ones() -> None:
    script = by_input({"one": [], "line\nbreak": []})
    with pytest.raises(ModelRefused) as caught:
        ScriptedModel({"a": script}).reply(request("three"))
    expected = "the script of a has no input 'three'; it has 'one', 'line\\nbreak'"
    assert str(caught.value) == expected
    with pytest.raises(ModelRefused, match="it has none"):
        ScriptedModel({"a": by_input({})}).reply(request("three"))


def test_the_list_of_known_inputs_is_bounded() -> None:
    inputs: dict[str, list[Reply]] = {f"{number:03d}" + "x" * 10_000: [] for number in range(200)}
    with pytest.raises(ModelRefused, match="190 more") as caught:
        ScriptedModel({"a": by_input(inputs)}).reply(request("y" * 10_000))
    assert len(str(caught.value)) < 1500


def test_siblings_of_one_agent_get_the_replies_for_their_inputs() -> None:
    clerk = Agent("clerk", "Pay.")
    manager = Agent("manager", tools=[clerk.as_tool(description="Pays.")])
    model = ScriptedModel(
        {
            "manager": [
                calls(("clerk", {"input": "Bob"}), ("clerk", {"input": "Eve"})),
                call("clerk", input="Ann"),
                say("All paid."),
            ],
            "clerk": by_input({each: [say(f"paid {each}")] for each in ("Ann", "Bob", "Eve")}),
        }
    )
    runner = LocalRunner([manager], model)
    root = runner.continuation(runner.start("manager", "Pay all.").run_id)
    outcomes = [inner.outcome.content for _, inner in root.calls() if inner.outcome]
    assert outcomes == ["paid Bob", "paid Eve", "paid Ann"]
