"""Usage and cost of the model calls of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent_continuations.authoring.pricing import Price, cost
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.replies import Usage

MAX_MODELS = 50


@dataclass(frozen=True, slots=True)
class Share:
    """Usage and cost of one model.

    Attributes:
        model: the name its service uses; empty where unknown.
        cost: in dollars; None where the model has no price.
    """

    model: str
    replies: int
    usage: Usage
    cost: float | None


@dataclass(frozen=True, slots=True)
class Spending:
    """Usage and cost of a run, with all its agents.

    Attributes:
        shares: per model, in the order of their first call.
        cost: in dollars, of the models with a price.
        unpriced: whether a model has no price.
        elsewhere: the number of child runs, which are not counted here.
    """

    shares: tuple[Share, ...]
    replies: int
    usage: Usage
    cost: float
    unpriced: bool
    elsewhere: int


def spending(root: Continuation, prices: Mapping[str, Price]) -> Spending:
    """Usage and cost per model and in total."""
    taken: dict[str, tuple[int, Usage]] = {}
    for frame in root.frames():
        for turn in frame.turns:
            name = turn.reply.model or ""
            replies, usage = taken.get(name, (0, Usage()))
            taken[name] = (replies + 1, usage + turn.reply.usage)
    shares = tuple(
        Share(name, replies, usage, cost(usage, name or None, prices))
        for name, (replies, usage) in taken.items()
    )
    return Spending(
        shares=shares[:MAX_MODELS],
        replies=sum(each.replies for each in shares),
        usage=sum((each.usage for each in shares), Usage()),
        cost=sum(each.cost or 0.0 for each in shares),
        unpriced=any(each.cost is None for each in shares),
        elsewhere=sum(call.child_run is not None for _, call in root.calls()),
    )
