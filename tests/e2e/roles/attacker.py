"""Credentials of one role, and what can be sent with them."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import boto3
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.local.ministack import ADMINISTRATOR, REGION

DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}
BROKEN = {"ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClient"}

Item = Mapping[str, Any]


class Attacker:
    """Somebody who has credentials and the address of AWS. Making a client takes longer than using
    it, so there is one of each, and the credentials are exchanged.

    Args:
        url: the emulator's.
    """

    def __init__(self, url: str) -> None:
        core = botocore.session.Session()
        core.set_credentials("", "")
        self._credentials: Credentials = core.get_credentials()  # type: ignore[assignment]
        session = boto3.Session(botocore_session=core, region_name=REGION)
        config = Config(retries={"total_max_attempts": 1})
        self.client: Callable[[str], Any] = cache(
            lambda service: session.client(service, endpoint_url=url, config=config)
        )
        self.become_administrator()

    def become(self, given: Mapping[str, str]) -> None:
        """Use these credentials from now on."""
        self._credentials.access_key = given["AccessKeyId"]
        self._credentials.secret_key = given["SecretAccessKey"]
        self._credentials.token = given.get("SessionToken")

    def become_administrator(self) -> None:
        """Use credentials that may do anything."""
        names = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY"}
        self.become({name: ADMINISTRATOR[variable] for name, variable in names.items()})

    def signed(self, method: str, url: str) -> dict[str, str]:
        """The headers of a request to API Gateway that is signed with these credentials."""
        request = AWSRequest(method=method, url=url)
        SigV4Auth(self._credentials, "execute-api", REGION).add_auth(request)
        return dict(request.headers)

    def allowed(self, service: str, operation: str, **request: Any) -> Any:
        """The answer to a request; None if it is not authorized."""
        answers: list[Any] = []
        send = getattr(self.client(service), operation)
        return answers[0] if passes(lambda: answers.append(send(**request))) else None

    def write(self, table: str, item: Item) -> bool:
        """Leave an item in a table by any right there is; whether one was enough."""
        dynamodb = self.client("dynamodb")
        if passes(lambda: dynamodb.put_item(TableName=table, Item=item)):
            return True
        key = {name: item[name] for name in ("pk", "sk")}
        rest = [name for name in item if name not in key]
        return passes(
            lambda: dynamodb.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="SET " + ", ".join(f"#{n} = :{n}" for n in range(len(rest))),
                ExpressionAttributeNames={f"#{n}": name for n, name in enumerate(rest)},
                ExpressionAttributeValues={f":{n}": item[name] for n, name in enumerate(rest)},
            )
        )


def passes(request: Callable[[], object]) -> bool:
    """Whether a request is authorized, whatever else is wrong with it.

    Args:
        request: raises `ClientError`, or `PermissionError` where it is refused.
    """
    try:
        request()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in BROKEN:
            raise
        return code not in DENIED
    except PermissionError:
        return False
    return True
