"""Takes a region's prices from AWS's price list, by its Query API (`pricing:GetProducts`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import boto3
from botocore import exceptions as aws

from ops.access import OpsError
from ops.cost.prices import FILE, USAGES, Usage

API_REGION: Final = "us-east-1"
"""One of the few in which the price list answers, of every region's prices.
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-query-api.html"""


class PriceList(Protocol):
    """What is asked of boto3's client of it."""

    def get_paginator(self, operation_name: str) -> Any: ...  # noqa: ANN401, D102 - botocore's own


def refresh(region: str, client: PriceList | None = None) -> list[str]:
    """Write the prices of a region into the table, and return what changed, a sentence each.

    Raises
    ------
    OpsError
        AWS does not answer, refuses, or has no price, or more than one, of something. Nothing is written then.
    """
    pricing: PriceList = client or boto3.client("pricing", region_name=API_REGION)
    try:
        found = {
            name: _price(pricing, usage, name, region) for name, usage in USAGES.items() if usage.everywhere is None
        }
    except (aws.ClientError, aws.BotoCoreError) as error:
        raise OpsError(
            f"AWS's price list does not answer ({error}): sign in to an account whose role may pricing:GetProducts."
        ) from error
    table = json.loads(FILE.read_text("utf-8"))
    before = table["regions"].get(region, {})
    table["regions"][region] = found
    table["as_of"] = datetime.now(UTC).date().isoformat()
    table["source"] = "AWS's price list (pricing:GetProducts)"
    FILE.write_text(json.dumps(table, indent=2) + "\n", "utf-8")
    return [
        f"{name}: {before.get(name, 'not known')} is now {price:g} USD"
        for name, price in found.items()
        if before.get(name) != price
    ]


def _price(pricing: PriceList, usage: Usage, name: str, region: str) -> float:
    """The price of what is billed on demand, of the first tier that is not free."""
    prices = {price for product in _products(pricing, usage, region) for price in _on_demand(product)}
    if prices and usage.dearest:
        return max(prices)
    if len(prices) != 1:
        what = "no price" if not prices else f"{len(prices)} prices ({', '.join(map(str, sorted(prices)))})"
        raise OpsError(
            f"AWS's price list has {what} of {name} in {region} ({usage.service}, …{usage.usage_type}): look there "
            "and correct USAGES in ops/cost/prices.py."
        )
    return prices.pop()


def _products(pricing: PriceList, usage: Usage, region: str) -> Iterator[Mapping[str, Any]]:
    where = [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}]
    pages = pricing.get_paginator("get_products").paginate(ServiceCode=usage.service, Filters=where)
    for page in pages:
        for text in page["PriceList"]:
            product: Mapping[str, Any] = json.loads(text)
            attributes = product["product"]["attributes"]
            kind = attributes.get("usagetype", "")
            # Behind the region alone, as in APN1-NodeUsage:…: APN1-SyncDurability-NodeUsage:… is another charge.
            own = kind.partition("-")[2]
            exact = usage.usage_type in (kind, own, own.partition("-")[2] if usage.dearest else "")
            if exact and (not usage.operation or usage.operation in attributes.values()):
                yield product


def _on_demand(product: Mapping[str, Any]) -> Iterator[float]:
    for term in product["terms"].get("OnDemand", {}).values():
        tiers = sorted(term["priceDimensions"].values(), key=lambda tier: float(tier["beginRange"]))
        paid = [float(tier["pricePerUnit"]["USD"]) for tier in tiers if float(tier["pricePerUnit"]["USD"])]
        yield from paid[:1]
