"""Whether an environment's settings go together, by the model of `make size`: what a synthesis warns of.

Each rule is of two settings that contradict each other, whoever uses the gateway: how many people there are the
settings do not say. Arithmetic alone, with the figures of `stacks/measured.py`.
"""

from collections.abc import Iterator
from typing import Final

from stacks.gateway.capacity import CPU_TARGET_PERCENT, IN_FLIGHT_TARGET_PERCENT
from stacks.measured import (
    ACU_VCPU,
    AGENT,
    CHAT,
    CPU,
    DATABASE_CPU,
    IN_HAND_MB,
    PROGRAM,
    RESIDENT_MIB,
    SECONDS,
    VCPU,
)
from stacks.settings import Environment

KINDS: Final = (CHAT, AGENT, PROGRAM)
FAR_BEYOND: Final = 2
"""Times what a processor keeps up with: people's answers may take longer than the model's."""
IDLE_PERCENT: Final = 10
"""Of its processor: a task that has so little to do needs none beside it."""
NAT_CONNECTIONS: Final = 55_000
"""Of a NAT gateway at the same time to one address of a provider.
https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html"""
FIVE_MINUTES: Final = 300


def doubts(environment: Environment) -> Iterator[str]:
    """What will not do, each in a sentence that names the settings, the figures and what to do."""
    for found in (_in_hand(environment), _memory(environment), _database(environment), _address(environment)):
        yield from (f"{environment.name}: {sentence} (make size, docs/performance.md)" for sentence in found)
    yield from (f"{environment.name}: {sentence}" for sentence in _nat(environment))


def _processors(environment: Environment) -> float:
    """Of a worker, as those of the machine that was measured."""
    return VCPU * environment.gateway.cpu / 1024 / environment.gateway.workers


def _in_hand(environment: Environment) -> Iterator[str]:
    """Against what a worker's processor keeps up with, and against when a task is added."""
    given = environment.gateway.max_in_flight_requests
    keeps_up = {kind: _processors(environment) * SECONDS[kind] / CPU[kind] for kind in KINDS}
    most, least = max(keeps_up.values()), min(keeps_up.values())
    if given > FAR_BEYOND * most:
        yield (
            f"gateway.max_in_flight_requests is {given}, and a worker's processor keeps up with {most:.0f}, even of "
            f"people's questions: what is above that waits and is not told to come again, so use {most:.0f} or less"
        )
    percent = given * IN_FLIGHT_TARGET_PERCENT / least  # of its processor, when a task is added
    if percent < IDLE_PERCENT:
        yield (
            f"gateway.max_in_flight_requests is {given}, at {IN_FLIGHT_TARGET_PERCENT} % of which a task is added, "
            f"while the processor does {percent:.0f} % at most: use {least:.0f} or so, or expect tasks that do nothing"
        )


def _memory(environment: Environment) -> Iterator[str]:
    """Of a task whose workers have as many of the largest prompts in hand as they may."""
    gateway, given = environment.gateway, environment.gateway.max_in_flight_requests
    asked = gateway.workers * (RESIDENT_MIB + given * IN_HAND_MB)
    if asked > gateway.memory:
        fits = int((gateway.memory / gateway.workers - RESIDENT_MIB) / IN_HAND_MB)
        yield (
            f"gateway.max_in_flight_requests is {given}, which takes {asked:,.0f} MiB of a task if "
            f"all are large prompts, and gateway.memory is {gateway.memory:,}: use {fits} or less, or more memory"
        )


def _database(environment: Environment) -> Iterator[str]:
    """Of all tasks, when each has as much to do as it may before another one is added."""
    gateway = environment.gateway
    busy = CPU_TARGET_PERCENT / 100
    requests = gateway.max_tasks * gateway.workers * _processors(environment) * busy / CPU[PROGRAM]
    asked = requests * DATABASE_CPU / ACU_VCPU
    if asked > environment.database.max_capacity:
        yield (
            f"gateway.max_tasks is {gateway.max_tasks}, which together ask the database for {asked:.1f} ACU, and "
            f"database.max_capacity is {environment.database.max_capacity:g}: raise it, or use fewer tasks"
        )


def _address(environment: Environment) -> Iterator[str]:
    """What all addresses together may send, against what the tasks do."""
    gateway, ingress = environment.gateway, environment.ingress
    addresses = sum(cidr.num_addresses for cidr in ingress.cidrs)
    may = addresses * ingress.requests_per_address
    can = FIVE_MINUTES * gateway.max_tasks * gateway.workers * _processors(environment) / CPU[CHAT]
    if may < can:
        yield (
            f"ingress.requests_per_address is {ingress.requests_per_address:,} in five minutes, and ingress.cidrs has "
            f"{addresses} of them, while {gateway.max_tasks} tasks do {can:,.0f}: the web ACL turns people away before "
            "the tasks are busy, so raise it, or lower gateway.max_tasks"
        )


def _nat(environment: Environment) -> Iterator[str]:
    """What the tasks may have in hand, against the connections of the way out."""
    network, gateway = environment.network, environment.gateway
    asked = gateway.max_tasks * gateway.workers * gateway.max_in_flight_requests
    most = NAT_CONNECTIONS * network.nat_gateways
    if not network.vpc and asked > most:
        yield (
            f"{gateway.max_tasks} tasks may have {asked:,} requests in hand, and network.nat_gateways "
            f"({network.nat_gateways}) takes {most:,} connections to one address of a provider: use one for each zone, "
            "an interface endpoint for the provider, or fewer"
        )
