"""The whole thing in one process, without AWS: for scripts, notebooks and unit tests."""

import json
from collections.abc import Mapping, Sequence
from secrets import token_bytes
from typing import Any

from itsdangerous import BadSignature, Signer

from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.authoring.agent import Agent
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.result_text import result_text
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.decisions.responses import (
    Decide,
    Reassign,
    Response,
    WithdrawApproval,
)
from agent_continuations.core.events import Started
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.keys import START_KEY
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.run import JournalEntry, RunHead, Status
from agent_continuations.engine.context import Limits
from agent_continuations.engine.runner import Runner
from agent_continuations.errors import Invalid
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.model import Model
from agent_continuations.ports.store import Store
from agent_continuations.services.audit import Audit, audit
from agent_continuations.services.runs import DEFAULT_TENANT
from agent_continuations.services.services import Services
from agent_continuations.views.run import RunView, run_view
from agent_continuations.views.timeline import Entry, timeline

DOCUMENT_VERSION = 1


class LocalRunner:
    """Starts runs of your agents here and now, and lets you decide what they wait for.

    Args:
        agents: those that may be started.
        model: a `ScriptedModel`, or any other model.
        store: where the runs are kept; a fresh `InMemoryStore` where not given.
        signing_key: seals what `dump` gives. Another process needs the same key to `load` it.
            Without one, documents can be loaded in this process only.
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
        self._queue = LocalWorkQueue()
        self._clock = clock
        self._runner = Runner(
            store=self.store,
            model=model,
            registry=registry,
            queue=self._queue,
            clock=clock,
            limits=limits,
        )
        self._services = Services.of(
            store=self.store, queue=self._queue, registry=lambda: registry, clock=clock
        )
        self._signer = Signer(signing_key or token_bytes(32), salt="agent-continuations.document")

    def start(
        self, agent: str, input: str, *, key: str | None = None, requester: str | None = None
    ) -> RunView:
        """Start a run and advance it until it ends or waits.

        Args:
            requester: who asks for it, and so may not approve it, unless a policy allows that.

        Raises:
            NotFound: there is no such agent.
        """
        head = self._services.runs.start(agent, input, key=key, requester=requester)
        return self.advance(head.run_id)

    def advance(self, run_id: str) -> RunView:
        """Advance a run as far as it goes now.

        Raises:
            NotFound: there is no such run.
        """
        self._queue.add(run_id)
        while waiting := self._queue.next():
            self._runner.advance(waiting)
        return self.get(run_id)

    def get(self, run_id: str) -> RunView:
        """How a run stands.

        Raises:
            NotFound: there is no such run.
        """
        loaded = self._services.runs.load(run_id)
        return run_view(loaded.head, loaded.continuation, inner=self._services.runs.waiting(loaded))

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
        """Answer a request and go on.

        Args:
            run_id: the run.
            request_id: the request, as it stands in `waiting`.
            decision: `"approve"` or `"reject"`.
            approver: who says so; needless where only one person is asked.
            arguments: edited arguments, which are checked against the tool's schema.
            reason: why; on a rejection the model is told.
            groups: those that the approver is in, as `group:name`.

        Raises:
            NotFound, Forbidden, Invalid, AlreadyDecided, Conflict: see `Runs.decide`.
        """
        answer = Decide(
            verdict=Verdict(decision),
            approver=approver,
            via="local",
            reason=reason,
            arguments=arguments,
            groups=tuple(groups),
        )
        return self._respond(run_id, request_id, answer)

    def withdraw(
        self, run_id: str, request_id: str, approver: str, *, reason: str | None = None
    ) -> RunView:
        """Take an approval back, as long as others still must agree.

        Raises:
            NotFound, Forbidden, AlreadyDecided, Conflict: see `Runs.decide`.
        """
        said = WithdrawApproval(approver=approver, via="local", reason=reason)
        return self._respond(run_id, request_id, said)

    def reassign(
        self, run_id: str, request_id: str, to: str, *, approver: str, reason: str | None = None
    ) -> RunView:
        """Let another person answer in an approver's place.

        Raises:
            NotFound, Forbidden, Invalid, AlreadyDecided, Conflict: see `Runs.decide`.
        """
        said = Reassign(to=to, approver=approver, via="local", reason=reason)
        return self._respond(run_id, request_id, said)

    def _respond(self, run_id: str, request_id: str, said: Response) -> RunView:
        self._services.decisions.decide(run_id, request_id, said)
        return self.advance(run_id)

    def answer(
        self, run_id: str, request_id: str, answer: Any, *, approver: str | None = None
    ) -> RunView:
        """Answer a question and go on.

        Args:
            run_id: the run.
            request_id: the question, as it stands in `waiting`.
            answer: a JSON value that fits the question's `answer_schema`; for a type that is no
                model, the value alone.
            approver: who says so; needless where only one person is asked.

        Raises:
            NotFound, Forbidden, Invalid, AlreadyDecided, Conflict: see `Runs.decide`.
        """
        said = Decide(verdict=Verdict.APPROVE, answer=answer, approver=approver, via="local")
        return self._respond(run_id, request_id, said)

    def message(self, run_id: str, text: str) -> RunView:
        """Say something to a run, and go on.

        Raises:
            NotFound, Invalid, Conflict: see `Runs.message`.
        """
        self._services.inbound.message(run_id, text)
        return self.advance(run_id)

    def signal(
        self, run_id: str, name: str, payload: Any = None, *, correlation: str | None = None
    ) -> RunView:
        """Tell a run of an event, and go on.

        Raises:
            NotFound, Invalid, Conflict: see `Runs.signal`.
        """
        self._services.inbound.signal(run_id, name, payload, correlation=correlation)
        return self.advance(run_id)

    def complete(self, run_id: str, path: str, result: Any) -> RunView:
        """Tell the result of a job that the call at `path` waits for, and go on.

        Raises:
            NotFound, Conflict: see `Runs.complete`.
        """
        self._services.inbound.complete(
            run_id, path, Outcome(kind="ok", content=result_text(result))
        )
        return self.advance(run_id)

    def pause(self, run_id: str) -> RunView:
        """Hold a run.

        Raises:
            NotFound, Conflict: see `Runs.pause`.
        """
        self._services.control.pause(run_id)
        return self.get(run_id)

    def resume(self, run_id: str) -> RunView:
        """Let a paused run go on.

        Raises:
            NotFound, Conflict: see `Runs.resume`.
        """
        self._services.control.resume(run_id)
        return self.advance(run_id)

    def cancel(self, run_id: str) -> RunView:
        """End a run.

        Raises:
            NotFound, Conflict: see `Runs.cancel`.
        """
        self._services.control.cancel(run_id)
        return self.advance(run_id)

    def redrive(self, run_id: str) -> RunView:
        """Let a parked run go on, after what stopped it was mended.

        Raises:
            NotFound, Conflict: see `Runs.redrive`.
        """
        self._services.control.redrive(run_id)
        return self.advance(run_id)

    def continuation(self, run_id: str) -> Continuation:
        """The run's recursive continuation.

        Raises:
            NotFound: there is no such run.
        """
        return self._services.runs.load(run_id).continuation

    def timeline(self, run_id: str) -> list[Entry]:
        """What happened, in order.

        Raises:
            NotFound: there is no such run.
        """
        loaded = self._services.runs.load(run_id)
        return timeline(loaded.snapshot, loaded.continuation)

    def audit(self, run_id: str) -> Audit:
        """The audit trail: requests, decisions, and what each person saw.

        Raises:
            NotFound: there is no such run.
        """
        return audit(self._services.runs.load(run_id))

    def dump(self, run_id: str) -> str:
        """A run that waits or has ended, as a sealed JSON document for another process.

        The seal covers every byte of the state, so that a document cannot be edited into an
        approval or another amount on its way.

        Raises:
            NotFound: there is no such run.
        """
        loaded = self._services.runs.load(run_id)
        state = canonical_json(
            {
                "run_id": run_id,
                "tenant": loaded.head.tenant,
                "agent": loaded.head.agent,
                "status": loaded.head.status.value,
                "note": loaded.head.note,
                "metadata": loaded.head.metadata,
                "created_at": loaded.head.created_at.isoformat(),
                "continuation": loaded.continuation.model_dump(mode="json"),
            }
        )
        signature = self._signer.get_signature(state).decode()
        return json.dumps(
            {"version": DOCUMENT_VERSION, "state": json.loads(state), "signature": signature}
        )

    def load(self, document: str) -> RunView:
        """Take over a run from a document that a runner with the same signing key made.

        Raises:
            Invalid: the document is not whole, or was changed, or has another key's seal.
        """
        try:
            read = json.loads(document)
            form, state = read["version"], read["state"]
            sealed = self._signer.verify_signature(canonical_json(state), read["signature"])
        except (ValueError, KeyError, TypeError, BadSignature):
            raise Invalid("this is not a document of a run") from None
        if not sealed:
            raise Invalid("the document's seal does not fit: changed, or sealed by another key")
        if form != DOCUMENT_VERSION:
            raise Invalid(f"the document has form {form}, and this code reads {DOCUMENT_VERSION}")
        now = self._clock()
        continuation = Continuation.model_validate(state["continuation"])
        ended = Status(state["status"]).terminal
        head = RunHead(
            run_id=state["run_id"],
            tenant=DEFAULT_TENANT,
            agent=state["agent"],
            request_hash="",
            status=Status(state["status"]) if ended else Status.READY,
            created_at=state["created_at"],
            updated_at=now,
            due=None if ended else now,
            metadata=state["metadata"],
            note=state["note"] if ended else None,
        )
        self.store.create(
            head, JournalEntry(START_KEY, (Started(continuation=continuation, at=now),))
        )
        return self.advance(head.run_id)
