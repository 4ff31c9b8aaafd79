"""Signed JSON documents that move a run from one process to another."""

import json
from datetime import datetime
from secrets import token_bytes

from itsdangerous import BadSignature, Signer

from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import Started
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.keys import START_KEY
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import JournalEntry, LoadedRun, RunHead, Status
from agent_continuations.errors import Invalid
from agent_continuations.ports.store import Store
from agent_continuations.services.runs import DEFAULT_TENANT

# Form 2 has the request profiles, form 3 plans that name the text of their arguments. Earlier code
# cannot read them.
DOCUMENT_FORM = 3


class RunDocuments:
    """Writes and reads run documents.

    The signature covers every byte of the state, so that a document cannot be edited in transit,
    for example into an approval or another amount.

    Args:
        store: store of the runs.
        signing_key: secret that both processes share; None for a random key, with which only this
            process can read its documents.
    """

    def __init__(self, store: Store, signing_key: str | bytes | None = None) -> None:
        self._store = store
        self._signer = Signer(signing_key or token_bytes(32), salt="agent-continuations.document")

    def dump(self, loaded: LoadedRun) -> str:
        """Writes a run as a signed document."""
        head, continuation = loaded.head, loaded.continuation
        turns = (turn for frame in continuation.frames() for turn in frame.turns)
        digests = sorted({turn.profile for turn in turns if turn.profile})
        profiles = [each for each in map(self._store.profile, digests) if each]
        state = canonical_json(
            {
                "run_id": head.run_id,
                "tenant": head.tenant,
                "agent": head.agent,
                "status": head.status.value,
                "note": head.note,
                "metadata": head.metadata,
                "created_at": head.created_at.isoformat(),
                "continuation": continuation.model_dump(mode="json"),
                # As text, because their digests depend on the order of names.
                "profiles": [each.document.decode() for each in profiles],
            }
        )
        signature = self._signer.get_signature(state).decode()
        return json.dumps(
            {"version": DOCUMENT_FORM, "state": json.loads(state), "signature": signature}
        )

    def load(self, document: str, now: datetime) -> str:
        """Stores the run of a document, unless it is stored already.

        Args:
            document: text that `dump` returned.
            now: time at which the run continues.

        Returns:
            The id of the run.

        Raises:
            Invalid: the document is incomplete, was changed, or was signed with another key.
        """
        try:
            content = json.loads(document)
            form, state = content["version"], content["state"]
            signed = self._signer.verify_signature(canonical_json(state), content["signature"])
        except (ValueError, KeyError, TypeError, BadSignature):
            raise Invalid("not a run document") from None
        if not signed:
            raise Invalid("invalid signature: the document was changed or signed with another key")
        if form not in range(1, DOCUMENT_FORM + 1):
            newest = f"this code reads forms up to {DOCUMENT_FORM}"
            raise Invalid(f"document form {form} is not supported; {newest}")
        continuation = Continuation.model_validate(state["continuation"])
        ended = Status(state["status"]).ended
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
        for text in state.get("profiles", ()):
            self._store.save_profile(RequestProfile.read(text))
        started = Started(continuation=continuation, at=now)
        return self._store.create(head, JournalEntry(START_KEY, (started,))).run_id
