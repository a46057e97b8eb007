"""Datadog's objects through their life: deployed, deployed again, changed in vain, throttled, removed, made again."""

import os
import ssl
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.gateway import CDK, LocalGateway
from local.outside.records import Fault
from local.outside.world import OutsideWorld
from stacks import CHECKOUT
from stacks.datadog.metrics import METRICS
from tests.e2e.conftest import eventually, template_of, update_stack

STACK = "litellm-local-datadog"
PATHS = {"metrics": "/api/v2/logs/config/metrics", "dashboards": "/api/v1/dashboard", "monitors": "/api/v1/monitor"}
WRITES = ("create", "update", "delete")
SOMEBODY_S = {"title": "LLM gateway · local", "layout_type": "ordered", "widgets": list[Any]()}
Json = dict[str, Any]
Objects = dict[str, dict[str, Json]]


@pytest.fixture
def datadog(gateway: LocalGateway) -> Iterator[httpx.Client]:
    """Datadog's API, as somebody with the same keys asks it."""
    with httpx.Client(
        base_url=f"https://{_host(gateway)}",
        headers={"DD-API-KEY": gateway.secret("DD_API_KEY"), "DD-APPLICATION-KEY": gateway.secret("DD_APP_KEY")},
        proxy=gateway.outside.proxy_url,
        verify=ssl.create_default_context(cafile=gateway.outside.ca_file),
        timeout=60,
    ) as client:
        yield client


def _host(gateway: LocalGateway) -> str:
    return f"api.{gateway.environment.providers.dd_site}"


def _objects(datadog: httpx.Client) -> Objects:
    """What there is, without times, by kind and id."""
    found: Objects = {}
    for kind, path in PATHS.items():
        answer = datadog.get(path).raise_for_status().json()
        objects = answer if isinstance(answer, list) else answer["data" if kind == "metrics" else "dashboards"]
        found[kind] = {
            str(each["id"]): {name: value for name, value in each.items() if name not in ("modified", "modified_at")}
            for each in objects
        }
    return found


def _writes(outside: OutsideWorld) -> list[str]:
    return [
        call.operation for call in outside.calls() if call.operation.endswith(WRITES) and call.host.startswith("api.")
    ]


def _resources(gateway: LocalGateway) -> dict[str, str]:
    """The physical ids of what the stack made in Datadog, by logical id."""
    found = gateway.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in found
        if each["ResourceType"].startswith("Custom::Datadog")
    }


def _change(template: Json, logical_id: str, old: str, new: str) -> None:
    properties = template["Resources"][logical_id]["Properties"]
    assert old in properties["Definition"]
    properties["Definition"] = properties["Definition"].replace(old, new)


def _deploy(gateway: LocalGateway) -> str:
    """Deploy the stack with the CDK CLI, and return what it prints."""
    app = ("--app", str(gateway.state / "cdk.out"), "--exclusively", "--require-approval", "never", "--no-notices")
    run = subprocess.run(
        ["node", str(CDK), "deploy", "local/Datadog", *app],  # noqa: S607 - as local/gateway.py does
        cwd=CHECKOUT,
        env={**os.environ, "CDK_VALIDATION": "false", **gateway.emulator.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


def test_the_objects_are_there(gateway: LocalGateway, datadog: httpx.Client) -> None:
    found = _objects(datadog)
    assert set(found["metrics"]) == {metric.full_name("local") for metric in METRICS}
    assert [each["title"] for each in found["dashboards"].values()] == ["LLM gateway · local"]
    assert len(found["monitors"]) == 6
    assert all(each["name"].startswith("LLM gateway · local: ") for each in found["monitors"].values())
    assert set(_resources(gateway).values()) == {id_ for objects in found.values() for id_ in objects}


def test_a_second_deployment_changes_nothing(
    gateway: LocalGateway, outside: OutsideWorld, datadog: httpx.Client
) -> None:
    before = _objects(datadog)
    assert "(no changes)" in _deploy(gateway)
    assert _writes(outside) == []
    assert _objects(datadog) == before


def test_a_change_that_datadog_refuses_is_rolled_back(
    gateway: LocalGateway, outside: OutsideWorld, datadog: httpx.Client
) -> None:
    """The metric is changed before the monitor is, and so it is changed back."""
    before, template = _objects(datadog), template_of(gateway, STACK)
    _change(template, "MetricCost", "@llm.kind:call", "@llm.kind:call @llm.user:*")
    _change(template, "MonitorBudget", "max(last_1h):", "max(last_1h):what is this? ")
    assert update_stack(gateway, STACK, template) == "UPDATE_ROLLBACK_COMPLETE"
    assert _writes(outside).count("metrics.update") == 2
    assert _objects(datadog) == before
    events = gateway.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    reasons = [each.get("ResourceStatusReason", "") for each in events if each["LogicalResourceId"] == "MonitorBudget"]
    said = "the monitor 'LLM gateway · local: {{user.name}} has used most of the budget' was not changed in Datadog: "
    assert any(f"{said}Datadog answered 400 (" in reason for reason in reasons), reasons


@pytest.mark.parametrize(
    "fault", [Fault(status=429, count=3), Fault(status=503, count=2), Fault(cut_after_bytes=1, count=2)]
)
def test_a_limit_and_an_outage_are_waited_for(
    gateway: LocalGateway, outside: OutsideWorld, datadog: httpx.Client, fault: Fault
) -> None:
    before, template = _objects(datadog), template_of(gateway, STACK)
    changed = template_of(gateway, STACK)
    _change(changed, "MonitorSilence", '"priority":2', '"priority":3')
    outside.set_fault(_host(gateway), fault)
    assert update_stack(gateway, STACK, changed) == "UPDATE_COMPLETE"
    outside.clear_fault()
    monitor = _objects(datadog)["monitors"][_resources(gateway)["MonitorSilence"]]
    assert monitor["priority"] == 3
    assert update_stack(gateway, STACK, template) == "UPDATE_COMPLETE"
    assert _objects(datadog) == before


def test_removal_removes_only_what_was_made(
    gateway: LocalGateway, outside: OutsideWorld, datadog: httpx.Client
) -> None:
    """Then all is made again, though the first answers are lost, and nothing twice."""
    before = _objects(datadog)
    other = datadog.post(PATHS["dashboards"], json=SOMEBODY_S).raise_for_status().json()["id"]
    cloudformation = gateway.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK)

    def gone() -> bool:
        names = {each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]}
        return STACK not in names

    assert eventually(gone, patience=300)
    assert {kind: list(objects) for kind, objects in _objects(datadog).items()} == {
        "metrics": [],
        "dashboards": [other],
        "monitors": [],
    }
    outside.set_fault(_host(gateway), Fault(cut_after_bytes=1, count=3))
    _deploy(gateway)
    outside.clear_fault()
    after = _objects(datadog)
    assert other in after["dashboards"]
    assert other not in _resources(gateway).values()
    datadog.delete(f"{PATHS['dashboards']}/{other}").raise_for_status()
    after = _objects(datadog)
    assert {kind: len(objects) for kind, objects in after.items()} == {
        "metrics": len(METRICS),
        "dashboards": 1,
        "monitors": 6,
    }
    assert after["metrics"] == before["metrics"]
