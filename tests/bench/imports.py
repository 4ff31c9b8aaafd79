"""The imports of a cold start, in fresh interpreters that see only the built layers."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.bench.place import Ground
from tests.bench.rounds import children_time, interleaved, ratio
from tests.bench.scale import Scale
from tests.bench.tables import Goal, Row, Table
from tests.local.stack import built_layer
from tests.local.template import ROOT

LAYERS = ("ContinuationsLayer", "AgentsLayer")
BARE, ALONE = "bare interpreter", "boto3 + openai alone"
ADVANCE, APPROVALS = "advance", "approvals_api"
# The modules of the library that a function imports at its first event, besides its handler.
LATER = {
    ADVANCE: "agent_continuations.engine.runner, agent_continuations.adapters.models.openai,"
    " agent_continuations.adapters.queues.sqs, agents",
    APPROVALS: "agent_continuations.auth.approval_links, agent_continuations.adapters.queues.sqs",
    "runs_api": "agent_continuations.adapters.queues.sqs, agents",
    "deliver_notices": "agent_continuations.adapters.channels.email,"
    " agent_continuations.adapters.channels.sns,"
    " agent_continuations.auth.approval_links, agent_continuations.notifications.outbox",
    "sweep": "agent_continuations.adapters.queues.sqs",
}


def run(_ground: Ground, scale: Scale) -> dict[str, Any]:
    """The imports of each function, and the size of the layers."""
    rounds = 1 if scale.quick else 5
    programs = {BARE: "pass", ALONE: "import boto3, openai"}
    for name, later in LATER.items():
        if not scale.quick:
            programs[f"{name}, the handler"] = f"import {name}.app"
        programs[name] = f"import {name}.app, {later}"
    with tempfile.TemporaryDirectory(prefix="layers-") as home:
        # A quick measurement does not build the layers; it uses this process's packages.
        layers = (
            {} if scale.quick else {each: built_layer(each, Path(home, each)) for each in LAYERS}
        )
        path = [str(folder / "python") for folder in layers.values()] or sys.path
        things = [_start(path, program) for program in programs.values()]
        warm = not scale.quick
        found = interleaved(rounds, *things, warm=warm, cpu=children_time)
        taken = dict(zip(programs, found, strict=True))
        weights = {name: _weight(folder) for name, folder in layers.items()}
    scale.say("imports")
    return {
        "rounds": rounds,
        "layers": weights,
        "programs": {
            name: {
                "ms": each.ms,
                "cpu_ms": each.cpu_ms,
                "over_bare": ratio(each.cpu, taken[BARE].cpu),
                "over_alone": ratio(each.cpu, taken[ALONE].cpu),
                "over_advance": ratio(each.cpu, taken[ADVANCE].cpu),
            }
            for name, each in taken.items()
        },
    }


def _start(path: Sequence[str], program: str) -> Callable[[], Any]:
    """An interpreter that runs a program and ends."""
    where = [*path, str(ROOT / "functions")]
    code = f"import sys; sys.path[:0] = {where!r}\n{program}"
    command = [sys.executable, "-I", "-S", "-c", code]
    environment = {"AWS_DEFAULT_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"}
    return lambda: subprocess.run(command, env=environment, check=True, capture_output=True)


def _weight(folder: Path) -> dict[str, int]:
    """Bytes unpacked and zipped, and how much of the source comes compiled."""
    files = [each for each in folder.rglob("*") if each.is_file()]
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in files:
            archive.write(each, each.relative_to(folder))
    return {
        "bytes": sum(each.stat().st_size for each in files),
        "zipped": packed.tell(),
        "sources": sum(each.suffix == ".py" for each in files),
        "compiled": sum(each.suffix == ".pyc" for each in files),
    }


def tables(result: dict[str, Any]) -> list[Table]:
    """One row for each program, and one for each layer."""
    rows: list[Row] = [
        (name, of["ms"], of["cpu_ms"], of["over_bare"], of["over_alone"], of["over_advance"])
        for name, of in result["programs"].items()
    ]
    head = ["imports of", "ms", "CPU ms", "of a bare start", "of boto3 + openai", "of advance"]
    note = (
        "Fresh interpreters that see the built layers only, in turn, medians of"
        f" {result['rounds']} rounds, the start included; the ratios are of CPU time. A function's"
        " name alone: the handler and all that its first event has it import."
    )
    weights: list[Row] = [
        (
            name,
            f"{of['bytes'] / 1e6:.1f}",
            f"{of['zipped'] / 1e6:.1f}",
            f"{of['compiled']} of {of['sources']}",
        )
        for name, of in result["layers"].items()
    ]
    return [
        Table("What a cold start imports", head, rows, note),
        Table("What the layers weigh", ("layer", "MB", "MB zipped", "compiled modules"), weights),
    ]


def goals(result: dict[str, Any]) -> list[Goal]:
    """The goals of the approvals function, and of advance against boto3 and openai alone."""
    programs, layer = result["programs"], result["layers"]["ContinuationsLayer"]
    return [
        Goal(
            "approvals function's imports over advance's", 0.45, programs[APPROVALS]["over_advance"]
        ),
        Goal("advance's imports over boto3 + openai alone", 1.15, programs[ADVANCE]["over_alone"]),
        Goal("modules of the layer without byte code", 0, layer["sources"] - layer["compiled"]),
    ]
