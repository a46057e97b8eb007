"""The clouds' bills of the answered calls: Cost Explorer, Azure's Cost Management, and Google's export to BigQuery.

Each bill has what the simulated provider answered, at the prices of the pinned LiteLLM's list, reckoned as the
providers publish it: what no cache had at the input price, what was read from and written to a cache at theirs, the
output with its thoughts at the output price. A deployment has the prices and the model that config.yaml gives it
(`Deployment`). What neither it nor the list prices is not billed. The lines have the
names and units of each cloud, and come in short pages. `Bills.distort` makes a bill wrong.

The records of calls may be cleared and the process may end: a bill stays. Formats: the API reference of Cost Explorer
and its botocore model, Microsoft's REST reference of Cost Management's query and of its sign-in, and BigQuery's REST
reference. BigQuery's SQL is not run: the parameters of the one query that is asked here are read.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.google import GoogleToken
from local.outside.records import Call, Journal, Json
from stacks import CHECKOUT

PAGE = 5  # lines, so that there are pages
_MILLION = 1_000_000
_CODES = {"us-east-1": "USE1", "us-east-2": "USE2", "us-west-2": "USW2", "ap-northeast-1": "APN1", "eu-west-1": "EU"}
_GEOGRAPHY = re.compile(r"^(us|eu|apac|jp|au|us-gov|global)\.")
_SERVICE = "C7E2-9256-1C43"  # Vertex AI


@dataclass(frozen=True, slots=True)
class Charge:
    """One kind of token of a model in a place, in one month.

    `place` is the AWS region, the Azure resource or Google's location; `kind` is input, cached, cache_write,
    cache_write_1h, output or thoughts; `cost` is in US dollars.
    """

    provider: str
    place: str
    model: str
    kind: str
    tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """What config.yaml says of a provider's deployment: the model that it is priced as, and prices of its own.

    `base` is a name in LiteLLM's list, "" where it is the deployment's own; `prices` have the list's names.
    """

    base: str = ""
    prices: Mapping[str, float] = field(default_factory=dict)


Deployments = Mapping[tuple[str, str, str], Deployment]
"""By provider, place and model, as in a `Charge`."""


@dataclass
class Bills:
    """What was used, by month; safe to use from any thread. `preliminary` is what Cost Explorer says of its figures.

    `deployments` are those whose price is not that of their name. It is kept in `file`, as LiteLLM keeps what was
    spent: otherwise the two would differ after a restart.

    Raises
    ------
    ValueError
        The file is not what it should be.
    """

    file: Path
    deployments: Deployments = field(default_factory=dict)
    preliminary: bool = False
    _tokens: Counter[tuple[str, str, str, str, str]] = field(default_factory=Counter)
    _factors: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.file.exists():
            try:
                self._tokens.update({tuple(key): int(count) for *key, count in json.loads(self.file.read_text())})
            except (TypeError, ValueError) as error:
                raise ValueError(f"{self.file} is not a bill; delete it to begin a new one.") from error

    def save(self) -> None:
        """Write the file."""
        with self._lock:
            self.file.write_text(json.dumps([[*key, count] for key, count in sorted(self._tokens.items())]))

    def add(self, call: Call) -> None:
        """Put an answered call on the bill: one that was cut has been answered by the provider all the same."""
        if call.status != 200 or not call.model:
            return
        month = f"{datetime.fromtimestamp(call.time, UTC):%Y-%m}"
        with self._lock:
            for kind, count in _counted(call).items():
                self._tokens[month, call.provider, _place(call), call.model, kind] += count

    def cost(self, call: Call) -> float | None:
        """Return what an answered call is billed, in US dollars; None if nothing prices its model."""
        prices = {kind: self._price(call.provider, _place(call), call.model, kind) for kind in _counted(call)}
        found = {kind: price for kind, price in prices.items() if price is not None}
        return sum(count * found[kind] for kind, count in _counted(call).items()) if found else None

    def distort(self, model: str, factor: float) -> None:
        """Multiply what is billed of a model; `model` may have wildcards: "*claude-opus*"."""
        with self._lock:
            self._factors[model] = factor

    def mend(self) -> None:
        """Take every distortion back."""
        with self._lock:
            self._factors.clear()

    def charges(self, provider: str, month: str) -> list[Charge]:
        """Return a month's lines of a provider, such as bedrock in 2026-11, in the order of their names."""
        with self._lock:
            tokens, factors = sorted(self._tokens.items()), dict(self._factors)
        found = []
        for (of_month, of_provider, place, model, kind), count in tokens:
            price = self._price(provider, place, model, kind)
            if (of_month, of_provider) == (month, provider) and count and price is not None:
                factor = next((f for pattern, f in factors.items() if fnmatchcase(model, pattern)), 1.0)
                found.append(Charge(provider, place, model, kind, count, count * price * factor))
        return found

    def _price(self, provider: str, place: str, model: str, kind: str) -> float | None:
        """US dollars of one token; None if nothing prices the model."""
        deployment = self.deployments.get((provider, place, model), Deployment())
        named = deployment.base or model
        listed = next((_prices()[name] for name in _names(provider, place, named) if name in _prices()), {})
        price = _price({**listed, **deployment.prices}, kind)
        # A model of Vertex AI may cost more in a region than by the global endpoint.
        dearer = float(listed.get("regional_endpoint_uplift_multiplier", 1.0)) if place != "global" else 1.0
        return price if price is None else price * dearer


def _place(call: Call) -> str:
    return call.region or call.host.partition(".")[0]


def _counted(call: Call) -> dict[str, int]:
    """A call's tokens by the kinds that have prices."""
    usage = call.usage
    return {
        "input": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cached": usage.cached_tokens,
        "cache_write": usage.cache_write_tokens - usage.cache_write_1h_tokens,
        "cache_write_1h": usage.cache_write_1h_tokens,
        "output": usage.output_tokens - usage.reasoning_tokens,
        "thoughts": usage.reasoning_tokens,
    }


class BilledJournal(Journal):
    """A journal whose calls are put on the bills."""

    def __init__(self, bills: Bills) -> None:
        super().__init__()
        self.bills = bills

    def add_call(self, call: Call) -> None:
        """Keep one answered request."""
        super().add_call(call)
        self.bills.add(call)


class CostExplorer:
    """AWS's Cost Explorer: GetCostAndUsage of whole months, by service or tag and usage type."""

    name = "cost-explorer"

    def __init__(self, bills: Bills) -> None:
        self._bills = bills

    def serves(self, host: str) -> bool:
        """Return whether the host is Cost Explorer's, which is in one region for all."""
        return host == "ce.us-east-1.amazonaws.com"

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        if request.headers.get("x-amz-target") != "AWSInsightsIndexService.GetCostAndUsage":
            raise ApiError(400, code="UnknownOperationException", message="The operation is not known.")
        return Target("GetCostAndUsage")

    def answer(self, request: Request, target: Target) -> Answer:  # there is but one operation
        """Return a page of the lines."""
        if "/us-east-1/ce/aws4_request" not in request.headers.get("authorization", ""):
            raise ApiError(403, code="InvalidSignatureException", message="Credential should be scoped to ce.")
        body = request.json()
        period, first = body["TimePeriod"], body["GroupBy"][0]
        if body["Granularity"] != "MONTHLY" or not period["Start"].endswith("-01"):
            raise ApiError(400, code="ValidationException", message="Only whole months are simulated.")
        groups = list(self._groups(period["Start"][:7], f"{first['Key']}$" if first["Type"] == "TAG" else ""))
        start = int(body.get("NextPageToken", "0"))
        result = {"TimePeriod": period, "Total": {}, "Groups": groups[start : start + PAGE]}
        answer: Json = {
            "GroupDefinitions": body["GroupBy"],
            "ResultsByTime": [result | {"Estimated": self._bills.preliminary}],
            "DimensionValueAttributes": [],
        }
        if start + PAGE < len(groups):
            answer["NextPageToken"] = str(start + PAGE)
        return Answer.of_json(answer, headers={"content-type": "application/x-amz-json-1.1"})

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # AWS sends none
        """Return AWS's error document."""
        codes = {403: "AccessDeniedException", 429: "LimitExceededException"}
        document = {"__type": error.code or codes.get(error.status, "ServiceException"), "message": error.message}
        return Answer.of_json(document, status=error.status, headers={"content-type": "application/x-amz-json-1.1"})

    def _groups(self, month: str, untagged: str) -> Iterator[Json]:
        """One group of two keys for each line; no line has a tag."""
        for charge in self._bills.charges("bedrock", month):
            service, usage, unit = _bedrock_line(charge)
            yield _group(untagged or service, usage, charge.cost, charge.tokens / unit)
        yield _group(untagged or "Amazon Simple Storage Service", "TimedStorage-ByteHrs", 0.023, 1.0)


class MicrosoftSignIn:
    """Microsoft's sign-in for applications, with their client secret."""

    name = "microsoft-sign-in"

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._token = secrets.token_urlsafe(32)

    def serves(self, host: str) -> bool:
        """Return whether the host is that of the sign-in."""
        return host == "login.microsoftonline.com"

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        if request.method != "POST" or not re.fullmatch(r"/[0-9a-f-]{36}/oauth2/v2\.0/token", request.path):
            raise ApiError(404, code="invalid_request", message="The endpoint is not known.")
        return Target("token")

    def answer(self, request: Request, target: Target) -> Answer:  # there is but one operation
        """Exchange the client secret for an access token."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if (
            form.get("grant_type") != "client_credentials"
            or form.get("scope") != "https://management.azure.com/.default"
        ):
            raise ApiError(400, code="invalid_request", message="AADSTS900144: The request body is not complete.")
        if not hmac.compare_digest(form.get("client_secret", "").encode(), self._secret.encode()):
            raise ApiError(401, code="invalid_client", message="AADSTS7000215: Invalid client secret provided.")
        return Answer.of_json({"token_type": "Bearer", "expires_in": 3599, "access_token": self._token})

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return an OAuth error."""
        document = {"error": error.code or "temporarily_unavailable", "error_description": error.message}
        return Answer.of_json(document, status=error.status, headers={"retry-after": str(retry_after_seconds)})

    def accepts(self, authorization: str) -> bool:
        """Return whether a header has the access token."""
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode())


class CostManagement:
    """Azure's Cost Management: the query of a subscription's costs by resource and meter."""

    name = "cost-management"

    def __init__(self, bills: Bills, sign_in: MicrosoftSignIn) -> None:
        self._bills, self._sign_in = bills, sign_in

    def serves(self, host: str) -> bool:
        """Return whether the host is Azure's management."""
        return host == "management.azure.com"

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        path = r"/subscriptions/[0-9a-f-]{36}/providers/Microsoft\.CostManagement/query"
        if request.method != "POST" or not re.fullmatch(path, request.path) or "api-version" not in request.query:
            raise ApiError(404, code="NotFound", message="The resource was not found.")
        return Target("query")

    def answer(self, request: Request, target: Target) -> Answer:  # there is but one operation
        """Return a page of the lines."""
        if not self._sign_in.accepts(request.headers.get("authorization", "")):
            raise ApiError(401, code="InvalidAuthenticationToken", message="The access token is invalid.")
        body = request.json()
        subscription = request.path.split("/")[2]
        if [group["name"] for group in body["dataset"]["grouping"]] != ["ResourceId", "Meter"]:
            raise ApiError(400, code="BadRequest", message="Only resources and meters are simulated.")
        rows = [
            [
                charge.cost,
                charge.tokens / _MILLION,
                f"/subscriptions/{subscription}/resourcegroups/llm/providers/microsoft.cognitiveservices/accounts/"
                f"{charge.place}",
                _azure_meter(charge),
                "USD",
            ]
            for charge in self._bills.charges("azure", body["timePeriod"]["from"][:7])
        ]
        start = int(request.query.get("$skiptoken", "0"))
        again = f"https://management.azure.com{request.path}?api-version={request.query['api-version']}&$skiptoken="
        columns = {"CostUSD": "Number", "UsageQuantity": "Number", "ResourceId": "String", "Meter": "String"}
        properties = {
            "nextLink": f"{again}{start + PAGE}" if start + PAGE < len(rows) else None,
            "columns": [{"name": name, "type": kind} for name, kind in (columns | {"Currency": "String"}).items()],
            "rows": rows[start : start + PAGE],
        }
        document = {"id": secrets.token_hex(8), "type": "Microsoft.CostManagement/query", "properties": properties}
        return Answer.of_json(document)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return Azure's error document; a 429 says in Cost Management's own header when to try again."""
        codes = {403: "AuthorizationFailed", 429: "429", 503: "ServiceUnavailable"}
        headers = {}
        if error.status in (429, 503):
            headers = {"x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after": str(retry_after_seconds)}
        code = error.code or codes.get(error.status, str(error.status))
        message = error.message or "The request was not answered."
        return Answer.of_json({"error": {"code": code, "message": message}}, status=error.status, headers=headers)


class GoogleTokens:
    """Google's token endpoint for several service accounts."""

    name = GoogleToken.name

    def __init__(self, *accounts: GoogleToken) -> None:
        self._accounts = accounts

    def serves(self, host: str) -> bool:
        """Return whether the host is the token endpoint's."""
        return self._accounts[0].serves(host)

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        return self._accounts[0].target(request)

    def answer(self, request: Request, target: Target) -> Answer:
        """Exchange the assertion of one of the accounts."""
        for account in self._accounts[:-1]:
            try:
                return account.answer(request, target)
            except ApiError:
                continue
        return self._accounts[-1].answer(request, target)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return an OAuth error."""
        return self._accounts[0].error(error, retry_after_seconds)


class BigQuery:
    """BigQuery with one table, the export of the bill: a query that is never finished at once, and its results."""

    name = "bigquery"

    def __init__(self, bills: Bills, tokens: GoogleToken) -> None:
        self._bills, self._tokens = bills, tokens
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
        if not self._tokens.accepts(request.headers.get("authorization", "").removeprefix("Bearer ")):
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
        if values["service"] != _SERVICE:
            raise ApiError(400, code="invalidQuery", message="Only Vertex AI is on this bill.")
        job = f"job_{secrets.token_urlsafe(12)}"
        charges = self._bills.charges("vertex_ai", values["start"][:7])
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


def _group(first: str, second: str, cost: float, quantity: float) -> Json:
    dollars = {"Amount": f"{cost:.10f}", "Unit": "USD"}
    quantities = {"Amount": f"{quantity:.10f}", "Unit": "N/A"}
    metrics = {"UnblendedCost": dollars, "NetUnblendedCost": dollars, "UsageQuantity": quantities}
    return {"Keys": [first, second], "Metrics": metrics}


def _bedrock_line(charge: Charge) -> tuple[str, str, int]:
    """The service, the usage type and the size of its unit."""
    profile, _, name = charge.model.rpartition("anthropic.")
    code = _CODES.get(charge.place, charge.place)
    if name != charge.model:
        everywhere = "_global" if profile == "global." else ""
        words = re.sub(r"(?<=\d)-(?=\d)", ".", _without_release(name)).split("-")
        kinds = {
            "input": "input_tokens",
            "cached": "cache_read_tokens",
            "cache_write": "cache_write_tokens",
            "cache_write_1h": "cache_write_1h_tokens",
        }
        usage = f"{code}-MP:{code}_{kinds.get(charge.kind, 'output_tokens')}{everywhere}_standard-Units"
        return f"{' '.join(words).title()} (Amazon Bedrock Edition)", usage, _MILLION
    kinds = {"input": "input-tokens", "cached": "cache-read-input-token-count"}
    kinds |= dict.fromkeys(("cache_write", "cache_write_1h"), "cache-write-input-token-count")
    usage = f"{code}-{_amazon_name(charge.model)}-{kinds.get(charge.kind, 'output-tokens')}"
    return "Amazon Bedrock", f"{usage}-cross-region-global" if charge.model.startswith("global.") else usage, 1000


def _amazon_name(model: str) -> str:
    """How AWS writes its own models on bills; those of others as their ids."""
    if match := re.search(r"amazon\.nova-(?:(\d+)-)?([a-z]+)", model):
        return f"Nova{f'{match[1]}.0' if match[1] else ''}{match[2].title()}"
    if match := re.search(r"amazon\.titan-embed-text-v(\d)", model):
        return f"TitanEmbeddingV{match[1]}-Text"
    return f"{re.sub(r'^(us|eu|apac|global)[.]|-v?[0-9]+:[0-9]+$', '', model)}-mantle"


def _azure_meter(charge: Charge) -> str:
    """The meter of a model that is served globally; embeddings have one for all."""
    name = re.sub(r"-20\d\d-\d\d-\d\d$", "", charge.model)
    if "embedding" in name:
        return f"{name} glbl Tokens"
    kinds = {"input": "Inp", "cached": "Cd Inp"} | dict.fromkeys(("cache_write", "cache_write_1h"), "Cd Wr")
    words = name.removeprefix("gpt-").replace("-", " ")
    return f"{words} ShortCo {kinds.get(charge.kind, 'Opt')} Std Gl 1M Tokens"


def _export_row(charge: Charge) -> Json:
    where = " Global" if charge.place == "global" else ""
    name = charge.model.replace("-", " ").title() + where
    kinds = {
        "input": "Text Input - Predictions",
        "cached": "Text Input Caching",
        "thoughts": "Thinking Text Output - Predictions",
    }
    sku = f"{name} {kinds.get(charge.kind, 'Text Output - Predictions')}"
    return {"f": [{"v": value} for value in (sku, charge.place, repr(charge.cost), "0.0", repr(float(charge.tokens)))]}


def _without_release(name: str) -> str:
    return re.sub(r"(-20\d{6})?(-v\d+(:\d+)?)?$", "", name)


def _names(provider: str, place: str, model: str) -> tuple[str, ...]:
    """Under which names the list may have a model, the most particular first."""
    if provider == "bedrock":
        return (f"bedrock/{place}/{model}", model, _GEOGRAPHY.sub("", model))
    return (f"{provider}/{model}", model)


def _price(found: Mapping[str, Any], kind: str) -> float | None:
    """US dollars of one token by a model's prices; None if there are none."""
    if not any(re.match(r"(in|out)put_cost_per_", name) for name in found):
        return None
    price, output = float(found.get("input_cost_per_token", 0.0)), float(found.get("output_cost_per_token", 0.0))
    written = float(found.get("cache_creation_input_token_cost", price))
    prices = {
        "input": price,
        "cached": float(found.get("cache_read_input_token_cost", price)),
        "cache_write": written,
        "cache_write_1h": float(found.get("cache_creation_input_token_cost_above_1hr", written)),
        "output": output,
        "thoughts": float(found.get("output_cost_per_reasoning_token", output)),
    }
    return prices[kind]


@cache
def _prices() -> dict[str, dict[str, Any]]:
    """The price list of the pinned LiteLLM."""
    files = sorted((CHECKOUT / ".tools/litellm").glob("lib/*/site-packages/litellm/model_prices*backup.json"))
    if not files:
        raise ApiError(500, message="There is no price list to reckon a bill with: run make setup.")
    prices: dict[str, dict[str, Any]] = json.loads(files[0].read_text())
    return prices
