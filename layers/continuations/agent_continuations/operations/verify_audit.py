"""Verify audit."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path

from agent_continuations.core.approvals.audit_chain import digest
from agent_continuations.services.audit import document_faults


def main(arguments: list[str] | None = None) -> int:
    """Entry point: 0 if the document is whole, 1 if not, 2 if it cannot be read."""
    parser = ArgumentParser(
        prog="python -m agent_continuations.operations.verify_audit", description=__doc__
    )
    parser.add_argument("file", type=Path, help="what GET /runs/{id}/audit gave")
    parser.add_argument("--expect", metavar="DIGEST", help="an entry's digest, kept elsewhere")
    given = parser.parse_args(arguments)
    try:
        document = json.loads(given.file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{given.file}: {error}\n")
        return 2
    found = document_faults(document, given.expect)
    for fault in found:
        sys.stdout.write(f"{fault}\n")
    if not found:
        items = document["items"]
        last = digest(items[-1]) if items else "none"
        sys.stdout.write(f"{len(items)} entries, whole; the last digest is {last}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
