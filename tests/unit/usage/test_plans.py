"""The advice: who would be cheaper on which plan, whose seat is idle, who pays twice, and the arithmetic of it."""

import csv
import dataclasses
import io
import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from usage.caching import Gain
from usage.environment import Plan
from usage.figures import Jump, Period, Sum, cents
from usage.plans import Advice, Cost, Seat, advice_csv, advise, idle_seats, seats_paid_twice
from usage.slack import Holder

from tests.unit.usage.rows import CLAUDE, GPT, WEEK, figures

ANA, BO = "ana@example.com", "bo@example.com"
NOBODY = figures({})
THROUGH = dataclasses.replace(CLAUDE, through_gateway=True)


def only(advice: list[Advice]) -> Advice:
    (one,) = advice
    return one


def weekly(cost: float, *plans: Plan, who: str = ANA, model: str = "gpt-x") -> list[Advice]:
    """The advice for a week's cost of one model."""
    return advise(figures({who: {model: cost}}), NOBODY, plans or (GPT,), {})


def test_a_weeks_arithmetic_to_the_cent() -> None:
    advice = only(advise(figures({ANA: {"claude-sonnet": 200, "claude-haiku": 12.4}}), NOBODY, [CLAUDE, GPT], {}))
    assert (advice.who, advice.plan) == (ANA, CLAUDE)
    assert advice.cost == Cost(period=Decimal("212.40"), monthly=Decimal("923.56"))  # x 30.4375 / 7
    assert (advice.above, advice.with_plan, advice.saving) == (Decimal("323.56"), Decimal("448.56"), Decimal(475))


@pytest.mark.parametrize(("after", "monthly"), [("2026-11-02", "98.19"), ("2026-12-01", "101.46")])  # 31 and 30 days
def test_a_months_arithmetic_is_of_its_days(after: str, monthly: str) -> None:
    period = Period.ended_before("month", datetime.fromisoformat(after).replace(tzinfo=UTC))
    advice = only(advise(figures({ANA: {"gpt-x": 100}}, period), figures({}, period.before), [GPT], {}))
    assert advice.cost == Cost(period=Decimal(100), monthly=Decimal(monthly))


def test_within_the_allowance_only_the_price_is_paid() -> None:
    advice = only(weekly(100, CLAUDE, model="claude-x"))
    assert (advice.above, advice.with_plan, advice.saving) == (Decimal(0), Decimal(125), Decimal("309.82"))


def test_without_an_allowance_all_is_covered() -> None:
    advice = only(weekly(10_000))
    assert (advice.with_plan, advice.saving) == (Decimal(30), advice.cost.monthly - 30)


@pytest.mark.parametrize(("cost", "advised"), [(7.58, False), (7.59, True)])  # $32.96 and $33.00 a month
def test_a_saving_below_a_tenth_of_the_price_is_no_reason(cost: float, advised: bool) -> None:
    assert bool(weekly(cost)) == advised


def test_models_that_no_plan_covers_count_for_none() -> None:
    assert weekly(1000, CLAUDE, GPT, model="gemini") == []
    assert weekly(1000, CLAUDE, GPT, model="my-gpt-x") == []
    assert only(weekly(1000, GPT, model="chat, gpt-x")).plan == GPT  # one deployment of two names


def test_the_best_plan_of_a_person_and_the_largest_saving_first() -> None:
    both = dataclasses.replace(GPT, name="Everything", monthly_price=100, covers=("gpt-*", "claude-*"))
    now = figures({ANA: {"gpt-x": 20, "claude-x": 20}, BO: {"gpt-x": 200}})
    found = advise(now, NOBODY, [CLAUDE, GPT, both], {})
    assert [(one.who, one.plan.name) for one in found] == [(BO, "ChatGPT Business"), (ANA, "Everything")]
    assert [one.who for one in advise(now, NOBODY, [CLAUDE, GPT], {})] == [BO, ANA]


@pytest.mark.parametrize("who", ["", "default_user_id", "nightly-build"])
def test_who_is_nobody_is_never_advised(who: str) -> None:
    assert weekly(1000, who=who) == []


def test_the_second_period_in_a_row_is_of_the_same_plan() -> None:
    now = figures({ANA: {"gpt-x": 100}})
    for before, again in (
        ({ANA: {"gpt-x": 50}}, True),
        ({ANA: {"claude-x": 900}}, False),
        ({ANA: {"gpt-x": 1}}, False),
    ):
        assert only(advise(now, figures(before, WEEK.before), [CLAUDE, GPT], {})).again == again


def test_nobody_is_advised_what_a_seat_of_theirs_covers() -> None:
    cheaper = dataclasses.replace(CLAUDE, name="Claude Team", monthly_price=30, monthly_allowance=None)
    seats = {CLAUDE.name: [Holder("U1", ANA)]}
    now = figures({"Ana@example.com": {"claude-x": 900, "gpt-x": 50}, BO: {"claude-x": 900}})
    found = advise(now, NOBODY, [CLAUDE, cheaper, GPT], seats)
    assert {(one.who, one.plan.name) for one in found} == {
        ("Ana@example.com", GPT.name),  # LiteLLM's id, in whatever case
        (BO, "Claude Team"),
    }


def test_seats_hardly_used() -> None:
    holders = [Holder("U1", ANA), Holder("U2", BO), Holder("U3", "cy@example.com"), Holder("U4", "")]
    now = figures({ANA: {"claude-x": 5.74}, BO: {"claude-x": 5.75, "gpt-x": 90}})  # $24.96 and $25.00 a month of $125
    found = idle_seats(now, [THROUGH, GPT], {THROUGH.name: holders}, 20)
    assert [(seat.holder.user, seat.cost.monthly) for seat in found] == [("U3", 0), ("U1", Decimal("24.96"))]
    assert found[1].percent == pytest.approx(Decimal("19.968"))
    assert not found[0].twice
    assert idle_seats(now, [CLAUDE], {CLAUDE.name: holders}, 20) == []  # what a seat is used for is not known


def test_seats_paid_for_twice() -> None:
    holders = [Holder("U1", ANA), Holder("U2", BO), Holder("U3", "cy@example.com"), Holder("U4", "")]
    now = figures(
        {ANA: {"claude-x": 0.01}, "BO@example.com": {"claude-x": 42.1}, "cy@example.com": {"claude-x": 0.004}}
    )
    found = seats_paid_twice(now, [CLAUDE, GPT], {CLAUDE.name: holders})
    assert [(seat.holder.user, seat.cost.period, seat.twice) for seat in found] == [
        ("U2", Decimal("42.10"), True),
        ("U1", Decimal("0.01"), True),
    ]
    assert seats_paid_twice(now, [THROUGH], {THROUGH.name: holders}) == []


def test_the_figures_of_every_advice_hold_together() -> None:
    chance = random.Random(7)  # noqa: S311 - no secret
    costs = {
        f"u{number}@example.com": {f"{kind}-{n}": chance.random() * 300 for kind in ("claude", "gpt") for n in range(3)}
        for number in range(500)
    }
    plans = [CLAUDE, GPT, dataclasses.replace(GPT, name="Odd", monthly_price=33.33, monthly_allowance=99.99)]
    found = advise(figures(costs), NOBODY, plans, {})
    assert len(found) > 400
    for one in found:
        allowance = one.plan.monthly_allowance
        paid = cents(one.plan.monthly_price) + one.above
        assert one.with_plan == paid == cents(paid)
        assert one.saving == one.cost.monthly - paid
        assert one.saving >= cents(one.plan.monthly_price) / 10
        assert one.above == (0 if allowance is None else max(0, one.cost.monthly - cents(allowance)))
    assert [one.saving for one in found] == sorted((one.saving for one in found), reverse=True)


def test_the_table_of_all_findings() -> None:
    cost = Cost(period=Decimal("212.40"), monthly=Decimal("923.56"))
    small = Cost(period=Decimal("1.00"), monthly=Decimal("4.35"))
    used = Sum(requests=100, prompt_tokens=4_000_000, cost=9)
    table = advice_csv(
        [Advice(who=ANA, plan=CLAUDE, cost=cost, again=True), Advice(who=BO, plan=GPT, cost=cost)],
        [
            Seat(holder=Holder("U1", BO), plan=THROUGH, cost=small),
            Seat(holder=Holder("U2", ""), plan=CLAUDE, cost=small),
        ],
        [Jump("default_user_id", Decimal("1.00"), Decimal("40.00"))],
        [
            Gain(who=ANA, model="claude", used=used, at_most=Decimal("8.36"), likely=likely, habit=None)
            for likely in (Decimal("6.05"), None)
        ],
        7,
    )
    rows = list(csv.reader(io.StringIO(table.decode())))
    assert rows[0][:6] == ["user", "finding", "plan", "plan_price_usd", "plan_allowance_usd", "days"]
    assert [",".join(row) for row in rows[1:]] == [
        "ana@example.com,cheaper on a plan,Claude Team Premium,125.00,600.00,7,212.40,923.56,448.56,475.00,yes,,,,",
        "bo@example.com,cheaper on a plan,ChatGPT Business,30.00,,7,212.40,923.56,30.00,893.56,no,,,,",
        "bo@example.com,seat hardly used,Claude Team Premium,125.00,600.00,7,1.00,4.35,,,,,,,",
        "U2,paid twice,Claude Team Premium,125.00,600.00,7,1.00,4.35,,,,,,,",
        "default_user_id,unusual jump,,,,7,40.00,,,,,1.00,,,",
        "ana@example.com,would gain by caching,,,,7,9.00,,,,,,claude,6.05,8.36",
        "ana@example.com,would gain by caching,,,,7,9.00,,,,,,claude,,8.36",
    ]
