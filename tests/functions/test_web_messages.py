"""The page of the messages to the model of one agent."""

import re
from html import unescape
from urllib.parse import parse_qsl

import pytest

import agents
from agent_continuations import Agent, tool
from agent_continuations.services.request_pages import PageLimits
from tests.local.model_server import Call, Fault, Json, ModelServer, Reply
from tests.support.deployment import SECURITY, Deployment
from tests.support.http_answers import Answer
from tests.support.safe_pages import BIDI, HOSTILE, assert_is_a_safe_page, links
from tests.support.scripted_models import hostile

TREASURY = "Pay 50 to ops, 2500 to reserve, and close old-vendor"
RESPONSE_LIMIT = 6 * 1024 * 1024


@pytest.fixture
def opened(deployment: Deployment) -> Deployment:
    deployment.parameters |= {"WebIsOpen": "yes", "PublicUrl": "http://127.0.0.1:8000"}
    return deployment


def page(deployment: Deployment, run_id: str, **query: str) -> Answer:
    answer = deployment.http(
        "web-messages", params={"run_id": run_id}, query=query, headers={"Cookie": None}
    )
    if answer.status == 200:
        assert_is_a_safe_page(answer)
    return answer


def texts(answer: Answer) -> list[str]:
    """The text of each section."""
    sections = re.findall(r"<section[^>]*>(.*?)</section>", answer.body, re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]*>", " ", each)).split()) for each in sections]


def test_the_page_shows_each_request_with_what_is_new_in_it(opened: Deployment) -> None:
    run_id = opened.suspended()
    opened.click(opened.token(SECURITY), "reject", reason="not before monday")
    opened.drain()
    agents_of_run, *requests = texts(page(opened, run_id, path="0.1"))
    assert agents_of_run.startswith("Agents of this run hr account_agent 0.1")
    assert [each.split()[:2] for each in requests] == [
        ["Request", str(number)] for number in range(len(requests))
    ]
    first, *_, last = requests
    assert "Tools: create_account, authorize" in first
    assert re.search(r"gpt-5-mini, 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC ; [\d,]+ tokens in", first)
    assert " system " in first and " user " in first and " Reply calls " in first
    assert "Tools" not in last  # as before
    assert "not before monday" in last
    assert re.search(r"After \d+ earlier messages:", last)
    assert " system " not in last


def test_the_links_lead_to_the_other_agents_and_back(opened: Deployment) -> None:
    run_id = opened.suspended("treasury", TREASURY)
    found = links(page(opened, run_id))
    frames = opened.http("read-messages", params={"run_id": run_id}, query={}).json()["frames"]
    assert len(frames) > 3
    ways = {f"?path={each['path'].replace('/', '%2F')}" if each["path"] else "?" for each in frames}
    assert found == {f"../{run_id}", *ways}
    for way in ways:
        query = dict(parse_qsl(way.removeprefix("?")))
        answer = page(opened, run_id, **query)
        assert answer.status == 200
        assert answer.body.count('aria-current="page"') == 1


def test_a_refused_request_has_no_reply(opened: Deployment, model: ModelServer) -> None:
    model.respond = lambda _request: Fault(status=403)
    run_id = opened.started()
    opened.drain()
    [request] = texts(page(opened, run_id))
    assert "not answered yet" in request
    assert "Tools and settings are not recorded before the reply." in request
    assert "Onboard Ada Lovelace" in request
    assert "Reply" not in request


def test_a_reply_that_was_not_used_says_why(opened: Deployment, model: ModelServer) -> None:
    model.respond = lambda _request: Reply(content="")
    run_id = opened.started()
    opened.drain()
    first, second, third = texts(page(opened, run_id))
    for each in (first, second, third):
        assert "Not used: it was empty." in each
    assert "Your reply was empty." in second


def test_a_run_with_many_requests_has_pages(
    opened: Deployment, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.messages_page.LIMITS", PageLimits(2, 400_000))
    run_id = opened.suspended("treasury", TREASURY)
    path = "0.0/0.0"
    seen: list[str] = []
    answer = page(opened, run_id, path=path)
    assert "First requests" not in answer.body
    while True:
        seen += re.findall(r'<h2 id="request(\d+)">', answer.body)
        [*further] = [each for each in links(answer) if "cursor=" in each]
        if not further:
            break
        query = dict(parse_qsl(unescape(further[0].removeprefix("?"))))
        assert query.keys() == {"path", "cursor"}
        answer = page(opened, run_id, **query)
        assert "?path=0.0%2F0.0" in links(answer)
        assert "First requests" in answer.body
    assert seen == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"path": "7.7"}, 404),
        ({"cursor": "x"}, 422),
        ({"turn": "1"}, 422),
        ({"path": "\u202e"}, 404),
    ],
)
def test_an_invalid_address_shows_an_error_page(
    opened: Deployment, query: dict[str, str], status: int
) -> None:
    run_id = opened.suspended()
    answer = page(opened, run_id, **query)
    assert answer.status == status
    assert_is_a_safe_page(answer)
    assert links(answer) == {"../../../web"}


def test_hostile_text_stays_text(opened: Deployment, model: ModelServer) -> None:
    model.respond = hostile
    run_id = opened.suspended("treasury", f"Transfer 250 to acme. {HOSTILE}")
    frames = opened.http("read-messages", params={"run_id": run_id}, query={}).json()["frames"]
    for each in frames:
        answer = page(opened, run_id, path=each["path"])
        assert not BIDI.search(answer.body)
        assert "<script" not in answer.body and "<img" not in answer.body
        assert "&lt;script&gt;alert(1)" in answer.body


@pytest.mark.parametrize("text", ["\u202e" * 300_000, "&" * 900_000, "\x01" * 300_000])
def test_the_page_of_very_long_messages_stays_below_the_response_limit(
    opened: Deployment, model: ModelServer, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    @tool(effect="read")
    def read_it() -> str:
        """Read."""
        return text

    reader = Agent("reader", text[:200_000], tools=[read_it], settings={"stop": [text]})
    monkeypatch.setattr(agents, "AGENTS", [reader])

    def respond(request: Json) -> Reply:
        if len(request["messages"]) > 20:
            return Reply(content=text)
        return Reply(content=text, tool_calls=(Call("read_it", {}), Call("read_it", {})))

    model.respond = respond
    run_id = opened.started("reader", "go")
    opened.drain()
    query: dict[str, str] = {}
    for _ in range(100):
        answer = page(opened, run_id, **query)
        assert answer.status == 200
        assert len(answer.body.encode()) < RESPONSE_LIMIT
        further = [each for each in links(answer) if "cursor=" in each]
        if not further:
            break
        query = dict(parse_qsl(further[0].removeprefix("?")))
    else:
        pytest.fail("the pages do not end")
