"""Prices with a day from which they hold: `model_info.prices_from` of an entry, what is wrong with it, what is to come.

    model_info:
      prices_from:
        "2026-12-01": {input_cost_per_token: 4.0e-06, output_cost_per_token: 2.0e-05}

A day is the provider's (`day_of`), a price US dollars by LiteLLM's name, and what a day does not name stays as it was.
`container/prices.py` charges them; where it repeats this module, a test compares the two.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from stacks.litellm_config.catalog import catalog
from stacks.litellm_config.model import PRICES_FROM, Model
from stacks.litellm_config.providers import BY_NAME

CALLBACK: Final = "prices.dated"
"""The callback that charges them; it is container/prices.py."""

SOON: Final = timedelta(days=30)
"""How long before its day a change is told: a month's budget is planned with it."""

MOST: Final = 0.01
"""US dollars of one token, above which a price is one of thousands or millions of them: LiteLLM's dearest is a
fourteenth of it."""

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_TOLD: Final = {  # of a change in a sentence; there may be a dozen prices
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "read from the cache",
}

_STANDARD: Final = {
    "input_cost_per_token": 4.0e-06,
    "input_cost_per_audio_token": 4.0e-06,
    "output_cost_per_token": 2.0e-05,
    "output_cost_per_reasoning_token": 2.0e-05,
    "cache_read_input_token_cost": 2.0e-07,
}
COMING: Final[Mapping[str, Mapping[str, Mapping[str, float]]]] = {
    "vertex_ai/gemini-4-argon": {
        "2026-12-01": _STANDARD
        | {
            "input_cost_per_token_priority": 7.2e-06,
            "input_cost_per_audio_token_priority": 7.2e-06,
            "output_cost_per_token_priority": 3.6e-05,
            "cache_read_input_token_cost_priority": 3.6e-07,
            "input_cost_per_token_flex": 2.0e-06,
            "output_cost_per_token_flex": 1.0e-05,
            "cache_read_input_token_cost_flex": 1.0e-07,
            "input_cost_per_token_batches": 2.0e-06,
            "input_cost_per_audio_token_batches": 2.0e-06,
            "output_cost_per_token_batches": 1.0e-05,
            "cache_read_input_token_cost_batches": 1.0e-07,
        }
    }
}
"""The changes that publishers have announced and the pinned LiteLLM's list does not know, by its name for a model and
by day. `make init` writes them, synth asks for them, and a test tells when the list has them and they are to go.

Gemini 4 Argon: Google, "Gemini 4" (docs.cloud.google.com/gemini-enterprise-agent-platform/models/start/
get-started-with-gemini-4): 2, 10 and 0.10 until 2026-11-30, then 4, 20 and 0.20 US dollars per million tokens. The
tiers keep the share of the standard price that they have in LiteLLM's list: priority 1.8, flex and batches 0.5."""


def in_force(changes: Mapping[str, Mapping[str, float]], day: str) -> dict[str, float]:
    """The prices of each day until this one, the later above the earlier; days are written as 2026-12-01."""
    return {name: price for since in sorted(changes) if since <= day for name, price in changes[since].items()}


def day_of(provider: str, moment: datetime) -> str:
    """Which day it is where the provider's days begin, as 2026-12-01.

    An announcement names a day and no hour: it is taken to be a day of the provider's bill. Amazon's are of UTC (AWS
    Data Exports: `line_item_usage_start_date`), and Microsoft's are taken to be; the rows of the others say theirs.
    """
    row = BY_NAME.get(provider)
    return f"{moment.astimezone(ZoneInfo(row.zone if row else 'UTC')):%Y-%m-%d}"


def problem(model: Model) -> tuple[tuple[str, ...], str] | None:
    """Where in an entry and what is wrong with its prices and their days; None if nothing is, or there are none."""
    for section, given in (("litellm_params", model.parameters), ("model_info", model.info)):
        own = {name: given[name] for name in catalog()["price_names"] if given.get(name) is not None}
        if own and (wrong := _wrong_prices({name: _number(price) for name, price in own.items()})):
            return (section,), wrong
    return _wrong_changes(model) if PRICES_FROM in model.info else None


def _number(price: object) -> object:
    """A price as LiteLLM reads it: a number that YAML takes for text, as in 4e-06, is one."""
    return float(price) if isinstance(price, str) and re.fullmatch(r"\d*\.?\d+(e[-+]?\d+)?", price, re.I) else price


def _wrong_changes(model: Model) -> tuple[tuple[str, ...], str] | None:
    where, changes = ("model_info", PRICES_FROM), model.info[PRICES_FROM]
    if not isinstance(changes, dict) or not changes:
        return where, 'it must be a mapping of days to prices, as in {"2026-12-01": {input_cost_per_token: 4.0e-06}}'
    if own := sorted(model.parameters.keys() & catalog()["price_names"]):
        return where, f"litellm_params has {own[0]}, which holds on every day: move it to model_info"
    for day, prices in changes.items():
        if wrong := _wrong_day(day) or _wrong_prices(prices):
            return (*where, day) if isinstance(day, str) and _DAY.fullmatch(day) else where, wrong
    return None


def _wrong_day(day: object) -> str | None:
    if not isinstance(day, str):  # YAML makes a date of one that is not in quotes
        return f"the day {day} is not text: put it in quotes"
    try:
        date.fromisoformat(day if _DAY.fullmatch(day) else "")
    except ValueError:
        return f'{day!r} is no day: write it as year, month and day, as in "2026-12-01"'
    return None


def _wrong_prices(prices: object) -> str | None:
    if not isinstance(prices, dict) or not prices:
        return "it must be a mapping of LiteLLM's names of prices to US dollars, as in {input_cost_per_token: 4.0e-06}"
    known: list[str] = catalog()["price_names"]
    for name, price in prices.items():
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            return f"unknown price {name!r}: " + (f"did you mean {close[0]!r}" if close else "LiteLLM has none like it")
        if isinstance(price, str) and re.fullmatch(r"\d+e-?\d+", price):
            return f"{name} is {price!r}, which is text in YAML: write it with a point, as in 4.0e-06"
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < float("inf"):
            return f"{name} must be a number of US dollars, not {price!r}"
        if "token" in name and price > MOST:
            return f"{name} is {price:g} US dollars for a single token: 4 for a million tokens is 4.0e-06"
    return None


def notices(model: Model, today: date) -> Iterator[str]:
    """Yield what is to be known of an entry's prices on a day: what changes soon, and what is missing or in vain."""
    changes: Mapping[str, Mapping[str, float]] = model.info.get(PRICES_FROM) or {}
    named, listed = f"{model.name} ({model.model})", model.listed_prices()
    for day, prices in sorted(changes.items()):
        before = {**listed, **model.own_prices(), **in_force(changes, f"{date.fromisoformat(day) - timedelta(1)}")}
        if today < date.fromisoformat(day) <= today + SOON and not prices.items() <= before.items():
            what = _told(before, prices)
            yield f"the price of {named} changes on {day}, which LiteLLM will charge by itself: {what}."
    past = in_force(changes, f"{today}")
    if past and not model.own_prices() and past.items() <= listed.items():
        yield (
            f"the list of LiteLLM {catalog()['litellm']} has the prices of {named} that hold from "
            f"{max(day for day in changes if day <= f'{today}')} on: remove them from {PRICES_FROM}."
        )
    for day, prices in COMING.get(model.listed_as() or "", {}).items():
        if day not in changes and not model.own_prices() and not prices.items() <= listed.items():
            yield (
                f"the price of {named} changes on {day}, which LiteLLM {catalog()['litellm']} does not know: add the "
                f"day to its model_info.{PRICES_FROM}, as docs/costs.md has it: {_told(listed, prices)}."
            )


def _told(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """What changes, in US dollars per million tokens."""
    main = {name: word for name, word in _TOLD.items() if name in after}
    told = [f"{word} {_million(before.get(name))} -> {_million(after[name])}" for name, word in main.items()]
    others = len(after) - len(told)
    also = [f"{others} other price{'s' * (others > 1)}"] * (others > 0)
    return ", ".join((*told, *also)) + " (US dollars per million tokens)" * bool(told)


def _million(price: float | None) -> str:
    return "unknown" if price is None else f"{1e6 * price:.10g}"
