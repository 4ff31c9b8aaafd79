"""Runner of agents in one process, without AWS: for scripts, notebooks and unit tests."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.authoring.agent import Agent
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.result_text import result_text
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide, Reassign, WithdrawApproval
from agent_continuations.core.outcome import Outcome
from agent_continuations.engine.context import Limits
from agent_continuations.engine.runner import Runner
from agent_continuations.local.document import DocumentSigner
from agent_continuations.local.hand_over import hand_over, take_over
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.local.reader import LocalReader
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.model import Model
from agent_continuations.ports.store import Store
from agent_continuations.services.services import Services
from agent_continuations.views.run import RunView


class LocalRunner(LocalReader):
    """Runs agents in this process; its methods start runs, decide requests and send events.

    Args:
        agents: agents that can be started.
        model: model, such as a `ScriptedModel`.
        store: store of the runs; None for a new `InMemoryStore`.
        signing_key: key that signs the documents of `dump`. Another process needs the same key to
            `load` them; with None, only this process can.
        clock: current time.
        limits: time limits of the executions; None for those of a deployment.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        model: Model,
        *,
        store: Store | None = None,
        signing_key: str | bytes | None = None,
        clock: Clock = utc_now,
        limits: Limits | None = None,
    ) -> None:
        self.store = store or InMemoryStore()
        registry = Registry(agents)
        self._queue = work = LocalWorkQueue()
        self._clock = clock
        self._runner = Runner(
            store=self.store,
            model=model,
            registry=registry,
            queue=work,
            clock=clock,
            limits=limits,
            # Whoever holds this object answers what is asked of nobody else.
            operators=("operator",),
        )
        services = Services.of(store=self.store, queue=work, registry=lambda: registry, clock=clock)
        super().__init__(services)
        self._signer = DocumentSigner(signing_key)
        self._clock_skew = (limits or Limits()).clock_skew

    def start(
        self, agent: str, input: str, *, key: str | None = None, requester: str | None = None
    ) -> RunView:
        """Starts a run and advances it until it ends or is suspended.

        Args:
            agent: name of the agent.
            input: input of the run.
            key: Idempotency-Key; the same key returns the same run.
            requester: requester of the run; approves only if the policy permits self-approval.

        Raises:
            NotFound: no agent of this name can be started; the message names those that can.
        """
        head = self._services.runs.start(agent, input, key=key, requester=requester)
        return self.advance(head.run_id)

    def advance(self, run_id: str) -> RunView:
        """Advances a run until it ends or is suspended.

        Raises:
            NotFound: the run does not exist.
        """
        self._queue.add(run_id)
        while queued := self._queue.next():
            self._runner.advance(queued)
        return self.get(run_id)

    def decide(
        self,
        run_id: str,
        request_id: str,
        decision: str,
        *,
        approver: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        reason: str | None = None,
        groups: Sequence[str] = (),
    ) -> RunView:
        """Decides a request and advances the run.

        Args:
            request_id: id of the request, from `waiting`.
            decision: `"approve"` or `"reject"`.
            approver: name of the approver; optional if only one person is asked.
            arguments: edited arguments, which are validated against the tool's schema.
            reason: reason of the decision; a rejection's reason is passed to the model.
            groups: groups of the approver, as `group:name`.

        Raises:
            NotFound, Forbidden, Invalid, AlreadyDecided, Conflict: see `DecisionService.decide`.
        """
        response = Decide(
            verdict=Verdict(decision),
            approver=approver,
            via="local",
            reason=reason,
            arguments=arguments,
            groups=tuple(groups),
        )
        return self._respond(run_id, request_id, response)

    def withdraw(
        self, run_id: str, request_id: str, approver: str, *, reason: str | None = None
    ) -> RunView:
        """Withdraws an approval, which is possible until all required approvers have agreed.

        Raises:
            NotFound, Forbidden, AlreadyDecided, Conflict: see `DecisionService.decide`.
        """
        response = WithdrawApproval(approver=approver, via="local", reason=reason)
        return self._respond(run_id, request_id, response)

    def reassign(
        self, run_id: str, request_id: str, to: str, *, approver: str, reason: str | None = None
    ) -> RunView:
        """Reassigns a request from an approver to another person.

        Raises:
            NotFound, Forbidden, Invalid, AlreadyDecided, Conflict: see `DecisionService.decide`.
        """
        response = Reassign(to=to, approver=approver, via="local", reason=reason)
        return self._respond(run_id, request_id, response)

    def answer(
        self, run_id: str, request_id: str, answer: Any, *, approver: str | None = None
    ) -> RunView:
        """Answers a question and advances the run.

        Args:
            request_id: id of the question, from `waiting`.
            answer: JSON value of the question's answer type, without an `answer` wrapper.
            approver: name of the person that answers; optional if only one person is asked.

        Raises:
            NotFound, Forbidden, Invalid, AlreadyDecided, Conflict: see `DecisionService.decide`.
        """
        response = Decide(verdict=Verdict.APPROVE, answer=answer, approver=approver, via="local")
        return self._respond(run_id, request_id, response)

    def message(self, run_id: str, text: str, *, sender: str | None = None) -> RunView:
        """Sends a message to a run and advances it.

        Args:
            sender: who sends it; they have asked for what the run plans next, and may not approve
                it unless the policy permits self-approval.

        Raises:
            NotFound, Invalid, Conflict: see `RunInbound.message`.
        """
        self._services.inbound.message(run_id, text, sender=sender)
        return self.advance(run_id)

    def signal(
        self, run_id: str, name: str, payload: Any = None, *, correlation: str | None = None
    ) -> RunView:
        """Sends an event to a run and advances it.

        Args:
            name: name of the event.
            payload: JSON value for the waiting call.
            correlation: correlation of the waiting call.

        Raises:
            NotFound, Invalid, Conflict: see `RunInbound.signal`.
        """
        self._services.inbound.signal(run_id, name, payload, correlation=correlation)
        return self.advance(run_id)

    def complete(self, run_id: str, path: str, result: Any) -> RunView:
        """Completes the job that the call at `path` waits for, and advances the run.

        Raises:
            NotFound, Conflict: see `RunInbound.complete`.
        """
        outcome = Outcome(kind="ok", content=result_text(result))
        self._services.inbound.complete(run_id, path, outcome)
        return self.advance(run_id)

    def pause(self, run_id: str) -> RunView:
        """Pauses a run until it is resumed.

        Raises:
            NotFound, Conflict: see `RunControl.pause`.
        """
        self._services.control.pause(run_id)
        return self.get(run_id)

    def resume(self, run_id: str) -> RunView:
        """Resumes a paused run.

        Raises:
            NotFound, Conflict: see `RunControl.resume`.
        """
        self._services.control.resume(run_id)
        return self.advance(run_id)

    def cancel(self, run_id: str) -> RunView:
        """Cancels a run.

        Raises:
            NotFound, Conflict: see `RunControl.cancel`.
        """
        self._services.control.cancel(run_id)
        return self.advance(run_id)

    def redrive(self, run_id: str) -> RunView:
        """Retries a parked or blocked run, once the problem that stopped it is fixed.

        Raises:
            NotFound, Conflict: see `RunControl.redrive`.
        """
        self._services.control.redrive(run_id)
        return self.advance(run_id)

    def dump(self, run_id: str) -> str:
        """Hands a run over, with its child runs, in a signed JSON document for another process.

        The run continues where the document is loaded. Here it can still be read, but whatever
        would change it is refused, until its newest document is loaded here again. A run that has
        failed or was cancelled is copied. Dumping a run that was handed over returns the same
        document again.

        Raises:
            NotFound: the run does not exist.
            Invalid: another run has started the run; dump that run.
            Conflict: the run, or one of its child runs, is running, or a tool of it may still be.
        """
        self._services.runs.head(run_id)
        document = hand_over(self.store, run_id, self._clock(), clock_skew=self._clock_skew)
        return self._signer.write(document)

    def load(self, document: str) -> RunView:
        """Takes a run over from a document of a runner with the same signing key.

        Load each document in one place: two stores cannot see each other. Loading a document again
        where the run continues already changes nothing.

        Raises:
            Invalid: the document is incomplete, was changed, or was signed with another key.
            Conflict: the document is older than what is stored here, or the run continues here and
                was not handed over with this document.
        """
        read = self._signer.read(document, self._clock())
        take_over(self.store, read, self._clock())
        for each in read.runs:
            self._queue.add(each.head.run_id)
        return self.advance(read.run_id)

    def _respond(
        self, run_id: str, request_id: str, response: Decide | Reassign | WithdrawApproval
    ) -> RunView:
        self._services.decisions.decide(run_id, request_id, response)
        return self.advance(run_id)
