"""Datadog's answers to the requests of a dashboard's widgets: the columns and rows of their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from local.outside.datadog_metrics import QueryError
from local.outside.datadog_query import Group, Query, Scope, Series, parse
from local.outside.records import Json


@dataclass(frozen=True, slots=True)
class Column:
    """A formula of a widget, with its answer. `format` is the formula's `number_format`."""

    label: str
    format: Json
    series: Series


@dataclass(frozen=True, slots=True)
class Row:
    """A group, with its value in each column; None where it has none."""

    group: Group
    values: tuple[float | None, ...]


def check_request(request: Json, variables: Iterable[str] = ()) -> list[Query]:
    """Return the metric queries of a widget's request.

    Raises
    ------
    QueryError
        A query or formula is not understood, or names what there is not.
    """
    if "queries" not in request:
        raise QueryError("A request without queries and formulas is not understood.")
    found: list[Query] = []
    for query in request["queries"]:
        if query.get("data_source") != "metrics":
            raise QueryError(f"The data source {query.get('data_source')!r} is not understood: metrics is.")
        found += parse(query["query"]).queries.values()
    used = {part.strip("!$") for query in found for part in query.filters if part.lstrip("!").startswith("$")}
    if unknown := sorted(used - set(variables)):
        raise QueryError(f"The dashboard has no template variable {unknown[0]!r}.")
    for formula in request.get("formulas") or []:
        parse(formula["formula"], names=[query["name"] for query in request["queries"]])
    return found


def columns(request: Json, scope: Scope, *, scalar: bool) -> list[Column]:
    """Return the answers of a request's formulas: over time or, with each query reduced to one value, `scalar`.

    Raises
    ------
    QueryError
        As `check_request`, or there is no such metric or tag.
    """
    named = {query["name"]: _named(query, scope, scalar=scalar) for query in request["queries"]}
    window = scope.window.whole() if scalar else scope.window
    inside = replace(scope, window=window, named=named)
    found = []
    for formula in request.get("formulas") or [{"formula": name} for name in named]:
        series = parse(formula["formula"], names=named).evaluate(inside)
        found.append(Column(formula.get("alias") or formula["formula"], formula.get("number_format") or {}, series))
    return found


def rows(request: Json, found: Sequence[Column]) -> list[Row]:
    """Return the rows of a scalar request's columns, in the order and up to the number that the request asks for.

    Without such an order the first column decides, largest first.
    """
    values = [column.series.single() for column in found]
    groups = dict.fromkeys(group for column in values for group in column)
    table = [Row(group, tuple(column.get(group) for column in values)) for group in groups]
    sort = request.get("sort") or {}
    formulas = request.get("formulas") or []
    orders = sort.get("order_by") or [
        {"type": "formula", "index": index, "order": formula["limit"].get("order", "desc")}
        for index, formula in enumerate(formulas)
        if formula.get("limit")
    ]
    for order in reversed(orders or [{"type": "formula", "index": 0, "order": "desc"}]):
        _sort(table, order)
    limits = [sort.get("count"), *((formula.get("limit") or {}).get("count") for formula in formulas)]
    return table[: min((limit for limit in limits if limit), default=None)]


def _sort(table: list[Row], order: Json) -> None:
    descending = order.get("order", "desc") == "desc"
    if order["type"] == "group":
        table.sort(key=lambda row: dict(row.group).get(order["name"], ""), reverse=descending)
        return

    def key(row: Row) -> float:
        value = row.values[order["index"]]
        if value is None:  # is last, whatever the order
            return -math.inf if descending else math.inf
        return value

    table.sort(key=key, reverse=descending)


def _named(query: Json, scope: Scope, *, scalar: bool) -> Callable[[float], Series]:
    expression = parse(query["query"])
    aggregator = query.get("aggregator", "avg")
    whole = scalar and aggregator == "percentile"
    inside = replace(scope, window=scope.window.whole() if whole else scope.window)

    def answer(shift: float) -> Series:
        series = expression.evaluate(inside, shift)
        return series.reduced(aggregator, scope.window.start) if scalar and not whole else series

    return answer
