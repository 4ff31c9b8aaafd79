"""Update expressions: the assignments, removals and conditions of one write to one item."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent_continuations.adapters.stores.dynamodb.items import typed

_PLACEHOLDER = re.compile(r"[#:]\w+")
# Attributes whose names are reserved words of DynamoDB, so that a text needs an alias for them.
_RESERVED = {"#status": "status", "#owner": "owner", "#ttl": "ttl"}


@dataclass(frozen=True, slots=True)
class UpdateExpression:
    """A conditional update. Two of them add up to one that makes both changes.

    DynamoDB refuses a request with an undefined or unused placeholder, so does this class.

    Attributes:
        sets: assignments, e.g. `due = :now`.
        removes: paths of the attributes that are removed.
        conditions: conditions that must all hold; one with OR needs its own parentheses.
        values: the value of each `:placeholder`; none of them is None.
        names: the attribute of each `#placeholder`; `#status`, `#owner` and `#ttl` are predefined.

    Raises:
        ValueError: a placeholder is undefined or unused, or has a second value in a sum.
    """

    sets: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        used = self._placeholders() - _RESERVED.keys()
        defined = self.values.keys() | self.names.keys()
        if used != defined:
            raise ValueError(f"undefined or unused placeholders: {sorted(used ^ defined)}")

    def __add__(self, other: "UpdateExpression") -> "UpdateExpression":
        mine, others = {**self.values, **self.names}, {**other.values, **other.names}
        clashes = sorted(name for name in mine.keys() & others if mine[name] != others[name])
        if clashes:
            raise ValueError(f"placeholders with two values: {clashes}")
        return UpdateExpression(
            sets=self.sets + other.sets,
            removes=self.removes + other.removes,
            conditions=self.conditions + other.conditions,
            values={**self.values, **other.values},
            names={**self.names, **other.names},
        )

    def render(self) -> dict[str, Any]:
        """The parameters of an `UpdateItem` request, without the empty ones."""
        clauses = [f"SET {', '.join(self.sets)}"] if self.sets else []
        clauses += [f"REMOVE {', '.join(self.removes)}"] if self.removes else []
        reserved = {alias: _RESERVED[alias] for alias in self._placeholders() & _RESERVED.keys()}
        parameters = {
            "UpdateExpression": " ".join(clauses),
            "ConditionExpression": " AND ".join(self.conditions),
            "ExpressionAttributeNames": {**reserved, **self.names},
            "ExpressionAttributeValues": typed(self.values),
        }
        return {name: value for name, value in parameters.items() if value}

    def _placeholders(self) -> set[str]:
        texts = (*self.sets, *self.removes, *self.conditions)
        return {found for text in texts for found in _PLACEHOLDER.findall(text)}
