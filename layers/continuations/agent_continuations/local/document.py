"""Run documents: signed JSON that holds whole runs, to continue them in another store."""

import json
from datetime import datetime
from secrets import token_bytes
from typing import Any

from itsdangerous import Signer
from pydantic import ValidationError

from agent_continuations.core.base import FrozenModel
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import Event, Started
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.keys import START_KEY
from agent_continuations.core.notice import Notice
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import path_text
from agent_continuations.core.run import JournalEntry, Parent, RunHead, Snapshot, Status
from agent_continuations.engine.child_runs import child_run_ids, end_of_child
from agent_continuations.errors import Invalid
from agent_continuations.services.runs import DEFAULT_TENANT

# Forms 1 to 3 hold a continuation: form 2 has the request profiles, form 3 plans that name the text
# of their arguments. Form 4 holds runs as they are stored. The notices of form 5 name approvers and
# no addresses; in form 6, runs name those who sent messages to the runs above and below them.
# Earlier code cannot read them.
DOCUMENT_FORM = 6
_FIRST_FORM_OF_WHOLE_RUNS = 4

# What is signed differs by form, so a signature of one form must not be valid for the other.
_SALT_OF_STATES = "agent-continuations.document"
_SALT_OF_RUNS = "agent-continuations.run-document"


class DocumentEntry(FrozenModel):
    """A journal entry in a document."""

    key: str
    events: tuple[Event, ...]


class DocumentRun(FrozenModel):
    """A run in a document, as it is stored: its head, its journal, and its notices."""

    head: RunHead
    entries: tuple[DocumentEntry, ...]
    notices: tuple[Notice, ...] = ()

    @classmethod
    def of(cls, snapshot: Snapshot, notices: tuple[Notice, ...] = ()) -> "DocumentRun":
        """The run of a snapshot."""
        entries = tuple(
            DocumentEntry(key=each.key, events=each.events) for each in snapshot.entries
        )
        return cls(head=snapshot.head, entries=entries, notices=notices)

    @property
    def journal(self) -> tuple[JournalEntry, ...]:
        """The journal entries."""
        return tuple(JournalEntry(each.key, each.events) for each in self.entries)


class RunDocument(FrozenModel):
    """A run with its child runs.

    Attributes:
        run_id: the run.
        agent: its agent.
        number: how often the run had been handed over when the document was written, with it. The
            document with the highest number continues the run.
        dumped_at: when the document was written.
        runs: the run, and then its child runs; each one after the run that started it.
        profiles: the request profiles that the turns name; as text, because their digests depend
            on the order of names.
    """

    run_id: str
    agent: str
    number: int
    dumped_at: datetime
    runs: tuple[DocumentRun, ...]
    profiles: tuple[str, ...] = ()


class DocumentSigner:
    """Writes and reads run documents.

    The signature covers every byte of the content, so that a document cannot be edited in transit,
    for example into an approval or another amount.

    Args:
        key: secret that both processes share; None for a random key, with which only this process
            can read its documents.
    """

    def __init__(self, key: str | bytes | None = None) -> None:
        self._key = key or token_bytes(32)

    def write(self, document: RunDocument) -> str:
        """The signed text of a document."""
        content = {"version": DOCUMENT_FORM, **document.model_dump(mode="json")}
        signature = self._signer(_SALT_OF_RUNS).get_signature(_signed(content)).decode()
        return json.dumps({**content, "signature": signature})

    def read(self, text: str, now: datetime) -> RunDocument:
        """The document of a text that `write`, or earlier code, has returned.

        Args:
            text: the text.
            now: time at which a run of the forms 1 to 3 continues.

        Raises:
            Invalid: the text is incomplete, was changed, was signed with another key, or has a form
                that this code cannot read.
        """
        try:
            content = json.loads(text)
            form, signature = content.pop("version"), content.pop("signature")
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Invalid("not a run document") from None
        if form not in range(1, DOCUMENT_FORM + 1):
            newest = f"this code reads forms up to {DOCUMENT_FORM}"
            raise Invalid(f"document form {form} is not supported; {newest}")
        try:
            if form >= _FIRST_FORM_OF_WHOLE_RUNS:
                self._verify(_SALT_OF_RUNS, {"version": form, **content}, signature)
                return RunDocument.model_validate(content)
            self._verify(_SALT_OF_STATES, content["state"], signature)
            return _document_of(content["state"], now)
        except (LookupError, TypeError, ValidationError):
            raise Invalid("not a run document") from None

    def _verify(self, salt: str, content: Any, signature: Any) -> None:
        if not self._signer(salt).verify_signature(_signed(content), str(signature)):
            raise Invalid("invalid signature: the document was changed or signed with another key")

    def _signer(self, salt: str) -> Signer:
        return Signer(self._key, salt=salt)


def _signed(content: Any) -> bytes:
    return canonical_json(content).encode("utf-8", "surrogatepass")


def _document_of(state: dict[str, Any], now: datetime) -> RunDocument:
    """The document of a state of the forms 1 to 3, which hold less of a run.

    Requester, audit trail, pause and child runs are not known. A call that waits for a child run
    ends with an error, because nothing here will end that run.
    """
    continuation = Continuation.model_validate(state["continuation"])
    ended = Status(state["status"]).ended or state["status"] == Status.PARKED
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
    start = JournalEntry(START_KEY, (Started(continuation=continuation, at=now),))
    lost = () if ended else _ends_of_lost_children(head.run_id, continuation, now)
    return RunDocument(
        run_id=head.run_id,
        agent=head.agent,
        number=0,
        dumped_at=now,
        runs=(DocumentRun.of(Snapshot(head, (start, *lost))),),
        profiles=tuple(state.get("profiles", ())),
    )


def _ends_of_lost_children(
    run_id: str, root: Continuation, now: datetime
) -> tuple[JournalEntry, ...]:
    return tuple(
        end_of_child(
            Parent(run_id=run_id, path=path_text(path)),
            Outcome(kind="error", content=f"the run {child} was not moved with this one"),
            now,
            now,
        )
        for path, child in child_run_ids(root)
    )
