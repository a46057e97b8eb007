"""Runs LiteLLM's database migrations as an ECS task, once per deployment, for CloudFormation.

A custom resource of the CDK's provider framework: `on_event` starts the task, `is_complete` is asked again and again
until the task has ended. A failed task fails the deployment, and CloudFormation leaves the service as it was. A task
that takes longer than `LIMIT_SECONDS`, a variable of the environment, is stopped and has failed: CloudFormation waits
an hour for a custom resource, and its own sentence would not say what there was to wait for.

Integrates with ECS (RunTask, DescribeTasks, StopTask) and CloudFormation (DescribeStacks).
"""

import logging
import os
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from shared.aws import FAILURES, what_failed

logger = logging.getLogger()
logger.setLevel(logging.INFO)

ecs = boto3.client("ecs")
cloudformation = boto3.client("cloudformation")

TAG = ("purpose", "database-migration")  # by which `is_complete` may stop the task, and no other


class MigrationError(Exception):
    """The migration did not run, or failed. The message goes into the stack's events."""


def on_event(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Start the migration task, and hand its ARN to `is_complete`.

    Nothing runs when the resource is deleted, nor while CloudFormation rolls back, nor when an older release is put
    back: an older image must not work on a schema that a newer one has already changed, and LiteLLM's migrations only
    go forward. The answer's `Skipped` then says why.

    Raises
    ------
    MigrationError
        ECS could not place the task, or AWS could not be asked.
    """
    try:
        return _start(event)
    except FAILURES as error:
        raise MigrationError(
            f"the database migration was not started, since {what_failed(error)}: deploy again once that is mended"
        ) from None


def _start(event: dict[str, Any]) -> dict[str, Any]:
    resource = {"PhysicalResourceId": "migration", "Data": {}}
    if reason := _reason_to_skip(event):
        logger.info("no migration: %s", reason)
        return resource | {"Data": {"Skipped": reason}}
    properties = event["ResourceProperties"]
    answer = ecs.run_task(
        cluster=properties["Cluster"],
        taskDefinition=properties["TaskDefinition"],
        capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}],
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": properties["Subnets"],
                "securityGroups": properties["SecurityGroups"],
                "assignPublicIp": "DISABLED",
            }
        },
        # One request starts one task, also when the framework calls twice.
        clientToken=event["RequestId"],
        startedBy="cloudformation-migration",
        tags=[{"key": TAG[0], "value": TAG[1]}],
    )
    if not answer["tasks"]:
        reasons = "; ".join(failure.get("reason", "unknown") for failure in answer["failures"])
        raise MigrationError(f"ECS did not start the database migration ({reasons}): see the cluster's events")
    task = answer["tasks"][0]["taskArn"]
    logger.info("migration started: %s", task)
    return resource | {"Data": {"Task": task}}


def is_complete(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Tell whether the migration task has ended well.

    Raises
    ------
    MigrationError
        It ended otherwise: with its exit code, or the reason why it never started, and where its log is. Or it took
        too long, and was stopped. Or AWS could not be asked.
    """
    try:
        return _is_over(event)
    except FAILURES as error:
        raise MigrationError(
            f"nobody knows whether the database migration is over, since {what_failed(error)}: look at the task "
            f"{event['Data']['Task']}, and deploy again once that is mended"
        ) from None


def _is_over(event: dict[str, Any]) -> dict[str, bool]:
    task_arn = event.get("Data", {}).get("Task")
    if not task_arn:
        return {"IsComplete": True}
    properties = event["ResourceProperties"]
    found = ecs.describe_tasks(cluster=properties["Cluster"], tasks=[task_arn])["tasks"]
    if not found:
        raise MigrationError(f"the database migration {task_arn} is gone: deploy again")
    task = found[0]
    log = f"read log stream {_stream(properties, task_arn)} of log group {properties['LogGroup']}"
    if task["lastStatus"] != "STOPPED":
        limit = timedelta(seconds=int(os.environ["LIMIT_SECONDS"]))
        if datetime.now(UTC) - task["createdAt"] < limit:
            return {"IsComplete": False}
        minutes = limit // timedelta(minutes=1)
        ecs.stop_task(cluster=properties["Cluster"], task=task_arn, reason=f"not over after {minutes} minutes")
        raise MigrationError(
            f"the database migration was not over after {minutes} minutes and was stopped, and the service stays as it "
            f"was: {log}"
        )
    container = task["containers"][0]
    if container.get("exitCode") == 0:
        logger.info("migration done: %s", task_arn)
        return {"IsComplete": True}
    code = container.get("exitCode")
    reason = f"exit code {code}" if code is not None else task.get("stoppedReason", "it never started")
    raise MigrationError(f"the database migration failed ({reason}) and the service stays as it was: {log}")


def _stream(properties: dict[str, Any], task_arn: str) -> str:
    """The log stream of a task, as ECS names it."""
    return f"{properties['LogStreamPrefix']}/{task_arn.rsplit('/', 1)[-1]}"


def _reason_to_skip(event: dict[str, Any]) -> str:
    """Why no migration is to run; empty if one is."""
    if event["RequestType"] == "Delete":
        return "the gateway is removed, and the database stays as it is"
    if _rolls_back(event["StackId"]):
        return "CloudFormation rolls back, and migrations only go forward"
    before, now = event.get("OldResourceProperties", {}).get("Version"), event["ResourceProperties"]["Version"]
    if before and _numbers(now) < _numbers(before):
        return f"LiteLLM goes back from {before} to {now}, and migrations only go forward"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """Major, minor and patch of a version, to be compared; a pre-release counts as its release."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _rolls_back(stack_id: str) -> bool:
    status = cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
    return "ROLLBACK" in status
