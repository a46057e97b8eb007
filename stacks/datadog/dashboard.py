"""The dashboard in Datadog: who uses which model, how many tokens, at what cost, and how the gateway fares."""

from collections.abc import Sequence
from dataclasses import dataclass

from stacks.datadog.metrics import (
    ATTEMPTS,
    BUDGET_USED,
    CACHE_SAVED,
    CACHE_SAVED_BY_USER,
    CACHE_WRITE_TOKENS,
    CACHED_TOKENS,
    CACHED_TOKENS_BY_USER,
    COMPLETION_TOKENS,
    COST,
    COST_BY_REGION,
    DURATION,
    FIRST_TOKEN,
    OVERHEAD,
    PROMPT_TOKENS,
    PROMPT_TOKENS_BY_USER,
    REJECTION_ERRORS,
    REJECTIONS,
    REQUESTS,
    TOTAL_TOKENS,
    Json,
    Metric,
)

COLUMNS = 12  # of an ordered dashboard, and of a group in it
VARIABLES = ("user", "model", "team", "provider")
MOST_ROWS = 100  # of a table and a list: the variables and the search bar narrow down what is longer

NOTE = """\
**Counted** is each attempt at a provider (a request that was tried in three regions counts three times), with the \
tokens of its answer and what they cost in US dollars at the prices that the gateway knows; the prompt's tokens \
include those read from a cache and written to one, and what caches **saved** is after the cost of writing. **Not \
counted** is what the gateway itself rejected, which is at the end; what is *of everybody* is not kept by person, \
whatever is selected, and Datadog writes an underscore for the @ of a mail address.
"""


@dataclass(frozen=True)
class Column:
    """A figure: a metric under a name for people. `where` narrows it down, `rollup` makes one value of a time."""

    title: str
    metric: Metric
    aggregation: str = "sum"
    where: str = ""
    unit: str = ""
    rollup: str = "sum"


USAGE = (
    Column("Cost", COST, unit="dollar"),
    Column("Requests", REQUESTS),
    Column("Total tokens", TOTAL_TOKENS),
)
KINDS_OF_TOKENS = (
    Column("Prompt tokens", PROMPT_TOKENS),
    Column("Completion tokens", COMPLETION_TOKENS),
    Column("Cached tokens", CACHED_TOKENS),
    Column("Tokens written to a cache", CACHE_WRITE_TOKENS),
)
SAVED = Column("Saved", CACHE_SAVED, unit="dollar")
HIT_RATE = ("Hit rate", "100 * cached_tokens / prompt_tokens")
FAILURES = Column("Failures", ATTEMPTS, where="outcome:failure")
THROTTLED = Column("Throttled (429)", ATTEMPTS, where="error_code:429")
BUDGET = Column("Budget used", BUDGET_USED, "max", unit="percent", rollup="last")


def percentiles(metric: Metric, unit: str) -> tuple[Column, ...]:
    """The median, and what one in twenty and one in a hundred exceeds."""
    return tuple(Column(name, metric, name, unit=unit, rollup="percentile") for name in ("p50", "p95", "p99"))


def dashboard(environment: str, *, budget_percent: float) -> Json:
    """What Datadog's API takes to make the dashboard (v1, `dashboard`). Budgets are marked from `budget_percent` on."""
    board = _Board(environment)
    groups = (
        _group(
            "Who uses which model",
            # A table has no row of totals in Datadog's API: the whole, in the same columns, is a table of its own.
            _row(2, board.table("Total of what is selected", USAGE)),
            _row(9, board.table("Usage by user and model", USAGE, by=("user", "model"))),
        ),
        _group(
            "Users",
            _row(
                6,
                board.top("Cost by user", USAGE[0], by=("user",)),
                board.top("Tokens by user", USAGE[2], by=("user",)),
                board.top("Budget used, at the last call", BUDGET, by=("user",), warn=budget_percent, alert=100),
            ),
        ),
        _group(
            "Trend",
            _row(
                4,
                board.series("Cost by model", USAGE[:1], by=("model",), bars=True),
                board.series("Tokens by model", USAGE[2:3], by=("model",), bars=True),
            ),
        ),
        _group(
            "Shares",
            _row(
                4,
                board.share("Cost by provider", USAGE[0], by=("provider",)),
                board.share("Cost by region, of everybody", Column("Cost", COST_BY_REGION, unit="dollar"), ("region",)),
            ),
        ),
        _group(
            "Kinds of tokens, of everybody",
            _row(5, board.table("Kinds of tokens by model", KINDS_OF_TOKENS, by=("model",))),
        ),
        _group(
            # By prompt tokens: who sends much and reads little of it from a cache stands at the top, at a low rate.
            "Prompt caches",
            _row(
                6,
                board.table(
                    "Caches by user",
                    (
                        Column("Prompt tokens", PROMPT_TOKENS_BY_USER),
                        Column("Cached tokens", CACHED_TOKENS_BY_USER),
                        Column("Saved", CACHE_SAVED_BY_USER, unit="dollar"),
                    ),
                    by=("user",),
                    rates=(HIT_RATE,),
                ),
                board.table(
                    "Caches by model, of everybody",
                    (KINDS_OF_TOKENS[0], *KINDS_OF_TOKENS[2:], SAVED),
                    by=("model",),
                    rates=(HIT_RATE,),
                ),
            ),
            _row(4, board.series("Saved by caches, of everybody", (SAVED,), by=("model",), bars=True)),
        ),
        _group(
            "Errors and throttling, of everybody",
            _row(
                4,
                board.series("Failures by error code", (FAILURES,), by=("error_code",), bars=True),
                board.series("Throttled by region", (THROTTLED,), by=("region",), bars=True),
            ),
            _row(
                6,
                board.table(
                    "By region and model",
                    (FAILURES, THROTTLED, Column("Attempts", ATTEMPTS)),
                    by=("region", "model"),
                    rates=(
                        ("Failed", "100 * failures / attempts"),
                        ("Throttled", "100 * throttled_429 / attempts"),
                    ),
                ),
            ),
        ),
        _group(
            "Latency, of everybody",
            _row(
                4,
                board.series("Duration of a call", percentiles(DURATION, "second")),
                board.series("Time to the first token, of streams", percentiles(FIRST_TOKEN, "second")),
                board.series("The gateway's own time", percentiles(OVERHEAD, "millisecond")),
            ),
            _row(
                5,
                board.table("Duration by model and region", percentiles(DURATION, "second"), by=("model", "region")),
            ),
        ),
        _group(
            "Rejected by the gateway",
            _row(
                4,
                board.series(
                    "By error code, of everybody",
                    (Column("Rejections", REJECTION_ERRORS),),
                    by=("error_code",),
                    bars=True,
                ),
                board.top("By user", Column("Rejections", REJECTIONS), by=("user",)),
            ),
        ),
    )
    return {
        "title": f"LLM gateway · {environment}",
        "description": "Who uses which model, how many tokens, at what cost. Changes made here are lost.",
        "layout_type": "ordered",
        "reflow_type": "fixed",
        "template_variables": [{"name": name, "prefix": name, "defaults": ["*"]} for name in VARIABLES],
        "default_timeframe": {"type": "live", "unit": "month", "value": 1},  # that of bills and budgets
        "widgets": _stacked([_note(), *groups]),
    }


class _Board:
    """Widgets over the metrics of one environment, narrowed down by the dashboard's variables."""

    def __init__(self, environment: str) -> None:
        self._environment = environment

    def table(
        self, title: str, columns: Sequence[Column], by: Sequence[str] = (), rates: Sequence[tuple[str, str]] = ()
    ) -> Json:
        """The columns by group, the largest in the first one at the top, then rates in percent as formulas."""
        request = self._request(columns, by, response_format="scalar")
        request["formulas"] += [
            {"alias": alias, "formula": formula, "number_format": _unit("percent")} for alias, formula in rates
        ]
        return {
            "type": "query_table",
            "title": title,
            "has_search_bar": "always" if by else "never",
            "requests": [request | ({"sort": _largest_first()} if by else {})],
        }

    def top(
        self,
        title: str,
        column: Column,
        by: Sequence[str],
        *,
        warn: float | None = None,
        alert: float | None = None,
    ) -> Json:
        """The groups, the largest at the top; from `warn` on yellow, and from `alert` on red."""
        request = self._request((column,), by, response_format="scalar") | {"sort": _largest_first()}
        colours = (("white_on_red", alert), ("black_on_light_yellow", warn))
        formats = [
            {"comparator": ">=", "value": value, "palette": palette} for palette, value in colours if value is not None
        ]
        return {
            "type": "toplist",
            "title": title,
            "requests": [request | ({"conditional_formats": formats} if formats else {})],
        }

    def share(self, title: str, column: Column, by: Sequence[str]) -> Json:
        """What part of the whole, in the middle, each group is."""
        return {
            "type": "sunburst",
            "title": title,
            "hide_total": False,
            "legend": {"type": "automatic"},
            "requests": [self._request((column,), by, response_format="scalar")],
        }

    def series(self, title: str, columns: Sequence[Column], by: Sequence[str] = (), *, bars: bool = False) -> Json:
        """The columns over time, as stacked bars or as lines."""
        request = self._request(columns, by, response_format="timeseries")
        return {
            "type": "timeseries",
            "title": title,
            "show_legend": True,
            "legend_layout": "auto",
            "requests": [request | {"display_type": "bars" if bars else "line"}],
        }

    def _request(self, columns: Sequence[Column], by: Sequence[str], *, response_format: str) -> Json:
        queries, formulas = list[Json](), list[Json]()
        for column in columns:
            variables = [f"${name}" for name in VARIABLES if name in column.metric.tags]
            scope = ",".join([*variables, *([column.where] if column.where else [])])
            query: Json = {
                "data_source": "metrics",
                "name": _identifier(column.title),
                "query": column.metric.query(self._environment, column.aggregation, scope=scope, by=by),
            }
            queries.append(query | ({"aggregator": column.rollup} if response_format == "scalar" else {}))
            formula: Json = {"alias": column.title, "formula": query["name"]}
            formulas.append(formula | ({"number_format": _unit(column.unit)} if column.unit else {}))
        return {"queries": queries, "formulas": formulas, "response_format": response_format}


def _identifier(title: str) -> str:
    """The name of a query, as formulas can use it."""
    return "_".join("".join(letter if letter.isalnum() else " " for letter in title.lower()).split())


def _unit(name: str) -> Json:
    return {"unit": {"type": "canonical_unit", "unit_name": name}}


def _largest_first() -> Json:
    return {"count": MOST_ROWS, "order_by": [{"type": "formula", "index": 0, "order": "desc"}]}


def _note() -> tuple[int, Json]:
    return 2, {"type": "note", "content": NOTE, "background_color": "white", "font_size": "14", "has_padding": True}


def _row(height: int, *widgets: Json) -> tuple[int, tuple[Json, ...]]:
    """Widgets side by side, of one width."""
    return height, widgets


def _group(title: str, *rows: tuple[int, tuple[Json, ...]]) -> tuple[int, Json]:
    """A group of rows, and its height with the title."""
    placed, y = list[Json](), 0
    for height, widgets in rows:
        width = COLUMNS // len(widgets)
        for number, widget in enumerate(widgets):
            layout = {"x": number * width, "y": y, "width": width, "height": height}
            placed.append({"definition": widget, "layout": layout})
        y += height
    return y + 1, {"type": "group", "title": title, "layout_type": "ordered", "widgets": placed}


def _stacked(parts: Sequence[tuple[int, Json]]) -> list[Json]:
    """The parts one below the other, over the whole width."""
    placed, y = list[Json](), 0
    for height, part in parts:
        placed.append({"definition": part, "layout": {"x": 0, "y": y, "width": COLUMNS, "height": height}})
        y += height
    return placed
