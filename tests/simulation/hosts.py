"""The tool hosts of a world: each invocation is a process of its own.

It may be refused, die, hang, go on after its caller has died, begin late, or be cut off.
"""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from agent_continuations.authoring.in_process_host import InProcessHost, Work
from agent_continuations.engine.context import Limits
from agent_continuations.handlers.late_outcomes import late_outcomes
from agent_continuations.ports.tool_host import (
    HOST_GRACE_SECONDS,
    LATE_SECONDS,
    CallLost,
    HostAnswer,
    HostedCall,
    HostRequest,
    HostResponse,
    NotRun,
)
from tests.simulation.ground_truth import UnstartedTool
from tests.simulation.scheduler import Process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.world import World


LATEST_START = timedelta(seconds=HOST_GRACE_SECONDS + Limits().clock_skew / 2)


class Invocation:
    """One invocation of a host, in a process of its own.

    Attributes:
        process: its process.
        answer: its answer, as JSON; None as long as there is none.
    """

    def __init__(
        self, world: "World", caller: Process, request: HostRequest, *, disturbed: bool
    ) -> None:
        self._world = world
        self._request = HostRequest.model_validate_json(request.model_dump_json())
        self.answer: str | None = None
        self.process = world.process("host", self._run)
        # An outcome is in the hands of the caller, as long as both live and the answer arrives.
        self.process.caller = caller
        self.process.disturbed = disturbed
        seconds = world.scenario.host_seconds
        assert seconds
        self.process.ends_at = min(world.scheduler.now + seconds, caller.ends_at)
        world.scheduler.later(seconds, self.process.kill)

    @property
    def is_over(self) -> bool:
        return self.process.dead or self.answer is not None

    def _run(self, process: Process) -> None:
        world, began = self._world, self._world.scheduler.now
        registry = world.registry

        def together(works: "Sequence[Work]") -> list[HostAnswer]:
            futures = [process.submit(work) for work in works]
            while not all(each.done() for each in futures):
                open_ones = [each for each in futures if not each.done()]
                process.wait(open_ones, HOST_GRACE_SECONDS)
            return [each.result() for each in futures]

        response = InProcessHost(registry, process.clock, together).invoke("", self._request)
        if registry in world.incomplete:
            world.operators.incomplete_host(self._request.run_id)
        longer = world.scheduler.now - began - world.scenario.late_seconds
        for message in late_outcomes(self._request, response, longer + LATE_SECONDS):
            world.inbound.report(message)
        world.scheduler.point("a host answers")
        self.answer = response.model_dump_json()
        world.scheduler.notify()


class SimulatedHosts:
    """The hosts, as an execution of the engine knows them.

    Args:
        world: the world.
        caller: the process of the engine.
    """

    def __init__(self, world: "World", caller: Process) -> None:
        self._world = world
        self._caller = caller
        self._random = world.host_random

    def timeout(self, host: str) -> float | None:  # noqa: ARG002
        return self._world.scenario.host_seconds

    def invoke(self, host: str, request: HostRequest) -> HostResponse:  # noqa: ARG002
        """Invoke a host, once."""
        world, seconds = self._world, self._world.scenario.host_seconds
        assert seconds
        world.scheduler.point("a host is invoked")
        fault = self._drawn_fault()
        if fault in ("busy", "not reached", "denied"):
            self._note_unstarted(request, request.calls)
            raise NotRun(f"the host is {fault}", passes=True, soon=fault != "denied")
        if fault == "late":
            delay = self._random.choice([5.0, 60.0, 3000.0]) * self._random.random()
            world.scheduler.later(delay, partial(self._invoke_late, request))
            raise CallLost("no answer", ended=False)
        invocation = self._invoked(request, disturbed=fault == "cut")
        if fault == "cut":
            world.scheduler.sleep(self._random.uniform(0, seconds))
            raise CallLost("no answer", ended=False)
        world.scheduler.sleep(seconds + HOST_GRACE_SECONDS, lambda: invocation.is_over)
        if invocation.answer is not None:
            response = HostResponse.model_validate_json(invocation.answer)
            refused = {each.path for each in response.answers if each.kind == "refused"}
            self._note_unstarted(request, [each for each in request.calls if each.path in refused])
            return response
        raise CallLost("no answer", ended=invocation.process.dead)

    def _invoked(self, request: HostRequest, *, disturbed: bool) -> Invocation:
        return Invocation(self._world, self._caller, request, disturbed=disturbed)

    def _invoke_late(self, request: HostRequest) -> None:
        self._invoked(request, disturbed=True)

    def _note_unstarted(self, request: HostRequest, calls: "Sequence[HostedCall]") -> None:
        assert request.not_after
        truth, now = self._world.ground_truth, self._world.scheduler.now
        intent_at = request.not_after - LATEST_START
        truth.unstarted += [
            UnstartedTool(request.run_id, each.path, intent_at, self._caller, now) for each in calls
        ]

    def _drawn_fault(self) -> str | None:
        world = self._world
        if not world.faults_active or self._random.random() >= world.faults.host:
            return None
        return self._random.choice(["busy", "not reached", "denied", "late", "cut"])
