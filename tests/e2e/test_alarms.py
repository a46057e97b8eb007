"""Alarms as they are deployed: a figure above the threshold becomes a message to whoever listens to the topic."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.gateway import LocalGateway
from tests.e2e.conftest import eventually

OURS = "litellm-local-observability-"


@pytest.fixture
def alarms(gateway: LocalGateway) -> dict[str, dict[str, Any]]:
    """The deployed alarms by what follows the stack's name in theirs."""
    pages = gateway.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=OURS)
    return {alarm["AlarmName"].removeprefix(OURS): alarm for page in pages for alarm in page["MetricAlarms"]}


@pytest.fixture
def queue(gateway: LocalGateway, alarms: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The URL of a queue that listens to the topic of the alarms."""
    (topic,) = {action for alarm in alarms.values() for action in (*alarm["AlarmActions"], *alarm["OKActions"])}
    sqs, sns = gateway.client("sqs"), gateway.client("sns")
    url = str(sqs.create_queue(QueueName="listens-to-alarms")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    let_in = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [let_in]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    yield url
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=url)


def _told(gateway: LocalGateway, queue: str, alarm: dict[str, Any], state: str = "ALARM") -> dict[str, Any]:
    """The next message that this alarm has come to a state; any other may come twice, late, or in between."""
    while True:
        told = _next(gateway, queue)
        if (told["AlarmName"], told["NewStateValue"]) == (alarm["AlarmName"], state):
            return told


def _next(gateway: LocalGateway, queue: str) -> dict[str, Any]:

    def receive() -> list[Any]:
        answer = gateway.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=1)
        return list(answer.get("Messages", ()))

    (message,) = eventually(receive)
    gateway.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return dict(json.loads(json.loads(message["Body"])["Message"]))


def _deployed(alarms: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    (alarm,) = (alarm for own, alarm in alarms.items() if own.startswith(name))
    return alarm


def test_a_figure_above_the_threshold_is_told_and_so_is_the_end(
    gateway: LocalGateway, alarms: dict[str, dict[str, Any]], queue: str
) -> None:
    """The figure comes from here: nothing counts lines of logs on this machine."""
    cloudwatch = gateway.client("cloudwatch")
    alarm = _deployed(alarms, "DatadogIntake")
    lines = {"MetricName": alarm["MetricName"], "Value": alarm["Threshold"], "Unit": "Count"}
    cloudwatch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[lines])
    began = _told(gateway, queue, alarm)
    cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="the periods went by")
    ended = _told(gateway, queue, alarm, "OK")
    for told in (began, ended):
        assert told["AlarmDescription"] == alarm["AlarmDescription"]


def test_an_alarm_of_metric_math_tells_too(
    gateway: LocalGateway, alarms: dict[str, dict[str, Any]], queue: str
) -> None:
    """Nothing evaluates it here; what it does once its state changes is as on AWS."""
    alarm = _deployed(alarms, "TargetErrors")
    assert {each["Id"] for each in alarm["Metrics"]} >= {"requests", "failed"}
    for state in ("ALARM", "OK"):
        gateway.client("cloudwatch").set_alarm_state(
            AlarmName=alarm["AlarmName"], StateValue=state, StateReason="tried out"
        )
        _told(gateway, queue, alarm, state)


def test_every_alarm_watches_what_is_deployed(gateway: LocalGateway, alarms: dict[str, dict[str, Any]]) -> None:
    """References between the stacks end at resources: functions, here, that Lambda knows."""
    pages = gateway.client("lambda").get_paginator("list_functions").paginate()
    functions = {function["FunctionName"] for page in pages for function in page["Functions"]}
    metrics = [
        metric
        for alarm in alarms.values()
        for metric in (each["MetricStat"]["Metric"] for each in alarm.get("Metrics") or () if "MetricStat" in each)
    ]
    metrics += [alarm for alarm in alarms.values() if not alarm.get("Metrics")]
    watched = {
        dimension["Value"]
        for metric in metrics
        if metric["Namespace"] == "AWS/Lambda" and metric["MetricName"] == "Errors"
        for dimension in metric["Dimensions"]
    }
    assert watched
    assert watched <= functions


def test_the_dashboard_is_there(gateway: LocalGateway) -> None:
    body = json.loads(gateway.client("cloudwatch").get_dashboard(DashboardName="litellm-local")["DashboardBody"])
    assert len(body["widgets"]) > 10
