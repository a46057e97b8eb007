"""AWS's bill, by Cost Explorer.

The lines have AWS's names and units, and come in short pages. Formats: the API reference of Cost Explorer and its
botocore model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from local.outside.bills import PAGE, Bills, Charge
from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.permissions import Permissions
from local.outside.records import Json

_MILLION = 1_000_000
_CODES = {"us-east-1": "USE1", "us-east-2": "USE2", "us-west-2": "USW2", "ap-northeast-1": "APN1", "eu-west-1": "EU"}


class CostExplorer:
    """AWS's Cost Explorer: GetCostAndUsage of whole months, by service or tag and usage type."""

    name = "cost-explorer"

    def __init__(self, bills: Bills, permissions: Permissions | None = None) -> None:
        self._bills = bills
        self._permissions = permissions or Permissions()

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
        self._permissions.check(request, "us-east-1", [("ce:GetCostAndUsage", "*")])
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
            "cache_write_1h": "cache_write_tokens_1h",
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


def _without_release(name: str) -> str:
    return re.sub(r"(-20\d{6})?(-v\d+(:\d+)?)?$", "", name)
