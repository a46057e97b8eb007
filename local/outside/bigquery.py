"""Google's bill, by its export to BigQuery.

The lines have Google's names and units, and come in short pages. Format: BigQuery's REST reference. Its SQL is not run:
the parameters of the one query that is asked here are read.
"""

from __future__ import annotations

import re
import secrets

from local.outside.bills import PAGE, Bills, Charge
from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.google import GoogleAccount
from local.outside.records import Json

# The provider whose lines are of a service: https://cloud.google.com/skus
_SERVICES = {"C7E2-9256-1C43": "vertex_ai", "AEFD-7695-64FA": "gemini"}


class BigQuery:
    """BigQuery with one table, the export of the bill: a query that is never finished at once, and its results."""

    name = "bigquery"

    def __init__(self, bills: Bills, account: GoogleAccount) -> None:
        self._bills, self._account = bills, account
        self._jobs: dict[str, list[Json]] = {}

    def serves(self, host: str) -> bool:
        """Return whether the host is BigQuery's."""
        return host == "bigquery.googleapis.com"

    def target(self, request: Request) -> Target:
        """Return the operation and the job."""
        match = re.fullmatch(r"/bigquery/v2/projects/[^/]+/queries(?:/(?P<job>[^/]+))?", request.path)
        if match is None or (request.method == "POST") == bool(match["job"]):
            raise ApiError(404, code="notFound", message="Not found.")
        return Target("getQueryResults" if match["job"] else "query")

    def answer(self, request: Request, target: Target) -> Answer:
        """Begin a query, or return a page of its results."""
        if not self._account.accepts(request.bearer):
            raise ApiError(401, code="authError", message="Invalid Credentials")
        if target.operation == "query":
            return self._begin(request.json(), request.path.split("/")[4])
        job = request.path.rpartition("/")[2]
        if job not in self._jobs:
            raise ApiError(404, code="notFound", message=f"Not found: Job {job}")
        return self._results(job, int(request.query.get("pageToken", "0")))

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # Google sends none
        """Return Google's error document."""
        reason = error.code or {403: "accessDenied", 429: "rateLimitExceeded"}.get(error.status, "backendError")
        document = {"code": error.status, "message": error.message or reason, "errors": [{"reason": reason}]}
        return Answer.of_json({"error": document}, status=error.status)

    def _begin(self, body: Json, project: str) -> Answer:
        values = {one["name"]: one["parameterValue"]["value"] for one in body["queryParameters"]}
        table = re.search(r"FROM `([^`]+)`", body["query"])
        if table is None or not table[1].startswith(f"{project}.") or body["useLegacySql"]:
            raise ApiError(404, code="notFound", message="Not found: Table")
        provider = _SERVICES.get(values["service"])
        if provider is None:
            raise ApiError(400, code="invalidQuery", message="Only Vertex AI and the Gemini API are on this bill.")
        job = f"job_{secrets.token_urlsafe(12)}"
        charges = self._bills.charges(provider, values["start"][:7])
        self._jobs[job] = [_export_row(charge) for charge in charges]
        reference = {"projectId": project, "jobId": job, "location": body.get("location", "US")}
        return Answer.of_json({"kind": "bigquery#queryResponse", "jobReference": reference, "jobComplete": False})

    def _results(self, job: str, start: int) -> Answer:
        rows = self._jobs[job]
        columns = (
            ("name", "STRING"),
            ("place", "STRING"),
            ("cost", "FLOAT"),
            ("credits", "FLOAT"),
            ("amount", "FLOAT"),
        )
        answer: Json = {
            "kind": "bigquery#getQueryResultsResponse",
            "schema": {"fields": [{"name": name, "type": kind, "mode": "NULLABLE"} for name, kind in columns]},
            "jobReference": {"projectId": "", "jobId": job},
            "totalRows": str(len(rows)),
            "jobComplete": True,
        }
        if rows:  # BigQuery leaves it out of an empty result
            answer["rows"] = rows[start : start + PAGE]
        if start + PAGE < len(rows):
            answer["pageToken"] = str(start + PAGE)
        return Answer.of_json(answer)


def _export_row(charge: Charge) -> Json:
    sku = _gemini_sku(charge) if charge.provider == "gemini" else _vertex_sku(charge)
    return {"f": [{"v": value} for value in (sku, charge.place, repr(charge.cost), "0.0", repr(float(charge.tokens)))]}


def _gemini_sku(charge: Charge) -> str:
    """As the Gemini API's prices list it: thoughts are output."""
    if "embedding" in charge.model:
        return f"EmbedContent input token count for {charge.model}"
    kind = {"input": "input", "cached": "cached input"}.get(charge.kind, "output")
    return f"Generate content {kind} token count {charge.model.replace('-', ' ')} text"


def _vertex_sku(charge: Charge) -> str:
    where = " Global" if charge.place == "global" else ""
    name = charge.model.replace("-", " ").title() + where
    kinds = {
        "input": "Text Input - Predictions",
        "cached": "Text Input Caching",
        "thoughts": "Thinking Text Output - Predictions",
    }
    return f"{name} {kinds.get(charge.kind, 'Text Output - Predictions')}"
