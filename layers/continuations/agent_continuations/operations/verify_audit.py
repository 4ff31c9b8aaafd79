"""Verify the hash chain of an exported audit trail."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path

from agent_continuations.core.approvals.audit_chain import digest
from agent_continuations.services.audit import document_faults


def main(arguments: list[str] | None = None) -> int:
    """Verifies a file; returns 0 if the chain is intact, 1 if not, 2 if the file is unreadable."""
    parser = ArgumentParser(
        prog="python -m agent_continuations.operations.verify_audit", description=__doc__
    )
    parser.add_argument("file", type=Path, help="response of GET /runs/{id}/audit")
    parser.add_argument(
        "--expect",
        metavar="DIGEST",
        help="verify that the trail contains an entry with this digest, recorded earlier",
    )
    options = parser.parse_args(arguments)
    try:
        document = json.loads(options.file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{options.file}: {error}\n")
        return 2
    faults = document_faults(document, options.expect)
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    if not faults:
        items = document["items"]
        last = digest(items[-1]) if items else "none"
        sys.stdout.write(f"{len(items)} entries, chain intact; last digest: {last}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
