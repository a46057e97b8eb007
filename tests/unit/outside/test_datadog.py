"""The simulated Datadog's API: asked with Datadog's own client, and with what it must refuse."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException
from datadog_api_client.v1.api.dashboards_api import DashboardsApi
from datadog_api_client.v1.api.monitors_api import MonitorsApi
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v2.api.logs_metrics_api import LogsMetricsApi
from datadog_api_client.v2.model.logs_metric_create_request import LogsMetricCreateRequest

from local.outside.records import Fault
from local.outside.world import OutsideWorld
from stacks.datadog.dashboard import dashboard
from stacks.datadog.metrics import METRICS
from stacks.datadog.monitors import monitors
from stacks.settings import Datadog

API = "https://api.ap1.datadoghq.com"
METRIC_PATH, DASHBOARD_PATH, MONITOR_PATH = "/api/v2/logs/config/metrics", "/api/v1/dashboard", "/api/v1/monitor"
METRIC: dict[str, Any] = {
    "data": {
        "id": "llm.cost",
        "type": "logs_metrics",
        "attributes": {
            "compute": {"aggregation_type": "distribution", "path": "@llm.cost"},
            "filter": {"query": "service:gateway @llm.kind:call"},
            "group_by": [{"path": "@llm.user", "tag_name": "user"}],
        },
    }
}
BOARD: dict[str, Any] = {"title": "Costs", "layout_type": "ordered", "widgets": []}
MONITOR: dict[str, Any] = {
    "name": "Spend",
    "type": "query alert",
    "query": "sum(last_1d):sum:llm.cost{*} by {user}.as_count() > 20",
    "message": "Look",
    "tags": ["env:dev", "team:sre"],
    "options": {"thresholds": {"critical": 20}},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideWorld]:
    """A world of this module's own."""
    with OutsideWorld(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def http(world: OutsideWorld) -> Iterator[httpx.Client]:
    """A client with both keys, of a Datadog without objects."""
    for kind, found in (
        ("metrics", world.datadog_objects.metrics()),
        ("dashboards", world.datadog_objects.dashboards()),
        ("monitors", world.datadog_objects.monitors()),
    ):
        for each in found:
            world.datadog_objects.delete(kind, str(each["id"]))
    keys = {"DD-API-KEY": world.credentials.dd_api_key, "DD-APPLICATION-KEY": world.credentials.dd_app_key}
    trusted = ssl.create_default_context(cafile=str(world.ca_file))
    with httpx.Client(base_url=API, headers=keys, proxy=world.proxy_url, verify=trusted, trust_env=False) as client:
        yield client
    world.clear_fault()


@pytest.fixture
def official(world: OutsideWorld, http: httpx.Client) -> ApiClient:
    """Datadog's own client."""
    configuration = Configuration(  # type: ignore[no-untyped-call]
        host=API,
        api_key={"apiKeyAuth": world.credentials.dd_api_key, "appKeyAuth": world.credentials.dd_app_key},
        ssl_ca_cert=str(world.ca_file),
    )
    configuration.proxy = world.proxy_url
    return ApiClient(configuration)


def changed(original: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """A copy with another value at a place such as "data.id"; None takes it out."""
    copy: dict[str, Any] = json.loads(json.dumps(original))
    *parents, last = place.split(".")
    inner = copy
    for parent in parents:
        inner = inner[parent]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return copy


def widget(**request: object) -> dict[str, Any]:
    """A dashboard of one table."""
    query = {"data_source": "metrics", "name": "a", "query": "sum:llm.cost{*}", "aggregator": "sum"}
    whole = {"queries": [query], "formulas": [{"formula": "a"}], "response_format": "scalar", **request}
    return {**BOARD, "widgets": [{"definition": {"type": "query_table", "title": "T", "requests": [whole]}}]}


@pytest.mark.parametrize("path", [METRIC_PATH, DASHBOARD_PATH, MONITOR_PATH])
@pytest.mark.parametrize("header", ["DD-API-KEY", "DD-APPLICATION-KEY"])
def test_both_keys_are_needed(http: httpx.Client, path: str, header: str) -> None:
    answer = http.get(path, headers={header: "wrong"})
    assert (answer.status_code, answer.json()) == (403, {"errors": ["Forbidden"]})


@pytest.mark.parametrize("site", ["datadoghq.com", "us5.datadoghq.com", "datadoghq.eu", "us2.ddog-gov.com"])
def test_every_site_answers(http: httpx.Client, site: str) -> None:
    assert http.get(f"https://api.{site}{METRIC_PATH}").json() == {"data": []}


def test_other_hosts_and_paths_are_not_datadogs(http: httpx.Client) -> None:
    with pytest.raises(httpx.ProxyError):
        http.get("https://api.example.com/")
    for method, path in (("GET", "/api/v1/users"), ("PUT", METRIC_PATH), ("GET", f"{MONITOR_PATH}/abc")):
        answer = http.request(method, path)
        assert (answer.status_code, answer.json()) == (404, {"errors": ["Not Found"]})


def test_a_rate_limit_says_when_to_try_again(world: OutsideWorld, http: httpx.Client) -> None:
    world.set_fault("api.*", Fault(status=429, count=1, retry_after_seconds=7))
    limited = http.get(METRIC_PATH)
    headers = {name: limited.headers[f"x-ratelimit-{name}"] for name in ("limit", "period", "remaining", "reset")}
    assert (limited.status_code, limited.json()) == (429, {"errors": ["Too Many Requests"]})
    assert headers == {"limit": "100", "period": "60", "remaining": "0", "reset": "7"}
    assert http.get(METRIC_PATH).status_code == 200
    assert [(call.operation, call.status) for call in world.calls()[-2:]] == [
        ("metrics.list", 429),
        ("metrics.list", 200),
    ]


class TestMetrics:
    """Log-based metrics."""

    def test_a_life(self, world: OutsideWorld, http: httpx.Client) -> None:
        writes = world.datadog_objects.writes
        made = http.post(METRIC_PATH, json=METRIC)
        attributes = METRIC["data"]["attributes"]
        compute = {"aggregation_type": "distribution", "path": "@llm.cost", "include_percentiles": False}
        assert made.json() == {"data": {**METRIC["data"], "attributes": {**attributes, "compute": compute}}}
        assert http.get(METRIC_PATH).json() == {"data": [made.json()["data"]]}
        again = http.post(METRIC_PATH, json=METRIC)
        assert (again.status_code, again.json()["errors"]) == (
            409,
            ["conflict(Metric with name 'llm.cost' already exists)"],
        )
        changes = {"filter": {"query": "*"}, "group_by": [{"path": "env"}], "compute": {"include_percentiles": True}}
        update = {"data": {"type": "logs_metrics", "attributes": changes}}
        updated = http.patch(f"{METRIC_PATH}/llm.cost", json=update).json()["data"]["attributes"]
        assert updated == {
            "compute": {**compute, "include_percentiles": True},
            "filter": {"query": "*"},
            "group_by": [{"path": "env", "tag_name": "env"}],
        }
        assert http.get(f"{METRIC_PATH}/llm.cost").json()["data"]["attributes"] == updated
        deleted = http.delete(f"{METRIC_PATH}/llm.cost")
        assert (deleted.status_code, deleted.content) == (204, b"")
        for method in ("GET", "DELETE", "PATCH"):
            missing = http.request(method, f"{METRIC_PATH}/llm.cost", json=update)
            assert (missing.status_code, missing.json()) == (
                404,
                {"errors": ["not_found(Metric with name 'llm.cost' not found)"]},
            )
        assert world.datadog_objects.writes == writes + 3

    @pytest.mark.parametrize(
        ("place", "value", "reason"),
        [
            ("data.id", "1st", "Invalid metric name '1st'"),
            ("data.id", "llm-cost", "Invalid metric name 'llm-cost'"),
            ("data.id", None, "What is required is missing: id."),
            ("data.type", "metric", "Invalid value at body.data.type"),
            ("data.attributes.compute.aggregation_type", "sum", "Invalid value at body.data.attributes.compute"),
            ("data.attributes.compute.path", None, "A distribution has a path"),
            ("data.attributes.compute", {"aggregation_type": "count", "path": "@x"}, "a count has neither"),
            ("data.attributes.filter.query", "a OR b", "Invalid query: In the log search 'a OR b'"),
            (
                "data.attributes.group_by",
                [{"path": "@a.user", "tag_name": "u"}, {"path": "@b", "tag_name": "u"}],
                "two",
            ),
            ("data.attributes.group_by", "user", "Invalid type"),
        ],
    )
    def test_what_is_refused(self, http: httpx.Client, place: str, value: object, reason: str) -> None:
        answer = http.post(METRIC_PATH, json=changed(METRIC, place, value))
        assert answer.status_code == 400
        assert reason.lower() in answer.json()["errors"][0].lower()
        assert http.get(METRIC_PATH).json() == {"data": []}

    @pytest.mark.parametrize(
        "attributes",
        [{"compute": {"aggregation_type": "count"}}, {"compute": {"path": "@llm.tokens"}}, {"name": "other"}],
    )
    def test_what_a_metric_computes_stays(self, http: httpx.Client, attributes: dict[str, object]) -> None:
        http.post(METRIC_PATH, json=METRIC)
        body = {"data": {"type": "logs_metrics", "attributes": attributes}}
        answer = http.patch(f"{METRIC_PATH}/llm.cost", json=body)
        assert (answer.status_code, answer.json()["errors"]) == (
            400,
            ["Of a metric only filter, group_by and include_percentiles can be changed."],
        )


class TestDashboards:
    """Dashboards."""

    def test_a_life(self, http: httpx.Client) -> None:
        made = http.post(DASHBOARD_PATH, json=widget()).json()
        path = f"{DASHBOARD_PATH}/{made['id']}"
        assert made["url"] == f"/dashboard/{made['id']}/costs"
        assert made["widgets"][0]["id"]
        assert http.get(path).json() == made
        summary = {name: made[name] for name in ("id", "title", "description", "layout_type", "url")}
        (listed,) = http.get(DASHBOARD_PATH).json()["dashboards"]
        assert summary.items() <= listed.items()
        changed_ = http.put(path, json={**BOARD, "title": "Others"}).json()
        assert (changed_["title"], changed_["created_at"]) == ("Others", made["created_at"])
        assert http.delete(path).json() == {"deleted_dashboard_id": made["id"]}
        missing = http.get(path)
        assert (missing.status_code, missing.json()) == (
            404,
            {"errors": [f"Dashboard with ID {made['id']} not found"]},
        )

    def test_a_list_has_pages(self, http: httpx.Client) -> None:
        for number in range(3):
            http.post(DASHBOARD_PATH, json={**BOARD, "title": f"Costs {number}"})
        pages = [
            http.get(DASHBOARD_PATH, params={"start": start, "count": 2}).json()["dashboards"] for start in (0, 2, 4)
        ]
        assert [[each["title"] for each in page] for page in pages] == [["Costs 0", "Costs 1"], ["Costs 2"], []]

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (changed(BOARD, "title", None), "What is required is missing: title."),
            ({**BOARD, "layout_type": "round"}, "Invalid value at body.layout_type"),
            ({**BOARD, "widgets": [{"definition": {"type": "pie"}}]}, "Invalid value at body.widgets[0].definition"),
            (widget(formulas=[{"formula": "b"}]), "Invalid widget definition of 'T': In 'b', 'b' is not understood"),
            (
                widget(queries=[{"data_source": "metrics", "name": "a", "query": "sum:llm.cost"}]),
                "'sum:llm.cost' is not understood",
            ),
            (
                widget(queries=[{"data_source": "metrics", "name": "a", "query": "sum:llm.cost{$user}"}]),
                "The dashboard has no template variable 'user'.",
            ),
            (
                {
                    **BOARD,
                    "widgets": [
                        {
                            "definition": {
                                "type": "group",
                                "layout_type": "ordered",
                                "widgets": widget(formulas=[{"formula": "b"}])["widgets"],
                            }
                        }
                    ],
                },
                "Invalid widget definition of 'T'",
            ),
        ],
    )
    def test_what_is_refused(self, http: httpx.Client, body: dict[str, Any], reason: str) -> None:
        answer = http.post(DASHBOARD_PATH, json=body)
        assert answer.status_code == 400
        assert reason in answer.json()["errors"][0]


class TestMonitors:
    """Monitors."""

    def test_a_life(self, http: httpx.Client) -> None:
        made = http.post(MONITOR_PATH, json=MONITOR).json()
        path = f"{MONITOR_PATH}/{made['id']}"
        assert (made["multi"], made["overall_state"], made["options"]["notify_no_data"]) == (True, "No Data", False)
        assert http.get(path).json() == made
        query = "sum(last_1d):sum:llm.cost{*}.as_count() > 30"
        updated = http.put(path, json={"query": query, "options": {"thresholds": {"critical": 30}}}).json()
        assert (updated["query"], updated["multi"], updated["name"]) == (query, False, "Spend")
        assert http.delete(path).json() == {"deleted_monitor_id": made["id"]}
        missing = http.delete(path)
        assert (missing.status_code, missing.json()) == (404, {"errors": ["Monitor not found"]})

    def test_a_list_is_narrowed_down(self, http: httpx.Client) -> None:
        for name, tags in (("Spend of dev", ["env:dev", "a"]), ("Spend of prod", ["env:prod", "a"]), ("Other", [])):
            http.post(MONITOR_PATH, json={**MONITOR, "name": name, "tags": tags})
        for query, names in (
            ({}, ["Spend of dev", "Spend of prod", "Other"]),
            ({"monitor_tags": "env:dev,a"}, ["Spend of dev"]),
            ({"name": "spend"}, ["Spend of dev", "Spend of prod"]),
            ({"page": "1", "page_size": "2"}, ["Other"]),
        ):
            assert [each["name"] for each in http.get(MONITOR_PATH, params=query).json()] == names

    def test_a_duplicate_is_refused(self, http: httpx.Client) -> None:
        made = http.post(MONITOR_PATH, json=MONITOR).json()
        answer = http.post(MONITOR_PATH, json=MONITOR)
        assert (answer.status_code, answer.json()) == (
            400,
            {"errors": [f"Duplicate of an existing monitor_id:{made['id']} org_id:1"]},
        )
        assert http.post(MONITOR_PATH, json={**MONITOR, "tags": ["env:stg"]}).status_code == 200

    @pytest.mark.parametrize("path", [MONITOR_PATH, f"{MONITOR_PATH}/validate"])
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"query": "hello"}, "The value provided for parameter 'query' is invalid"),
            ({"query": "sum(last_1d):sum:llm.cost{*} > 30"}, "Alert threshold (20.0) does not match that used in the"),
            ({"type": "loud alert"}, "Invalid value at body.type"),
            ({"type": "composite"}, "'composite' is not simulated"),
            ({"options": {"thresholds": {"critical": "20"}}}, "Invalid type"),
        ],
    )
    def test_what_is_refused(self, http: httpx.Client, path: str, change: dict[str, Any], reason: str) -> None:
        answer = http.post(path, json={**MONITOR, **change})
        assert answer.status_code == 400
        assert reason in answer.json()["errors"][0]

    def test_validation_keeps_nothing(self, http: httpx.Client) -> None:
        answer = http.post(f"{MONITOR_PATH}/validate", json=MONITOR)
        assert (answer.status_code, answer.json()) == (200, {})
        assert http.get(MONITOR_PATH).json() == []


def test_all_that_the_stacks_make_with_datadogs_own_client(world: OutsideWorld, official: ApiClient) -> None:
    """It reads every answer without anything that it does not know, and what it sends is what the stacks define."""
    metrics = LogsMetricsApi(official)  # type: ignore[no-untyped-call]
    boards = DashboardsApi(official)  # type: ignore[no-untyped-call]
    alarms = MonitorsApi(official)  # type: ignore[no-untyped-call]

    def model(kind: type, definition: dict[str, Any]) -> Any:  # noqa: ANN401 - a model of that kind
        return official.deserialize(json.dumps(definition), (kind,), True)

    wanted = [model(LogsMetricCreateRequest, metric.definition("dev")) for metric in METRICS]
    assert not any(metrics.create_logs_metric(each)._unparsed for each in wanted)
    board = boards.create_dashboard(model(Dashboard, dashboard("dev", budget_percent=80)))
    alarming = monitors("dev", Datadog()).values()
    made = [alarms.create_monitor(model(Monitor, monitor)) for monitor in alarming]
    assert not any(each._unparsed for each in (board, *made))
    assert len(metrics.list_logs_metrics().data) == len(METRICS)
    assert [each.id for each in alarms.list_monitors(monitor_tags="env:dev")] == [each.id for each in made]
    assert boards.get_dashboard(board.id).title == board.title
    with pytest.raises(ApiException, match="409"):
        metrics.create_logs_metric(wanted[0])
    alarms.delete_monitor(made[0].id)
    metrics.delete_logs_metric(METRICS[0].full_name("dev"))
    boards.delete_dashboard(board.id)
    assert world.datadog_objects.dashboards() == []


def test_the_control_api_shows_the_objects(world: OutsideWorld, http: httpx.Client) -> None:
    http.post(METRIC_PATH, json=METRIC)
    http.post(MONITOR_PATH, json=MONITOR)
    shown = httpx.get(f"{world.control_url}/datadog/objects", trust_env=False).json()
    assert [each["id"] for each in shown["metrics"]] == ["llm.cost"]
    assert [each["name"] for each in shown["monitors"]] == ["Spend"]
    assert (shown["dashboards"], shown["writes"]) == ([], world.datadog_objects.writes)
    httpx.delete(world.control_url, trust_env=False)  # forgets records, not what a deployment made
    assert len(world.datadog_objects.metrics()) == 1


def test_a_record_is_drawn_as_it_arrives(world: OutsideWorld, http: httpx.Client) -> None:
    http.post(METRIC_PATH, json=METRIC)
    query = {"data_source": "metrics", "name": "a", "query": "sum:llm.cost{*} by {user}", "aggregator": "sum"}
    http.post(DASHBOARD_PATH, json=widget(queries=[query]))
    message = json.dumps({"llm": {"kind": "call", "user": "sato@example.com", "cost": 1234.5}})
    logs = [{"service": "gateway", "ddtags": "env:dev", "message": message}]
    assert http.post("https://http-intake.logs.ap1.datadoghq.com/api/v2/logs", json=logs).status_code == 202
    page = httpx.get(f"{world.control_url}/dashboard", trust_env=False)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "sato_example.com" in page.text
    assert ">1,234.5<" in page.text
    assert 'href="/dashboard"' in httpx.get(world.control_url, trust_env=False).text
