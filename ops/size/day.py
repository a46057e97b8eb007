"""A working day of the gateway, simulated by the minute: what comes, what is in hand, and whether the tasks are enough.

Requests come at random with the rate of their hour. A task takes its processor time, and no more requests at once than
its workers may have in hand; what is above that is refused. Tasks are added and taken away as AWS's target tracking
does, with its delays: a figure of each minute, an alarm after three of them, and a task that has to start.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ops.cost.load import BUSY
from ops.size.people import Company, Kind
from stacks.measured import VCPU

HIGH_MINUTES, LOW_MINUTES, LOW_SHARE = 3, 15, 0.9
"""Target tracking adds after three minutes above its target, and takes away after fifteen below 90 % of it.
https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html"""

COOLDOWN_OUT, COOLDOWN_IN = 1, 5  # minutes, as in stacks/gateway/capacity.py
START_MINUTES: Final = 3
"""From the decision to a task that answers: a place, the image, LiteLLM's start of 45 s, and two health checks."""

MINUTES: Final = 24 * 60
SEED: Final = 20261128  # the same day each time


@dataclass(frozen=True)
class Tasks:
    """What the service may run: tasks of so many workers with one vCPU each, and what each worker may have in hand."""

    fewest: int
    most: int
    workers: int = 1
    in_flight: int = 100


@dataclass(frozen=True)
class Minute:
    """What was so in one minute of the day."""

    at: int  # minutes since midnight
    requests: int
    in_hand: float
    tasks: int  # that answer
    busy: float  # share of their processors that is asked for; above 1 everybody waits
    refused: int


@dataclass(frozen=True)
class Day:
    """One simulated day."""

    minutes: tuple[Minute, ...]

    @property
    def busiest(self) -> Minute:
        """The minute in which the processors were asked for most."""
        return max(self.minutes, key=lambda minute: minute.busy)

    @property
    def refused(self) -> int:
        """Requests that found no place."""
        return sum(minute.refused for minute in self.minutes)

    @property
    def most_tasks(self) -> int:
        """The most tasks that answered at once."""
        return max(minute.tasks for minute in self.minutes)

    @property
    def task_hours(self) -> float:
        """Hours of tasks that were paid."""
        return sum(minute.tasks for minute in self.minutes) / 60

    @property
    def slow_minutes(self) -> int:
        """Minutes in which more was asked of the processors than they have."""
        return sum(minute.busy > 1 for minute in self.minutes)

    def hour(self, hour: int) -> tuple[Minute, ...]:
        """The minutes of an hour."""
        return self.minutes[60 * hour : 60 * (hour + 1)]


def simulate(company: Company, tasks: Tasks, seed: int = SEED) -> Day:
    """A working day of a company with these tasks."""
    return Day(tuple(_minutes(company, tasks, random.Random(seed))))  # noqa: S311 - a simulation, the same each time


def _minutes(company: Company, tasks: Tasks, chance: random.Random) -> Iterator[Minute]:
    scaling, waiting = _Scaling(tasks), 0.0  # seconds of processor that were asked for and not had yet
    for at in range(MINUTES):
        arrived = [(kind, _poisson(_rate(company, kind, at), chance)) for kind in company.kinds]
        came = sum(count for _, count in arrived)
        running = scaling.running(at)
        room = running * tasks.workers * tasks.in_flight
        in_hand = sum(count * kind.seconds / 60 for kind, count in arrived)
        served = min(1.0, room / in_hand) if in_hand else 1.0
        refused = round(came * (1 - served))
        asked = waiting + served * sum(count * kind.cpu for kind, count in arrived)
        able = 60 * VCPU * running * tasks.workers
        waiting = max(0.0, asked - able)
        busy, full = asked / able, min(1.0, in_hand / room)
        yield Minute(at, came, in_hand, running, busy, refused)
        scaling.see(at, max(min(busy, 1.0), full))


def _rate(company: Company, kind: Kind, at: int) -> float:
    """Requests of one kind that come in this minute, on average."""
    return company.requests(kind) * kind.hours.get(at // 60, 0) / 100 / 60


def _poisson(rate: float, chance: random.Random) -> int:
    """How many come where so many come on average, each by itself."""
    if rate > 100:  # where Knuth's method takes long, the normal one is as good
        return max(0, round(chance.gauss(rate, math.sqrt(rate))))
    limit, count, product = math.exp(-rate), 0, chance.random()
    while product > limit:
        count += 1
        product *= chance.random()
    return count


class _Scaling:
    """Target tracking of one figure, the higher of the two that are tracked: the one that asks for more tasks wins."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._running = tasks.fewest
        self._starting: list[tuple[int, int]] = []  # the minute from which they answer, and how many
        self._seen: list[float] = []
        self._last = -COOLDOWN_IN

    def running(self, at: int) -> int:
        """How many tasks answer in this minute."""
        self._running += sum(count for when, count in self._starting if when <= at)
        self._starting = [(when, count) for when, count in self._starting if when > at]
        return self._running

    def see(self, at: int, figure: float) -> None:
        """A minute's figure: what is decided at its end."""
        self._seen.append(figure)
        all_ = self._running + sum(count for _, count in self._starting)
        wanted = max(self._tasks.fewest, min(self._tasks.most, math.ceil(self._running * figure / BUSY)))
        high = len(self._seen) >= HIGH_MINUTES and min(self._seen[-HIGH_MINUTES:]) > BUSY
        low = len(self._seen) >= LOW_MINUTES and max(self._seen[-LOW_MINUTES:]) < LOW_SHARE * BUSY
        if high and wanted > all_ and at - self._last >= COOLDOWN_OUT:
            self._starting.append((at + START_MINUTES, wanted - all_))
            self._last = at
        elif low and wanted < self._running and not self._starting and at - self._last >= COOLDOWN_IN:
            self._running = wanted
            self._last = at
