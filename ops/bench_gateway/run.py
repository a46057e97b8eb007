"""The run: every workload on every LiteLLM in turn (A B C A B C …), and the figures that it gives."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from ops.bench_gateway import people, processes, prompts
from ops.bench_gateway.load import Answer, Generator, Lane, Request, Target, refuse_failures
from ops.bench_gateway.scale import Scale
from ops.bench_gateway.servers import Report, Server, Servers

IDLE_SECONDS: Final = 6.0
SHORT_CALLERS: Final = 8
AGENT_CALLERS: Final = 2
WRITTEN_WITHIN: Final = 180.0  # seconds; ours writes once a minute


@dataclass(frozen=True)
class Models:
    """The model that is asked by each route, as config.yaml names it."""

    by_route: Mapping[str, str]


@dataclass
class Workload:
    """What is sent, a number of times: its name, its route, its body's file."""

    name: str
    route: str
    body: Path
    count: int
    callers: int


@dataclass
class Used:
    """What a workload took of one LiteLLM."""

    requests: int = 0
    cpu: float = 0.0  # seconds
    seconds: float = 0.0
    answers: list[Answer] = field(default_factory=list)


@dataclass
class Costs:
    """The processor time of one LiteLLM, by workload, with what it did afterwards for all of them."""

    idle: float  # seconds of processor time a second, when nothing is asked
    afterwards: float = 0.0  # seconds of processor time a request, when the load was over: the spend's writing
    used: dict[str, Used] = field(default_factory=lambda: defaultdict(Used))

    def cpu_ms(self, workload: str) -> float:
        """Milliseconds of processor time of one request, until its spend is written."""
        used = self.used[workload]
        return 1000 * (max(0.0, used.cpu - self.idle * used.seconds) / used.requests + self.afterwards)


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
        self._keys: dict[str, Iterator[str]] = {}
        self.models = models_of(servers)

    @property
    def _each(self) -> Sequence[Server]:
        return [self._servers.by_name[name] for name in self._servers.names]

    def prepare(self) -> None:
        """Make people, warm up, and give each LiteLLM one processor."""
        self._report("Making people with budgets and keys")
        for server in self._each:
            made = people.make(server, self._servers.company.local, self._scale.keys)
            self._keys[server.name] = cycle(made)
        self._report("Warming up")
        for workload in self._workloads():
            for server in self._each:
                self._send(server, workload, 8 if workload.callers == SHORT_CALLERS else 4)
        self._place()

    def costs(self) -> dict[str, Costs]:
        """What each workload costs in processor time, by LiteLLM."""
        self._await_spend()
        self._report("Measuring what each costs at rest")
        before = {server.name: self._cpu(server) for server in self._each}
        time.sleep(IDLE_SECONDS)
        costs = {server.name: Costs((self._cpu(server) - before[server.name]) / IDLE_SECONDS) for server in self._each}
        begin, before = time.monotonic(), {server.name: self._cpu(server) for server in self._each}
        for workload in self._workloads():
            self._report(f"Measuring the processor time of {workload.name}")
            for _ in range(self._scale.rounds):
                for server in self._each:
                    used = costs[server.name].used[workload.name]
                    cpu, start = self._cpu(server), time.monotonic()
                    used.answers += self._send(server, workload, workload.count)
                    used.cpu += self._cpu(server) - cpu
                    used.seconds += time.monotonic() - start
                    used.requests += workload.count
        self._report("Waiting until the spend is written")
        self._await_spend()
        for server in self._each:
            cost = costs[server.name]
            total = self._cpu(server) - before[server.name] - cost.idle * (time.monotonic() - begin)
            during = sum(used.cpu - cost.idle * used.seconds for used in cost.used.values())
            cost.afterwards = max(0.0, total - during) / sum(used.requests for used in cost.used.values())
        return costs

    def _workloads(self) -> Iterator[Workload]:
        """Those whose processor time is measured."""
        body, scale = self._generator.body, self._scale
        chat = self.models.by_route[prompts.CHAT]
        for stream, name in ((False, "short, plain"), (True, "short, streamed")):
            content = prompts.short(chat, stream=stream)
            yield Workload(name, prompts.CHAT, body(name, content), scale.short, SHORT_CALLERS)
        for size, count in scale.agents.items():
            for route in prompts.ROUTES:
                content = prompts.agent(route, self.models.by_route[route], 1000 * size)
                name = f"{size} KB, {route}"
                yield Workload(name, route, body(name.replace("/", "_"), content), count, AGENT_CALLERS)

    def _send(self, server: Server, workload: Workload, count: int) -> list[Answer]:
        requests = [self._request(server, workload.route, workload.body) for _ in range(count)]
        answers = self._generator.send(Target(server.url), {workload.name: Lane(requests, workload.callers)})
        refuse_failures(answers)
        return answers

    def _request(self, server: Server, route: str, body: Path, at: float | None = None) -> Request:
        (key,) = islice(self._keys[server.name], 1)
        return Request(route, body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}, at)

    def _cpu(self, server: Server) -> float:
        return processes.processor_time(server.process.pid)

    def _place(self) -> None:
        """One processor for each LiteLLM, and the others for what asks them and what answers them."""
        places = processes.processors()
        if len(places) > 1:
            for server in self._each:
                processes.keep_to(server.process.pid, places[:1])

    def _await_spend(self) -> None:
        """Wait until each has written as many rows of spend as its providers have answered calls."""
        end = time.monotonic() + WRITTEN_WITHIN
        waiting = list(self._each)
        while waiting and time.monotonic() < end:
            time.sleep(1)
            waiting = [server for server in waiting if written(server) < answered(server)]


def written(server: Server) -> int:
    """How many calls are in the spend."""
    return int(server.database.ask('SELECT count(*)::int AS n FROM "LiteLLM_SpendLogs" WHERE total_tokens > 0')[0]["n"])


def answered(server: Server) -> int:
    """How many calls its providers have answered."""
    return sum(call.usage.input_tokens > 0 for call in server.outside.calls())


def models_of(servers: Servers) -> Models:
    """The models of config.yaml to ask: by Anthropic's route one of theirs, by OpenAI's newer one of Azure's, if any."""
    config = servers.company.local.litellm_config(servers.company.config)
    chat = [model for model in config.models if not any(word in model.id for word in ("embed", "rerank"))]

    def first(*wanted: str) -> str:
        return next((model.name for word in wanted for model in chat if word in model.model), chat[0].name)

    return Models(
        {
            prompts.MESSAGES: first("anthropic.claude-haiku", "anthropic.", "claude"),
            prompts.CHAT: first("anthropic.claude-haiku", "anthropic.", "claude"),
            prompts.RESPONSES: first("azure/gpt", "azure/"),
        }
    )
