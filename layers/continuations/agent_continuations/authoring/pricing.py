"""Prices of models and the cost of replies; the table of prices is replaceable."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent_continuations.core.replies import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """Price of a million tokens, in the currency of the table."""

    input: float
    output: float


# OpenAI's list prices in US dollars, as of March 2026 (https://platform.openai.com/docs/pricing).
# Discounts for cached input and for batches are not included.
PRICES: Mapping[str, Price] = {
    "gpt-5.4": Price(2.50, 15.00),
    "gpt-5.1": Price(1.25, 10.00),
    "gpt-5": Price(1.25, 10.00),
    "gpt-5-mini": Price(0.25, 2.00),
    "gpt-5-nano": Price(0.05, 0.40),
    "gpt-5-pro": Price(15.00, 120.00),
    "gpt-4.1": Price(2.00, 8.00),
    "gpt-4.1-mini": Price(0.40, 1.60),
    "gpt-4.1-nano": Price(0.10, 0.40),
    "gpt-4o": Price(2.50, 10.00),
    "gpt-4o-mini": Price(0.15, 0.60),
    "o3": Price(2.00, 8.00),
    "o4-mini": Price(1.10, 4.40),
}


def cost(usage: Usage, model: str | None, prices: Mapping[str, Price]) -> float | None:
    """Returns the cost of a reply, in the currency of the table; None for a model without a price.

    Args:
        usage: tokens of the reply.
        model: model name from the service; a dated name has the price of the undated one.
        prices: table of prices.
    """
    price = _price(model, prices)
    if price is None:
        return None
    return (usage.input_tokens * price.input + usage.output_tokens * price.output) / 1_000_000


def _price(model: str | None, prices: Mapping[str, Price]) -> Price | None:
    if model is None:
        return None
    if model in prices:
        return prices[model]
    # `gpt-5-mini-2025-08-07` is a version of `gpt-5-mini`; `gpt-5-turbo` is not one of `gpt-5`.
    undated, _, date = model.partition("-20")
    return prices.get(undated) if date[:2].isdigit() else None
