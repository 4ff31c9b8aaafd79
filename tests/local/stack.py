"""The real template on MiniStack: built and deployed by SAM, with IAM enforced."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.local.agents_folder import PYTHON, UV, AgentsFolder, python_version
from tests.local.live_functions import LiveFunctions
from tests.local.ministack import ADMINISTRATOR, MiniStack, client
from tests.local.template import ROOT, template

SAM = ROOT / ".cache" / "sam" / "bin" / "sam"
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
    log_level: str = "INFO"

    def overrides(self) -> dict[str, str]:
        """The template's parameters."""
        return {
            "Runtime": f"python{python_version()}",
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
            "LogLevel": self.log_level,
        }


class Stack:
    """The deployed system.

    Args:
        home: folder of all files of the deployment.
        parameters: parameters of the deployment.
        say: function that prints a line of progress.
        environment: more variables for the emulator and its functions.
    """

    def __init__(
        self,
        home: Path,
        parameters: Parameters,
        say: Callable[[str], None] = lambda _line: None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.parameters = parameters
        self.ministack = MiniStack(home / "ministack", environment)
        self.api_url = ""
        self._say = say
        self._deploying = False

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
            self._deploying = True
            self._deploy()
            self._deploying = False
            kept.write_text(digest)
        api = self._outputs()["ApiId"]
        self.api_url = f"{self.ministack.url}/_aws/execute-api/{api}/v1"

    def down(self) -> None:
        """Stops everything; the state is kept for the next start.

        An interrupted deployment leaves no trace: the next start finds the state before it.
        """
        self.ministack.stop(save=not self._deploying)

    @property
    def library(self) -> Path:
        """The folder of the built library and its packages."""
        return self._built / "ContinuationsLayer" / "python"

    def live(self) -> LiveFunctions:
        """The deployed functions, which take other agents without a deployment."""
        return LiveFunctions(self.client, self.library)

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
            shutil.rmtree(source / "layers" / "agents")
            AgentsFolder(self.parameters.agents).place(source / "layers" / "agents")
        return source

    def _digest(self, source: Path) -> str:
        """Of all that is deployed, but for the agents, which `live` replaces."""
        digest = sha256(json.dumps(self.parameters.overrides(), sort_keys=True).encode())
        for path in sorted(source.rglob("*")):
            if path.is_file() and not path.is_relative_to(source / "layers" / "agents"):
                digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
        return digest.hexdigest()

    def _build(self, source: Path) -> None:
        self._say("sam build")
        runtime = self.parameters.overrides()["Runtime"]
        arguments = (
            *("--template", str(source / "template.yaml"), "--build-dir", str(self._built)),
            *("--cached", "--cache-dir", str(self.home / "build-cache")),
            *("--parameter-overrides", f"ParameterKey=Runtime,ParameterValue={runtime}"),
        )
        try:
            self._sam("build", *arguments)
        except RuntimeError as error:
            if "Failed to fetch" not in str(error):
                raise
            self._say("the package index cannot be reached; building from downloaded packages")
            self._sam("build", *arguments, UV_OFFLINE="1")

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

    def _sam(self, *arguments: str, **variables: str) -> None:
        environment = {
            **os.environ,
            **variables,
            **ADMINISTRATOR,
            "AWS_ENDPOINT_URL": self.ministack.url,
            "SAM_CLI_TELEMETRY": "0",
            "UV": str(UV),
            "PYTHON_VERSION": python_version(),
            "PLATFORM": "",
            "PYTHON": str(PYTHON),
        }
        process = subprocess.Popen(
            [str(SAM), *arguments],
            env=environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that it ends with all that it started
        )
        try:
            output, _ = process.communicate()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode:
            raise RuntimeError(f"sam {arguments[0]} failed:\n{output[-4000:]}")

    def _outputs(self) -> Mapping[str, str]:
        formation = self.client("cloudformation")
        try:
            found = formation.describe_stacks(StackName=STACK)["Stacks"][0]
        except formation.exceptions.ClientError:
            return {}
        if not found["StackStatus"].endswith("_COMPLETE"):
            return {}
        return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}


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
