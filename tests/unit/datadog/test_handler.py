"""Datadog's objects as CloudFormation asks for them, against a small Datadog that listens on this machine."""

import itertools
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from unittest import mock

import boto3
import pytest
from datadog import client
from datadog.handler import DatadogError, handler
from datadog.objects import contains

from tests.clock import for_this_thread

STACK = (
    "arn:aws:cloudformation:ap-northeast-1:111111111111:stack/litellm-dev-datadog/0a1b2c3d-0000-4000-8000-00000000000F"
)

KEYS = {"DD_API_KEY": "an-api-key-that-nobody-sees", "DD_APP_KEY": "an-app-key-that-nobody-sees"}
Json = dict[str, Any]

DASHBOARD: Json = {
    "title": "LLM gateway · dev",
    "description": "Who uses which model.",
    "layout_type": "ordered",
    "widgets": [{"definition": {"type": "note", "content": "Hello"}}],
}
MONITOR: Json = {
    "name": "Too dear",
    "type": "query alert",
    "query": "sum(last_1d):sum:llm_gateway.dev.cost{*}.as_count() > 20",
    "message": "Look",
    "tags": ["env:dev"],
    "options": {"thresholds": {"critical": 20}, "notify_no_data": False},
}
METRIC: Json = {
    "data": {
        "id": "llm_gateway.dev.cost",
        "type": "logs_metrics",
        "attributes": {
            "compute": {"aggregation_type": "distribution", "path": "@llm.cost", "include_percentiles": False},
            "filter": {"query": "env:dev"},
            "group_by": [{"path": "@llm.user", "tag_name": "user"}, {"path": "@llm.model", "tag_name": "model"}],
        },
    }
}
KINDS = {"Dashboard": DASHBOARD, "Monitor": MONITOR, "LogsMetric": METRIC}
in_every_kind = pytest.mark.parametrize("kind", KINDS)


class FakeDatadog:
    """Keeps dashboards, monitors and log-based metrics; `faults` are the statuses of the next answers to a method.

    A fault happens before the request is looked at. With `late` it happens after: what was asked for is done. The
    status 0 is no answer at all.
    """

    PATHS: ClassVar = {
        "dashboard": "/api/v1/dashboard",
        "monitor": "/api/v1/monitor",
        "metric": "/api/v2/logs/config/metrics",
    }

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}  # by path
        self.calls: list[str] = []
        self.faults: dict[str, list[int]] = {}
        self.late = False
        self.errors: list[Any] = ["Something is wrong"]
        self.headers: dict[str, str] = {}
        self._ids = itertools.count(101)

    @property
    def writes(self) -> list[str]:
        return [call for call in self.calls if not call.startswith("GET")]

    def answer(self, method: str, path: str, body: Json) -> tuple[int, Any]:
        self.calls.append(f"{method} {path}")
        faults = self.faults.get(method, [])
        if faults and not self.late:
            return faults.pop(0), {"errors": self.errors}
        answer = getattr(self, f"_{method.lower()}")(path.partition("?")[0], body)
        return (faults.pop(0), {"errors": self.errors}) if faults else answer

    def _get(self, path: str, _body: Json) -> tuple[int, Any]:
        if path in self.objects:
            return 200, self.objects[path]
        if path == self.PATHS["dashboard"]:
            known = [each for at, each in self.objects.items() if at.startswith(path)]
            start = 0 if "start=0" in self.calls[-1] else len(known)
            return 200, {"dashboards": [{"id": each["id"], "title": each["title"]} for each in known[start:]]}
        if path == self.PATHS["monitor"]:
            return 200, [each for at, each in self.objects.items() if at.startswith(path)]
        return 404, {"errors": ["Not found"]}

    def _post(self, path: str, body: Json) -> tuple[int, Any]:
        if path == self.PATHS["metric"]:
            if f"{path}/{body['data']['id']}" in self.objects:
                return 409, {"errors": ["Conflict"]}
            self.objects[f"{path}/{body['data']['id']}"] = body
            return 200, body
        number = next(self._ids)
        made = body | {"id": number if path == self.PATHS["monitor"] else f"abc-def-{number}"}
        self.objects[f"{path}/{made['id']}"] = made
        return 200, made

    def _put(self, path: str, body: Json) -> tuple[int, Any]:
        if path not in self.objects:
            return 404, {"errors": ["Not found"]}
        self.objects[path] |= body
        return 200, self.objects[path]

    def _patch(self, path: str, body: Json) -> tuple[int, Any]:
        changes = body["data"]["attributes"]
        attributes = self.objects[path]["data"]["attributes"]
        attributes["compute"] |= changes.pop("compute", {})
        attributes |= changes
        return 200, self.objects[path]

    def _delete(self, path: str, _body: Json) -> tuple[int, Any]:
        return (200, {}) if self.objects.pop(path, None) else (404, {"errors": ["Not found"]})


@contextmanager
def _listening(datadog: FakeDatadog) -> Iterator[str]:
    class Requests(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            assert [self.headers[name] for name in ("DD-API-KEY", "DD-APPLICATION-KEY")] == list(KEYS.values())
            status, answer = datadog.answer(self.command, self.path, json.loads(body or "{}"))
            self.close_connection = True
            if status:
                text = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **datadog.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Clock:
    """Lambda's context, whose time passes only while the function waits."""

    def __init__(self) -> None:
        self.left, self.waits = 600.0, list[float]()

    def get_remaining_time_in_millis(self) -> int:
        return int(self.left * 1000)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.left -= seconds


class CloudFormation:
    """The stack's side of it: what it knows of one resource, and what it was told."""

    def __init__(self, clock: Clock, kind: str, definition: Json, *, stack: str = STACK) -> None:
        self.clock, self.kind, self.definition, self.stack = clock, kind, definition, stack
        self.resource = ""

    def send(self, request: str, definition: Json, **known: str) -> str:
        event = {
            "RequestType": request,
            "StackId": self.stack,
            "LogicalResourceId": f"{self.kind}0A1B2C3D",
            "ResourceType": f"Custom::Datadog{self.kind}",
            "ResourceProperties": {"ServiceToken": "arn", "Definition": json.dumps(definition)},
            **known,
        }
        return str(handler(event, self.clock)["PhysicalResourceId"])

    def create(self) -> str:
        self.resource = self.send("Create", self.definition)
        return self.resource

    def update(self, definition: Json) -> str:
        """Change it; what it was before, where it was replaced, is removed."""
        before, after = self.resource, self.send("Update", definition, PhysicalResourceId=self.resource)
        self.resource, self.definition = after, definition
        if before != after:
            self.send("Delete", definition, PhysicalResourceId=before)
        return after

    def delete(self) -> None:
        self.send("Delete", self.definition, PhysicalResourceId=self.resource)


@pytest.fixture
def datadog() -> FakeDatadog:
    return FakeDatadog()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def parameters() -> dict[str, str]:
    return {f"/litellm/dev/{name}": value for name, value in KEYS.items()}


@pytest.fixture(autouse=True)
def world(
    datadog: FakeDatadog, clock: Clock, parameters: dict[str, str], caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """The function's surroundings; at the end of each test no key has been logged."""
    caplog.set_level(logging.INFO, logger="")

    class Ssm:
        exceptions = boto3.client("ssm", region_name="ap-northeast-1").exceptions

        def get_parameter(self, *, Name: str, WithDecryption: bool) -> Json:  # noqa: N803 - AWS's
            assert WithDecryption
            if Name not in parameters:
                raise self.exceptions.ParameterNotFound({"Error": {"Code": "ParameterNotFound"}}, "GetParameter")
            return {"Parameter": {"Value": parameters[Name]}}

    with _listening(datadog) as address:
        surroundings = {"DD_SITE": address, "PARAMETER_PREFIX": "/litellm/dev", "NO_PROXY": "*"}
        with (
            mock.patch.dict(os.environ, surroundings),
            mock.patch.object(client, "ADDRESS", "http://{site}"),
            pytest.MonkeyPatch.context() as patch,
            mock.patch("datadog.handler.boto3.client", lambda *_, **__: Ssm()),
        ):
            for_this_thread(patch, sleep=clock.sleep)
            yield
    assert not [key for key in KEYS.values() if key in caplog.text]


@pytest.fixture
def cloudformation(clock: Clock, kind: str) -> CloudFormation:
    return CloudFormation(clock, kind, KINDS[kind])


def _changed(kind: str) -> Json:
    """The definition of this kind with another text, filter or query."""
    changed: Json = json.loads(json.dumps(KINDS[kind]))
    match kind:
        case "Dashboard":
            changed["widgets"][0]["definition"]["content"] = "Goodbye"
        case "Monitor":
            changed["query"] = changed["query"].replace("20", "30")
        case "LogsMetric":
            changed["data"]["attributes"]["filter"]["query"] = "env:dev @llm.kind:call"
    return changed


# Create, update, delete


@in_every_kind
def test_create(datadog: FakeDatadog, cloudformation: CloudFormation) -> None:
    made = cloudformation.create()
    ((path, found),) = datadog.objects.items()
    assert path.endswith(f"/{made}")
    assert len(datadog.writes) == 1
    assert "cloudformation:0a1b2c3d" in json.dumps(found) or cloudformation.kind == "LogsMetric"


def test_the_api_gets_the_definition(datadog: FakeDatadog, clock: Clock) -> None:
    for kind, definition in KINDS.items():
        CloudFormation(clock, kind, definition).create()
    dashboard, monitor, metric = datadog.objects.values()
    marker = "cloudformation:0a1b2c3d-0000-4000-8000-00000000000f/"
    assert dashboard == DASHBOARD | {
        "id": "abc-def-101",
        "description": f"Who uses which model.\n\n{marker}dashboard0a1b2c3d",
    }
    assert monitor == MONITOR | {"id": 102, "tags": ["env:dev", f"{marker}monitor0a1b2c3d"]}
    groups = sorted(METRIC["data"]["attributes"]["group_by"], key=lambda each: str(each["path"]))
    assert metric["data"]["attributes"] == METRIC["data"]["attributes"] | {"group_by": groups}


@in_every_kind
def test_update_in_place(datadog: FakeDatadog, cloudformation: CloudFormation, kind: str) -> None:
    made = cloudformation.create()
    datadog.calls.clear()
    assert cloudformation.update(_changed(kind)) == made
    assert len(datadog.writes) == 1
    assert datadog.writes[0].startswith(("PUT", "PATCH"))
    changed = json.dumps(datadog.objects, ensure_ascii=False)
    assert any(text in changed for text in ("Goodbye", "> 30", "@llm.kind:call"))


@in_every_kind
def test_the_same_definition_changes_nothing(datadog: FakeDatadog, cloudformation: CloudFormation, kind: str) -> None:
    made = cloudformation.create()
    datadog.calls.clear()
    assert cloudformation.update(KINDS[kind]) == made
    assert datadog.calls
    assert datadog.writes == []


@in_every_kind
def test_what_somebody_removed_is_made_again(datadog: FakeDatadog, cloudformation: CloudFormation, kind: str) -> None:
    cloudformation.create()
    datadog.objects.clear()
    made = cloudformation.update(_changed(kind))
    assert [path.rpartition("/")[2] for path in datadog.objects] == [made]


@in_every_kind
def test_delete(datadog: FakeDatadog, cloudformation: CloudFormation) -> None:
    datadog.answer("POST", datadog.PATHS["dashboard"], DASHBOARD)
    datadog.answer("POST", datadog.PATHS["monitor"], MONITOR)
    others = dict(datadog.objects)
    cloudformation.create()
    for _ in range(2):  # what is gone already is fine
        cloudformation.delete()
        assert datadog.objects == others


# Log-based metrics


def test_a_metric_of_another_name_replaces_it(datadog: FakeDatadog, clock: Clock) -> None:
    cloudformation = CloudFormation(clock, "LogsMetric", METRIC)
    cloudformation.create()
    renamed = json.loads(json.dumps(METRIC).replace("dev.cost", "dev.price"))
    assert cloudformation.update(renamed) == "llm_gateway.dev.price"
    assert list(datadog.objects) == [f"{datadog.PATHS['metric']}/llm_gateway.dev.price"]


def test_what_a_metric_computes_stays(datadog: FakeDatadog, clock: Clock) -> None:
    cloudformation = CloudFormation(clock, "LogsMetric", METRIC)
    cloudformation.create()
    before = json.dumps(datadog.objects)
    with pytest.raises(DatadogError, match="cannot change what a metric computes, so it needs another name"):
        cloudformation.update(json.loads(json.dumps(METRIC).replace("@llm.cost", "@llm.price")))
    assert json.dumps(datadog.objects) == before
    cloudformation.update(METRIC)  # the rollback


def test_percentiles_can_be_turned_on_and_off(datadog: FakeDatadog, clock: Clock) -> None:
    cloudformation = CloudFormation(clock, "LogsMetric", METRIC)
    cloudformation.create()
    with_percentiles = json.loads(json.dumps(METRIC).replace("false", "true"))
    for definition, expected in ((with_percentiles, True), (METRIC, False)):
        cloudformation.update(definition)
        (metric,) = datadog.objects.values()
        assert metric["data"]["attributes"]["compute"]["include_percentiles"] is expected


def test_the_order_of_groups_is_no_difference(datadog: FakeDatadog, clock: Clock) -> None:
    cloudformation = CloudFormation(clock, "LogsMetric", METRIC)
    cloudformation.create()
    (metric,) = datadog.objects.values()
    metric["data"]["attributes"]["group_by"].reverse()
    datadog.calls.clear()
    cloudformation.update(METRIC)
    assert datadog.writes == []


def test_a_count_has_no_percentiles(datadog: FakeDatadog, clock: Clock) -> None:
    count = json.loads(json.dumps(METRIC))
    count["data"]["attributes"]["compute"] = {"aggregation_type": "count"}
    cloudformation = CloudFormation(clock, "LogsMetric", count)
    cloudformation.create()
    changed = json.loads(json.dumps(count).replace("env:dev", "env:dev @llm.kind:call"))
    cloudformation.update(changed)
    (metric,) = datadog.objects.values()
    assert metric["data"]["attributes"]["compute"] == {"aggregation_type": "count"}


@pytest.mark.parametrize(
    ("current", "wanted", "same"),
    [
        ({"a": 1, "theirs": 2}, {"a": 1.0}, True),
        ({"a": {"b": [{"c": 1, "id": 7}]}}, {"a": {"b": [{"c": 1}]}}, True),
        ({"tags": ["b", "a"]}, {"tags": ["a", "b"]}, True),
        ({"a": None}, {"a": 0, "b": False, "c": []}, True),
        ({"a": 5}, {"a": 0}, False),
        ({"a": False}, {"a": True}, False),
        ({}, {"a": "x"}, False),
        ({"widgets": [{"a": 1}, {"a": 2}]}, {"widgets": [{"a": 2}, {"a": 1}]}, False),
        ({"widgets": [{"a": 1}, {"a": 2}]}, {"widgets": [{"a": 1}]}, False),
    ],
)
def test_what_is_a_difference(current: Json, wanted: Json, same: bool) -> None:
    assert contains(current, wanted) is same


# Somebody else's


def test_a_metric_of_somebody_else_is_left_alone(datadog: FakeDatadog, clock: Clock) -> None:
    theirs = json.loads(json.dumps(METRIC).replace("env:dev", "env:prod"))
    datadog.answer("POST", datadog.PATHS["metric"], theirs)
    with pytest.raises(DatadogError, match="another definition, which this stack did not make and does not touch"):
        CloudFormation(clock, "LogsMetric", METRIC).create()
    assert list(datadog.objects.values()) == [theirs]


@pytest.mark.parametrize("kind", ["Dashboard", "Monitor"])
def test_one_of_another_stack_with_the_same_name_is_left_alone(datadog: FakeDatadog, clock: Clock, kind: str) -> None:
    other = CloudFormation(clock, kind, KINDS[kind], stack=STACK.replace("0a1b", "ffff"))
    ours = CloudFormation(clock, kind, KINDS[kind])
    assert other.create() != ours.create()
    ours.delete()
    assert [path.rpartition("/")[2] for path in datadog.objects] == [other.resource]


# An answer that is lost


@in_every_kind
@pytest.mark.parametrize("status", [0, 500, 504])
def test_a_creation_without_an_answer_is_found_again(
    datadog: FakeDatadog, cloudformation: CloudFormation, status: int
) -> None:
    datadog.faults["POST"], datadog.late = [status], True
    made = cloudformation.create()
    assert [path.rpartition("/")[2] for path in datadog.objects] == [made]
    assert len(datadog.writes) == 1


@in_every_kind
def test_a_creation_that_was_not_done_is_done_once(datadog: FakeDatadog, cloudformation: CloudFormation) -> None:
    datadog.faults["POST"] = [0, 503]
    made = cloudformation.create()
    assert [path.rpartition("/")[2] for path in datadog.objects] == [made]
    assert len(datadog.writes) == 3


@in_every_kind
def test_a_request_of_cloudformation_twice_makes_one(datadog: FakeDatadog, cloudformation: CloudFormation) -> None:
    assert cloudformation.create() == cloudformation.create()
    assert len(datadog.objects) == 1


def test_the_last_attempt_is_looked_for_as_well(datadog: FakeDatadog, clock: Clock) -> None:
    datadog.faults["POST"] = [500] * (client.ATTEMPTS - 1)
    cloudformation = CloudFormation(clock, "Monitor", MONITOR)
    after = datadog.answer

    def answer(method: str, path: str, body: Json) -> tuple[int, Any]:
        if method == "POST" and not datadog.faults["POST"]:
            datadog.late, datadog.faults["POST"] = True, [500]
        return after(method, path, body)

    with mock.patch.object(datadog, "answer", answer):
        assert cloudformation.create() == "101"
    assert len(datadog.objects) == 1


def test_a_conflict_with_one_s_own_is_none(datadog: FakeDatadog, clock: Clock) -> None:
    """It appeared between the look and the creation."""
    answer = datadog.answer

    def too_early(method: str, path: str, body: Json) -> tuple[int, Any]:
        if method == "POST":
            datadog.objects[f"{path}/llm_gateway.dev.cost"] = json.loads(json.dumps(METRIC))
        return answer(method, path, body)

    with mock.patch.object(datadog, "answer", too_early):
        assert CloudFormation(clock, "LogsMetric", METRIC).create() == "llm_gateway.dev.cost"
    assert len(datadog.objects) == 1


# Limits and failures


def test_the_rate_limit_is_waited_for(datadog: FakeDatadog, clock: Clock) -> None:
    datadog.faults["POST"], datadog.headers = [429] * 9, {"X-RateLimit-Reset": "17"}
    CloudFormation(clock, "Monitor", MONITOR).create()
    assert len(clock.waits) == 9
    assert all(17 <= wait <= 19 for wait in clock.waits)
    assert len(datadog.objects) == 1


def test_a_rate_limit_beyond_the_function_s_time(datadog: FakeDatadog, clock: Clock) -> None:
    datadog.faults["POST"], datadog.headers = [429], {"X-RateLimit-Reset": "3600"}
    with pytest.raises(DatadogError, match=r"Datadog answered 429 \(Something is wrong\), at attempt 1: see status"):
        CloudFormation(clock, "Monitor", MONITOR).create()
    assert clock.waits == []


@in_every_kind
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_may_be_repeated_is(datadog: FakeDatadog, cloudformation: CloudFormation, kind: str, method: str) -> None:
    cloudformation.create()
    method = "PATCH" if (kind, method) == ("LogsMetric", "PUT") else method
    datadog.faults[method], datadog.late = [0, 500, 408, 429], True
    cloudformation.update(_changed(kind))
    cloudformation.delete()
    assert datadog.faults[method] == []
    assert datadog.objects == {}


def test_a_failure_that_stays(datadog: FakeDatadog, clock: Clock) -> None:
    datadog.faults["GET"] = [503] * 50
    with pytest.raises(DatadogError) as failure:
        CloudFormation(clock, "Dashboard", DASHBOARD).create()
    assert str(failure.value) == (
        "the dashboard 'LLM gateway · dev' was not made in Datadog: Datadog answered 503 (Something is wrong), at "
        "attempt 6: see status.datadoghq.com, and deploy again"
    )
    assert len(clock.waits) == client.ATTEMPTS - 1
    assert 31 <= sum(clock.waits) <= 41


def test_nobody_listens(clock: Clock) -> None:
    with mock.patch.dict(os.environ, {"DD_SITE": "127.0.0.1:9"}), pytest.raises(DatadogError, match=r"NewConnection"):
        CloudFormation(clock, "Monitor", MONITOR).create()


@pytest.mark.parametrize("status", [401, 403])
def test_keys_that_may_not(datadog: FakeDatadog, clock: Clock, status: int) -> None:
    datadog.faults["POST"], datadog.errors = [status], ["Forbidden"]
    with pytest.raises(DatadogError) as failure:
        CloudFormation(clock, "Monitor", MONITOR).create()
    said = str(failure.value)
    assert said.startswith(f"the monitor 'Too dear' was not made in Datadog: Datadog answered {status} (Forbidden): ")
    permissions = ("dashboards_write", "monitors_write", "logs_generate_metrics")
    assert all(word in said for word in ("make secrets ENV=dev", "127.0.0.1", *permissions))


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (["The value provided for 'query' is invalid"], "The value provided for 'query' is invalid"),
        ([{"title": "Bad", "detail": "Two\nlines"}, {"title": "Other"}], "Two lines; Other"),
        ([f"Unknown {KEYS['DD_API_KEY']}"], "Unknown [key]"),
        (["long " * 500], "long long"),
        ([], "Bad Request"),
    ],
)
@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_what_datadog_says(datadog: FakeDatadog, clock: Clock, errors: list[Any], said: str, request_type: str) -> None:
    cloudformation = CloudFormation(clock, "Monitor", MONITOR)
    made = cloudformation.create() if request_type != "Create" else ""
    datadog.faults.update({method: [400] for method in ("POST", "PUT", "DELETE")})
    datadog.errors = errors
    with pytest.raises(DatadogError) as failure:
        cloudformation.send(request_type, _changed("Monitor"), PhysicalResourceId=made)
    assert f"(400 ({said}" in str(failure.value).replace("answered ", "(")
    assert {"Create": "not made", "Update": "not changed", "Delete": "not removed"}[request_type] in str(failure.value)
    assert len(str(failure.value)) < 700  # CloudFormation takes 1024 with what the provider framework adds
    assert KEYS["DD_API_KEY"] not in str(failure.value)


def test_a_rollback_puts_the_old_definition_back(datadog: FakeDatadog, clock: Clock) -> None:
    """The update was done, and nobody heard of it."""
    cloudformation = CloudFormation(clock, "Monitor", MONITOR)
    cloudformation.create()
    datadog.faults["PUT"], datadog.late = [500] * 50, True
    with pytest.raises(DatadogError, match="monitor 'Too dear' was not changed in Datadog: Datadog answered 500"):
        cloudformation.update(_changed("Monitor"))
    datadog.faults.clear()
    assert "> 30" in json.dumps(datadog.objects)
    cloudformation.update(MONITOR)
    assert "> 20" in json.dumps(datadog.objects)


@pytest.mark.parametrize("missing", KEYS)
def test_a_missing_key(parameters: dict[str, str], clock: Clock, missing: str) -> None:
    del parameters[f"/litellm/dev/{missing}"]
    with pytest.raises(DatadogError) as failure:
        CloudFormation(clock, "Monitor", MONITOR).create()
    assert str(failure.value) == (
        "the monitor 'Too dear' was not made in Datadog: "
        f"there is no parameter /litellm/dev/{missing}: make secrets ENV=dev stores it"
    )


# The way there


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({"HTTPS_PROXY": "http://127.0.0.1:3128", "NO_PROXY": ""}, "http://127.0.0.1:3128"),
        ({"HTTPS_PROXY": "http://127.0.0.1:3128", "NO_PROXY": "datadoghq.com"}, None),
        ({"NO_PROXY": ""}, None),
    ],
)
def test_the_proxy(environment: dict[str, str], proxy: str | None) -> None:
    cleared = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with mock.patch.dict(os.environ, cleared | environment | {"SSL_CERT_FILE": "/ca.pem"}, clear=True):
        made = client.Datadog("ap1.datadoghq.com", api_key="a", app_key="b", seconds_left=lambda: 60.0)
    assert made.client.configuration.proxy == proxy
    assert made.client.configuration.ssl_ca_cert == "/ca.pem"
