"""The functions of the template, and the routes and queues that invoke them."""

import re
from collections.abc import Iterator
from typing import Any

from tests.local.template import template


def functions() -> dict[str, dict[str, Any]]:
    """The properties of the template's functions, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def rights(function: str, resource: str) -> set[str]:
    """The actions that a function may do with a resource, or with a part of it."""
    properties = functions()[function]
    if "Role" in properties:
        [name] = re.findall(r"\w+Role\b", str(properties["Role"]))
        role = template()["Resources"][name]
        policies = [each["PolicyDocument"] for each in role["Properties"]["Policies"]]
    else:
        policies = properties.get("Policies", [])
    return {
        str(action)
        for policy in policies
        for statement in policy["Statement"]
        if re.search(rf"\b{resource}\b", str(statement["Resource"]))
        for action in _list(statement["Action"])
    }


def roles() -> dict[str, list[str]]:
    """The functions that run with each role, by the role's logical id."""
    found: dict[str, list[str]] = {}
    for name, properties in functions().items():
        # SAM makes a role for a function that names none.
        role, _attribute = properties.get("Role", {}).get("Fn::GetAtt", (f"{name}Role", "Arn"))
        found.setdefault(role, []).append(name)
    return found


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def tool_hosts() -> dict[str, dict[str, Any]]:
    """The properties of the functions that run tools, by logical id."""
    return {
        name: each for name, each in functions().items() if each["Handler"].startswith("tool_host.")
    }


def triggers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every event of the template, with the function that it invokes."""
    for name, properties in functions().items():
        for event in properties.get("Events", {}).values():
            yield name, event


def route(resource: str, method: str) -> str:
    """The function of a route."""
    return _route(resource, method)[0]


def authorizer(resource: str, method: str) -> str:
    """The authorizer of a route."""
    named: str = _route(resource, method)[1].get("Auth", {}).get("Authorizer", "AWS_IAM")
    return named


def _route(resource: str, method: str) -> tuple[str, dict[str, Any]]:
    for name, event in triggers():
        properties = event["Properties"]
        wanted = (resource, method.lower())
        if event["Type"] == "Api" and (properties["Path"], properties["Method"]) == wanted:
            return name, properties
    raise AssertionError(f"the template has no route {method} {resource}")


def consumer(queue: str) -> str:
    """The function that reads a queue."""
    for name, event in triggers():
        if event["Type"] == "SQS" and queue in str(event["Properties"]["Queue"]):
            return name
    raise AssertionError(f"the template has no consumer of {queue}")
