"""Canonical JSON, hashes of calls and policies, and ids."""

import hashlib
import json
import re
from base64 import b32decode, b32encode
from collections.abc import Mapping
from typing import Any, Literal

from agent_continuations.core.base import FrozenModel
from agent_continuations.core.path import Path, path_text


def canonical_json(value: Any) -> str:
    """The canonical text of a JSON value: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: a number that JSON cannot express.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def arguments_hash(
    *,
    tenant: str,
    run_id: str,
    path: Path,
    tool: str,
    schema_version: str,
    arguments: Mapping[str, Any],
) -> str:
    """SHA-256, in hex, over the whole call: the content that an approval covers."""
    return _digest(tenant, run_id, path_text(path), tool, schema_version, dict(arguments)).hex()


def raw_digest(text: str) -> str:
    """SHA-256, in hex, of the text that a call's arguments are read from."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def policy_hash(policy: FrozenModel) -> str:
    """SHA-256, in hex, over the policy that applies to a request."""
    return _digest("policy", policy.model_dump(mode="json", exclude_none=True)).hex()


def idempotency_key(run_id: str, path: Path) -> str:
    """The idempotency key of a call: the same for each of its attempts, unique to the call."""
    return _digest("idempotency-key", run_id, path_text(path)).hex()[:40]


def request_id(
    run_id: str, path: Path, kind: Literal["approval", "doubt"], attempt: int = 0
) -> str:
    """The id of a request to people: each execution computes the same id for the same request."""
    return opaque_id(_digest(kind, run_id, path_text(path), attempt)[:10])


def run_id_for(tenant: str, key: str) -> str:
    """The id of the run that belongs to a caller's Idempotency-Key."""
    return opaque_id(_digest("run", tenant, key)[:15])


def child_run_id(run_id: str, path: Path) -> str:
    """The id of the child run of the call at `path`: each execution computes the same id."""
    return opaque_id(_digest("child", run_id, path_text(path))[:15])


def opaque_id(raw: bytes) -> str:
    """Bytes as lower-case base32: safe in URLs, e-mail and shells, and easy to read aloud."""
    return b32encode(raw).decode().rstrip("=").lower()


def is_opaque_id(text: str) -> bool:
    """Whether a text has the form of an `opaque_id`."""
    return bool(re.fullmatch(r"[a-z2-7]{1,64}", text))


def decode_id(text: str) -> bytes:
    """The bytes of an `opaque_id`.

    Raises:
        ValueError: the text is not base32.
    """
    return b32decode(text.upper() + "=" * (-len(text) % 8))


def _digest(*parts: Any) -> bytes:
    return hashlib.sha256(canonical_json(list(parts)).encode("utf-8", "surrogatepass")).digest()
