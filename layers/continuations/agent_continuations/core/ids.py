"""Hashes that tie an approval to exactly one call, and a call to exactly one key."""

import hashlib
import json
import re
from base64 import b32decode, b32encode
from collections.abc import Mapping
from typing import Any, Literal

from agent_continuations.core.base import FrozenModel
from agent_continuations.core.path import Path, path_text


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: a number that JSON does not have.
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
    """What an approver's yes covers: SHA-256, in hex, over the call in full."""
    return _digest(tenant, run_id, path_text(path), tool, schema_version, dict(arguments)).hex()


def policy_hash(policy: FrozenModel) -> str:
    """SHA-256, in hex, over the policy that applied to a request."""
    return _digest("policy", policy.model_dump(mode="json", exclude_none=True)).hex()


def idempotency_key(run_id: str, path: Path) -> str:
    """The same for every attempt of one logical call, different for any other call."""
    return _digest("idempotency-key", run_id, path_text(path)).hex()[:40]


def request_id(
    run_id: str, path: Path, kind: Literal["approval", "doubt"], attempt: int = 0
) -> str:
    """The id of a question to people. The same question has the same id, whoever asks it."""
    return opaque_id(_digest(kind, run_id, path_text(path), attempt)[:10])


def run_id_for(tenant: str, key: str) -> str:
    """The id of the run that a caller's Idempotency-Key names."""
    return opaque_id(_digest("run", tenant, key)[:15])


def child_run_id(run_id: str, path: Path) -> str:
    """The id of the run that the call at `path` starts: the same, whoever starts it."""
    return opaque_id(_digest("child", run_id, path_text(path))[:15])


def opaque_id(raw: bytes) -> str:
    """Bytes as lower-case base32: safe in URLs, mail, shells, and to read aloud."""
    return b32encode(raw).decode().rstrip("=").lower()


def is_opaque_id(text: str) -> bool:
    """Whether a text could be one of our ids."""
    return bool(re.fullmatch(r"[a-z2-7]{1,64}", text))


def decode_id(text: str) -> bytes:
    """The bytes of an `opaque_id`.

    Raises:
        ValueError: it is none.
    """
    return b32decode(text.upper() + "=" * (-len(text) % 8))


def _digest(*parts: Any) -> bytes:
    return hashlib.sha256(canonical_json(list(parts)).encode()).digest()
