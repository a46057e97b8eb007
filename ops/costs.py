"""What an environment costs at rest: the price list, and how many of each an environment has.

Estimates, from list prices of Tokyo as published up to December 2025. The models come on top. `make about` prints the
company's, and docs/environments.md has the example's, which `make docs` writes there and a test holds against this
file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ops.templates import Facts
from stacks.settings import Environment

REGION: Final = "ap-northeast-1"
HOURS: Final = 730  # in a month, as AWS reckons
SPOT: Final = 0.3  # what Fargate Spot costs of the usual price, about

PRICES: Final[Mapping[str, str]] = {
    "NAT gateways": "0.062 USD/h",
    "Fargate on ARM, vCPU": "0.04045 USD/h",
    "Fargate on ARM, GB": "0.00442 USD/h",
    "Aurora Serverless v2, ACU": "0.15 USD/h",
    "Application Load Balancer": "0.0243 USD/h",
    "Interface endpoints, each per zone": "0.014 USD/h",
    "Public IPv4 addresses": "0.005 USD/h",
    "AWS WAF, web ACL": "5 USD/month",
    "AWS WAF, rules": "1 USD/month",
    "AWS KMS, keys": "1 USD/month",
    "Route 53, hosted zone": "0.50 USD/month",
    "CloudWatch alarms": "0.10 USD/month",
}
SUM: Final = "Sum at rest"


def quantities(environment: Environment, facts: Facts) -> dict[str, float]:
    """How many of each cost driver an environment has at rest: fewest tasks, least capacity.

    What the settings do not say is counted in the templates. In a VPC that was there already the way out is not ours.
    """
    network, gateway, database = environment.network, environment.gateway, environment.database
    zones, nat_gateways = len(network.zones), 0 if network.vpc else network.nat_gateways
    tasks = gateway.min_tasks * (SPOT if gateway.spot else 1)
    return {
        "NAT gateways": nat_gateways,
        "Fargate on ARM, vCPU": tasks * gateway.cpu / 1024,
        "Fargate on ARM, GB": tasks * gateway.memory / 1024,
        "Aurora Serverless v2, ACU": database.min_capacity * (1 + database.reader),
        "Application Load Balancer": len(facts.resources("AWS::ElasticLoadBalancingV2::LoadBalancer")),
        "Interface endpoints, each per zone": len(network.interface_endpoints) * zones,
        "Public IPv4 addresses": zones * environment.ingress.public + nat_gateways,
        "AWS WAF, web ACL": len(facts.resources("AWS::WAFv2::WebACL")),
        "AWS WAF, rules": sum(len(acl["Rules"]) for acl in facts.resources("AWS::WAFv2::WebACL").values()),
        "AWS KMS, keys": len(facts.resources("AWS::KMS::Key")),
        "Route 53, hosted zone": len(facts.resources("AWS::ServiceDiscovery::PrivateDnsNamespace")),
        # Each figure of an alarm counts; and Application Auto Scaling makes two alarms for each of its policies.
        "CloudWatch alarms": figures_of_alarms(facts)
        + 2 * len(facts.resources("AWS::ApplicationAutoScaling::ScalingPolicy")),
    }


def figures_of_alarms(facts: Facts) -> int:
    """How many metrics the alarms look at: one each, and with metric math those that it reckons with."""
    return sum(
        sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1
        for alarm in facts.resources("AWS::CloudWatch::Alarm").values()
    )


def monthly(quantity: float, price: str) -> float:
    """US dollars a month; a price is per hour or per month."""
    return quantity * float(price.split()[0]) * (HOURS if "/h" in price else 1)


def whole(dollars: float) -> int:
    """Whole dollars, half a one rounded up."""
    return int(dollars + 0.5)


def at_rest(environment: Environment, facts: Facts) -> dict[str, int]:
    """Whole US dollars a month by cost driver."""
    found = quantities(environment, facts)
    return {name: whole(monthly(found[name], price)) for name, price in PRICES.items()}


def rows(environments: Sequence[tuple[Environment, Facts]]) -> list[list[str]]:
    """A table, row by row without its head: the driver, its price, and what each environment pays; then the sum."""
    columns = [at_rest(environment, facts) for environment, facts in environments]
    return [
        *([name, price, *(str(column[name]) for column in columns)] for name, price in PRICES.items()),
        [SUM, "", *(str(sum(column.values())) for column in columns)],
    ]
