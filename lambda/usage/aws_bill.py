"""Amazon Bedrock on AWS's bill, by Cost Explorer.

What the lines look like, from AWS's "Understanding your Amazon Bedrock Cost and Usage Report data"
(https://docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-understanding-cur-data.html), the public price lists
AmazonBedrock and AmazonBedrockFoundationModels, and https://github.com/grafana/cloudcost-exporter/issues/933:

- Models that AWS sells itself (Nova, Titan, Llama, Mistral, gpt-oss, …) are of the service "Amazon Bedrock", a usage
  type for each kind of token: USW2-Nova2.0Lite-input-tokens, …-cache-read-input-token-count,
  USE1-openai.gpt-oss-120b-mantle-output-tokens-standard. They are billed in thousands of tokens.
- Models that AWS Marketplace sells (Anthropic, Cohere, OpenAI's GPT) are services of their own, "Claude Opus 5.5
  (Amazon Bedrock Edition)", with USW2-MP:USW2_input_tokens_standard-Units, before Claude 4.7
  USW2-MP:USW2_InputTokenCount-Units. They are billed in millions of tokens.
- The region is in the usage type, and is that in which the call was made, wherever a cross-region inference profile had
  it answered. Calls of a global profile are lines of their own, at about a tenth less: …_global_standard-Units,
  …_Global-Units, …-cross-region-global.

`UnblendedCost` of the record type Usage is what LiteLLM's list prices should come to: credits, refunds, taxes, fees and
the discount of an enterprise agreement are records of other types. `NetUnblendedCost` has the discounts taken off, so
it would differ from list prices every month; the difference of the two is stated, not counted.

AWS closes a month between the third and the fifth of the next one (https://repost.aws/knowledge-center/monthly-aws-billing);
until then Cost Explorer calls its figures estimated. Each of its pages costs 0.01 USD.

Integrates with Cost Explorer (GetCostAndUsage), which is served in us-east-1 for all regions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from usage.bill_lines import Kind, Line, Profiles, Statement
from usage.errors import RefusedError, UnavailableError, harmless
from usage.figures import Period

REGION = "us-east-1"
METRICS = ("UnblendedCost", "NetUnblendedCost", "UsageQuantity")
RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 6}, connect_timeout=5, read_timeout=60)
LATER = frozenset(
    {"LimitExceededException", "ThrottlingException", "DataUnavailableException", "BillExpirationException"}
)

# USE1-…, and within a usage type of AWS Marketplace once more: USE1-MP:USE1_…
_USAGE = re.compile(r"^(?:(?P<code>[A-Z]{2,4}\d?)-)?(?:MP:(?:(?P<inner>[A-Z]{2,4}\d?)_)?)?(?P<body>.+)$")
# Where the name of the model ends and the kind of token begins, in a usage type of the service Amazon Bedrock.
_UNIT = re.compile(
    r"-(?:mantle-)?(?:cache-(?:read|write)-)?(?:input|output)-|-(?:searchunits|created-image)", re.IGNORECASE
)
_EDITION = " (Amazon Bedrock Edition)"
# Codes of regions on bills are area, direction and number (USW2, EUC1, APN1); these differ from their regions' names.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/aws-usage-report-understand.html
_AREAS = {"US": "us", "EU": "eu", "AP": "ap", "SA": "sa", "ME": "me", "AF": "af", "IL": "il", "MX": "mx"}
_DIRECTIONS = {"E": "east", "W": "west", "N": "north", "S": "south", "C": "central"}
_IRREGULAR = {
    "": "us-east-1",
    "EU": "eu-west-1",
    "APN1": "ap-northeast-1",
    "APN2": "ap-northeast-2",
    "APN3": "ap-northeast-3",
    "APS1": "ap-southeast-1",
    "APS2": "ap-southeast-2",
    "APS3": "ap-south-1",
    "APS4": "ap-southeast-3",
    "APS5": "ap-south-2",
    "APS6": "ap-southeast-4",
    "APS7": "ap-southeast-5",
    "CAN1": "ca-central-1",
    "CAN2": "ca-west-1",
    "UGW1": "us-gov-west-1",
    "UGE1": "us-gov-east-1",
}


def read(period: Period, account: str, client: Any = None) -> Statement:  # noqa: ANN401 - boto3's clients have no common type
    """Return what the account's Bedrock cost in a month, by model, region and kind of token.

    Of an organisation's management account, which sees all of them, only the account's own lines are read.

    Raises
    ------
    UnavailableError, RefusedError
        Cost Explorer did not answer, or refused.
    """
    lines, discount, preliminary = [], 0.0, False
    dimensions = [{"Type": "DIMENSION", "Key": key} for key in ("SERVICE", "USAGE_TYPE")]
    for group, estimated in _groups(period, account, dimensions, client):
        service, usage = group["Keys"]
        preliminary |= estimated
        # Not a filter of the request: it takes whole names of services, and each model is one.
        if "bedrock" in service.lower():
            lines.append(_line(service, usage, group["Metrics"]))
            discount += _amount(group, "UnblendedCost") - _amount(group, "NetUnblendedCost")
    return Statement([line for line in lines if line.cost or line.quantity], discount, preliminary)


def read_profiles(period: Period, account: str, tag: str, client: Any = None) -> Profiles:  # noqa: ANN401 - as above
    """Return what application inference profiles cost in a month, by the value of their tag.

    The tag must be active as a cost allocation tag, which takes a day:
    https://docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-application-inference-profiles.html

    Raises
    ------
    UnavailableError, RefusedError
        As `read`.
    """
    found = Profiles()
    for other in ("USAGE_TYPE", "SERVICE"):  # three at once are one too many for Cost Explorer
        dimensions = [{"Type": "TAG", "Key": tag}, {"Type": "DIMENSION", "Key": other}]
        for group, _ in _groups(period, account, dimensions, client):
            value, name = group["Keys"][0].partition("$")[2], group["Keys"][1]
            if not value:
                continue
            if other == "SERVICE":
                if name.endswith(_EDITION):
                    found.models.setdefault(value, set()).add(name.removesuffix(_EDITION))
                continue
            line = _line("Amazon Bedrock", name, group["Metrics"])
            found.costs[value, line.region] = found.costs.get((value, line.region), 0.0) + line.cost
            if ":" not in name:  # AWS Marketplace's usage types do not name the model
                found.models.setdefault(value, set()).add(line.model)
    return found


def region_of(code: str) -> str:
    """Return the region of a code on the bill, USW2 as us-west-2; the code itself if there is none like it."""
    if code in _IRREGULAR:
        return _IRREGULAR[code]
    area, direction, number = _AREAS.get(code[:2]), _DIRECTIONS.get(code[2:3]), code[3:]
    return f"{area}-{direction}-{number}" if area and direction and number.isdigit() else code


def kind_of(usage: str) -> Kind:
    """Return the kind of token of a usage type."""
    text = usage.lower()
    if "cache" in text:
        return "cached" if "read" in text else "cache_write" if "write" in text else "other"
    if "output" in text or "response" in text:
        return "output"
    return "input" if "input" in text or text.endswith("embed_v4-units") else "other"


def _line(service: str, usage: str, metrics: dict[str, Any]) -> Line:
    region, body = _parts(usage)
    own = service.removesuffix(_EDITION)
    unit = _UNIT.search(body)
    return Line(
        text=f"{service}: {usage}",
        model=own if own != service else body[: unit.start()] if unit else body,
        region=region,
        kind=kind_of(body if own != service or not unit else body[unit.start() :]),
        cost=float(metrics["UnblendedCost"]["Amount"]),
        quantity=float(metrics["UsageQuantity"]["Amount"]),
        everywhere="global" in body.lower(),
    )


def _parts(usage: str) -> tuple[str, str]:
    """The region of a usage type, and what comes after it."""
    match = _USAGE.match(usage)
    if match is None:
        return "", usage
    return region_of(match["inner"] or match["code"] or ""), match["body"]


def _amount(group: dict[str, Any], metric: str) -> float:
    return float(group["Metrics"][metric]["Amount"])


def _groups(
    period: Period,
    account: str,
    dimensions: list[dict[str, str]],
    client: Any,  # noqa: ANN401 - as above
) -> Iterator[tuple[dict[str, Any], bool]]:
    client = client or boto3.client("ce", region_name=REGION, config=RETRIES)
    request = {
        "TimePeriod": {"Start": period.first.isoformat(), "End": (period.last + timedelta(days=1)).isoformat()},
        "Granularity": "MONTHLY",
        "Metrics": list(METRICS),
        "GroupBy": dimensions,
        "Filter": {
            "And": [
                {"Dimensions": {"Key": "RECORD_TYPE", "Values": ["Usage"]}},
                {"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": [account]}},
            ]
        },
    }
    token: str | None = ""
    while token is not None:
        page = _page(client, request | ({"NextPageToken": token} if token else {}))
        for result in page["ResultsByTime"]:
            for group in result["Groups"]:
                yield group, bool(result.get("Estimated"))
        token = page.get("NextPageToken")


def _page(client: Any, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - as above
    try:
        page: dict[str, Any] = client.get_cost_and_usage(**request)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], harmless(error.response["Error"].get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        if code in LATER or status >= 500:
            raise UnavailableError(f"Cost Explorer has no figures now ({code}): {message}") from error
        raise RefusedError(
            f"Cost Explorer refused ({code}): {message}; turn it on in the console of the account that pays, and let "
            "linked accounts see their costs"
        ) from error
    except BotoCoreError as error:
        raise UnavailableError(f"Cost Explorer did not answer ({type(error).__name__})") from error
    return page
