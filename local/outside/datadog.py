"""Datadog: the intake of log records, and the API for log-based metrics, dashboards and monitors.

What Datadog refuses is refused: what its API's models do not know, queries that cannot be read, a threshold that is not
the query's, a duplicate. What is made lives as long as this process, as do the records and the emulated AWS's stacks.
"""

from __future__ import annotations

import copy
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from datadog_api_client import Configuration
from datadog_api_client.exceptions import OpenApiException
from datadog_api_client.model_utils import OpenApiModel, UnparsedObject, validate_and_convert_types
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.monitor_update_request import MonitorUpdateRequest
from datadog_api_client.v2.model.logs_metric_create_request import LogsMetricCreateRequest
from datadog_api_client.v2.model.logs_metric_update_request import LogsMetricUpdateRequest

from local.outside.datadog_metrics import Metric, QueryError
from local.outside.datadog_monitors import parse_monitor
from local.outside.datadog_widgets import check_request
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.records import Journal, Json

_INTAKE = re.compile(r"http-intake\.logs\.[a-z0-9.-]+")
_API = re.compile(r"api\.([a-z0-9-]+\.)?(datadoghq\.com|datadoghq\.eu|ddog-gov\.com)")
_TITLES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Payload Too Large",
    429: "Too Many Requests",
}
_SECONDS_OF_A_RATE = 60
_METRICS, _DASHBOARDS, _MONITORS = "/api/v2/logs/config/metrics", "/api/v1/dashboard", "/api/v1/monitor"
_ROUTES = (
    ("GET", _METRICS, "metrics.list"),
    ("POST", _METRICS, "metrics.create"),
    ("GET", rf"{_METRICS}/([^/]+)", "metrics.get"),
    ("PATCH", rf"{_METRICS}/([^/]+)", "metrics.update"),
    ("DELETE", rf"{_METRICS}/([^/]+)", "metrics.delete"),
    ("GET", _DASHBOARDS, "dashboards.list"),
    ("POST", _DASHBOARDS, "dashboards.create"),
    ("GET", rf"{_DASHBOARDS}/([^/]+)", "dashboards.get"),
    ("PUT", rf"{_DASHBOARDS}/([^/]+)", "dashboards.update"),
    ("DELETE", rf"{_DASHBOARDS}/([^/]+)", "dashboards.delete"),
    ("GET", _MONITORS, "monitors.list"),
    ("POST", _MONITORS, "monitors.create"),
    ("POST", rf"{_MONITORS}/validate", "monitors.validate"),
    ("GET", rf"{_MONITORS}/(\d+)", "monitors.get"),
    ("PUT", rf"{_MONITORS}/(\d+)", "monitors.update"),
    ("DELETE", rf"{_MONITORS}/(\d+)", "monitors.delete"),
)
_METRIC_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,199}")


class DatadogLogs:
    """Takes in log records, for any Datadog site, with the one API key."""

    name = "datadog"

    def __init__(self, api_key: str, journal: Journal) -> None:
        self._api_key, self._journal = api_key, journal

    def serves(self, host: str) -> bool:
        """Return whether the host is the log intake of a Datadog site."""
        return _INTAKE.fullmatch(host) is not None

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        if (request.method, request.path) != ("POST", "/api/v2/logs"):
            raise ApiError(404)
        return Target("logs")

    def answer(self, request: Request, target: Target) -> Answer:  # there is but one operation
        """Keep the records of one delivery."""
        _check_key(request, "dd-api-key", self._api_key)
        body = request.any_json()
        logs = body if isinstance(body, list) else [body]
        if not all(isinstance(log, dict) for log in logs):
            raise ApiError(400)
        self._journal.add_datadog(logs)
        return Answer.of_json({}, status=202)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return the intake's error document."""
        body = {"errors": [{"status": str(error.status), "title": _title(error)}]}
        return Answer.of_json(body, status=error.status, headers=_limits(error, retry_after_seconds))


@dataclass
class DatadogObjects:
    """What was made through the API; safe to use from any thread. `writes` counts what made, changed or removed."""

    writes: int = 0
    _metrics: dict[str, Json] = field(default_factory=dict)
    _dashboards: dict[str, Json] = field(default_factory=dict)
    _monitors: dict[str, Json] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def metrics(self) -> list[Json]:
        """Return the log-based metrics as the API does: {"id": …, "type": "logs_metrics", "attributes": …}."""
        return self._all(self._metrics)

    def dashboards(self) -> list[Json]:
        """Return the dashboards as the API does."""
        return self._all(self._dashboards)

    def monitors(self) -> list[Json]:
        """Return the monitors as the API does."""
        return self._all(self._monitors)

    def get(self, kind: str, id_: str) -> Json | None:
        """Return a copy of the object of a kind ("metrics", "dashboards", "monitors"), or None."""
        with self._lock:
            return copy.deepcopy(self._of(kind).get(id_))

    def put(self, kind: str, id_: str, made: Json) -> None:
        """Keep an object, new or changed."""
        with self._lock:
            self._of(kind)[id_] = copy.deepcopy(made)
            self.writes += 1

    def delete(self, kind: str, id_: str) -> None:
        """Remove an object that there is."""
        with self._lock:
            del self._of(kind)[id_]
            self.writes += 1

    def _of(self, kind: str) -> dict[str, Json]:
        return {"metrics": self._metrics, "dashboards": self._dashboards, "monitors": self._monitors}[kind]

    def _all(self, objects: dict[str, Json]) -> list[Json]:
        with self._lock:
            return copy.deepcopy(list(objects.values()))


class DatadogApi:
    """The API of any Datadog site: log-based metrics (v2), dashboards and monitors (v1), with the two keys."""

    name = "datadog"

    def __init__(self, api_key: str, app_key: str, objects: DatadogObjects) -> None:
        self._keys, self._objects = (api_key, app_key), objects
        self._numbers = count(1)

    def serves(self, host: str) -> bool:
        """Return whether the host is the API of a Datadog site."""
        return _API.fullmatch(host) is not None

    def target(self, request: Request) -> Target:
        """Return which operation it is: "metrics.create"."""
        return Target(_route(request)[0])

    def answer(self, request: Request, target: Target) -> Answer:
        """Read, make, change or remove objects."""
        for header, key in zip(("dd-api-key", "dd-application-key"), self._keys, strict=True):
            _check_key(request, header, key)
        operation, id_ = _route(request)
        kind, _, verb = operation.partition(".")
        if verb == "create" or operation == "monitors.validate":
            return self._of(kind).create(request.json(), keep=verb == "create")
        if verb == "list":
            return self._of(kind).list(request)
        current = self._objects.get(kind, id_)
        if current is None:
            raise self._of(kind).missing(id_)
        if verb == "get":
            return Answer.of_json(self._of(kind).shown(current))
        if verb == "update":
            return self._of(kind).update(id_, current, request.json())
        self._objects.delete(kind, id_)
        return self._of(kind).deleted(id_)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return the API's error document; a 429 says when to try again, in Datadog's own headers."""
        body = {"errors": [error.message or _title(error)]}
        return Answer.of_json(body, status=error.status, headers=_limits(error, retry_after_seconds))

    def _of(self, kind: str) -> _Metrics | _Dashboards | _Monitors:
        kinds: dict[str, Callable[[DatadogObjects, int], _Metrics | _Dashboards | _Monitors]] = {
            "metrics": _Metrics,
            "dashboards": _Dashboards,
            "monitors": _Monitors,
        }
        return kinds[kind](self._objects, next(self._numbers))


@dataclass(frozen=True, slots=True)
class _Metrics:
    """https://docs.datadoghq.com/api/latest/logs-metrics."""

    objects: DatadogObjects
    number: int

    def list(self, request: Request) -> Answer:
        return Answer.of_json({"data": self.objects.metrics()})

    def create(self, body: Json, *, keep: bool) -> Answer:
        _check_model(body, LogsMetricCreateRequest)
        data = body["data"]
        name, attributes = data["id"], data["attributes"]
        if not _METRIC_NAME.fullmatch(name):
            raise ApiError(400, message=f"Invalid metric name {name!r}: letters, digits, _ and . after a first letter.")
        if self.objects.get("metrics", name):
            raise ApiError(409, message=f"conflict(Metric with name '{name}' already exists)")
        compute = attributes["compute"]
        counts = compute["aggregation_type"] == "count"
        if counts == ("path" in compute) or (counts and "include_percentiles" in compute):
            raise ApiError(400, message="A distribution has a path, and maybe percentiles; a count has neither.")
        made = {"id": name, "type": "logs_metrics", "attributes": _completed(attributes)}
        _understood(lambda: Metric.of(made))
        self.objects.put("metrics", name, made)
        return Answer.of_json({"data": made})

    def update(self, id_: str, current: Json, body: Json) -> Answer:
        _check_model(body, LogsMetricUpdateRequest)
        changes, attributes = body["data"]["attributes"], current["attributes"]
        compute = changes.get("compute", {})
        if changes.keys() - {"compute", "filter", "group_by"} or compute.keys() - {"include_percentiles"}:
            raise ApiError(400, message="Of a metric only filter, group_by and include_percentiles can be changed.")
        if compute and attributes["compute"]["aggregation_type"] == "count":
            raise ApiError(400, message="A count has no percentiles.")
        compute = {"compute": {**attributes["compute"], **compute}}
        changed = {**current, "attributes": _completed({**attributes, **changes, **compute})}
        _understood(lambda: Metric.of(changed))
        self.objects.put("metrics", id_, changed)
        return Answer.of_json({"data": changed})

    def shown(self, current: Json) -> Json:
        return {"data": current}

    def missing(self, id_: str) -> ApiError:
        return ApiError(404, message=f"not_found(Metric with name '{id_}' not found)")

    def deleted(self, id_: str) -> Answer:
        return Answer(204, {}, [b""])


@dataclass(frozen=True, slots=True)
class _Dashboards:
    """https://docs.datadoghq.com/api/latest/dashboards."""

    objects: DatadogObjects
    number: int

    def list(self, request: Request) -> Answer:
        start, size = int(request.query.get("start", 0)), int(request.query.get("count", 100))
        names = ("id", "title", "description", "layout_type", "url", "author_handle", "created_at", "modified_at")
        found = [{name: each[name] for name in names} for each in self.objects.dashboards()]
        return Answer.of_json({"dashboards": found[start : start + size]})

    def create(self, body: Json, *, keep: bool) -> Answer:
        digits = hashlib.sha256(f"dashboard {self.number}".encode()).hexdigest()
        id_ = f"{digits[:3]}-{digits[3:6]}-{digits[6:9]}"
        return self._keep(id_, body, created_at=_now())

    def update(self, id_: str, current: Json, body: Json) -> Answer:
        return self._keep(id_, body, created_at=current["created_at"])

    def shown(self, current: Json) -> Json:
        return current

    def missing(self, id_: str) -> ApiError:
        return ApiError(404, message=f"Dashboard with ID {id_} not found")

    def deleted(self, id_: str) -> Answer:
        return Answer.of_json({"deleted_dashboard_id": id_})

    def _keep(self, id_: str, body: Json, *, created_at: str) -> Answer:
        _check_model(body, Dashboard)
        _check_widgets(body)
        defaults: Json = {"description": None, "template_variables": [], "notify_list": [], "reflow_type": "auto"}
        own = {
            "id": id_,
            "url": f"/dashboard/{id_}/{re.sub(r'[^a-z0-9]+', '-', body['title'].lower()).strip('-')}",
            "author_handle": "local@localhost",
            "author_name": None,
            "is_read_only": False,
            "created_at": created_at,
            "modified_at": _now(),
        }
        made = copy.deepcopy({**defaults, **body, **own})
        for number, widget in enumerate(widgets(made), 1):
            widget.setdefault("id", self.number * 1_000_000 + number)
        self.objects.put("dashboards", id_, made)
        return Answer.of_json(made)


@dataclass(frozen=True, slots=True)
class _Monitors:
    """https://docs.datadoghq.com/api/latest/monitors."""

    objects: DatadogObjects
    number: int

    def list(self, request: Request) -> Answer:
        name = request.query.get("name", "").lower()
        tags = {tag.strip() for tag in request.query.get("monitor_tags", "").split(",") if tag.strip()}
        found = [each for each in self.objects.monitors() if name in each["name"].lower() and tags <= {*each["tags"]}]
        if "page" in request.query:
            size = int(request.query.get("page_size", 100))
            found = found[int(request.query["page"]) * size :][:size]
        return Answer.of_json(found)

    def create(self, body: Json, *, keep: bool) -> Answer:
        _check_model(body, Monitor)
        multi = _check_monitor(body)
        if not keep:
            return Answer.of_json({})
        own = ("name", "type", "query", "message")
        for other in self.objects.monitors():
            if all(other[name] == body.get(name, "") for name in own) and set(other["tags"]) == {*body.get("tags", [])}:
                raise ApiError(400, message=f"Duplicate of an existing monitor_id:{other['id']} org_id:1")
        id_ = 10_000_000 + self.number
        made = {
            "message": "",
            "tags": [],
            "priority": None,
            "restricted_roles": None,
            "name": body["query"],
            **body,
            "id": id_,
            "multi": multi,
            "options": _monitor_options(body),
            "overall_state": "No Data",
            "creator": {"email": "local@localhost", "handle": "local@localhost", "name": None},
            "created": _now(),
            "modified": _now(),
        }
        self.objects.put("monitors", str(id_), made)
        return Answer.of_json(made)

    def update(self, id_: str, current: Json, body: Json) -> Answer:
        _check_model(body, MonitorUpdateRequest)
        changed = {**current, **{name: body[name] for name in body if name not in ("id", "created", "creator")}}
        changed["multi"] = _check_monitor(changed)
        changed["options"], changed["modified"] = _monitor_options(changed), _now()
        self.objects.put("monitors", id_, changed)
        return Answer.of_json(changed)

    def shown(self, current: Json) -> Json:
        return current

    def missing(self, id_: str) -> ApiError:
        return ApiError(404, message="Monitor not found")

    def deleted(self, id_: str) -> Answer:
        return Answer.of_json({"deleted_monitor_id": int(id_)})


def widgets(dashboard: Json) -> Iterator[Json]:
    """Yield the widgets of a dashboard, and those of its groups after each."""
    for widget in dashboard.get("widgets", []):
        yield widget
        yield from widgets(widget["definition"])


def _check_widgets(dashboard: Json) -> None:
    variables = [variable["name"] for variable in dashboard.get("template_variables") or []]
    for widget in widgets(dashboard):
        definition = widget["definition"]
        requests = definition.get("requests", [])
        for request in requests if isinstance(requests, list) else []:
            try:
                check_request(request, variables)
            except QueryError as error:
                title = definition.get("title", definition["type"])
                raise ApiError(400, message=f"Invalid widget definition of {title!r}: {error}") from None


def _check_monitor(monitor: Json) -> bool:
    """Return whether a monitor has groups."""
    if monitor["type"] not in ("metric alert", "query alert"):
        raise ApiError(400, message=f"A monitor of the type {monitor['type']!r} is not simulated: a query alert is.")
    query = _understood(lambda: parse_monitor(monitor["query"]), "The value provided for parameter 'query' is invalid")
    critical = ((monitor.get("options") or {}).get("thresholds") or {}).get("critical", query.threshold)
    if critical != query.threshold:
        raise ApiError(
            400,
            message=f"Alert threshold ({float(critical)}) does not match that used in the query ({query.threshold}).",
        )
    return any(found.by for found in query.expression.queries.values())


def _monitor_options(monitor: Json) -> Json:
    """Return a monitor's options with what Datadog adds."""
    query = parse_monitor(monitor["query"])
    options: Json = {
        "notify_no_data": False,
        "notify_audit": False,
        "include_tags": True,
        "silenced": {},
        "new_host_delay": 300,
    }
    options |= monitor.get("options") or {}
    return {**options, "thresholds": {"critical": query.threshold, **(options.get("thresholds") or {})}}


def _completed(attributes: Json) -> Json:
    """Return a metric's attributes with what Datadog adds: all logs, no groups, a tag's name, no percentiles."""
    compute = dict(attributes["compute"])
    if compute["aggregation_type"] == "distribution":
        compute.setdefault("include_percentiles", False)
    groups = [
        {"path": group["path"], "tag_name": group.get("tag_name") or group["path"].removeprefix("@")}
        for group in attributes.get("group_by", [])
    ]
    if len({group["tag_name"] for group in groups}) < len(groups):
        raise ApiError(400, message="Two groups of group_by have one tag_name.")
    return {"compute": compute, "filter": attributes.get("filter") or {"query": "*"}, "group_by": groups}


def _check_model(body: Json, model: type[OpenApiModel]) -> None:
    """Refuse what is not of the shape and the values that Datadog's own client knows."""
    try:
        read = validate_and_convert_types(copy.deepcopy(body), (model,), ["body"], True, True, Configuration())  # type: ignore[no-untyped-call]
    except OpenApiException as error:
        raise ApiError(400, message=str(error)) from None
    except TypeError as error:  # of the model's own constructor, which names them
        missing = ", ".join(re.findall(r"'(\w+)'", str(error)))
        raise ApiError(400, message=f"What is required is missing: {missing}.") from None
    if place := next(_unknown(read, "body"), None):
        raise ApiError(400, message=f"Invalid value at {place}.")


def _unknown(read: Any, place: str) -> Iterator[str]:  # noqa: ANN401  # models, lists and plain values
    """Yield where there is something that the client's models have no reading of, innermost first."""
    if isinstance(read, list):
        for number, each in enumerate(read):
            yield from _unknown(each, f"{place}[{number}]")
    elif isinstance(read, OpenApiModel) and not isinstance(read, UnparsedObject):
        for name, value in read._data_store.items():
            yield from _unknown(value, f"{place}.{name}")
    if getattr(read, "_unparsed", False) or isinstance(read, UnparsedObject):
        yield place


def _understood(read: Callable[[], Any], prefix: str = "Invalid query") -> Any:  # noqa: ANN401  # what was read
    try:
        return read()
    except QueryError as error:
        raise ApiError(400, message=f"{prefix}: {error}") from None


def _route(request: Request) -> tuple[str, str]:
    """Return the operation and the object's id, if it has one."""
    for method, pattern, operation in _ROUTES:
        match = re.fullmatch(pattern, request.path)
        if match and method == request.method:
            return operation, match[1] if match.groups() else ""
    raise ApiError(404)


def _check_key(request: Request, header: str, key: str) -> None:
    if not same(request.headers.get(header, ""), key):
        raise ApiError(403)


def _limits(error: ApiError, reset_seconds: int) -> dict[str, str]:
    """Return the headers of a 429: https://docs.datadoghq.com/api/latest/rate-limits."""
    if error.status != 429:
        return {}
    return {
        "x-ratelimit-limit": "100",
        "x-ratelimit-period": str(_SECONDS_OF_A_RATE),
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(reset_seconds),
    }


def _title(error: ApiError) -> str:
    return _TITLES.get(error.status, "Internal Server Error")


def _now() -> str:
    return datetime.now(UTC).isoformat()
