"""What AWS publishes of its own gateway: the measure for ours.

The Guidance for Multi-Provider Generative AI Gateway on AWS, its README's sample cost table for ECS in us-east-1, with
its default parameters (https://github.com/aws-solutions-library-samples/guidance-for-multi-provider-generative-ai-gateway-on-aws).
Of its load it says 1 TB a month through the load balancer, 100 GB out through a NAT gateway, and a million queries of
its name, which are taken for a million requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ops.cost import parts
from ops.cost.load import Load
from ops.cost.prices import prices_of
from ops.templates import Facts

REGION: Final = "us-east-1"
LOAD: Final = Load("the guidance's load", requests=1e6, balancer_gb=1000, nat_gb=100, internet_gb=100)


class Published(NamedTuple):
    """One line of its table."""

    service: str
    dollars: float
    part: str
    """To which of our parts it belongs."""


TABLE: Final = (
    Published("ECS, 2 tasks", 115.33, parts.SERVICE),
    Published("VPC, NAT gateway", 50.00, parts.NETWORK),
    Published("ECR", 0.50, parts.SERVICE),
    Published("ALB", 24.62, parts.EDGE),
    Published("S3", 7.37, parts.WATCHING),
    Published("RDS, 2 db.t3.micro", 98.26, parts.DATABASE),
    Published("ElastiCache, 2 cache.t3.micro", 24.82, parts.CACHE),
    Published("Route 53", 26.60, parts.KEYS),
    Published("CloudWatch", 12.60, parts.WATCHING),
    Published("Secrets Manager", 7.00, parts.KEYS),
    Published("KMS", 4.00, parts.KEYS),
    Published("WAF", 7.00, parts.EDGE),
)
"""US dollars a month. They add up to 378.10."""


class Compared(NamedTuple):
    """US dollars a month of one part."""

    part: str
    published: float
    ours: float
    without_independence: float
    """Ours, without what is there only so that something else may fail."""


def compared(facts: Facts) -> Iterator[Compared]:
    """An environment part by part beside it, with its load and in its region; and the sums in the end."""
    prices = prices_of(REGION)
    lines = [*parts.at_rest(facts), *parts.under(facts, LOAD)]
    spare = [line for line, _ in parts.independence(facts)]
    found = []
    for part in parts.PARTS:
        whole, less = (parts.dollars([one for one in each if one.part == part], prices) for each in (lines, spare))
        published = sum(line.dollars for line in TABLE if line.part == part)
        found.append(Compared(part, published, whole, whole - less))
    yield from found
    sums = (sum(figures) for figures in list(zip(*found, strict=True))[1:])
    yield Compared("Sum", *sums)
