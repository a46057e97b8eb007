"""What a month of use is for the bill: requests, and the bytes that they move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stacks.measured import AGENT, CPU
from stacks.measured import ROWS as MEASURED_ROWS

CPU_SECONDS: Final = CPU[AGENT]
"""Of one agent's request; a short one takes half of it."""

BUSY: Final = 0.6
"""The share of its processor at which a task gets another one beside it (stacks/gateway/capacity.py)."""

WORKING_DAYS: Final = 21  # of a month
WORK_HOURS: Final = WORKING_DAYS * 8
"""Hours of a month in which people work: a month's requests come in these."""

ROWS: Final = MEASURED_ROWS
"""Rows that a request writes; each is taken for one I/O, which is more than it is where several
fit into one page."""

ROW_KB, ACCESS_LOG_KB, FLOW_LOG_KB = 2.0, 0.6, 0.5
"""Of one request: its rows in the database, its line in the load balancer's access log, its share of the flow logs."""


@dataclass(frozen=True)
class Load:
    """One month's use. Bytes are in GB of 10^9, as AWS bills them."""

    name: str
    requests: float
    balancer_gb: float
    """Through the load balancer: what people send and what they get."""
    nat_gb: float
    """Through NAT gateways: what goes to the providers and comes back."""
    internet_gb: float
    """Out of AWS: to people, and to providers elsewhere."""

    @property
    def used(self) -> dict[str, float]:
        """How much of what is billed by use it takes, by the names of `ops/cost/prices.py`."""
        million = self.requests / 1e6
        return {
            "NAT gateway, data": self.nat_gb,
            "Data to the internet": self.internet_gb,
            "Load balancer, LCU": self.balancer_gb,  # an LCU is 1 GB in an hour
            "Web ACL, requests": million,
            "Aurora, I/O": ROWS * million,
            "Aurora, storage": ROW_KB * million,
            "Logs that AWS writes": FLOW_LOG_KB * million,
            "S3, stored": ACCESS_LOG_KB * million,  # for a month
        }

    @property
    def tasks(self) -> float:
        """Tasks of one vCPU that the hours of work take, if its requests come in these."""
        return self.requests * CPU_SECONDS / (WORK_HOURS * 3600 * BUSY)


def of_requests(requests: float, kilobytes: float) -> Load:
    """So many requests a month, with so many kilobytes of prompt and answer together.

    They come in and go out once: through the load balancer, through a NAT gateway, and out of AWS to a provider or to
    whoever asked.
    """
    gigabytes = requests * kilobytes / 1e6
    return Load(f"{requests:,.0f} requests of {kilobytes:g} KB a month", requests, gigabytes, gigabytes, gigabytes)
