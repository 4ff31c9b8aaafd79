"""Random conditions and updates of the kinds that the store sends."""

from random import Random
from typing import Any

Typed = dict[str, Any]

NUMBERS = ("epoch", "wake", "uses", "expires", "stalls", "lease_until")
TEXTS = ("status", "owner", "note", "holder")
RESERVED = {"status", "owner", "ttl"}
INTENTS = ("0.0", "0.1", "1.0/0.0")


class Expression:
    """The expressions of one request, with the placeholders that they use.

    Args:
        random: decides everything.
        number: the number of the item's key; index keys are unique to it.
    """

    def __init__(self, random: Random, number: int) -> None:
        self.random = random
        self.number = number
        self.names: dict[str, str] = {}
        self.values: dict[str, Typed] = {}

    def name(self, attribute: str) -> str:
        """An attribute, under an alias where it needs one, and sometimes where it does not."""
        if attribute not in RESERVED and attribute not in INTENTS and self.random.random() < 0.9:
            return attribute
        alias = f"#n{INTENTS.index(attribute)}" if attribute in INTENTS else f"#{attribute}"
        self.names[alias] = attribute
        return alias

    def value(self, value: Typed) -> str:
        """A placeholder of a value."""
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value
        return placeholder

    def parameters(self, **expressions: str | None) -> dict[str, Any]:
        """The parameters of a request, without the empty ones."""
        found = {
            **expressions,
            "ExpressionAttributeNames": self.names,
            "ExpressionAttributeValues": self.values,
        }
        return {name: each for name, each in found.items() if each}

    # -- conditions ------------------------------------------------------------------------------

    def condition(self) -> str:
        """One to four conditions, combined with AND."""
        parts = [self._test() for _ in range(self.random.choice((1, 1, 2, 3, 4)))]
        return " AND ".join(parts)

    def _test(self) -> str:
        kinds = (self._existence, self._comparison, self._comparison, self._choice, self._intent)
        first = self.random.choice(kinds)()
        if self.random.random() < 0.7:
            return first
        return f"({first} OR {self.random.choice(kinds)()})"

    def _existence(self) -> str:
        if self.random.random() < 0.4:
            return "attribute_exists(pk)"
        function = self.random.choice(("attribute_exists", "attribute_not_exists"))
        return f"{function}({self.name(self.random.choice(('pk', *NUMBERS, *TEXTS, 'due')))})"

    def _comparison(self) -> str:
        sign = self.random.choice(("=", "=", "<>", "<", "<=", ">", ">="))
        if self.random.random() < 0.15:
            left, right = self.random.sample(NUMBERS, 2)
            return f"{self.name(left)} {sign} {self.name(right)}"
        attribute = self.random.choice((*NUMBERS, *TEXTS))
        return f"{self.name(attribute)} {sign} {self.value(scalar(self.random, attribute))}"

    def _choice(self) -> str:
        attribute = self.random.choice((*NUMBERS, *TEXTS))
        values = [scalar(self.random, attribute) for _ in range(self.random.randint(1, 3))]
        if self.random.random() < 0.6:
            listed = ", ".join(map(self.value, values))
            return f"{self.name(attribute)} IN ({listed})"
        low, high = sorted(self.random.choices(range(8), k=2))
        number = self.name(self.random.choice(NUMBERS))
        return f"{number} BETWEEN {self.value(integer(low))} AND {self.value(integer(high))}"

    def _intent(self) -> str:
        intent = self.name(self.random.choice(INTENTS))
        attempt = self.value(integer(self.random.randrange(4)))
        return (
            f"(attribute_not_exists(intents.{intent}) OR intents.{intent}.attempt < {attempt})"
            if self.random.random() < 0.6
            else f"intents.{intent}.attempt < {attempt}"
        )

    # -- updates ---------------------------------------------------------------------------------

    def update(self) -> str:
        """Assignments and removals, seldom of overlapping paths."""
        attributes = [*NUMBERS, *TEXTS, "due", "due_shard", "list_key", "model_pause"]
        chosen = self.random.sample(attributes, self.random.randint(1, 5))
        removed = chosen[: self.random.choice((0, 0, 1, 2))]
        sets = [self._assignment(each) for each in chosen if each not in removed]
        removes = [self.name(each) for each in removed]
        if self.random.random() < 0.4:
            intents = self.random.sample(INTENTS, self.random.randint(1, 2))
            sets.append(self._set_intent(intents[0]))
            removes += [f"intents.{self.name(each)}" for each in intents[1:]]
        if self.random.random() < 0.05:
            sets.append(self.random.choice((self._set_intent("0.0"), "note = holder")))
        clauses = [f"SET {', '.join(sets)}"] if sets else []
        clauses += [f"REMOVE {', '.join(removes)}"] if removes else []
        return " ".join(clauses)

    def _assignment(self, attribute: str) -> str:
        name = self.name(attribute)
        if attribute in NUMBERS and self.random.random() < 0.5:
            addend = self.random.choice((1, 1, 2, -1))
            source = attribute if self.random.random() < 0.8 else self.random.choice(NUMBERS)
            return f"{name} = {self.name(source)} + {self.value(integer(addend))}"
        if attribute in NUMBERS and self.random.random() < 0.1:
            return f"{name} = {self.name(self.random.choice(NUMBERS))}"
        value = index_keys(self.random, self.number).get(attribute)
        return f"{name} = {self.value(value or scalar(self.random, attribute))}"

    def _set_intent(self, intent: str) -> str:
        alias = self.name(intent)
        if self.random.random() < 0.3:
            return f"intents.{alias}.attempt = {self.value(integer(self.random.randrange(4)))}"
        if self.random.random() < 0.1:
            return f"intents = {self.value({'M': {}})}"
        return f"intents.{alias} = {self.value(attempt(self.random))}"


def integer(value: int) -> Typed:
    """A whole number."""
    return {"N": str(value)}


def attempt(random: Random) -> Typed:
    """An intent."""
    return {"M": {"attempt": integer(random.randrange(4)), "by": {"S": random.choice("ab")}}}


def scalar(random: Random, attribute: str) -> Typed:
    """A value of an attribute; seldom one of another type."""
    chance = random.random()
    if attribute == "model_pause":
        return {"M": {"until": integer(random.randrange(9)), "reason": {"S": "busy"}}}
    if attribute in NUMBERS and chance < 0.08:
        return {"N": random.choice(("0.5", "-3", "1783000000123", "2.25", "100"))}
    if (attribute in NUMBERS) == (chance < 0.95):
        return integer(random.randrange(8))
    return {"S": random.choice(("ready", "running", "suspended", "é", ""))}


def index_keys(random: Random, number: int) -> dict[str, Typed]:
    """Keys for the indexes; no two items have the same, as AWS does not define their order then."""
    return {
        "due_shard": {"S": f"{random.choice('DN')}#{random.randrange(2)}"},
        "due": integer(random.randrange(8) * 100 + number),
        "list_shard": {"S": "L#t#0"},
        "list_key": {"S": f"{random.randrange(8):03}#{number:02}"},
    }
