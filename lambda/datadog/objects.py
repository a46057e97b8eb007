"""Datadog's objects by kind: how each is made once, found again, changed where it differs, and removed.

An object that this stack did not make is never adopted or overwritten. A dashboard's description and a monitor's tags
carry a marker of the stack and the resource, by which one is found whose creation was not answered. A log-based metric
has room for no such thing: there, one of the same name is this stack's if it is defined the same.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from datadog_api_client.v1.api.dashboards_api import DashboardsApi
from datadog_api_client.v1.api.monitors_api import MonitorsApi
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.monitor_update_request import MonitorUpdateRequest
from datadog_api_client.v2.api.logs_metrics_api import LogsMetricsApi
from datadog_api_client.v2.model.logs_metric_create_request import LogsMetricCreateRequest
from datadog_api_client.v2.model.logs_metric_update_request import LogsMetricUpdateRequest

from datadog.client import Datadog, RefusedError

PAGE = 100
Json = dict[str, Any]


class Objects(ABC):
    """The objects of one kind. Every method raises what `Datadog.ask` raises."""

    noun: ClassVar[str]

    def __init__(self, datadog: Datadog, marker: str) -> None:
        self._datadog, self._marker = datadog, marker

    @staticmethod
    @abstractmethod
    def name(definition: Json) -> str:
        """Return what people call the object."""

    def make(self, definition: Json) -> str:
        """Make the object, or take the one that an earlier attempt made, and return its id."""
        wanted = self._marked(definition)
        if (found := self._find(wanted)) is not None:
            return self.change(found, definition)
        return self._datadog.ask(lambda: self._create(wanted), done=lambda: self._find(wanted))

    def change(self, object_id: str, definition: Json) -> str:
        """Change the object where it is not as defined, and return its id: another one if it was gone."""
        wanted, current = self._marked(definition), self._read(object_id)
        if current is None:
            return self.make(definition)
        if not contains(current, wanted):
            self._datadog.ask(lambda: self._update(object_id, current, wanted))
        return object_id

    def remove(self, object_id: str) -> None:
        """Remove the object, if it is still there."""
        try:
            self._datadog.ask(lambda: self._delete(object_id))
        except RefusedError as refused:
            if refused.status != 404:
                raise

    def _read(self, object_id: str) -> Json | None:
        """Return the object as Datadog has it; None if it is gone."""
        try:
            return self._datadog.ask(lambda: self._get(object_id))
        except RefusedError as refused:
            if refused.status == 404:
                return None
            raise

    def _model(self, definition: Json, model: type) -> Any:  # noqa: ANN401 - one of the client's models
        return self._datadog.client.deserialize(json.dumps(definition), (model,), True)

    @abstractmethod
    def _marked(self, definition: Json) -> Json: ...

    @abstractmethod
    def _find(self, wanted: Json) -> str | None: ...

    @abstractmethod
    def _get(self, object_id: str) -> Json: ...

    @abstractmethod
    def _create(self, wanted: Json) -> str: ...

    @abstractmethod
    def _update(self, object_id: str, current: Json, wanted: Json) -> None: ...

    @abstractmethod
    def _delete(self, object_id: str) -> None: ...


class Dashboards(Objects):
    """Dashboards, whose description ends with the marker."""

    noun = "dashboard"

    def __init__(self, datadog: Datadog, marker: str) -> None:
        super().__init__(datadog, marker)
        self._api = DashboardsApi(datadog.client)  # type: ignore[no-untyped-call]

    @staticmethod
    def name(definition: Json) -> str:
        """Return the title."""
        return str(definition["title"])

    def _marked(self, definition: Json) -> Json:
        return {**definition, "description": f"{definition['description']}\n\n{self._marker}"}

    def _find(self, wanted: Json) -> str | None:
        for each in self._list():
            if each.get("title") == wanted["title"]:
                found = self._read(each["id"])
                if found and str(found.get("description")).endswith(f"\n{self._marker}"):
                    return str(each["id"])
        return None

    def _list(self) -> Iterator[Json]:
        start = 0
        while page := self._page(start):
            yield from page
            start += PAGE

    def _page(self, start: int) -> list[Json]:
        return self._datadog.ask(lambda: list(_json(self._api.list_dashboards(count=PAGE, start=start))["dashboards"]))

    def _get(self, object_id: str) -> Json:
        return _with("id", _json(self._api.get_dashboard(object_id)))

    def _create(self, wanted: Json) -> str:
        return str(_json(self._api.create_dashboard(self._model(wanted, Dashboard)))["id"])

    def _update(self, object_id: str, current: Json, wanted: Json) -> None:
        _with("id", _json(self._api.update_dashboard(object_id, self._model(wanted, Dashboard))))

    def _delete(self, object_id: str) -> None:
        self._api.delete_dashboard(object_id)


class Monitors(Objects):
    """Monitors, which have the marker as a tag."""

    noun = "monitor"

    def __init__(self, datadog: Datadog, marker: str) -> None:
        super().__init__(datadog, marker)
        self._api = MonitorsApi(datadog.client)  # type: ignore[no-untyped-call]

    @staticmethod
    def name(definition: Json) -> str:
        """Return the name."""
        return str(definition["name"])

    def _marked(self, definition: Json) -> Json:
        return {**definition, "tags": [*definition["tags"], self._marker]}

    def _find(self, wanted: Json) -> str | None:
        # Datadog narrows the list down; the tag itself decides.
        found = self._datadog.ask(lambda: _monitors(_json(self._api.list_monitors(monitor_tags=self._marker))))
        return next((str(each["id"]) for each in found if self._marker in each["tags"]), None)

    def _get(self, object_id: str) -> Json:
        return _with("id", _json(self._api.get_monitor(int(object_id))))

    def _create(self, wanted: Json) -> str:
        return str(_json(self._api.create_monitor(self._model(wanted, Monitor)))["id"])

    def _update(self, object_id: str, current: Json, wanted: Json) -> None:
        _with("id", _json(self._api.update_monitor(int(object_id), self._model(wanted, MonitorUpdateRequest))))

    def _delete(self, object_id: str) -> None:
        self._api.delete_monitor(int(object_id))


class LogsMetrics(Objects):
    """Log-based metrics, whose id is their name. What one computes cannot be changed, only filter, groups and
    percentiles: https://docs.datadoghq.com/logs/log_configuration/logs_to_metrics/#update-a-log-based-metric.
    """

    noun = "log-based metric"

    def __init__(self, datadog: Datadog, marker: str) -> None:
        super().__init__(datadog, marker)
        self._api = LogsMetricsApi(datadog.client)  # type: ignore[no-untyped-call]

    @staticmethod
    def name(definition: Json) -> str:
        """Return the name, by which queries know it."""
        return str(definition["data"]["id"])

    def change(self, object_id: str, definition: Json) -> str:
        """Change the metric where it is not as defined; one of another name is another one, which is made."""
        return super().change(object_id, definition) if object_id == self.name(definition) else self.make(definition)

    def _marked(self, definition: Json) -> Json:
        return _in_order(definition)

    def _find(self, wanted: Json) -> str | None:
        current = self._read(self.name(wanted))
        if current is None:
            return None
        if not contains(current, wanted):
            raise RefusedError(
                "there is one of this name with another definition, which this stack did not make and does not touch",
                status=409,
            )
        return self.name(wanted)

    def _get(self, object_id: str) -> Json:
        return _in_order(_json(self._api.get_logs_metric(object_id)))

    def _create(self, wanted: Json) -> str:
        return str(_json(self._api.create_logs_metric(self._model(wanted, LogsMetricCreateRequest)))["data"]["id"])

    def _update(self, object_id: str, current: Json, wanted: Json) -> None:
        attributes, before = wanted["data"]["attributes"], current["data"]["attributes"]["compute"]
        compute = dict(attributes["compute"])
        percentiles = compute.pop("include_percentiles", None)
        if not contains(before, compute):
            raise RefusedError("Datadog cannot change what a metric computes, so it needs another name", status=400)
        changes = {each: attributes[each] for each in ("filter", "group_by")}
        if percentiles is not None:
            changes["compute"] = {"include_percentiles": percentiles}
        body = {"data": {"type": wanted["data"]["type"], "attributes": changes}}
        _with("data", _json(self._api.update_logs_metric(object_id, self._model(body, LogsMetricUpdateRequest))))

    def _delete(self, object_id: str) -> None:
        self._api.delete_logs_metric(object_id)


def contains(current: object, wanted: object) -> bool:
    """Whether an object is as it is wanted; Datadog adds fields of its own, and leaves out what is false or empty."""
    match current, wanted:
        case dict(), dict():
            return all(contains(current.get(key), value) for key, value in wanted.items())
        case list(), list() if all(isinstance(each, str) for each in (*current, *wanted)):
            return sorted(current) == sorted(wanted)
        case list(), list():
            return len(current) == len(wanted) and all(map(contains, current, wanted))
    return current == wanted or not (current or wanted)


def _in_order(metric: Json) -> Json:
    """A log-based metric with its groups in order, as that of Datadog's answer is its own."""
    data, attributes = metric["data"], metric["data"]["attributes"]
    groups = sorted(attributes["group_by"], key=lambda group: str(group["path"]))
    return {"data": {**data, "attributes": {**attributes, "group_by": groups}}}


def _json(response: Any) -> Any:  # noqa: ANN401 - urllib3's response, of which the client's types know nothing
    return json.loads(response.data)


def _with(name: str, answer: Any) -> Json:  # noqa: ANN401 - JSON
    """Datadog's answer, which has something under a name: `KeyError` or `TypeError` if it is none of Datadog's."""
    _ = answer[name]
    return dict(answer)


def _monitors(answer: Any) -> list[Json]:  # noqa: ANN401 - JSON
    """The list that Datadog answers with, of objects with an id."""
    if not isinstance(answer, list):
        raise TypeError("no list")
    return [_with("id", each) for each in answer]
