"""The run: every workload on every LiteLLM in turn (A B C A B C …), and the figures that it gives."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from statistics import mean, median
from typing import Final

from local.outside.records import Fault
from ops.bench_gateway import figures as names
from ops.bench_gateway import model, overload, people, processes, spend, workloads
from ops.bench_gateway.configurations import ARTICLE
from ops.bench_gateway.figures import Figure
from ops.bench_gateway.load import Answer, Generator, Lane, Request, Target, good
from ops.bench_gateway.scale import Scale
from ops.bench_gateway.servers import Report, Server, Servers
from ops.bench_gateway.statistics import Spread, percentile, spread
from ops.bench_gateway.workloads import Workload

USUAL_KEYS: Final = 40  # people who ask again and again, before those who come all at once
IDLE_SECONDS: Final = 6.0
READINGS: Final = 10  # of the memory
WRITTEN_WITHIN: Final = 180.0  # seconds; ours writes the spend once a minute
OPEN_CALLERS: Final = 256  # more than a gateway should have in flight
DIRECT_CALLERS: Final = 4
WARM_SECONDS: Final = 1.0  # at the beginning of an open loop, in which connections are made: not counted
# A model that answers as people know it: the first token after 0.6 s, then 80 a second, in pieces of 16 characters (4
# tokens).
REALISTIC: Final = Fault(delay_seconds=0.6, chunk_delay_seconds=4 / 80)
SMALL_STREAMS: Final = 4.0  # a second
LARGE_AT_ONCE: Final = 4
LARGE_EVERY: Final = 4.0  # seconds
BURST_CALLERS: Final = 16
MODEL_ROUNDS: Final = 2  # times the seconds of an open loop, of people as the model of make size has them


@dataclass
class Used:
    """What a workload took of one LiteLLM, times in seconds."""

    requests: int = 0
    cpu: float = 0.0
    seconds: float = 0.0
    answers: list[Answer] = field(default_factory=list)


@dataclass
class Costs:
    """The processor time of one LiteLLM, by workload, with what it did afterwards for all of them.

    `idle` is seconds of processor time a second when nothing is asked; `afterwards` is seconds a request that it took
    when the load was over: until the spend was written.
    """

    idle: float = 0.0
    afterwards: float = 0.0
    used: dict[str, Used] = field(default_factory=lambda: defaultdict(Used))

    def cpu_ms(self, workload: str) -> float:
        """Milliseconds of processor time of one request, until its spend is written."""
        used = self.used[workload]
        return 1000 * (max(0.0, used.cpu - self.idle * used.seconds) / used.requests + self.afterwards)

    def settle(self, total: float, seconds: float, *, others: int) -> None:
        """Share out what it used in all that time, beyond what it used during the workloads.

        `others` are requests of before, whose spend was written in that time too.
        """
        during = sum(used.cpu - self.idle * used.seconds for used in self.used.values())
        requests = others + sum(used.requests for used in self.used.values())
        self.afterwards = max(0.0, total - self.idle * seconds - during) / requests


class Run:
    """One run on running servers.

    Parameters
    ----------
    servers, generator
        What runs.
    scale
        How much is measured.
    report
        Gets a line when a part begins.
    """

    def __init__(self, servers: Servers, generator: Generator, scale: Scale, report: Report) -> None:
        self._servers, self._generator, self._scale, self._report = servers, generator, scale, report
        self._company = servers.company
        self._models = workloads.models_of(servers.company)
        self._bodies = workloads.Bodies(generator, self._models, scale)
        self._keys: dict[str, Iterator[str]] = {}
        self._new_keys: dict[str, list[str]] = {}
        self._warmed = 0  # requests to each
        self._failed = dict.fromkeys(servers.names, 0.0)
        self._figures: list[Figure] = []

    def measure(self) -> list[Figure]:
        """Every figure.

        Raises
        ------
        LoadError
            A request was not answered as it should be.
        ServerError
            LiteLLM or PostgreSQL refused, or has ended.
        """
        self._prepare()
        costs = self._costs()
        self._open_loop(costs)
        self._head_of_line()
        self._model(costs)
        self._overload(costs)
        self._burst()
        self._memory()
        self._fallback()
        self._spend()
        return self._figures

    @property
    def _each(self) -> Sequence[Server]:
        return [self._servers.by_name[name] for name in self._servers.names]

    def _add(self, section: str, name: str, unit: str, values: Mapping[str, float]) -> None:
        self._figures.append(Figure(section, name, unit, dict(values)))

    # --- Before -------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Make people, warm up, and give the LiteLLMs a processor of their own."""
        self._report("Making people with budgets and keys")
        for server in self._each:
            made = people.make(server, self._company.local, USUAL_KEYS + self._scale.keys)
            self._keys[server.name] = cycle(made[:USUAL_KEYS])
            self._new_keys[server.name] = made[USUAL_KEYS:]
        self._report("Warming up")
        for workload in self._bodies.warming():
            self._warmed += workload.count
            for server in self._each:
                self._send(server, workload, workload.count)
        self._place()

    def _place(self) -> None:
        """One processor for the LiteLLMs, as one vCPU; the others for what asks them, what answers them, the databases.

        Only one LiteLLM is asked at a time.
        """
        places = processes.processors()
        if len(places) > 1:
            processes.keep_to(processes.whole_tree(os.getpid()), places[1:])
            for server in self._each:
                processes.keep_to(processes.tree(server.process.pid), places[:1])

    # --- What a request costs -----------------------------------------------------------------------------------------

    def _costs(self) -> dict[str, Costs]:
        costs = {server.name: Costs() for server in self._each}
        begin, before, writes = time.monotonic(), self._cpu(), self._writes()
        for workload in self._bodies.measured():
            self._report(f"Measuring: {workload.name}")
            for _ in range(self._scale.rounds):
                for server in self._each:
                    self._use(server, workload, costs[server.name].used[workload.name])
        self._report("Waiting until the spend is written")
        self._await_spend()
        total, seconds = self._cpu(), time.monotonic() - begin
        self._report("Measuring what each does at rest")
        time.sleep(IDLE_SECONDS)
        rested = self._cpu()
        for name, cost in costs.items():
            cost.idle = (rested[name] - total[name]) / IDLE_SECONDS
            cost.settle(total[name] - before[name], seconds, others=self._warmed)
        self._tell_costs(costs, writes)
        return costs

    def _use(self, server: Server, workload: Workload, used: Used) -> None:
        cpu, start = self._cpu_of(server), time.monotonic()
        used.answers += self._send(server, workload, workload.count)
        used.cpu += self._cpu_of(server) - cpu
        used.seconds += time.monotonic() - start
        used.requests += workload.count

    def _tell_costs(self, costs: Mapping[str, Costs], before: Mapping[str, Mapping[str, float]]) -> None:
        kinds = [workload.name for workload in self._bodies.measured()]
        for kind in kinds:
            self._add(names.CPU, kind, "ms", {name: cost.cpu_ms(kind) for name, cost in costs.items()})
        self._add(names.CPU, "at rest, a second", "ms", {name: 1000 * cost.idle for name, cost in costs.items()})
        for kind in kinds:
            self._add(names.CAPACITY, kind, "", {name: 1000 / cost.cpu_ms(kind) for name, cost in costs.items()})
        for kind in kinds:
            if " KB" in kind:
                firsts = {name: [answer.first for answer in cost.used[kind].answers] for name, cost in costs.items()}
                self._add(
                    names.FIRST, f"{kind}, p50", "ms", {name: 1000 * median(each) for name, each in firsts.items()}
                )
        for what in ("rows", "transactions"):
            after = self._writes()
            requests = {name: sum(used.requests for used in cost.used.values()) for name, cost in costs.items()}
            each = {name: (after[name][what] - before[name][what]) / requests[name] for name in costs}
            self._add(names.DATABASE, f"{what} a request", "", each)

    # --- How long it takes --------------------------------------------------------------------------------------------

    def _open_loop(self, costs: Mapping[str, Costs]) -> None:
        """The same requests at the same moments through each, and to the provider itself."""
        by = costs.get(ARTICLE) or next(iter(costs.values()))
        one = (by.cpu_ms(workloads.PLAIN) + by.cpu_ms(workloads.STREAMED)) / 2
        rate = 0.5 * 1000 / one
        self._report(f"Measuring latency at {rate:.1f} requests a second")
        bodies = {"plain": self._bodies.short(stream=False), "stream": self._bodies.short(stream=True)}
        through: dict[str, list[Answer]] = {server.name: [] for server in self._each}
        direct: list[Answer] = []
        for turn in range(self._scale.turns):
            due = {
                name: workloads.times(rate / 2, self._scale.seconds + WARM_SECONDS, 2 * turn + number)
                for number, name in enumerate(bodies)
            }
            outside = self._servers.direct
            direct += self._generator.send(
                workloads.direct(outside),
                {
                    name: Lane(workloads.direct_requests(outside, bodies[name].body, due[name]), DIRECT_CALLERS)
                    for name in due
                },
            )
            for server in self._each:
                lanes = {name: self._lane(server, bodies[name], due[name]) for name in due}
                through[server.name] += self._generator.send(Target(server.url), lanes)
        direct = good(direct, "the simulated provider")
        through = {name: self._good(name, answers) for name, answers in through.items()}
        self._add(names.ADDED, "load", "requests a second", dict.fromkeys(through, rate))
        for title, of in (("plain", _plain), ("first token", _first)):
            added = {name: spread(of(answers)).above(spread(of(direct))) for name, answers in through.items()}
            for part in Spread._fields:
                each = {name: 1000 * float(getattr(found, part)) for name, found in added.items()}
                self._add(names.ADDED, f"{title}, {part}", "ms", each)

    def _head_of_line(self) -> None:
        """Small streams at the pace of a real model, alone and beside large prompts."""
        self._report("Measuring small streams beside large prompts")
        seconds = self._scale.seconds + WARM_SECONDS
        small, large = self._bodies.short(stream=True), self._bodies.large()
        due = workloads.times(SMALL_STREAMS, seconds, 7)
        bursts = [WARM_SECONDS + LARGE_EVERY * turn for turn in range(int(self._scale.seconds // LARGE_EVERY) or 1)]
        together = [at for at in bursts for _ in range(LARGE_AT_ONCE)]
        for name, beside in ((names.ALONE, []), (names.BESIDE, together)):
            gaps = {}
            for server in self._each:
                server.outside.set_fault("*", REALISTIC)
                lanes = {"small": self._lane(server, small, due)}
                if beside:
                    lanes["large"] = self._lane(server, large, beside)
                answers = self._good(server.name, self._generator.send(Target(server.url), lanes))
                server.outside.clear_fault()
                found = [gap for answer in answers if answer.lane == "small" for gap in answer.gaps]
                gaps[server.name] = 1000 * percentile(found, 99)
            self._add(names.CHUNKS, name, "ms", gaps)

    def _model(self, costs: Mapping[str, Costs]) -> None:
        """What the model of `make size` reckons from the figures above, beside what people at random take."""
        kinds = {each.name: each for each in self._bodies.measured() if each.name in model.OF_KIND.values()}
        if len(kinds) < len(model.OF_KIND):
            return
        self._report("Comparing the model of make size with people who ask at random")
        seconds = MODEL_ROUNDS * self._scale.seconds
        found: dict[str, dict[str, float]] = {}
        for server in self._each:
            cost = costs[server.name]
            asked = model.rates({name: cost.cpu_ms(name) / 1000 for name in kinds})
            lanes = {
                name: self._lane(server, kinds[name], workloads.times(rate, seconds, seed))
                for seed, (name, rate) in enumerate(asked.items(), start=21)
            }
            server.outside.set_fault("*", REALISTIC)
            cpu, start = self._cpu_of(server), time.monotonic()
            answers = self._generator.send(Target(server.url), lanes)
            server.outside.clear_fault()
            while not _is_written(server) and time.monotonic() < start + WRITTEN_WITHIN:
                time.sleep(1)
            took = self._cpu_of(server) - cpu - cost.idle * (time.monotonic() - start)
            found[server.name] = model.figures(asked, answers, seconds, took / seconds)
        for what in next(iter(found.values())):
            self._add(names.MODEL, what, "", {name: each[what] for name, each in found.items()})

    def _overload(self, costs: Mapping[str, Costs]) -> None:
        """Twice what each can do by its own cost, a tenth of it streams at the pace of a real model."""
        self._report("Measuring twice the load that each can take")
        plain, stream = self._bodies.short(stream=False), self._bodies.short(stream=True)
        found: dict[str, dict[str, float]] = {}
        for server in self._each:
            rate = 2 * 1000 / costs[server.name].cpu_ms(workloads.PLAIN)
            due = [workloads.times(part * rate, self._scale.seconds / 2, seed) for seed, part in enumerate((0.9, 0.1))]
            lanes = {
                name: self._lane(server, workload, times)
                for name, workload, times in zip((overload.PLAIN, overload.STREAMS), (plain, stream), due, strict=True)
                if times
            }
            server.outside.set_fault("*", REALISTIC)
            with overload.Health(server.url) as health:
                answers = self._generator.send(Target(server.url), lanes)
            server.outside.clear_fault()
            found[server.name] = overload.figures(answers) | {"health checks that failed": health.failed}
        for what in next(iter(found.values())):
            self._add(names.OVERLOAD, what, "", {name: each[what] for name, each in found.items()})

    def _burst(self) -> None:
        """Everybody asks for the first time."""
        count = self._scale.keys
        self._report(f"Measuring a burst of {count} keys")
        body = self._bodies.short(stream=False)
        cpu: dict[str, float] = {}
        last: dict[str, float] = {}
        for server in self._each:
            requests = [_request(key, body) for key in self._new_keys[server.name]]
            before = self._cpu_of(server)
            lanes = {"burst": Lane(requests, BURST_CALLERS)}
            answers = self._good(server.name, self._generator.send(Target(server.url), lanes))
            cpu[server.name] = 1000 * (self._cpu_of(server) - before) / count
            last[server.name] = 1000 * percentile([answer.seconds for answer in answers], 99)
        self._add(names.BURST, f"{count} keys, {BURST_CALLERS} at once: processor time of one request", "ms", cpu)
        self._add(names.BURST, f"{count} keys, {BURST_CALLERS} at once: p99 of an answer", "ms", last)

    def _fallback(self) -> None:
        """Every deployment of a model refuses, and another provider's model answers."""
        workload = self._bodies.falling_back()
        if workload is None or self._models.falls_back is None:
            return
        self._report("Measuring a fallback")
        cpu: dict[str, float] = {}
        half: dict[str, float] = {}
        for server in self._each:
            for host in workloads.hosts(self._company, self._models.falls_back):
                server.outside.set_fault(host, Fault(status=503))
            before = self._cpu_of(server)
            answers = self._send(server, workload, workload.count)
            server.outside.clear_fault()
            cpu[server.name] = 1000 * (self._cpu_of(server) - before) / workload.count
            half[server.name] = 1000 * median(answer.seconds for answer in answers)
        self._add(names.FALLBACK, "processor time of one request", "ms", cpu)
        self._add(names.FALLBACK, "p50 of an answer", "ms", half)

    def _memory(self) -> None:
        """What is resident after all that, and how it grows with short requests.

        It goes up and down as Python collects its garbage, by 8 % between two readings, so growth is the mean of the
        last three of ten readings beside that of the first three. Before each a tenth of the requests is sent, in a
        plan of its own, since one has to end in time.
        """
        count = self._scale.memory
        self._report(f"Measuring the memory over {count} requests")
        body = self._bodies.short(stream=False)
        readings: dict[str, list[float]] = {server.name: [] for server in self._each}
        for server in self._each:
            for _ in range(READINGS):
                self._send(server, body, max(1, count // READINGS))
                readings[server.name].append(processes.memory(server.process.pid))
        growth = {name: 100 * (mean(found[-3:]) / mean(found[:3]) - 1) for name, found in readings.items()}
        self._add(names.MEMORY, "resident", "MiB", {name: mean(found) for name, found in readings.items()})
        self._add(names.MEMORY, f"{names.GROWTH} {count} requests", "%", growth)

    # --- What it leaves -----------------------------------------------------------------------------------------------

    def _spend(self) -> None:
        """Every call of the run, in LiteLLM's log of spend and in its sums."""
        self._report("Comparing the spend with what the providers answered")
        self._await_spend()
        lost: dict[str, float] = {}
        for server in self._each:
            provided = spend.answered(server.outside.calls())
            known = spend.logged(server.database.ask(spend.ROWS))
            lost[server.name] = spend.difference(provided, known)
            if not lost[server.name] and spend.sums_differ(provided, server.database.ask(spend.DAYS)[0]):
                lost[server.name] = 1
        calls = {server.name: float(spend.answered(server.outside.calls()).total()) for server in self._each}
        self._add(names.SPEND, "calls that the providers have answered", "", calls)
        self._add(names.SPEND, names.LOST, "", lost)
        self._add(names.FAILED, names.NOT_WHOLE, "", self._failed)

    def _await_spend(self) -> None:
        """Wait until the log of spend and the sums have all; what is missing in the end is told by the comparison."""
        end = time.monotonic() + WRITTEN_WITHIN
        waiting = list(self._each)
        while waiting and time.monotonic() < end:
            time.sleep(1)
            waiting = [server for server in waiting if not _is_written(server)]

    # --- What they use ------------------------------------------------------------------------------------------------

    def _cpu_of(self, server: Server) -> float:
        return processes.processor_time(server.process.pid)

    def _cpu(self) -> dict[str, float]:
        return {server.name: self._cpu_of(server) for server in self._each}

    def _writes(self) -> dict[str, dict[str, float]]:
        """What each database has counted so far: rows that were written, and transactions."""
        sql = (
            "SELECT (tup_inserted + tup_updated + tup_deleted)::float AS rows, xact_commit::float AS transactions "
            "FROM pg_stat_database WHERE datname = current_database()"
        )
        return {server.name: server.database.ask(sql)[0] for server in self._each}

    def _send(self, server: Server, workload: Workload, count: int) -> list[Answer]:
        requests = [_request(next(self._keys[server.name]), workload) for _ in range(count)]
        lanes = {workload.name: Lane(requests, workload.callers)}
        return self._good(server.name, self._generator.send(Target(server.url), lanes))

    def _good(self, name: str, answers: Sequence[Answer]) -> list[Answer]:
        """Those that were answered whole; the others are counted."""
        found = good(answers, name)
        self._failed[name] += len(answers) - len(found)
        return found

    def _lane(self, server: Server, workload: Workload, due: Sequence[float]) -> Lane:
        requests = [_request(next(self._keys[server.name]), workload, at) for at in due]
        return Lane(requests, OPEN_CALLERS)


def _request(key: str, workload: Workload, at: float | None = None) -> Request:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return Request(workload.route, workload.body, headers, at)


def _is_written(server: Server) -> bool:
    provided = spend.answered(server.outside.calls())
    if sum(row["calls"] for row in server.database.ask(spend.ROWS)) < provided.total():
        return False
    return not spend.sums_differ(provided, server.database.ask(spend.DAYS)[0])


def _plain(answers: Sequence[Answer]) -> list[float]:
    return [answer.seconds for answer in answers if answer.lane == "plain" and answer.due >= WARM_SECONDS]


def _first(answers: Sequence[Answer]) -> list[float]:
    return [answer.first for answer in answers if answer.lane == "stream" and answer.due >= WARM_SECONDS]
