"""Periods, sums and jumps: what a report is reckoned from."""

import csv
import io
import random
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from usage.figures import Figures, Jump, Period, Sum, cents, is_person, jumps, usage_csv

from tests.unit.usage.rows import WEEK, figures, row


@pytest.mark.parametrize(
    ("kind", "moment", "first", "last", "name"),
    [
        ("week", "2026-11-23T00:00:00Z", "2026-11-16", "2026-11-22", "2026-W47"),
        ("week", "2026-11-22T23:59:59Z", "2026-11-09", "2026-11-15", "2026-W46"),
        ("week", "2026-11-23T08:59:00+09:00", "2026-11-09", "2026-11-15", "2026-W46"),  # still Sunday in UTC
        ("week", "2026-11-29T12:00:00Z", "2026-11-16", "2026-11-22", "2026-W47"),
        ("week", "2027-01-04T01:00:00Z", "2026-12-28", "2027-01-03", "2026-W53"),
        ("month", "2026-12-01T00:00:00Z", "2026-11-01", "2026-11-30", "2026-11"),
        ("month", "2026-11-30T23:59:59Z", "2026-10-01", "2026-10-31", "2026-10"),
        ("month", "2028-03-15T00:00:00Z", "2028-02-01", "2028-02-29", "2028-02"),
        ("month", "2027-01-01T00:00:00Z", "2026-12-01", "2026-12-31", "2026-12"),
    ],
)
def test_the_last_full_period(kind: str, moment: str, first: str, last: str, name: str) -> None:
    period = Period.ended_before(kind, datetime.fromisoformat(moment))
    assert (period.first, period.last, period.name) == (date.fromisoformat(first), date.fromisoformat(last), name)


@pytest.mark.parametrize("kind", ["week", "month"])
def test_periods_follow_one_another_without_a_gap(kind: str) -> None:
    period = Period.ended_before(kind, datetime(2028, 6, 1, tzinfo=timezone(timedelta(hours=-3))))
    for _ in range(30):
        assert period.before.last + timedelta(days=1) == period.first
        assert period.dates[0] == period.first
        assert period.dates[-1] == period.last
        assert len(period.dates) == period.days
        period = period.before


def test_another_period_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^The period is 'day': it must be week or month\.$"):
        Period.ended_before("day", datetime.now(UTC))


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [(2.675, "2.68"), (0.005, "0.01"), (0.0049, "0.00"), (212.39999999999998, "212.40"), (4e-8, "0.00"), (1e6, "1e6")],
)
def test_cents_are_rounded_as_people_do(amount: float, rounded: str) -> None:
    assert cents(amount) == Decimal(rounded)


@pytest.mark.parametrize("who", ["", "default_user_id", "usage-service", "@", "@nowhere@"])
def test_who_is_nobody(who: str) -> None:
    assert not is_person(who)


def test_rows_add_up_by_user_model_and_day() -> None:
    made = Figures.of(
        WEEK,
        [
            row("ana@example.com", "gpt", 1.25, requests=2, cached_tokens=50),
            row("ana@example.com", "gpt", 0.75, day="2026-11-17"),
            row("ana@example.com", "claude", 4),
            row("bo@example.com", "gpt", 2, prompt_tokens=7, completion_tokens=3),
        ],
    )
    ana = made.by_user["ana@example.com"]
    assert (ana.requests, ana.prompt_tokens, ana.completion_tokens, ana.cached_tokens, ana.tokens, ana.cost) == (
        4,
        300,
        30,
        50,
        330,
        6,
    )
    assert list(made.by_user) == ["ana@example.com", "bo@example.com"]
    assert made.by_model == {"claude": 4, "gpt": 4}
    assert made.days == {"2026-11-16": {"gpt": 3.25, "claude": 4}, "2026-11-17": {"gpt": 0.75}}
    assert (made.total.cost, made.total.tokens) == (8, 340)
    assert made.cost_of("nobody@example.com") == 0


def test_all_ways_of_adding_up_come_to_the_same() -> None:
    chance = random.Random(4)  # noqa: S311 - no secret
    rows = [
        row(
            f"u{chance.randrange(40)}@example.com",
            f"m{chance.randrange(9)}",
            chance.random() * 10 ** chance.randrange(-6, 4),
            day=str(chance.choice(WEEK.dates)),
            requests=chance.randrange(9),
            prompt_tokens=chance.randrange(10**6),
        )
        for _ in range(5000)
    ]
    made = Figures.of(WEEK, rows)
    total = sum(one.cost for one in rows)
    assert made.total.requests == sum(one.requests for one in rows)
    assert made.total.tokens == sum(one.prompt_tokens + one.completion_tokens for one in rows)
    assert made.total.cost == pytest.approx(total, rel=1e-12)
    assert sum(made.by_model.values()) == pytest.approx(total, rel=1e-12)
    table = list(csv.DictReader(io.StringIO(usage_csv(made).decode())))
    assert sum(int(line["total_tokens"]) for line in table) == made.total.tokens
    assert cents(sum(Decimal(line["cost_usd"]) for line in table)) == cents(made.total.cost)
    assert sum(float(line["share_percent"]) for line in table) == pytest.approx(100, abs=0.01)


def test_the_table() -> None:
    made = Figures.of(
        WEEK,
        [
            row("bo@example.com", "gpt", 1, cached_tokens=1, saved=None),
            row("ana@example.com", "gpt", 2),
            row("ana@example.com", "claude", 5, cached_tokens=60, cache_write_tokens=20, saved=-0.25),
        ],
    )
    assert usage_csv(made).decode() == (
        "user,model,requests,prompt_tokens,completion_tokens,cached_tokens,cache_write_tokens,hit_percent,total_tokens,"
        "cost_usd,share_percent,saved_usd\n"
        "ana@example.com,claude,1,100,10,60,20,60.00,110,5.00000000,62.5000,-0.25000000\n"
        "ana@example.com,gpt,1,100,10,0,0,0.00,110,2.00000000,25.0000,0.00000000\n"
        "bo@example.com,gpt,1,100,10,1,0,1.00,110,1.00000000,12.5000,\n"  # at a price that is not known
    )


def test_what_caches_did_adds_up() -> None:
    made = Figures.of(
        WEEK,
        [
            row("ana@example.com", "gpt", 1, cached_tokens=40, cache_write_tokens=10, saved=0.5),
            row("ana@example.com", "gpt", 1, prompt_tokens=60, cached_tokens=8, saved=-0.125),
            row("bo@example.com", "claude", 1, cached_tokens=30, cache_write_tokens=2, saved=None),
        ],
    )
    ana, bo = made.by_user["ana@example.com"], made.by_user["bo@example.com"]
    assert (ana.cached_tokens, ana.cache_write_tokens, ana.hit_percent, ana.known_saving) == (48, 10, 30, 0.375)
    assert (bo.hit_percent, bo.unpriced_tokens, bo.known_saving) == (30, 32, None)
    total = made.total
    assert (total.hit_percent, total.known_saving, total.unpriced_tokens) == (30, 0.375, 32)
    assert (Sum().hit_percent, Sum().known_saving) == (0, 0)


def test_a_table_of_what_costs_nothing() -> None:
    assert usage_csv(figures({"a@example.com": {"free": 0}})).decode().endswith(",0.00000000,0.0000,0.00000000\n")


@pytest.mark.parametrize("who", ["=1+1@example.com", "+a@example.com", "-a@example.com", "@a@example.com", "\ta@b.c"])
def test_no_cell_is_a_formula(who: str) -> None:
    (line,) = csv.DictReader(io.StringIO(usage_csv(figures({who: {"m": 1}})).decode()))
    assert line["user"] == f"'{who}"


def test_commas_quotes_and_line_ends_stay_in_their_cell() -> None:
    who = 'a,"b"\nc@例.jp'
    (line,) = csv.DictReader(io.StringIO(usage_csv(figures({who: {"m": 1}})).decode()))
    assert line["user"] == who


def test_jumps_are_above_both_limits() -> None:
    now = figures(
        {
            "much@example.com": {"m": 100},  # 10 times
            "new@example.com": {"m": 20.01},  # from nothing
            "exact@example.com": {"m": 60},  # 3 times exactly
            "small@example.com": {"m": 9},  # 9 times, but 8 dollars
            "steady@example.com": {"m": 900},
        }
    )
    before = figures(
        {
            "much@example.com": {"m": 10},
            "exact@example.com": {"m": 20},
            "small@example.com": {"m": 1},
            "steady@example.com": {"m": 800},
        }
    )
    assert jumps(now, before, 3, 20) == [
        Jump("much@example.com", Decimal(10), Decimal(100)),
        Jump("new@example.com", Decimal(0), Decimal("20.01")),
    ]
    assert jumps(now, before, 2.99, 20)[1].who == "exact@example.com"
