"""`grants` lists standing approvals and revokes them."""

from itertools import count

import pytest

from agent_continuations import Agent, Approval, ModelRequest, Reply, call, say, tool
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide, GrantTerms
from tests.support.cli_agents import CSI, ESC, HOSTILE, RLO
from tests.support.cli_commands import Run, document
from tests.support.cli_server import Server
from tests.support.local_harness import ANN, BOB, LocalHarness


@tool(approval=Approval([ANN, BOB], grant_seconds=3600))
def pay(amount: int, to: str, note: str) -> str:
    """Pay."""
    return f"paid {amount} to {to}: {note}"


@pytest.fixture
def harness() -> LocalHarness:
    amounts = count(250)

    def script(request: ModelRequest) -> Reply:
        """Pays more each time, so that no earlier grant covers the call."""
        if any(message["role"] == "tool" for message in request.messages):
            return say("Paid.")
        return call("pay", amount=next(amounts), to="bob", note=HOSTILE)

    return LocalHarness(agents=[Agent("clerk", tools=[pay])], scripts={"clerk": script})


def granted(server: Server, approver: str = ANN, max_uses: int | None = None) -> str:
    """Approves a call and similar ones; returns the id of the grant."""
    run = server.runner.start("clerk", "go")
    terms = GrantTerms(seconds=3600, rules={"amount": "up_to", "to": "any"}, max_uses=max_uses)
    response = Decide(verdict=Verdict.APPROVE, approver=approver, via="local", grant=terms)
    services = server.runner._services
    before = {each.grant_id for each in services.grants.all()}
    services.decisions.decide(run.run_id, run.waiting[0].request_id, response)
    [new] = {each.grant_id for each in services.grants.all()} - before
    return new


def test_a_grant_is_described_in_one_line(run: Run, server: Server) -> None:
    grant_id = granted(server, max_uses=3)
    [line] = run("grants").stdout.splitlines()
    assert line.startswith(
        f"{grant_id} ann@example.com approves pay(amount up to 250, any to, note="
    )
    assert line.endswith("by agent clerk; until 2026-11-26 13:00:00 UTC; uses: 0 of 3")
    assert [each for each in (ESC, RLO, CSI) if each in line] == []


def test_grants_are_listed_by_approver(run: Run, server: Server) -> None:
    ids = [granted(server), granted(server, BOB)]
    assert {line.split()[0] for line in run("grants").stdout.splitlines()} == {*ids}
    [line] = run("grants", "--approver", "BOB@example.com").stdout.splitlines()
    assert line.startswith(ids[1])
    assert {each["grant_id"] for each in document(run("grants", "--json"))["items"]} == {*ids}
    assert run("grants", "--approver", "eve@example.com").output == ""


def test_a_grant_is_revoked_by_a_prefix_of_its_id(run: Run, server: Server) -> None:
    grant_id = granted(server)
    output = run("grants", "revoke", grant_id[:6]).stdout
    assert "revoked 2026-11-26 12:00:00 UTC by cli; uses: 0" in output
    assert server.received[-1].path == f"/grants/{grant_id}/revoke"
    assert document(run("grants", "revoke", grant_id, "--json"))["lives"] is False
    assert "revoked" in run("grants").stdout


def test_a_wrong_id_revokes_nothing(run: Run, server: Server) -> None:
    ids = [granted(server) for _ in range(40)]
    shared = next(each[0] for each in ids if sum(one[0] == each[0] for one in ids) > 1)
    assert "standing approvals start with" in run("grants", "revoke", shared, code=2).stderr
    assert run("grants", "revoke", "", code=2).stderr == "agent-continuations: GRANT is empty\n"
    assert "there is no standing approval" in run("grants", "revoke", "a/../b", code=1).stderr
    run("grants", "--approver", ANN, "revoke", ids[0], code=2)
    assert all(each["lives"] for each in document(run("grants", "--json"))["items"])
