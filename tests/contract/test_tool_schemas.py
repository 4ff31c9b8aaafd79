"""Schemas of tools stay as they were, byte for byte: approvals cover their version."""

import hashlib
import json
from typing import Any

import pytest

from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.schema import ArgumentsRefused
from agent_continuations.authoring.tool import Tool
from agents import AGENTS
from tests.contract import stored_forms

# By agent and tool: the schema version, and the start of the SHA-256 of the schema's JSON text, as
# the code before arguments were read from the text of a call computed them.
BEFORE = {
    "hr.send_welcome_mail": ("8c24d6be8468", "c3ba1f2d3a9869c8"),
    "hr.account_agent": ("agent-1", "a5572ab2bdb8afcb"),
    "account_agent.create_account": ("c6ce20a8108d", "6b2d8a183756b436"),
    "account_agent.authorize": ("c7ee7f47583a", "3489199723a7c91e"),
    "treasury.clerk": ("agent-1", "a5572ab2bdb8afcb"),
    "clerk.payment_worker": ("agent-1", "a5572ab2bdb8afcb"),
    "payment_worker.balance": ("2728cb9f6ed0", "42cda2c50fbf173d"),
    "payment_worker.transfer": ("f5927c5e440c", "7086ecf01764eabb"),
    "clerk.closing_worker": ("agent-1", "a5572ab2bdb8afcb"),
    "closing_worker.balance": ("2728cb9f6ed0", "42cda2c50fbf173d"),
    "closing_worker.delete_account": ("2728cb9f6ed0", "42cda2c50fbf173d"),
    "procurement.order": ("6d3a51172dc2", "7809e1217572a00a"),
    "procurement.sign_contract": ("b30c53c12f6e", "3686b9b3cf3ae191"),
    "logistics.ask_buyer": ("b5fa57c62014", "9e2fc1f0b8ee7d42"),
    "logistics.await_goods": ("b5fa57c62014", "9e2fc1f0b8ee7d42"),
    "logistics.book_truck": ("b5fa57c62014", "9e2fc1f0b8ee7d42"),
    "logistics.rest": ("e39a602350d8", "0a5eb25b8dac5bd7"),
    "logistics.courier": ("agent-1", "a5572ab2bdb8afcb"),
    "courier.hand_over": ("2dd4e90155de", "01e94e709bdf3d18"),
    "boss.clerk": ("agent-1", "a5572ab2bdb8afcb"),
    "clerk.pay": ("2c45d572e8d4", "f6b98bb1a9db6eef"),
    "clerk.look": ("b233fd53c601", "b257200a5e666ef0"),
    "boss.launch": ("99334726611c", "fdca8d9bd184204b"),
}
TOOLS = {
    f"{agent.name}.{tool.name}": tool
    for registry in (Registry(AGENTS), stored_forms.agents())
    for agent in reversed(registry.agents)
    for tool in agent.tools
}


def test_every_tool_is_known() -> None:
    assert set(TOOLS) == set(BEFORE)


@pytest.mark.parametrize("name", BEFORE)
def test_a_schema_is_as_before(name: str) -> None:
    text = json.dumps(TOOLS[name].schema)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert (TOOLS[name].schema_version, digest) == BEFORE[name]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("payment_worker.transfer", {"amount": 1, "to": "ops"}),
        ("procurement.order", {"item": "lamp", "amount": 1, "supplier": "acme"}),
        ("procurement.sign_contract", {"supplier": "acme", "years": 1}),
    ],
)
@pytest.mark.parametrize("number", [0, -1, -2500])
def test_the_examples_take_no_amounts_below_one(
    name: str, arguments: dict[str, Any], number: int
) -> None:
    tool = TOOLS[name]
    assert isinstance(tool, Tool)
    tool.arguments.read(json.dumps(arguments))
    changed = {key: number if value == 1 else value for key, value in arguments.items()}
    with pytest.raises(ArgumentsRefused, match="greater than 0"):
        tool.arguments.read(json.dumps(changed))
