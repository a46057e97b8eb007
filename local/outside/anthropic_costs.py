"""Anthropic's bill, by the reports of its Admin API.

Costs have Anthropic's descriptions and are in cents, tokens stand in a report of their own, and both come by day.
Formats: "Get Cost Report" and "Get Messages Usage Report" of the API reference (https://platform.claude.com/docs/en/api/admin).
Filters, and groups that are not simulated, are refused.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus

from local.outside.bills import Bills
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.records import Json
from local.outside.reports import Query, check_among, days, page

HOST = "api.anthropic.com"
COSTS, USAGE = "cost_report", "usage_report/messages"
MOST = 31  # buckets of a page
_GROUPS = {COSTS: ("workspace_id", "description"), USAGE: ("workspace_id", "model", "service_tier", "context_window")}
# By kind: the report's name for it, and how a description ends.
_KINDS = {
    "input": ("uncached_input_tokens", "Input Tokens"),
    "cached": ("cache_read_input_tokens", "Input Tokens, Cache Hit"),
    "cache_write": ("cache_creation.ephemeral_5m_input_tokens", "Input Tokens, Cache Write"),
    "cache_write_1h": ("cache_creation.ephemeral_1h_input_tokens", "Input Tokens, Cache Write"),
    "output": ("output_tokens", "Output Tokens"),
    "thoughts": ("output_tokens", "Output Tokens"),
}
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_DATE = re.compile(r"-20\d{6}$")


class AnthropicCosts:
    """Anthropic's Admin API: the organization's costs and tokens by day, all of the default workspace."""

    name = "anthropic-costs"
    below = "/v1/organizations/"

    def __init__(self, bills: Bills, admin_key: str) -> None:
        self._bills, self._admin_key = bills, admin_key

    def serves(self, host: str) -> bool:
        """Return whether the host is that of Anthropic's API."""
        return host == HOST

    def target(self, request: Request) -> Target:
        """Return which report is asked for."""
        report = request.path.removeprefix(self.below)
        if request.method != "GET" or not request.path.startswith(self.below) or report not in _GROUPS:
            raise ApiError(404, message="Not found")
        return Target(report)

    def answer(self, request: Request, target: Target) -> Answer:
        """Return a page of the report."""
        if "x-api-key" not in request.headers:
            raise ApiError(401, message="x-api-key header is required")
        if not same(request.headers["x-api-key"], self._admin_key):
            raise ApiError(401, message="invalid x-api-key")
        if "anthropic-version" not in request.headers:
            raise ApiError(400, message="anthropic-version: header is required")
        query = Query.of(
            request, values=("starting_at", "ending_at", "bucket_width", "limit", "page"), lists=("group_by",)
        )
        if "starting_at" not in query.values:
            raise ApiError(400, message="starting_at: Field required")
        query.chosen("bucket_width", ("1d",))
        groups = query.lists["group_by"]
        for group in groups:
            check_among(group, _GROUPS[target.operation], "group_by")
        every = days(_time(query, "starting_at"), _time(query, "ending_at") if "ending_at" in query.values else None)
        results = self._costs if target.operation == COSTS else self._usage

        def bucket(day: date) -> Json:
            after = day + timedelta(days=1)
            place = {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{after}T00:00:00Z"}
            return {**place, "results": results(day, groups)}

        buckets, more = page(every, query, query.limit(MOST), bucket)
        document = {"data": buckets, "has_more": more is not None, "next_page": more}
        return Answer.of_json(document, headers={"request-id": f"req_{uuid.uuid4().hex}"})

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return Anthropic's error document; a 429 says when to try again."""
        known = error.status in (code.value for code in HTTPStatus)
        message = error.message or (HTTPStatus(error.status).phrase if known else "Overloaded")
        found = {"type": _ERRORS.get(error.status, "api_error"), "message": message}
        headers = {"retry-after": str(retry_after_seconds)} if error.status == 429 else {}
        document = {"type": "error", "error": found, "request_id": f"req_{uuid.uuid4().hex}"}
        return Answer.of_json(document, status=error.status, headers=headers)

    def _costs(self, day: date, groups: Sequence[str]) -> list[Json]:
        """A day's costs in cents, by model and type of token where they are grouped by description."""
        described = "description" in groups
        sums: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
        for charge in self._bills.charges("anthropic", day.isoformat()):
            token_type, words = _KINDS[charge.kind]
            sums[(charge.model, token_type, words) if described else ("", "", "")] += 100 * Decimal(repr(charge.cost))
        return [
            {
                "amount": f"{cents:f}",
                "currency": "USD",
                "workspace_id": None,  # of the default one, as where it is not asked for
                "description": f"{_title(model)} Usage - {words}" if described else None,
                "cost_type": "tokens" if described else None,
                "model": model if described else None,
                "token_type": token_type if described else None,
                "service_tier": "standard" if described else None,
                "context_window": "0-200k" if described else None,
                "inference_geo": None,
            }
            for (model, token_type, words), cents in sums.items()
        ]

    def _usage(self, day: date, groups: Sequence[str]) -> list[Json]:
        """A day's tokens, by model where they are grouped by it."""
        sums: dict[str, Counter[str]] = defaultdict(Counter)
        for charge in self._bills.charges("anthropic", day.isoformat()):
            sums[charge.model if "model" in groups else ""][_KINDS[charge.kind][0]] += charge.tokens
        return [
            {
                "uncached_input_tokens": tokens["uncached_input_tokens"],
                "cache_read_input_tokens": tokens["cache_read_input_tokens"],
                "cache_creation": {
                    f"ephemeral_{time}_input_tokens": tokens[f"cache_creation.ephemeral_{time}_input_tokens"]
                    for time in ("5m", "1h")
                },
                "output_tokens": tokens["output_tokens"],
                "server_tool_use": {"web_search_requests": 0},
                "api_key_id": None,
                "workspace_id": None,
                "model": model or None,
                "service_tier": "standard" if "service_tier" in groups else None,
                "context_window": "0-200k" if "context_window" in groups else None,
                "inference_geo": None,
            }
            for model, tokens in sums.items()
        ]


def _title(model: str) -> str:
    """How a description names a model: claude-sonnet-4-5-20250929 is Claude Sonnet 4.5."""
    return re.sub(r"(?<=\d)-(?=\d)", ".", _DATE.sub("", model)).replace("-", " ").title()


def _time(query: Query, name: str) -> datetime:
    text = query.values[name]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ApiError(400, message=f"{name}: Input should be a valid datetime") from error
    if moment.tzinfo is None:
        raise ApiError(400, message=f"{name}: Input should have timezone info")
    return moment.astimezone(UTC)
