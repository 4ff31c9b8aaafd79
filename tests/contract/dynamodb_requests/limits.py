"""Requests just inside and just outside of DynamoDB's limits."""

from tests.contract.dynamodb_requests.expressions import Typed, integer
from tests.contract.dynamodb_requests.parts import RequestParts
from tests.contract.dynamodb_requests.valid import Request

MAX_ITEM_BYTES = 400 * 1024
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024

# Values and their sizes as DynamoDB counts them.
SIZED: tuple[tuple[Typed, int], ...] = (
    ({"S": "é"}, 2),
    ({"B": b"abc"}, 3),
    ({"N": "0"}, 1),
    ({"N": "12"}, 2),
    ({"N": "123"}, 3),
    ({"N": "1783000000000"}, 4),
    ({"N": "1783000000123"}, 8),
    ({"N": "-12"}, 3),
    ({"N": "1.5"}, 3),
    ({"N": "0.001"}, 2),
    ({"BOOL": True}, 1),
    ({"NULL": True}, 1),
    ({"M": {"ab": {"S": "c"}, "d": {"N": "1"}}}, 11),
    ({"L": [{"S": "abc"}, {"N": "1"}]}, 10),
)


class AtTheLimits(RequestParts):
    """Updates, puts and transactions at a limit."""

    def long_expression(self) -> Request:
        length = 4096 + self.random.choice((-1, 0, 1))
        one = {":v": integer(1)}
        if self.random.random() < 0.5:
            return self.update("SET wake = :v", "attribute_exists(pk)".ljust(length), one)
        return self.update("SET wake = :v".ljust(length), None, one)

    def many_operators(self) -> Request:
        """Near the limit of 300."""
        one = {":v": integer(1)}
        if self.random.random() < 0.3:
            count = self.random.choice((299, 300, 301))
            sums = ",".join(f"a{number}=f+:v" for number in range(count))
            return self.update(f"SET {sums}", "attribute_not_exists(pk)", one)
        count = self.random.randint(146, 151)
        tests = ["e=:v"] * count
        others = (
            "attribute_exists(e)",
            "e IN (:v,:v)",
            "e BETWEEN :v AND :v",
            "(e=:v)",
            "(e=:v AND e<:v)",
        )
        for number in range(self.random.randrange(4)):
            tests[number] = self.random.choice(others)
        return self.update("SET wake = :v", " OR ".join(tests), one)

    def many_operands(self) -> Request:
        count = self.random.choice((99, 100, 101))
        condition = f"wake IN ({','.join([':v'] * count)})"
        return self.update("SET wake = :v", condition, {":v": integer(1)})

    def deep(self) -> Request:
        """A value or path near the limit of 32 levels."""
        depth = self.random.choice((30, 31, 32))
        value: Typed = {"S": "x"}
        for _ in range(depth):
            value = {"M": {"a": value}} if self.random.random() < 0.5 else {"L": [value]}
        if self.random.random() < 0.3:
            return self.put({**self.key, "note": value})
        if self.random.random() < 0.5:
            return self.update("SET note = :v", None, {":v": value})
        path = ".".join(["a"] * (depth + 1))
        return self.update("SET wake = :v", f"attribute_not_exists({path})", {":v": integer(1)})

    def _padded(self, number: int, size: int) -> dict[str, Typed]:
        """An item of exactly this size, most of it one attribute."""
        item: dict[str, Typed] = {"pk": {"S": "R#big"}, "sk": {"S": f"{number:02}"}}
        used = len("pk") + len("R#big") + len("sk") + 2 + len("x")
        return {**item, "x": {"S": "x" * (size - used)}}

    def large_item(self) -> Request:
        """An item at the limit or one byte beside it, with values of various types."""
        value, size = self.random.choice(SIZED)
        return self.item_with(value, size, MAX_ITEM_BYTES + self.random.choice((-1, 0, 0, 1)))

    def item_with(self, value: Typed, size: int, item_size: int) -> Request:
        """A put of an item of this size that has a value of this size."""
        item = self._padded(0, item_size - size - len("v"))
        return self.put({**item, "v": value})

    def growing_item(self) -> Request:
        """Half an item, or an update that may make a stored one too large."""
        half = {"x": "y", "y": "x"}[self.random.choice("xy")]
        self_key = {"pk": {"S": "R#big"}, "sk": {"S": "01"}}
        text = {"S": "x" * self.random.choice((1, 200_000, 204_795, 220_000))}
        return self.update(f"SET {half} = :v", None, {":v": text}, Key=self_key)

    def large_transaction(self) -> Request:
        """Puts whose size is at the limit of a transaction, or one byte above it."""
        count = 11
        size = MAX_TRANSACTION_BYTES + self.random.choice((0, 1, 1))
        sizes = [size // count] * (count - 1)
        items = [
            self._padded(number, each) for number, each in enumerate([*sizes, size - sum(sizes)])
        ]
        return self.transaction(
            [{"Put": {"TableName": self.valid.table, "Item": item}} for item in items]
        )
