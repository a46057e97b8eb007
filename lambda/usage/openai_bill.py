"""OpenAI's own API on OpenAI's bill, by the organization's costs.

A line is a line item of a project, in the words of the API reference (https://developers.openai.com/api/reference,
Administration, Usage, Costs) and of what organizations have published: "gpt-5.5-2026-04-23, cached input",
"gpt-audio-mini-2025-12-15 audio, input", "priority | gpt-5.6-sol, output, long context", "gpt-6-astra, input_tokens",
"web search tool calls". A model is billed by the name of its release, whichever name was asked for. `quantity` is its
tokens, in the unit that `quantity_unit` names; where there is none, a line of tokens counts single ones.

`amount` is what the invoice will have: OpenAI recommends the costs, and not the usage, for comparing with it (the same
page). Usage that is free by agreement is on it at nothing. Buckets are days from `start_time` on, which is midnight of
UTC here, as LiteLLM's days are; nothing is marked as preliminary. Lines do not say where a call was answered.

The key is an admin key of the organization that may read its usage (scope api.usage.read): no key of a project may.

Integrates with OpenAI's administration API (GET /v1/organization/costs).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from urllib3 import PoolManager

from usage.bill_lines import Kind, Line, Statement, without_release
from usage.clouds import Json, pool, results
from usage.environment import OpenAiBill
from usage.errors import RefusedError, harmless
from usage.figures import Period

URL = "https://api.openai.com/v1/organization/costs"
BUCKETS = 31  # days of a page, of at most 180; without a limit there are 7
# What one of `quantity` is in tokens, by `quantity_unit`: openai/types/admin/organization/cost_quantity_unit.py of
# OpenAI's SDK 3.54. Other units are of no tokens.
UNITS = {"tokens": 1, "1000_tokens": 1000}


def read(period: Period, settings: OpenAiBill, key: str, http: PoolManager | None = None) -> Statement:
    """Return what the organization, or some of its projects, cost in a month, by model and kind of token.

    Raises
    ------
    UnavailableError, RefusedError
        OpenAI did not answer, or refused: the key; or its costs are not in US dollars.
    """
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in _rows(period, settings, key, http or pool()):
        if (currency := str(row["amount"]["currency"])).lower() != "usd":
            raise RefusedError(
                f"OpenAI's costs are in {harmless(currency)}, and LiteLLM counts US dollars: they cannot be compared"
            )
        item = str(row.get("line_item") or "")
        found = sums[str(row.get("project_id") or ""), item]
        found[0] += float(row["amount"]["value"])
        found[1] += _tokens(row, item)
    lines = [_line(project, item, *found) for (project, item), found in sums.items()]
    return Statement([line for line in lines if line.cost or line.quantity], placed=False)


def kind_of(item: str) -> Kind:
    """Return the kind of token of a line item; tools and storage are of none."""
    text = item.partition(",")[2].lower().replace("_", " ")
    if "cache" in text and "writ" in text:
        return "cache_write"
    if "cached" in text or "cache read" in text:
        return "cached"
    return "output" if "output" in text else "input" if "input" in text else "other"


def _line(project: str, item: str, cost: float, tokens: float) -> Line:
    # Before the model's name may be how it was served, after it what goes in or out: text, audio, an image.
    name, comma, _ = item.rpartition(" | ")[2].partition(",")
    return Line(
        text=f"{project}: {item}" if project else item,
        model=without_release(name.split()[0]) if comma and name.strip() else name,
        region=project,
        kind=kind_of(item),
        cost=cost,
        quantity=tokens,
    )


def _tokens(row: Json, item: str) -> float:
    unit = row.get("quantity_unit") or ("tokens" if kind_of(item) != "other" else "")
    return float(row.get("quantity") or 0) * UNITS.get(unit, 0)


def _rows(period: Period, settings: OpenAiBill, key: str, http: PoolManager) -> Iterator[Json]:
    start = datetime.combine(period.first, time(), UTC)
    end = datetime.combine(period.last + timedelta(days=1), time(), UTC)
    # Lists as OpenAI's SDK writes them: Querystring(array_format="brackets") in openai/_client.py.
    query = [
        ("start_time", f"{start.timestamp():.0f}"),
        ("end_time", f"{end.timestamp():.0f}"),
        ("bucket_width", "1d"),
        ("group_by[]", "project_id"),
        ("group_by[]", "line_item"),
        *(("project_ids[]", project) for project in settings.projects),
        ("limit", str(BUCKETS)),
    ]
    return results(
        "OpenAI's costs",
        http,
        URL,
        query,
        {"Authorization": f"Bearer {key}"},
        advice="store an admin key of the organization, with the permission to read usage, as OPENAI_ADMIN_KEY (make "
        "secrets), and see bill.openai's projects in company/environments.py",
    )
