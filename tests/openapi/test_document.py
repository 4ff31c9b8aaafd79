"""The OpenAPI document is valid, and matches the code and the template."""

import json
from typing import Any

import jsonschema_rs
import pytest

from approvals_api import form_parsing
from tests.openapi.document import PLACE, document, text
from tests.support.template_functions import authorizer, triggers

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """The operations in the file, by path and method."""
    kept = json.loads(PLACE.read_text(encoding="utf-8"))
    return {
        (path, method): operation
        for path, item in kept["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_the_file_is_what_the_code_says() -> None:
    assert PLACE.read_text(encoding="utf-8") == text(), "run `python -m tests.openapi`"


def test_the_routes_are_those_of_the_template() -> None:
    routes = [event["Properties"] for _, event in triggers() if event["Type"] == "Api"]
    assert set(operations()) == {(each["Path"], each["Method"]) for each in routes}


@pytest.mark.parametrize("route", sorted(operations()), ids=" ".join)
def test_who_may_call_is_what_the_template_says(route: tuple[str, str]) -> None:
    asked = [name for way in operations()[route]["security"] for name in way]
    assert (
        asked
        == {
            "AWS_IAM": ["iam"],
            "SignedIn": ["session", "token"],
            # Slack signs in its own way; a link is its own key; the rest is for everybody.
            "NONE": ["slack"] if route[0] == "/slack/interactions" else [],
        }[authorizer(*route)]
    )


def test_all_that_is_referred_to_is_there() -> None:
    whole = document()
    names = {each["operationId"] for each in operations().values()}
    assert len(names) == len(operations())
    for node in _nodes(whole):
        if isinstance(reference := node.get("$ref"), str):
            kind, name = reference.removeprefix("#/components/").split("/")
            assert name in whole["components"][kind]
        if isinstance(named := node.get("operationId"), str):
            assert named in names
        for way in node.get("security", []) if "operationId" in node else []:
            assert set(way) <= set(whole["components"]["securitySchemes"])


def test_each_schema_is_one() -> None:
    for name, schema in document()["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({"$schema": _DRAFT, **schema}), name


def test_a_form_takes_the_fields_that_the_function_knows() -> None:
    schemas = document()["components"]["schemas"]
    assert set(schemas["AnswerForm"]["properties"]) == form_parsing._FIELDS
    assert set(schemas["InboxForm"]["properties"]) == form_parsing._BATCH_FIELDS


def test_every_body_refuses_what_it_does_not_know() -> None:
    for name in ("Start", "Decide", "GrantBody", "AnswerForm", "InboxForm"):
        assert document()["components"]["schemas"][name]["additionalProperties"] is False


_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def _nodes(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)
