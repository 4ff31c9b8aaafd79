"""Conditions at which people decide whether an agent, or the whole run, continues.

A condition is a pure function of a continuation and the time, checked before each model call. When
it is reached, the run is suspended until the approvers of its policy decide. The usage at that
point is stored in the continuation, so that the next limit counts from there in any process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from agent_continuations.authoring.approval import Approval
from agent_continuations.authoring.pricing import PRICES, Price, cost
from agent_continuations.authoring.result_text import error_text
from agent_continuations.authoring.running import run_function
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.plans import UsageTally

Scope: TypeAlias = Literal["agent", "run"]
LIMIT = "limit"
MAX_REASON_CHARACTERS = 2000


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Condition that is reached when `check` returns true.

    It is checked before each model call. After people let the run continue, it is not checked
    again until the continuation has changed.

    Args:
        name: name shown to approvers; unique among the conditions of an agent.
        approval: approval policy: the approvers and their deadline.
        scope: `"agent"` for the agent's own turns, `"run"` for the whole run.
        check: pure function of the frame and the time. If it raises, the condition is reached.

    Raises:
        ValueError: the name is invalid.
    """

    name: str
    approval: Approval
    scope: Scope = "agent"
    check: Callable[[Continuation, datetime], bool] = lambda _frame, _now: False

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 64 or not self.name.isprintable():
            raise ValueError("a condition's name has 1 to 64 characters")

    def reason(
        self, frame: Continuation, since: UsageTally, limit: float | None, now: datetime
    ) -> str:
        """Returns the reason why the condition is reached, or an empty text if it is not.

        Args:
            frame: frame of the agent or of the run.
            since: usage since people last let the run continue.
            limit: limit that people have set; None for the author's.
            now: current time.
        """
        del since, limit
        try:
            reached = run_function(self.check, frame, now)
            return f"The condition {self.name} holds." if reached else ""
        except Exception as error:  # noqa: BLE001 - if the author's function fails, people decide
            text = f"The condition {self.name} cannot be checked: {error_text(error)}"
            return text[:MAX_REASON_CHARACTERS]

    def tally(self, frame: Continuation, now: datetime) -> UsageTally:
        """Returns the usage of the agent or the run so far."""
        return _tally(frame, now, {}, whole=self.scope == "run")

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that approvers can edit when they let the run continue."""
        return {}


@dataclass(frozen=True, kw_only=True)
class _LimitCondition(Condition):
    """Condition that is reached at each multiple of a limit.

    Args:
        limit: usage since the start, or since people last let the run continue.

    Raises:
        ValueError: the limit is not above 0.
    """

    limit: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.limit > 0:
            raise ValueError("limit must be above 0")

    def reason(
        self, frame: Continuation, since: UsageTally, limit: float | None, now: datetime
    ) -> str:
        del frame, now
        effective_limit = self.limit if limit is None else limit
        used = self._amount_used(since)
        if used < effective_limit:
            return ""
        return f"{self._reason_text(used)}; the limit is {effective_limit:g}."

    @property
    def arguments(self) -> dict[str, Any]:
        return {LIMIT: self.limit}

    def _amount_used(self, since: UsageTally) -> float:
        raise NotImplementedError

    def _reason_text(self, used: float) -> str:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class EveryTurns(_LimitCondition):
    """Condition that is reached after `limit` model replies; see also `Condition`."""

    name: str = "turns"

    def _amount_used(self, since: UsageTally) -> float:
        return since.turns

    def _reason_text(self, used: float) -> str:
        return f"{used:.0f} model replies were made"


@dataclass(frozen=True, kw_only=True)
class EverySeconds(_LimitCondition):
    """Condition that is reached after `limit` seconds, including the time spent waiting."""

    name: str = "time"

    def _amount_used(self, since: UsageTally) -> float:
        return since.seconds

    def _reason_text(self, used: float) -> str:
        return f"{used:.0f} seconds have passed"


@dataclass(frozen=True, kw_only=True)
class EveryTokens(_LimitCondition):
    """Condition that is reached after `limit` tokens of input and output together."""

    name: str = "tokens"

    def _amount_used(self, since: UsageTally) -> float:
        return since.tokens

    def _reason_text(self, used: float) -> str:
        return f"{used:.0f} tokens were used"


@dataclass(frozen=True, kw_only=True)
class EveryCost(_LimitCondition):
    """Condition that is reached after a cost of `limit`.

    Args:
        prices: price of each model; by default OpenAI's, in US dollars. A reply of a model without
            a price reaches every limit.
    """

    name: str = "cost"
    prices: Mapping[str, Price] = field(default_factory=lambda: PRICES, repr=False)

    def tally(self, frame: Continuation, now: datetime) -> UsageTally:
        return _tally(frame, now, self.prices, whole=self.scope == "run")

    def _amount_used(self, since: UsageTally) -> float:
        return float("inf") if since.unpriced else since.cost

    def _reason_text(self, used: float) -> str:
        if used == float("inf"):
            return "What it has cost is not known, because its model has no price"
        return f"{used:.4g} were spent"


def _tally(
    frame: Continuation, now: datetime, prices: Mapping[str, Price], *, whole: bool
) -> UsageTally:
    turns = tokens = unpriced = 0
    spent = 0.0
    for each in frame.frames() if whole else (frame,):
        for turn in each.turns:
            usage = turn.reply.usage
            turns += 1
            tokens += usage.input_tokens + usage.output_tokens
            price = cost(usage, turn.reply.model, prices)
            unpriced += price is None
            spent += price or 0.0
    return UsageTally(
        turns=turns,
        tokens=tokens,
        cost=spent,
        unpriced=unpriced,
        seconds=(now - (frame.started_at or now)).total_seconds(),
    )
