"""The definitions of Datadog's objects: valid for its API, asking only what there is, and with sound thresholds."""

import json
import re
from collections.abc import Iterator

import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.model_utils import OpenApiModel
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v2.model.logs_metric_create_request import LogsMetricCreateRequest

from stacks.datadog.dashboard import COLUMNS, VARIABLES, dashboard
from stacks.datadog.metrics import METRICS, Json, Metric
from stacks.datadog.monitors import (
    DAY_FACTOR,
    EVALUATION_DELAY,
    FEW_FAILURES,
    JUMP_FACTOR,
    SILENCE,
    SILENCE_WINDOW,
    monitors,
)
from stacks.settings import Datadog

SETTINGS = Datadog(notify=("@slack-llm-gateway", "@sre@example.com"), spend_jump=20, error_percent=10)
MONITORS = monitors("dev", SETTINGS)
BOARD = dashboard("dev", budget_percent=80)
QUERY = re.compile(r"(\w+):llm_gateway\.dev\.([\w.]+)\{([^}]*)\}(?: by \{([^}]*)\})?(\.as_count\(\))?")
CLIENT = ApiClient(Configuration())  # type: ignore[no-untyped-call]


def _unparsed(value: object, path: str = "") -> Iterator[str]:
    """Where the client's models met what they do not know; they keep such things instead of refusing them."""
    if isinstance(value, OpenApiModel):
        if value.__dict__.get("_unparsed"):
            yield path
        if value.__dict__.get("_composed_instances") is not None:
            yield from _unparsed(value.get_oneof_instance(), path)
        else:
            unknown = set(value.__dict__["_data_store"]) - set(value.openapi_types)
            yield from (f"{path}.{name}" for name in unknown)
            for name, each in value.__dict__["_data_store"].items():
                yield from _unparsed(each, f"{path}.{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _unparsed(each, f"{path}[{number}]")


def _check(definition: Json, model: type[OpenApiModel]) -> list[str]:
    return list(_unparsed(CLIENT.deserialize(json.dumps(definition), (model,), check_type=True)))


def _widgets(board: Json = BOARD) -> dict[str, Json]:
    """The definitions of the widgets in the groups, by title."""
    groups = [each["definition"] for each in board["widgets"] if each["definition"]["type"] == "group"]
    found = [each["definition"] for group in groups for each in group["widgets"]]
    titles = {each["title"]: each for each in found}
    assert len(titles) == len(found)
    return titles


def _queries(widget: Json) -> list[str]:
    return [query["query"] for request in widget["requests"] for query in request["queries"]]


# Datadog's schema


@pytest.mark.parametrize("metric", METRICS, ids=lambda each: each.name)
def test_metrics_are_valid(metric: Metric) -> None:
    assert _check(metric.definition("dev"), LogsMetricCreateRequest) == []


def test_the_dashboard_is_valid() -> None:
    assert _check(BOARD, Dashboard) == []


@pytest.mark.parametrize("name", MONITORS)
def test_monitors_are_valid(name: str) -> None:
    assert _check(MONITORS[name], Monitor) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"sunburst"', '"sunflower"'),
        ('"order": "desc"', '"order": "down"'),
        ('"hide_total"', '"hide_totals"'),
        ('"data_source": "metrics"', '"data_source": "metric"'),
    ],
)
def test_the_check_finds_a_mistake(old: str, new: str) -> None:
    assert _check(json.loads(json.dumps(BOARD).replace(old, new)), Dashboard)


def test_names_are_datadog_s() -> None:
    names = [metric.full_name("dev") for metric in METRICS]
    assert len(set(names)) == len(names) == 20
    assert all(re.fullmatch(r"[a-z][a-z0-9_.]{0,199}", name) for name in names)


# Metrics


def test_a_distribution() -> None:
    (cost,) = (metric.definition("prod") for metric in METRICS if metric.name == "cost")
    assert cost == {
        "data": {
            "id": "llm_gateway.prod.cost",
            "type": "logs_metrics",
            "attributes": {
                "compute": {"aggregation_type": "distribution", "path": "@llm.cost", "include_percentiles": False},
                "filter": {"query": "service:litellm-gateway env:prod @llm.kind:call"},
                "group_by": [
                    {"path": "@llm.user", "tag_name": "user"},
                    {"path": "@llm.model", "tag_name": "model"},
                    {"path": "@llm.provider", "tag_name": "provider"},
                    {"path": "@llm.team", "tag_name": "team"},
                    {"path": "env", "tag_name": "env"},
                ],
            },
        }
    }


def test_which_records_count() -> None:
    filters = {metric.name: metric.definition("dev")["data"]["attributes"]["filter"]["query"] for metric in METRICS}
    others = {name: query for name, query in filters.items() if not query.endswith(" @llm.kind:call")}
    assert others == {
        "rejections": "service:litellm-gateway env:dev @llm.kind:rejected",
        "rejection_errors": "service:litellm-gateway env:dev @llm.kind:rejected",
        "records": "service:litellm-gateway env:dev",
    }


def test_no_tag_whose_values_never_end() -> None:
    assert not {"key", "call_id", "provider_request_id", "deployment"} & {tag for each in METRICS for tag in each.tags}
    assert all("env" in metric.tags for metric in METRICS)


def test_percentiles_are_kept_of_times_only() -> None:
    assert {metric.name for metric in METRICS if metric.percentiles} == {"duration", "first_token", "overhead"}


# Every query asks for what there is

ASKED = [
    *(query for widget in _widgets().values() for query in _queries(widget)),
    *(m["query"] for m in MONITORS.values()),
]


@pytest.mark.parametrize("text", ASKED)
def test_queries(text: str) -> None:
    metrics = {metric.name: metric for metric in METRICS}
    found = list(QUERY.finditer(text))
    assert found
    for aggregation, name, scope, by, as_count in (each.groups() for each in found):
        metric = metrics[name]
        tags = [part.lstrip("!$").partition(":")[0] for part in scope.split(",") if part != "*"]
        assert {*tags, *(by.split(",") if by else ())} <= set(metric.tags)
        assert bool(as_count) is (aggregation == "sum")
        assert aggregation in (("sum",) if not metric.attribute else ("sum", "max", "p50", "p95", "p99"))
        assert metric.percentiles or not aggregation.startswith("p")


def test_every_metric_is_of_use() -> None:
    asked = {each.group(2) for text in ASKED for each in QUERY.finditer(text)}
    assert {metric.name for metric in METRICS} == asked


@pytest.mark.parametrize("tag", ["user", "outcome", "error_code"])
def test_a_tag_of_many_values_is_where_somebody_asks_for_it(tag: str) -> None:
    """Anywhere else it would be paid for in vain."""
    asked = {
        name
        for text in ASKED
        for _, name, scope, by, _ in (each.groups() for each in QUERY.finditer(text))
        if tag in (by or "").split(",") or re.search(rf"(^|,)!?{tag}:", scope)
    }
    assert {metric.name for metric in METRICS if tag in metric.tags} == asked


# The dashboard


def test_title_and_variables() -> None:
    assert BOARD["title"] == "LLM gateway · dev"
    assert [each["name"] for each in BOARD["template_variables"]] == ["user", "model", "team", "provider"]
    for title, widget in _widgets().items():
        for query in _queries(widget):
            (_, name, scope, _, _), (metric,) = (
                QUERY.fullmatch(query).groups(),  # type: ignore[union-attr]
                [each for each in METRICS if f".{each.name}{{" in query],
            )
            expected = [f"${tag}" for tag in VARIABLES if tag in metric.tags]
            assert [part for part in scope.split(",") if part.startswith("$")] == expected, (title, name)


def test_users_by_models_with_totals() -> None:
    table, total = _widgets()["Usage by user and model"], _widgets()["Total of what is selected"]
    columns = ["Cost", "Requests", "Total tokens"]
    for widget in (table, total):
        assert [each["alias"] for each in widget["requests"][0]["formulas"]] == columns
        assert {each["aggregator"] for each in widget["requests"][0]["queries"]} == {"sum"}
    assert all(" by {user,model}.as_count()" in query for query in _queries(table))
    assert [query.replace(" by {user,model}", "") for query in _queries(table)] == _queries(total)


def test_formulas_use_the_queries_beside_them() -> None:
    for title, widget in _widgets().items():
        for request in widget["requests"]:
            names = {query["name"] for query in request["queries"]}
            assert len(names) == len(request["queries"])
            used = {name for each in request["formulas"] for name in re.findall(r"[a-z]\w*(?![\w(])", each["formula"])}
            assert used == names, title
            ordered = request.get("sort", {}).get("order_by", [])
            assert all(each["index"] < len(request["formulas"]) for each in ordered)


def test_budget_colours() -> None:
    (request,) = _widgets(dashboard("dev", budget_percent=70))["Budget used, at the last call"]["requests"]
    assert [(each["value"], each["palette"]) for each in request["conditional_formats"]] == [
        (100, "white_on_red"),
        (70, "black_on_light_yellow"),
    ]


def test_the_note_has_two_sentences() -> None:
    note = BOARD["widgets"][0]["definition"]
    assert note["type"] == "note"
    assert len(re.findall(r"\.(?:\s|$)", note["content"])) == 2


def test_nothing_overlaps() -> None:
    def check(widgets: list[Json]) -> int:
        taken: set[tuple[int, int]] = set()
        for widget in widgets:
            x, y, width, height = (widget["layout"][name] for name in ("x", "y", "width", "height"))
            cells = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
            assert not cells & taken
            assert x + width <= COLUMNS
            taken |= cells
            if widget["definition"]["type"] == "group":
                assert check(widget["definition"]["widgets"]) == height - 1
        return max(row for _, row in taken) + 1

    assert check(BOARD["widgets"]) > 20


# Monitors


@pytest.mark.parametrize("name", MONITORS)
def test_every_monitor(name: str) -> None:
    monitor = MONITORS[name]
    assert monitor["name"].startswith("LLM gateway · dev: ")
    assert {"env:dev", "service:litellm-gateway", "managed-by:litellm-gateway"} == set(monitor["tags"])
    assert monitor["message"].endswith("\n\n@slack-llm-gateway @sre@example.com")
    assert 1 <= monitor["priority"] <= 5
    comparison = re.search(r" (>|>=|<) ([\d.]+)$", monitor["query"])
    assert comparison
    assert float(comparison.group(2)) == monitor["options"]["thresholds"]["critical"]
    assert monitor["options"]["evaluation_delay"] == EVALUATION_DELAY
    # What a message is about is what the query groups by.
    by = {tag for each in QUERY.finditer(monitor["query"]) if each.group(4) for tag in each.group(4).split(",")}
    assert set(re.findall(r"\{\{(\w+)\.name\}\}", monitor["name"] + monitor["message"])) == by
    assert monitor["message"].count("{{") == monitor["message"].count("}}")


def test_without_handles_nobody_is_named() -> None:
    assert not any("@" in monitor["message"] for monitor in monitors("dev", Datadog()).values())


def test_spend_jump() -> None:
    cost = "sum:llm_gateway.dev.cost{*} by {user}.as_count()"
    assert MONITORS["SpendJump"]["query"] == f"sum(last_1d):{cost} - 3 * week_before({cost}) > 20"
    assert monitors("dev", Datadog(spend_jump=12.5))["SpendJump"]["query"].endswith(" > 12.5")
    assert monitors("dev", Datadog(spend_jump=1_000_000))["SpendJump"]["query"].endswith(" > 1000000")


def test_a_day_of_somebody_new_is_seen() -> None:
    """By what only this day says: nothing that Datadog would have to make of a week without a call."""
    assert MONITORS["SpendDay"]["query"] == "sum(last_1d):sum:llm_gateway.dev.cost{*} by {user}.as_count() > 80"
    assert DAY_FACTOR == JUMP_FACTOR + 1


def test_nothing_relies_on_a_default() -> None:
    assert "default_zero" not in json.dumps([BOARD, MONITORS])


@pytest.mark.parametrize("percent", [0.5, 1, 10, 33.3, 100])
def test_a_few_failures_are_never_an_alarm(percent: float) -> None:
    query = monitors("dev", Datadog(error_percent=percent))["ProviderErrors"]["query"]
    (floor,) = re.findall(r"clamp_min\(.*, (\d+)\) > ", query)
    assert 100 * FEW_FAILURES / int(floor) <= percent
    if percent < 100:
        assert 100 * (FEW_FAILURES + 1) / int(floor) > percent


def test_provider_errors() -> None:
    assert MONITORS["ProviderErrors"]["query"] == (
        "sum(last_15m):100 * sum:llm_gateway.dev.attempts{outcome:failure,!error_code:400} by {provider}.as_count() / "
        "clamp_min(sum:llm_gateway.dev.attempts{*} by {provider}.as_count(), 40) > 10"
    )


@pytest.mark.parametrize(
    ("throttled", "attempts", "alarm"),
    [(5, 5, True), (900, 900, True), (4, 4, False), (5, 6, False), (100_000, 100_001, False), (0, 0, False)],
)
def test_throttled(throttled: int, attempts: int, alarm: bool) -> None:
    """The query's arithmetic, with numbers for its sums."""
    query = MONITORS["Throttled"]["query"].removeprefix("sum(last_10m):")
    base = "sum:llm_gateway.dev.attempts"
    query = query.replace(f"{base}{{error_code:429}} by {{model}}.as_count()", str(throttled))
    query = query.replace(f"{base}{{*}} by {{model}}.as_count()", str(attempts))
    assert eval(query) is alarm  # noqa: S307 - a definition of ours


def test_silence() -> None:
    monitor = MONITORS["Silence"]
    assert monitor["query"] == "sum(last_10m):sum:llm_gateway.dev.records{*}.as_count() < 1"
    options = monitor["options"]
    assert (options["notify_no_data"], options["no_data_timeframe"]) == (True, 20)
    assert SILENCE >= 2 * SILENCE_WINDOW
    assert "no data" in options["renotify_statuses"]
    assert not any(each["options"]["notify_no_data"] for name, each in MONITORS.items() if name != "Silence")


def test_budget() -> None:
    assert MONITORS["Budget"]["query"] == "max(last_1h):max:llm_gateway.dev.budget_used{*} by {user} >= 80"
