"""What LiteLLM counted beside what a provider has on the bill: by model and region, with what to look at first.

A difference is LiteLLM's figure less the bill's: below zero, LiteLLM counts too little. Below `FLOOR` it is noise:
bills round every line to cents or less, LiteLLM writes spend once a minute, and a call under way at midnight of UTC is
of one month here and of the other there. What a model costs above that differs for a reason.

LiteLLM's totals are its figures by user. Its figures by region's tag only say how a total is shared over regions: they
are too low, and more so the more tasks come and go, as a task writes them every 138 seconds, but not when it is stopped
(LiteLLM 1.106 then writes only the others).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TypeVar

from usage.bill_lines import KINDS, Kind, Line, Profiles, Statement, fits, is_everywhere, model_id, profile_arn
from usage.bill_providers import BILLED, provider_of
from usage.litellm import Usage

Number = TypeVar("Number", int, float)

FLOOR = 1.0  # US dollars
# What container/records.py puts before a call's region, and writes where it knows none.
REGION_TAG, UNKNOWN = "region:", "unknown"
# Bills count in tokens, thousands or millions of them, and most do not say in which.
_UNITS = (1, 1_000, 1_000_000)
# The share of a difference that tokens must explain before they, and not the price, are named.
_EXPLAINED = 0.5


@dataclass(slots=True)
class Counted:
    """What LiteLLM counted of a deployment in a region."""

    cost: float = 0.0
    requests: int = 0
    tokens: Counter[Kind] = field(default_factory=Counter)

    def add(self, usage: Usage) -> None:
        """Add a day's row; the prompt's tokens have those of the cache in them."""
        self.cost += usage.cost
        self.requests += usage.requests
        self.tokens["input"] += usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens
        self.tokens["cached"] += usage.cached_tokens
        self.tokens["cache_write"] += usage.cache_write_tokens
        self.tokens["output"] += usage.completion_tokens


@dataclass
class Count:
    """What LiteLLM counted of one provider, by region and deployment, and what people call its deployments.

    The region is "" of a deployment that LiteLLM has no figures by region's tag of.
    """

    counted: dict[tuple[str, str], Counted] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)  # deployment: the names, joined by ", "
    tagged: float = 0.0  # US dollars in the figures by region's tag

    @property
    def regions(self) -> set[str]:
        """Where there were calls."""
        return {region for region, _ in self.counted if region}

    @property
    def placeless(self) -> set[str]:
        """The deployments whose regions are unknown."""
        return {deployment for region, deployment in self.counted if not region}

    @property
    def cost(self) -> float:
        """US dollars in the figures by user."""
        return sum(one.cost for one in self.counted.values())

    def without_regions(self) -> Count:
        """Return the same for a bill that does not tell where calls were made."""
        found: dict[tuple[str, str], Counted] = {}
        for (_, deployment), one in self.counted.items():
            _merge(found.setdefault(("", deployment), Counted()), one)
        return Count(found, self.models, self.tagged)

    @property
    def untagged_percent(self) -> float:
        """How much of the cost the figures by region's tag lack, in percent of it."""
        return 100 * (self.cost - self.tagged) / self.cost if self.cost else 0.0


@dataclass(frozen=True)
class Row:
    """A model in a region, or an application inference profile; in all regions if `region` is "".

    That is the sum of a model's rows, or its only one where LiteLLM's figures do not tell its regions. The deployments
    are several where the bill does not tell them apart.
    """

    region: str
    deployments: tuple[str, ...]
    counted: Counted
    lines: Sequence[Line]
    profile: str = ""  # the tag's value

    @cached_property
    def billed(self) -> float:
        """What the bill has, in US dollars."""
        return sum(line.cost for line in self.lines)

    @property
    def difference(self) -> float:
        """LiteLLM's figure less the bill's, in US dollars."""
        return self.counted.cost - self.billed

    @property
    def percent(self) -> float:
        """The difference in percent of the bill; 0 if it is noise."""
        return percent(self.counted.cost, self.billed)

    @cached_property
    def tokens(self) -> dict[Kind, float]:
        """Tokens on the bill by kind, in the unit of the three in which they are nearest to LiteLLM's count."""
        quantities = {
            kind: sum(line.quantity for line in self.lines if line.kind == kind) for kind in KINDS if kind != "other"
        }
        pairs = [(billed, self.counted.tokens[kind]) for kind, billed in quantities.items()]
        known = [(billed, counted) for billed, counted in pairs if billed > 0 and counted > 0]
        unit = min(_UNITS, key=lambda unit: sum(abs(math.log(billed * unit / counted)) for billed, counted in known))
        return {kind: quantity * unit for kind, quantity in quantities.items()} if known else {}

    def costs(self, kind: Kind) -> float:
        """What the bill has of one kind of token, in US dollars."""
        return sum(line.cost for line in self.lines if line.kind == kind)

    @property
    def culprit(self) -> Kind | None:
        """The kind of token whose count explains at least half of the difference; None if the counts do not."""
        effects = {
            kind: (self.counted.tokens[kind] - tokens) * self.costs(kind) / tokens
            for kind, tokens in self.tokens.items()
            if tokens
        }
        same_way = {kind: effect / self.difference for kind, effect in effects.items() if self.difference}
        kind = max(same_way, key=lambda kind: same_way[kind], default=None)
        return kind if kind and same_way[kind] >= _EXPLAINED else None


@dataclass(frozen=True)
class Comparison:
    """A provider's month: a row per model and region, rows per profile, and lines that fit no deployment."""

    provider: str
    rows: Sequence[Row]
    unmatched: Sequence[Line] = ()
    profiles: Sequence[Row] = ()
    discount: float = 0.0
    preliminary: bool = False
    placed: bool = True

    @property
    def counted(self) -> float:
        """What LiteLLM counted, in US dollars."""
        return sum(row.counted.cost for row in self.rows)

    @property
    def billed(self) -> float:
        """What the bill has of the gateway's models and regions, in US dollars."""
        return sum(row.billed for row in self.rows)

    @property
    def left_over(self) -> float:
        """What the bill has beside them, in US dollars: it is told, and in no percentage."""
        return sum(line.cost for line in self.unmatched)

    @property
    def percent(self) -> float:
        """The difference of the whole, in percent of the bill."""
        return percent(self.counted, self.billed)

    @cached_property
    def models(self) -> list[Row]:
        """A row per model, of all of its regions together: what is noise in each may be none in their sum."""
        by_model: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in self.rows:
            by_model[row.deployments].append(row)
        return [_together(rows) if len(rows) > 1 else rows[0] for rows in by_model.values()]

    @property
    def worst(self) -> float:
        """The largest difference in percent, without its sign: of the whole, of a model, in a region, of a profile.

        A model's price can be wrong where others' hide it in the sum, or one's error another's.
        """
        rows = (*self.models, *self.rows, *self.profiles)
        return max(abs(self.percent), *(abs(row.percent) for row in rows), 0.0)

    def above(self, tolerance: float) -> list[Row]:
        """Return what differs by more percent than that, most dollars first: a model, or else its regions."""
        found = [row for row in self.profiles if abs(row.percent) > tolerance]
        for model in self.models:
            regions = [row for row in self.rows if row.deployments == model.deployments]
            found += [row for row in (regions, [model])[abs(model.percent) > tolerance] if abs(row.percent) > tolerance]
        return sorted(found, key=lambda row: -abs(row.difference))


def percent(counted: float, billed: float) -> float:
    """Return the difference in percent of the bill: 0 if it is noise, 100 if nothing is billed."""
    if abs(counted - billed) < FLOOR:
        return 0.0
    return 100 * (counted - billed) / billed if billed > 0 else 100.0


def count(
    users: Iterable[Usage],
    tags: Iterable[Usage],
    models: Mapping[str, str],
    providers: Mapping[str, str] | None = None,
) -> dict[str, Count]:
    """Add up LiteLLM's rows by user and share the sums over regions as its rows by tag are, by provider.

    What all regions have together is what the users have. `models` is what people call deployments, `providers` on
    whose bill they are, if that is not to be seen by their names. A provider is there if it has a deployment, in the
    order of `BILLED`.
    """
    totals: dict[str, Counted] = defaultdict(Counted)  # by deployment
    for row in users:
        totals[row.deployment].add(row)
    tagged: dict[str, dict[str, Counted]] = defaultdict(lambda: defaultdict(Counted))  # by deployment and region
    for row in tags:
        region = row.who.removeprefix(REGION_TAG).lower()
        if row.who.startswith(REGION_TAG) and region != UNKNOWN:
            tagged[row.deployment][region].add(row)
    counts = {provider: Count() for provider in BILLED}
    for deployment in dict.fromkeys((*models, *totals)):
        provider = (providers or {}).get(deployment) or provider_of(deployment)
        if provider not in counts and deployment not in models and not totals[deployment].cost:
            continue  # LiteLLM counts what costs nothing, such as a tool, under other names than a deployment's
        one, regions = counts.setdefault(provider, Count()), tagged[deployment]
        one.models[deployment] = models.get(deployment, deployment)
        one.tagged += sum(part.cost for part in regions.values())
        if deployment in totals:
            parts = _shared(totals[deployment], regions)
            one.counted.update({(region, deployment): part for region, part in parts.items()})
    return {provider: one for provider, one in counts.items() if one.models}


def _shared(total: Counted, regions: Mapping[str, Counted]) -> dict[str, Counted]:
    """A deployment's total by region, each figure in the proportions that it has by tag; of region "" without any."""
    if not regions:
        return {"": total}
    parts = list(regions.values())
    calls = [max(part.requests, 1) for part in parts]  # the proportions of what the figures by tag have none of
    costs = _split(total.cost, [part.cost for part in parts], calls, float)
    requests = _split(total.requests, calls, calls, round)
    tokens = {kind: _split(total.tokens[kind], [part.tokens[kind] for part in parts], calls, round) for kind in KINDS}
    return {
        region: Counted(costs[n], requests[n], Counter({kind: each[n] for kind, each in tokens.items()}))
        for n, region in enumerate(regions)
    }


def _split(
    whole: Number, weights: Sequence[float], instead: Sequence[float], number: Callable[[float], Number]
) -> list[Number]:
    """Split a whole in the proportions of the weights, or of others if these are 0; rounding loses nothing of it."""
    sums: list[float] = [0, *accumulate(weights if sum(weights) > 0 else instead)]
    ends = [number(whole * (end / sums[-1])) for end in sums]
    return [end - start for start, end in pairwise(ends)]


def compare(provider: str, count: Count, statement: Statement, profiles: Profiles | None = None) -> Comparison:
    """Bring each line of the bill to the deployments that it is of, and both sides together.

    A line is a deployment's if it names its model, in a region where the gateway has made calls. One that does not,
    because the account is used past the gateway or the name is a new one, stands in `unmatched`. Of a deployment whose
    regions are unknown it is the lines of every region, and a row has all of them: so it is of all deployments, where
    the bill does not tell regions.
    """
    profiles = profiles or Profiles()
    count = count if statement.placed else count.without_regions()
    values = _tag_values(count.models, profiles)
    names = {one: [*called.split(", "), *profiles.models.get(values[one], ())] for one, called in count.models.items()}
    matched: dict[tuple[str, str], list[Line]] = defaultdict(list)  # by region and group
    groups, regions, placeless = _Groups(), count.regions, count.placeless
    unmatched = []
    for line in statement.lines:
        found = _deployments(line, names)
        if found and (line.region in regions or not placeless.isdisjoint(found)):
            groups.join(found)
            matched[line.region, found[0]].append(line)
        else:
            unmatched.append(line)
    together = {groups.of(deployment) for deployment in placeless}

    def place(region: str, deployment: str) -> tuple[str, tuple[str, ...]]:
        """Which row it belongs to."""
        group = groups.of(deployment)
        return "" if group in together else region, group

    lines: dict[tuple[str, tuple[str, ...]], list[Line]] = defaultdict(list)
    for key, some in matched.items():
        lines[place(*key)] += some
    counted: dict[tuple[str, tuple[str, ...]], Counted] = {}
    for key, one in count.counted.items():
        _merge(counted.setdefault(place(*key), Counted()), one)
    rows = [
        Row(region, deployments, counted.get((region, deployments), Counted()), lines[region, deployments])
        for region, deployments in sorted({*counted, *lines})
    ]
    return Comparison(
        provider,
        rows,
        unmatched,
        _profile_rows(count, values, profiles),
        statement.discount,
        statement.preliminary,
        statement.placed,
    )


def _deployments(line: Line, names: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The deployments that a line's model is: by their ids, or else by what people call them.

    An application inference profile has no model in its id. Where the model is deployed as a global profile and
    otherwise, the line is of those that are like it.
    """
    called = {one for one, some in names.items() if any(fits(line.model, name) for name in some)}
    found = [one for one in names if fits(line.model, model_id(one)) or (profile_arn(one) and one in called)]
    found = found or list(called)
    alike = [one for one in found if is_everywhere(one) == line.everywhere]
    return tuple(sorted(alike or found))


def _tag_values(models: Mapping[str, str], profiles: Profiles) -> dict[str, str]:
    """The tag's value of each deployment that is an application inference profile: its ARN, its id or its name."""
    values = dict.fromkeys(models, "")
    for deployment, called in models.items():
        if arn := profile_arn(deployment):
            names = {arn, arn.rpartition("/")[2], *called.split(", ")}
            values[deployment] = next((value for value, _ in profiles.costs if value in names), "")
    return values


def _profile_rows(count: Count, values: Mapping[str, str], profiles: Profiles) -> list[Row]:
    counted: dict[tuple[str, str], Counted] = {}
    members: dict[tuple[str, str], set[str]] = defaultdict(set)
    together = {values[deployment] for deployment in count.placeless}
    for (region, deployment), one in count.counted.items():
        if value := values[deployment]:
            key = value, "" if value in together else region
            _merge(counted.setdefault(key, Counted()), one)
            members[key].add(deployment)

    def billed(value: str, region: str) -> float:
        return sum(cost for (one, where), cost in profiles.costs.items() if one == value and region in ("", where))

    return [
        Row(
            region,
            tuple(sorted(members[value, region])),
            counted[value, region],
            [Line(value, value, region, "other", billed(value, region), 0.0)],
            profile=value,
        )
        for value, region in sorted(counted)
    ]


def _together(rows: Sequence[Row]) -> Row:
    counted = Counted()
    for row in rows:
        _merge(counted, row.counted)
    return Row("", rows[0].deployments, counted, [line for row in rows for line in row.lines])


def _merge(total: Counted, one: Counted) -> None:
    total.cost += one.cost
    total.requests += one.requests
    total.tokens.update({kind: one.tokens[kind] for kind in KINDS})


class _Groups:
    """Deployments that a line of the bill cannot tell apart, such as two names of one model."""

    def __init__(self) -> None:
        self._members: dict[str, frozenset[str]] = {}

    def join(self, deployments: Iterable[str]) -> None:
        joined = frozenset().union(*(self._members.get(one, {one}) for one in deployments))
        self._members.update(dict.fromkeys(joined, joined))

    def of(self, deployment: str) -> tuple[str, ...]:
        return tuple(sorted(self._members.get(deployment, {deployment})))
