"""The deployed functions in one process, as programs, approvers, queues and the schedule use them.

The resources are the template's in moto; the events are those of `events/`, sent as AWS does.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from agent_continuations.auth.approval_links import ApprovalLinks
from tests.support.deployed_stack import QUEUES, DeployedStack
from tests.support.http_answers import Answer
from tests.support.lambda_invocation import example
from tests.support.mailbox import Mail
from tests.support.template_functions import consumer

SECURITY = "security@example.com"
ONBOARD_ADA = "Onboard Ada Lovelace (ada@example.com) with security level confidential."
# Texts that Python reads as JSON, and that no JSON can express again.
NO_JSON = ["1e999", "-1e999", "NaN", "Infinity", "[1e400]", '{"a": NaN}', "1" + "0" * 5000]


class Deployment(DeployedStack):
    """The stack with the requests that its users send. Every invocation is a cold start."""

    # -- what programs do ------------------------------------------------------------------------

    def post_run(
        self, body: Any = None, *, key: str | None = None, caller: str | None = None
    ) -> Answer:
        if body is None:
            body = {"agent": "hr", "input": ONBOARD_ADA}
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {"Idempotency-Key": key}
        return self.http("start-run", body=text, headers=headers, caller=caller)

    def started(self, agent: str = "hr", input: str = ONBOARD_ADA) -> str:
        """The id of a new run that nothing has advanced yet."""
        answer = self.post_run({"agent": agent, "input": input})
        assert answer.status == 202, answer.body
        return str(answer.json()["run_id"])

    def suspended(self, agent: str = "hr", input: str = ONBOARD_ADA) -> str:
        """The id of a run that waits for approvers who were notified by mail."""
        run_id = self.started(agent, input)
        self.drain()
        assert self.read(run_id)["status"] == "suspended"
        return run_id

    def read(self, run_id: str) -> dict[str, Any]:
        answer = self.http("read-run", params={"run_id": run_id})
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json()
        return found

    def timeline(self, run_id: str) -> list[dict[str, Any]]:
        answer = self.http("read-timeline", params={"run_id": run_id})
        assert answer.status == 200, answer.body
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def request_id(self, run_id: str) -> str:
        """The one request that a run waits for."""
        [waiting] = self.read(run_id)["waiting"]
        return str(waiting["request_id"])

    def decide(self, run_id: str, *, caller: str | None = None, **body: Any) -> Answer:
        """Decide as a program; the only request and an approval by default."""
        if "request_id" not in body:
            body["request_id"] = self.request_id(run_id)
        text = json.dumps({"decision": "approve", **body})
        return self.http("decide-run", params={"run_id": run_id}, body=text, caller=caller)

    # -- what approvers do -----------------------------------------------------------------------

    def capabilities(self) -> ApprovalLinks:
        return ApprovalLinks(self.keys)

    def mails(self) -> list[Mail]:
        """All mails, oldest first."""
        sent: list[Any] = self.mailbox.sent_messages
        return [Mail(each.destinations[0], each.raw_data) for each in sent]

    def token(self, approver: str = SECURITY) -> str:
        """The token in the last mail to an approver."""
        return [mail for mail in self.mails() if mail.to == approver][-1].token

    def run_of(self, token: str) -> str:
        """The run of a link."""
        return self.capabilities().read(token).run_id

    def page(
        self,
        token: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str | None] | None = None,
        edit: bool = False,
    ) -> Answer:
        return self.http(
            "approval-page",
            params={"token": token},
            method=method,
            headers=headers,
            query={"edit": "1"} if edit else None,
        )

    def answer(
        self,
        token: str,
        form: Mapping[str, str] | str,
        *,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Post a form as a browser does, but with these headers."""
        body = form if isinstance(form, str) else urlencode(form)
        params = {"token": token}
        return self.http("approval-decision", params=params, body=body, headers=headers)

    def click(self, token: str, decision: str = "approve", **more: str) -> Answer:
        """Open the page in a browser, fill in the form, and click."""
        nonce = self.page(token).form_value("nonce")
        return self.answer(token, {"nonce": nonce, "decision": decision, **more})

    # -- what SQS and the schedule do --------------------------------------------------------------

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Receive and delete the messages of a queue. Returns them as events."""
        taken = []
        url = self.physical[queue]
        while found := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10):
            messages = found.get("Messages", [])
            if not messages:
                break
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                event = example(QUEUES[queue])
                event["Records"][0] |= {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "md5OfBody": message["MD5OfBody"],
                }
                taken.append(event)
        return taken

    def hint(self, queue: str, **body: str) -> Any:
        """Invoke a queue's function with one message."""
        event = example(QUEUES[queue])
        event["Records"][0]["body"] = json.dumps(body)
        return self.invoke(consumer(queue), event)

    def drain(self) -> list[str]:
        """Deliver every message until the queues are empty. Returns the invoked functions."""
        invoked: list[str] = []
        while batch := [(queue, event) for queue in QUEUES for event in self.messages(queue)]:
            for queue, event in batch:
                answer = self.invoke(consumer(queue), event)
                assert answer == {"batchItemFailures": []}
                invoked.append(consumer(queue))
        return invoked

    def sweep(self) -> int:
        found: dict[str, int] = self.invoke("SweepFunction", example("sweep"), seconds=55)
        return found["due"]

    # -- what lies in the stores -------------------------------------------------------------------

    def store(self) -> DynamoDBStore:
        """The store, as a program with all rights uses it."""
        return DynamoDBStore(
            dynamodb=self.dynamodb,
            s3=self.s3,
            table=self.table,
            bucket=self.table,
            outbox_table=self.outbox_table,
        )

    def items(self) -> list[dict[str, Any]]:
        """The items of both tables."""
        items = [item for _, item in self._stored()]
        return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))

    def _stored(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for table in (self.table, self.outbox_table):
            for page in self.dynamodb.get_paginator("scan").paginate(TableName=table):
                for item in page["Items"]:
                    yield table, item

    def state(self) -> Any:
        """The state that a function could have changed."""
        objects = self.s3.list_objects_v2(Bucket=self.table).get("Contents", [])
        wanted = ["ApproximateNumberOfMessages"]
        waiting = [
            self.sqs.get_queue_attributes(QueueUrl=self.physical[queue], AttributeNames=wanted)
            for queue in QUEUES
        ]
        return (
            self.items(),
            [each["Key"] for each in objects],
            [each["Attributes"] for each in waiting],
            len(self.mails()),
        )

    def make_due(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Move the due time of some items into the past."""
        for table, item in list(self._stored()):
            if "due" in item and wanted(item):
                paused = ", model_pause.#until = :past" if "model_pause" in item else ""
                self.dynamodb.update_item(
                    TableName=table,
                    Key={"pk": item["pk"], "sk": item["sk"]},
                    UpdateExpression=f"SET due = :past{paused}",
                    **({"ExpressionAttributeNames": {"#until": "until"}} if paused else {}),
                    ExpressionAttributeValues={":past": {"N": "1"}},
                )

    def lose(self, run_id: str, path: str) -> None:
        """Store an intent as if the process was killed in the tool; its deadline has passed."""
        ago = {"N": "1"}
        intent = {"M": {"attempt": {"N": "1"}, "started_at": ago, "deadline": ago}}
        self.dynamodb.update_item(
            TableName=self.table,
            Key={"pk": {"S": f"R#{run_id}"}, "sk": {"S": "#H"}},
            UpdateExpression="SET intents.#path = :intent",
            ExpressionAttributeNames={"#path": path},
            ExpressionAttributeValues={":intent": intent},
        )
