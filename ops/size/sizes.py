"""What a company's use asks of each part: settings, limits, and US dollars a month."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ops.access import OpsError
from ops.cost.load import BUSY, WORKING_DAYS, Load
from ops.cost.prices import HOURS, Prices
from ops.size.day import Day, Tasks, simulate
from ops.size.people import Company
from stacks.measured import ACU_VCPU, DATABASE_CPU
from stacks.settings.gateway import CONNECTIONS, RESERVED_CONNECTIONS, Cache, Database

POOL: Final = 10
"""Connections of one worker: `general_settings.database_connection_pool_limit`, LiteLLM's default."""

MOST_TASKS: Final = 400
"""Where the model stops: beyond, an environment for each part of the company is the better answer."""

CONNECTION_MB: Final = 10  # of the database's memory, which a connection takes at most


@dataclass(frozen=True)
class Size:
    """What the model says: settings of an environment, and a day with them."""

    company: Company
    tasks: Tasks
    min_capacity: float  # ACU
    max_capacity: float
    connections: int
    day: Day

    def settings(self) -> str:
        """The lines for `company/environments.py`."""
        return (
            f"gateway=Gateway(min_tasks={self.tasks.fewest}, max_tasks={self.tasks.most}),\n"
            f"database=Database(min_capacity={self.min_capacity:g}, max_capacity={self.max_capacity:g}),\n"
            "cache=Cache(),"
        )


def size(company: Company, *, fewest: int = 2) -> Size:
    """The least that does for a company: nobody refused, and never more asked of the processors than they have.

    `fewest` tasks run in any case: two, so that one may fail.

    Raises
    ------
    OpsError
        More tasks than one service should have.
    """
    enough, day = _enough(company, fewest)
    # A task that fails at the worst moment is replaced, and the peak of a worse day than this finds room.
    most = max(enough + 1, math.ceil(1.5 * day.most_tasks))
    tasks = Tasks(enough, most)
    day = simulate(company, tasks)
    connections = (2 * most + 1) * POOL  # while a deployment runs, and one migration
    least, largest = _capacity(day, connections)
    return Size(company, tasks, least, largest, connections, day)


def _enough(company: Company, fewest: int) -> tuple[int, Day]:
    """How many tasks have to run in any case, and the day with them: the fewest that do, found by halving."""
    low, high = fewest, max(fewest, MOST_TASKS)
    days = {high: simulate(company, Tasks(high, high))}
    if not _does(days[high]):
        raise OpsError(
            f"{company.users} people ask for more than {MOST_TASKS} tasks: give each part of the company an "
            "environment of its own."
        )
    while low < high:
        middle = (low + high) // 2
        days[middle] = simulate(company, Tasks(middle, MOST_TASKS))
        low, high = (low, middle) if _does(days[middle]) else (middle + 1, high)
    return high, days[high]


def _does(day: Day) -> bool:
    """Whether nobody is refused, and never more asked of the processors than they have."""
    return not day.refused and not day.slow_minutes


def _capacity(day: Day, connections: int) -> tuple[float, float]:
    """The least and the largest capacity of the database, in ACU."""
    busiest = max(minute.requests for minute in day.minutes) / 60
    by_cpu = _acu(busiest)
    by_memory = connections * CONNECTION_MB / 2048
    least = _half(max(0.5, by_cpu / 2))
    allowed = [most for most in sorted({*CONNECTIONS, 2}) if _takes(least, most) - RESERVED_CONNECTIONS >= connections]
    if not allowed:
        raise OpsError(
            f"{connections} connections are more than Aurora takes: lower database_connection_pool_limit in "
            "config.yaml."
        )
    return least, max(float(allowed[0]), 2 * least, _half(2 * by_cpu), _half(by_memory))


def _takes(least: float, most: float) -> int:
    return Database(min_capacity=min(least, most), max_capacity=most).max_connections


def _half(capacity: float) -> float:
    """The next half ACU, which is the step."""
    return math.ceil(2 * capacity) / 2


@dataclass(frozen=True)
class Part:
    """What one part has to do in a month, and what that costs."""

    name: str
    amount: str
    dollars: float


def month(found: Size, prices: Prices) -> list[Part]:
    """What a month of such days takes of each part, beyond what an environment costs at rest (`make cost`).

    Tasks and database are whole: they follow from the size.
    """
    used = _load(found.company).used
    weekend = (HOURS - 24 * WORKING_DAYS) * found.tasks.fewest
    hours = WORKING_DAYS * found.day.task_hours + weekend
    average = sum(minute.requests for minute in found.day.minutes) / 86_400
    acu = max(found.min_capacity, _acu(average)) * HOURS
    rows, kept = used["Aurora, I/O"], used["Aurora, storage"]

    def part(name: str, usage: str, unit: str, digits: int = 0) -> Part:
        return Part(name, f"{used[usage]:,.{digits}f} {unit}", prices.of(usage, used[usage]))

    return [
        Part("Tasks", f"{hours:,.0f} h of 1 vCPU, 4 GB", _fargate(hours, prices)),
        Part("Database", f"{acu:,.0f} ACU hours", prices.of("Aurora Serverless v2, ACU", acu)),
        Part(
            "Database, what is written and kept of a month",
            f"{rows:,.1f} million rows, {kept:,.1f} GB",
            prices.of("Aurora, I/O", rows) + prices.of("Aurora, storage", kept),
        ),
        Part("Cache", f"one {Cache().node}", prices.of(f"Cache node, {Cache().node}", HOURS)),
        part("NAT gateways", "NAT gateway, data", "GB"),
        part("Out of AWS", "Data to the internet", "GB"),
        part("Load balancer", "Load balancer, LCU", "LCU hours"),
        part("Web ACL", "Web ACL, requests", "million requests", 2),
        part("Flow logs", "Logs that AWS writes", "GB", 1),
        part("Access logs", "S3, stored", "GB", 1),
    ]


def _load(company: Company) -> Load:
    """A month of its working days, as the bill sees it: all of it comes in, and goes out to a provider."""
    requests = WORKING_DAYS * sum(company.requests(kind) for kind in company.kinds)
    moved = WORKING_DAYS * sum(
        company.requests(kind) * (kind.prompt_kb + kind.answer_kb) / 1e6 for kind in company.kinds
    )
    return Load(f"{company.users} people", requests, moved, moved, moved)


def _acu(requests: float) -> float:
    """The capacity that so many requests a second take, with room to spare as a task has."""
    return requests * DATABASE_CPU / ACU_VCPU / BUSY


def _fargate(hours: float, prices: Prices) -> float:
    return prices.of("Fargate ARM, vCPU", hours) + prices.of("Fargate ARM, GB", 4 * hours)
