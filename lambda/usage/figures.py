"""LiteLLM's daily figures added up over a week or a month: user by model, and cost by day and model."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Literal, get_args

from usage.litellm import Usage

Kind = Literal["week", "month"]

CENT = Decimal("0.01")
# What a spreadsheet takes for a formula at the beginning of a cell, with what it does about it:
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NEGATIVE = re.compile(r"-[0-9]+\.[0-9]+")


def cents(amount: float | Decimal) -> Decimal:
    """Return US dollars, rounded to the cent as a person would."""
    return Decimal(str(amount)).quantize(CENT, ROUND_HALF_UP)


def is_person(who: str) -> bool:
    """Tell whether a user of LiteLLM's is somebody: people's ids are their mail addresses.

    The others are service accounts, `default_user_id` (the master key) and "" (keys of no user).
    """
    return "@" in who.strip("@")


@dataclass(frozen=True)
class Period:
    """A whole week (Monday to Sunday) or calendar month of UTC's, as LiteLLM's days are; both days included."""

    kind: Kind
    first: date
    last: date

    @classmethod
    def ended_before(cls, kind: str, moment: datetime) -> Period:
        """Return the last one that was over at a moment.

        Raises
        ------
        ValueError
            `kind` is neither week nor month.
        """
        today = moment.astimezone(UTC).date()
        if kind == "week":
            last = today - timedelta(days=today.isoweekday())
            return cls("week", last - timedelta(days=6), last)
        if kind == "month":
            last = today.replace(day=1) - timedelta(days=1)
            return cls("month", last.replace(day=1), last)
        raise ValueError(f"The period is {kind!r}: it must be {' or '.join(get_args(Kind))}.")

    @property
    def before(self) -> Period:
        """The one before."""
        return Period.ended_before(self.kind, datetime.combine(self.first, time(), UTC))

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    @property
    def dates(self) -> list[date]:
        """Its days."""
        return [self.first + timedelta(days=number) for number in range(self.days)]

    @property
    def name(self) -> str:
        """As ISO 8601 writes it: 2026-W47 or 2026-10."""
        return f"{self.first:%G-W%V}" if self.kind == "week" else f"{self.first:%Y-%m}"


@dataclass(slots=True)
class Sum:
    """Requests, tokens and US dollars of a user, a model, or both.

    `prompt_tokens` has those in it that were read from a cache (`cached_tokens`) and written to one. `saved` is what
    caches saved (usage/cache_prices.py), without that of `unpriced_tokens`, which were read or written at prices that
    are not known.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cost: float = 0.0
    saved: float = 0.0
    unpriced_tokens: int = 0

    def add(self, other: Sum | Usage) -> None:
        """Add another's figures."""
        self.requests += other.requests
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.cached_tokens += other.cached_tokens
        self.cache_write_tokens += other.cache_write_tokens
        self.cost += other.cost
        if isinstance(other, Sum):
            self.unpriced_tokens += other.unpriced_tokens
        elif other.saved is None:
            self.unpriced_tokens += other.cached_tokens + other.cache_write_tokens
        self.saved += other.saved or 0.0

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def hit_percent(self) -> float:
        """How many of the prompts' tokens were read from a cache, in percent; 0 if there are none."""
        return 100 * self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    @property
    def known_saving(self) -> float | None:
        """What caches saved, in US dollars; None if nothing of it is known."""
        unknown = self.unpriced_tokens and self.unpriced_tokens == self.cached_tokens + self.cache_write_tokens
        return None if unknown else self.saved


@dataclass
class Figures:
    """A period's usage: `users` is user by model (500,000 pairs are some 150 MB), `days` the cost by day and model."""

    period: Period
    users: dict[str, dict[str, Sum]] = field(default_factory=dict)
    days: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, period: Period, rows: Iterable[Usage]) -> Figures:
        """Add rows up; they are taken one by one, and none is kept."""
        figures = cls(period)
        for row in rows:
            model = sys.intern(row.model)  # every row brings a text of its own
            models = figures.users.setdefault(row.who, {})
            models.setdefault(model, Sum()).add(row)
            day = figures.days.setdefault(row.date, {})
            day[model] = day.get(model, 0.0) + row.cost
        return figures

    @cached_property
    def by_user(self) -> dict[str, Sum]:
        """Each user's sum, the dearest first."""
        sums = {who: _sum(models.values()) for who, models in self.users.items()}
        return dict(sorted(sums.items(), key=lambda item: (-item[1].cost, item[0])))

    @cached_property
    def by_model(self) -> dict[str, float]:
        """Each model's cost, the dearest first."""
        costs: dict[str, float] = {}
        for day in self.days.values():
            for model, cost in day.items():
                costs[model] = costs.get(model, 0.0) + cost
        return dict(sorted(costs.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def total(self) -> Sum:
        """The sum of everybody."""
        return _sum(self.by_user.values())

    def cost_of(self, who: str) -> float:
        """Return what a user cost; 0 for one who used nothing."""
        return self.by_user[who].cost if who in self.by_user else 0.0


@dataclass(frozen=True)
class Jump:
    """A user whose cost has jumped, from the period before to this one."""

    who: str
    before: Decimal
    cost: Decimal


def jumps(now: Figures, before: Figures, factor: float, minimum: float) -> list[Jump]:
    """Return who cost more than `factor` times, and `minimum` US dollars above, what they cost before; most first."""
    costs = (Jump(who, cents(before.cost_of(who)), cents(used.cost)) for who, used in now.by_user.items())
    found = (
        jump
        for jump in costs
        if jump.cost > Decimal(str(factor)) * jump.before and jump.cost - jump.before > Decimal(str(minimum))
    )
    return sorted(found, key=lambda jump: (jump.before - jump.cost, jump.who))


def usage_csv(figures: Figures) -> bytes:
    """Return every user and model with usage, the dearest users and of each the dearest models first."""
    total = figures.total.cost
    rows = (
        (
            who,
            model,
            used.requests,
            used.prompt_tokens,
            used.completion_tokens,
            used.cached_tokens,
            used.cache_write_tokens,
            f"{used.hit_percent:.2f}",
            used.tokens,
            f"{used.cost:.8f}",
            f"{100 * used.cost / total if total else 0:.4f}",
            "" if used.known_saving is None else f"{used.known_saving:.8f}",
        )
        for who in figures.by_user
        for model, used in sorted(figures.users[who].items(), key=lambda item: (-item[1].cost, item[0]))
    )
    heads = ("requests", "prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "hit_percent")
    return to_csv(("user", "model", *heads, "total_tokens", "cost_usd", "share_percent", "saved_usd"), rows)


def to_csv(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> bytes:
    """Return a table in UTF-8, whose texts no spreadsheet takes for formulas."""
    stream = io.BytesIO()
    text = io.TextIOWrapper(stream, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([_cell(value) for value in row] for row in rows)
    text.flush()
    return stream.getvalue()


def _cell(value: object) -> object:
    formula = isinstance(value, str) and value.startswith(_FORMULA) and not _NEGATIVE.fullmatch(value)
    return f"'{value}" if formula else value


def _sum(sums: Iterable[Sum]) -> Sum:
    whole = Sum()
    for one in sums:
        whole.add(one)
    return whole
