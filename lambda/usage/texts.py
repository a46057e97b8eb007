"""Every sentence of a report, as the blocks of a Slack message: https://docs.slack.dev/reference/block-kit/blocks."""

# ruff: noqa: RUF001 - the minus and the multiplication sign are what people are to read

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from usage.caching import Gain
from usage.environment import Plan, Report
from usage.figures import Figures, Jump, Period, Sum, cents, is_person
from usage.plans import MONTH_DAYS, WORTH, Advice, Cost, Seat

Block = dict[str, Any]

# A section takes 3000 characters. All blocks together take about 12,000, their JSON counted in part, which Slack says
# only in its error msg_blocks_too_long (https://github.com/slackapi/bolt-js/issues/2867): six lists of this length
# stay well below.
LONGEST_LIST = 1580
LONGEST_NAME = 60  # of a user, a plan or a pattern
LONGEST_HEADER = 150
_CONTROL = re.compile(r"[\s\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")  # those too that turn text around
_NAMES = {"default_user_id": "master key (default_user_id)", "": "keys of no user"}


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a report tells: this period's figures and those of the one before, and what follows from them."""

    environment: str
    now: Figures
    before: Figures
    advice: Sequence[Advice]
    idle: Sequence[Seat]
    twice: Sequence[Seat]
    jumps: Sequence[Jump]
    gains: Sequence[Gain] = ()

    @property
    def period(self) -> Period:
        """The period that is told of."""
        return self.now.period

    @property
    def title(self) -> str:
        """Of the message, in plain text."""
        return f"LLM gateway {self.environment}: usage in {period_name(self.period)}"


def blocks(found: Findings, report: Report) -> list[Block]:
    """Return the message; it stays within Slack's limits, whatever people and models are called."""
    days, top = found.period.days, report.top
    parts = [
        {"type": "header", "text": {"type": "plain_text", "text": found.title[:LONGEST_HEADER], "emoji": False}},
        _section(_totals(found)),
        _list(_top_head(found, top), _top(found, top), len(found.now.by_user)),
    ]
    if found.gains or found.now.total.cached_tokens or found.now.total.cache_write_tokens:
        parts.append(_list(_cache_head(found), map(_gain, found.gains[:top]), len(found.gains)))
    if report.plans:
        lines = (_advice(one, days) for one in found.advice[:top])
        parts.append(_list(_advice_head(found.advice, days), lines, len(found.advice)))
    if found.idle:
        head = f"*Seats hardly used*: less than {report.seat_percent:g} % of their price, at API prices"
        parts.append(_list(head, (_seat(seat, days) for seat in found.idle[:top]), len(found.idle)))
    if found.twice:
        head = "*Paid for twice*: a seat, and through the gateway the models that it covers"
        parts.append(_list(head, (_seat(seat, days) for seat in found.twice[:top]), len(found.twice)))
    if found.jumps:
        parts.append(_list(_jump_head(found, report), map(_jump, found.jumps[:top]), len(found.jumps)))
    return [*parts, {"type": "context", "elements": [_mrkdwn(_CONTEXT)]}]


def summary(found: Findings) -> str:
    """Return the message in a line, for notifications."""
    total = found.now.total
    return (
        f"{found.title}: {_cost(total.cost)}, {total.requests:,} {_plural('request', total.requests)}, "
        f"{total.tokens:,} {_plural('token', total.tokens)}, "
        f"{len(found.now.by_user):,} {_plural('user', len(found.now.by_user))}"
    )


def nothing(environment: str, period: Period) -> str:
    """Return the one line of a period in which nobody used anything."""
    return f"LLM gateway {environment}: no usage in {period_name(period)} ({dates(period)}, UTC)."


def no_files(reason: str) -> str:
    """Return what the thread says when its files could not be uploaded."""
    return f"The tables and the picture are missing: {escape(reason)}"


def period_name(period: Period) -> str:
    """Return a period as one speaks of it."""
    year, week, _ = period.first.isocalendar()
    return f"week {week} of {year}" if period.kind == "week" else f"{period.first:%B %Y}"


def dates(period: Period) -> str:
    """Return the first and the last day, without saying twice what they share."""
    first, last = period.first, period.last
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {_day(last)}"
    return f"{_day(first, year=first.year != last.year)} to {_day(last)}"


def dollars(amount: Decimal) -> str:
    """Return US dollars to the cent."""
    return f"{'−' if amount < 0 else ''}${abs(amount):,.2f}"


def change(now: float, before: float) -> str:
    """Return the change from one figure to another, in percent."""
    if not before:
        return "none before" if now else "±0 %"
    percent = round(100 * (now - before) / before)
    return f"{'+' if percent > 0 else '−' if percent < 0 else '±'}{abs(percent):,} %"


def name(who: str) -> str:
    """Return a user's id as code, in which Slack takes nothing for a mention, a link or a style."""
    if who in _NAMES:
        return _NAMES[who]
    return f"`{plain(who)}`{'' if is_person(who) else ' (no person)'}"


def plain(text: str) -> str:
    """Return a name on one line, not too long, and so that Slack takes nothing in it for more than text."""
    line = _CONTROL.sub(" ", text).strip().replace("`", "'")
    return escape(line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…")


def escape(text: str) -> str:
    """Return a text so that Slack takes nothing in it for a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_CONTEXT = (
    "In the thread: every user × model, all findings, and the cost of each day. The figures are LiteLLM's, of calls "
    "that were answered."
)


def _totals(found: Findings) -> str:
    now, before, users = found.now.total, found.before.total, len(found.now.by_user)
    return (
        f"{dates(found.period)} (UTC): *{_cost(now.cost)}* ({change(now.cost, before.cost)}), *{now.requests:,}* "
        f"{_plural('request', now.requests)} ({change(now.requests, before.requests)}), *{now.tokens:,}* "
        f"{_plural('token', now.tokens)} ({change(now.tokens, before.tokens)}), by *{users:,}* "
        f"{_plural('user', users)}. In brackets: the change from {dates(found.period.before)}."
    )


def _top_head(found: Findings, top: int) -> str:
    users = len(found.now.by_user)
    return f"*{f'The {top} dearest of {users:,} users' if users > top else 'Users'}*: cost, share of all, change"


def _top(found: Findings, top: int) -> list[str]:
    whole = found.now.total.cost
    return [
        f"{name(who)} {_cost(used.cost)} · {100 * used.cost / whole if whole else 0:.1f} % · "
        f"{change(used.cost, found.before.cost_of(who))}"
        for who, used in list(found.now.by_user.items())[:top]
    ]


def _cache_head(found: Findings) -> str:
    now, before = found.now.total, found.before.total
    head = (
        f"*Prompt caches*: *{now.hit_percent:.1f} %* of the prompts' tokens were read from one "
        f"({before.hit_percent:.1f} % the {found.period.kind} before){_saving(now)}."
    )
    if not found.gains:
        return head
    who = "one more would save" if len(found.gains) == 1 else f"{len(found.gains):,} more would save"
    return (
        f"{head} By what they send, {who} by having their requests mark what repeats: `cache_control`, as "
        "docs/clients.md has it. Claude Code does so by itself."
    )


def _saving(used: Sum) -> str:
    """What caches saved, and what is not in it."""
    if used.known_saving is None:
        return ", at prices that LiteLLM does not know"
    amount = cents(used.saved)
    less = f"; writing to them cost *{dollars(-amount)}* more than reading saved"
    money = less if amount < 0 else f", which saved *{dollars(amount)}* after the cost of writing"
    return money + (f"; of {used.unpriced_tokens:,} tokens the price is not known" if used.unpriced_tokens else "")


def _gain(gain: Gain) -> str:
    used, most = gain.used, dollars(gain.at_most)
    does = (
        f"{name(gain.who)}: `{plain(gain.model)}`, {used.requests:,} requests of {gain.tokens:,} tokens, "
        f"{used.hit_percent:.1f} % read from a cache"
    )
    if gain.likely is None or gain.habit is None:
        return f"{does}: would save *at most {most}*; how much is not known, as nobody here caches yet"
    read, written = (f"{100 * share:.0f} %" for share in (gain.habit.read, gain.habit.written))
    others = "1 user has" if gain.habit.people == 1 else f"{gain.habit.people:,} users have"
    saves = f"would save *{dollars(gain.likely)}* (at most {most})"
    return f"{does}: {saves} with {read} read and {written} written, as {others}"


def _advice_head(advice: Sequence[Advice], days: int) -> str:
    if advice:
        people = f"{len(advice):,} people" if len(advice) > 1 else "1 person"
        saving = dollars(sum((one.saving for one in advice), Decimal(0)))
        finding = f"{people} would save *{saving}* a month, each by"
    else:
        finding = "nobody would be, by"
    return (
        f"*Cheaper on a flat-rate plan*: {finding} {100 * WORTH:.0f} % of the plan's price or more. {days} days are "
        f"scaled to a month (× {MONTH_DAYS} / {days})."
    )


def _advice(one: Advice, days: int) -> str:
    plan = one.plan
    with_plan = f"{plain(plan.name)} {dollars(cents(plan.monthly_price))}"
    if plan.monthly_allowance is not None:
        allowance = f"its {dollars(cents(plan.monthly_allowance))} allowance"
        with_plan += (
            f" + {dollars(one.above)} above {allowance} = {dollars(one.with_plan)}"
            if one.above
            else f", within {allowance}"
        )
    again = ", second period in a row" if one.again else ""
    return (
        f"{name(one.who)}: {_covers(plan)} at API prices: {_used(one.cost, days)}; {with_plan}: "
        f"*saves {dollars(one.saving)}*{again}"
    )


def _seat(seat: Seat, days: int) -> str:
    price = f"{plain(seat.plan.name)} {dollars(cents(seat.plan.monthly_price))} a month"
    end = " more, through the gateway" if seat.twice else f", {seat.percent:.1f} % of that"
    return (
        f"<@{seat.holder.user}> {name(seat.holder.email)}: {price}; {_covers(seat.plan)} at API prices: "
        f"{_used(seat.cost, days)}{end}"
    )


def _used(cost: Cost, days: int) -> str:
    return f"{dollars(cost.period)} in {days} days = {dollars(cost.monthly)} a month"


def _covers(plan: Plan) -> str:
    """The models that a plan covers; the patterns' asterisks are no style, because they are code."""
    return f"`{plain(', '.join(plan.covers))}`"


def _jump_head(found: Findings, report: Report) -> str:
    return (
        f"*Unusual jumps*: more than {report.jump_factor:g} times, and {dollars(cents(report.jump_minimum))} above, "
        f"the {found.period.kind} before"
    )


def _jump(jump: Jump) -> str:
    times = f" ({jump.cost / jump.before:,.1f} times)" if jump.before else ""
    return f"{name(jump.who)}: {dollars(jump.cost)} after {dollars(jump.before)}{times}"


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _cost(amount: float) -> str:
    """A cost to the cent; one that is no whole cent is not shown as nothing."""
    shown = cents(amount)
    return "<$0.01" if amount > 0 and not shown else dollars(shown)


def _day(day: date, *, year: bool = True) -> str:
    return f"{day.day} {day:%B %Y}" if year else f"{day.day} {day:%B}"


def _list(head: str, lines: Iterable[str], count: int) -> Block:
    """A heading and as many lines as there is room for, with the number of those that there is none for."""
    shown, length = [], len(head)
    for line in (f"• {line}" for line in lines):
        length += len(line) + 1
        if length > LONGEST_LIST:
            break
        shown.append(line)
    more = [f"… and {count - len(shown):,} more, in the thread"] if count > len(shown) else []
    return _section("\n".join([head, *shown, *more]))


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text), "expand": True}  # no "Show more"


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
