"""What LiteLLM runs on: its tasks, its database, and what the tasks share."""

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from stacks.settings.values import Acu, Region, Settings

# Memory (MiB) that Fargate offers for each CPU size (CPU units, 1024 = 1 vCPU).
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
FARGATE_MEMORY: dict[int, range] = {
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
# What LiteLLM advises for each worker process: 1 vCPU and 4 GiB. At rest one was measured at 740 MB resident.
WORKER_CPU = 1024
WORKER_MEMORY = 4096

# Connections that Aurora PostgreSQL takes, by the largest capacity in ACU: AWS's own table, from which those in between
# are reckoned, along a straight line. (Its formula, LEAST(DBInstanceClassMemory / 9531392, 5000), does not say how much
# of an ACU's 2 GiB that memory is.) A cluster whose smallest capacity is 0 or 0.5 ACU takes 2000 at most.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html#aurora-serverless-v2.max-connections
CONNECTIONS = {1: 189, 4: 823, 8: 1669, 16: 3360, 32: 5000, 256: 5000}
MAX_CONNECTIONS_AT_HALF_ACU = 2000
# Connections that Aurora keeps for its own and for superuser sessions, and room for one administrator's tools.
RESERVED_CONNECTIONS = 15

# Requests that a worker has in hand at the same time, unless the settings say otherwise, and the most they may say.
# A worker with 1 vCPU does 10 to 20 agents' prompts of 400 KB a second, or 25 to 45 short ones (docs/performance.md),
# and their answers take some ten and some two to four seconds: about 100 keep it busy without keeping anybody waiting.
# Of memory, 100 prompts of 1.6 MB take 0.7 of the 4 GiB.
MAX_IN_FLIGHT = 100
MOST_IN_FLIGHT = 1000

# The least capacity of a database that is in use, in ACU. One that may pause has 0 as its least, and half an ACU once
# somebody is connected.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
LEAST_CAPACITY = 0.5

# Within how many hours of its time AWS Backup begins with a copy, which is its least, and after how many it gives a
# snapshot up: the CompletionWindowMinutes of AWS Backup's BackupRule count from its time.
# https://docs.aws.amazon.com/aws-backup/latest/devguide/API_BackupRule.html
COPY_BEGINS_WITHIN = 1
COPY_ENDS_WITHIN = 3

# LiteLLM's database in the cluster, and the user that owns it.
DATABASE_NAME = "litellm"
DATABASE_USERNAME = "litellm"


class Gateway(Settings):
    """The LiteLLM service: `cpu` in CPU units (1024 = 1 vCPU), `memory` in MiB, both per task.

    `max_in_flight_requests` are the requests that one worker has in hand at the same time, answers that are streamed
    included. LiteLLM refuses what comes beyond with 503 and Retry-After, and tasks are added well before. Spot tasks
    cost a third and end with two minutes' notice, which cuts long answers.
    """

    cpu: int = 1024
    memory: int = 4096
    workers: Annotated[int, Field(ge=1, le=16)] = 1
    min_tasks: Annotated[int, Field(ge=1)] = 1
    max_tasks: Annotated[int, Field(ge=1)] = 2
    max_in_flight_requests: Annotated[int, Field(ge=1, le=MOST_IN_FLIGHT)] = MAX_IN_FLIGHT
    spot: bool = False

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, given: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever was written
        if isinstance(given, dict) and "requests_per_task" in given:
            raise ValueError(
                "requests_per_task is gone, since a count of requests says nothing of their size: leave it out; tasks "
                "are added by CPU and by max_in_flight_requests, the requests that a worker has in hand at the same "
                "time (docs/upgrading.md)"
            )
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.cpu not in FARGATE_MEMORY:
            raise ValueError(
                f"cpu {self.cpu} is no size that LiteLLM fits in: use {', '.join(map(str, FARGATE_MEMORY))}"
            )
        sizes = FARGATE_MEMORY[self.cpu]
        if self.memory not in sizes:
            raise ValueError(
                f"Fargate offers no memory of {self.memory} MiB with cpu {self.cpu}: use {sizes[0]} to {sizes[-1]} MiB "
                f"in steps of {sizes.step}"
            )
        if self.cpu < self.workers * WORKER_CPU or self.memory < self.workers * WORKER_MEMORY:
            raise ValueError(
                f"cpu {self.cpu} and memory {self.memory} are too little for {self.workers} workers: LiteLLM needs "
                f"{WORKER_CPU} CPU units and {WORKER_MEMORY} MiB for each, so raise them to "
                f"{self.workers * WORKER_CPU} and {self.workers * WORKER_MEMORY} or lower workers"
            )
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"min_tasks {self.min_tasks} is above max_tasks {self.max_tasks}: swap or raise max_tasks")
        return self


class Copies(Settings):
    """Copies of the database in a second region, for the day on which the first is gone.

    A snapshot each `every_hours`, and once a day at 18:40 UTC, is copied there by AWS Backup and kept for `days`. What
    came after the last of them is lost with the region. Of Aurora each copy is a full one, and its transfer is paid.
    """

    region: Region
    every_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 24
    days: Annotated[int, Field(ge=1, le=365)] = 7


class Database(Settings):
    """Aurora PostgreSQL Serverless v2: capacities in ACU (2 GiB of memory each), backups in days.

    The least is 0.5 ACU: a pause at 0 needs minutes without connections, and LiteLLM's pool always keeps one. `sleep`
    takes its tasks away, and has the database pause.
    """

    min_capacity: Acu = LEAST_CAPACITY
    max_capacity: Annotated[Acu, Field(ge=1)] = 2
    reader: bool = False
    backup_days: Annotated[int, Field(ge=1, le=35)] = 7
    copies: Copies | None = None

    @model_validator(mode="after")
    def _minimum_below_maximum(self) -> Self:
        if self.min_capacity > self.max_capacity:
            raise ValueError(
                f"min_capacity {self.min_capacity} is above max_capacity {self.max_capacity}: "
                "swap them or raise max_capacity"
            )
        return self

    @property
    def max_connections(self) -> int:
        """Connections that the cluster takes at its largest capacity, once its instances have started with it.

        PostgreSQL reads the number when it starts: after a change of the capacities the old one holds until then.
        """
        (low, fewest), (high, most) = next(
            each for each in pairwise(CONNECTIONS.items()) if each[0][0] <= self.max_capacity <= each[1][0]
        )
        taken = int(fewest + (most - fewest) * (self.max_capacity - low) / (high - low))
        return min(taken, MAX_CONNECTIONS_AT_HALF_ACU) if self.min_capacity <= LEAST_CAPACITY else taken


class Cache(Settings):
    """ElastiCache for Valkey, in which the tasks share what each would otherwise count for itself: limits a minute,
    spend against budgets, which region is left out, whom a notice has been sent to, which keys are revoked.

    Nothing in it is kept: what is lost with a node is counted anew, and without it each task counts for itself, as
    without this setting. So one node is enough; `replica` has another in a second zone ready, which takes over within a
    minute. `node` is what each of them is: micro has 0.5 GiB, and does for some thousand people (`make size`).
    """

    node: Literal["cache.t4g.micro", "cache.r7g.large"] = "cache.t4g.micro"
    replica: bool = False
