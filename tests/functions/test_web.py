"""The pages for operators: access, the list of runs, and a run in each state."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import unescape
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest

from agent_continuations.core.run import Status
from tests.local.issuer import IssuerServer
from tests.local.model_server import Call, Fault, Json, ModelServer, Reply
from tests.support.deployment import SECURITY, Deployment
from tests.support.http_answers import CURL, Answer
from tests.support.safe_pages import (
    BIDI,
    HOSTILE,
    assert_is_a_safe_page,
    assert_is_a_safe_run,
    links,
    refresh_seconds,
    statuses_of,
)
from tests.support.scripted_models import costly, hostile
from tests.support.signed_in import SignedInBrowser
from tests.support.template_functions import functions

TREASURY = "Pay 50 to ops, 2500 to reserve, and close old-vendor"
LOOPBACK = "http://127.0.0.1:8000"


@pytest.fixture
def opened(deployment: Deployment) -> Deployment:
    """A stack on the developer's machine."""
    deployment.parameters |= {"WebIsOpen": "yes", "PublicUrl": LOOPBACK}
    return deployment


def listed(deployment: Deployment, **query: str) -> Answer:
    return deployment.http("web", query=query or None, headers={"Cookie": None})


def page(deployment: Deployment, run_id: str, **query: str) -> Answer:
    answer = deployment.http(
        "web-run", params={"run_id": run_id}, query=query or None, headers={"Cookie": None}
    )
    if answer.status == 200:
        assert_is_a_safe_run(answer)
    return answer


def messages_page(deployment: Deployment, run_id: str, **query: str) -> Answer:
    return deployment.http(
        "web-messages", params={"run_id": run_id}, query=query, headers={"Cookie": None}
    )


def runs_on(answer: Answer) -> list[str]:
    return re.findall(r'href="web/runs/(\w+)"', answer.body)


# -- access ----------------------------------------------------------------------------------------


@pytest.fixture
def issuer(deployment: Deployment) -> Iterator[IssuerServer]:
    with IssuerServer() as server:
        deployment.trust(server)
        yield server


def every_page(
    deployment: Deployment, run_id: str, headers: Mapping[str, str | None]
) -> Iterator[Answer]:
    yield deployment.http("web", headers=headers)
    yield deployment.http("web-run", params={"run_id": run_id}, headers=headers)
    yield deployment.http("web-messages", params={"run_id": run_id}, headers=headers)


def test_a_visitor_without_sign_in_signs_in_and_returns(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    run_id = deployment.suspended()
    answers = list(every_page(deployment, run_id, {"Cookie": None}))
    assert [(each.status, each.headers["location"]) for each in answers] == [
        (303, "signin?next=/web"),
        (303, f"../../signin?next=/web/runs/{run_id}"),
        (303, f"../../../signin?next=/web/runs/{run_id}/messages%3Fpath%3D0.1"),
    ]
    for answer in every_page(deployment, run_id, {"Cookie": None, "Accept": "*/*"}):
        answer.refused(401)


@pytest.mark.parametrize(
    "groups", [(), ("finance",), ("operator",), ("operators2",), ("group:operators",)]
)
def test_a_person_of_another_group_sees_nothing(
    deployment: Deployment, issuer: IssuerServer, groups: tuple[str, ...]
) -> None:
    run_id = deployment.suspended()
    cookie = SignedInBrowser(deployment, issuer, "eve@example.com", *groups).cookie
    for answer in every_page(deployment, run_id, {"Cookie": cookie}):
        assert answer.status == 403
        assert_is_a_safe_page(answer)
        assert "only members of operators can see runs" in answer.body
        assert "Ada" not in answer.body and ">suspended<" not in answer.body
        [way] = links(answer)
        assert "signin?next=/web" in way


@pytest.mark.parametrize("group", ["operators", "Operators"])  # as groups of approvers compare
def test_operators_see_every_run_and_their_group_is_a_parameter(
    deployment: Deployment, issuer: IssuerServer, group: str
) -> None:
    run_id = deployment.suspended()
    operator = SignedInBrowser(deployment, issuer, "ann@example.com", "finance", group)
    assert runs_on(operator.get("web")) == [run_id]
    assert statuses_of(operator.get("web-run", run_id=run_id)) == ["suspended"]
    deployment.parameters["OperatorsGroup"] = "on-call"
    assert operator.get("web").status == 403


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"WebIsOpen": "yes", "PublicUrl": LOOPBACK}, 200),
        ({"WebIsOpen": "no", "PublicUrl": LOOPBACK}, 303),
        ({"WebIsOpen": "yes", "PublicUrl": "https://agents.example.com"}, 303),
        ({"WebIsOpen": "yes"}, 303),
    ],
)
def test_the_dashboard_is_open_only_on_loopback_and_by_parameter(
    deployment: Deployment, parameters: dict[str, str], status: int
) -> None:
    deployment.parameters |= parameters
    run_id = deployment.suspended()
    answers = every_page(deployment, run_id, {"Cookie": None})
    assert [each.status for each in answers] == [status] * 3


def test_opening_a_page_changes_nothing(opened: Deployment) -> None:
    run_id = opened.suspended()
    before = opened.state()
    listed(opened)
    page(opened, run_id)
    messages_page(opened, run_id)
    assert opened.state() == before


def test_the_role_of_the_dashboard_only_reads() -> None:
    [policy] = functions()["WebFunction"]["Policies"]
    allowed = {}
    for each in policy["Statement"]:
        assert each["Effect"] == "Allow"
        actions = each["Action"]
        allowed[str(each["Resource"])] = [actions] if isinstance(actions, str) else list(actions)
    assert list(allowed.values()) == [
        ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"],
        ["dynamodb:Query"],
        ["s3:GetObject"],
        ["s3:ListBucket"],
    ]
    assert set(functions()["WebFunction"]) <= {
        *("CodeUri", "Handler", "Environment", "Policies", "Events"),
    }


# -- the list --------------------------------------------------------------------------------------


def test_the_list_shows_runs_newest_first_with_their_status(opened: Deployment) -> None:
    done = opened.started("treasury", "Pay 50 to ops")
    opened.drain()
    waits, new = opened.suspended(), opened.started()
    answer = listed(opened)
    assert_is_a_safe_page(answer)
    assert runs_on(answer) == [new, waits, done]
    statuses = re.findall(r'<p><span class="status (\w+)">(\w+)</span>', answer.body)
    assert statuses == [(each, each) for each in ("ready", "suspended", "completed")]
    assert answer.body.count("<time datetime=") == 6
    assert "<strong>treasury</strong>" in answer.body
    assert f"{datetime.now(UTC):%Y-%m-%d}" in answer.body


def test_a_form_finds_runs_by_status_and_agent(opened: Deployment) -> None:
    treasury, waits = opened.suspended("treasury", TREASURY), opened.suspended()
    new = opened.started()
    assert runs_on(listed(opened, status="", agent="")) == [new, waits, treasury]
    assert runs_on(listed(opened, status="suspended", agent="")) == [waits, treasury]
    answer = listed(opened, status="suspended", agent="treasury")
    assert runs_on(answer) == [treasury]
    assert "<option selected>suspended</option>" in answer.body
    assert answer.form_value("agent") == "treasury"
    assert re.findall("<form[^>]*>", answer.body) == [
        '<form method="get" action="" class="filters" aria-label="Filter runs">'
    ]
    assert "No runs found." in listed(opened, status="parked").body


def test_the_next_page_continues_after_the_last_run(
    opened: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.run_list_page.PAGE_SIZE", 2)
    started = [opened.started() for _ in range(3)] + [opened.started("treasury", TREASURY)]
    query, seen = {"agent": "hr"}, []
    answer = listed(opened, **query)
    seen += runs_on(answer)
    assert "Newest" not in answer.body
    [further] = [each for each in links(answer) if "cursor=" in each]
    found = dict(parse_qsl(unescape(further.removeprefix("?"))))
    assert found.keys() == {"agent", "cursor"}
    answer = listed(opened, **found)
    seen += runs_on(answer)
    assert seen == started[2::-1]
    assert links(answer) & {"?agent=hr"}
    assert "Older" not in answer.body


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "asleep"}, "status"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_invalid_list_request_shows_an_error_page(
    opened: Deployment, query: dict[str, str], field: str
) -> None:
    answer = listed(opened, **query)
    assert answer.status == 422
    assert_is_a_safe_page(answer)
    assert f"<code>{field}</code>" in answer.body
    answer = opened.http("web", query=query, headers=CURL)
    assert answer.faults() == {field}


@pytest.mark.parametrize("run_id", ["mzxw6ytboi2dgnjrgezdgnbv", "nonsense", "<b>\u202e"])
def test_a_missing_run_shows_an_error_page(opened: Deployment, run_id: str) -> None:
    answer = page(opened, run_id)
    assert answer.status == 404
    assert_is_a_safe_page(answer)
    assert links(answer) == {"../../web"}


# -- a run -----------------------------------------------------------------------------------------


def test_a_waiting_run_shows_the_waits_in_its_tree_and_the_approvers(opened: Deployment) -> None:
    run_id = opened.suspended("treasury", TREASURY)
    answer = page(opened, run_id)
    assert statuses_of(answer) == ["suspended"]
    assert refresh_seconds(answer) == 30
    # The clerk inside the treasury, a worker for each order inside the clerk.
    tree = re.sub(r"\s+", " ", re.sub(r"<(?!/?(?:ul|li))[^>]*>", "", answer.body))
    assert re.search(
        r"<ul> <li>clerk running messages <ul> <li>payment_worker done messages <ul>"
        r" <li>balance done </li> <li>transfer done </li> </ul> </li>"
        r" <li>payment_worker running messages <ul>"
        r" <li>balance done </li>"
        r' <li class="here">transfer awaiting approval \(open\) </li>',
        tree.replace('<ul class="plain waits">', ""),
    ), tree
    for waiting in opened.read(run_id)["waiting"]:
        assert f"../../approvals/{run_id}/{waiting['request_id']}" in links(answer)
    assert "Asked: cfo@example.com, audit@example.com" in answer.body
    assert "7 days left" in answer.body
    assert "treasury \u203a clerk \u203a closing_worker" in answer.body


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_an_ended_run_shows_its_result_and_does_not_refresh(
    opened: Deployment, model: ModelServer, status: Status
) -> None:
    if status is Status.FAILED:
        model.respond = lambda _request: Reply(content="")
    run_id = opened.started("treasury", "Pay 50 to ops")
    if status is Status.CANCELLED:
        assert opened.http("cancel-run", params={"run_id": run_id}).status == 202
        assert "Cancelling. The run ends once" in page(opened, run_id).body
    opened.drain()
    answer = page(opened, run_id)
    assert statuses_of(answer) == [status.value]
    assert refresh_seconds(answer) is None
    assert "looks again" not in answer.body
    assert ">Waiting for</h2>" not in answer.body
    told = re.findall(r'<h2 id="answer">(.*?)</h2>\s*<p class="goal">(.*?)</p>', answer.body)
    assert [(head, text.split(" (")[0]) for head, text in told] == {
        Status.COMPLETED: [("Result", "Transferred 50 euros to ops")],
        Status.FAILED: [("Why it failed", "the model gave no usable answer: empty, empty, empty")],
        Status.CANCELLED: [],
    }[status]


def test_a_blocked_run_shows_the_reason_and_how_to_redrive_it(
    opened: Deployment, model: ModelServer
) -> None:
    model.respond = lambda _request: Fault(status=403)
    run_id = opened.started()
    opened.drain()
    answer = page(opened, run_id)
    assert statuses_of(answer) == ["suspended"]
    assert ">Problem</h2>" in answer.body
    assert "Tried 1 time since" in answer.body
    assert f"POST /runs/{run_id}/redrive" in answer.body
    [note] = re.findall(r'<h2 id="answer">.*?</h2>\s*<p class="goal">(.*?)</p>', answer.body)
    assert note


def test_the_page_of_a_run_without_a_lease_refreshes_soon(opened: Deployment) -> None:
    answer = page(opened, opened.started())
    assert statuses_of(answer) == ["ready"]
    assert refresh_seconds(answer) == 3
    assert "no calls yet" in answer.body
    assert "No model has replied yet." in answer.body


def test_the_refresh_of_a_page_can_be_paused(opened: Deployment) -> None:
    run_id = opened.started()
    assert "?still=1" in links(page(opened, run_id))
    answer = page(opened, run_id, still="1")
    assert refresh_seconds(answer) is None
    assert "?" in links(answer)


def test_the_timeline_ends_with_the_newest_and_names_the_approver(opened: Deployment) -> None:
    run_id = opened.suspended()
    opened.click(opened.token(SECURITY), "reject", reason="not before monday")
    opened.drain()
    answer = page(opened, run_id)
    [timeline] = re.findall(r'<ol class="timeline">(.*?)</ol>', answer.body, re.DOTALL)
    kinds = re.findall(r'<span class="kind">(\w+)</span>', timeline)
    assert kinds == [each["kind"] for each in opened.timeline(run_id)]
    assert (kinds[0], kinds[-1]) == ("started", "ended")
    assert "not before monday" in timeline
    assert timeline.count("<time datetime=") == len(kinds)
    assert all(each.endswith("UTC") for each in re.findall("<time[^>]*>([^<]*)", timeline))


def test_a_failed_notification_is_on_the_page(opened: Deployment) -> None:
    opened.forbid_sender()
    run_id = opened.started()
    opened.drain()
    [lost] = opened.read(run_id)["undelivered"]
    answer = page(opened, run_id)
    assert "Some notifications failed" in answer.body
    assert f"email:{SECURITY}" in answer.body
    assert lost["failure"][:20] in answer.body
    assert "1 attempt;" in answer.body
    opened.allow_sender()


def test_each_model_has_its_cost_and_one_without_a_price_is_named(
    opened: Deployment, model: ModelServer
) -> None:
    model.respond = costly
    run_id = opened.suspended()
    opened.parameters["Model"] = "wise-owl-1"
    opened.click(opened.token(SECURITY))
    opened.drain()
    answer = page(opened, run_id)
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', answer.body)
    table = {name: re.findall(r"<td>(.*?)</td>", cells) for name, cells in rows}
    # gpt-5-mini: $0.25 a million tokens in, $2.00 out.
    assert table == {
        "gpt-5-mini": ["3", "3,000,000", "300,000", "$1.3500"],
        "wise-owl-1": ["2", "2,000,000", "200,000", "unknown"],
        "All": ["5", "5,000,000", "500,000", "$1.3500"],
    }
    assert "No price is known for wise-owl-1" in answer.body


def test_every_link_leads_to_a_page_of_this_stage(opened: Deployment) -> None:
    run_id = opened.suspended()
    opened.started()
    asked = opened.request_id(run_id)
    here = {
        "/v1/web": listed(opened),
        f"/v1/web/runs/{run_id}": page(opened, run_id),
        f"/v1/web/runs/{run_id}/messages": messages_page(opened, run_id),
    }
    found = set()
    for address, answer in here.items():
        for link in links(answer):
            assert not urlsplit(link).scheme and not link.startswith("/")
            found.add(_seen_from(address, link))
    assert found == {
        f"/v1/web/runs/{run_id}",
        *(f"/v1/web/runs/{each}" for each in runs_on(here["/v1/web"])),
        f"/v1/web/runs/{run_id}?still=1",
        f"/v1/web/runs/{run_id}/messages",
        f"/v1/web/runs/{run_id}/messages?path=0.1",
        "/v1/web",
        f"/v1/approvals/{run_id}/{asked}",
    }


def _seen_from(address: str, link: str) -> str:
    return (
        urlsplit(urljoin(f"https://a.example{address}", link.replace("&amp;", "&")))
        ._replace(scheme="", netloc="")
        .geturl()
    )


def test_hostile_text_stays_text_and_its_invisible_characters_are_shown(
    opened: Deployment, model: ModelServer
) -> None:
    model.respond = hostile
    run_id = opened.suspended("treasury", f"Transfer 250 to acme. {HOSTILE}")
    waiting = page(opened, run_id)
    opened.click(opened.token("cfo@example.com"), "reject", reason=f"No. {HOSTILE}")
    opened.drain()
    ended = page(opened, run_id)
    for answer in (waiting, ended):
        assert not BIDI.search(answer.body)
        assert "<script" not in answer.body and "<img" not in answer.body
        assert r"\u{202e}tfosorcim\u{2066}" in answer.body  # the input
    assert r"\u202etfosorcim\u2066" in waiting.body  # arguments, which still are JSON
    assert "No. &lt;script&gt;" in ended.body
    assert ended.body.count("&lt;script&gt;alert(1)") > waiting.body.count("&lt;script&gt;alert(1)")


def test_the_page_of_a_very_long_run_stays_below_the_response_limit(
    opened: Deployment, model: ModelServer
) -> None:
    """Lambda's answers end at 6 MB."""
    long = "\u202e" * 60_000

    def endless(request: Json) -> Reply | Fault:
        if len(request["messages"]) > 4:
            return Reply(content=long)
        return Reply(tool_calls=tuple(Call("balance", {"account": long[:5000]}) for _ in range(99)))

    model.respond = endless
    run_id = opened.started("treasury", long)
    opened.drain()
    answer = page(opened, run_id)
    assert statuses_of(answer) == ["completed"]
    assert len(answer.body.encode()) < 3 * 1024 * 1024
    assert "more characters" in answer.body
