"""AWS's list prices of the regions that are known here, each with the name under which AWS bills it.

`prices.json` is the table, with the day on which it was taken and where from. `make cost ENV=… ARGS=--refresh` asks
AWS's price list for the region of an environment and writes the table anew (`ops/cost/refresh.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from ops.access import OpsError
from stacks.nat_instance import SIZE
from stacks.settings import Cache

FILE: Final = Path(__file__).with_name("prices.json")

HOURS: Final = 730
"""Of a month, as AWS reckons (https://docs.aws.amazon.com/pricing-calculator/latest/userguide/estimates.html)."""

SPOT: Final = 0.3
"""What Fargate Spot costs of the usual price, about: it moves, and AWS says "up to 70 %" off.
https://aws.amazon.com/fargate/pricing/"""


NODES: Final = get_args(Cache.model_fields["node"].annotation)
"""Node types that a cache may have."""


@dataclass(frozen=True)
class Usage:
    """What AWS counts and bills under one name."""

    service: str
    """AWS's code of the service in its price list."""
    usage_type: str
    """How the usage type ends; before it stands the region, as in `APN1-NatGateway-Hours`."""
    per: str
    """What the price is of."""
    operation: str = ""
    """Of several prices of one usage type, the one of a product with an attribute of this value."""
    dearest: bool = False
    """The usage type has the other region in front, as in `APN1-APN3-AWS-Out-Bytes`: the highest price counts."""
    everywhere: float | None = None
    """US dollars, where they are the same in every region; it is not in the table then."""


USAGES: Final[Mapping[str, Usage]] = {  # https://aws.amazon.com/<service>/pricing/ has those of everywhere
    "NAT gateway": Usage("AmazonEC2", "NatGateway-Hours", "hour"),
    "NAT instance": Usage("AmazonEC2", f"BoxUsage:{SIZE}", "hour", "RunInstances"),
    "Disk": Usage("AmazonEC2", "EBS:VolumeUsage.gp3", "GB and month"),
    "NAT gateway, data": Usage("AmazonEC2", "NatGateway-Bytes", "GB"),
    "Public IPv4 address": Usage("AmazonVPC", "PublicIPv4:InUseAddress", "hour"),
    "Interface endpoint": Usage("AmazonVPC", "VpcEndpoint-Hours", "hour"),
    "Data to the internet": Usage("AWSDataTransfer", "DataTransfer-Out-Bytes", "GB"),
    "Data to another region": Usage("AWSDataTransfer", "AWS-Out-Bytes", "GB", "InterRegion Outbound", dearest=True),
    "Load balancer": Usage("AWSELB", "LoadBalancerUsage", "hour", "LoadBalancing:Application"),
    "Load balancer, LCU": Usage("AWSELB", "LCUUsage", "LCU and hour", "LoadBalancing:Application"),
    "Web ACL": Usage("awswaf", "WebACLV2", "month", everywhere=5),
    "Web ACL, rule": Usage("awswaf", "RuleV2", "month", everywhere=1),
    "Web ACL, requests": Usage("awswaf", "RequestV2", "million", everywhere=0.6),
    "Fargate ARM, vCPU": Usage("AmazonECS", "Fargate-ARM-vCPU-Hours:perCPU", "hour"),
    "Fargate ARM, GB": Usage("AmazonECS", "Fargate-ARM-GB-Hours", "hour"),
    "Aurora Serverless v2, ACU": Usage("AmazonRDS", "Aurora:ServerlessV2Usage", "hour", "Aurora PostgreSQL"),
    "Aurora, storage": Usage("AmazonRDS", "Aurora:StorageUsage", "GB and month", "Aurora PostgreSQL"),
    "Aurora, I/O": Usage("AmazonRDS", "Aurora:StorageIOUsage", "million", "Aurora PostgreSQL"),
    "KMS key": Usage("awskms", "KMS-Keys", "month", everywhere=1),
    # The operation tells Valkey's price from that of Redis, which is a quarter higher.
    **{
        f"Cache node, {node}": Usage("AmazonElastiCache", f"NodeUsage:{node}", "hour", "CreateCacheCluster:Valkey")
        for node in NODES
    },
    "Hosted zone": Usage("AmazonRoute53", "HostedZone", "month", everywhere=0.5),
    "Alarm": Usage("AmazonCloudWatch", "CW:AlarmMonitorUsage", "month"),
    "Custom metric": Usage("AmazonCloudWatch", "CW:MetricMonitorUsage", "month"),
    "Dashboard": Usage("AmazonCloudWatch", "DashboardsUsageHour", "month", everywhere=3),
    "Logs": Usage("AmazonCloudWatch", "DataProcessing-Bytes", "GB"),
    "Logs that AWS writes": Usage("AmazonCloudWatch", "VendedLog-Bytes", "GB"),
    "Logs, stored": Usage("AmazonCloudWatch", "TimedStorage-ByteHrs", "GB and month"),
    "S3, stored": Usage("AmazonS3", "TimedStorage-ByteHrs", "GB and month", "General Purpose"),
}


@dataclass(frozen=True)
class Prices:
    """US dollars by the names of `USAGES`, of one region."""

    region: str
    dollars: Mapping[str, float]
    as_of: str
    """The day on which the newest of them was taken."""
    source: str

    def of(self, usage: str, quantity: float) -> float:
        """US dollars for so much of it."""
        return quantity * self.dollars[usage]

    def told(self, usage: str) -> str:
        """A price as people read it: 0.062 USD/hour."""
        return f"{self.dollars[usage]:g} USD/{USAGES[usage].per}"


def prices_of(region: str) -> Prices:
    """The prices of a region.

    Raises
    ------
    OpsError
        The table has none of it, or is no table.
    """
    table = _table()
    found = table["regions"].get(region)
    if found is None:
        raise OpsError(
            f"{FILE.name} has no prices of {region}, only of {', '.join(sorted(table['regions']))}: "
            'make cost ENV=… ARGS=--refresh takes them from AWS\'s price list, or name one with ARGS="--region …".'
        )
    dollars = found | {name: usage.everywhere for name, usage in USAGES.items() if usage.everywhere is not None}
    if missing := sorted(USAGES.keys() - dollars.keys()):
        raise OpsError(f"{FILE.name} has no price of {', '.join(missing)} in {region}: refresh it (ARGS=--refresh).")
    return Prices(region, dollars, table["as_of"], table["source"])


def known_regions() -> tuple[str, ...]:
    """The regions that the table has, sorted."""
    return tuple(sorted(_table()["regions"]))


def _table() -> dict[str, Any]:
    try:
        table: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OpsError(f"{FILE} cannot be read ({type(error).__name__}): check it out anew.") from error
    return table
