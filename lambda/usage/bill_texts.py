"""What Slack is told of a month's bills: a short message, what to look at first, and the whole as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from usage.bill_comparison import Comparison, Count, Row
from usage.bill_lines import KINDS, Kind
from usage.bill_providers import title_of, why_not_compared
from usage.figures import Period, cents
from usage.texts import dollars, escape, period_name, plain

Block = dict[str, Any]

NAMED = 6  # rows and lines that the message names; the CSV has all
LONGEST_SECTION = 2900  # Slack takes 3000 characters
_KIND_NAMES: dict[Kind, str] = {
    "input": "input tokens that no cache had",
    "cached": "tokens read from the cache",
    "cache_write": "tokens written to the cache",
    "output": "output tokens",
}
COLUMNS = (
    *("provider", "what", "region", "deployment", "counted_usd", "billed_usd", "difference_usd", "difference_percent"),
    *(f"{side}_{kind}_tokens" for kind in KINDS if kind != "other" for side in ("counted", "billed")),
)


def title(environment: str, period: Period) -> str:
    """Return the message's title."""
    return f"LLM gateway {environment}: LiteLLM's costs of {period_name(period)} and the bill"


def summary(heading: str, compared: Sequence[Comparison], unread: Mapping[str, str]) -> str:
    """Return the message in a line, for notifications."""
    parts = [f"{title_of(one.provider)} {_percent(one.percent)}" for one in compared]
    return (
        f"{heading}: {', '.join([*parts, *(f'{title_of(provider)} not read' for provider in unread)]) or 'none read'}"
    )


def blocks(
    heading: str,
    compared: Sequence[Comparison],
    unread: Mapping[str, str],
    tolerance: float,
    others: Mapping[str, Count] | None = None,
) -> list[Block]:
    """Return the message; `unread` are the providers whose bill could not be read, and why, in a sentence.

    `others` are those whose bill nobody meant to read.
    """
    parts: list[Block] = [
        {"type": "header", "text": {"type": "plain_text", "text": heading[:150], "emoji": False}},
        *(_section(_provider(one, tolerance)) for one in compared),
        *(
            _section(f":warning: *{title_of(provider)}* is not compared: {escape(reason)}.")
            for provider, reason in unread.items()
        ),
        *([_section("\n".join(map(_other, others, others.values())))] if others else []),
    ]
    context = (
        "LiteLLM's figure less the bill's, in percent of the bill, before discounts, credits and taxes. "
        "In the thread: every model, region and kind of token."
    )
    return [*parts, {"type": "context", "elements": [{"type": "mrkdwn", "text": context}]}]


def finding(row: Row) -> str:
    """Return what to look at first, of a row that differs."""
    if not row.lines:
        return "nothing on the bill fits its name: look for it among the lines that fit no deployment"
    if not row.counted.requests:
        return "LiteLLM counted no call of it there: somebody may use the account past the gateway"
    if (kind := row.culprit) is not None:
        counted, billed = row.counted.tokens[kind], row.tokens[kind]
        return f"look at {_KIND_NAMES[kind]}: LiteLLM counts {counted:,}, the bill {billed:,.0f}"
    if row.tokens:
        ratio = row.counted.cost / row.billed if row.billed else 0.0
        return (
            f"the tokens agree: look at the price, LiteLLM's is {ratio:.2f} times the bill's (model_info of its entry "
            "in company/config.yaml)"
        )
    return "the bill does not tell its tokens apart: look at the price first"


def comparison_csv(compared: Sequence[Comparison], others: Mapping[str, Count] | None = None) -> bytes:
    """Return every row, every profile, every line of a bill that fits no deployment, and what is not compared."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for one in compared:
        for row in (*one.rows, *(row for row in one.models if row not in one.rows), *one.profiles):
            writer.writerow(_cell(value) for value in _row(one.provider, row))
        for line in one.unmatched:
            cells = (one.provider, "fits no deployment", line.region, line.text, "", f"{line.cost:.6f}")
            writer.writerow(_cell(value) for value in (*cells, *[""] * (len(COLUMNS) - len(cells))))
    for provider, count in (others or {}).items():
        for (_, deployment), counted in sorted(count.without_regions().counted.items()):
            known = (provider, "not compared", "all", deployment, f"{counted.cost:.6f}")
            writer.writerow(_cell(value) for value in (*known, *[""] * (len(COLUMNS) - len(known))))
    return file.getvalue().encode()


def _row(provider: str, row: Row) -> list[object]:
    tokens: list[object] = []
    for kind in KINDS:
        if kind != "other":
            tokens += [row.counted.tokens[kind], f"{row.tokens[kind]:.0f}" if kind in row.tokens else ""]
    what = f"profile {row.profile}" if row.profile else "model"
    money = [f"{amount:.6f}" for amount in (row.counted.cost, row.billed, row.difference)]
    return [provider, what, row.region or "all", ", ".join(row.deployments), *money, f"{row.percent:.2f}", *tokens]


def _provider(one: Comparison, tolerance: float) -> str:
    above = one.above(tolerance)
    mark = ":red_circle:" if one.worst > tolerance else ":large_green_circle:"
    text = (
        f"{mark} *{title_of(one.provider)}*: LiteLLM counted *{_dollars(one.counted)}*, billed is "
        f"*{_dollars(one.billed)}*: *{_percent(one.percent)}*"
    )
    lines = [text + (", the cloud calls its figures preliminary" if one.preliminary else "")]
    lines += [
        f"• {_name(row)}: {_dollars(row.counted.cost)} counted, {_dollars(row.billed)} billed, "
        f"*{_percent(row.percent)}*: {finding(row)}"
        for row in above[:NAMED]
    ]
    if len(above) > NAMED:
        lines.append(f"• and {len(above) - NAMED} more above {tolerance:g} %")
    if one.unmatched:
        dearest = sorted(one.unmatched, key=lambda line: -line.cost)[:3]
        names = ", ".join(f"{plain(line.text)} {_dollars(line.cost)}" for line in dearest)
        lines.append(
            f"• {_dollars(one.left_over)} on the bill fit no model {'in a region ' if one.placed else ''}that the "
            f"gateway used: {names}{', …' if len(one.unmatched) > len(dearest) else ''}"
        )
    if cents(one.discount):
        lines.append(f"• discounts and credits take off another {_dollars(one.discount)}")
    return "\n".join(lines)


def _other(provider: str, count: Count) -> str:
    return (
        f":white_circle: *{escape(title_of(provider))}* is not compared: {escape(why_not_compared(provider))}. LiteLLM "
        f"counted {_dollars(count.cost)}"
    )


def _name(row: Row) -> str:
    name = f"profile {plain(row.profile)}" if row.profile else " / ".join(plain(one) for one in row.deployments)
    return f"{name} in {plain(row.region) or 'all regions'}"


def _dollars(amount: float) -> str:
    return dollars(cents(amount))


def _percent(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{abs(value):,.1f} %"  # noqa: RUF001 - a minus sign


def _section(text: str) -> Block:
    shown = text if len(text) <= LONGEST_SECTION else f"{text[: LONGEST_SECTION - 1]}…"
    return {"type": "section", "text": {"type": "mrkdwn", "text": shown}}


def _cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: https://owasp.org/www-community/attacks/CSV_Injection."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "@", "+")) else value
