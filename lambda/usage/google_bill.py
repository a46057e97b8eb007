"""Vertex AI and the Gemini API on Google's bill, by the billing export to BigQuery.

A line is an SKU in a location: "Gemini 3.8 Flash Global Text Input - Predictions", "Gemini 2.5 Flash GA Text Input
Caching" (read from the cache), "Gemini 2.5 Flash GA Thinking Text Output - Predictions". The kinds of token are SKUs of
their own: https://cloud.google.com/skus/sku-groups/gen-ai-v2

The Gemini API's, those of AI Studio, are of another service, and the model stands at the end: "Generate content cached
input token count gemini 2.5 flash input image", "Generate_content text output token count for gemini 3 flash",
"EmbedContent input token count for gemini-embedding-001". So the service's prices list them (Cloud Billing's API,
services/AEFD-7695-64FA/skus), and organizations have published them. It has one address for all places, and what its
lines say of a location is not taken for one. What the free tier answers costs nothing there, which LiteLLM's list does
not know.

`cost` is before credits, at the prices of the account; what credits and discounts take off stands in `credits` and is
stated, not counted. Only the cost type `regular` counts: tax, adjustments and rounding have others. A bill in another
currency is divided by `currency_conversion_rate`, which is that of US dollars to it:
https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage

Usage is taken by its time, in UTC as LiteLLM's is, and not by the invoice's month, which is of Pacific time. Google
exports throughout the day and late, and backfills a new export for up to five days; it marks nothing as preliminary.

Integrates with BigQuery's REST API (jobs.query, jobs.getQueryResults), as a service account.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.urllib3 import AuthorizedHttp
from google.oauth2 import service_account
from urllib3 import PoolManager

from usage.bill_lines import Kind, Line, Statement
from usage.clouds import TIMEOUT, Json, ask, pool
from usage.environment import GeminiBill, GoogleBill
from usage.errors import RefusedError, UnavailableError, harmless
from usage.figures import Period

API = "https://bigquery.googleapis.com/bigquery/v2"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# The services' ids, which stay as the names change: https://cloud.google.com/skus
SERVICE = "C7E2-9256-1C43"  # Vertex AI
GEMINI_SERVICE = "AEFD-7695-64FA"  # Gemini API
PAGE = 1000  # rows
WAIT = 30_000  # milliseconds that BigQuery waits for the job within one request
POLLS = 10

_TABLE = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]\.[A-Za-z0-9_]+\.[A-Za-z0-9_]+")
# Where the model's name ends: the word for its release, its location, what goes in or out, or how it is served.
_END = re.compile(
    r"\s+-?\s*\b(?:GA|Global|Priority|Flex|Batch|Long|Thinking\b|(?:Text|Image|Audio|Video)\s+(?:Input|Output)|"
    r"Input|Output|Caching|Embedding\s+(?:Input|Output))\b",
    re.IGNORECASE,
)
# What stands before the Gemini API's model, and after it: each of the words once, as a model may end like one of them
# ("gemini 3 pro image").
_COUNT = re.compile(r".*\btokens? count\s+(?:for\s+)?", re.IGNORECASE)
_SERVED = re.compile(
    r"(?:\s+(?:short|long))?(?:\s+(?:input|output))?(?:\s+(?:short|long))?(?:\s+(?:text|image|audio|video))?"
    r"(?:\s+(?:non-)?thinking)?(?:\s+(?:flex|batch|priority))?(?:\s+caching)?$",
    re.IGNORECASE,
)
# Locations of the export: of a global endpoint it has no region.
QUERY = """
SELECT
  sku.description AS name,
  COALESCE(location.region, location.location, 'global') AS place,
  SUM(cost / IF(currency_conversion_rate > 0, currency_conversion_rate, 1)) AS cost,
  SUM((SELECT COALESCE(SUM(credit.amount), 0) FROM UNNEST(credits) AS credit)
    / IF(currency_conversion_rate > 0, currency_conversion_rate, 1)) AS credits,
  SUM(usage.amount) AS amount
FROM `{table}`
WHERE service.id = @service AND cost_type = 'regular' AND usage_start_time >= @start AND usage_start_time < @end
  AND (@project = '' OR project.id = @project)
GROUP BY name, place
ORDER BY name, place
"""


def read(
    period: Period, settings: GoogleBill, credentials: str, *, project: str = "", http: PoolManager | None = None
) -> Statement:
    """Return what Vertex AI cost in a month, by model, location and kind of token; of one project, if it is named.

    Raises
    ------
    UnavailableError, RefusedError
        Google did not answer, or refused: the service account, its roles, or an export that is not there.
    """
    lines, discount = _read(SERVICE, period, settings, credentials, project, _line, http)
    return Statement(lines, discount=discount)


def read_gemini(
    period: Period, settings: GeminiBill, credentials: str, *, http: PoolManager | None = None
) -> Statement:
    """Return what the Gemini API cost in a month, by model and kind of token, of the project of its key.

    Raises
    ------
    UnavailableError, RefusedError
        As `read`.
    """
    lines, discount = _read(GEMINI_SERVICE, period, settings, credentials, settings.project, _gemini_line, http)
    return Statement(lines, discount=discount, placed=False)


def _read(
    service: str,
    period: Period,
    settings: GoogleBill,
    credentials: str,
    project: str,
    line: Callable[[Json], Line],
    http: PoolManager | None,
) -> tuple[list[Line], float]:
    """The lines of one of Google's services, and what is taken off them, in US dollars."""
    if not _TABLE.fullmatch(settings.table):
        setting = "bill.gemini" if service == GEMINI_SERVICE else "bill.google"
        raise RefusedError(f"{setting}'s table {settings.table} is not as project.dataset.table")
    values = {
        "service": ("STRING", service),
        "start": ("TIMESTAMP", f"{period.first}T00:00:00Z"),
        "end": ("TIMESTAMP", f"{period.last + timedelta(days=1)}T00:00:00Z"),
        "project": ("STRING", project),
    }
    rows = list(_rows(_authorized(credentials, http or pool()), settings, values))
    return [line(row) for row in rows], -sum(float(row["credits"] or 0) for row in rows)


def kind_of(sku: str) -> Kind:
    """Return the kind of token of an SKU. Hours of a cache's storage are none."""
    text = sku.lower()
    if "storage" in text:
        return "other"
    if "caching" in text or "cached" in text:
        return "cached"
    return "output" if "output" in text else "input" if "input" in text else "other"


def _line(row: Json) -> Line:
    sku = str(row["name"])
    end = _END.search(sku)
    location = str(row["place"]).lower()
    return Line(
        text=f"{location}: {sku}",
        model=sku[: end.start()] if end else sku,
        region=location,
        kind=kind_of(sku),
        cost=float(row["cost"] or 0),
        quantity=float(row["amount"] or 0),
    )


def _gemini_line(row: Json) -> Line:
    sku = str(row["name"])
    model = _SERVED.sub("", _COUNT.sub("", sku)) if _COUNT.match(sku) else sku
    return Line(
        text=sku,
        model=model,
        region="global",
        kind=kind_of(sku),
        cost=float(row["cost"] or 0),
        quantity=float(row["amount"] or 0),
    )


def _authorized(credentials: str, http: PoolManager) -> AuthorizedHttp:
    try:
        account = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            json.loads(credentials), scopes=[SCOPE]
        )
    except ValueError as error:
        raise RefusedError(
            "GOOGLE_BILLING_CREDENTIALS is not the JSON key of a service account: store it anew (make secrets)"
        ) from error
    return AuthorizedHttp(account, http=http)  # type: ignore[no-untyped-call]


def _rows(http: AuthorizedHttp, settings: GoogleBill, values: dict[str, tuple[str, str]]) -> Iterator[Json]:
    """Every row of the query's answer, by column."""
    project = settings.table.partition(".")[0]
    body = {
        "query": QUERY.format(table=settings.table),  # no parameter can be a table's name; it has been checked
        "useLegacySql": False,
        "location": settings.location,
        "timeoutMs": WAIT,
        "maxResults": PAGE,
        "parameterMode": "NAMED",
        "queryParameters": [
            {"name": name, "parameterType": {"type": kind}, "parameterValue": {"value": value}}
            for name, (kind, value) in values.items()
        ],
    }
    page = _ask(http, "POST", f"{API}/projects/{project}/queries", body=json.dumps(body))
    job = page.get("jobReference", {})
    again = f"{API}/projects/{project}/queries/{job.get('jobId')}"
    fields = {"location": str(job.get("location") or settings.location), "timeoutMs": WAIT, "maxResults": PAGE}
    for _ in range(POLLS):
        if page.get("jobComplete"):
            break
        page = _ask(http, "GET", again, fields=fields)
    else:
        raise UnavailableError(f"BigQuery did not finish the query of {settings.table} in {POLLS * WAIT // 1000} s")
    while True:
        names = [field["name"] for field in page["schema"]["fields"]]
        for row in page.get("rows") or ():
            yield dict(zip(names, (cell["v"] for cell in row["f"]), strict=True))
        if not page.get("pageToken"):
            return
        page = _ask(http, "GET", again, fields=fields | {"pageToken": page["pageToken"]})


def _ask(http: AuthorizedHttp, method: str, url: str, **request: Any) -> Json:  # noqa: ANN401 - urllib3's own
    headers = {"Content-Type": "application/json"}
    try:
        return ask(
            "Google's BigQuery",
            lambda: http.request(method, url, headers=dict(headers), timeout=TIMEOUT, retries=False, **request),
            advice="see the table and location of bill.google and bill.gemini, whether the export to it is on, and "
            "whether the service account has the roles BigQuery Data Viewer on the table and BigQuery Job User on its "
            "project",
        )
    except TransportError as error:
        raise UnavailableError("Google's sign-in did not answer") from error
    except GoogleAuthError as error:
        if error.retryable:
            raise UnavailableError("Google's sign-in did not answer") from error
        reason = harmless(str(next(iter(error.args), "")))  # what comes after it is the answer as a whole
        raise RefusedError(
            f"Google does not let the service account in ({reason or 'no reason given'}): store its key anew as "
            "GOOGLE_BILLING_CREDENTIALS (make secrets)"
        ) from error
