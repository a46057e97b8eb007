"""What Datadog makes of received log records: the points of log-based metrics.

- A log's JSON message is its attributes, `ddtags` its tags; its time is that of its arrival, as ours carry no date.
- A metric has a point for each log that its filter matches. Only the attributes of `group_by` become tags, in lower
  case and with an underscore for anything but letters, digits and `_-:./` ("Rules and best practices for naming tags"):
  sato@example.com is `sato_example.com`. What a log has not is no tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

from local.outside.records import Json

_RESERVED = {"service": "service", "source": "ddsource", "host": "hostname", "status": "status"}


class QueryError(ValueError):
    """A query that is not understood, or that cannot be answered: one sentence that says what and why."""


@dataclass(frozen=True)
class Log:
    """A received record: its own fields, its tags, and the attributes of its message. `time` is that of its arrival."""

    time: float
    record: Json
    _values: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def attributes(self) -> Json:
        """What is in the message, if that is a JSON object."""
        try:
            message = json.loads(self.record.get("message", ""))
        except (TypeError, ValueError):
            return {}
        return message if isinstance(message, dict) else {}

    @cached_property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """The tags of `ddtags`: "env:dev,service:gateway"."""
        pairs = (tag.strip().partition(":") for tag in str(self.record.get("ddtags", "")).split(","))
        return tuple((key, value) for key, _, value in pairs if key)

    def raw(self, path: str) -> Any:  # noqa: ANN401  # any JSON value
        """Return the attribute at "@a.b", or None."""
        value: Any = self.attributes
        for part in path.removeprefix("@").split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def values(self, key: str) -> list[str]:
        """Return the texts at an attribute ("@a.b"), a reserved attribute ("service") or a tag ("env")."""
        if key not in self._values:
            self._values[key] = self._found(key)
        return self._values[key]

    def _found(self, key: str) -> list[str]:
        if key.startswith("@"):
            raw = self.raw(key)
            found = raw if isinstance(raw, list) else [raw]
            return [_text(value) for value in found if value is not None and not isinstance(value, dict)]
        if key in _RESERVED:
            value = self.record.get(_RESERVED[key])
            return [] if value is None else [str(value)]
        return [value for name, value in self.tags if name == key]


_TERM = re.compile(r'(?P<not>-|NOT\s+)?(?P<key>@?[\w.]+):(?P<value>"[^"]*"|[^\s()"]+)')


@dataclass(frozen=True, slots=True)
class _Term:
    key: str
    value: re.Pattern[str]
    negated: bool

    def matches(self, values: Iterable[str]) -> bool:
        return any(map(self.value.fullmatch, values)) != self.negated


def parse_log_query(text: str) -> Callable[[Log], bool]:
    """Return whether a log matches a search such as `service:x env:y @llm.kind:call -@llm.user:bot*`.

    Terms that follow each other must all hold; `*` stands for any characters, `-` and `NOT` for the opposite.
    """
    terms: list[_Term] = []
    rest = text.strip()
    while rest and rest != "*":
        match = _TERM.match(rest)
        if not match or not re.match(r"\s|$", rest[match.end() :]):
            raise QueryError(f"In the log search {text!r}, {rest!r} is not understood: key:value is.")
        value = match["value"]
        if re.match(r"[<>\[]", value):
            raise QueryError(f"In the log search {text!r}, the comparison {value!r} is not understood: a value is.")
        terms.append(_Term(match["key"], pattern(value.strip('"')), negated=bool(match["not"])))
        rest = re.sub(r"^AND\s+", "", rest[match.end() :].strip())
    return lambda log: all(term.matches(log.values(term.key)) for term in terms)


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a metric. `time` is in seconds since 1970."""

    time: float
    value: float
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Metric:
    """A log-based metric."""

    name: str
    kind: Literal["count", "distribution"]
    path: str
    percentiles: bool
    group_by: Mapping[str, str]
    """Paths by the tags that they become."""
    filter: str
    matches: Callable[[Log], bool]

    @classmethod
    def of(cls, definition: Json) -> Metric:
        """Read what the API takes and returns: {"id": …, "attributes": {"compute": …, "filter": …, "group_by": …}}.

        Raises
        ------
        QueryError
            Its filter is not understood.
        """
        attributes = definition["attributes"]
        compute = attributes["compute"]
        query = (attributes.get("filter") or {}).get("query", "*")
        paths = [(group["path"], group.get("tag_name")) for group in attributes.get("group_by") or []]
        return cls(
            name=definition["id"],
            kind=compute["aggregation_type"],
            path=compute.get("path", ""),
            percentiles=bool(compute.get("include_percentiles")),
            group_by={tag or path.removeprefix("@"): path for path, tag in paths},
            filter=query,
            matches=parse_log_query(query),
        )

    def points(self, logs: Iterable[Log]) -> Iterator[Point]:
        """Yield a point for each of the logs, which match, that has a number at the path, if it is a distribution."""
        for log in logs:
            value = 1.0 if self.kind == "count" else log.raw(self.path)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found = ((tag, log.values(path)) for tag, path in self.group_by.items())
                yield Point(log.time, value, {tag: tag_value(values[0]) for tag, values in found if values})


@lru_cache(maxsize=10_000)
def tag_value(text: str) -> str:
    """Return a text as Datadog keeps it as a tag's value, of 200 characters at most."""
    return re.sub(r"_+", "_", re.sub(r"[^\w\-:./]", "_", text.lower()))[:200].rstrip("_")


class Metrics:
    """The log-based metrics of some definitions, with the points that they get from some logs."""

    def __init__(self, definitions: Iterable[Json], logs: Iterable[Log]) -> None:
        self._metrics = {metric.name: metric for metric in map(Metric.of, definitions)}
        self._logs = sorted(logs, key=lambda log: log.time)
        self._matching: dict[str, list[Log]] = {}  # by filter: most metrics have the same
        self._points: dict[str, list[Point]] = {}

    def names(self) -> list[str]:
        """Return the metrics' names."""
        return list(self._metrics)

    def metric(self, name: str) -> Metric:
        """Return a metric, or raise QueryError if there is none of that name."""
        if name not in self._metrics:
            raise QueryError(f"There is no metric {name}.")
        return self._metrics[name]

    def points(self, name: str) -> list[Point]:
        """Return the points of a metric, oldest first; QueryError if there is none of that name."""
        if name not in self._points:
            metric = self.metric(name)
            if metric.filter not in self._matching:
                self._matching[metric.filter] = list(filter(metric.matches, self._logs))
            self._points[name] = list(metric.points(self._matching[metric.filter]))
        return self._points[name]

    def tag_values(self, tag: str) -> list[str]:
        """Return all values that a tag has in any metric, in order."""
        metrics = [metric.name for metric in self._metrics.values() if tag in metric.group_by]
        return sorted({point.tags[tag] for name in metrics for point in self.points(name) if tag in point.tags})


def pattern(text: str) -> re.Pattern[str]:
    """Return what matches a text in which * stands for any characters."""
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
