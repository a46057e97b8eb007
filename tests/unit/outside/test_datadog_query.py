"""The evaluator of Datadog's queries: what it makes of records, and that it says what it does not understand."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from local.outside.datadog_metrics import Log, Metrics, QueryError, parse_log_query, tag_value
from local.outside.datadog_monitors import monitor_state, parse_monitor
from local.outside.datadog_query import Scope, Window, parse
from local.outside.datadog_widgets import check_request, columns, rows

NOW = 1_800_000_000.0
DAY = 86_400.0
WINDOW = Window(NOW - 3600, NOW, 60)


def log(time: float = NOW - 30, tags: str = "env:dev,service:gateway", **llm: object) -> Log:
    record = {"ddsource": "litellm", "service": "gateway", "hostname": "task", "status": "info", "ddtags": tags}
    return Log(time, {**record, "message": json.dumps({"llm": {"kind": "call", **llm}})})


def definition(
    name: str, *tags: str, path: str = "", percentiles: bool = False, query: str = "@llm.kind:call"
) -> dict[str, Any]:
    compute: dict[str, Any] = {"aggregation_type": "distribution" if path else "count"}
    if path:
        compute |= {"path": path, "include_percentiles": percentiles}
    groups = [{"path": tag if tag == "env" else f"@llm.{tag}", "tag_name": tag} for tag in tags]
    return {"id": name, "attributes": {"compute": compute, "filter": {"query": query}, "group_by": groups}}


DEFINITIONS = (
    definition("cost", "user", "model", "env", path="@llm.cost"),
    definition("seconds", "model", path="@llm.seconds", percentiles=True),
    definition("requests", "user", "model", "outcome", "error_code"),
    definition("records", "env", query="*"),
)


def single(text: str, *logs: Log, window: Window = WINDOW, **variables: str) -> dict[tuple[str, ...], float]:
    """The value of each group over the whole window; groups as the values of their tags."""
    chosen = {name: (name, value) for name, value in variables.items()}
    series = parse(text).evaluate(Scope(Metrics(DEFINITIONS, logs), window.whole(), chosen))
    return {tuple(value for _, value in group): value for group, value in series.single().items()}


class TestLogs:
    """Records as Datadog reads them, and searches of them."""

    @pytest.mark.parametrize(
        ("query", "matches"),
        [
            ("*", True),
            ("service:gateway env:dev @llm.kind:call", True),
            ("service:gateway AND env:dev", True),
            ("service:gate* source:lite*m host:task status:info", True),
            ("service:gatew", False),
            ("env:prod", False),
            ("-env:prod", True),
            ("NOT env:dev", False),
            ('@llm.model:"claude opus"', True),
            ("@llm.model:Claude*", False),
            ("@llm.streamed:true", True),
            ("@llm.tokens:12", True),
            ("@llm.nothing:*", False),
            ("-@llm.nothing:*", True),
            ("@llm:*", False),
        ],
    )
    def test_a_search(self, query: str, matches: bool) -> None:
        assert parse_log_query(query)(log(model="claude opus", streamed=True, tokens=12)) is matches

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ("hello", "'hello' is not understood: key:value is"),
            ("env:dev OR env:prod", "'OR env:prod' is not understood"),
            ("(env:dev)", r"'\(env:dev\)' is not understood"),
            ("@llm.tokens:>12", "the comparison '>12' is not understood"),
            ("@llm.tokens:[1 TO 2]", r"the comparison '\[1' is not understood"),
        ],
    )
    def test_what_is_not_understood(self, query: str, reason: str) -> None:
        with pytest.raises(QueryError, match=reason):
            parse_log_query(query)

    @pytest.mark.parametrize("message", ["plain text", "[1]", '{"llm": 5}', None])
    def test_a_message_without_attributes(self, message: str | None) -> None:
        found = Log(NOW, {"message": message})
        assert (found.values("@llm.user"), found.values("env"), found.values("service")) == ([], [], [])

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("Sato@Example.com", "sato_example.com"),
            ("data  & science!", "data_science"),
            ("gpt-6.1-sol:v1/x", "gpt-6.1-sol:v1/x"),
            ("日本語", "日本語"),
            ("x" * 300, "x" * 200),
        ],
    )
    def test_the_value_of_a_tag(self, text: str, kept: str) -> None:
        assert tag_value(text) == kept


class TestMetrics:
    """Points of log-based metrics."""

    def test_a_point_has_the_tags_of_its_groups_and_the_time_of_arrival(self) -> None:
        metrics = Metrics(DEFINITIONS, [log(NOW - 5, user="A@b.c", cost=2, team="x"), log(NOW - 9, cost=1)])
        points = [(point.time, point.value, point.tags) for point in metrics.points("cost")]
        assert points == [(NOW - 9, 1, {"env": "dev"}), (NOW - 5, 2, {"env": "dev", "user": "a_b.c"})]

    def test_only_numbers_make_points_of_a_distribution(self) -> None:
        logs = [log(cost=value) for value in ("1", None, True, [1], 0)]
        assert [point.value for point in Metrics(DEFINITIONS, logs).points("cost")] == [0]

    def test_the_values_of_a_tag(self) -> None:
        metrics = Metrics(DEFINITIONS, [log(user=user, cost=1) for user in ("b", "a", "b")])
        assert metrics.tag_values("user") == ["a", "b"]


class TestQueries:
    """Metric queries and arithmetic."""

    LOGS = (
        log(user="a", model="m", cost=1, outcome="success"),
        log(user="a", model="n", cost=2, outcome="success"),
        log(user="b", model="m", cost=4, outcome="failure", error_code="429"),
    )

    @pytest.mark.parametrize(
        ("query", "values"),
        [
            ("sum:cost{*}.as_count()", {(): 7}),
            ("sum:cost{*} by {user}.as_count()", {("a",): 3, ("b",): 4}),
            ("avg:cost{user:a}", {(): 1.5}),
            ("max:cost{*} by {model}", {("m",): 4, ("n",): 2}),
            ("min:cost{*}", {(): 1}),
            ("count:cost{!model:n}", {(): 2}),
            ("sum:cost{user:*,!user:a}", {(): 4}),
            ("sum:cost{user IN (a, b) AND model NOT IN (n)}", {(): 5}),
            ("sum:cost{NOT user:a}", {(): 4}),
            ("sum:requests{*} by {error_code}.as_count()", {("N/A",): 2, ("429",): 1}),
            ("sum:requests{*}.as_rate()", {(): 3 / 3600}),
            ("sum:cost{user:nobody}", {}),
            ("2 * sum:cost{*} - 1 + 3 / 2", {(): 14.5}),
            ("100 * sum:requests{error_code:429}.as_count() / sum:requests{*}.as_count()", {(): 100 / 3}),
            # A group that only one side has.
            (
                "sum:requests{error_code:429} by {user}.as_count() / sum:requests{*} by {user}.as_count()",
                {("b",): 1},
            ),
            ("sum:cost{*} by {user} / sum:cost{*}", {("a",): 3 / 7, ("b",): 4 / 7}),
            (
                "sum:cost{*} by {user,model} - sum:cost{*} by {model,user}",
                {("a", "m"): 0, ("a", "n"): 0, ("b", "m"): 0},
            ),
            ("sum:cost{*} by {user,model} / sum:cost{*} by {model}", {("a", "m"): 0.2, ("a", "n"): 1, ("b", "m"): 0.8}),
            ("sum:cost{*} / (sum:cost{*} - sum:cost{*})", {}),
            ("clamp_min(sum:cost{*} by {user}, 3.5)", {("a",): 3.5, ("b",): 4}),
        ],
    )
    def test_values(self, query: str, values: Mapping[tuple[str, ...], float]) -> None:
        assert single(query, *self.LOGS) == pytest.approx(values)

    def test_percentiles_are_of_all_values(self) -> None:
        logs = [log(model="m", seconds=value) for value in range(101)]
        found = [single(f"{aggregator}:seconds{{*}}", *logs)[()] for aggregator in ("p50", "p95", "p99")]
        assert found == [50, 95, 99]

    def test_a_window_begins_inside_and_ends_outside(self) -> None:
        logs = [log(time, cost=1) for time in (NOW - 3601, NOW - 3600, NOW - 1, NOW)]
        assert single("sum:cost{*}", *logs) == {(): 2}

    def test_the_same_time_a_day_or_a_week_before(self) -> None:
        logs = [log(NOW - 60, user="a", cost=5), log(NOW - 60 - 7 * DAY, user="a", cost=2), log(NOW - DAY - 60, cost=1)]
        assert single("sum:cost{user:a} - week_before(sum:cost{user:a})", *logs) == {(): 3}
        assert single("day_before(sum:cost{*})", *logs) == {(): 1}

    def test_values_over_time(self) -> None:
        scope = Scope(
            Metrics(DEFINITIONS, [log(NOW - 10, cost=1), log(NOW - 70, cost=2), log(NOW - 75, cost=3)]), WINDOW
        )
        (values,) = parse("sum:cost{*}").evaluate(scope).groups.values()
        assert values == {NOW - 120: 5, NOW - 60: 1}
        (hourly,) = parse("sum:cost{*}.rollup(sum, 3600)").evaluate(scope).groups.values()
        assert hourly == {NOW - 3600: 6}

    def test_a_gap_counts_as_zero_only_in_counts(self) -> None:
        logs = [log(NOW - 10, user="a", cost=1), log(NOW - 70, user="b", cost=2)]
        scope = Scope(Metrics(DEFINITIONS, logs), WINDOW)
        (counts,) = parse("sum:cost{user:a}.as_count() + sum:cost{user:b}.as_count()").evaluate(scope).groups.values()
        (others,) = parse("avg:cost{user:a} + avg:cost{user:b}").evaluate(scope).groups.values()
        assert (counts, others) == ({NOW - 120: 2, NOW - 60: 1}, {})

    @pytest.mark.parametrize(("value", "found"), [("*", 7), ("a", 3), ("n*", None)])
    def test_a_template_variable(self, value: str, found: float | None) -> None:
        assert single("sum:cost{$user}", *self.LOGS, user=value).get(()) == found

    def test_a_negated_template_variable(self) -> None:
        assert single("sum:cost{!$user,model:m}", *self.LOGS, user="a") == {(): 4}

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ("sum:cost", "'sum:cost' is not understood"),
            ("sum:cost{*", "is not understood"),
            ("median:cost{*}", "the aggregator 'median' is not understood"),
            ("sum:cost{*}.fill(zero)", r"\.fill\(zero\) is not understood"),
            ("sum:cost{user}", "The condition 'user' of a filter is not understood"),
            ("sum:cost{user:a,}", "an empty condition"),
            ("sum:cost{}", "an empty condition"),
            ("sum:cost{user:a OR user:b}", "The condition 'user:a OR user:b' of a filter is not understood"),
            ("sum:cost{*} by {}", "'by' names no tag"),
            ("anomalies(sum:cost{*}, 2)", "'anomalies' is not understood; of functions, clamp_min"),
            ("default_zero(sum:cost{*})", "'default_zero' is not understood"),
            ("clamp_min(sum:cost{*})", r"'clamp_min\(sum:cost\{\*\}\)' is not understood"),
            ("sum:cost{*} ** 2", r"'sum:cost\{\*\} \*\* 2' is not understood"),
            ("cost", "'cost' is not understood"),
            ("'text'", "is not understood"),
        ],
    )
    def test_what_is_not_understood(self, query: str, reason: str) -> None:
        with pytest.raises(QueryError, match=reason):
            parse(query)

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ("sum:costs{*}", "There is no metric costs"),
            ("sum:cost{team:x}", "the metric has no tag 'team'; it has user, model, env"),
            ("sum:cost{*} by {team}", "the metric has no tag 'team'"),
            ("p95:cost{*}", "the metric has no percentiles"),
            ("sum:requests{*}", "the metric is a count"),
            ("avg:requests{*}.as_count()", "the metric is a count"),
            ("sum:cost{$team}", "There is no template variable 'team'"),
            ("sum:cost{*} by {user} + sum:cost{*} by {model}", "do not go together"),
            ("1 / 0", "divided by 0"),
        ],
    )
    def test_what_cannot_be_answered(self, query: str, reason: str) -> None:
        with pytest.raises(QueryError, match=reason):
            single(query, *self.LOGS)


class TestWidgets:
    """Requests of widgets: queries, formulas, order and number."""

    REQUEST: Mapping[str, Any] = {
        "response_format": "scalar",
        "queries": [
            {"data_source": "metrics", "name": "cost", "query": "sum:cost{$user} by {user}", "aggregator": "sum"},
            {"data_source": "metrics", "name": "most", "query": "max:cost{$user} by {user}", "aggregator": "last"},
        ],
        "formulas": [{"formula": "cost", "alias": "Cost"}, {"formula": "100 * most / cost"}],
    }
    LOGS = tuple(
        log(NOW - back, user=user, cost=cost)
        for user, cost, back in (("a", 1, 300), ("a", 4, 200), ("a", 3, 100), ("b", 16, 100), ("c", 9, 100))
    )

    def rows(self, request: Mapping[str, Any], user: str = "*") -> list[tuple[str, tuple[float | None, ...]]]:
        scope = Scope(Metrics(DEFINITIONS, self.LOGS), WINDOW, {"user": ("user", user)})
        found = columns(dict(request), scope, scalar=True)
        return [(row.group[0][1], row.values) for row in rows(dict(request), found)]

    def test_each_query_is_reduced_by_its_aggregator(self) -> None:
        assert self.rows(self.REQUEST) == [("b", (16, 100)), ("c", (9, 100)), ("a", (8, 37.5))]
        assert self.rows(self.REQUEST, user="a") == [("a", (8, 37.5))]

    @pytest.mark.parametrize(
        ("sort", "names"),
        [
            ({"count": 2, "order_by": [{"type": "formula", "index": 0, "order": "desc"}]}, ["b", "c"]),
            ({"order_by": [{"type": "formula", "index": 1, "order": "asc"}]}, ["a", "b", "c"]),
            ({"count": 1, "order_by": [{"type": "group", "name": "user", "order": "desc"}]}, ["c"]),
        ],
    )
    def test_order_and_number(self, sort: dict[str, Any], names: list[str]) -> None:
        assert [name for name, _ in self.rows({**self.REQUEST, "sort": sort})] == names

    def test_a_formulas_limit(self) -> None:
        formulas = [{"formula": "cost", "limit": {"count": 1, "order": "asc"}}]
        assert self.rows({**self.REQUEST, "formulas": formulas}) == [("a", (8,))]

    def test_without_formulas_the_queries_are_the_columns(self) -> None:
        scope = Scope(Metrics(DEFINITIONS, self.LOGS), WINDOW, {"user": ("user", "*")})
        found = columns({"queries": self.REQUEST["queries"]}, scope, scalar=False)
        assert [column.label for column in found] == ["cost", "most"]

    def test_a_percentile_is_of_the_whole_time(self) -> None:
        query = {"name": "p", "query": "p50:seconds{*}", "aggregator": "percentile"}
        logs = [log(NOW - back, seconds=value) for back, value in ((100, 1), (200, 2), (200, 9))]
        (column,) = columns({"queries": [query]}, Scope(Metrics(DEFINITIONS, logs), WINDOW), scalar=True)
        assert column.series.single() == {(): 2}

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"formulas": [{"formula": "cost / requests"}]}, "'requests' is not understood"),
            ({"queries": [{"data_source": "logs", "name": "a"}]}, "The data source 'logs' is not understood"),
            ({"queries": [{"data_source": "metrics", "name": "a", "query": "cost"}]}, "'cost' is not understood"),
        ],
    )
    def test_what_is_not_understood(self, change: dict[str, Any], reason: str) -> None:
        with pytest.raises(QueryError, match=reason):
            check_request({**self.REQUEST, **change}, ["user"])

    def test_what_is_named_must_be_there(self) -> None:
        with pytest.raises(QueryError, match="no template variable 'user'"):
            check_request(dict(self.REQUEST), ["model"])
        with pytest.raises(QueryError, match="without queries"):
            check_request({"q": "avg:cost{*}"})


class TestMonitors:
    """Monitors at a given time."""

    def state(self, query: str, *logs: Log, **options: object) -> tuple[str, bool, dict[str, str]]:
        monitor = {"query": query, "options": options}
        found = monitor_state(monitor, Metrics(DEFINITIONS, logs), NOW)
        return found.state, found.notifies, {", ".join(v for _, v in g.group): g.state for g in found.groups}

    def test_each_group_is_judged(self) -> None:
        logs = [log(user="a", cost=30), log(user="b", cost=15), log(user="c", cost=1)]
        found = self.state(
            "sum(last_1d):sum:cost{*} by {user}.as_count() > 20", *logs, thresholds={"critical": 20, "warning": 10}
        )
        assert found == ("Alert", True, {"a": "Alert", "b": "Warn", "c": "OK"})

    def test_a_jump_against_the_week_before(self) -> None:
        """Whoever had no call a week before, or none now, has no state: nothing says that Datadog makes it 0."""
        cost = "sum:cost{*} by {user}.as_count()"
        query = f"sum(last_1d):{cost} - 3 * week_before({cost}) > 20"
        before = NOW - 7 * DAY - 30
        logs = [
            *(log(user="new", cost=21), log(user="usual", cost=50), log(before, user="usual", cost=15)),
            *(log(user="jumped", cost=50), log(before, user="jumped", cost=9), log(before, user="gone", cost=50)),
        ]
        assert self.state(query, *logs)[2] == {"usual": "OK", "jumped": "Alert"}

    def test_a_share_is_of_the_sums(self) -> None:
        """2 of 11 failed; the failures of each minute alone would add up to more."""
        logs = [log(NOW - 60, outcome="failure")] + [log(NOW - 120 - n, outcome="success") for n in range(9)]
        logs.append(log(NOW - 300, outcome="failure"))
        query = "sum(last_15m):100 * sum:requests{outcome:failure}.as_count() / sum:requests{*}.as_count() > 20"
        assert self.state(query, *logs) == ("OK", False, {"": "OK"})

    def test_without_as_count_each_point_is_calculated_before_they_are_aggregated(self) -> None:
        logs = [log(NOW - 60, user="a", cost=2), log(NOW - 60, user="b", cost=1), log(NOW - 90, user="b", cost=9)]
        query = "avg(last_5m):max:cost{user:a} / max:cost{user:b} > 1"
        assert self.state(query, *logs) == ("Alert", True, {"": "Alert"})

    @pytest.mark.parametrize(
        ("age", "options", "found"),
        [
            (60, {}, ("OK", False)),
            (700, {}, ("No Data", False)),
            (700, {"notify_no_data": True}, ("No Data", True)),
            (700, {"notify_no_data": True, "no_data_timeframe": 20}, ("No Data", False)),
            (1300, {"notify_no_data": True, "no_data_timeframe": 20}, ("No Data", True)),
            (630, {"evaluation_delay": 60}, ("OK", False)),
            (30, {"evaluation_delay": 60}, ("No Data", False)),
        ],
    )
    def test_silence(self, age: float, options: dict[str, Any], found: tuple[str, bool]) -> None:
        assert self.state("sum(last_10m):sum:records{*}.as_count() < 1", log(NOW - age), **options)[:2] == found

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ("sum:cost{*} > 1", "must be as in"),
            ("sum(last_5m):sum:cost{*}", "must be as in"),
            ("sum(last_5y):sum:cost{*} > 1", "must be as in"),
            ("median(last_5m):sum:cost{*} > 1", "the aggregator 'median' is not understood"),
            ("sum(last_5m):sum:cost{$user} > 1", "a template variable, which monitors do not have"),
            ("sum(last_5m):sum:cost > 1", "is not understood"),
        ],
    )
    def test_what_is_not_understood(self, query: str, reason: str) -> None:
        with pytest.raises(QueryError, match=reason):
            parse_monitor(query)
