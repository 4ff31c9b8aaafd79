"""The template gives each function the variables and rights that its code needs."""

import ast
import json
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

from agent_continuations.adapters.hosts.aws_lambda import read_hosts
from agent_continuations.ports.tool_host import HostRequest
from tests.local.template import ROOT, template
from tests.support.deployment import Deployment
from tests.support.lambda_invocation import example
from tests.support.template_functions import (
    authorizer,
    consumer,
    functions,
    route,
    tool_hosts,
    triggers,
)

LIBRARY = ROOT / "layers" / "continuations" / "agent_continuations"
BOOTSTRAP = "agent_continuations.bootstrap"
FUNCTIONS = sorted(functions())
# What hides behind `.get` and so would be missed in silence.
QUIET = {"ADVANCE_QUEUE", "RESUME_QUEUE", "NOTIFY_QUEUE", "OPENAI_BASE_URL", "TOPIC", "WEBHOOK_URL"}
HINTS = {
    "RunsApiFunction": {"ADVANCE_QUEUE", "RESUME_QUEUE"},
    "ApprovalsApiFunction": {"RESUME_QUEUE"},
    "AdvanceFunction": {"ADVANCE_QUEUE", "RESUME_QUEUE", "NOTIFY_QUEUE"},
    "ResumeFunction": {"ADVANCE_QUEUE", "RESUME_QUEUE", "NOTIFY_QUEUE"},
    "NotifyFunction": set[str](),
    "CallbacksFunction": set[str](),
    "EventBridgeFunction": set[str](),
    "InboundFunction": {"RESUME_QUEUE"},
    "SweepFunction": {"ADVANCE_QUEUE", "RESUME_QUEUE", "NOTIFY_QUEUE"},
    "FindStuckRunsFunction": set[str](),
    "AuthorizeFunction": set[str](),
    "SigninFunction": set[str](),
    "WebFunction": set[str](),
    "ToolsFunction": set[str](),
    "PaymentsFunction": set[str](),
}
# These keep nothing, though every function is told where things are kept.
STATELESS = ("AuthorizeFunction", "SigninFunction", *tool_hosts())
# What people open in a browser, which signs nothing; what Slack signs in its own way; and jobs,
# whose address is a capability.
FOR_PEOPLE = ("/approvals", "/callbacks/", "/signin", "/signout", "/slack/", "/web")


def given(function: str) -> set[str]:
    """The names of a function's own and common environment variables that our code reads."""
    every = template()["Globals"]["Function"]["Environment"]["Variables"]
    own = functions()[function].get("Environment", {}).get("Variables", {})
    return {name for name in {*every, *own} if name != "POWERTOOLS_METRICS_NAMESPACE"}


def read_in(tree: ast.AST) -> set[str]:
    """The environment variables that some code reads."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(
                value=ast.Attribute(attr="environ"), slice=ast.Constant(value=str(name))
            ):
                found.add(name)
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(attr="environ"), attr="get"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                found.add(name)
            case _:
                pass
    return found


@cache
def bootstrap_parts() -> dict[str, ast.FunctionDef]:
    found: dict[str, ast.FunctionDef] = {}
    for path in (LIBRARY / "bootstrap").glob("*.py"):
        nodes = ast.parse(path.read_text()).body
        parts = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
        assert not found.keys() & parts.keys(), "one name, one part"
        found |= parts
    return found


def needed_by_part(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """What a function of bootstrap reads, with all the others that it names."""
    part = bootstrap_parts()[name]
    named = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
    inner = (named & set(bootstrap_parts())) - seen - {name}
    found = read_in(part)
    for each in inner:
        found |= needed_by_part(each, seen | {name})
    return found


def needed_by(function: str) -> set[str]:
    """What a function's code reads by itself and by the parts of bootstrap that it uses."""
    found: set[str] = set()
    for path in package_of(function).glob("*.py"):
        tree = ast.parse(path.read_text())
        found |= read_in(tree)
        for node in ast.walk(tree):
            match node:
                case ast.ImportFrom(module=str(module), names=names) if BOOTSTRAP in module:
                    for part in names:
                        found |= needed_by_part(part.name)
                case _:
                    pass
    return found


def package_of(function: str) -> Path:
    """The folder of a function's package."""
    properties = functions()[function]
    return Path(ROOT, properties["CodeUri"], properties["Handler"].partition(".")[0])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_exactly_the_variables_that_it_reads(function: str) -> None:
    needed = (needed_by(function) - {"ADVANCE_QUEUE", "RESUME_QUEUE", "NOTIFY_QUEUE"}) | HINTS[
        function
    ]
    told = {"TABLE", "OUTBOX_TABLE", "BUCKET"} if function in STATELESS else set[str]()
    assert needed == given(function) - told


def test_the_environment_is_read_in_bootstrap_and_functions_only() -> None:
    read = {path: read_in(ast.parse(path.read_text())) for path in LIBRARY.rglob("*.py")}
    assert {path.parent.name for path, found in read.items() if found} == {"bootstrap"}
    assert set[str]().union(*read.values()) >= QUIET


@cache
def requirements() -> tuple[str, ...]:
    lines = (LIBRARY.parent / "requirements.txt").read_text().splitlines()
    return tuple(line.partition("==")[0] for line in lines if "==" in line and line[0].isalpha())


@pytest.fixture(scope="module")
def opt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two layers as Lambda unpacks them, of links to what is installed here."""
    home = tmp_path_factory.mktemp("opt")
    for layer in ("continuations", "agents"):
        (home / layer).mkdir()
    (home / "continuations" / "agent_continuations").symlink_to(LIBRARY)
    (home / "agents" / "agents").symlink_to(ROOT / "layers" / "agents" / "agents")
    for name in requirements():
        try:
            found = distribution(name)
        except PackageNotFoundError:  # for another Python or system
            continue
        for top in {each.parts[0] for each in found.files or ()} - {"..", "__pycache__"}:
            link = home / "continuations" / top
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))))
    return home


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_imported_with_its_own_layers_only(
    function: str, opt: Path, deployment: Deployment
) -> None:
    properties = functions()[function]
    layers = [
        *template()["Globals"]["Function"]["Layers"],
        *properties.get("Layers", []),
    ]
    names = {"ContinuationsLayer": "continuations", "AgentsLayer": "agents"}
    path = [str(ROOT / properties["CodeUri"])]
    path += [str(opt / names[layer["Ref"]]) for layer in layers]
    module, _, entry = properties["Handler"].rpartition(".")
    uses_agents = "AgentsLayer" in str(layers)
    code = f"""
import sys
sys.path[:0] = {path!r}
import {module}
assert callable({module}.{entry})
loaded = set(sys.modules)
assert "openai" not in loaded, "a cold start must not load the model client"
assert "slack_sdk" not in loaded, "a cold start must not load Slack's client"
assert "jinja2" not in loaded or {module!r} in ("approvals_api.app", "dashboard.app")
assert "pytest" not in loaded and "moto" not in loaded
if {uses_agents}:
    from agent_continuations.bootstrap.agents import registry
    assert registry().startable
else:
    try:
        import agents
    except ModuleNotFoundError:
        pass
    else:
        raise AssertionError("there are agents")
"""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_REGION": "us-east-1",
        "PYTHONWARNINGS": "error",
        "PYTHONDONTWRITEBYTECODE": "1",
        **deployment.variables(function),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-S", "-s", "-c", code],
        env=environment,
        cwd=opt,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "path", sorted((ROOT / "events").glob("*.json")), ids=lambda each: each.stem
)
def test_an_example_event_fits_a_trigger_of_the_template(path: Path) -> None:
    event = example(path.stem)
    if event.get("type") == "REQUEST":
        assert authorizer(event["resource"], event["httpMethod"]) == "SignedIn"
        assert event["methodArn"].endswith(f"/v1/{event['httpMethod']}{event['path']}")
    elif "httpMethod" in event:
        assert route(event["resource"], event["httpMethod"])
        filled = event["resource"].format(**(event["pathParameters"] or {}))
        assert event["path"] == filled
        assert event["requestContext"]["path"] == f"/v1{filled}"
        assert event["requestContext"]["resourcePath"] == event["resource"]
        signed = event["requestContext"]["identity"]["userArn"]
        assert bool(signed) != event["resource"].startswith(FOR_PEOPLE)
    elif "calls" in event:  # the engine's, and no service's
        assert HostRequest.model_validate(event).calls
    elif "Records" in event:
        [record] = event["Records"]
        queue = record["eventSourceARN"].rpartition("-")[2]
        assert consumer(queue) in FUNCTIONS
    elif "detail-type" in event and event["source"] != "aws.events":
        rules = [each for _, each in triggers() if each["Type"] == "EventBridgeRule"]
        assert any(event["detail-type"] in r["Properties"]["Pattern"]["detail-type"] for r in rules)
    else:
        assert event["source"] == "aws.events"


def test_only_routes_for_browsers_need_no_signature() -> None:
    resources: dict[str, Any] = template()["Resources"]
    assert resources["Api"]["Properties"]["Auth"]["DefaultAuthorizer"] == "AWS_IAM"
    for _, event in triggers():
        if event["Type"] == "Api":
            about = event["Properties"]
            named = authorizer(about["Path"], about["Method"])
            assert named in ("AWS_IAM", "NONE", "SignedIn")
            assert (named != "AWS_IAM") == about["Path"].startswith(FOR_PEOPLE)


def test_the_engine_knows_each_tool_host_with_its_timeout_and_may_invoke_no_other() -> None:
    hosts = tool_hosts()
    for engine in ("AdvanceFunction", "ResumeFunction"):
        text = functions()[engine]["Environment"]["Variables"]["TOOL_HOSTS"]["Fn::Sub"]
        named = {each.arn: each.timeout for each in read_hosts(text).values()}
        assert named == {f"${{{name}.Arn}}": each["Timeout"] for name, each in hosts.items()}
    allowed = [
        each["Resource"]
        for policy in template()["Resources"]["AdvanceRole"]["Properties"]["Policies"]
        for each in policy["PolicyDocument"]["Statement"]
        if "lambda" in str(each["Action"])
    ]
    with_versions = [
        each
        for name in hosts
        for each in ({"Fn::GetAtt": [name, "Arn"]}, {"Fn::Sub": f"${{{name}.Arn}}:*"})
    ]
    assert allowed == [with_versions]


def test_a_tool_host_may_only_report() -> None:
    """And write its log, which SAM gives to each function."""
    reports = {
        "Effect": "Allow",
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": ["InboundQueue", "Arn"]},
    }
    for properties in tool_hosts().values():
        assert [each["Statement"] for each in properties["Policies"]] == [[reports]]
        assert "Role" not in properties
        assert properties["EventInvokeConfig"] == {"MaximumRetryAttempts": 0}


def test_the_authorizer_is_not_cached() -> None:
    """A cache by header would refuse every request without that header."""
    authorizers = template()["Resources"]["Api"]["Properties"]["Auth"]["Authorizers"]
    assert authorizers["SignedIn"]["FunctionPayloadType"] == "REQUEST"
    assert authorizers["SignedIn"]["Identity"] == {"ReauthorizeEvery": 0}


def test_every_trigger_has_an_example() -> None:
    examples = [example(path.stem) for path in (ROOT / "events").glob("*.json")]
    routes = {(each["resource"], each["httpMethod"]) for each in examples if "resource" in each}
    for _, event in triggers():
        about = event["Properties"]
        if event["Type"] == "Api" and about["Method"] in ("get", "post"):
            assert (about["Path"], about["Method"].upper()) in routes


def test_the_environment_for_local_invocations_names_every_variable() -> None:
    kept = json.loads((ROOT / "events" / "environment" / "deployed.json").read_text())
    assert set(kept["Parameters"]) == set().union(*map(given, FUNCTIONS))
