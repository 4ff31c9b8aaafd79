"""Ablations of the mechanisms for tool hosts."""

from typing import TypeAlias

import pytest

from agent_continuations.authoring.in_process_host import InProcessHost
from agent_continuations.engine.unit_of_work import RunUnitOfWork
from agent_continuations.ports.tool_host import CallLost, HostRequest, HostResponse
from tests.simulation.hosts import SimulatedHosts

Patch: TypeAlias = pytest.MonkeyPatch


def sent_more_than_once(patch: Patch) -> None:
    """What clients of Lambda do by themselves, as they are configured by default."""
    invoke = SimulatedHosts.invoke

    def retried(hosts: SimulatedHosts, host: str, request: HostRequest) -> HostResponse:
        try:
            return invoke(hosts, host, request)
        except CallLost:
            return invoke(hosts, host, request)

    patch.setattr(SimulatedHosts, "invoke", retried)


def asked_at_once(patch: Patch) -> None:
    """Every call whose answer is lost is taken for one whose process has died."""
    invoke = SimulatedHosts.invoke

    def ended(hosts: SimulatedHosts, host: str, request: HostRequest) -> HostResponse:
        try:
            return invoke(hosts, host, request)
        except CallLost as error:
            raise CallLost(error.reason, ended=True) from None

    patch.setattr(SimulatedHosts, "invoke", ended)


def begun_at_any_time(patch: Patch) -> None:
    """A request that was under way for long is carried out all the same."""
    invoke = InProcessHost.invoke

    def late(hosts: InProcessHost, host: str, request: HostRequest) -> HostResponse:
        return invoke(hosts, host, request.model_copy(update={"not_after": None}))

    patch.setattr(InProcessHost, "invoke", late)


def no_withdrawal_of_intents(patch: Patch) -> None:
    """The intent of a tool that did not run stays."""
    patch.setattr(RunUnitOfWork, "withdraw_intents", lambda _run: None)


# Each with the promise that breaks without the mechanism, and a seed that shows it.
HOSTS = [
    (sent_more_than_once, "S2", 2),
    (asked_at_once, "S2", 225),
    (begun_at_any_time, "S2", 24),
    (no_withdrawal_of_intents, "D2", 1),
]
