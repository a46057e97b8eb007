"""What a prompt cache saves: each way of being charged, from a day's sums alone."""

from typing import Any

import pytest
from usage.cache_prices import CachePrices, saved

from tests.unit.usage.rows import SONNET

GPT = CachePrices(input=2e-6, output=10e-6, read=0.1e-6, write=2.5e-6, write_1h=2.5e-6)


def day(
    prices: CachePrices,
    *,
    rest: int = 0,
    read: int = 0,
    written: int = 0,
    hours: int = 0,
    out: int = 0,
    times: float = 1,
) -> tuple[float, float]:
    """What is reckoned of a day's sums, and what each token itself says; `hours` are written for an hour."""
    cost = rest * prices.input + read * prices.read + written * prices.write + hours * prices.write_1h
    told = saved(
        prices,
        prompt=rest + read + written + hours,
        completion=out,
        read=read,
        written=written + hours,
        cost=times * (cost + out * prices.output),
    )
    return told, times * ((rest + read + written + hours) * prices.input - cost)


@pytest.mark.parametrize("prices", [SONNET, GPT])
@pytest.mark.parametrize(
    "tokens",
    [
        {"rest": 7, "read": 90_000, "out": 400},
        {"rest": 7, "read": 90_000, "written": 3_000, "out": 400},
        {"written": 4_157, "out": 12},  # and never read: the surcharge is lost
        {"rest": 7, "read": 90_000, "hours": 3_000, "out": 400},
        {"rest": 7, "read": 90_000, "written": 2_000, "hours": 3_000, "out": 400},
        {"read": 50_000},
    ],
)
def test_to_the_token_whether_written_for_minutes_or_an_hour(prices: CachePrices, tokens: dict[str, int]) -> None:
    told, each = day(prices, **tokens)
    assert told == pytest.approx(each, rel=1e-9)
    assert (told < 0) == ("read" not in tokens)


def test_anthropics_own_arithmetic() -> None:
    """A million tokens read: 2.20 at the price of input, 0.11 of the cache; written for five minutes 0.55 more."""
    assert day(SONNET, read=1_000_000)[0] == pytest.approx(2.09)
    assert day(SONNET, written=1_000_000)[0] == pytest.approx(-0.55)
    assert day(SONNET, hours=1_000_000)[0] == pytest.approx(-2.20)


@pytest.mark.parametrize("times", [0.5, 2, 5])
def test_another_price_on_that_day(times: float) -> None:
    """The prices are those of now: what was charged says what they were, or that prompts were long."""
    told, each = day(GPT, rest=1_000, read=90_000, written=3_000, out=400, times=times)
    assert told == pytest.approx(each, rel=1e-9)


@pytest.mark.parametrize("hours", [0, 3_000])
def test_what_could_be_an_hours_writes_is_never_told_too_high(hours: int) -> None:
    """A price that is a little higher looks like writes for an hour: no less is told than if they all had been."""
    _, least = day(SONNET, rest=7, read=90_000, hours=3_000, out=400)
    for times in (1.0, 1.001, 1.01, 1.1, 3):
        told, each = day(SONNET, rest=7, read=90_000, written=3_000 - hours, hours=hours, out=400, times=times)
        assert least * (1 - 1e-9) <= told <= each * (1 + 1e-9)


def test_where_writing_costs_nothing_it_has_no_surcharge() -> None:
    """As Nova's does, where its entry says so."""
    free = CachePrices(input=4e-7, output=0, read=1e-7, write=0, write_1h=0)
    cost = 1_000 * free.input + 90_000 * free.read
    assert saved(free, prompt=94_000, completion=0, read=90_000, written=3_000, cost=cost) == pytest.approx(0.027)


@pytest.mark.parametrize("tokens", [{"rest": 500, "out": 20}, {}])
def test_without_a_cache_nothing_is_saved(tokens: dict[str, int]) -> None:
    assert day(SONNET, times=7, **tokens)[0] == 0


def test_what_is_free_saves_nothing() -> None:
    assert day(CachePrices(input=0, output=0, read=0, write=0, write_1h=0), read=10, written=5)[0] == 0


LISTED = {
    "key": "us.anthropic.claude-sonnet-5-5",
    "input_cost_per_token": 2.2e-6,
    "output_cost_per_token": 11e-6,
    "cache_read_input_token_cost": 0.11e-6,
    "cache_creation_input_token_cost": 2.75e-6,
    "cache_creation_input_token_cost_above_1hr": 4.4e-6,
}


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (LISTED, SONNET),
        # Of an application inference profile the name is in base_model.
        (LISTED | {"key": "arn:aws:bedrock:…/abc", "base_model": "us.anthropic.claude-sonnet-5-5"}, SONNET),
        (
            {"key": "us.amazon.nova-2-lite-v1:0", "input_cost_per_token": 4e-7, "cache_read_input_token_cost": 1e-7},
            CachePrices(input=4e-7, output=0, read=1e-7, write=4e-7, write_1h=4e-7, marked=True),
        ),
        (
            {
                "key": "us.amazon.nova-2-lite-v1:0",
                "input_cost_per_token": 4e-7,
                "cache_read_input_token_cost": 1e-7,
                "cache_creation_input_token_cost": 0.0,
            },
            CachePrices(input=4e-7, output=0, read=1e-7, write=0, write_1h=0, marked=True),
        ),
        (
            {
                "key": "azure/gpt-6.1-sol",
                "input_cost_per_token": 2e-6,
                "output_cost_per_token": 10e-6,
                "cache_read_input_token_cost": 1e-7,
                "cache_creation_input_token_cost": 2.5e-6,
            },
            GPT,
        ),
        (
            {"key": "free", "input_cost_per_token": 0.0, "cache_read_input_token_cost": 0.0},
            CachePrices(input=0, output=0, read=0, write=0, write_1h=0),
        ),
        ({"key": "azure/text-embedding-3-large", "input_cost_per_token": 1.43e-7}, None),
        ({"cache_read_input_token_cost": 1e-7, "input_cost_per_token": None}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_prices_of_a_deployment(info: dict[str, Any], expected: CachePrices | None) -> None:
    assert CachePrices.of(info) == expected
