"""Compressed values: in their item, or in S3 under the hash of their content if they are large."""

from hashlib import sha256
from typing import TYPE_CHECKING

from agent_continuations.adapters.stores.dynamodb.client import Missing, call
from agent_continuations.adapters.stores.dynamodb.items import Item
from agent_continuations.errors import CorruptValue

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

OFFLOAD_BYTES = 32 * 1024


class Blobs:
    """Stores values up to 32 KB in their item, and larger ones in a bucket.

    Args:
        s3: the client.
        bucket: the bucket's name.
    """

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def store(self, folder: str, value: bytes) -> Item:
        """The attributes that hold a value; a large value is uploaded first.

        Args:
            folder: where it is uploaded to: the run's id, or a name that no run's id can be.
            value: the value.
        """
        if len(value) <= OFFLOAD_BYTES:
            return {"v": value}
        digest = sha256(value).hexdigest()
        key = f"runs/{folder}/{digest}"
        call(self._s3.put_object, Bucket=self._bucket, Key=key, Body=value)
        return {"p": key, "h": digest}

    def load(self, item: Item) -> bytes:
        """The value that an item's attributes hold.

        Raises:
            CorruptValue: the object in S3 was changed or is missing.
        """
        if "v" in item:
            return bytes(item["v"])
        try:
            # The role must be allowed to list the bucket: S3 denies access to a missing object if
            # it is not, and a denial is taken for a fault that passes.
            response = call(self._s3.get_object, Bucket=self._bucket, Key=item["p"])
            value = bytes(call(response["Body"].read))
        except Missing:
            raise CorruptValue(f"the value of {item['sk']} is gone") from None
        if sha256(value).hexdigest() != item["h"]:
            raise CorruptValue(f"the value of {item['sk']} has changed")
        return value
