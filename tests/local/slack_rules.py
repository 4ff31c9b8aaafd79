"""Data of the Slack server, and Slack's validation of blocks and views; for the rules see
docs.slack.dev/reference/block-kit.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

TEAM = "T0HOME"
_TEXT_KEYS = {"plain_text": {"type", "text", "emoji"}, "mrkdwn": {"type", "text", "verbatim"}}
_BUTTON_KEYS = {"type", "text", "action_id", "url", "value", "style", "confirm"}
_INPUT_KEYS = {"type", "action_id", "multiline", "min_length", "max_length", "placeholder"}


@dataclass
class Message:
    """A message in a channel; `only_for` is the one user who sees it."""

    channel: str
    ts: str
    text: str
    blocks: list[Json]
    metadata: Json | None = None
    only_for: str | None = None
    options: Json | None = None

    def button(self, action_id: str) -> Json:
        """Returns the button with this name."""
        return {each["action_id"]: each for each in self.buttons()}[action_id]

    def buttons(self) -> list[Json]:
        return [each for block in self.blocks for each in block.get("elements", ()) if "url" in each
                or "value" in each]  # fmt: skip

    def words(self) -> str:
        """All text in the message."""
        return json.dumps(self.blocks, ensure_ascii=False) + self.text


def member(user_id: str, email: str | None, **more: Any) -> Json:
    """Returns a member of the workspace in the format of users.info."""
    profile = {"real_name": user_id, **({"email": email} if email else {})}
    flags = ("deleted", "is_bot", "is_stranger", "is_restricted", "is_ultra_restricted")
    base = {"id": user_id, "team_id": TEAM, "name": user_id.lower(), "profile": profile}
    return {**base, **dict.fromkeys(flags, False), "is_email_confirmed": True, **more}


class Refused(Exception):
    """Slack's error code, and the location of the error."""


def check_message(blocks: Any) -> None:
    """Refuses blocks that are invalid in a message."""
    _check(blocks, most=50, kinds={"header", "section", "actions", "context", "divider"})


def check_view(view: Any) -> None:
    """Refuses an invalid modal."""
    known = {"type", "title", "submit", "close", "blocks", "private_metadata", "callback_id"}
    _need(isinstance(view, dict) and not set(view) - known, "the view")
    _need(view.get("type") == "modal", "the view's type")
    for name in ("title", "submit", "close"):
        _text(view[name], 24, "plain_text")
    _need(len(view.get("private_metadata", "")) <= 3000, "private_metadata")
    _need(len(view.get("callback_id", "")) <= 255, "callback_id")
    _check(view["blocks"], most=100, kinds={"header", "section", "context", "divider", "input"})


def _check(blocks: Any, *, most: int, kinds: set[str]) -> None:
    _need(isinstance(blocks, list) and 0 < len(blocks) <= most, "the number of blocks")
    for block in blocks:
        _need(isinstance(block, dict) and block.get("type") in kinds, "a block's type")
        _RULES[block["type"]](block)
    for name in ("block_id", "action_id"):
        found = list(_values(blocks, name))
        _need(len(found) == len(set(found)), f"{name} is there twice")
        _need(all(isinstance(each, str) and 0 < len(each) <= 255 for each in found), name)


def _header(block: Json) -> None:
    _keys(block, {"text"})
    _text(block["text"], 150, "plain_text")


def _section(block: Json) -> None:
    _keys(block, {"text", "fields"})
    _need("text" in block or "fields" in block, "a section without text")
    if "text" in block:
        _text(block["text"], 3000)
    _need(len(block.get("fields", [])) <= 10, "fields")
    for each in block.get("fields", []):
        _text(each, 2000)


def _context(block: Json) -> None:
    _keys(block, {"elements"})
    _need(0 < len(block["elements"]) <= 10, "elements of a context")
    for each in block["elements"]:
        _text(each, 3000)


def _actions(block: Json) -> None:
    _keys(block, {"elements"})
    _need(0 < len(block["elements"]) <= 25, "elements of actions")
    for each in block["elements"]:
        _need(each.get("type") == "button" and not set(each) - _BUTTON_KEYS, "a button")
        _text(each["text"], 75, "plain_text")
        _need("action_id" in each, "a button's action_id")
        _need(len(each.get("value", "")) <= 2000, "a button's value")
        url = each.get("url", "https://")
        _need(len(url) <= 3000 and url.startswith(("http://", "https://")), "a button's url")
        _need(each.get("style", "primary") in ("primary", "danger"), "a button's style")


def _input(block: Json) -> None:
    _keys(block, {"label", "element", "hint", "optional"})
    _text(block["label"], 2000, "plain_text")
    if "hint" in block:
        _text(block["hint"], 2000, "plain_text")
    element = block["element"]
    _need(element.get("type") == "plain_text_input", "an input's element")
    _need(not set(element) - _INPUT_KEYS, "an input's element")
    _need(1 <= element.get("max_length", 3000) <= 3000, "max_length")


def _divider(block: Json) -> None:
    _keys(block, set())


_RULES = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "input": _input,
    "divider": _divider,
}


def _keys(block: Json, known: set[str]) -> None:
    _need(not set(block) - known - {"type", "block_id"}, f"a key of {block['type']}")


def _text(text: Any, most: int, kind: str | None = None) -> None:
    _need(isinstance(text, dict) and text.get("type") in _TEXT_KEYS, "a text's type")
    _need(kind in (None, text["type"]), f"a text that is not {kind}")
    _need(not set(text) - _TEXT_KEYS[text["type"]], "a text's key")
    _need(isinstance(text.get("text"), str) and text["text"].strip() != "", "an empty text")
    _need(len(text["text"]) <= most, f"a text over {most}")


def _values(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for each in value.values():
            yield from _values(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each, name)


def _need(fits: bool, what: str) -> None:
    if not fits:
        raise Refused("invalid_blocks", what)
