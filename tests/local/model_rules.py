"""Validation of requests as the real Chat Completions service does it, with its error messages."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]
MAX_STRING, MAX_TOOLS = 10_485_760, 128
# A shape is a type; None; a set of strings; a pattern; a tuple of alternatives; [item shape] for
# a non-empty array; {member: shape} ("member?" may be missing), or {"@tag": {value: members}}.
_NAME, _ID = re.compile("^[a-zA-Z0-9_-]{1,64}$"), re.compile("^(?s:.{1,40})$")
_FUNCTION: Json = {"name": _NAME, "description?": str, "strict?": (bool, None)}
_CALL = {"id": _ID, "type": {"function"}, "function": {"name": _NAME, "arguments": str}}
_PARTS: Json = {"text": {"text": str}, "refusal": {"refusal": str}}
_PARTS |= {"image_url": {"image_url": {"url": str, "detail?": str}}, "file": {"file": dict}}
_PARTS |= {"input_audio": {"input_audio": dict}}


def _content(*kinds: str) -> tuple[Any, ...]:
    marked = {k: {**_PARTS[k], "prompt_cache_breakpoint?": dict} for k in kinds}
    return (str, [{"@type": marked}])


_ROLES: Json = {
    "system": {"content": _content("text"), "name?": str},
    "developer": {"content": _content("text"), "name?": str},
    "user": {"content": _content("text", "image_url", "input_audio", "file"), "name?": str},
    "assistant": {
        "content?": (*_content("text", "refusal"), None),
        "name?": str,
        "refusal?": (str, None),
        "tool_calls?": [_CALL],
        "annotations?": list,  # the answer's own fields, which clients send back
        "audio?": (dict, None),
        "function_call?": (dict, None),
    },
    "tool": {"content": str, "tool_call_id": str, "name?": str},
}
_CHOICE: Json = {"function": {"function": {"name": _NAME}}}
_CHOICE["allowed_tools"] = {"allowed_tools": {"mode": {"auto", "required"}, "tools": [dict]}}
_FORMAT: Json = {"json_schema": {"json_schema": {**_FUNCTION, "schema?": dict}}}
REQUEST: Json = {
    "model": str,
    "messages": [{"@role": _ROLES}],
    "tools?": [{"type": {"function"}, "function": {**_FUNCTION, "parameters?": dict}}],
    "tool_choice?": ({"none", "auto", "required"}, {"@type": _CHOICE}),
    "parallel_tool_calls?": bool,
    "response_format?": {"@type": {"text": {}, "json_object": {}, **_FORMAT}},
    "stop?": (str, [str], None),
    "modalities?": ([str], None),
    "function_call?": (str, dict),
    "functions?": [dict],
    "prompt_cache_options?": dict,
    "web_search_options?": dict,
}
for _names, *_types in (
    ("logprobs store stream", bool),
    ("max_completion_tokens max_tokens n seed top_logprobs", int),
    ("frequency_penalty presence_penalty temperature top_p", int, float),
    ("audio logit_bias metadata moderation prediction stream_options", dict),
    ("prompt_cache_key prompt_cache_retention reasoning_effort safety_identifier", str),
    ("service_tier user verbosity", str),
):
    REQUEST |= {f"{_name}?": (*_types, None) for _name in _names.split()}
_KINDS = {type(None): "null", bool: "a boolean", int: "an integer", float: "a decimal number"}
_KINDS |= {str: "a string", list: "an array", dict: "an object"}


class Refused(Exception):
    """A request answered with 400: message, param and code."""


def _demand(ok: object, message: str, where: str | None, code: str | None = None) -> None:
    """Refuses the request unless `ok`; adds the field to a message that does not contain it."""
    if not ok:
        placed = message if (where or "") in message else f"{message} ({where})"
        raise Refused(placed, where, code)


def _check(value: Any, shape: Any, where: str) -> None:
    """Refuse a value that does not have the shape."""
    alternatives = shape if isinstance(shape, tuple) else (shape,)
    kinds = {set: str, re.Pattern: str}
    rules = {s if isinstance(s, type) else kinds.get(type(s), type(s)): s for s in alternatives}
    wanted = " or ".join(_KINDS[kind] for kind in rules)
    what, got = f"Invalid type for '{where}': expected {wanted}, but got", _KINDS[type(value)]
    _demand(type(value) in rules, f"{what} {got} instead.", where, "invalid_type")
    rule = rules[type(value)]
    if isinstance(value, str):
        what = f"Invalid '{where}': string too long. Expected a string with maximum length"
        what += f" {MAX_STRING}, but got a string with length {len(value)} instead."
        _demand(len(value) <= MAX_STRING, what, where, "string_above_max_length")
    if isinstance(rule, set):
        what = f"Invalid value: '{value}'. Supported values are: {str(sorted(rule))[1:-1]}."
        _demand(value in rule, what, where, "invalid_value")
    elif isinstance(rule, re.Pattern):  # fullmatch, as `$` lets a final newline pass
        what = f"Invalid '{where}': string does not match pattern '{rule.pattern}'."
        _demand(rule.fullmatch(value), what, where, "invalid_value")
    elif isinstance(rule, list):
        _demand(value, f"Invalid '{where}': empty array, expected 1 or more.", where, "empty_array")
        for index, item in enumerate(value):
            _check(item, rule[0], f"{where}[{index}]")
    elif isinstance(rule, dict):
        _check_members(value, rule, f"{where}." if where else "")


def _check_members(value: Json, rule: Json, prefix: str) -> None:
    """Refuse an object for a member that is missing, unknown or of the wrong shape."""
    tag = next(iter(rule))
    if tag.startswith("@"):
        kind = value.get(tag[1:])
        rule = {tag[1:]: set(rule[tag]), **(rule[tag].get(kind, {}) if type(kind) is str else {})}
    for key, shape in rule.items():
        name = key.removesuffix("?")
        what = f"Missing required parameter: '{prefix}{name}'."
        _demand(name in value or name != key, what, prefix + name, "missing_required_parameter")
        if name in value:
            _check(value[name], shape, prefix + name)
    for name in value.keys() - {key.removesuffix("?") for key in rule}:
        what = "Unknown parameter:" if prefix else "Unrecognized request argument supplied:"
        _demand(False, f"{what} {prefix}{name}", prefix + name, "unknown_parameter")


def _check_turns(messages: list[Json]) -> None:
    """Refuse tool calls without exactly one answer each, and answers without a call."""
    due: list[str] = []
    done: list[str] = []
    for index, message in enumerate([*messages, {"role": "end"}]):
        where, role = f"messages[{min(index, len(messages) - 1)}]", message["role"]
        if role == "tool":
            call = message["tool_call_id"]
            what = f"Invalid parameter: Duplicate value for 'tool_call_id' of '{call}'."
            _demand(call not in done, what, f"{where}.tool_call_id")
            what = "Invalid parameter: messages with role 'tool' must be a response to a preceeding"
            _demand(call in due, f"{what} message with 'tool_calls'.", f"{where}.role")
            due.remove(call)
            done.append(call)
            continue
        what = "An assistant message with 'tool_calls' must be followed by tool messages responding"
        what += " to each 'tool_call_id'. The following tool_call_ids did not have response "
        _demand(not due, f"{what}messages: {', '.join(due)}", f"{where}.role")
        due, done = [call["id"] for call in message.get("tool_calls", [])], []
        _demand(len(set(due)) == len(due), "Duplicate tool call ids.", f"{where}.tool_calls")
        ok = role != "assistant" or due or message.get("content") is not None
        _demand(ok, "Invalid value: expected a string, got null.", f"{where}.content")


def _check_schema(schema: Any, label: str, where: str, strict: object, *path: str) -> None:
    """Refuse a JSON schema the service would not take (`strict`: Structured Outputs rules)."""

    def demand(ok: object, reason: str) -> None:
        what = f"Invalid schema for {label}: In context={path}, {reason}"
        _demand(ok, what, where, "invalid_function_parameters")

    ok = type(schema) is dict or (type(schema) is bool and path)
    demand(ok, "not an object or a boolean.")
    if isinstance(schema, bool):
        return
    kind, required = schema.get("type"), schema.get("required", [])
    props, defs = schema.get("properties", {}), schema.get("$defs", {})
    any_of = schema.get("anyOf", [])
    ok = type(props) is type(defs) is dict and type(required) is type(any_of) is list
    demand(ok, "'properties', '$defs', 'required' or 'anyOf' is of the wrong type.")
    demand(path or kind == "object", f"schema must be of 'type: \"object\"', got '{kind}'.")
    demand(kind != "array" or "items" in schema, "array schema missing items.")
    if strict and (kind == "object" or props):
        closed = schema.get("additionalProperties") is False
        demand(closed, "'additionalProperties' is required to be supplied and to be false.")
        reason = "'required' is required to be supplied and to be an array including every key in"
        for key in props:
            demand(key in required, f"{reason} properties. Missing '{key}'.")
    groups = {"properties": props, "$defs": defs, "anyOf": dict(enumerate(any_of))}
    for group, members in groups.items():
        for key, sub in members.items():
            _check_schema(sub, label, where, strict, *path, group, str(key))
    if "items" in schema:
        _check_schema(schema["items"], label, where, strict, *path, "items")


def check_request(body: Any) -> None:
    """Refuse a request body the real service refuses, or that this server cannot serve."""
    _check(body, REQUEST, "")
    _demand(not body.get("stream"), "Streaming is unsupported by this server.", "stream")
    _demand(body.get("n") in (None, 1), "More than one choice is unsupported here.", "n")
    _check_turns(body["messages"])
    tools, choice = body.get("tools", []), body.get("tool_choice")
    what = f"Invalid 'tools': array too long, expected at most {MAX_TOOLS}, got {len(tools)}."
    _demand(len(tools) <= MAX_TOOLS, what, "tools", "array_above_max_length")
    names: list[str] = []
    for index, tool in enumerate(tools):
        function, where = tool["function"], f"tools[{index}].function"
        name, strict = function["name"], function.get("strict")
        _demand(name not in names, f"Duplicate function name '{name}'.", f"{where}.name")
        names.append(name)
        if "parameters" in function:
            label = f"function '{name}'"
            _check_schema(function["parameters"], label, f"{where}.parameters", strict)
    for key in body.keys() & {"tool_choice", "parallel_tool_calls"}:
        _demand(tools, f"'{key}' is only allowed when 'tools' are specified.", key)
    if isinstance(choice, dict) and choice["type"] == "function":
        ok = choice["function"]["name"] in names
        _demand(ok, "Tool choice not found in 'tools' parameter.", "tool_choice.function.name")
    form = body.get("response_format", {}).get("json_schema", {})
    if "schema" in form:
        label, where = f"response_format '{form['name']}'", "response_format.json_schema.schema"
        _check_schema(form["schema"], label, where, form.get("strict"))
