"""What EventBridge's rules and schedules do by themselves: what they call lets them in, or their role may do it."""

from __future__ import annotations

import json
import logging
from typing import Any

from local.ecs import Json, ministack
from local.iam.decisions import Decisions
from local.iam.services import refusal_by_policy

SERVICE = "events.amazonaws.com"
SCHEDULER = "aws.scheduler"  # ministack's source of what a schedule calls with

_log = logging.getLogger("ministack")


def mend_events(decisions: Decisions) -> None:
    """Put this into the imported ministack: a call that is refused is counted as failed, and not made.

    The figure FailedInvocations, by the rule's name, is all that AWS tells of it.
    """
    events = ministack("services.eventbridge")
    invoke = events._invoke_target

    def invoke_target(target: Json, event: Json, rule: Json, *rest: object) -> None:
        if event.get("Source") == SCHEDULER:
            refusal = _of_schedule(decisions, target)
        else:
            refusal = _of_rule(decisions, str(target.get("Arn", "")), rule)
        if refusal:
            _log.warning("EventBridge: %s is not called: %s", target.get("Arn"), refusal)
            _count_failed(str(rule["Name"]))
        else:
            invoke(target, event, rule, *rest)

    events._invoke_target = invoke_target


def _of_schedule(decisions: Decisions, target: Json) -> str | None:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html (execution role)."""
    arn = str(target["Arn"])
    action = "sqs:SendMessage" if arn.split(":")[2] == "sqs" else "lambda:InvokeFunction"
    return decisions.of_role(str(target["RoleArn"]), "scheduler.amazonaws.com", "scheduler", action, arn)


def _of_rule(decisions: Decisions, arn: str, rule: Json) -> str | None:
    """Of a topic's policy a statement with a condition counts for nothing.

    "You can't use Condition blocks in Amazon SNS topic policies for EventBridge" (Amazon SNS permissions, in "Using
    resource-based policies for Amazon EventBridge").
    """
    source = str(rule.get("Arn", f"arn:aws:events:::rule/{rule['Name']}"))
    if arn.split(":")[2:3] != ["sns"]:
        return refusal_by_policy(decisions, SERVICE, arn, source)
    topic = ministack("services.sns")._topic_by_arn_any_scope(arn) or {}
    policy = json.loads(topic.get("attributes", {}).get("Policy") or "{}")
    plain = [statement for statement in _listed(policy.get("Statement", [])) if not statement.get("Condition")]
    return decisions.of_service({"Statement": plain}, SERVICE, "sns:Publish", arn, source)


def _count_failed(rule: str) -> None:
    figure = {"MetricName": "FailedInvocations", "Value": 1, "Unit": "Count"}
    dimensions = [{"Name": "RuleName", "Value": rule}]
    ministack("services.cloudwatch")._put_metric_data(
        {}, {"Namespace": "AWS/Events", "MetricData": [figure | {"Dimensions": dimensions}]}, False, True
    )


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - a policy is JSON
    return value if isinstance(value, list) else [value]
