"""Who would be cheaper on which flat-rate plan, and whose seat is not worth its price.

All money is in US dollars, rounded to the cent before it is reckoned with, so that what a line shows can be checked
with nothing but the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

from usage.caching import Gain
from usage.environment import Plan
from usage.figures import Figures, Jump, Sum, cents, is_person, to_csv
from usage.slack import Holder

MONTH_DAYS = Decimal("30.4375")  # 365.25 / 12
# A period's use is only a sample of the months to come, and a seat is also work for somebody: a saving below this part
# of the plan's price is no reason to move.
WORTH = Decimal("0.1")

Seats = Mapping[str, Sequence[Holder]]  # who has one, by the plan's name


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a user's models that a plan covers cost: in the period, and scaled to a month."""

    period: Decimal
    monthly: Decimal


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A person who would be cheaper on a plan; `again` if it was so in the period before too."""

    who: str
    plan: Plan
    cost: Cost
    again: bool = False

    @property
    def above(self) -> Decimal:
        """What is left to pay at the API's prices: the use above the plan's allowance, which is still the gateway's."""
        allowance = self.plan.monthly_allowance
        return Decimal(0) if allowance is None else max(Decimal(0), self.cost.monthly - cents(allowance))

    @property
    def with_plan(self) -> Decimal:
        """What the same use would cost in a month on the plan."""
        return cents(self.plan.monthly_price) + self.above

    @property
    def saving(self) -> Decimal:
        """US dollars a month."""
        return self.cost.monthly - self.with_plan

    @property
    def worth_it(self) -> bool:
        """Whether the saving is a reason to move."""
        return self.saving >= WORTH * cents(self.plan.monthly_price)


@dataclass(frozen=True, kw_only=True)
class Seat:
    """A seat that is hardly used, or paid for twice: which of the two, its plan's `through_gateway` says."""

    holder: Holder
    plan: Plan
    cost: Cost

    @property
    def twice(self) -> bool:
        """Whether what the seat covers is paid for again: its own use does not pass through the gateway."""
        return not self.plan.through_gateway

    @property
    def percent(self) -> Decimal:
        """The use of a month, in percent of the seat's price."""
        return 100 * self.cost.monthly / Decimal(str(self.plan.monthly_price))


def advise(now: Figures, before: Figures, plans: Sequence[Plan], seats: Seats) -> list[Advice]:
    """Return each person's best plan, where there is one that is worth it; the largest saving first.

    Nobody is advised to take a plan for models that a seat of theirs covers already.
    """
    earlier = {advice.who: advice.plan.name for advice in _best(before, plans, seats)}
    found = (
        Advice(who=best.who, plan=best.plan, cost=best.cost, again=earlier.get(best.who) == best.plan.name)
        for best in _best(now, plans, seats)
    )
    return sorted(found, key=lambda advice: (-advice.saving, advice.who))


def idle_seats(now: Figures, plans: Iterable[Plan], seats: Seats, percent: float) -> list[Seat]:
    """Return the seats whose use, through the gateway, is below `percent` of their price; the least used first."""
    below = (
        seat
        for plan in plans
        if plan.through_gateway
        for seat in _seats(now, plan, seats)
        if seat.percent < Decimal(str(percent))
    )
    return sorted(below, key=lambda seat: (seat.cost.monthly - cents(seat.plan.monthly_price), seat.holder.email))


def seats_paid_twice(now: Figures, plans: Iterable[Plan], seats: Seats) -> list[Seat]:
    """Return the seats whose holders pay for covered models through the gateway all the same; the dearest first."""
    paying = (
        seat for plan in plans if not plan.through_gateway for seat in _seats(now, plan, seats) if seat.cost.period > 0
    )
    return sorted(paying, key=lambda seat: (-seat.cost.monthly, seat.holder.email))


def advice_csv(
    advice: Iterable[Advice], seats: Iterable[Seat], jumps: Iterable[Jump], gains: Iterable[Gain], days: int
) -> bytes:
    """Return every finding, a row each: all that the message has room for only in part."""
    heads = (
        "user",
        "finding",
        "plan",
        "plan_price_usd",
        "plan_allowance_usd",
        "days",
        "cost_usd",
        "monthly_cost_usd",
        "monthly_cost_with_plan_usd",
        "monthly_saving_usd",
        "second_period_in_a_row",
        "cost_before_usd",
        "model",
        "saving_usd",
        "saving_at_most_usd",
    )
    rows = (*_rows(advice, seats, jumps, days), *_gains(gains, days))
    return to_csv(heads, ([*row, *[""] * (len(heads) - len(row))] for row in rows))


def _gains(gains: Iterable[Gain], days: int) -> Iterator[list[object]]:
    for gain in gains:
        saving = "" if gain.likely is None else gain.likely
        money = (gain.model, saving, gain.at_most)
        yield [gain.who, "would gain by caching", "", "", "", days, cents(gain.used.cost), *[""] * 5, *money]


def _rows(advice: Iterable[Advice], seats: Iterable[Seat], jumps: Iterable[Jump], days: int) -> Iterator[list[object]]:
    for one in advice:
        money = (one.cost.period, one.cost.monthly, one.with_plan, one.saving)
        yield [one.who, "cheaper on a plan", *_plan(one.plan), days, *money, "yes" if one.again else "no", ""]
    for seat in seats:
        finding = "paid twice" if seat.twice else "seat hardly used"
        who = seat.holder.email or seat.holder.user
        yield [who, finding, *_plan(seat.plan), days, seat.cost.period, seat.cost.monthly, "", "", "", ""]
    for jump in jumps:
        yield [jump.who, "unusual jump", "", "", "", days, jump.cost, "", "", "", "", jump.before]


def _plan(plan: Plan) -> tuple[str, Decimal, Decimal | str]:
    allowance = "" if plan.monthly_allowance is None else cents(plan.monthly_allowance)
    return plan.name, cents(plan.monthly_price), allowance


def _best(figures: Figures, plans: Sequence[Plan], seats: Seats) -> Iterator[Advice]:
    covered = {plan.name: _covered(plan, figures) for plan in plans}
    owned: dict[str, set[str]] = {}
    for plan in plans:
        for holder in seats.get(plan.name, ()):
            owned.setdefault(holder.email, set()).update(covered[plan.name])
    for who, models in figures.users.items():
        if not is_person(who):
            continue
        theirs = owned.get(who.lower(), set())
        fitting = (
            Advice(who=who, plan=plan, cost=_cost(models, covered[plan.name] - theirs, figures.period.days))
            for plan in plans
        )
        best = max(fitting, key=lambda advice: advice.saving, default=None)
        if best and best.worth_it:
            yield best


def _seats(figures: Figures, plan: Plan, seats: Seats) -> Iterator[Seat]:
    covered = _covered(plan, figures)
    by_address = {who.lower(): models for who, models in figures.users.items()}
    for holder in seats.get(plan.name, ()):
        if holder.email:  # whose use it is cannot be told otherwise
            used = by_address.get(holder.email, {})
            yield Seat(holder=holder, plan=plan, cost=_cost(used, covered, figures.period.days))


def _covered(plan: Plan, figures: Figures) -> frozenset[str]:
    """The models of the figures that a plan covers; of several names of one deployment, one is enough."""
    return frozenset(
        model
        for model in figures.by_model
        if any(fnmatchcase(name, pattern) for name in model.split(", ") for pattern in plan.covers)
    )


def _cost(models: Mapping[str, Sum], covered: frozenset[str], days: int) -> Cost:
    period = cents(sum(used.cost for model, used in models.items() if model in covered))
    return Cost(period=period, monthly=cents(period * MONTH_DAYS / days))
