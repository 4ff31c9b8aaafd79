"""SNS, for machines: ids and facts, no link, because a topic is not a private channel."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.errors import Retryable
from agent_continuations.ports import Notice

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient


class TopicNotifier:
    """Publishes notices to a topic; the recipient's address is the topic's ARN."""

    def __init__(self, sns: "SNSClient") -> None:
        self._sns = sns

    def deliver(self, notice: Notice, recipient: str) -> None:
        """Publish one message.

        Raises:
            Retryable: SNS did not take it.
        """
        told = notice.model_dump(
            mode="json",
            include={
                "notice_id",
                "run_id",
                "kind",
                "request_id",
                "path",
                "agents",
                "tool",
                "arguments_hash",
                "approvers",
                "expires_at",
                "created_at",
            },
        )
        try:
            self._sns.publish(
                TopicArn=recipient,
                Message=json.dumps(told),
                MessageAttributes={
                    "kind": {"DataType": "String", "StringValue": notice.kind},
                },
            )
        except (ClientError, BotoCoreError) as error:
            raise Retryable(str(error)) from error
