"""OpenAI's bill, by the costs of its administration API.

The lines have OpenAI's names, of the release that answered, and come by day. Formats: OpenAI's API reference
(openapi.yaml of openai/openai-openapi, `/organization/costs`) and the parameters of its SDK 3.54
(openai/types/admin/organization/usage_costs_params.py); the names of line items are those that organizations have
published. Grouping by what is not simulated, users, keys and sources, is refused, as other lists are.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

from local.outside.bills import Bills
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.records import Json
from local.outside.reports import Query, check_among, days, page

HOST = "api.openai.com"
PATH = "/v1/organization/costs"
PROJECT = "proj_simulated"  # that all calls are of
MOST = 180  # buckets of a page
# What cost is told of each kind of token.
_KINDS = {
    "input": "input",
    "cached": "cached input",
    "cache_write": "cache writes",
    "cache_write_1h": "cache writes",
    "output": "output",
    "thoughts": "output",
}
# What a key of a project gets.
_SCOPE = "You have insufficient permissions for this operation. Missing scopes: api.usage.read."
_ERRORS = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", None, _SCOPE),
    404: ("invalid_request_error", None, "Not found"),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}


class OpenAiCosts:
    """OpenAI's administration API: the organization's costs by day, line item and project."""

    name = "openai-costs"
    below = "/v1/organization/"

    def __init__(self, bills: Bills, admin_key: str) -> None:
        self._bills, self._admin_key = bills, admin_key

    def serves(self, host: str) -> bool:
        """Return whether the host is that of OpenAI's API."""
        return host == HOST

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        if request.method != "GET" or request.path != PATH:
            raise ApiError(404, message=f"Invalid URL ({request.method} {request.path})")
        return Target("organization/costs")

    def answer(self, request: Request, target: Target) -> Answer:  # there is but one operation
        """Return a page of the costs."""
        self._check_key(request.bearer)
        values = ("start_time", "end_time", "bucket_width", "limit", "page")
        query = Query.of(request, values=values, lists=("group_by", "project_ids"))
        if "start_time" not in query.values:
            raise ApiError(400, message="Missing required parameter: 'start_time'.")
        query.chosen("bucket_width", ("1d",))
        groups = query.lists["group_by"]
        for group in groups:
            check_among(group, ("project_id", "line_item"), "group_by")
        projects = query.lists["project_ids"]
        every = days(_time(query, "start_time"), _time(query, "end_time") if "end_time" in query.values else None)

        def bucket(day: date) -> Json:
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            return {
                "object": "bucket",
                "start_time": int(start.timestamp()),
                "end_time": int((start + timedelta(days=1)).timestamp()),
                "results": self._results(day, groups) if not projects or PROJECT in projects else [],
            }

        buckets, more = page(every, query, query.limit(MOST), bucket)
        document = {"object": "page", "data": buckets, "has_more": more is not None, "next_page": more}
        return Answer.of_json(document, headers={"x-request-id": f"req_{uuid.uuid4().hex}"})

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return OpenAI's error document; a 429 says when to try again."""
        kind, code, message = _ERRORS.get(
            error.status, ("invalid_request_error", None, HTTPStatus(error.status).phrase)
        )
        found = {"message": error.message or message, "type": kind, "param": None, "code": error.code or code}
        headers = {"retry-after": str(retry_after_seconds)} if error.status == 429 else {}
        return Answer.of_json({"error": found}, status=error.status, headers=headers)

    def _check_key(self, key: str) -> None:
        if key.startswith("sk-proj-"):
            raise ApiError(403)
        if not same(key, self._admin_key):
            raise ApiError(401)

    def _results(self, day: date, groups: Sequence[str]) -> list[Json]:
        """A day's costs: a line for each combination of what they are grouped by, and null for what they are not."""
        sums: dict[str | None, tuple[float, int]] = {}
        for charge in self._bills.charges("openai", day.isoformat()):
            item = f"{self._release(charge.model)}, {_KINDS[charge.kind]}" if "line_item" in groups else None
            cost, tokens = sums.get(item, (0.0, 0))
            sums[item] = (cost + charge.cost, tokens + charge.tokens)
        return [
            {
                "object": "organization.costs.result",
                "amount": {"value": cost, "currency": "usd"},
                "line_item": item,
                "project_id": PROJECT if "project_id" in groups else None,
                "api_key_id": None,
                "quantity": tokens if item else None,
                "quantity_unit": "tokens" if item else None,
            }
            for item, (cost, tokens) in sums.items()
        ]

    def _release(self, model: str) -> str:
        """The newest release of a model that the list of prices has, as which one without a date is billed."""
        dated = re.compile(re.escape(model) + r"-20\d\d-\d\d-\d\d")
        return max((name for name in self._bills.listed() if dated.fullmatch(name)), default=model)


def _time(query: Query, name: str) -> datetime:
    text = query.values[name]
    if not text.isdecimal():
        raise ApiError(400, message=f"Invalid type for '{name}': expected an integer, but got '{text}' instead.")
    return datetime.fromtimestamp(int(text), UTC)
