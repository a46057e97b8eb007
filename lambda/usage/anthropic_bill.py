"""Anthropic's own API on Anthropic's bill, by the organization's cost report and usage report.

The cost report (https://platform.claude.com/docs/en/api/admin/cost_report/retrieve) has, by day, workspace and
description, such as "Claude Opus 5.5 Usage - Input Tokens, Cache Write", what was billed: `amount` is in cents, as a
decimal string, and `currency` always USD. With the description come the model, the kind of token (`token_type`, where
what is written to a cache for five minutes and for an hour are two), and whether it was a batch (`service_tier`) or a
long prompt (`context_window`). Searches on the web and executed code are lines without a model. It tells no tokens:
these come from the usage report, in which a prompt is `uncached_input_tokens`, what was read from the cache and what
was written to it (https://platform.claude.com/docs/en/api/admin-api/usage-cost/get-messages-usage-report).

From Anthropic's "Usage and Cost API" (https://platform.claude.com/docs/en/manage-claude/usage-cost-api): figures are
there within five minutes of a call, sometimes later; none is marked as preliminary. What Priority Tier costs is billed
in another way and in no cost report, so its tokens are left out as well. The default workspace is `null`. Days are
those of UTC. The API is called legacy there, and stays; its successor, Usage and Cost Analytics, is in beta.

The key is an admin key (sk-ant-admin…), in x-api-key: no key of a workspace may. Individual accounts have none.

Integrates with Anthropic's Admin API (GET /v1/organizations/cost_report and usage_report/messages).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal

from urllib3 import PoolManager

from usage.bill_lines import Kind, Line, Statement, without_release
from usage.clouds import Json, pool, results
from usage.environment import AnthropicBill
from usage.errors import RefusedError, harmless
from usage.figures import Period

URL = "https://api.anthropic.com/v1/organizations"
VERSION = "2023-06-01"  # https://platform.claude.com/docs/en/api/versioning
BUCKETS = 31  # days of a page, the most that there are; without a limit there are 7
DEFAULT = "default"  # how bill.anthropic's workspaces name the one without an id
PRIORITY = "priority"
USUAL = (None, "standard", "0-200k")  # tiers and context windows that need no word

KINDS: dict[str, Kind] = {
    "uncached_input_tokens": "input",
    "cache_read_input_tokens": "cached",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write",
    "output_tokens": "output",
}


def read(period: Period, settings: AnthropicBill, key: str, http: PoolManager | None = None) -> Statement:
    """Return what the organization, or some of its workspaces, cost in a month, by model and kind of token.

    Raises
    ------
    UnavailableError, RefusedError
        Anthropic did not answer, or refused: the key; or its costs are not in US dollars.
    """
    http = http or pool()
    costs = _costs(_rows("cost_report", ("workspace_id", "description"), period, settings, key, http))
    tokens = _tokens(
        _rows("usage_report/messages", ("workspace_id", "model", "service_tier"), period, settings, key, http)
    )
    lines = []
    for (workspace, model, token_type, text), cost in costs.items():
        # Batches and long prompts are lines of their own of one kind of token: the first has the tokens of all.
        found = tokens.pop((workspace, model, token_type), 0)
        lines.append(_line(workspace, model, token_type, text, float(cost / 100), found))
    for (workspace, model, token_type), count in tokens.items():
        lines.append(_line(workspace, model, token_type, f"{model} {token_type}, at no cost", 0.0, count))
    return Statement([line for line in lines if line.cost or line.quantity], placed=False)


def _costs(rows: Iterator[Json]) -> dict[tuple[str, str, str, str], Decimal]:
    """Cents by workspace, model, type of token and what the report says of it."""
    found: dict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["currency"] != "USD":
            currency = harmless(str(row["currency"]))
            raise RefusedError(
                f"Anthropic's costs are in {currency}, and LiteLLM counts US dollars: they cannot be compared"
            )
        told = (row.get("service_tier"), row.get("context_window"))
        said = [str(row["description"]), *(str(one) for one in told if one not in USUAL)]
        place = (str(row["workspace_id"] or DEFAULT), str(row["model"] or ""), str(row["token_type"] or ""))
        found[*place, ", ".join(said)] += Decimal(row["amount"])
    return dict(sorted(found.items()))


def _tokens(rows: Iterator[Json]) -> dict[tuple[str, str, str], int]:
    """Tokens by workspace, model and type, as far as the cost report has them."""
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in rows:
        if row["service_tier"] == PRIORITY:
            continue
        flat = {**row, **{f"cache_creation.{name}": count for name, count in row["cache_creation"].items()}}
        for token_type in KINDS:
            found[str(row["workspace_id"] or DEFAULT), str(row["model"] or ""), token_type] += int(flat[token_type])
    return found


def _line(workspace: str, model: str, token_type: str, text: str, cost: float, tokens: int) -> Line:
    return Line(
        text=f"{workspace}: {text}",
        model=without_release(model),
        region=workspace,
        kind=KINDS.get(token_type, "other"),
        cost=cost,
        quantity=tokens,
    )


def _rows(
    report: str, groups: Sequence[str], period: Period, settings: AnthropicBill, key: str, http: PoolManager
) -> Iterator[Json]:
    """Every row of a report that is of one of the workspaces; the cost report cannot be asked for one."""
    query = [
        ("starting_at", f"{period.first}T00:00:00Z"),
        ("ending_at", f"{period.last + timedelta(days=1)}T00:00:00Z"),
        ("bucket_width", "1d"),
        *(("group_by[]", group) for group in groups),
        ("limit", str(BUCKETS)),
    ]
    rows = results(
        f"Anthropic's {report.replace('_', ' ').partition('/')[0]}",
        http,
        f"{URL}/{report}",
        query,
        {"x-api-key": key, "anthropic-version": VERSION},
        advice="store an admin key of the organization (sk-ant-admin…) as ANTHROPIC_ADMIN_KEY (make secrets)",
    )
    for row in rows:
        if not settings.workspaces or str(row["workspace_id"] or DEFAULT) in settings.workspaces:
            yield row
