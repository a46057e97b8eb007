"""Rows of LiteLLM's figures, and what is made of them, for the tests of the report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from usage.cache_prices import CachePrices
from usage.environment import Plan, Report
from usage.figures import Figures, Period
from usage.litellm import Usage

MONDAY = datetime(2026, 11, 23, 0, 10, tzinfo=UTC)  # the week before it is 16 to 22 November
WEEK = Period.ended_before("week", MONDAY)
MONTH = Period.ended_before("month", MONDAY)

CLAUDE = Plan(
    name="Claude Team Premium",
    monthly_price=125,
    covers=("claude-*",),
    monthly_allowance=600,
    seats="S0CLAUDE",
    through_gateway=False,
)
GPT = Plan(
    name="ChatGPT Business",
    monthly_price=30,
    covers=("gpt-*",),
    monthly_allowance=None,
    seats=None,
    through_gateway=False,
)
# Of Claude on Bedrock: what it costs, by docs/costs.md.
SONNET = CachePrices(input=2.2e-6, output=11e-6, read=0.11e-6, write=2.75e-6, write_1h=4.4e-6, marked=True)
REPORT = Report(
    channel="C0REPORT000",
    weekly=True,
    monthly=True,
    hour=9,
    timezone="UTC",
    top=10,
    jump_factor=3,
    jump_minimum=20,
    seat_percent=20,
    plans=(CLAUDE, GPT),
)


def row(
    who: str, model: str, cost: float, *, day: str = "2026-11-16", saved: float | None = 0.0, **figures: int
) -> Usage:
    """One of a day, with a request of 100 + 10 tokens if nothing else is said."""
    numbers: dict[str, Any] = {
        "requests": 1,
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "cached_tokens": 0,
        "cache_write_tokens": 0,
    }
    return Usage(
        date=day,
        who=who,
        model=model,
        deployment=f"somewhere/{model}",
        cost=cost,
        saved=saved,
        **numbers | figures,
    )


def figures(costs: Mapping[str, Mapping[str, float]], period: Period = WEEK) -> Figures:
    """Figures of users' costs by model, all of the first day."""
    day = period.first.isoformat()
    return Figures.of(
        period, (row(who, model, cost, day=day) for who, models in costs.items() for model, cost in models.items())
    )
