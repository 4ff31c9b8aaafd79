"""Who asked for a call approves it by no door, whatever way they asked and in any spelling."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from agent_continuations import Approval, tool
from tests.local.issuer import IssuerServer
from tests.local.model_server import ModelServer
from tests.support.deployment import Deployment
from tests.support.http_answers import CURL, Answer
from tests.support.one_tool_agents import play
from tests.support.signed_in import SignedInBrowser

ANN, BOB = "ann@example.com", "bob@example.com"
LATER = datetime.now(UTC) + timedelta(days=1)
ACCOUNT = "123456789012"
STAFF = f"arn:aws:iam::{ACCOUNT}:role/Staff"
RAN: list[str] = []


@tool(approval=Approval([ANN, BOB], delegates=["*@example.com"]))
def pay(amount: int = 5) -> str:
    """Pay."""
    RAN.append("pay")
    return "paid"


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch, model: ModelServer) -> None:
    RAN.clear()
    play(monkeypatch, model, {"payer": pay})


@pytest.fixture
def issuer(deployment: Deployment) -> Iterator[IssuerServer]:
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    deployment.know_caller(STAFF, person="{session}")
    with IssuerServer() as server:
        deployment.trust(server)
        yield server


def session(role: str, name: str) -> str:
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"


# -- ways to ask -----------------------------------------------------------------------------------


def _start(deployment: Deployment, caller: str | None = None, **more: str) -> str:
    answer = deployment.post_run({"agent": "payer", "input": "go", **more}, caller=caller)
    assert answer.status == 202, answer.body
    deployment.drain()
    return str(answer.json()["run_id"])


def _named(deployment: Deployment, name: str) -> str:
    return _start(deployment, requester=name)


def _by_message(deployment: Deployment, name: str) -> str:
    run_id = _start(deployment)
    deployment.click(deployment.token(BOB))
    deployment.drain()
    RAN.clear()
    body = json.dumps({"content": "again", "sender": name})
    assert deployment.http("message-run", params={"run_id": run_id}, body=body).status == 202
    deployment.drain()
    return run_id


def _as_person(deployment: Deployment, name: str) -> str:
    return _start(deployment, caller=session("Staff", name))


def _as_session(deployment: Deployment, name: str) -> str:
    return _start(deployment, caller=session("Dev", name))


def _as_user(deployment: Deployment, name: str) -> str:
    return _start(deployment, caller=f"arn:aws:iam::{ACCOUNT}:user/{name}")


SPELLINGS = (
    ANN,
    ANN.upper(),
    "Ann@Example.com",
    f"{ANN}.",
    "\uff41nn@example.com",  # full-width
    "ann@example\uff0ecom",
)
# A name of AWS is ASCII and has no dot at its end in a mail address.
WAYS: dict[str, tuple[Callable[[Deployment, str], str], tuple[str, ...]]] = {
    "named as requester": (_named, SPELLINGS),
    "the sender of a message": (_by_message, SPELLINGS),
    "a known person": (_as_person, SPELLINGS[:3]),
    "the name of a session": (_as_session, SPELLINGS[:4]),
    "the name of a user": (_as_user, SPELLINGS[:4]),
}


# -- doors -----------------------------------------------------------------------------------------


class Doors:
    """Every way by which Ann could approve the one request of a run, or hand it to herself."""

    def __init__(self, deployment: Deployment, issuer: IssuerServer, run_id: str) -> None:
        self.deployment, self.run_id = deployment, run_id
        head = deployment.store().head(run_id)
        assert head
        read = deployment.http("read-run", params={"run_id": run_id}, caller=head.starter)
        [asked] = read.json()["waiting"]
        self.request_id, self.hash = asked["request_id"], asked["arguments_hash"]
        self.token = deployment.capabilities().token(run_id, self.request_id, ANN, LATER, self.hash)
        self.browser = SignedInBrowser(deployment, issuer, ANN)

    def link(self, **form: str) -> Answer:
        return self.deployment.answer(self.token, {"decision": "approve", **form}, headers=CURL)

    def page(self) -> Answer:
        scope = sha256(f"{ANN}\n{self.run_id}\n{self.request_id}".encode()).hexdigest()
        nonce = self.deployment.capabilities().nonce(scope)
        where = {"token": self.run_id, "request_id": self.request_id}
        form = {"decision": "approve", "nonce": nonce, "arguments_hash": self.hash}
        return self.browser.post("signed-in-decision", form, accept="application/json", **where)

    def inbox(self) -> Answer:
        scope = sha256(f"inbox\n{ANN}".encode()).hexdigest()
        form = {
            "decision": "approve",
            "nonce": self.deployment.capabilities().nonce(scope),
            "pick": f"{self.run_id}/{self.request_id}/{self.hash}",
        }
        return self.browser.post("inbox-decision", form, accept="application/json")

    def api(self, caller: str, **more: Any) -> Answer:
        return self.deployment.decide(
            self.run_id, caller=caller, request_id=self.request_id, **more
        )

    def all(self) -> dict[str, Callable[[], Answer]]:
        staff, other, to = session("Staff", ANN), session("Other", "x"), "ann+x@example.com"
        return {
            "link": self.link,
            "link, with an edit": lambda: self.link(arguments='{"amount": 6}'),
            "link, to an alias": lambda: self.link(decision="reassign", to=to),
            "page": self.page,
            "API, as herself": lambda: self.api(staff),
            "API, for Ann": lambda: self.api(other, approver=ANN),
            "API, for Ann in capitals": lambda: self.api(other, approver=ANN.upper()),
            "API, she for Bob": lambda: self.api(staff, approver=BOB),
            "API, to an alias": lambda: self.api(staff, decision="reassign", to=to),
        }


DOORS = (
    *("link", "link, with an edit", "link, to an alias", "page", "API, as herself"),
    *("API, for Ann", "API, for Ann in capitals", "API, she for Bob", "API, to an alias"),
)


@pytest.mark.parametrize("door", DOORS)
def test_each_door_is_open_to_an_approver_who_has_not_asked(
    deployment: Deployment, issuer: IssuerServer, door: str
) -> None:
    doors = Doors(deployment, issuer, _start(deployment))
    assert doors.all()[door]().status < 400
    deployment.drain()
    assert ([] if "alias" in door else ["pay"]) == RAN


def test_the_inbox_is_open_to_an_approver_who_has_not_asked(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    [item] = Doors(deployment, issuer, _start(deployment)).inbox().json()["items"]
    assert item["taken"]
    deployment.drain()
    assert RAN == ["pay"]


@pytest.mark.parametrize(
    ("way", "name"), [(way, name) for way, (_, names) in WAYS.items() for name in names]
)
def test_who_asked_approves_by_no_door(
    deployment: Deployment, issuer: IssuerServer, way: str, name: str
) -> None:
    ask, _ = WAYS[way]
    run_id = ask(deployment, name)
    doors = Doors(deployment, issuer, run_id)
    before = deployment.state()
    closed = doors.all()
    assert tuple(closed) == DOORS
    if way in ("the name of a session", "the name of a user"):
        # Only a name of AWS says that it is she, so she is not known to have asked for Bob's.
        del closed["API, she for Bob"]
    assert [door for door, knock in closed.items() if knock().status < 400] == []
    [item] = doors.inbox().json()["items"]
    assert not item["taken"]
    deployment.drain()
    assert RAN == []
    assert deployment.state() == before
    bob = deployment.answer(deployment.token(BOB), {"decision": "approve"}, headers=CURL)
    assert bob.status == 200, bob.body
    deployment.drain()
    assert RAN == ["pay"]
