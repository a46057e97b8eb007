"""Who would gain by having a prompt cache keep what their requests repeat.

Some models cache only what a request marks (`CachePrices.marked`). Whether prompts repeat themselves, sums of a day do
not tell: whoever sends many long ones and marks nothing is likely to be an agent or a script that sends the same again
with each turn. What that would save is told in two figures: at most, if all that was sent had been read from a cache;
and likely, if it had been read and written as much as by those who do cache the model here, or else any such model.
Where nobody does, it is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from usage.cache_prices import CachePrices
from usage.figures import Sum, cents

REQUESTS = 20  # fewer in a period are no habit
# Tokens of a prompt on average. Below its minimum, up to 4,096 tokens by model, nothing is cached (Amazon Bedrock User
# Guide, "Prompt caching", supported models).
LONG = 4096
CACHES = 0.1  # the share of prompts that is read or written by those who cache; below it, somebody does not
WORTH = Decimal(1)  # US dollars in the period: less is no reason to tell somebody


@dataclass(frozen=True, kw_only=True)
class Habit:
    """How those cache who do: the shares of their prompts that are read and written, and how many they are."""

    read: float
    written: float
    people: int


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Somebody who would gain by caching a model: US dollars in the period, `likely` None if it is not known."""

    who: str
    model: str
    used: Sum
    at_most: Decimal
    likely: Decimal | None
    habit: Habit | None

    @property
    def tokens(self) -> int:
        """Tokens of a prompt, on average."""
        return self.used.prompt_tokens // self.used.requests

    @property
    def amount(self) -> Decimal:
        """What is known best of it."""
        return self.at_most if self.likely is None else self.likely


def gains(users: Mapping[str, Mapping[str, Sum]], prices: Mapping[str, CachePrices]) -> list[Gain]:
    """Return who would gain by caching which model: the likely first, the largest of it first.

    `users` are a period's sums by user and model, `prices` those of the models.
    """
    marked = {model for model, price in prices.items() if price.marked}
    others = _habit(users, marked)
    habits = {model: _habit(users, (model,)) or others for model in marked}
    found = (
        _gain(who, model, used, prices[model], habits[model])
        for who, models in users.items()
        for model, used in models.items()
        if model in marked and _could_cache(used)
    )
    worth = (gain for gain in found if gain.amount >= WORTH)
    return sorted(worth, key=lambda gain: (gain.likely is None, -gain.amount, gain.who, gain.model))


def _gain(who: str, model: str, used: Sum, prices: CachePrices, habit: Habit | None) -> Gain:
    uncached = used.prompt_tokens - used.cached_tokens - used.cache_write_tokens
    likely = None
    if habit:
        as_they_do = used.prompt_tokens * (habit.read * prices.discount - habit.written * prices.surcharge)
        likely = cents(min(as_they_do - used.saved, uncached * prices.discount))
    return Gain(who=who, model=model, used=used, at_most=cents(uncached * prices.discount), likely=likely, habit=habit)


def _could_cache(used: Sum) -> bool:
    return used.requests >= REQUESTS and used.prompt_tokens >= LONG * used.requests and not _caches(used)


def _caches(used: Sum) -> bool:
    return used.cached_tokens + used.cache_write_tokens >= CACHES * max(used.prompt_tokens, 1)


def _habit(users: Mapping[str, Mapping[str, Sum]], models: Iterable[str]) -> Habit | None:
    """How those cache these models who do; None if nobody does."""
    whole, people = Sum(), 0
    for own in users.values():
        caching = [used for used in _of(own, models) if _caches(used)]
        people += bool(caching)
        for used in caching:
            whole.add(used)
    if not people:
        return None
    prompt = whole.prompt_tokens
    return Habit(read=whole.cached_tokens / prompt, written=whole.cache_write_tokens / prompt, people=people)


def _of(own: Mapping[str, Sum], models: Iterable[str]) -> Iterator[Sum]:
    yield from (own[model] for model in models if model in own)
