"""The list of the deployed agents, for programs."""

from tests.support.deployment import Deployment


def test_the_deployed_agents_are_listed_with_their_policies(deployment: Deployment) -> None:
    page = deployment.http("list-agents").json()
    assert page["next"] is None
    agents = {each["name"]: each for each in page["items"]}
    startable = [name for name, each in agents.items() if each["startable"]]
    assert startable == ["hr", "treasury", "procurement", "logistics"]
    assert not agents["account_agent"]["startable"]
    welcome, account = agents["hr"]["tools"]
    assert (welcome["kind"], welcome["agent"]) == ("tool", None)
    assert (account["kind"], account["agent"]) == ("agent", "account_agent")
    create, authorize = agents["account_agent"]["tools"]
    assert create["approval"] is None
    assert authorize["approval"]["stages"] == [
        {"approvers": ["security@example.com"], "needed": 1, "conditional": False}
    ]


def test_the_list_of_agents_takes_no_parameters(deployment: Deployment) -> None:
    answer = deployment.http("list-agents", query={"cursor": "x"})
    assert answer.faults() == {"cursor"}
