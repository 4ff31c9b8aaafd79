"""Random requests that DynamoDB refuses, or that are just inside one of its limits."""

from typing import Any

from tests.contract.dynamodb_requests.expressions import integer
from tests.contract.dynamodb_requests.limits import AtTheLimits
from tests.contract.dynamodb_requests.parts import RequestParts
from tests.contract.dynamodb_requests.valid import KEYS, Parameters, Request, ValidRequests
from tests.contract.dynamodb_requests.wrong_expressions import WrongExpressions


class WrongRequests(RequestParts):
    """A sequence of requests of which most are refused."""

    def __init__(self, valid: ValidRequests) -> None:
        super().__init__(valid)
        self._expressions = WrongExpressions(valid)
        self._limits = AtTheLimits(valid)

    def request(self) -> Request:
        """The next request."""
        makers = (
            (self._expressions.wrong_expression, 30),
            (self._expressions.wrong_value, 12),
            (self._expressions.wrong_placeholders, 10),
            (self._expressions.wrong_operand, 10),
            (self.wrong_key, 12),
            (self.wrong_index_key, 6),
            (self.wrong_query, 12),
            (self.wrong_batch, 4),
            (self.wrong_transaction, 12),
            (self._limits.long_expression, 6),
            (self._limits.many_operators, 6),
            (self._limits.many_operands, 4),
            (self._limits.deep, 4),
            (self._limits.large_item, 3),
            (self._limits.growing_item, 3),
            (self._limits.large_transaction, 1),
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
        return self.transaction(writes)

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
            return self.update(f"SET {name} = :v", None, {":v": wrong})
        item = {**self.key, name: wrong}
        if self.random.random() < 0.3:
            return self.put(item, ConditionExpression="attribute_not_exists(pk)")
        return self.put(item)

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
                self.transaction([]),
                self.transaction(puts[:100]),
                self.transaction(puts),
                self.transaction([puts[0], puts[1], puts[0]]),
                self.transaction([{}]),
                self.transaction(
                    [{**puts[0], "Update": {"TableName": self.valid.table, "Key": self.key}}]
                ),
                self.transaction(puts[:1], ClientRequestToken="x" * 37),
            )
        )
