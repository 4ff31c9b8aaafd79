"""`python -m tests.bench [--quick] [--only NAME ...] [--markdown]`."""

import json
import os
import platform
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.place import ground
from tests.bench.scale import Scale
from tests.local import dynamodb_local
from tests.local.ministack import isolate_from_aws

RESULTS = Path(__file__).with_name("results.json")
README = Path(__file__).with_name("README.md")


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and store the results; or, with `--markdown`, rewrite the README from them.

    Returns:
        The exit code, 0. A benchmark that fails raises.
    """
    given = _given(arguments)
    if given.markdown:
        README.write_text(report.markdown(json.loads(RESULTS.read_text())))
        return 0
    isolate_from_aws()
    results = measured(given.only or list(report.BENCHES), Scale(given.quick))
    if not given.quick:
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results = kept | results
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(report.text(results, goals=not given.quick))
    return 0


def measured(names: Sequence[str], scale: Scale) -> dict[str, Any]:
    """The results of some benchmarks, by name, and the machine they were measured on."""
    results: dict[str, Any] = {}
    with ground() as servers:
        for name in (each for each in report.BENCHES if each in names):
            result = report.BENCHES[name].run(servers, scale)
            results[name] = result | {"measured": datetime.now(UTC).date().isoformat()}
    results["machine"] = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "dynamodb_local": dynamodb_local.VERSION,
    }
    return results


def _given(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a little of everything; stores nothing"
    )
    parser.add_argument("--only", action="append", choices=list(report.BENCHES), help="one of them")
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="measure nothing; rewrite README.md from the results",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
