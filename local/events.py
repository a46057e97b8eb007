"""What EventBridge does when a rule tells a topic and ministack's leaves out: SNS asks the topic's policy first."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

from local.ecs import Json, ministack

SERVICE = "events.amazonaws.com"


def mend_events() -> None:
    """Put this into the imported ministack: a message that the topic's policy does not let in is counted as failed.

    A statement with a condition counts for nothing: "You can't use Condition blocks in Amazon SNS topic policies for
    EventBridge" (Amazon SNS permissions, in "Using resource-based policies for Amazon EventBridge"). The figure
    FailedInvocations, by the rule's name, is all that AWS tells of it.
    """
    events = ministack("services.eventbridge")
    invoke = events._invoke_target

    def invoke_target(target: Json, event: Json, rule: Json, *rest: object) -> None:
        topic = str(target.get("Arn", ""))
        if topic.split(":")[2:3] == ["sns"] and not _may_publish(topic):
            _count_failed(str(rule["Name"]))
        else:
            invoke(target, event, rule, *rest)

    events._invoke_target = invoke_target


def _may_publish(topic: str) -> bool:
    found = ministack("services.sns")._topic_by_arn_any_scope(topic)
    policy = json.loads((found or {}).get("attributes", {}).get("Policy") or "{}")
    effects = {each["Effect"] for each in _listed(policy.get("Statement", [])) if _applies(each, topic)}
    return effects == {"Allow"}


def _applies(statement: Json, topic: str) -> bool:
    """Whether a statement is about rules that publish, whatever condition it might have."""
    principal = statement.get("Principal")
    services = _listed(principal.get("Service", [])) if isinstance(principal, dict) else []
    return (
        not statement.get("Condition")
        and (principal in ("*", {"AWS": "*"}) or SERVICE in services)
        and any(fnmatch.fnmatchcase("sns:publish", str(action).lower()) for action in _listed(statement.get("Action")))
        and any(fnmatch.fnmatchcase(topic, str(resource)) for resource in _listed(statement.get("Resource")))
    )


def _count_failed(rule: str) -> None:
    figure = {"MetricName": "FailedInvocations", "Value": 1, "Unit": "Count"}
    dimensions = [{"Name": "RuleName", "Value": rule}]
    ministack("services.cloudwatch")._put_metric_data(
        {}, {"Namespace": "AWS/Events", "MetricData": [figure | {"Dimensions": dimensions}]}, False, True
    )


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - a policy is JSON
    return value if isinstance(value, list) else [value]
