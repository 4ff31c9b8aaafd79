"""The deployed functions, which get other agents as by a deployment, but within a second.

The layers are replaced by small ones that name folders on this machine, so that nothing is packed
and unpacked. The functions behind queues, and tool hosts, are published as versions: new work goes
to the newest version, and an invocation that runs goes on with the code that it has, as on AWS.
"""

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

# As the template names it, and as it is named here.
AGENTS_LAYERS = ("AgentsLayer", "live-agents")
_NO_CALLS = {"do": "run", "run_id": "", "calls": []}
_PTH = "python/lib/python3/site-packages/live.pth"


class LiveFunctions:
    """Functions whose layers can be replaced.

    Args:
        client: makes a client of a service.
        library: folder of the built library.
    """

    def __init__(self, client: Callable[[str], Any], library: Path) -> None:
        self._lambda = client("lambda")
        self._sqs = client("sqs")
        self._library_folder = library
        self._old: list[tuple[str, str]] = []  # function and version

    def release(self, agents: Path) -> None:
        """Gives built agents to all functions that have agents.

        Args:
            agents: folder that goes on the path; it must never change.
        """
        layers = [self._publish("agents", agents), self._library]
        for function in self._with_agents:
            self._lambda.update_function_configuration(FunctionName=function, Layers=layers)
        hosts = self._publish_hosts()
        for mapping in self._mappings():
            name, version = _function_of(mapping)
            variables = {**self._variables(name), "TOOL_HOSTS": json.dumps(hosts)}
            self._lambda.update_function_configuration(
                FunctionName=name, Environment={"Variables": variables}
            )
            new = self._lambda.publish_version(FunctionName=name)["Version"]
            self._lambda.update_event_source_mapping(
                UUID=mapping["UUID"], FunctionName=f"{name}:{new}"
            )
            if version:
                self._old.append((name, version))
        self._forget_old_versions()

    def _publish_hosts(self) -> dict[str, dict[str, Any]]:
        """Publishes a version of each tool host; returns `TOOL_HOSTS` with these versions."""
        hosts = self._hosts()
        for each in hosts.values():
            name, version = _named(each["arn"])
            published = self._lambda.publish_version(FunctionName=name)
            each["arn"] = published["FunctionArn"]
            if version:
                self._old.append((name, version))
        return hosts

    def speed_up_others(self) -> None:
        """Gives the library as a folder to the functions without agents, too."""
        for function in set(self._functions) - set(self._with_agents):
            self._lambda.update_function_configuration(
                FunctionName=function, Layers=[self._library]
            )

    def warm_up(self) -> None:
        """Starts a process of each function behind a queue, and of each tool host, so that the next
        work need not wait.
        """
        for host in self._hosts().values():
            with suppress(ClientError):  # as below
                self._lambda.invoke(FunctionName=host["arn"], Payload=json.dumps(_NO_CALLS))
        for mapping in self._mappings():
            name, version = _function_of(mapping)
            with suppress(ClientError):  # replaced by yet another change
                self._lambda.invoke(
                    FunctionName=f"{name}:{version}", Payload=json.dumps({"Records": []})
                )

    @cached_property
    def _functions(self) -> dict[str, list[str]]:
        """The names of each function's layers."""
        return {
            function["FunctionName"]: [
                layer["Arn"].split(":")[6] for layer in function.get("Layers", ())
            ]
            for page in self._lambda.get_paginator("list_functions").paginate()
            for function in page["Functions"]
        }

    def _hosts(self) -> dict[str, dict[str, Any]]:
        """The tool hosts, as the engine knows them now."""
        name, _ = _function_of(self._mappings()[0])
        hosts: dict[str, dict[str, Any]] = json.loads(self._variables(name)["TOOL_HOSTS"])
        return hosts

    def _variables(self, function: str) -> dict[str, str]:
        found = self._lambda.get_function_configuration(FunctionName=function)
        variables: dict[str, str] = found["Environment"]["Variables"]
        return variables

    @cached_property
    def _with_agents(self) -> list[str]:
        return [
            name
            for name, layers in self._functions.items()
            if any(each in AGENTS_LAYERS for each in layers)
        ]

    @cached_property
    def _library(self) -> str:
        return self._publish("library", self._library_folder)

    def _publish(self, name: str, folder: Path) -> str:
        """Publishes a layer that puts a folder on the path; returns its ARN."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(_PTH, f"import sys; sys.path.insert(0, {str(folder)!r})\n")
        published = self._lambda.publish_layer_version(
            LayerName=f"live-{name}", Content={"ZipFile": content.getvalue()}
        )
        return str(published["LayerVersionArn"])

    def _mappings(self) -> list[dict[str, Any]]:
        """The mappings from queues to functions with agents."""
        found = self._lambda.list_event_source_mappings()["EventSourceMappings"]
        return [each for each in found if _function_of(each)[0] in self._with_agents]

    def _forget_old_versions(self) -> None:
        """Deletes the versions that get no more work, once no invocation can be running on them."""
        if any(self._in_flight(each["EventSourceArn"]) for each in self._mappings()):
            return
        for name, version in self._old:
            self._lambda.delete_function(FunctionName=name, Qualifier=version)
        self._old.clear()

    def _in_flight(self, queue_arn: str) -> int:
        url = self._sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
        attribute = "ApproximateNumberOfMessagesNotVisible"
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])
        return int(found["Attributes"][attribute])


def _function_of(mapping: dict[str, Any]) -> tuple[str, str]:
    """The name of a mapping's function, and its version; an empty one if it has none."""
    return _named(mapping["FunctionArn"])


def _named(arn: str) -> tuple[str, str]:
    """The name of a function, and its version; an empty one if the ARN has none."""
    name, _, version = arn.partition(":function:")[2].partition(":")
    return name, version
