"""SNS, for programs: ids and facts, no link, because a topic is not a private channel."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.core.notice import Notice
from agent_continuations.errors import Fatal, Retryable

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

# A missing permission can still be given; a deleted topic does not come back.
_REFUSED = {"InvalidParameter", "NotFound"}


class SnsNotifier:
    """Publishes notices to a topic; the address is the topic's ARN."""

    def __init__(self, sns: "SNSClient") -> None:
        self._sns = sns

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        """Publish one message.

        Raises:
            Retryable: SNS cannot accept the message now.
            Fatal: the topic does not exist.
        """
        del approver
        try:
            self._sns.publish(
                TopicArn=address,
                Message=json.dumps(notice.facts()),
                MessageAttributes={
                    "kind": {"DataType": "String", "StringValue": notice.kind},
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _REFUSED:
                raise Fatal(str(error)) from error
            raise Retryable(str(error)) from error
        except BotoCoreError as error:
            raise Retryable(str(error)) from error
