"""HTTP events as API Gateway sends them, and what the functions answer."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

from tests.support.lambda_invocation import example

# What a program sends, in place of all the headers by which a browser is known.
CURL: dict[str, str | None] = {
    "Accept": "*/*",
    "Origin": None,
    "Sec-Fetch-Dest": None,
    "Sec-Fetch-Mode": None,
    "Sec-Fetch-Site": None,
    "Sec-Fetch-User": None,
}


@dataclass(frozen=True)
class Answer:
    """The response of an HTTP function; header names in lower case, cookies apart."""

    status: int
    headers: Mapping[str, str]
    body: str
    cookies: tuple[str, ...] = ()

    def json(self) -> Any:
        return json.loads(self.body)

    def refused(self, status: int) -> dict[str, Any]:
        """The problem document, which must be one of this status."""
        assert self.status == status, self.body
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = self.json()
        assert document["status"] == status
        assert document["title"] and document["detail"]
        return document

    def faults(self) -> set[str]:
        """The fields that a 422 names."""
        return {each["field"] for each in self.refused(422)["errors"]}

    def form_value(self, name: str) -> str:
        """A field of the page's form, as a browser would post it unchanged."""
        found = re.search(rf'name="{name}"(?: value="([^"]*)"|[^>]*>([^<]*)</textarea>)', self.body)
        assert found, f"the page has no field {name}"
        return unescape(found[1] if found[1] is not None else found[2])


def http_event(
    name: str,
    *,
    params: Mapping[str, str] | None = None,
    body: str | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str | None] | None = None,
    method: str | None = None,
    caller: str | None = None,
) -> dict[str, Any]:
    """An event of `events/` with these values; a header that is None is left out."""
    event = example(name)
    resource = event["resource"]
    method = event["httpMethod"] = method or event["httpMethod"]
    path = resource.format(**(params or {}))
    event |= {"path": path, "pathParameters": dict(params) if params else None}
    event["requestContext"] |= {"path": f"/v1{path}", "httpMethod": method}
    if caller:
        event["requestContext"]["identity"]["userArn"] = caller
    if body is not None:
        event["body"] = body
    if query is not None:
        event["queryStringParameters"] = dict(query)
        event["multiValueQueryStringParameters"] = {k: [v] for k, v in query.items()}
    sent = {**event["headers"], **(headers or {})}
    event["headers"] = {name: value for name, value in sent.items() if value is not None}
    event["multiValueHeaders"] = {k: [v] for k, v in event["headers"].items()}
    return event


def answer_of(result: Mapping[str, Any]) -> Answer:
    """The answer that API Gateway makes of a function's result."""
    headers = {k.lower(): v for k, v in result["multiValueHeaders"].items()}
    cookies = tuple(headers.pop("set-cookie", ()))
    single = {k: v for k, [v] in headers.items()}
    return Answer(result["statusCode"], single, result["body"] or "", cookies)
