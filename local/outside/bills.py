"""The bills of the answered calls, which `cost_explorer`, `cost_management`, `bigquery`, `openai_costs` and
`anthropic_costs` show.

Each bill has what the simulated provider answered, at the prices of the pinned LiteLLM's list, reckoned as the
providers publish it: what no cache had at the input price, what was read from and written to a cache at theirs, the
output with its thoughts at the output price; what Nova writes to a cache costs nothing. A deployment has the prices and
the model that config.yaml gives it, from the day on from which it has them (`Deployment`). What neither it nor the list
prices is not billed. `Bills.distort` makes a bill wrong.

The records of calls may be cleared and the process may end: a bill stays.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from local.outside import price_list
from local.outside.records import Call, Journal
from stacks.litellm_config import day_of, in_force

PAGE = 5  # lines of a bill that a service shows at once, so that there are pages
# What AWS bills of Nova's writes to a cache, and LiteLLM's list has no price of: in AWS's price list AmazonBedrock, the
# usage type USE1-Nova2.0Lite-cache-write-input-token-count, and its like of each Nova and region, cost 0.
_WRITES_FREE = re.compile(r"amazon\.nova-")
_FREE_WRITES = {"cache_creation_input_token_cost": 0.0}
_GEOGRAPHY = re.compile(r"^(us|eu|apac|jp|au|us-gov|global)\.")


@dataclass(frozen=True, slots=True)
class Charge:
    """One kind of token of a model in a place, in one month.

    `place` is the AWS region, the Azure resource or Google's location; `kind` is input, cached, cache_write,
    cache_write_1h, output or thoughts; `cost` is in US dollars.
    """

    provider: str
    place: str
    model: str
    kind: str
    tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """What config.yaml says of a provider's deployment: the model that it is priced as, and prices of its own.

    `base` is a name in LiteLLM's list, "" where it is the deployment's own; `prices` have the list's names. Above both
    are, from each day of the provider's on, the prices of that day in `prices_from`.
    """

    base: str = ""
    prices: Mapping[str, float] = field(default_factory=dict)
    prices_from: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


Deployments = Mapping[tuple[str, str, str], Deployment]
"""By provider, place and model, as in a `Charge`."""


@dataclass
class Bills:
    """What was used, by day; safe to use from any thread. `preliminary` is what Cost Explorer says of its figures.

    `deployments` are those whose price is not that of their name. It is kept in `file`, as LiteLLM keeps what was
    spent: otherwise the two would differ after a restart.

    Raises
    ------
    ValueError
        The file is not what it should be.
    """

    file: Path
    deployments: Deployments = field(default_factory=dict)
    preliminary: bool = False
    # By day (in a file of an earlier version the month), day from which the price held ("" if from the beginning),
    # provider, place, model and kind.
    _tokens: Counter[tuple[str, str, str, str, str, str]] = field(default_factory=Counter)
    _factors: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.file.exists():
            try:
                self._tokens.update({_key(*key): int(count) for *key, count in json.loads(self.file.read_text())})
            except (TypeError, ValueError) as error:
                raise ValueError(f"{self.file} is not a bill; delete it to begin a new one.") from error

    def save(self) -> None:
        """Write the file."""
        with self._lock:
            self.file.write_text(json.dumps([[*key, count] for key, count in sorted(self._tokens.items())]))

    def add(self, call: Call) -> None:
        """Put an answered call on the bill: one that was cut has been answered by the provider all the same."""
        if call.status != 200 or not call.model:
            return
        day, since = f"{datetime.fromtimestamp(call.time, UTC):%Y-%m-%d}", self._since(call)
        with self._lock:
            for kind, count in _counted(call).items():
                self._tokens[day, since, call.provider, _place(call), call.model, kind] += count

    def learn(self, region: str, profile: str, model: str) -> None:
        """Bill an application inference profile of Bedrock's as the model that it is of."""
        with self._lock:
            self.deployments = {**self.deployments, ("bedrock", region, profile): Deployment(base=model)}

    def cost(self, call: Call) -> float | None:
        """Return what an answered call is billed, in US dollars; None if nothing prices its model."""
        since = self._since(call)
        prices = {kind: self._price(since, call.provider, _place(call), call.model, kind) for kind in _counted(call)}
        found = {kind: price for kind, price in prices.items() if price is not None}
        return sum(count * found[kind] for kind, count in _counted(call).items()) if found else None

    def listed(self) -> Collection[str]:
        """Return the names in LiteLLM's list of prices."""
        return _prices()

    def distort(self, model: str, factor: float) -> None:
        """Multiply what is billed of a model; `model` may have wildcards: "*claude-opus*"."""
        with self._lock:
            self._factors[model] = factor

    def mend(self) -> None:
        """Take every distortion back."""
        with self._lock:
            self._factors.clear()

    def charges(self, provider: str, period: str) -> list[Charge]:
        """Return a provider's lines of a month or a day, such as bedrock in 2026-11, in the order of their names."""
        with self._lock:
            tokens, factors = sorted(self._tokens.items()), dict(self._factors)
        found: dict[tuple[str, str, str], tuple[int, float]] = {}
        for (day, since, of_provider, place, model, kind), count in tokens:
            price = self._price(since, provider, place, model, kind)
            if day.startswith(period) and of_provider == provider and count and price is not None:
                factor = next((f for pattern, f in factors.items() if fnmatchcase(model, pattern)), 1.0)
                # A line is the period's, at whichever prices.
                before, cost = found.get((place, model, kind), (0, 0.0))
                found[place, model, kind] = (before + count, cost + count * price * factor)
        return [Charge(provider, *key, count, cost) for key, (count, cost) in sorted(found.items())]

    def _since(self, call: Call) -> str:
        """The last day, until the call, on which the prices of its deployment changed; "" if there was none."""
        deployment = self.deployments.get((call.provider, _place(call), call.model), Deployment())
        today = day_of(call.provider, datetime.fromtimestamp(call.time, UTC))
        return max((day for day in deployment.prices_from if day <= today), default="")

    def _price(self, since: str, provider: str, place: str, model: str, kind: str) -> float | None:
        """US dollars of one token, at the prices of a day; None if nothing prices the model."""
        deployment = self.deployments.get((provider, place, model), Deployment())
        named = deployment.base or model
        listed = next((_prices()[name] for name in _names(provider, place, named) if name in _prices()), {})
        free = _FREE_WRITES if _WRITES_FREE.search(named) else {}
        price = _price({**free, **listed, **deployment.prices, **in_force(deployment.prices_from, since)}, kind)
        # A model of Vertex AI may cost more in a region than by the global endpoint.
        dearer = float(listed.get("regional_endpoint_uplift_multiplier", 1.0)) if place != "global" else 1.0
        # And one of OpenAI's by the host of a region, eu.api.openai.com.
        dearer *= float(listed.get(f"regional_processing_uplift_multiplier_{place}", 1.0))
        return price if price is None else price * dearer


def _key(day: str, *rest: str) -> tuple[str, str, str, str, str, str]:
    """What a file has of tokens; an older one says nothing of the prices' day."""
    since, provider, place, model, kind = rest if len(rest) == 5 else ("", *rest)
    return (day, since, provider, place, model, kind)


def _place(call: Call) -> str:
    return call.region or call.host.partition(".")[0]


def _counted(call: Call) -> dict[str, int]:
    """A call's tokens by the kinds that have prices."""
    usage = call.usage
    return {
        "input": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cached": usage.cached_tokens,
        "cache_write": usage.cache_write_tokens - usage.cache_write_1h_tokens,
        "cache_write_1h": usage.cache_write_1h_tokens,
        "output": usage.output_tokens - usage.reasoning_tokens,
        "thoughts": usage.reasoning_tokens,
    }


class BilledJournal(Journal):
    """A journal whose calls are put on the bills."""

    def __init__(self, bills: Bills) -> None:
        super().__init__()
        self.bills = bills

    def add_call(self, call: Call) -> None:
        """Keep one answered request."""
        super().add_call(call)
        self.bills.add(call)


def _names(provider: str, place: str, model: str) -> tuple[str, ...]:
    """Under which names the list may have a model, the most particular first."""
    if provider == "bedrock":
        return (f"bedrock/{place}/{model}", model, _GEOGRAPHY.sub("", model))
    return (f"{provider}/{model}", model)


def _price(found: Mapping[str, Any], kind: str) -> float | None:
    """US dollars of one token by a model's prices; None if there are none."""
    if not any(re.match(r"(in|out)put_cost_per_", name) for name in found):
        return None
    price, output = float(found.get("input_cost_per_token", 0.0)), float(found.get("output_cost_per_token", 0.0))
    written = float(found.get("cache_creation_input_token_cost", price))
    prices = {
        "input": price,
        "cached": float(found.get("cache_read_input_token_cost", price)),
        "cache_write": written,
        "cache_write_1h": float(found.get("cache_creation_input_token_cost_above_1hr", written)),
        "output": output,
        "thoughts": float(found.get("output_cost_per_reasoning_token", output)),
    }
    return prices[kind]


def _prices() -> dict[str, dict[str, Any]]:
    return price_list.prices()
