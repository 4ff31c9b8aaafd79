"""When people are asked whether an agent, or the whole run, shall go on.

A condition is a pure function of a continuation and the time. It is looked at before each model
call; where it holds, the run waits for whomever its policy names, and costs nothing meanwhile. How
far the run had come is kept in the continuation, so that the next limit counts from there, in
whichever process that is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from agent_continuations.authoring.approval import Approval
from agent_continuations.authoring.pricing import PRICES, Price, cost
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.plans import UsageTally

Scope: TypeAlias = Literal["agent", "run"]


LIMIT = "limit"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Whenever `check` says so.

    It is asked before each model call, but not again before something has happened, once people
    have let the run go on.

    Args:
        name: what people see; unique among the conditions of an agent.
        approval: who is asked.
        scope: whether it is about the agent, with its own turns, or about the whole run.
        check: your own pure function of the frame and the time; one that raises counts as true.

    Raises:
        ValueError: a name that cannot be.
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
        """Why to ask, in words; empty where there is no reason.

        Args:
            frame: the agent's, or the run's.
            since: how far it has come since people last let it go on.
            limit: as they have set it.
            now: the time.
        """
        del since, limit
        try:
            holds = self.check(frame, now)
        except Exception:  # noqa: BLE001 - the author's function may fail in any way; in doubt, ask
            holds = True
        return f"The condition {self.name} holds." if holds else ""

    def tally(self, frame: Continuation, now: datetime) -> UsageTally:
        """How far the agent or the run has come."""
        return _tally(frame, now, {}, whole=self.scope == "run")

    @property
    def arguments(self) -> dict[str, Any]:
        """What people can change when they let the run go on."""
        return {}


@dataclass(frozen=True, kw_only=True)
class _LimitCondition(Condition):
    """After so much, and after so much again each time that people let it go on.

    Args:
        limit: how much.

    Raises:
        ValueError: no limit above 0.
    """

    limit: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.limit > 0:
            raise ValueError("a limit is above 0")

    def reason(
        self, frame: Continuation, since: UsageTally, limit: float | None, now: datetime
    ) -> str:
        del frame, now
        most = self.limit if limit is None else limit
        reached = self._amount_used(since)
        return "" if reached < most else f"{self._reason_text(reached)}; the limit is {most:g}."

    @property
    def arguments(self) -> dict[str, Any]:
        return {LIMIT: self.limit}

    def _amount_used(self, since: UsageTally) -> float:
        raise NotImplementedError

    def _reason_text(self, reached: float) -> str:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class EveryTurns(_LimitCondition):
    """After so many model replies. See `Condition` for the rest."""

    name: str = "turns"

    def _amount_used(self, since: UsageTally) -> float:
        return since.turns

    def _reason_text(self, reached: float) -> str:
        return f"{reached:.0f} model replies were made"


@dataclass(frozen=True, kw_only=True)
class EverySeconds(_LimitCondition):
    """After so many seconds, those of waiting included; looked at before each model call."""

    name: str = "time"

    def _amount_used(self, since: UsageTally) -> float:
        return since.seconds

    def _reason_text(self, reached: float) -> str:
        return f"{reached:.0f} seconds have passed"


@dataclass(frozen=True, kw_only=True)
class EveryTokens(_LimitCondition):
    """After so many tokens, of input and output together."""

    name: str = "tokens"

    def _amount_used(self, since: UsageTally) -> float:
        return since.tokens

    def _reason_text(self, reached: float) -> str:
        return f"{reached:.0f} tokens were used"


@dataclass(frozen=True, kw_only=True)
class EveryCost(_LimitCondition):
    """After so much money.

    Args:
        prices: of each model; OpenAI's, in US dollars, where not given. A reply of a model that has
            no price there reaches every limit: in doubt, people are asked.
    """

    name: str = "cost"
    prices: Mapping[str, Price] = field(default_factory=lambda: PRICES, repr=False)

    def tally(self, frame: Continuation, now: datetime) -> UsageTally:
        return _tally(frame, now, self.prices, whole=self.scope == "run")

    def _amount_used(self, since: UsageTally) -> float:
        return float("inf") if since.unpriced else since.cost

    def _reason_text(self, reached: float) -> str:
        if reached == float("inf"):
            return "What it has cost is not known, because its model has no price"
        return f"{reached:.4g} were spent"


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
