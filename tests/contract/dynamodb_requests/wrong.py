"""Random requests that DynamoDB refuses, or that are just inside one of its limits."""

from collections.abc import Mapping
from typing import Any

from tests.contract.dynamodb_requests.expressions import Typed, integer
from tests.contract.dynamodb_requests.valid import KEYS, Parameters, Request, ValidRequests

MAX_ITEM_BYTES = 400 * 1024
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024

# Update expressions, conditions and values that are used with `:v` = 1 or the value beside them.
UPDATES = (
    "",
    " ",
    "SET",
    "SET wake",
    "SET wake =",
    "SET wake = :v,",
    "SET wake = :v, ",
    "SET .wake = :v",
    "SET wake. = :v",
    "SET intents..a = :v",
    "SET intents.0 = :v",
    "SET _wake = :v",
    "SET wake-up = :v",
    "SET wake = :v;",
    "SET wake = :v epoch = :v",
    "SET wake = :v SET epoch = :v",
    "REMOVE wake REMOVE epoch SET note = :v",
    "SET wake = :v REMOVE",
    "REMOVE :v",
    "SET :v = :v",
    "CHANGE wake = :v",
    "SET wake = epoch + epoch + :v",
    "SET status = :v",
    "SET Owner = :v",
    "SET intents.ttl = :v",
    "SET note = value",
    "REMOVE wake SET epoch = :v",
    "set wake = :v remove epoch",
    "SET wake = :v, wake = :v",
    "SET wake = :v REMOVE wake",
    "SET intents.a = :v, intents = :v",
    "SET intents.a = :v REMOVE intents.a.b",
    "SET intents.a = :v, intents.ab = :v",
    "SET pk = :v",
    "REMOVE sk SET wake = :v",
    "SET pk.a = :v",
    "SET nothing.a = :v",
    "SET wake.a = :v",
    "REMOVE nothing.a SET wake = :v",
    "REMOVE intents.nothing SET wake = :v",
    "SET wake = nothing + :v",
    "SET wake = intents + :v",
    "SET wake = f + f, note = :v",
    "SET wake = :undefined, note = :v",
    "SET #undefined = :v",
)
CONDITIONS = (
    "",
    " ",
    "pk",
    "wake =",
    "wake = :v AND",
    "wake = :v OR OR epoch = :v",
    "(wake = :v",
    "wake = :v)",
    "((wake = :v))",
    "((wake = :v) OR (epoch = :v))",
    "(wake = :v) OR ((epoch = :v) AND wake = :v)",
    "wake = :v AND (((epoch = :v) OR wake = :v))",
    "wake != :v",
    "wake == :v",
    "wake = :v epoch",
    "wake ! :v",
    "exists(wake) OR wake = :v",
    "ATTRIBUTE_EXISTS(wake) OR wake = :v",
    "attribute_exists(:v)",
    "attribute_exists() OR wake = :v",
    "attribute_exists(wake, epoch) OR wake = :v",
    "wake IN () OR wake = :v",
    "wake IN :v",
    "wake IN (:v,)",
    "wake BETWEEN :v",
    "wake BETWEEN :v OR :v",
    "wake = wake OR wake = :v",
    "wake < #wake OR wake = :v",
    "wake IN (wake, :v)",
    "wake BETWEEN wake AND :v",
    "intents.a = intents.a OR wake = :v",
    ":v = :v",
    ":v < wake",
    "status = :v",
    "attribute_not_exists(intents.Status) OR wake = :v",
    "attribute_not_exists(intents.a..b) OR wake = :v",
    "attribute_not_exists(intents.0) OR wake = :v",
    "wake = :v and epoch <> :v or attribute_exists(pk)",
    "wake in (:v) or wake between :v and :v",
    "wake = :undefined OR wake = :v",
    "#undefined = :v",
    "wake.a = :v OR attribute_exists(pk.a)",
    "wake.a = :v OR attribute_exists(due.a)",
    "wake.a = :v OR attribute_exists(wake.sk)",
    "wake <> nothing OR wake = :v",
    "nothing <> nowhere OR wake = :v",
)
VALUES: tuple[Any, ...] = (
    {"N": "abc"},
    {"N": ""},
    {"N": " 1"},
    {"N": "1" * 38},
    {"N": "1" * 39},
    {"N": "1" + "0" * 40},
    {"N": "NaN"},
    {"N": "Infinity"},
    {"N": "0x10"},
    {"N": "1_000"},
    {"N": "--1"},
    {"N": "1", "S": "1"},
    {},
    {"NULL": False},
    {"NULL": True},
    {"BOOL": False},
    {"M": {"a": {"N": "abc"}}},
    {"L": [{"NULL": False}]},
    {"M": {"a": {}}},
    {"S": ""},
    {"M": {}},
    {"L": []},
)
EXPONENTS = ("1e125", "1e126", "9.9e125", "-1e126", "1e-130", "1e-131", "1E5", "1e+5", "1e", "e5")


class WrongRequests:
    """A sequence of requests of which most are refused.

    Args:
        valid: makes their parts, on the same keys and with the same chance.
    """

    def __init__(self, valid: ValidRequests) -> None:
        self.random = valid.random
        self.valid = valid
        self.key = valid.key(0)

    def request(self) -> Request:
        """The next request."""
        makers = (
            (self.wrong_expression, 30),
            (self.wrong_value, 12),
            (self.wrong_placeholders, 10),
            (self.wrong_operand, 10),
            (self.wrong_key, 12),
            (self.wrong_index_key, 6),
            (self.wrong_query, 12),
            (self.wrong_batch, 4),
            (self.wrong_transaction, 12),
            (self.long_expression, 6),
            (self.many_operators, 6),
            (self.many_operands, 4),
            (self.deep, 4),
            (self.large_item, 3),
            (self.growing_item, 3),
            (self.large_transaction, 1),
        )
        (make,) = self.random.choices([each for each, _ in makers], [each for _, each in makers])
        return self._maybe_in_a_transaction(make())

    def _maybe_in_a_transaction(self, request: Request) -> Request:
        """One write of a transaction instead, sometimes beside another one that fails."""
        kinds = {"put_item": "Put", "update_item": "Update"}
        if request.operation not in kinds or self.random.random() < 0.7:
            return request
        writes: list[Parameters] = [{kinds[request.operation]: request.parameters}]
        if self.random.random() < 0.5:
            writes.append({"Put": self.valid.put_parameters(len(KEYS) - 1, 0.5)})
        return self._transaction(writes)

    def _transaction(self, writes: list[Parameters], **more: Any) -> Request:
        parameters = {"TransactItems": writes, "ClientRequestToken": self.valid.token(), **more}
        return Request("transact_write_items", parameters)

    def _update(
        self,
        update: str | None,
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Request:
        given = {
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        parameters = {name: each for name, each in given.items() if each is not None}
        key = {"TableName": self.valid.table, "Key": self.key}
        return Request("update_item", {**key, **parameters, **more})

    def _put(self, item: Mapping[str, Typed], **more: Any) -> Request:
        return Request("put_item", {"TableName": self.valid.table, "Item": item, **more})

    # -- expressions and values ------------------------------------------------------------------

    def wrong_expression(self) -> Request:
        values = {":v": integer(1)}
        if self.random.random() < 0.5:
            update = self.random.choice(UPDATES)
            failing = "wake = :no" if self.random.random() < 0.2 else None
            return self._update(update, failing, values | ({":no": integer(9)} if failing else {}))
        condition = self.random.choice(CONDITIONS)
        names = {"ExpressionAttributeNames": {"#wake": "wake"}} if "#wake" in condition else {}
        return self._update("SET epoch = :v", condition, values, **names)

    def wrong_value(self) -> Request:
        value = self.random.choice(VALUES)
        if self.random.random() < 0.2:
            # Only compared, not stored, because DynamoDB may return another spelling.
            value = {"N": self.random.choice(EXPONENTS)}
        elif self.random.random() < 0.4:
            return self._put({**self.key, "note": value})
        if "e" in value.get("N", "") or self.random.random() < 0.5:
            return self._update("SET wake = :one", "note <> :v", {":v": value, ":one": integer(1)})
        return self._update("SET note = :v", None, {":v": value})

    def wrong_placeholders(self) -> Request:
        one = {":v": integer(1)}
        return self.random.choice(
            (
                self._update("SET wake = :v", None, {**one, ":unused": integer(1)}),
                self._update("SET wake = :v", None, one, ExpressionAttributeNames={"#a": "a"}),
                self._update("SET wake = :v", None, one, ExpressionAttributeNames={}),
                self._update("SET wake = :v", None, one, ExpressionAttributeNames={"a": "a"}),
                self._update("SET wake = :v", None, {**one, "v": integer(1)}),
                self._update("REMOVE wake", None, {}),
                self._update("SET wake = :v"),
                self._update("SET wake = :V", None, one),
                self._update("SET #a = :v", None, one, ExpressionAttributeNames={"#A": "a"}),
                self._update(None, None, one),
                self._put(self.key, ExpressionAttributeNames={"#a": "a"}),
                self._put(self.key, ExpressionAttributeValues=one),
                self._put(self.key, ExpressionAttributeNames={}),
            )
        )

    def wrong_operand(self) -> Request:
        types = ({"BOOL": True}, {"NULL": True}, {"M": {}}, {"L": []}, {"S": "1"}, {"B": b"1"})
        value = self.random.choice((*types, integer(1)))
        other = self.random.choice((*types, integer(0), integer(2)))
        values = {":a": value, ":b": other}
        condition = self.random.choice(
            (
                f"wake {self.random.choice(('<', '<=', '>', '>=', '=', '<>'))} :a",
                "wake IN (:a, :b)",
                "wake BETWEEN :a AND :b",
                "wake BETWEEN :a AND epoch",
                ":a < :b",
                "intents.a.attempt < :a",
            )
        )
        if self.random.random() < 0.3:
            return self._update("SET wake = wake + :a", None, {":a": value})
        used = {name: each for name, each in values.items() if name in condition}
        return self._update("SET epoch = :one", condition, {**used, ":one": integer(1)})

    # -- keys ------------------------------------------------------------------------------------

    def _wrong_key_value(self) -> dict[str, Any]:
        part = self.random.choice(("pk", "sk"))
        limit = {"pk": 2048, "sk": 1024}[part]
        wrong: Any = self.random.choice(
            (
                {"S": ""},
                {"N": "1"},
                {"B": b"x"},
                {"S": "x" * (limit + 1)},
                {"S": "é" * (limit // 2 + 1)},
            )
        )
        return self.random.choice(
            (
                {**self.key, part: wrong},
                {name: each for name, each in self.key.items() if name != part},
            )
        )

    def wrong_key(self) -> Request:
        key = self._wrong_key_value()
        table = {"TableName": self.valid.table}
        extra = {**self.key, "wake": integer(1)}
        return self.random.choice(
            (
                Request("get_item", {**table, "Key": self.random.choice((key, extra))}),
                Request("put_item", {**table, "Item": key}),
                Request("update_item", {**table, "Key": self.random.choice((key, extra))}),
                Request("batch_get_item", {"RequestItems": {self.valid.table: {"Keys": [key]}}}),
            )
        )

    def wrong_index_key(self) -> Request:
        """A wrong update of one is left out: AWS refuses it, and DynamoDB Local does not."""
        name, wrong = self.random.choice(
            (
                ("due", {"S": "1"}),
                ("due_shard", {"S": ""}),
                ("due_shard", {"N": "1"}),
                ("list_shard", {"NULL": True}),
                ("list_key", {"B": b"x"}),
                ("list_key", {"S": ""}),
            )
        )
        if wrong == {"S": ""} and self.random.random() < 0.5:
            return self._update(f"SET {name} = :v", None, {":v": wrong})
        item = {**self.key, name: wrong}
        if self.random.random() < 0.3:
            return self._put(item, ConditionExpression="attribute_not_exists(pk)")
        return self._put(item)

    # -- reads -----------------------------------------------------------------------------------

    def wrong_query(self) -> Request:
        condition, values, more = self.random.choice(
            (
                ("sk = :p", {":p": "R#a"}, {}),
                ("pk < :p", {":p": "R#a"}, {}),
                ("pk = :p OR sk = :p", {":p": "R#a"}, {}),
                ("pk = :p AND sk <> :p", {":p": "R#a"}, {}),
                ("pk = :p AND wake = :p", {":p": "R#a"}, {}),
                ("pk = :p AND pk = :p", {":p": "R#a"}, {}),
                ("pk = :p AND sk > :p AND sk < :p", {":p": "R#a"}, {}),
                ("pk = :p AND sk BETWEEN :h AND :l", {":p": "R#a", ":h": "b", ":l": "a"}, {}),
                ("pk = :p", {":p": "R#a", ":unused": "x"}, {}),
                ("pk = :undefined", {":p": "R#a"}, {}),
                ("", {":p": "R#a"}, {}),
                ("pk = :p AND", {":p": "R#a"}, {}),
                ("pk = :p", {":p": ""}, {}),
                ("pk = :p AND sk > :s", {":p": "R#a", ":s": ""}, {}),
                ("pk = :p", {":p": 1}, {}),
                ("pk = :p AND sk > :s", {":p": "R#a", ":s": 1}, {}),
                ("due_shard = :p AND due < :s", {":p": "D#0", ":s": "1"}, {"IndexName": "due"}),
                ("due_shard = :p", {":p": "D#0"}, {"IndexName": "due", "ConsistentRead": True}),
                ("pk = :p", {":p": "R#a"}, {"IndexName": "due"}),
                ("pk = :p", {":p": "R#a"}, {"IndexName": "none"}),
                ("pk = :p", {":p": "R#a"}, {"Limit": 0}),
                ("pk = :p", {":p": "R#a"}, {"Limit": -1}),
                ("pk = :p", {":p": "R#b"}, {"ExclusiveStartKey": self.key}),
                ("pk = :p", {":p": "R#a"}, {"ExclusiveStartKey": {"pk": {"S": "R#a"}}}),
                ("pk = :p", {":p": "R#a"}, {"ExclusiveStartKey": {**self.key, "due": integer(1)}}),
                ("pk = :p AND sk > :s", {":p": "R#a", ":s": "J"}, {"ExclusiveStartKey": self.key}),
                (
                    "due_shard = :p",
                    {":p": "D#0"},
                    {"IndexName": "due", "ExclusiveStartKey": self.key},
                ),
            )
        )
        typed = {
            name: integer(each) if isinstance(each, int) else {"S": each}
            for name, each in values.items()
        }
        parameters = {"KeyConditionExpression": condition, "ExpressionAttributeValues": typed}
        return Request("query", {"TableName": self.valid.table, **parameters, **more})

    def wrong_batch(self) -> Request:
        keys = [{"pk": {"S": "R#a"}, "sk": {"S": str(number)}} for number in range(101)]
        chosen = self.random.choice(([], keys, keys[:100], [*keys[:3], keys[0]]))
        return Request("batch_get_item", {"RequestItems": {self.valid.table: {"Keys": chosen}}})

    # -- limits ----------------------------------------------------------------------------------

    def long_expression(self) -> Request:
        length = 4096 + self.random.choice((-1, 0, 1))
        one = {":v": integer(1)}
        if self.random.random() < 0.5:
            return self._update("SET wake = :v", "attribute_exists(pk)".ljust(length), one)
        return self._update("SET wake = :v".ljust(length), None, one)

    def many_operators(self) -> Request:
        """Near the limit of 300."""
        one = {":v": integer(1)}
        if self.random.random() < 0.3:
            count = self.random.choice((299, 300, 301))
            sums = ",".join(f"a{number}=f+:v" for number in range(count))
            return self._update(f"SET {sums}", "attribute_not_exists(pk)", one)
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
        return self._update("SET wake = :v", " OR ".join(tests), one)

    def many_operands(self) -> Request:
        count = self.random.choice((99, 100, 101))
        condition = f"wake IN ({','.join([':v'] * count)})"
        return self._update("SET wake = :v", condition, {":v": integer(1)})

    def deep(self) -> Request:
        """A value or path near the limit of 32 levels."""
        depth = self.random.choice((30, 31, 32))
        value: Typed = {"S": "x"}
        for _ in range(depth):
            value = {"M": {"a": value}} if self.random.random() < 0.5 else {"L": [value]}
        if self.random.random() < 0.3:
            return self._put({**self.key, "note": value})
        if self.random.random() < 0.5:
            return self._update("SET note = :v", None, {":v": value})
        path = ".".join(["a"] * (depth + 1))
        return self._update("SET wake = :v", f"attribute_not_exists({path})", {":v": integer(1)})

    def _padded(self, number: int, size: int) -> dict[str, Typed]:
        """An item of exactly this size, most of it one attribute."""
        item: dict[str, Typed] = {"pk": {"S": "R#big"}, "sk": {"S": f"{number:02}"}}
        used = len("pk") + len("R#big") + len("sk") + 2 + len("x")
        return {**item, "x": {"S": "x" * (size - used)}}

    def large_item(self) -> Request:
        """An item near the limit, with values of various types."""
        value, size = self.random.choice(SIZED)
        more = self.random.choice((-1, 0, 0, 1))
        item = self._padded(0, MAX_ITEM_BYTES - size - len("v") + more)
        return self._put({**item, "v": value})

    def growing_item(self) -> Request:
        """Half an item, or an update that may make a stored one too large."""
        half = {"x": "y", "y": "x"}[self.random.choice("xy")]
        self_key = {"pk": {"S": "R#big"}, "sk": {"S": "01"}}
        text = {"S": "x" * self.random.choice((1, 200_000, 204_795, 220_000))}
        return self._update(f"SET {half} = :v", None, {":v": text}, Key=self_key)

    def wrong_transaction(self) -> Request:
        puts: list[Parameters] = [
            {
                "Put": {
                    "TableName": self.valid.table,
                    "Item": {"pk": {"S": "R#many"}, "sk": {"S": f"{n:03}"}},
                }
            }
            for n in range(101)
        ]
        return self.random.choice(
            (
                self._transaction([]),
                self._transaction(puts[:100]),
                self._transaction(puts),
                self._transaction([puts[0], puts[1], puts[0]]),
                self._transaction([{}]),
                self._transaction(
                    [{**puts[0], "Update": {"TableName": self.valid.table, "Key": self.key}}]
                ),
                self._transaction(puts[:1], ClientRequestToken="x" * 37),
            )
        )

    def large_transaction(self) -> Request:
        """Puts whose size is at the limit of a transaction, or one byte above it."""
        count = 11
        size = MAX_TRANSACTION_BYTES + self.random.choice((0, 1, 1))
        sizes = [size // count] * (count - 1)
        items = [
            self._padded(number, each) for number, each in enumerate([*sizes, size - sum(sizes)])
        ]
        return self._transaction(
            [{"Put": {"TableName": self.valid.table, "Item": item}} for item in items]
        )


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
