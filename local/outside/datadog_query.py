"""Datadog's answers to metric queries and formulas, over log-based metrics.

It knows the part of Datadog's language that this gateway's definitions use; of anything else `QueryError` says what is
not understood, so that a mistake is seen here and not as an empty graph in Datadog. What Datadog does where it matters:

- A point without a tag is in the group `N/A` of that tag.
- A distribution is aggregated over time and space at once: `sum:` adds its values, `count:` counts them, percentiles
  are of all of them ("Distributions"), here exact and in Datadog within 1 % (DDSketch).
- Arithmetic: where `as_count()` has no point it counts as 0 ("Interpolation"); what is divided by 0 has no value. A
  side without groups goes with every group of the other. Of a group that only one side has no page says anything: it
  falls out.
- `default_zero()` is not understood. It fills the gaps of a series in a graph; in a monitor it does nothing where the
  window has no point (DataDog/documentation, pull requests 14329 and 21531), and whether it makes a group is not said.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from local.outside.datadog_metrics import Metric, Metrics, QueryError, pattern

Group = tuple[tuple[str, str], ...]
"""The tags that set one series apart: (("user", "sato_example.com"), ("model", "gpt-6.1-sol"))."""
Values = Mapping[float, float]
"""Values by time: seconds since 1970, at which their interval begins."""

NO_TAG = "N/A"
GRANULARITY = 10.0
"""Seconds between the points of a log-based metric ("Generate Metrics from Ingested Logs")."""
_DAY = 86_400.0
_SHIFTS = {"day_before": _DAY, "week_before": 7 * _DAY}
_FUNCTIONS = {"clamp_min": 2, **dict.fromkeys(_SHIFTS, 1)}  # how many arguments each takes
_AGGREGATORS = ("sum", "avg", "min", "max", "count", "p50", "p75", "p90", "p95", "p99")
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
_OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to `end`, in intervals of `step`, all in seconds."""

    start: float
    end: float
    step: float

    def times(self) -> list[float]:
        """Return the beginnings of the intervals."""
        if math.isinf(self.step):
            return [self.start]
        first = math.floor(self.start / self.step)
        return [number * self.step for number in range(first, math.ceil(self.end / self.step))]

    def whole(self) -> Window:
        """Return the same window as one interval, which begins at its start."""
        return replace(self, step=math.inf)

    def bucket(self, time: float) -> float:
        """Return the beginning of the interval that a time is in."""
        return self.start if math.isinf(self.step) else math.floor(time / self.step) * self.step


@dataclass(frozen=True, slots=True)
class Series:
    """The answer of an expression: for each group, its values.

    `gaps_are_zero`: where there is no value it counts as 0 in arithmetic.
    """

    tags: tuple[str, ...]
    groups: Mapping[Group, Values]
    gaps_are_zero: bool = False

    def reduced(self, aggregator: str, time: float) -> Series:
        """Return one value for each group, at that time: the sum, avg, min, max or last of its values."""
        if aggregator not in _REDUCERS:
            raise QueryError(f"The aggregator {aggregator!r} is not understood: {', '.join(_REDUCERS)} are.")
        reduce = _REDUCERS[aggregator]
        single = {group: {time: reduce(list(values.values()))} for group, values in self.groups.items() if values}
        return replace(self, groups=single)

    def single(self) -> dict[Group, float]:
        """Return the values of a series that has one for each group."""
        return {group: value for group, values in self.groups.items() for value in values.values()}


_REDUCERS: Mapping[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "avg": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "last": lambda values: values[-1],
}


@dataclass(frozen=True, slots=True)
class _Condition:
    """Of a metric query's filter: a tag has one of the values, or has none of them."""

    tag: str
    patterns: tuple[re.Pattern[str], ...]
    negated: bool

    def holds(self, tags: Mapping[str, str]) -> bool:
        value = tags.get(self.tag)
        return (value is not None and any(pattern.fullmatch(value) for pattern in self.patterns)) != self.negated


@dataclass(frozen=True, slots=True)
class Query:
    """`sum:metric{filter} by {tags}.as_count().rollup(sum, 3600)`."""

    text: str
    aggregator: str
    metric: str
    filters: tuple[str, ...]
    by: tuple[str, ...]
    modifier: Literal["", "as_count", "as_rate"]
    rollup: float | None

    def evaluate(self, scope: Scope, shift: float = 0.0) -> Series:
        """Return its values in the scope's window, or `shift` seconds before that, at the window's times."""
        metric = scope.metrics.metric(self.metric)
        conditions = [condition for part in self.filters for condition in _conditions(part, scope.variables)]
        self._check(metric, conditions)
        window = scope.window
        if self.rollup and not math.isinf(window.step):
            window = replace(window, step=self.rollup)
        found: dict[Group, dict[float, list[float]]] = {}
        for point in scope.metrics.points(self.metric):
            time = point.time + shift
            if window.start <= time < window.end and all(condition.holds(point.tags) for condition in conditions):
                group = tuple((tag, point.tags.get(tag, NO_TAG)) for tag in self.by)
                found.setdefault(group, {}).setdefault(window.bucket(time), []).append(point.value)
        seconds = window.end - window.start if math.isinf(window.step) else window.step
        scale = 1 / seconds if self.modifier == "as_rate" else 1.0
        groups = {
            group: {time: self._aggregated(values) * scale for time, values in sorted(times.items())}
            for group, times in found.items()
        }
        return Series(self.by, groups, gaps_are_zero=bool(self.modifier))

    def _check(self, metric: Metric, conditions: Iterable[_Condition]) -> None:
        for tag in (*self.by, *(condition.tag for condition in conditions)):
            if tag not in metric.group_by:
                known = ", ".join(metric.group_by) or "none"
                raise QueryError(f"In {self.text!r}, the metric has no tag {tag!r}; it has {known}.")
        if self.aggregator.startswith("p") and not metric.percentiles:
            raise QueryError(f"In {self.text!r}, the metric has no percentiles: it was made without them.")
        if metric.kind == "count" and (self.aggregator != "sum" or not self.modifier):
            raise QueryError(
                f"In {self.text!r}, the metric is a count, which Datadog averages over time unless the query is sum: "
                "with .as_count() or .as_rate()."
            )

    def _aggregated(self, values: list[float]) -> float:
        if self.aggregator == "count":
            return float(len(values))
        if self.aggregator in _REDUCERS:
            return _REDUCERS[self.aggregator](values)
        return sorted(values)[math.floor(int(self.aggregator[1:]) / 100 * (len(values) - 1))]


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression is answered from: points, a window, the template variables, the named queries."""

    metrics: Metrics
    window: Window
    variables: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Tag and chosen value ("*" for any) by the variable's name."""
    named: Mapping[str, Callable[[float], Series]] = field(default_factory=dict)
    """What a formula calls by name, as a function of the shift."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Arithmetic over queries. In `tree`, Python's own, a query or a formula's named one is a name."""

    text: str
    tree: ast.expr
    queries: Mapping[str, Query]

    def evaluate(self, scope: Scope, shift: float = 0.0) -> Series:
        """Return its values in the scope's window, or `shift` seconds before that.

        Raises
        ------
        QueryError
            It asks for a metric or a tag that there is not, or puts together what does not go together.
        """
        found = self._value(self.tree, scope, shift)
        if isinstance(found, float):
            return Series((), {(): dict.fromkeys(scope.window.times(), found)})
        return found

    def _value(self, node: ast.expr, scope: Scope, shift: float) -> Series | float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in self.queries:
                return self.queries[name].evaluate(scope, shift)
            case ast.Name(id=name) if name in scope.named:
                return scope.named[name](shift)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                operation = _OPERATIONS[type(op)]
                return _combined(operation, self._value(left, scope, shift), self._value(right, scope, shift))
            case ast.Call(func=ast.Name(id=function), args=[inner]) if function in _SHIFTS:
                return self._value(inner, scope, shift + _SHIFTS[function])
            case ast.Call(func=ast.Name(id="clamp_min"), args=[inner, ast.Constant(value=int() | float() as least)]):
                found = self._value(inner, scope, shift)
                return _mapped(found, lambda value: max(value, least))
        raise self._misunderstood(node)

    def check(self, names: Iterable[str]) -> None:
        """Raise QueryError unless everything in it is understood, and what it calls by name is one of the names."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Name(id=name) if name not in (*self.queries, *names, *_FUNCTIONS):
                    known = ", ".join(_FUNCTIONS)
                    raise QueryError(f"In {self.text!r}, {name!r} is not understood; of functions, {known} are.")
                case ast.Name() | ast.Constant(value=int() | float()):
                    pass
                case ast.BinOp(op=op) if type(op) in _OPERATIONS:
                    pass
                case ast.Call(func=ast.Name(id=name), args=given) if len(given) == _FUNCTIONS.get(name, len(given)):
                    pass  # a function that is not known is a name that is not
                case ast.expr():
                    raise self._misunderstood(node)

    def _misunderstood(self, node: ast.expr) -> QueryError:
        place = ast.unparse(node)
        for name, query in self.queries.items():
            place = place.replace(name, query.text)
        return QueryError(f"In {self.text!r}, {place!r} is not understood.")


_QUERY = re.compile(
    r"(?P<aggregator>[a-z][a-z0-9]*):(?P<metric>[A-Za-z][\w.]*)\{(?P<filter>[^{}]*)\}"
    r"(?:\s*by\s*\{(?P<by>[^{}]*)\})?(?P<modifiers>(?:\.[a-z_]+\([^()]*\))*)"
)
_MODIFIER = re.compile(r"\.([a-z_]+)\(([^()]*)\)")
_ROLLUP = re.compile(r"(?:(?:avg|sum|min|max|count)\s*,\s*)?(\d+)")


def parse(text: str, *, names: Iterable[str] = ()) -> Expression:
    """Read a metric query, or a formula over named queries.

    Raises
    ------
    QueryError
        Something of it is not understood.
    """
    found: dict[str, Query] = {}

    def keep(match: re.Match[str]) -> str:
        name = f"_{len(found)}_"
        found[name] = _query(match)
        return name

    arithmetic = _QUERY.sub(keep, text.strip())
    try:
        tree = ast.parse(arithmetic, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise QueryError(f"The query {text!r} is not understood.") from error
    expression = Expression(text, tree, found)
    expression.check(names)
    return expression


def _query(match: re.Match[str]) -> Query:
    text, aggregator = match[0], match["aggregator"]
    if aggregator not in _AGGREGATORS:
        known = ", ".join(_AGGREGATORS)
        raise QueryError(f"In {text!r}, the aggregator {aggregator!r} is not understood: {known} are.")
    by = tuple(tag.strip() for tag in (match["by"] or "").split(",") if tag.strip())
    if match["by"] is not None and not by:
        raise QueryError(f"In {text!r}, 'by' names no tag.")
    modifier: Literal["", "as_count", "as_rate"] = ""
    rollup = None
    for name, given in _MODIFIER.findall(match["modifiers"]):
        if name in ("as_count", "as_rate") and not given:
            modifier = name
        elif name == "rollup" and (arguments := _ROLLUP.fullmatch(given)):
            rollup = float(arguments[1])
        else:
            raise QueryError(f"In {text!r}, .{name}({given}) is not understood: as_count, as_rate and rollup are.")
    filters = _split_filter(match["filter"])
    for part in filters:
        if not part.lstrip("!").startswith("$"):
            _condition(part)
    return Query(text, aggregator, match["metric"], filters, by, modifier, rollup)


def _split_filter(text: str) -> tuple[str, ...]:
    """Return the conditions of a filter, which are all to hold: split at commas or, in words, at AND."""
    separator = r"\s+(?:AND|and)\s+" if re.search(r"\s(?:AND|and|IN|in)\s", text) else ","
    parts = tuple(part.strip() for part in re.split(separator, text.strip()))
    if not all(parts):
        raise QueryError(f"The filter {{{text}}} has an empty condition; for everything it is {{*}}.")
    return tuple(part for part in parts if part != "*")


_CONDITION = re.compile(
    r"(?P<not>!|NOT\s+|not\s+)?(?P<tag>[A-Za-z][\w.\-/]*)"
    r"(?::(?P<value>[^\s,()]+)|\s+(?P<notin>NOT\s+|not\s+)?(?:IN|in)\s*\((?P<values>[^()]*)\))"
)


def _condition(text: str) -> _Condition:
    match = _CONDITION.fullmatch(text)
    if not match:
        raise QueryError(
            f"The condition {text!r} of a filter is not understood: tag:value, !tag:value, tag IN (…) are."
        )
    values = [match["value"]] if match["value"] else [value.strip() for value in match["values"].split(",")]
    return _Condition(match["tag"], tuple(map(pattern, values)), bool(match["not"]) != bool(match["notin"]))


def _conditions(text: str, variables: Mapping[str, tuple[str, str]]) -> list[_Condition]:
    """Return the condition of a filter's part, of which a template variable has none while it stands for anything."""
    name = text.lstrip("!").removeprefix("$")
    if not text.lstrip("!").startswith("$"):
        return [_condition(text)]
    if name not in variables:
        raise QueryError(f"There is no template variable {name!r}.")
    tag, value = variables[name]
    return [] if value == "*" else [_Condition(tag, (pattern(value),), negated=text.startswith("!"))]


def _combined(
    operation: Callable[[float, float], float], left: Series | float, right: Series | float
) -> Series | float:
    if isinstance(left, float):
        return _mapped(right, lambda value: _result(operation, left, value))
    if isinstance(right, float):
        return _mapped(left, lambda value: _result(operation, value, right))
    large, small = (left, right) if len(left.tags) >= len(right.tags) else (right, left)
    if not set(small.tags) <= set(large.tags):
        raise QueryError(f"Series by {{{','.join(left.tags)}}} and by {{{','.join(right.tags)}}} do not go together.")
    groups: dict[Group, Values] = {}
    for group, values in large.groups.items():
        part = tuple((tag, dict(group)[tag]) for tag in small.tags)
        if part in small.groups:
            sides = (values, small.groups[part])
            a, b = sides if large is left else sides[::-1]
            groups[group] = _at_each_time(operation, (a, left), (b, right))
    return Series(large.tags, groups, left.gaps_are_zero and right.gaps_are_zero)


def _at_each_time(
    operation: Callable[[float, float], float],
    left: tuple[Values, Series],
    right: tuple[Values, Series],
) -> Values:
    times = sorted(left[0].keys() | right[0].keys())
    found: dict[float, float] = {}
    for time in times:
        sides = [values.get(time, 0.0 if series.gaps_are_zero else None) for values, series in (left, right)]
        if sides[0] is not None and sides[1] is not None:
            result = _result(operation, sides[0], sides[1])
            if result is not None:
                found[time] = result
    return found


def _mapped(found: Series | float, change: Callable[[float], float | None]) -> Series | float:
    if isinstance(found, float):
        changed = change(found)
        if changed is None:
            raise QueryError("A number is divided by 0.")
        return changed
    groups: dict[Group, Values] = {}
    for group, values in found.groups.items():
        results = ((time, change(value)) for time, value in values.items())
        groups[group] = {time: value for time, value in results if value is not None}
    return replace(found, groups=groups)


def _result(operation: Callable[[float, float], float], left: float, right: float) -> float | None:
    return None if operation is operator.truediv and right == 0 else operation(left, right)
