"""Where each part ends: what a size asks of it, and the most that it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ops.size.day import MINUTES
from ops.size.people import Company
from ops.size.sizes import Size
from stacks.gateway.sizing import NAT_CONNECTIONS
from stacks.settings.gateway import CONNECTIONS, RESERVED_CONNECTIONS
from stacks.settings.network import Ingress

COMMANDS: Final = 20
"""That one request makes in the cache: eleven with the master key, some more with limits and budgets."""

COMMANDS_A_SECOND: Final = 5000
"""Of the smallest node, with TLS and for hours: a guess, to be safe."""

TOKENS_PER_KB: Final = 250
"""Four characters a token, as a rule of thumb of English and code."""


@dataclass(frozen=True)
class Limit:
    """One limit: `asked` of it by a size, and the `most` it gives; None where that is somebody's quota."""

    part: str
    asked: float
    most: float | None
    what: str
    do: str

    @property
    def reached(self) -> bool:
        """Whether more is asked than there is."""
        return self.most is not None and self.asked > self.most


def limits(found: Size) -> list[Limit]:
    """What a size comes near to, each part's own limit with what to do at it."""
    minutes = found.day.minutes
    five = max(sum(minute.requests for minute in minutes[at : at + 5]) for at in range(MINUTES - 4))
    in_hand = max(minute.in_hand for minute in minutes)
    return [
        Limit(
            "Web ACL",
            five,
            Ingress.model_fields["requests_per_address"].default,
            "requests in five minutes from one address, if all of them sit behind one",
            "raise ingress.requests_per_address",
        ),
        Limit(
            "NAT gateway",
            in_hand,
            NAT_CONNECTIONS,
            "connections to one address of a provider at the same time",
            "network.nat_gateways for each zone, and interface endpoints for Bedrock",
        ),
        Limit(
            "Database",
            found.connections,
            CONNECTIONS[32] - RESERVED_CONNECTIONS,
            "connections while a deployment runs",
            "lower database_connection_pool_limit in config.yaml",
        ),
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
        Limit(
            "Cache",
            max(minute.requests for minute in minutes) / 60 * COMMANDS,
            COMMANDS_A_SECOND,
            "commands a second, in the busiest minute",
            'a larger cache.node, as in cache=Cache(node="cache.r7g.large")',
        ),
        Limit("Load balancer", found.tasks.most, 1000, "tasks", "ask AWS for more targets"),
        Limit("Fargate", 2 * found.tasks.most, None, "vCPU while a deployment runs", "make doctor compares your quota"),
        Limit(
            "Providers",
            _tokens_a_minute(found.company),
            None,
            "tokens a minute in the busiest hour, before what their prompt caches leave out",
            "ask each provider for its part of it, or add regions and deployments to config.yaml",
        ),
    ]


def _tokens_a_minute(company: Company) -> float:
    return max(
        sum(
            company.requests(kind) * kind.hours.get(hour, 0) / 100 / 60 * (kind.prompt_kb + kind.answer_kb)
            for kind in company.kinds
        )
        * TOKENS_PER_KB
        for hour in range(24)
    )
