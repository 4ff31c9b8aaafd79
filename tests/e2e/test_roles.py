"""What somebody can do who has the credentials of one role, and nothing else."""

import json
import zlib
from functools import partial
from secrets import token_hex

import pytest

from tests.e2e.conftest import Client, System
from tests.e2e.roles.attacker import Attacker, passes
from tests.e2e.roles.attacks import (
    APPROVES,
    APPROVES_HIGH,
    CANCELS,
    EVENT,
    FALSE,
    GRANTS,
    LEAD,
    LINKS,
    LINKS_HIGH,
    STARTS,
    STRANGER,
)
from tests.e2e.roles.document import PLACE, page
from tests.e2e.roles.observed import NO_RIGHTS, YES, Observed, observe
from tests.e2e.roles.rights import PUBLISHES, resources
from tests.support.template_functions import roles

ENGINE, NOTIFY = "AdvanceRole", "NotifyRole"
# What they are for is to accept what people and callers say, and what comes from outside.
WRITERS = {"RunsApiFunctionRole", "ApprovalsApiFunctionRole", "InboundRole"}
EVENTS = "EventBridgeFunctionRole"
HARMLESS = sorted(set(roles()) - WRITERS - {ENGINE, NOTIFY, EVENTS})


@pytest.fixture(scope="module")
def seen(door: tuple[Client, System]) -> Observed:
    return observe(*door)


def test_the_page_says_what_is_so(seen: Observed) -> None:
    assert PLACE.read_text(encoding="utf-8") == page(seen), "run `python -m tests.e2e.roles`"


def test_an_administrator_may_do_all_that_is_tried(seen: Observed) -> None:
    assert seen.administrator == seen.tried


def test_a_role_without_rights_may_do_nothing(seen: Observed) -> None:
    assert seen.held[NO_RIGHTS] == {}
    assert set(seen.results[NO_RIGHTS].values()) == {""}


def test_the_emulator_lets_pass_only_what_is_read_from_policies_then(seen: Observed) -> None:
    assert seen.unenforced == {PUBLISHES: ["Notices", "Alarms"]}


def succeeded(seen: Observed, role: str) -> set[str]:
    return {attack for attack, result in seen.results[role].items() if result == YES}


@pytest.mark.parametrize("role", HARMLESS)
def test_a_function_that_decides_nothing_cannot_have_anything_done(
    seen: Observed, role: str
) -> None:
    assert succeeded(seen, role) == set()


def test_who_accepts_events_can_send_false_ones_only(seen: Observed) -> None:
    assert succeeded(seen, EVENTS) == {EVENT}


def test_who_makes_links_can_approve_calls_of_low_risk_only(seen: Observed) -> None:
    assert succeeded(seen, NOTIFY) == {LINKS, FALSE}


def test_nobody_has_a_link_mailed_to_a_stranger(seen: Observed) -> None:
    assert [role for role in roles() if STRANGER in succeeded(seen, role)] == []


def test_no_link_approves_a_call_of_high_risk(seen: Observed) -> None:
    assert [role for role in roles() if LINKS_HIGH in succeeded(seen, role)] == []


def test_the_engine_alone_can_have_everything_done(seen: Observed) -> None:
    """Until what people say is signed where the engine cannot sign."""
    assert {APPROVES, APPROVES_HIGH, GRANTS, FALSE, STARTS, CANCELS, EVENT} <= succeeded(
        seen, ENGINE
    )


def test_no_role_may_assume_another(system: System) -> None:
    attacker = Attacker(system.stack.ministack.url)
    iam, assume = system.stack.client("iam"), attacker.client("sts").assume_role
    arns = [
        iam.get_role(RoleName=system.role(users[0]))["Role"]["Arn"] for users in roles().values()
    ]
    for users in roles().values():
        attacker.become(system.credentials(system.role(users[0])))
        for arn in arns:
            assert not passes(partial(assume, RoleArn=arn, RoleSessionName="other"))


def test_a_forged_wake_up_message_is_a_wake_up_message(client: Client, system: System) -> None:
    """The sweeper may send to the queues of runs and notices. Nothing else in a message counts."""
    task = "Order a lamp for 450 from acme. Sign the contract with lamps for 2 years."
    waits, ended = client.start("procurement", task), client.start("procurement", "Nothing.")
    request = next(e for e in client.suspended(waits, waiting=2)["waiting"] if e["tool"] == "order")
    client.link(request, LEAD)
    client.ended(ended)
    system.quiet()
    before = [_state(client, waits), _state(client, ended), client.mails(), system.ran("order")]
    forged = {
        "agent": "procurement",
        "input": task,
        "cancel": True,
        "status": "completed",
        "decision": {"verdict": "approve", "approver": LEAD, "via": "session"},
        "request_id": request["request_id"],
        "undelivered": ["email:mallory@example.org"],
        "approvers": ["mallory@example.org"],
    }
    with system.as_function("SweepFunction") as make:
        for queue in ("AdvanceQueue", "ResumeQueue", "NotifyQueue"):
            for run_id in (waits, ended, "aaaaaaaaaaaaaaaaaaaaaaaa"):
                for notice_id in (*_notices(system, run_id), "bbbbbbbbbbbbbbbb"):
                    message = {**forged, "run_id": run_id, "notice_id": notice_id}
                    make("sqs").send_message(
                        QueueUrl=system.stack.resource(queue), MessageBody=json.dumps(message)
                    )
    system.quiet()
    assert [
        _state(client, waits),
        _state(client, ended),
        client.mails(),
        system.ran("order"),
    ] == before


def test_an_object_that_is_replaced_runs_nothing_else(client: Client, system: System) -> None:
    """Who may put objects can only make a run unreadable until the object is as it was."""
    run_id = client.start("procurement", f"Order a desk for 450 from acme. {token_hex(60_000)}")
    (asked,) = client.suspended(run_id)["waiting"]
    place = {"Bucket": system.stack.resource("Bucket")}
    with system.as_function("RunsApiFunction") as make:
        s3 = make("s3")
        listed = s3.list_objects_v2(**place, Prefix=f"runs/{run_id}/")["Contents"]
        assert listed
        true = {
            each["Key"]: s3.get_object(**place, Key=each["Key"])["Body"].read() for each in listed
        }
        for key, value in true.items():
            false = zlib.compress(zlib.decompress(value).replace(b"acme", b"globex"))
            s3.put_object(**place, Key=key, Body=false)
        assert client.decide(run_id, asked, "approve").status == 503
        assert system.effects(run_id, "order") == []
        for key, value in true.items():
            s3.put_object(**place, Key=key, Body=value)
    assert client.decide(run_id, asked, "approve", approver=LEAD).status == 200
    assert client.ended(run_id)["status"] == "completed"
    (ran,) = system.effects(run_id, "order")
    assert ran["arguments"]["supplier"] == "acme"


def _state(client: Client, run_id: str) -> list[object]:
    """Everything that people see of a run, but for when an engine has looked at it."""
    parts = ("continuation", "timeline", "audit")
    run = {name: each for name, each in client.run(run_id).items() if name != "updated_at"}
    return [run, *(client.send("GET", f"/runs/{run_id}/{part}").json for part in parts)]


def _notices(system: System, run_id: str) -> list[str]:
    """The ids of a run's notices."""
    query = partial(
        system.stack.client("dynamodb").query,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={":pk": {"S": f"R#{run_id}"}, ":sk": {"S": "N#"}},
    )
    tables = map(system.stack.resource, resources("AWS::DynamoDB::Table"))
    items = [item for table in tables for item in query(TableName=table)["Items"]]
    return [item["sk"]["S"].removeprefix("N#") for item in items]
