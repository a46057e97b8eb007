"""What is sent: the requests of each workload, and when each of an open loop is due."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from local.outside.world import OutsideWorld
from ops.bench_gateway import configurations, prompts
from ops.bench_gateway.load import Generator, Request, Target
from ops.bench_gateway.scale import Scale
from stacks.company import Company
from stacks.litellm_config import Model

SHORT_CALLERS: Final = 8
AGENT_CALLERS: Final = 2
PLAIN: Final = "short, plain"
STREAMED: Final = "short, streamed"
# The simulated Azure OpenAI, asked without LiteLLM: with the same bodies, by the proxy that LiteLLM takes.
DIRECT_URL: Final = "https://bench.openai.azure.com"
DIRECT_PATH: Final = "/openai/deployments/bench/chat/completions?api-version=2025-04-01-preview"


@dataclass(frozen=True)
class Workload:
    """What is sent a number of times in a round: by which route, with which body, by how many callers at once."""

    name: str
    route: str
    body: Path
    count: int
    callers: int


@dataclass(frozen=True)
class Models:
    """Which models of config.yaml are asked: by each route, and one that falls back to another provider's."""

    by_route: Mapping[str, str]
    falls_back: str | None


class Bodies:
    """The files of what is sent, for a company's models."""

    def __init__(self, generator: Generator, models: Models, scale: Scale) -> None:
        self._generator, self._models, self._scale = generator, models, scale

    def measured(self) -> list[Workload]:
        """Those whose processor time is measured."""
        return [self.short(stream=False), self.short(stream=True), *self._agents()]

    def warming(self) -> list[Workload]:
        """Each kind, by as many callers that several workers get some of it."""
        size = sorted(self._scale.agents)[len(self._scale.agents) // 2]
        agents = [workload for workload in self._agents() if workload.name.startswith(f"{size} KB")]
        kinds = (self.short(stream=False), self.short(stream=True), *agents)
        return [replace(workload, count=2 * SHORT_CALLERS, callers=SHORT_CALLERS) for workload in kinds]

    def short(self, *, stream: bool) -> Workload:
        """A person's question."""
        name = STREAMED if stream else PLAIN
        content = prompts.short(self._models.by_route[prompts.CHAT], stream=stream)
        body = self._generator.body(name, content)
        return Workload(name, prompts.CHAT, body, self._scale.short, SHORT_CALLERS)

    def large(self) -> Workload:
        """The largest prompt of an agent."""
        size = max(self._scale.agents)
        return next(each for each in self._agents() if each.name == f"{size} KB, {prompts.MESSAGES}")

    def falling_back(self) -> Workload | None:
        """A question to a model that falls back; None if config.yaml has none with a fallback elsewhere."""
        if self._models.falls_back is None:
            return None
        body = self._generator.body("fallback", prompts.short(self._models.falls_back, stream=False))
        return Workload("fallback", prompts.CHAT, body, self._scale.fallbacks, AGENT_CALLERS)

    def _agents(self) -> Iterator[Workload]:
        for size, count in self._scale.agents.items():
            for route in prompts.ROUTES:
                name = f"{size} KB, {route}"
                content = prompts.agent(route, self._models.by_route[route], 1000 * size)
                body = self._generator.body(name.replace("/", "_"), content)
                yield Workload(name, route, body, count, AGENT_CALLERS)


def models_of(company: Company) -> Models:
    """The models to ask: by Anthropic's route one of theirs, by OpenAI's newer one of Azure's, if there are any."""
    config = company.local.litellm_config(company.config)
    chat = [model for model in config.models if not any(word in model.id for word in ("embed", "rerank", "image"))]

    def first(*wanted: str) -> str:
        return next((model.name for word in wanted for model in chat if word in model.model), chat[0].name)

    claude = first("claude-haiku", "claude", "bedrock/")
    by_route = {prompts.MESSAGES: claude, prompts.CHAT: claude, prompts.RESPONSES: first("azure/gpt", "azure/")}
    others = configurations.fallbacks(company)
    places = {model.name: set(hosts(company, model.name)) for model in chat}
    known = ((name, to[0]) for name, to in others.items() if name in places and to and to[0] in places)
    apart = (name for name, other in known if places[name].isdisjoint(places[other]))
    return Models(by_route, next(apart, None))


def hosts(company: Company, name: str) -> Iterator[str]:
    """The hosts of the providers that answer for a model name."""
    config = company.local.litellm_config(company.config)
    entries: Iterator[Model] = (model for model in config.models if model.name == name)
    for model in entries:
        yield from model.hosts(company.local.plain_variables)


def times(rate: float, seconds: float, seed: int) -> list[float]:
    """When requests are due that come at random at a rate (a Poisson process); the same for the same seed."""
    draw = random.Random(seed)  # noqa: S311 - nothing secret
    found: list[float] = []
    at = draw.expovariate(rate)
    while at < seconds:
        found.append(at)
        at += draw.expovariate(rate)
    return found


def direct(outside: OutsideWorld) -> Target:
    """The way to the simulated provider without LiteLLM."""
    return Target(DIRECT_URL, "127.0.0.1", outside.port, str(outside.ca_file.resolve()))


def direct_requests(outside: OutsideWorld, body: Path, due: Sequence[float]) -> list[Request]:
    """Requests to the simulated provider itself."""
    headers = {"api-key": outside.credentials.azure_api_key, "Content-Type": "application/json"}
    return [Request(DIRECT_PATH, body, headers, at) for at in due]
