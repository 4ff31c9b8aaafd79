"""The whole document."""

import json
from collections.abc import Iterator
from typing import Any

from tests.local.template import ROOT, template
from tests.openapi.operations import OPERATIONS, PARAMETERS, SLACK
from tests.openapi.schemas import components

PLACE = ROOT / "functions" / "openapi.json"

_INFO = {
    "title": "Agent continuations",
    "version": "1",
    "summary": "AI agents as serverless functions that wait for free",
    "description": (
        "For programs: runs, agents and standing approvals (grants), signed with AWS Signature"
        " Version 4. For people: approvals, by a personal link or signed in. Errors are problem"
        " documents (RFC 9457), or pages where text/html is accepted. Unknown fields are rejected."
        " Responses must not be cached."
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
_SERVER = {
    "url": "https://{api}.execute-api.{region}.amazonaws.com/v1",
    "description": "The stack's output ApiUrl",
    "variables": {"api": {"default": "api"}, "region": {"default": "us-east-1"}},
}
# By the authorizers of the template.
_SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "AWS_IAM": [{"iam": []}],
    "SignedIn": [{"session": []}, {"token": []}],
    "NONE": [],
}
_SCHEMES = {
    "iam": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "AWS Signature Version 4, for the service execute-api",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-session",
        "description": "The ID token, set by GET /signin",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An ID token of the deployment's identity provider",
    },
    "slack": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Slack-Signature",
        "description": "Signature by Slack, at most five minutes old",
    },
}


def document() -> dict[str, Any]:
    """The document, made from the template and the models."""
    paths: dict[str, dict[str, Any]] = {}
    for path, method, authorizer in routes():
        security = [{"slack": []}] if (path, method) == SLACK else _SECURITY[authorizer]
        operation = {**OPERATIONS[path, method], "security": security}
        names = [each[1:-1] for each in path.split("/") if each.startswith("{")]
        named: dict[str, Any] = {"parameters": [PARAMETERS[each] for each in names]}
        paths.setdefault(path, named if names else {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [_SERVER],
        "paths": paths,
        "components": {"schemas": components(), "securitySchemes": _SCHEMES},
    }


def routes() -> Iterator[tuple[str, str, str]]:
    """Path, method and authorizer of each route of the template."""
    for resource in template()["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            for event in resource["Properties"].get("Events", {}).values():
                if event["Type"] == "Api":
                    about = event["Properties"]
                    authorizer = about.get("Auth", {}).get("Authorizer", "AWS_IAM")
                    yield str(about["Path"]), str(about["Method"]), str(authorizer)


def text() -> str:
    """The file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
