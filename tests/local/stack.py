"""The real template on MiniStack: built and deployed by SAM, with IAM enforced."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.local.ministack import ADMINISTRATOR, PROGRAM, MiniStack, client
from tests.local.template import ROOT, template

SAM = ROOT / ".cache" / "sam" / "bin" / "sam"
UV = ROOT / ".cache" / "uv" / "bin" / "uv"
STACK = "agent-continuations"
# A group has no mailbox of its own.
RECIPIENTS = {"group:legal": ["email:legal@example.com"]}
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


@dataclass(frozen=True)
class Provider:
    """Identity provider, and the client registered there."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    groups_claim: str = "groups"


@dataclass(frozen=True)
class Parameters:
    """Parameters of a local deployment. `agents` replaces `layers/agents`."""

    public_url: str
    openai_base_url: str
    openai_api_key: str = field(repr=False)
    model: str
    provider: Provider
    agents: Path | None = None

    def overrides(self) -> dict[str, str]:
        """The template's parameters."""
        return {
            "Runtime": f"python{_python_version()}",
            "PublicUrl": self.public_url,
            "OpenAIBaseUrl": self.openai_base_url,
            "OpenAIApiKey": self.openai_api_key,
            "Model": self.model,
            "OidcIssuer": self.provider.issuer,
            "OidcClientId": self.provider.client_id,
            "OidcClientSecret": self.provider.client_secret,
            "OidcGroupsClaim": self.provider.groups_claim,
            "CallersMayActForApprovers": "yes",
            "WebIsOpen": "yes",
            "CreateSenderIdentity": "yes",
            "Operators": "operator@example.com",
            "Recipients": json.dumps(RECIPIENTS),
        }


class Stack:
    """The deployed system.

    Args:
        home: folder of all files of the deployment.
        parameters: parameters of the deployment.
        say: function that prints a line of progress.
    """

    def __init__(
        self, home: Path, parameters: Parameters, say: Callable[[str], None] = lambda _line: None
    ) -> None:
        self.home = home
        self.parameters = parameters
        self.ministack = MiniStack(home / "ministack")
        self.api_url = ""
        self._say = say

    def up(self) -> None:
        """Starts the emulator, and builds and deploys the project if it has changed.

        Raises:
            RuntimeError: a step failed; the message contains the end of its output.
        """
        self._say("starting MiniStack (local AWS emulator, with IAM enforcement)")
        self.ministack.start()
        source = self._compose()
        digest = self._digest(source)
        kept = self.home / "deployed"
        if not kept.exists() or kept.read_text() != digest or not self._outputs():
            self._build(source)
            self._deploy()
            kept.write_text(digest)
        api = self._outputs()["ApiId"]
        self.api_url = f"{self.ministack.url}/_aws/execute-api/{api}/v1"

    def down(self) -> None:
        """Stops everything; the state is kept for the next start."""
        self.ministack.stop()

    def client(self, service: str) -> Any:
        """A boto3 client with an administrator's key."""
        return client(service, self.ministack.url)

    def resource(self, logical_id: str) -> str:
        """The physical id of one of the template's resources."""
        found = self.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId=logical_id
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def _compose(self) -> Path:
        """Copies the project as it is deployed, with the user's own agents, if given."""
        source = self.home / "source"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir(parents=True)
        shutil.copy2(ROOT / "template.yaml", source)
        for folder in ("functions", "layers"):
            shutil.copytree(ROOT / folder, source / folder, ignore=_IGNORED)
        if self.parameters.agents:
            _place_agents(self.parameters.agents, source / "layers" / "agents")
        return source

    def _digest(self, source: Path) -> str:
        digest = sha256(json.dumps(self.parameters.overrides(), sort_keys=True).encode())
        for path in sorted(source.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
        return digest.hexdigest()

    def _build(self, source: Path) -> None:
        self._say("sam build")
        runtime = self.parameters.overrides()["Runtime"]
        self._sam(
            "build",
            *("--template", str(source / "template.yaml"), "--build-dir", str(self._built)),
            *("--cached", "--cache-dir", str(self.home / "build-cache")),
            *("--parameter-overrides", f"ParameterKey=Runtime,ParameterValue={runtime}"),
        )

    def _deploy(self) -> None:
        self._say("sam deploy")
        overrides = self.home / "parameters.yaml"
        overrides.touch(0o600)  # a file, because a command line is for everybody to see
        overrides.write_text(json.dumps(self.parameters.overrides()))
        self._sam(
            "deploy",
            *("--template", str(self._built / "template.yaml"), "--stack-name", STACK),
            *("--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"),
            *("--no-fail-on-empty-changeset", "--parameter-overrides", f"file://{overrides}"),
        )

    @property
    def _built(self) -> Path:
        return self.home / "build"

    def _sam(self, *arguments: str) -> None:
        environment = {
            **os.environ,
            **ADMINISTRATOR,
            "AWS_ENDPOINT_URL": self.ministack.url,
            "SAM_CLI_TELEMETRY": "0",
            "UV": str(UV),
            "PYTHON_VERSION": _python_version(),
            "PLATFORM": "",
            # The functions run under MiniStack's Python: byte code must be that one's.
            "PYTHON": str(PROGRAM.with_name("python")),
        }
        done = subprocess.run(
            [str(SAM), *arguments],
            env=environment,
            cwd=self.home,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"sam {arguments[0]} failed:\n{(done.stdout + done.stderr)[-4000:]}")

    def _outputs(self) -> Mapping[str, str]:
        formation = self.client("cloudformation")
        try:
            found = formation.describe_stacks(StackName=STACK)["Stacks"][0]
        except formation.exceptions.ClientError:
            return {}
        if not found["StackStatus"].endswith("_COMPLETE"):
            return {}
        return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}


def _place_agents(given: Path, layer: Path) -> None:
    """Replaces `layers/agents` by a user's folder: a layer's folder, or only a package."""
    package = given / "agents" if (given / "agents" / "__init__.py").exists() else given
    if not (package / "__init__.py").exists():
        raise RuntimeError(f"{given} has no agents/__init__.py that defines the list AGENTS")
    shutil.rmtree(layer / "agents")
    if package is not given:
        shutil.copytree(given, layer, dirs_exist_ok=True, ignore=_IGNORED)
    else:
        shutil.copytree(package, layer / "agents", ignore=_IGNORED)


def _python_version() -> str:
    program = str(PROGRAM.with_name("python"))
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run(
        [program, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def built_layer(name: str, home: Path) -> Path:
    """Builds a layer by its own Makefile, as `sam build` does, but for this Python version."""
    folder = ROOT / template()["Resources"][name]["Properties"]["ContentUri"]
    environment = {
        **os.environ,
        "ARTIFACTS_DIR": str(home),
        "UV": str(UV),
        "PYTHON_VERSION": f"{sys.version_info.major}.{sys.version_info.minor}",
        "PLATFORM": "",
        "PYTHON": sys.executable,
    }
    make = ["make", "-s", "-C", str(folder), f"build-{name}"]
    subprocess.run(make, env=environment, check=True)
    return home
