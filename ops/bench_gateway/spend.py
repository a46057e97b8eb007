"""Whether LiteLLM's spend has every call that the providers have answered, to the token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from local.outside.records import Call

ROWS: Final = (
    'SELECT prompt_tokens AS prompt, completion_tokens AS completion, count(*)::int AS calls FROM "LiteLLM_SpendLogs" '
    "WHERE total_tokens > 0 GROUP BY 1, 2"
)
"""A row for each pair of token counts that LiteLLM's log of spend has."""

DAYS: Final = (
    "SELECT coalesce(sum(prompt_tokens), 0)::float AS prompt, coalesce(sum(completion_tokens), 0)::float AS completion "
    'FROM "LiteLLM_DailyUserSpend"'
)
"""The sums of which LiteLLM's figures of usage are made."""

Pair = tuple[int, int]


def answered(calls: Iterable[Call]) -> Counter[Pair]:
    """The tokens in and out of each call that a provider has answered."""
    return Counter(
        (call.usage.input_tokens, call.usage.output_tokens)
        for call in calls
        if call.status == 200 and call.usage.output_tokens
    )


def logged(rows: Iterable[Mapping[str, Any]]) -> Counter[Pair]:
    """The same of LiteLLM's log, from `ROWS`."""
    return Counter({(int(row["prompt"]), int(row["completion"])): int(row["calls"]) for row in rows})


def difference(provided: Counter[Pair], known: Counter[Pair]) -> int:
    """How many calls one has that the other has not, or has with other tokens."""
    return max((provided - known).total(), (known - provided).total())


def sums_differ(provided: Counter[Pair], day: Mapping[str, Any]) -> bool:
    """Whether the sums of `DAYS` are other than the providers'."""
    tokens = [sum(pair[part] * calls for pair, calls in provided.items()) for part in (0, 1)]
    return tokens != [int(day["prompt"]), int(day["completion"])]
