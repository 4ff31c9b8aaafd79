"""What the OpenAPI document says holds of the deployed system, whatever is sent to it.

`OPENAPI_EXAMPLES=300` sends so many requests of each kind to each route, and others each time.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.conftest import PROBLEM, Client, System
from tests.openapi.document import PLACE

ASKED = os.environ.get("OPENAPI_EXAMPLES")
EXAMPLES = int(ASKED or 8)
COVERING = 12 if ASKED is None else None  # of the cases that follow from the document alone
TREASURY = {"agent": "treasury", "input": "Pay 5000 to reserve"}
CFO = "cfo@example.com"
_DECIDED = {"decision": "approve", "approver": CFO}
PAGE = "text/html; charset=utf-8"
# What only the inside of a function knows.
INSIDE = ("Traceback", 'File "', "site-packages", "/var/task", "/opt/", "agent_continuations.")
CHECKS: list[Callable[..., Any]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DOCUMENT: dict[str, Any] = json.loads(PLACE.read_text(encoding="utf-8"))
ROUTES = [
    (path, method)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method != "parameters"
]
bounded = settings(
    max_examples=EXAMPLES,
    derandomize=ASKED is None,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class World:
    """What is really there: a request that waits, its link, and somebody who is signed in."""

    schema: Any
    url: str
    run_id: str
    request_id: str
    link_token: str
    id_token: str

    def put_into(self, case: Case[Any]) -> None:
        """Ask about what is there, where the case asks about what it made up."""
        names, signed_in = case.path_parameters, "/{request_id}" in case.operation.path
        real = {
            "run_id": self.run_id,
            "request_id": self.request_id,
            "token": self.run_id if signed_in else self.link_token,
        }
        names.update({name: real[name] for name in names if name in real})
        if isinstance(case.body, dict):
            body = {"request_id": self.request_id, **TREASURY}
            case.body = {**case.body, **{name: body[name] for name in case.body if name in body}}

    def send(self, case: Case[Any], *, page: bool, signed_in: bool) -> Response:
        """Send a case, and check what no document says of the answer."""
        headers = {"Accept": PAGE if page else "*/*"}
        if signed_in:
            headers["Authorization"] = f"Bearer {self.id_token}"
        answer = case.call(base_url=self.url, headers=headers, allow_redirects=False, timeout=60)
        assert answer.headers["cache-control"] == ["no-store"], case.as_curl_command()
        assert answer.headers["x-content-type-options"] == ["nosniff"], case.as_curl_command()
        if answer.status_code >= 400 and case.method != "HEAD":
            self._check_refusal(answer, case, page=page)
        return answer

    def _check_refusal(self, answer: Response, case: Case[Any], *, page: bool) -> None:
        text, [content_type] = answer.text, answer.headers["content-type"]
        assert content_type == PROBLEM or (page and content_type == PAGE), case.as_curl_command()
        if content_type == PROBLEM:
            told = json.loads(text)
            assert told["status"] == answer.status_code
            assert told["title"] and told["detail"]
        for secret in (*INSIDE, self.link_token, self.id_token):
            assert secret not in text, case.as_curl_command()


@pytest.fixture(scope="module")
def world(door: tuple[Client, System]) -> World:
    client, system = door
    run_id = client.start(**TREASURY)
    (asked,) = client.suspended(run_id)["waiting"]
    schema = schemathesis.openapi.from_dict(_closed(DOCUMENT))
    # Other methods do not reach a function, and what the emulator says to them is not ours.
    schema.config.phases.coverage.unexpected_methods = set()
    # Who somebody is, is said below, and the front door signs.
    schema.config.generation.update(with_security_parameters=False)
    return World(
        schema=schema,
        url=client.url,
        run_id=run_id,
        request_id=asked["request_id"],
        link_token=client.link(asked, CFO).rpartition("/")[2],
        id_token=system.issuer.token(CFO),
    )


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_whatever_fits_the_document_is_answered_as_it_says(
    world: World, route: tuple[str, str]
) -> None:
    operation = world.schema[route[0]][route[1]]

    @bounded
    @given(operation.as_strategy(), st.booleans(), st.booleans(), st.booleans())
    def each(case: Case[Any], real: bool, page: bool, signed_in: bool) -> None:
        if real:
            world.put_into(case)
        assume(_reaches_us(case))
        answer = world.send(case, page=page, signed_in=signed_in and _asks_who(case))
        case.validate_response(answer, checks=CHECKS)

    each()


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_what_does_not_fit_is_refused_as_the_document_says(
    world: World, route: tuple[str, str]
) -> None:
    for case in islice(_misfits(world, route), COVERING):
        if _reaches_us(case):
            answer = world.send(case, page=False, signed_in=_asks_who(case))
            case.validate_response(answer, checks=[*CHECKS, negative_data_rejection])


def _misfits(world: World, route: tuple[str, str]) -> Iterator[Case[Any]]:
    operation = world.schema[route[0]][route[1]]
    yield from world.schema.iter_coverage_cases(
        operation,
        generation_modes=[GenerationMode.NEGATIVE],
        generation_config=world.schema.config.generation,
    )


def _asks_who(case: Case[Any]) -> bool:
    return any("token" in way for way in case.operation.definition.raw["security"])


def _reaches_us(case: Case[Any]) -> bool:
    """Whether the emulator, or the client, hands the path on as it is. They take these for another:
    AWS does not split a segment at an encoded slash.
    """
    return all(
        isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\")
        for value in case.path_parameters.values()
    )


def _closed(document: Any) -> Any:
    """The document without room for fields that it does not name, so that none is forgotten."""
    if isinstance(document, list):
        return [_closed(each) for each in document]
    if not isinstance(document, dict):
        return document
    inner = {name: _closed(value) for name, value in document.items()}
    return {"additionalProperties": False, **inner} if "properties" in inner else inner
