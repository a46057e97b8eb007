"""The message: every sentence as people read it, and Slack's limits with any number of people of any name."""

# ruff: noqa: E501, RUF001 - lines as people read them, with their minus and multiplication sign

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from usage import texts
from usage.cache_prices import CachePrices
from usage.caching import gains
from usage.environment import Report
from usage.figures import Figures, Period, jumps
from usage.litellm import Usage
from usage.plans import Seats, advise, idle_seats, seats_paid_twice
from usage.slack import Holder

from local.outside.slack_blocks import problems, text_length
from tests.unit.usage.rows import CLAUDE, GPT, MONTH, REPORT, SONNET, WEEK, figures, row

GEMINI = dataclasses.replace(
    GPT, name="Gemini", monthly_price=50, covers=("gemini-*", "veo"), seats="S1", through_gateway=True
)
ANA, BO, CY = "ana@example.com", "bo@example.com", "cy@example.com"
SEATS: Seats = {CLAUDE.name: [Holder("U0BO", BO)], GEMINI.name: [Holder("U0CY", CY)]}


def find(
    now: Figures,
    before: Figures,
    report: Report = REPORT,
    seats: Seats | None = None,
    prices: Mapping[str, CachePrices] = MappingProxyType({}),
) -> texts.Findings:
    seats = seats or {}
    return texts.Findings(
        environment="dev",
        now=now,
        before=before,
        advice=advise(now, before, report.plans, seats),
        idle=idle_seats(now, report.plans, seats, report.seat_percent),
        twice=seats_paid_twice(now, report.plans, seats),
        jumps=jumps(now, before, report.jump_factor, report.jump_minimum),
        gains=gains(now.users, prices),
    )


def shown(found: texts.Findings, report: Report = REPORT) -> list[str]:
    """The text of each block."""
    blocks = texts.blocks(found, report)
    assert problems("message", {"blocks": blocks}) == []
    return [(block.get("text") or block["elements"][0])["text"] for block in blocks]


def test_the_whole_message() -> None:
    now = figures(
        {
            ANA: {"claude-sonnet": 212.4, "gpt-6": 3},
            BO: {"claude-x": 40.0},
            "default_user_id": {"gpt-6": 0.4},
            "": {"m": 0.0004},
            CY: {"gpt-6": 90, "gemini-4": 1.5},
        }
    )
    before = figures({ANA: {"claude-sonnet": 100}, BO: {"claude-x": 2}, "gone@example.com": {"m": 300}}, WEEK.before)
    report = dataclasses.replace(REPORT, plans=(CLAUDE, GPT, GEMINI), top=4)
    assert shown(find(now, before, report, SEATS), report) == [
        "LLM gateway dev: usage in week 47 of 2026",
        "16 to 22 November 2026 (UTC): *$347.30* (−14 %), *7* requests (+133 %), *770* tokens (+133 %), by *5* users. "
        "In brackets: the change from 9 to 15 November 2026.",
        "*The 4 dearest of 5 users*: cost, share of all, change\n"
        "• `ana@example.com` $215.40 · 62.0 % · +115 %\n"
        "• `cy@example.com` $91.50 · 26.3 % · none before\n"
        "• `bo@example.com` $40.00 · 11.5 % · +1,900 %\n"
        "• master key (default_user_id) $0.40 · 0.1 % · none before\n"
        "… and 1 more, in the thread",
        "*Cheaper on a flat-rate plan*: 2 people would save *$836.34* a month, each by 10 % of the plan's price or more. "
        "7 days are scaled to a month (× 30.4375 / 7).\n"
        "• `ana@example.com`: `claude-*` at API prices: $212.40 in 7 days = $923.56 a month; Claude Team Premium $125.00 "
        "+ $323.56 above its $600.00 allowance = $448.56: *saves $475.00*, second period in a row\n"
        "• `cy@example.com`: `gpt-*` at API prices: $90.00 in 7 days = $391.34 a month; ChatGPT Business $30.00: "
        "*saves $361.34*",
        "*Seats hardly used*: less than 20 % of their price, at API prices\n"
        "• <@U0CY> `cy@example.com`: Gemini $50.00 a month; `gemini-*, veo` at API prices: $1.50 in 7 days = $6.52 a "
        "month, 13.0 % of that",
        "*Paid for twice*: a seat, and through the gateway the models that it covers\n"
        "• <@U0BO> `bo@example.com`: Claude Team Premium $125.00 a month; `claude-*` at API prices: $40.00 in 7 days = "
        "$173.93 a month more, through the gateway",
        "*Unusual jumps*: more than 3 times, and $20.00 above, the week before\n"
        "• `cy@example.com`: $91.50 after $0.00\n"
        "• `bo@example.com`: $40.00 after $2.00 (20.0 times)",
        "In the thread: every user × model, all findings, and the cost of each day. The figures are LiteLLM's, of calls "
        "that were answered.",
    ]


def test_a_quiet_month_is_short() -> None:
    now, before = figures({ANA: {"claude-x": 150}}, MONTH), figures({ANA: {"claude-x": 150}}, MONTH.before)
    found = find(now, before)
    assert shown(found)[:4] == [
        "LLM gateway dev: usage in October 2026",
        "1 to 31 October 2026 (UTC): *$150.00* (±0 %), *1* request (±0 %), *110* tokens (±0 %), by *1* user. In "
        "brackets: the change from 1 to 30 September 2026.",
        "*Users*: cost, share of all, change\n• `ana@example.com` $150.00 · 100.0 % · ±0 %",
        "*Cheaper on a flat-rate plan*: 1 person would save *$22.28* a month, each by 10 % of the plan's price or more. "
        "31 days are scaled to a month (× 30.4375 / 31).\n"
        "• `ana@example.com`: `claude-*` at API prices: $150.00 in 31 days = $147.28 a month; Claude Team Premium "
        "$125.00, within its $600.00 allowance: *saves $22.28*, second period in a row",
    ]
    assert len(shown(found)) == 5


def test_nobody_is_advised() -> None:
    found = find(figures({ANA: {"m": 1}}), figures({}))
    assert shown(found)[3] == (
        "*Cheaper on a flat-rate plan*: nobody would be, by 10 % of the plan's price or more. 7 days are scaled to a "
        "month (× 30.4375 / 7)."
    )
    without = dataclasses.replace(REPORT, plans=())
    assert not any("flat-rate" in text for text in shown(find(figures({ANA: {"m": 1}}), figures({}), without), without))


NO_PLANS = dataclasses.replace(REPORT, plans=())


def caches(now: list[Usage], before: list[Usage] | None = None, **prices: CachePrices) -> str:
    """What is told of caches."""
    both = Figures.of(WEEK, now), Figures.of(WEEK.before, before or [])
    (told,) = (text for text in shown(find(*both, NO_PLANS, prices=prices), NO_PLANS) if "Prompt caches" in text)
    return told


def test_what_caches_saved_and_who_would_gain() -> None:
    agent = row(
        BO, "claude", 9, prompt_tokens=8_000_000, cached_tokens=6_000_000, cache_write_tokens=800_000, saved=12.1
    )
    script = row(ANA, "claude", 9, requests=100, prompt_tokens=4_000_000)
    earlier = row(BO, "claude", 1, cached_tokens=20, saved=0.1)
    assert caches([agent, script], [earlier], claude=SONNET) == (
        "*Prompt caches*: *50.0 %* of the prompts' tokens were read from one (20.0 % the week before), which saved "
        "*$12.10* after the cost of writing. By what they send, one more would save by having their requests mark what "
        "repeats: `cache_control`, as docs/clients.md has it. Claude Code does so by itself.\n"
        "• `ana@example.com`: `claude`, 100 requests of 40,000 tokens, 0.0 % read from a cache: would save *$6.05* (at "
        "most $8.36) with 75 % read and 10 % written, as 1 user has"
    )


def test_where_nobody_caches() -> None:
    """How much it would save nobody can tell."""
    scripts = [row(who, "claude", 9, requests=100, prompt_tokens=4_000_000) for who in (ANA, BO)]
    told = caches(scripts, claude=SONNET)
    assert told.startswith(
        "*Prompt caches*: *0.0 %* of the prompts' tokens were read from one (0.0 % the week before), "
    )
    assert "By what they send, 2 more would save by having" in told
    assert told.endswith(
        "• `bo@example.com`: `claude`, 100 requests of 40,000 tokens, 0.0 % read from a cache: would save *at most "
        "$8.36*; how much is not known, as nobody here caches yet"
    )


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        (3.456, " before), which saved *$3.46* after the cost of writing."),
        (-0.29, " before); writing to them cost *$0.29* more than reading saved."),
        (None, " before), at prices that LiteLLM does not know."),
    ],
)
def test_what_caches_saved_in_words(saved: float | None, words: str) -> None:
    assert caches([row(ANA, "claude", 9, cached_tokens=40, saved=saved)]).endswith(words)


def test_what_is_not_in_what_caches_saved() -> None:
    two = [row(ANA, "claude", 9, cached_tokens=40, saved=2), row(ANA, "own", 9, cached_tokens=4000, saved=None)]
    assert caches(two).endswith(
        "which saved *$2.00* after the cost of writing; of 4,000 tokens the price is not known."
    )


def test_without_caches_nothing_is_told_of_them() -> None:
    assert not any("caches" in text for text in shown(find(figures({ANA: {"m": 1}}), figures({}))))


def test_a_line_for_notifications_and_one_for_nothing() -> None:
    found = find(figures({ANA: {"m": 1234.5}}), figures({}))
    assert texts.summary(found) == (
        "LLM gateway dev: usage in week 47 of 2026: $1,234.50, 1 request, 110 tokens, 1 user"
    )
    assert texts.nothing("dev", WEEK) == ("LLM gateway dev: no usage in week 47 of 2026 (16 to 22 November 2026, UTC).")
    assert texts.no_files("a <b> & c") == "The tables and the picture are missing: a &lt;b&gt; &amp; c"


@pytest.mark.parametrize(
    ("kind", "moment", "dates", "name"),
    [
        ("week", "2026-11-23", "16 to 22 November 2026", "week 47 of 2026"),
        ("week", "2026-12-07", "30 November to 6 December 2026", "week 49 of 2026"),
        ("week", "2027-01-04", "28 December 2026 to 3 January 2027", "week 53 of 2026"),
        ("month", "2027-01-04", "1 to 31 December 2026", "December 2026"),
    ],
)
def test_periods_in_words(kind: str, moment: str, dates: str, name: str) -> None:
    period = Period.ended_before(kind, datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert (texts.dates(period), texts.period_name(period)) == (dates, name)


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [
        (1, 0, "none before"),
        (0, 0, "±0 %"),
        (1, 1, "±0 %"),
        (1.004, 1, "±0 %"),
        (0, 5, "−100 %"),
        (3, 2, "+50 %"),
        (5000, 1, "+499,900 %"),
    ],
)
def test_changes(now: float, before: float, words: str) -> None:
    assert texts.change(now, before) == words


def test_money() -> None:
    amounts = (Decimal("0.5"), Decimal(-3), Decimal("1234567.891"), Decimal(0))
    assert list(map(texts.dollars, amounts)) == ["$0.50", "−$3.00", "$1,234,567.89", "$0.00"]


@pytest.mark.parametrize(
    ("who", "name"),
    [
        ("ana@example.com", "`ana@example.com`"),
        ("nightly-build", "`nightly-build` (no person)"),
        ("default_user_id", "master key (default_user_id)"),
        ("", "keys of no user"),
        ("<!channel>@x", "`&lt;!channel&gt;@x`"),
        ("a`*b*`@x", "`a'*b*'@x`"),
        ("a\n\t b\u2028c\u202ed@x", "`a b c d@x`"),
        ("x" * 100 + "@x", "`" + "x" * 59 + "…`"),
    ],
)
def test_names_are_text_and_nothing_else(who: str, name: str) -> None:
    assert texts.name(who) == name


ABSURD = ("<&>" * 200 + "@x", "`" * 400 + "@x", "\u202e\n" * 90 + "@x", "", "<!channel>@x", "*_~@x" * 80)


@pytest.mark.parametrize("count", [1, 10, 10_000])
@pytest.mark.parametrize("top", [1, 10, 50])
def test_slacks_limits_whatever_people_are_called(count: int, top: int) -> None:
    people = [f"{ABSURD[n % len(ABSURD)]}{n}@example.com" for n in range(count)]
    plan = dataclasses.replace(
        CLAUDE, name="<&>`" * 15, covers=("<&>*",) * 400, monthly_price=1_000_000, monthly_allowance=1, seats="S1"
    )
    through = dataclasses.replace(plan, name="&" * 60, through_gateway=True)
    cheap = dataclasses.replace(GPT, name="&" * 59, covers=("*",), monthly_price=0.01, monthly_allowance=999_999.99)
    report = dataclasses.replace(REPORT, plans=(plan, through, cheap), top=top)
    holders = [Holder("U" + "0" * 20, who.lower()) for who in people]
    model = "<&>" * 40
    many: dict[str, Any] = {"requests": 10**7, "prompt_tokens": 10**12}
    caching = row("agent@example.com", model, 0, prompt_tokens=10**12, cached_tokens=10**12 // 2)
    rows = [row(who, model, 1e6 + n, **many) for n, who in enumerate(people)]
    now = Figures.of(WEEK, rows)
    found = find(now, figures({}), report, {plan.name: holders, through.name: []})
    gaining = gains(Figures.of(WEEK, [*rows, caching]).users, {model: SONNET})
    assert len(gaining) == count
    found = dataclasses.replace(found, idle=found.twice, advice=find(now, figures({}), report).advice, gains=gaining)
    blocks = texts.blocks(found, report)
    assert problems("message", {"blocks": blocks}) == []
    assert text_length(blocks) < 10_500
    assert len(blocks) == 9
    for block in blocks[2:8]:
        lines = block["text"]["text"].split("\n")
        told = [line for line in lines if line.startswith("• ")]
        assert 1 <= len(told) <= top
        more = count - len(told)
        assert (lines[-1] == f"… and {more:,} more, in the thread") == bool(more)
        assert "<!" not in block["text"]["text"]
    assert all(_balanced(block) for block in blocks[2:8])


def _balanced(block: dict[str, Any]) -> bool:
    """Whether every line closes the code that it opens: a name cannot break out of it."""
    return all(line.count("`") % 2 == 0 for line in block["text"]["text"].split("\n"))
