"""The whole system, deployed once for all of these tests, and what they may see of it.

The real template on an emulator that enforces IAM, a model over the wire, the front door of
`make run`. Three things differ from a deployment: the sweeper's clock is stopped, so that nothing
but hints moves a run unless a test rings for it; each tool notes that it runs, so that "once" is
counted where it happens; and fewer functions work at a time.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, TypeVar
from urllib.parse import urlencode

import boto3
import pytest
import urllib3
from playwright.sync_api import Browser, expect, sync_playwright

from tests.local.agents_folder import UV
from tests.local.front import Front, Inbox
from tests.local.issuer import IssuerServer
from tests.local.ministack import PROGRAM, REGION
from tests.local.model_server import Json, ModelServer, Reply
from tests.local.pages import LocalPages
from tests.local.script import respond
from tests.local.stack import SAM, Parameters, Provider, Stack
from tests.local.template import ROOT, template

# Room for a loaded machine: a wait ends as soon as there is something to see.
WAIT_SECONDS = 180.0
FORM = "application/x-www-form-urlencoded"
PROBLEM = "application/problem+json"
FUNCTIONS = [
    name
    for name, resource in template()["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
QUEUES = (
    *("AdvanceQueue", "ResumeQueue", "NotifyQueue", "InboundQueue"),
    *("DeadLetters", "InboundDeadLetters"),
)

Seen = TypeVar("Seen")

# Stands at the end of the deployed agents' `__init__.py`.
_NOTING = """
import json as _json
from agent_continuations.authoring.tool import Tool as _Tool

_returned = _Tool.returned


def _noted(self, arguments, context):
    ran = {{"run_id": context.run_id, "path": context.path, "tool": self.name}}
    ran |= {{"arguments": dict(arguments), "attempt": context.attempt}}
    if self.name == "book_truck":
        ran["callback_url"] = context.callback_url
    with open({ledger!r}, "a", encoding="utf-8") as ledger:
        ledger.write(_json.dumps(ran) + "\\n")
    return _returned(self, arguments, context)


_Tool.returned = _noted
"""


def wait_for(what: str, look: Callable[[], Seen | None], seconds: float = WAIT_SECONDS) -> Seen:
    """Look until there is something to see, and give it."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)
    return seen


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    set_cookies: Sequence[str] = ()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Whoever stands before the front door, with nothing but HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(maxsize=32, retries=False, timeout=60)

    def close(self) -> None:
        self._pool.clear()

    def send(
        self,
        method: str,
        where: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send to a path behind the door, or to a whole URL; what is no bytes goes as JSON."""
        given = {} if body is None else {"Content-Type": "application/json"}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        url = where if where.startswith("http") else self.url + where
        answer = self._pool.request(
            method, url, body=data, headers={**given, **(headers or {})}, redirect=False
        )
        cookies = answer.headers.getlist("Set-Cookie")
        return Answer(answer.status, answer.headers, answer.data, cookies)

    def start(self, agent: str, input: str) -> str:
        started = self.send("POST", "/runs", {"agent": agent, "input": input})
        assert started.status == 202, started.text
        return str(started.json["run_id"])

    def run(self, run_id: str) -> dict[str, Any]:
        return self._got(f"/runs/{run_id}")

    def timeline(self, run_id: str, kind: str) -> list[dict[str, Any]]:
        """The lines of one kind."""
        items = self._got(f"/runs/{run_id}/timeline")["items"]
        return [item for item in items if item["kind"] == kind]

    def ended(self, run_id: str) -> dict[str, Any]:
        """The run, once it has."""

        def look() -> dict[str, Any] | None:
            run = self.run(run_id)
            final = ("completed", "failed", "cancelled", "parked")
            return run if run["status"] in final else None

        return wait_for(f"the end of {run_id}", look)

    def suspended(self, run_id: str, waiting: int = 1) -> dict[str, Any]:
        """The run, once it waits in so many places and does nothing else."""

        def look() -> dict[str, Any] | None:
            run = self.run(run_id)
            assert run["status"] in ("ready", "running", "suspended"), run
            done = run["status"] == "suspended" and len(run["waiting"]) == waiting
            return run if done else None

        return wait_for(f"{run_id} waiting in {waiting} places", look)

    def decide(self, run_id: str, request: Mapping[str, Any], decision: str, **more: Any) -> Answer:
        body = {"request_id": request["request_id"], "decision": decision, **more}
        return self.send("POST", f"/runs/{run_id}/decisions", body)

    def mails(self) -> list[dict[str, Any]]:
        """The inbox, newest first."""
        mails: list[dict[str, Any]] = self._got("/inbox.json")["items"]
        return mails

    def mail(self, request: Mapping[str, Any], to: str) -> dict[str, Any]:
        """The mail about a request, once it is there; the hash in it is that of one call only."""
        asked = f"Hash:         {request['arguments_hash'][:12]}"

        def look() -> dict[str, Any] | None:
            about = (mail for mail in self.mails() if mail["to"] == [to] and asked in mail["text"])
            return next(about, None)

        return wait_for(f"a mail to {to}", look)

    def link(self, request: Mapping[str, Any], to: str) -> str:
        """The only link in the mail about a request."""
        (link,) = self.mail(request, to)["links"]
        return str(link)

    def post(self, link: str, *, accept: str = "*/*", **form: str) -> Answer:
        """Send a page's form as a plain HTTP client does."""
        headers = {"Content-Type": FORM, "Accept": accept}
        return self.send("POST", link, urlencode(form).encode(), headers)

    def _got(self, path: str) -> dict[str, Any]:
        answer = self.send("GET", path)
        assert answer.status == 200, answer.text
        document: dict[str, Any] = answer.json
        return document


class SlowModel:
    """The scripted model, which can be made to think for as long as a test likes.

    Attributes:
        conversations: what it was asked to continue, as JSON, each time that it was.
    """

    def __init__(self) -> None:
        self.conversations: list[str] = []
        self._go_on, self._asked = Event(), Event()
        self._go_on.set()

    def respond(self, request: Json) -> Reply:
        self.conversations.append(json.dumps(request["messages"]))
        self._asked.set()
        self._go_on.wait(WAIT_SECONDS)
        return respond(request)

    @contextmanager
    def thinking(self) -> Iterator[Event]:
        """No answer before the block ends; the event tells that one is waited for."""
        self._asked.clear()
        self._go_on.clear()
        try:
            yield self._asked
        finally:
            self._go_on.set()


@dataclass(frozen=True)
class System:
    """The deployed system from inside: its processes, queues, and what its tools did."""

    stack: Stack
    ledger: Path
    model: SlowModel
    issuer: IssuerServer

    def workers(self) -> dict[int, str]:
        """The functions' processes, by id. One that is dead and only not buried is none."""
        emulator = self.stack.ministack.pid
        return {
            pid: command
            for pid, parent, command in _processes()
            if parent == emulator and "_worker.py" in command
        }

    def kill_workers(self) -> set[int]:
        """End every function's process at once, without a word. Which ones there were."""
        victims = set(self.workers())
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        wait_for("the end of the functions", lambda: not victims & set(self.workers()))
        return victims

    def restart(self) -> set[int]:
        """Stop the whole cloud, see that nothing of it lives, and start it again.

        Which processes there were: the emulator's and its functions'.
        """
        before = {self.stack.ministack.pid, *self.workers()}
        self.stack.down()
        # The functions' end comes a moment after the emulator's: they find that it is gone.
        wait_for("the end of all processes", lambda: not before & alive())
        self.stack.up()
        return before

    def queued(self) -> dict[str, int]:
        """How many messages each queue holds: visible, in flight or delayed."""
        return {queue: self._count(queue) for queue in QUEUES}

    def quiet(self) -> None:
        """Wait until no queue holds anything."""
        wait_for("empty queues", lambda: not any(self.queued().values()))

    def effects(self, run_id: str, tool: str) -> list[dict[str, Any]]:
        """Each time that a tool really ran for a run."""
        return [each for each in self.ran(tool) if each["run_id"] == run_id]

    def ran(self, tool: str) -> list[dict[str, Any]]:
        """Each time that a tool really ran."""
        lines = self.ledger.read_text(encoding="utf-8").splitlines()
        return [each for each in map(json.loads, lines) if each["tool"] == tool]

    @contextmanager
    def deaf(self, function: str) -> Iterator[None]:
        """A function that does not hear its queue for as long as the block lasts."""
        client = self.stack.client("lambda")
        name = self.stack.resource(function)
        (mapping,) = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    def lose_hints(self, queue: str) -> None:
        """Wait for a hint to come into a queue, and empty it."""
        wait_for(f"a hint in {queue}", lambda: self._count(queue))
        self.stack.client("sqs").purge_queue(QueueUrl=self.stack.resource(queue))
        assert self._count(queue) == 0

    def sweep(self) -> int:
        """Ring for the sweeper, as the schedule would. How much it found due."""
        answer = self.stack.client("lambda").invoke(
            FunctionName=self.stack.resource("SweepFunction")
        )
        assert "FunctionError" not in answer, answer
        return int(json.load(answer["Payload"])["due"])

    def let_a_minute_pass(self, run_id: str) -> None:
        """Let the hint's minute be over, without waiting for it."""
        self.stack.client("dynamodb").update_item(
            TableName=self.stack.resource("Table"),
            Key={"pk": {"S": f"R#{run_id}"}, "sk": {"S": "#H"}},
            UpdateExpression="SET due = :past",
            ConditionExpression="attribute_exists(due)",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )

    def role(self, function: str) -> str:
        """The name of the role that a function runs with."""
        found = self.stack.client("lambda").get_function_configuration(
            FunctionName=self.stack.resource(function)
        )
        return str(found["Role"]).rpartition("/")[2]

    def statements(self, name: str) -> Iterator[dict[str, Any]]:
        """The statements of a role's own policies, by the role's name."""
        iam = self.stack.client("iam")
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            found = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            yield from (json.loads(found) if isinstance(found, str) else found)["Statement"]

    def credentials(self, name: str) -> Mapping[str, str]:
        """Temporary credentials of a role, by its name; its trust policy stays as it is."""
        iam = self.stack.client("iam")
        role = iam.get_role(RoleName=name)["Role"]
        trust = role["AssumeRolePolicyDocument"]
        ours = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        opened = {"Version": "2012-10-17", "Statement": [ours]}
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(opened))
        try:
            given: Mapping[str, str] = self.stack.client("sts").assume_role(
                RoleArn=role["Arn"], RoleSessionName="test"
            )["Credentials"]
        finally:
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
        return given

    @contextmanager
    def as_function(self, function: str) -> Iterator[Callable[[str], Any]]:
        """What makes boto3 clients with the rights of a function and no others."""
        given = self.credentials(self.role(function))
        session = boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], REGION
        )

        def client(service: str) -> Any:
            return session.client(  # type: ignore[call-overload]
                service, endpoint_url=self.stack.ministack.url
            )

        yield client

    def _count(self, queue: str) -> int:
        names = ("", "NotVisible", "Delayed")
        found = self.stack.client("sqs").get_queue_attributes(
            QueueUrl=self.stack.resource(queue),
            AttributeNames=[f"ApproximateNumberOfMessages{name}" for name in names],
        )["Attributes"]
        return sum(int(found[f"ApproximateNumberOfMessages{name}"]) for name in names)


@pytest.fixture(scope="session")
def door() -> Iterator[tuple[Client, System]]:
    with deployed() as system:
        yield system


@contextmanager
def deployed() -> Iterator[tuple[Client, System]]:
    """The system, for as long as the block lasts, and what stands before its front door."""
    missing = [str(tool) for tool in (PROGRAM, SAM, UV) if not tool.exists()]
    if missing:
        pytest.fail(f"{', '.join(missing)} missing: run `make tools`")
    with ExitStack() as ends:
        home = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="e2e-")))
        ledger = home / "ledger"
        ledger.touch()
        model = SlowModel()
        server = ends.enter_context(ModelServer(model.respond))
        issuer = ends.enter_context(IssuerServer())
        front = Front(0)
        issuer.redirect_uris = {f"{front.url}/signin/callback"}
        ends.callback(front.server.server_close)
        ends.callback(front.pool.clear)
        parameters = Parameters(
            public_url=front.url,
            openai_base_url=server.base_url,
            openai_api_key="",
            model="gpt-5-mini",
            provider=Provider(issuer.url, issuer.client_id, issuer.client_secret),
            agents=_noting_agents(home / "agents", ledger),
        )
        stack = Stack(home / "stack", parameters)
        ends.callback(stack.down)
        stack.up()
        _stop_the_clock(stack)
        _few_at_a_time(stack)
        inbox = Inbox(stack.ministack.url, home / "inbox.json")
        front.open(stack.api_url, LocalPages(front, inbox).answer)
        ends.callback(front.close)
        client = Client(front.url)
        ends.callback(client.close)
        yield client, System(stack, ledger, model, issuer)
        assert not server.refusals, "the model server refused what was sent to it"


@pytest.fixture
def client(door: tuple[Client, System]) -> Client:
    return door[0]


@pytest.fixture
def system(door: tuple[Client, System]) -> System:
    return door[1]


def _noting_agents(place: Path, ledger: Path) -> Path:
    """A copy of the project's agents whose tools note in `ledger` that they run."""
    shutil.copytree(
        ROOT / "layers" / "agents", place, ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    with (place / "agents" / "__init__.py").open("a", encoding="utf-8") as package:
        package.write(_NOTING.format(ledger=str(ledger)))
    return place


def _stop_the_clock(stack: Stack) -> None:
    """Let the sweeper's schedule be seen, and stop it."""
    events = stack.client("events")
    (rule,) = (each for each in events.list_rules()["Rules"] if "Sweep" in each["Name"])
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
    events.disable_rule(Name=rule["Name"])


def _few_at_a_time(stack: Stack) -> None:
    """Four processes of each function at most, because each new one costs a second of a core."""
    client = stack.client("lambda")
    for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
        client.update_event_source_mapping(
            UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": 4}
        )


def alive() -> set[int]:
    """The processes of this machine. One that is dead and only not buried is none."""
    return {pid for pid, _, command in _processes() if command.strip()}


def _processes() -> Iterator[tuple[int, int, str]]:
    """Every process of this machine: its id, its parent's, its command line."""
    if not Path("/proc/self/stat").exists():
        told = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,command="], check=True, capture_output=True, text=True
        )
        for line in told.stdout.splitlines():
            pid, parent, command = line.split(maxsplit=2)
            yield int(pid), int(parent), command
        return
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
            command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            yield int(place.name), int(parent), command


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(PROGRAMS)} is on the path")
    expect.set_options(timeout=WAIT_SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()
