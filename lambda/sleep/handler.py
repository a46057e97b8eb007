"""Lets the gateway fall asleep, and wakes it: by the clock, by command, for the smoke test, and for a deployment.

Asleep, no task runs, and callers are told so by a rule of the load balancer that is put before the one which leads to
the tasks. Falling asleep, the answer changes before the tasks go, which have the time for their last answers as in any
deployment; waking, it changes back once a task is healthy. Doing either twice is doing it once.

An event is `{"to": "asleep"}` or `{"to": "awake"}`, or CloudFormation's by way of the CDK's provider framework, which
wakes it: what is deployed is to run. What stands in the way of waking fails the deployment.

Integrates with Application Auto Scaling (RegisterScalableTarget), which changes the service's number of tasks, and
Elastic Load Balancing (DescribeRules, DescribeTargetHealth, SetRulePriorities).
"""

import logging
import os
import time
from typing import Any, Protocol

import boto3
from shared.aws import FAILURES, what_failed

logger = logging.getLogger()
logger.setLevel(logging.INFO)

scaling = boto3.client("application-autoscaling")
balancing = boto3.client("elbv2")

FIRST, SECOND = 1, 2  # priorities of the two rules
PAUSE = 5.0  # seconds between two looks at the tasks
SECONDS_TO_ANSWER = 15.0  # that are left for the error, when no task is healthy in all the time there is


class Context(Protocol):
    """What is used of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Tell how long the function may still run."""


class SleepError(Exception):
    """It is not as it should be: the message is one sentence for who asked."""


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Do what the event says; return what it was before, and the seconds that it took.

    Raises
    ------
    SleepError
        The event says nothing that is known, no task was healthy in time, or AWS did not do it.
    """
    try:
        return _handle(event, context)
    except FAILURES as error:
        logger.error("%s", type(error).__name__)
        raise SleepError(
            f"the gateway may be half asleep, since {what_failed(error)}: make wake or make sleep does it once more, "
            "and so does a deployment"
        ) from None


def _handle(event: dict[str, Any], context: Context) -> dict[str, Any]:
    if "RequestType" in event:
        if event["RequestType"] == "Delete":
            _leave_awake()
        else:
            _wake(context)
        return {"PhysicalResourceId": "awake"}
    begin, before = time.monotonic(), "asleep" if _is_asleep() else "awake"
    match event.get("to"):
        case "asleep":
            _fall_asleep()
        case "awake":
            _wake(context)
        case other:
            raise SleepError(f"{other!r} is nothing to do: send {{'to': 'asleep'}} or {{'to': 'awake'}}")
    seconds = round(time.monotonic() - begin)
    logger.info("%s, was %s, after %d s", event["to"], before, seconds)
    return {"was": before, "is": event["to"], "seconds": seconds}


def _fall_asleep() -> None:
    _put_first(os.environ["ASLEEP_RULE"], os.environ["AWAKE_RULE"])
    _run(0, 0)


def _leave_awake() -> None:
    """What never sleeps any more is left as it was deployed, since nobody would wake it. Nobody waits for it: all of it
    may be going.
    """
    _run(int(os.environ["MIN_TASKS"]), int(os.environ["MAX_TASKS"]))
    _put_first(os.environ["AWAKE_RULE"], os.environ["ASLEEP_RULE"])


def _wake(context: Context) -> None:
    _run(int(os.environ["MIN_TASKS"]), int(os.environ["MAX_TASKS"]))
    while not _is_healthy():
        if context.get_remaining_time_in_millis() / 1000 < SECONDS_TO_ANSWER + PAUSE:
            raise SleepError(
                "no task of the gateway became healthy in time: ECS's events of the service and the log of its tasks "
                "say why, and callers are told that it sleeps until it is woken again"
            )
        time.sleep(PAUSE)
    _put_first(os.environ["AWAKE_RULE"], os.environ["ASLEEP_RULE"])


def _run(fewest: int, most: int) -> None:
    """Have the service run so many tasks: it is scaled at once to what it may have."""
    scaling.register_scalable_target(
        ServiceNamespace="ecs",
        ResourceId=os.environ["SERVICE"],
        ScalableDimension="ecs:service:DesiredCount",
        MinCapacity=fewest,
        MaxCapacity=most,
    )


def _is_healthy() -> bool:
    found = balancing.describe_target_health(TargetGroupArn=os.environ["TARGET_GROUP"])["TargetHealthDescriptions"]
    return any(target["TargetHealth"]["State"] == "healthy" for target in found)


def _is_asleep() -> bool:
    rules = balancing.describe_rules(RuleArns=[os.environ["ASLEEP_RULE"]])["Rules"]
    return [rule["Priority"] for rule in rules] == [str(FIRST)]


def _put_first(first: str, second: str) -> None:
    """Both in one call, as no two rules may have one priority."""
    answer = balancing.set_rule_priorities(
        RulePriorities=[{"RuleArn": first, "Priority": FIRST}, {"RuleArn": second, "Priority": SECOND}]
    )
    _ = answer["Rules"]  # whoever answers without them is not Elastic Load Balancing
