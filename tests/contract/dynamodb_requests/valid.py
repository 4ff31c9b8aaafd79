"""Random requests that DynamoDB should accept, on a few keys, so that they meet each other."""

from dataclasses import dataclass
from random import Random
from typing import Any

from tests.contract.dynamodb_requests.expressions import (
    INTENTS,
    NUMBERS,
    TEXTS,
    Expression,
    Typed,
    attempt,
    index_keys,
    integer,
    scalar,
)

Parameters = dict[str, Any]

PARTITIONS = ("R#a", "R#b", "G#t")
SORT_KEYS = ("#H", "J#0", "J#1", "N#0")
KEYS = [(pk, sk) for pk in PARTITIONS for sk in SORT_KEYS]
SHARDS = ("D#0", "D#1", "N#0", "N#1")
KEPT_TRANSACTIONS = 4


@dataclass(frozen=True)
class Request:
    """One call of a client.

    Attributes:
        operation: the client's method.
        parameters: its parameters.
    """

    operation: str
    parameters: Parameters


class ValidRequests:
    """A sequence of requests.

    Args:
        random: decides everything.
        table: the table's name.
    """

    def __init__(self, random: Random, table: str) -> None:
        self.random = random
        self.table = table
        self._tokens = 0
        self._sent: list[Parameters] = []
        self._filled = 0

    def request(self) -> Request:
        """The next request; the first ones fill the table."""
        if self._filled < len(KEYS) - 2:
            self._filled += 1
            item = self.item(self._filled)
            return Request("put_item", {"TableName": self.table, "Item": item})
        makers = (
            (self.put, 12),
            (self.update, 34),
            (self.transaction, 22),
            (self.get, 6),
            (self.batch, 4),
            (self.query_table, 12),
            (self.query_due, 6),
            (self.query_runs, 4),
        )
        (make,) = self.random.choices([each for each, _ in makers], [each for _, each in makers])
        return make()

    # -- writes ----------------------------------------------------------------------------------

    def put(self) -> Request:
        return Request("put_item", self.put_parameters(self.number()))

    def update(self) -> Request:
        parameters = self.update_parameters(self.number())
        if self.random.random() < 0.8:
            parameters["ReturnValues"] = "ALL_NEW"
        return Request("update_item", parameters)

    def transaction(self) -> Request:
        if self._sent and self.random.random() < 0.2:
            again = self.random.choice(self._sent)
            if self.random.random() < 0.7:
                return Request("transact_write_items", again)
            return Request("transact_write_items", {**again, "TransactItems": self._writes()})
        request = {"TransactItems": self._writes(), "ClientRequestToken": self.token()}
        self._sent = [*self._sent, request][-KEPT_TRANSACTIONS:]
        return Request("transact_write_items", request)

    def _writes(self) -> list[Parameters]:
        numbers = self.random.sample(range(len(KEYS)), self.random.choice((1, 2, 2, 3, 4, 6)))
        if self.random.random() < 0.04:
            numbers.append(numbers[0])
        conditional = self.random.choice((0.1, 0.6))
        return [
            {"Put": self.put_parameters(number, conditional)}
            if self.random.random() < 0.4
            else {"Update": self.update_parameters(number, conditional)}
            for number in numbers
        ]

    def put_parameters(self, number: int, conditional: float = 0.5) -> Parameters:
        """A put of the item with this number, as often with a condition as `conditional` says."""
        expression = Expression(self.random, number)
        condition = None
        if self.random.random() < conditional:
            new = self.random.random() < 0.5
            condition = "attribute_not_exists(pk)" if new else expression.condition()
        return {
            "TableName": self.table,
            "Item": self.item(number),
            **expression.parameters(ConditionExpression=condition),
            **self._return_stored(),
        }

    def update_parameters(self, number: int, conditional: float = 0.5) -> Parameters:
        """An update of the item with this number; see `put_parameters`."""
        expression = Expression(self.random, number)
        condition = expression.condition() if self.random.random() < conditional else None
        update = expression.update() if self.random.random() < 0.96 else None
        return {
            "TableName": self.table,
            "Key": self.key(number),
            **expression.parameters(UpdateExpression=update, ConditionExpression=condition),
            **self._return_stored(),
        }

    def _return_stored(self) -> Parameters:
        if self.random.random() < 0.5:
            return {}
        return {"ReturnValuesOnConditionCheckFailure": self.random.choice(("ALL_OLD", "NONE"))}

    def item(self, number: int) -> dict[str, Typed]:
        """A head, an entry or a grant; not in every index."""
        item = {
            **self.key(number),
            "f": integer(4),
            "v": {"B": b"\x00\xff" * self.random.randrange(9)},
        }
        for name in self.random.sample((*NUMBERS, *TEXTS), self.random.randint(5, 10)):
            item[name] = scalar(self.random, name)
        keys = index_keys(self.random, number)
        for pair in (("due_shard", "due"), ("list_shard", "list_key")):
            item |= {name: keys[name] for name in pair if self.random.random() < 0.75}
        if self.random.random() < 0.9:
            intents = self.random.sample(INTENTS, self.random.randrange(3))
            item["intents"] = {"M": {each: attempt(self.random) for each in intents}}
        if self.random.random() < 0.2:
            listed: list[Typed] = [{"BOOL": True}, {"NULL": True}, {"S": "x"}, {"L": []}]
            item["more"] = {"L": listed[: self.random.randrange(5)]}
        return item

    # -- reads -----------------------------------------------------------------------------------

    def get(self) -> Request:
        consistent = {"ConsistentRead": self.random.random() < 0.5}
        return Request(
            "get_item", {"TableName": self.table, "Key": self.key(self.number()), **consistent}
        )

    def batch(self) -> Request:
        numbers = self.random.sample(range(len(KEYS)), self.random.randint(1, 6))
        keys = [self.key(number) for number in numbers]
        return Request("batch_get_item", {"RequestItems": {self.table: {"Keys": keys}}})

    def query_table(self) -> Request:
        expression = Expression(self.random, 0)
        partition = self.random.choice(PARTITIONS)
        condition = f"pk = {expression.value({'S': partition})}"
        bounds = sorted(self.random.choices((" ", *SORT_KEYS, "J#", "J~", "~"), k=2))
        placeholders = []
        chance = self.random.random()
        if chance < 0.5:
            placeholders = [expression.value({"S": each}) for each in bounds]
            condition += f" AND sk BETWEEN {placeholders[0]} AND {placeholders[1]}"
        elif chance < 0.7:
            sign = self.random.choice(("=", "<", "<=", ">", ">="))
            condition += f" AND {expression.name('sk')} {sign} {expression.value({'S': bounds[0]})}"
        start = {"pk": {"S": partition}, "sk": {"S": self.random.choice(SORT_KEYS)}}
        return self._query(expression, condition, start)

    def query_due(self) -> Request:
        expression = Expression(self.random, 0)
        shard = {"S": self.random.choice(SHARDS)}
        now = integer(self.random.randrange(900))
        sign = self.random.choice(("<=", "<=", "<", ">", ">=", "="))
        condition = f"due_shard = {expression.value(shard)} AND due {sign} {expression.value(now)}"
        number = self.number()
        due = index_keys(self.random, number)["due"]
        start = {**self.key(number), "due_shard": shard, "due": due}
        return self._query(expression, condition, start, IndexName="due")

    def query_runs(self) -> Request:
        expression = Expression(self.random, 0)
        number = self.number()
        keys = index_keys(self.random, number)
        condition = f"list_shard = {expression.value(keys['list_shard'])}"
        if self.random.random() < 0.8:
            before = {"S": self.random.choice(("~", f"{self.random.randrange(8):03}#"))}
            condition += f" AND list_key < {expression.value(before)}"
        start = {**self.key(number), "list_shard": keys["list_shard"], "list_key": keys["list_key"]}
        return self._query(expression, condition, start, IndexName="runs")

    def _query(
        self, expression: Expression, condition: str, start: dict[str, Typed], **more: Any
    ) -> Request:
        if self.random.random() < 0.6:
            more["Limit"] = self.random.choice((1, 2, 3, 5, 50))
        if self.random.random() < 0.3:
            more["ExclusiveStartKey"] = start
        if self.random.random() < 0.6:
            more["ScanIndexForward"] = self.random.random() < 0.5
        parameters = expression.parameters(KeyConditionExpression=condition)
        return Request("query", {"TableName": self.table, **parameters, **more})

    # -- parts -----------------------------------------------------------------------------------

    def number(self) -> int:
        """The number of a key; the first ones are the most frequent."""
        return min(self.random.randrange(len(KEYS)), self.random.randrange(len(KEYS)))

    def key(self, number: int) -> dict[str, Typed]:
        """The key with this number."""
        partition, sort = KEYS[number]
        return {"pk": {"S": partition}, "sk": {"S": sort}}

    def token(self) -> str:
        """A client request token that was not used yet, on any table."""
        self._tokens += 1
        return f"{self._tokens} {self.table}"[:36]
