"""The observability stack: which alarms there are, at what, and whom they reach."""

from typing import Any

import pytest

from stacks.environments import environments
from stacks.settings import Environment
from tests.templates.conftest import Template, only, resources
from tests.templates.synthesis import plain, resolved, text

ENVIRONMENTS = environments()
# Metric, what it is of, statistic, threshold.
ALARMS: dict[str, tuple[str, str | None, str, float]] = {
    "BounceRate": ("Reputation.BounceRate", None, "Maximum", 0.05),
    "ComplaintRate": ("Reputation.ComplaintRate", None, "Maximum", 0.001),
    "DeadLetters": ("ApproximateNumberOfMessagesVisible", "<DeadLetters.QueueName>", "Maximum", 1),
    "Undelivered": ("ApproximateNumberOfMessagesVisible", "<Undelivered.QueueName>", "Maximum", 1),
    "OldestRequest": ("ApproximateAgeOfOldestMessage", "<Requests.QueueName>", "Maximum", 1800),
    "ReceiverErrors": ("Errors", "<Receiver>", "Sum", 1),
    "WorkerErrors": ("Errors", "<Worker>", "Sum", 1),
    "SweepErrors": ("Errors", "<Sweep>", "Sum", 1),
    "BouncesErrors": ("Errors", "<Bounces>", "Sum", 1),
    "ReceiverDuration": ("Duration", "<Receiver>", "p90", 2500),
}
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


def _alarms(stacks: dict[str, Template]) -> dict[str, Any]:
    found = resources(stacks["Observability"], "AWS::CloudWatch::Alarm")
    return {plain(logical_id): resolved(stacks, properties) for logical_id, properties in found.items()}


@in_every_environment
def test_alarms(templates: Templates, environment: Environment) -> None:
    found = {}
    for name, alarm in _alarms(templates[environment.name]).items():
        of = [text(dimension["Value"]) for dimension in alarm.get("Dimensions", ())]
        statistic = alarm.get("Statistic") or alarm["ExtendedStatistic"]
        found[name] = (alarm["MetricName"], of[0] if of else None, statistic, alarm["Threshold"])
    assert found == ALARMS


@in_every_environment
def test_alarms_say_why_and_reach_someone(templates: Templates, environment: Environment) -> None:
    for alarm in _alarms(templates[environment.name]).values():
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert alarm["TreatMissingData"] == "notBreaching"
        assert len(alarm["AlarmDescription"]) > 40
        for kind in ("AlarmActions", "OKActions"):
            assert list(map(text, alarm[kind])) == ["<Alarms>"]


@in_every_environment
def test_topic_is_mailed(templates: Templates, environment: Environment) -> None:
    subscriptions = resources(templates[environment.name]["Observability"], "AWS::SNS::Subscription").values()
    assert environment.alarms.emails
    assert {(each["Protocol"], each["Endpoint"]) for each in subscriptions} == {
        ("email", address) for address in environment.alarms.emails
    }


@in_every_environment
def test_this_accounts_alarms_may_publish_and_only_with_tls(templates: Templates, environment: Environment) -> None:
    document = only(templates[environment.name]["Observability"], "AWS::SNS::TopicPolicy")["PolicyDocument"]
    allowed = [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]
    assert [(each["Principal"], each["Action"], each["Condition"]) for each in allowed] == [
        (
            {"Service": "cloudwatch.amazonaws.com"},
            "sns:Publish",
            {"StringEquals": {"aws:SourceAccount": environment.account}},
        )
    ]
    (refused,) = (statement for statement in document["Statement"] if statement["Effect"] == "Deny")
    assert refused["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
