"""The functions behind the migration custom resource, against botocore's own description of ECS and CloudFormation."""

import logging
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from botocore.stub import Stubber

from tests.unit.handlers import load_handler, stub_of

STACK = "arn:aws:cloudformation:ap-northeast-1:123456789012:stack/litellm-dev-gateway/0123"
TASK = "arn:aws:ecs:ap-northeast-1:123456789012:task/cluster/0123456789abcdef"
PROPERTIES = {
    "Cluster": "arn:aws:ecs:ap-northeast-1:123456789012:cluster/cluster",
    "TaskDefinition": "arn:aws:ecs:ap-northeast-1:123456789012:task-definition/migration:7",
    "Version": "1.106.12",
    "Subnets": ["subnet-0a", "subnet-0b"],
    "SecurityGroups": ["sg-0a"],
    "LogGroup": "/litellm",
    "LogStreamPrefix": "litellm/litellm",
}
RUN_TASK = {
    "cluster": PROPERTIES["Cluster"],
    "taskDefinition": PROPERTIES["TaskDefinition"],
    "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}],
    "networkConfiguration": {
        "awsvpcConfiguration": {
            "subnets": PROPERTIES["Subnets"],
            "securityGroups": PROPERTIES["SecurityGroups"],
            "assignPublicIp": "DISABLED",
        }
    },
    "clientToken": "request-1",
    "startedBy": "cloudformation-migration",
    "tags": [{"key": "purpose", "value": "database-migration"}],
}
LIMIT = timedelta(minutes=45)
LOG = "read log stream litellm/litellm/0123456789abcdef of log group /litellm"


@pytest.fixture(scope="module")
def handler() -> ModuleType:
    """The function's module."""
    return load_handler("migration")


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMIT_SECONDS", str(int(LIMIT.total_seconds())))


ecs = stub_of("ecs")
cloudformation = stub_of("cloudformation")


def _event(kind: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - an event is JSON
    return {"RequestType": kind, "RequestId": "request-1", "StackId": STACK, "ResourceProperties": PROPERTIES, **more}


def _stack_is(stubber: Stubber, status: str) -> None:
    stack = {"StackName": "litellm-dev-gateway", "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": status}
    stubber.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": STACK})


def _skipped(reason: str) -> dict[str, Any]:
    return {"PhysicalResourceId": "migration", "Data": {"Skipped": reason}}


def _task_is(stubber: Stubber, *tasks: dict[str, Any], age: timedelta = timedelta()) -> None:
    tasks = tuple({"createdAt": datetime.now(UTC) - age, **task} for task in tasks)
    asked = {"cluster": PROPERTIES["Cluster"], "tasks": [TASK]}
    stubber.add_response("describe_tasks", {"tasks": list(tasks), "failures": []}, asked)


# on_event


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("Create", "CREATE_IN_PROGRESS"),
        ("Create", "UPDATE_IN_PROGRESS"),
        ("Update", "UPDATE_IN_PROGRESS"),
    ],
)
def test_a_deployment_starts_one_task(
    handler: ModuleType, ecs: Stubber, cloudformation: Stubber, kind: str, status: str
) -> None:
    _stack_is(cloudformation, status)
    ecs.add_response("run_task", {"tasks": [{"taskArn": TASK}], "failures": []}, RUN_TASK)
    assert handler.on_event(_event(kind), None) == {"PhysicalResourceId": "migration", "Data": {"Task": TASK}}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("Update", "UPDATE_ROLLBACK_IN_PROGRESS"),
        ("Create", "ROLLBACK_IN_PROGRESS"),
        ("Update", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
    ],
)
@pytest.mark.usefixtures("ecs")
def test_a_rollback_runs_nothing(handler: ModuleType, cloudformation: Stubber, kind: str, status: str) -> None:
    _stack_is(cloudformation, status)
    assert handler.on_event(_event(kind), None) == _skipped("CloudFormation rolls back, and migrations only go forward")


@pytest.mark.usefixtures("ecs", "cloudformation")
def test_a_deletion_runs_nothing(handler: ModuleType) -> None:
    reason = "the gateway is removed, and the database stays as it is"
    assert handler.on_event(_event("Delete"), None) == _skipped(reason)


def _from(version: str | None) -> dict[str, Any]:
    """An update to `PROPERTIES` from those with another version, or of before there was one."""
    old = {name: value for name, value in PROPERTIES.items() if name != "Version"}
    return _event("Update", OldResourceProperties=old | ({"Version": version} if version else {}))


@pytest.mark.usefixtures("ecs")
@pytest.mark.parametrize("before", ["1.106.13", "1.106.20", "1.107.0", "1.108.11", "2.0.0", "1.1060.0", "1.107.0-rc.1"])
def test_an_older_release_runs_nothing(
    handler: ModuleType, cloudformation: Stubber, caplog: pytest.LogCaptureFixture, before: str
) -> None:
    """It is put back, or chosen, by a deployment that goes forward: its tables are newer, and are left alone."""
    caplog.set_level(logging.INFO)
    _stack_is(cloudformation, "UPDATE_IN_PROGRESS")
    reason = f"LiteLLM goes back from {before} to 1.106.12, and migrations only go forward"
    assert handler.on_event(_from(before), None) == _skipped(reason)
    assert f"no migration: {reason}" in caplog.text


@pytest.mark.parametrize("before", [None, "1.106.12", "1.106.3", "1.106.1", "1.99.12", "0.200.0", "1.106.12-rc.1"])
def test_a_newer_or_the_same_version_runs_it(
    handler: ModuleType, ecs: Stubber, cloudformation: Stubber, before: str | None
) -> None:
    _stack_is(cloudformation, "UPDATE_IN_PROGRESS")
    ecs.add_response("run_task", {"tasks": [{"taskArn": TASK}], "failures": []}, RUN_TASK)
    assert handler.on_event(_from(before), None)["Data"] == {"Task": TASK}


@pytest.mark.parametrize(
    ("failures", "reasons"),
    [
        ([{"reason": "RESOURCE:ENI"}], "RESOURCE:ENI"),
        ([{"reason": "AGENT"}, {"arn": "x"}], "AGENT; unknown"),
    ],
)
def test_a_task_that_cannot_be_placed(
    handler: ModuleType, ecs: Stubber, cloudformation: Stubber, failures: list[dict[str, str]], reasons: str
) -> None:
    _stack_is(cloudformation, "UPDATE_IN_PROGRESS")
    ecs.add_response("run_task", {"tasks": [], "failures": failures}, RUN_TASK)
    with pytest.raises(handler.MigrationError) as failure:
        handler.on_event(_event("Update"), None)
    assert str(failure.value) == f"ECS did not start the database migration ({reasons}): see the cluster's events"


# is_complete


@pytest.mark.usefixtures("ecs")
@pytest.mark.parametrize("more", [{}, {"Data": {"Skipped": "for a reason"}}])
def test_nothing_was_started(handler: ModuleType, more: dict[str, Any]) -> None:
    assert handler.is_complete(_event("Delete", **more), None) == {"IsComplete": True}


@pytest.mark.parametrize(
    ("task", "complete"),
    [
        ({"lastStatus": "PROVISIONING", "containers": []}, False),
        ({"lastStatus": "RUNNING", "containers": [{"name": "litellm"}]}, False),
        ({"lastStatus": "DEPROVISIONING", "containers": [{"name": "litellm", "exitCode": 0}]}, False),
        ({"lastStatus": "STOPPED", "containers": [{"name": "litellm", "exitCode": 0}]}, True),
    ],
)
def test_waits_until_the_task_has_stopped(
    handler: ModuleType, ecs: Stubber, task: dict[str, Any], complete: bool
) -> None:
    _task_is(ecs, task)
    assert handler.is_complete(_event("Update", Data={"Task": TASK}), None) == {"IsComplete": complete}


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({"containers": [{"exitCode": 78}], "stoppedReason": "Essential container in task exited"}, "exit code 78"),
        ({"containers": [{"exitCode": 137}]}, "exit code 137"),
        (
            {"containers": [{"name": "litellm"}], "stoppedReason": "ResourceInitializationError: no such parameter"},
            "ResourceInitializationError: no such parameter",
        ),
        ({"containers": [{"name": "litellm"}]}, "it never started"),
    ],
)
def test_a_failed_migration_fails_the_deployment(
    handler: ModuleType, ecs: Stubber, task: dict[str, Any], reason: str
) -> None:
    _task_is(ecs, {"lastStatus": "STOPPED", **task})
    with pytest.raises(handler.MigrationError) as failure:
        handler.is_complete(_event("Update", Data={"Task": TASK}), None)
    assert str(failure.value) == (f"the database migration failed ({reason}) and the service stays as it was: {LOG}")


# A minute is more than this test takes.
@pytest.mark.parametrize("status", ["PROVISIONING", "PENDING", "RUNNING"])
def test_a_migration_may_take_its_time(handler: ModuleType, ecs: Stubber, status: str) -> None:
    _task_is(ecs, {"lastStatus": status, "containers": []}, age=LIMIT - timedelta(minutes=1))
    assert handler.is_complete(_event("Update", Data={"Task": TASK}), None) == {"IsComplete": False}


@pytest.mark.parametrize("status", ["PROVISIONING", "PENDING", "RUNNING"])
def test_a_migration_that_takes_too_long_is_stopped_and_fails_the_deployment(
    handler: ModuleType, ecs: Stubber, status: str
) -> None:
    _task_is(ecs, {"lastStatus": status, "containers": []}, age=LIMIT)
    stop = {"cluster": PROPERTIES["Cluster"], "task": TASK, "reason": "not over after 45 minutes"}
    ecs.add_response("stop_task", {"task": {}}, stop)
    with pytest.raises(handler.MigrationError) as failure:
        handler.is_complete(_event("Update", Data={"Task": TASK}), None)
    assert str(failure.value) == (
        "the database migration was not over after 45 minutes and was stopped, and the service stays as it was: " + LOG
    )


def test_a_migration_that_has_just_ended_is_over_however_long_it_took(handler: ModuleType, ecs: Stubber) -> None:
    _task_is(ecs, {"lastStatus": "STOPPED", "containers": [{"exitCode": 0}]}, age=2 * LIMIT)
    assert handler.is_complete(_event("Update", Data={"Task": TASK}), None) == {"IsComplete": True}


def test_a_task_that_is_gone(handler: ModuleType, ecs: Stubber) -> None:
    _task_is(ecs)
    with pytest.raises(handler.MigrationError, match="is gone: deploy again"):
        handler.is_complete(_event("Create", Data={"Task": TASK}), None)
