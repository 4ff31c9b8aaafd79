"""Wrong expressions, values and placeholders, and right ones that look like them."""

from typing import Any

from tests.contract.dynamodb_requests.expressions import Typed, integer
from tests.contract.dynamodb_requests.parts import RequestParts
from tests.contract.dynamodb_requests.valid import Request

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


class WrongExpressions(RequestParts):
    """Updates and puts whose expressions, values or placeholders are mostly wrong."""

    def wrong_expression(self) -> Request:
        values = {":v": integer(1)}
        if self.random.random() < 0.5:
            update = self.random.choice(UPDATES)
            failing = "wake = :no" if self.random.random() < 0.2 else None
            return self.update(update, failing, values | ({":no": integer(9)} if failing else {}))
        condition = self.random.choice(CONDITIONS)
        names = {"ExpressionAttributeNames": {"#wake": "wake"}} if "#wake" in condition else {}
        return self.update("SET epoch = :v", condition, values, **names)

    def wrong_value(self) -> Request:
        value = self.random.choice(VALUES)
        if self.random.random() < 0.2:
            # Only compared, not stored, because DynamoDB may return another spelling.
            value = {"N": self.random.choice(EXPONENTS)}
        elif self.random.random() < 0.4:
            return self.put({**self.key, "note": value})
        if "e" in value.get("N", "") or self.random.random() < 0.5:
            return self.update("SET wake = :one", "note <> :v", {":v": value, ":one": integer(1)})
        return self.update("SET note = :v", None, {":v": value})

    def wrong_placeholders(self) -> Request:
        one = {":v": integer(1)}
        return self.random.choice(
            (
                self.update("SET wake = :v", None, {**one, ":unused": integer(1)}),
                self.update("SET wake = :v", None, one, ExpressionAttributeNames={"#a": "a"}),
                self.update("SET wake = :v", None, one, ExpressionAttributeNames={}),
                self.update("SET wake = :v", None, one, ExpressionAttributeNames={"a": "a"}),
                self.update("SET wake = :v", None, {**one, "v": integer(1)}),
                self.update("REMOVE wake", None, {}),
                self.update("SET wake = :v"),
                self.update("SET wake = :V", None, one),
                self.update("SET #a = :v", None, one, ExpressionAttributeNames={"#A": "a"}),
                self.update(None, None, one),
                self.put(self.key, ExpressionAttributeNames={"#a": "a"}),
                self.put(self.key, ExpressionAttributeValues=one),
                self.put(self.key, ExpressionAttributeNames={}),
            )
        )

    def wrong_operand(self) -> Request:
        types: tuple[Typed, ...] = (
            {"BOOL": True},
            {"NULL": True},
            {"M": {}},
            {"L": []},
            {"S": "1"},
            {"B": b"1"},
        )
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
            return self.update("SET wake = wake + :a", None, {":a": value})
        used = {name: each for name, each in values.items() if name in condition}
        return self.update("SET epoch = :one", condition, {**used, ":one": integer(1)})
