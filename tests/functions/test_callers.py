"""What callers of the API may do: as whom they act, and whose runs they see."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

from agent_continuations import Approval, tool
from tests.local.model_server import ModelServer
from tests.support.deployment import Deployment
from tests.support.http_answers import CURL, Answer
from tests.support.lambda_invocation import example
from tests.support.one_tool_agents import play

ANN, BOB = "ann@example.com", "bob@example.com"
LATER = datetime.now(UTC) + timedelta(days=7)
ACCOUNT = "123456789012"
PORTAL_ROLE = f"arn:aws:iam::{ACCOUNT}:role/onboarding-portal"
PORTAL = example("start-run")["requestContext"]["identity"]["userArn"]


def session(role: str, name: str) -> str:
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


STAFF = role("AWSReservedSSO_Staff_*")
ANNS, BOBS = (session("AWSReservedSSO_Staff_0a1b", each) for each in (ANN, BOB))
RAN: list[str] = []


@tool(approval=Approval([ANN, BOB, role("Finance")]))
def pay() -> str:
    """Pay."""
    RAN.append("pay")
    return "paid"


@tool(approval=Approval([ANN, BOB, role("Finance"), "group:legal"], risk="high"))
def wire() -> str:
    """Wire."""
    RAN.append("wire")
    return "wired"


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch, model: ModelServer) -> None:
    RAN.clear()
    play(monkeypatch, model, {"payer": pay, "wirer": wire})


def start(deployment: Deployment, agent: str = "payer", caller: str = PORTAL, **more: str) -> str:
    answer = deployment.post_run({"agent": agent, "input": "go", **more}, caller=caller)
    assert answer.status == 202, answer.body
    deployment.drain()
    return str(answer.json()["run_id"])


def read(deployment: Deployment, run_id: str, caller: str) -> Answer:
    return deployment.http("read-run", params={"run_id": run_id}, caller=caller)


def request_of(deployment: Deployment, run_id: str, caller: str = PORTAL) -> str:
    [waiting] = read(deployment, run_id, caller).json()["waiting"]
    return str(waiting["request_id"])


def decide(deployment: Deployment, run_id: str, caller: str, *, owner: str, **more: Any) -> Answer:
    request_id = request_of(deployment, run_id, owner)
    answer = deployment.decide(run_id, caller=caller, request_id=request_id, **more)
    deployment.drain()
    return answer


# -- people ----------------------------------------------------------------------------------------


def test_a_person_is_one_whatever_way_they_come(deployment: Deployment) -> None:
    deployment.know_caller(STAFF, person="{session}")
    run_id = start(deployment, caller=ANNS)
    decide(deployment, run_id, ANNS, owner=ANNS).refused(403)
    token = deployment.capabilities().token(
        run_id, request_of(deployment, run_id, ANNS), ANN, LATER, "f" * 64
    )
    deployment.answer(token, {"decision": "approve"}, headers=CURL).refused(403)
    assert not RAN
    told = decide(deployment, run_id, BOBS, owner=ANNS).json()
    assert (told["approver"], told["decided_by"], RAN) == (BOB, BOB, ["pay"])


def test_a_person_is_known_by_the_longest_entry(deployment: Deployment) -> None:
    deployment.know_caller(role("*"), person="somebody@example.com")
    deployment.know_caller(role("Ann*"), person=ANN)
    run_id = start(deployment, caller=session("AnnsLaptop", "x"))
    decide(deployment, run_id, session("AnnsPhone", "y"), owner=session("Anna", "z")).refused(403)


def test_the_name_of_a_session_approves_nothing(deployment: Deployment) -> None:
    run_id = start(deployment)
    for caller in (session("Any", ANN), f"arn:aws:iam::{ACCOUNT}:user/{ANN}"):
        decide(deployment, run_id, caller, owner=PORTAL).refused(404)
        decide(deployment, run_id, caller, owner=PORTAL, approver=ANN).refused(404)
    assert not RAN


def test_the_path_of_a_role_does_not_matter(deployment: Deployment) -> None:
    deployment.know_caller(role("team/desk/Ops"), operator=True)
    run_id = start(deployment)
    assert read(deployment, run_id, session("Ops", "x")).status == 200
    read(deployment, run_id, session("OpsToo", "x")).refused(404)


@pytest.mark.parametrize("name", [ANN, ANN.upper(), f"x/{ANN}"])
def test_the_name_of_a_session_or_user_that_started_a_run_does_not_approve_it(
    deployment: Deployment, name: str
) -> None:
    user = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    federated = f"arn:aws:sts::{ACCOUNT}:federated-user/{name}"
    callers = [user, federated, session("AWSReservedSSO_Dev_1", name)]
    for caller in callers:
        run_id = start(deployment, caller=caller)
        token = deployment.capabilities().token(
            run_id, request_of(deployment, run_id, caller), ANN, LATER, "f" * 64
        )
        deployment.answer(token, {"decision": "approve"}, headers=CURL).refused(403)
    assert not RAN


def test_a_role_is_one_whatever_the_name_of_its_session(deployment: Deployment) -> None:
    run_id = start(deployment, caller=session("Finance", "bob"))
    for name in ("bob", "cfo", "CFO", ""):
        caller = session("Finance", name)
        decide(deployment, run_id, caller, owner=session("Finance", "x")).refused(403)
    other = start(deployment)
    told = decide(deployment, other, session("Finance", "x"), owner=PORTAL).json()
    assert told["approver"] == role("Finance")
    assert told["decided_by"] == session("Finance", "x")
    assert RAN == ["pay"]


def test_a_session_that_names_no_person_is_nobody(deployment: Deployment) -> None:
    deployment.know_caller(STAFF, person="{session}", operator=True)
    run_id = start(deployment)
    for name in ("", "ann", "ann@example.com (boss)", "group:legal", f"{ANN}\n"):
        read(deployment, run_id, session("AWSReservedSSO_Staff_0a1b", name)).refused(404)
    assert read(deployment, run_id, ANNS).status == 200


# -- for whom --------------------------------------------------------------------------------------


def test_naming_requesters_and_deciding_for_others_are_two_rights(deployment: Deployment) -> None:
    deployment.know_caller(role("Names"), names_requesters=True)
    deployment.know_caller(role("Decides"), decides_for_others=True)
    names, decides = session("Names", "x"), session("Decides", "x")
    named = {"agent": "payer", "input": "go", "requester": ANN}
    deployment.post_run(named, caller=decides).refused(403)
    deployment.post_run(named).refused(403)
    run_id = start(deployment, caller=names, requester=ANN)
    decide(deployment, run_id, names, owner=names, approver=BOB).refused(403)
    decide(deployment, run_id, decides, owner=names, approver=ANN).refused(403)
    assert decide(deployment, run_id, decides, owner=names, approver=BOB).status == 200
    assert RAN == ["pay"]


def test_a_person_asks_in_their_own_name_and_decides_for_nobody_what_they_asked_for(
    deployment: Deployment,
) -> None:
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    deployment.know_caller(STAFF, person="{session}")
    named = {"agent": "payer", "input": "go", "requester": BOB}
    deployment.post_run(named, caller=ANNS).refused(403)
    run_id = start(deployment, caller=ANNS)
    decide(deployment, run_id, ANNS, owner=ANNS, approver=BOB).refused(403)
    said = json.dumps({"content": "hi", "sender": BOB})
    params = {"run_id": run_id}
    deployment.http("message-run", params=params, body=said, caller=ANNS).refused(403)
    assert not RAN
    assert decide(deployment, run_id, BOBS, owner=ANNS).status == 200


@pytest.mark.parametrize("setting", ["yes", "no"])
def test_all_callers_may_name_requesters_where_the_deployment_says_so(
    deployment: Deployment, setting: str
) -> None:
    deployment.parameters["CallersMayNameRequesters"] = setting
    deployment.parameters["CallersMayActForApprovers"] = "no" if setting == "yes" else "yes"
    named = {"agent": "payer", "input": "go", "requester": ANN}
    assert deployment.post_run(named).status == (202 if setting == "yes" else 403)


# -- high risk -------------------------------------------------------------------------------------


def test_an_unknown_caller_decides_nothing_of_high_risk(deployment: Deployment) -> None:
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    run_id = start(deployment, "wirer")
    for caller in (PORTAL, session("Finance", "x"), session("Other", "x")):
        for approver in (ANN, role("Finance")):
            answer = decide(deployment, run_id, caller, owner=PORTAL, approver=approver)
            assert answer.status in (403, 404)
    assert not RAN


def test_a_known_person_decides_of_high_risk_if_it_is_known_who_asked(
    deployment: Deployment,
) -> None:
    deployment.know_caller(STAFF, person="{session}")
    unknown = start(deployment, "wirer")
    refused = decide(deployment, unknown, ANNS, owner=PORTAL).refused(403)
    assert "not known who asked" in refused["detail"]
    deployment.know_caller(PORTAL_ROLE)
    run_id = start(deployment, "wirer")
    assert decide(deployment, run_id, ANNS, owner=PORTAL).status == 200
    assert RAN == ["wire"]


def test_who_started_a_run_names_nobody_of_a_group_for_it(deployment: Deployment) -> None:
    deployment.know_caller(PORTAL_ROLE, decides_for_others=True)
    deployment.know_caller(role("Desk"), decides_for_others=True)
    run_id = start(deployment, "wirer")
    dora = {"approver": "dora@example.com", "groups": ["group:legal"]}
    decide(deployment, run_id, PORTAL, owner=PORTAL, **dora).refused(403)
    decide(deployment, run_id, session("Desk", "x"), owner=PORTAL, **dora).refused(403)
    decide(deployment, run_id, PORTAL, owner=PORTAL, approver=ANN).refused(403)
    assert not RAN
    desk = session("Desk", "x")
    assert decide(deployment, run_id, desk, owner=PORTAL, approver=ANN).status == 200


@pytest.mark.parametrize("entry", [{"agents": ["wirer"]}, {"names_requesters": True}])
def test_who_names_another_requester_has_asked_too(
    deployment: Deployment, entry: dict[str, Any]
) -> None:
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    deployment.know_caller(STAFF, person="{session}")
    deployment.know_caller(PORTAL_ROLE, **entry)
    zed = "zed@nowhere.example"
    run_id = start(deployment, "wirer", requester=zed)
    decide(deployment, run_id, PORTAL, owner=PORTAL, approver=ANN).refused(403)
    unknown = session("Anon", "x")
    run_id = start(deployment, "wirer", caller=unknown, requester=zed)
    decide(deployment, run_id, ANNS, owner=unknown).refused(403)
    named = {"agent": "wirer", "input": "go", "requester": zed}
    assert deployment.post_run(named, caller=unknown).json()["warning"]
    deployment.post_run({**named, "requester": " "}).refused(422)
    assert not RAN


@pytest.mark.parametrize("dev", [session("Dev", ANN), session("AnnsLaptop", "x")])
def test_an_entry_loosens_nothing_about_who_asked(deployment: Deployment, dev: str) -> None:
    deployment.know_caller(role("Dev"), agents=["wirer"])
    run_id = start(deployment, "wirer", caller=dev)
    deployment.know_caller(STAFF, person="{session}")
    deployment.know_caller(role("AnnsLaptop"), person=ANN)
    decide(deployment, run_id, ANNS, owner=ANNS).refused(403)
    assert not RAN


def test_the_start_says_if_the_caller_is_not_known(deployment: Deployment) -> None:
    answer = deployment.post_run({"agent": "payer", "input": "go"}).json()
    assert "not known which person" in answer["warning"]
    deployment.know_caller(PORTAL_ROLE)
    answer = deployment.post_run({"agent": "payer", "input": "go"}).json()
    assert answer["warning"] is None


# -- whose runs ------------------------------------------------------------------------------------

READS = ("read-run", "read-continuation", "read-timeline", "read-audit", "read-messages")
CONTROLS = ("cancel-run", "pause-run", "resume-run", "redrive-run")


def knock(deployment: Deployment, run_id: str, caller: str) -> dict[str, int]:
    """The status of each route for a caller."""
    bodies = {"message-run": '{"content": "hi"}', "signal-run": "{}"}
    params = {"run_id": run_id, "name": "x"}
    return {
        name: deployment.http(
            name, params=params, body=bodies.get(name), query={}, caller=caller
        ).status
        for name in (*READS, *bodies, *CONTROLS)
    }


def test_a_run_is_its_starters_and_the_operators(deployment: Deployment) -> None:
    deployment.know_caller(role("Ops"), operator=True)
    run_id = start(deployment)
    for stranger in (session("Other", "session"), f"arn:aws:iam::{ACCOUNT}:user/x", "nobody"):
        assert set(knock(deployment, run_id, stranger).values()) == {404}
        listed = deployment.http("list-runs", query={}, caller=stranger).json()["items"]
        assert listed == []
    for friend in (session("onboarding-portal", "another"), session("Ops", "x")):
        assert 404 not in knock(deployment, start(deployment), friend).values()
        listed = deployment.http("list-runs", query={}, caller=friend).json()["items"]
        assert run_id in [each["run_id"] for each in listed]


def test_who_is_asked_reads_and_decides_and_no_more(deployment: Deployment) -> None:
    deployment.know_caller(STAFF, person="{session}")
    run_id = start(deployment)
    statuses = knock(deployment, run_id, ANNS)
    assert {name for name, status in statuses.items() if status == 200} == set(READS)
    assert {status for name, status in statuses.items() if name not in READS} == {404}
    assert decide(deployment, run_id, ANNS, owner=PORTAL).status == 200
    assert set(knock(deployment, run_id, ANNS).values()) == {404}, "they are not asked any more"


def test_some_callers_send_events_to_every_run(deployment: Deployment) -> None:
    deployment.know_caller(role("Bus"), signals=True)
    statuses = knock(deployment, start(deployment), session("Bus", "x"))
    assert {name for name, status in statuses.items() if status != 404} == {"signal-run"}


def test_some_callers_start_some_agents_only(deployment: Deployment) -> None:
    deployment.know_caller(PORTAL_ROLE, agents=["payer"])
    start(deployment)
    deployment.post_run({"agent": "wirer", "input": "go"}).refused(403)


# -- the entries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        {"arn": session("Finance", "x")},
        {"arn": "arn:aws:iam::123456789012:role/a*b"},
        {"arn": "*"},
        {"arn": role("ops/*")},
        {"arn": role("aws-reserved/sso.amazonaws.com/AWSReservedSSO_Staff_*")},
        {"arn": role("a"), "person": "ann"},
        {"arn": role("a"), "person": "{session}{session}@@"},
        {"arn": role("a"), "operators": True},
        {"arn": role("a"), "operator": "maybe"},
        {},
    ],
)
def test_a_wrong_entry_stops_the_api_and_is_named_in_the_log(
    deployment: Deployment, entry: dict[str, Any]
) -> None:
    deployment.know_caller(**{"arn": "", **entry})
    deployment.post_run({"agent": "payer", "input": "go"}).refused(500)
    assert f"the callers in /{deployment.table}/callers/1" in deployment.log.getvalue()


@pytest.mark.parametrize("error", [ClientError({"Error": {"Code": "ThrottlingException"}}, "x"),
                                   EndpointConnectionError(endpoint_url="x")])  # fmt: skip
def test_a_parameter_store_that_does_not_answer_is_not_an_empty_list(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(self: Any, operation: str, more: Any) -> Any:
        if operation == "GetParameter":
            raise error
        return call_api(self, operation, more)

    call_api = BaseClient._make_api_call  # type: ignore[attr-defined]
    monkeypatch.setattr(BaseClient, "_make_api_call", fails)
    deployment.post_run({"agent": "payer", "input": "go"}).refused(503)
