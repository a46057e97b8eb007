"""How Datadog judges a metric monitor.

A `sum` monitor with `as_count()` adds up over its window first and calculates then ("as_count() in Monitor
Evaluations"); any other one calculates at each point and aggregates then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from local.outside.datadog_metrics import Metrics, QueryError
from local.outside.datadog_query import COMPARISONS, GRANULARITY, Expression, Group, Scope, Window, parse
from local.outside.records import Json

_DAY = 86_400.0
_UNITS = {"m": 60.0, "h": 3600.0, "d": _DAY, "w": 7 * _DAY}


@dataclass(frozen=True, slots=True)
class MonitorQuery:
    """`sum(last_1d):expression > 20`. `seconds` is the window's length."""

    aggregator: str
    seconds: float
    expression: Expression
    comparison: str
    threshold: float


@dataclass(frozen=True, slots=True)
class GroupState:
    """How a group of a monitor stands: "OK", "Warn" or "Alert"."""

    group: Group
    value: float
    state: str


@dataclass(frozen=True, slots=True)
class MonitorState:
    """How a monitor stands: "OK", "Warn", "Alert" or "No Data", as its worst group, and whether it tells anybody."""

    state: str
    notifies: bool
    groups: tuple[GroupState, ...] = ()


_MONITOR = re.compile(
    r"(?P<aggregator>[a-z_]+)\(last_(?P<number>\d+)(?P<unit>m|h|d|w)\)\s*:(?P<expression>.+?)"
    r"(?P<comparison>>=|<=|==|!=|>|<)\s*(?P<threshold>-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)",
    re.DOTALL,
)


def parse_monitor(query: str) -> MonitorQuery:
    """Read a metric monitor's query.

    Raises
    ------
    QueryError
        Something of it is not understood.
    """
    match = _MONITOR.fullmatch(query.strip())
    if not match:
        raise QueryError(
            f"The monitor's query {query!r} is not understood: it must be as in sum(last_5m):sum:metric{{*}} > 1."
        )
    if match["aggregator"] not in ("avg", "sum", "min", "max"):
        raise QueryError(
            f"In {query!r}, the aggregator {match['aggregator']!r} is not understood: avg, sum, min, max are."
        )
    expression = parse(match["expression"])
    if any(part.startswith(("$", "!$")) for found in expression.queries.values() for part in found.filters):
        raise QueryError(f"In {query!r}, there is a template variable, which monitors do not have.")
    seconds = int(match["number"]) * _UNITS[match["unit"]]
    return MonitorQuery(match["aggregator"], seconds, expression, match["comparison"], float(match["threshold"]))


def monitor_state(monitor: Json, metrics: Metrics, now: float) -> MonitorState:
    """Return how a monitor stands at a time.

    Its window ends `evaluation_delay` seconds before. A group without a value in it has no state. Without any the
    state is "No Data", of which the monitor tells if `notify_no_data` says so and the last `no_data_timeframe` minutes,
    if longer, have been as silent.

    Raises
    ------
    QueryError
        Its query is not understood, or asks for a metric or a tag that there is not.
    """
    query = parse_monitor(monitor["query"])
    options = monitor.get("options") or {}
    now -= options.get("evaluation_delay") or 0
    values = _monitored(query, metrics, now)
    if not values:
        silent = max(query.seconds, 60.0 * (options.get("no_data_timeframe") or 0))
        missing = not _monitored(replace(query, seconds=silent), metrics, now)
        return MonitorState("No Data", notifies=missing and bool(options.get("notify_no_data")))
    thresholds = options.get("thresholds") or {}
    compare = COMPARISONS[query.comparison]
    limits = {"Alert": query.threshold, "Warn": thresholds.get("warning")}
    groups = []
    for group, value in sorted(values.items()):
        passed = [state for state, limit in limits.items() if limit is not None and compare(value, limit)]
        groups.append(GroupState(group, value, passed[0] if passed else "OK"))
    states = {group.state for group in groups}
    worst = next(state for state in ("Alert", "Warn", "OK") if state in states)
    return MonitorState(worst, notifies=worst != "OK", groups=tuple(groups))


def _monitored(query: MonitorQuery, metrics: Metrics, now: float) -> dict[Group, float]:
    counted = any(found.modifier == "as_count" for found in query.expression.queries.values())
    window = Window(now - query.seconds, now, GRANULARITY)
    if query.aggregator == "sum" and counted:
        return query.expression.evaluate(Scope(metrics, window.whole())).single()
    return query.expression.evaluate(Scope(metrics, window)).reduced(query.aggregator, window.start).single()
