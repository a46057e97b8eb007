"""Who would gain by caching: whom it is told of, and what it is reckoned from."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from usage.caching import Gain, Habit, gains
from usage.figures import Figures
from usage.litellm import Usage

from tests.unit.usage.rows import SONNET, WEEK, row

ANA, BO, CY = "ana@example.com", "bo@example.com", "cy@example.com"
GPT = replace(SONNET, marked=False)
PRICES = {"claude": SONNET, "opus": replace(SONNET, input=4.4e-6, read=0.22e-6, write=5.5e-6), "gpt": GPT}


def sends(who: str, model: str = "claude", *, requests: int = 100, tokens: int = 4_000_000, **caches: Any) -> Usage:  # noqa: ANN401
    """A week of somebody who sends long prompts."""
    return row(who, model, 1, requests=requests, prompt_tokens=tokens, **caches)


def caches(who: str, model: str = "claude") -> Usage:
    """A week of an agent's that caches: three quarters read, a tenth written."""
    return sends(who, model, tokens=10_000_000, cached_tokens=7_500_000, cache_write_tokens=1_000_000)


def found(*rows: Usage) -> list[Gain]:
    return gains(Figures.of(WEEK, rows).users, PRICES)


def test_as_those_who_cache_the_same_model() -> None:
    (gain,) = found(sends(ANA), caches(BO), caches(CY))
    assert (gain.who, gain.model, gain.tokens) == (ANA, "claude", 40_000)
    assert gain.habit == Habit(read=0.75, written=0.1, people=2)
    assert gain.at_most == Decimal("8.36")  # 4 million * (2.20 - 0.11)
    assert gain.likely == Decimal("6.05")  # 0.75 * 8.36 - 0.1 * 4 million * (2.75 - 2.20)


def test_as_those_who_cache_another_model() -> None:
    """The shares are theirs, the prices are the model's own."""
    (gain,) = found(sends(ANA, "opus"), caches(BO))
    assert gain.habit == Habit(read=0.75, written=0.1, people=1)
    assert (gain.likely, gain.at_most) == (Decimal("12.10"), Decimal("16.72"))


def test_where_nobody_caches_only_the_most_is_known() -> None:
    gain, other = found(sends(ANA), sends(BO, tokens=8_000_000))
    assert (gain.who, gain.likely, gain.habit, gain.at_most, gain.amount) == (BO, None, None, *[Decimal("16.72")] * 2)
    assert (other.who, other.at_most) == (ANA, Decimal("8.36"))


def test_what_they_cache_already_is_taken_off() -> None:
    little = row(
        *(ANA, "claude", 1),
        requests=100,
        prompt_tokens=4_000_000,
        cached_tokens=300_000,
        cache_write_tokens=0,
        saved=0.627,
    )
    (gain,) = found(little, caches(BO))
    assert (gain.at_most, gain.likely) == (Decimal("7.73"), Decimal("5.42"))


def test_it_is_never_more_than_the_most() -> None:
    (gain,) = found(sends(ANA, cached_tokens=399_999), sends(BO, cached_tokens=4_000_000))
    assert gain.likely == gain.at_most == Decimal("7.52")


def test_the_likely_come_first_and_the_largest_of_them() -> None:
    rows = (sends(ANA), sends(BO, tokens=5_000_000), sends(CY, "opus"), caches("dee@example.com"))
    assert [gain.who for gain in found(*rows)] == [CY, BO, ANA]


@pytest.mark.parametrize(
    "usage",
    [
        sends(ANA, "gpt"),  # caches by itself
        sends(ANA, "unknown"),
        sends(ANA, requests=19),
        sends(ANA, tokens=409_599),  # 4,095 a request
        sends(ANA, cached_tokens=400_000),
        sends(ANA, cache_write_tokens=400_000),  # it is on, though nothing reads it
        sends(ANA, requests=20, tokens=100_000),  # at most 21 cents
    ],
    ids=str,
)
def test_who_would_not(usage: Usage) -> None:
    assert found(usage) == []


def test_a_habit_that_costs_more_than_it_saves_is_no_advice() -> None:
    assert found(sends(ANA), sends(BO, cache_write_tokens=3_000_000)) == []


def test_nobody_at_all() -> None:
    assert gains({}, PRICES) == gains({ANA: {}}, {}) == []
