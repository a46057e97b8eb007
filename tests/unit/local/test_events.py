"""What a rule of EventBridge tells a topic, with each policy that the topic may have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.aws import REGION
from local.ecs import ministack
from local.events import mend_events
from local.iam.decisions import Decisions

ACCOUNT = "000000000000"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
ALLOW = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "sns:Publish",
    "Resource": TOPIC,
}
ONLY_TLS = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sns:Publish",
    "Resource": TOPIC,
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
BY_ACCOUNT = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
BY_RULE = {"ArnEquals": {"aws:SourceArn": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/TaskStopped"]}}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """What reaches the topic's subscribers."""
    events, sns, cloudwatch = (ministack(f"services.{name}") for name in ("eventbridge", "sns", "cloudwatch"))
    messages: list[str] = []

    def publish(arn: str, payload: str) -> None:
        messages.append(payload)

    monkeypatch.setattr(events, "_dispatch_to_sns", publish)
    monkeypatch.setattr(events, "_invoke_target", events._invoke_target)  # put back afterwards
    mend_events(Decisions(tmp_path / "decisions"))
    with ministack("core.responses").request_scope(ACCOUNT, REGION):
        yield messages
        sns._topics.pop(TOPIC, None)
        cloudwatch._metrics.clear()


def _failed() -> list[tuple[str, float]]:
    """The rules whose messages were counted as failed, with the number."""
    figures = ministack("services.cloudwatch")._metrics.items()
    return [
        (point["Dimensions"]["RuleName"], point["Value"])
        for (namespace, name, _), points in figures
        for point in points
        if (namespace, name) == ("AWS/Events", "FailedInvocations")
    ]


@pytest.mark.parametrize(
    ("statements", "reaches"),
    [
        ([ALLOW], True),
        ([ONLY_TLS, ALLOW], True),
        ([ALLOW | {"Principal": "*", "Action": ["SNS:Publish"], "Resource": "*"}], True),
        ([ALLOW | {"Condition": BY_ACCOUNT}], False),
        ([ALLOW | {"Condition": BY_RULE}], False),
        ([ALLOW | {"Condition": BY_ACCOUNT | BY_RULE}, ONLY_TLS], False),
        ([ALLOW | {"Principal": {"Service": "cloudwatch.amazonaws.com"}}], False),
        ([ALLOW | {"Action": "sns:Subscribe"}], False),
        ([ALLOW | {"Resource": f"{TOPIC}-other"}], False),
        ([ALLOW, ONLY_TLS | {"Condition": {}}], False),
        ([], False),
    ],
)
def test_the_topics_policy_decides(told: list[str], statements: list[dict[str, Any]], reaches: bool) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    ministack("services.sns")._topics[TOPIC] = {"arn": TOPIC, "attributes": {"Policy": policy}}
    event = {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": {}}
    ministack("services.eventbridge")._invoke_target({"Arn": TOPIC, "Id": "Topic"}, event, {"Name": "TaskStopped"})
    assert bool(told) is reaches
    assert _failed() == ([] if reaches else [("TaskStopped", 1)])


def test_a_topic_that_is_gone_is_told_nothing(told: list[str]) -> None:
    ministack("services.eventbridge")._invoke_target({"Arn": TOPIC, "Id": "Topic"}, {}, {"Name": "TaskStopped"})
    assert told == []
    assert _failed() == [("TaskStopped", 1)]
