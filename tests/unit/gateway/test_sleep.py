"""The function that lets the gateway fall asleep and wakes it, against botocore's own description of the services."""

from types import ModuleType
from typing import Any

import pytest
from botocore.stub import Stubber

from tests.clock import for_this_thread
from tests.unit.handlers import load_handler, stub_of

ARN = "arn:aws:elasticloadbalancing:ap-northeast-1:123456789012"
AWAKE_RULE, ASLEEP_RULE = f"{ARN}:listener-rule/app/l/1/2/aaaa", f"{ARN}:listener-rule/app/l/1/2/bbbb"
TARGET_GROUP = f"{ARN}:targetgroup/tasks/0123456789abcdef"
VARIABLES = {
    "SERVICE": "service/cluster/gateway",
    "MIN_TASKS": "2",
    "MAX_TASKS": "5",
    "TARGET_GROUP": TARGET_GROUP,
    "AWAKE_RULE": AWAKE_RULE,
    "ASLEEP_RULE": ASLEEP_RULE,
}


class Context:
    """A function with a minute left, and five seconds less each time that it is asked."""

    def __init__(self) -> None:
        self.left = 60_000

    def get_remaining_time_in_millis(self) -> int:
        self.left -= 5_000
        return self.left


@pytest.fixture(scope="module")
def handler() -> ModuleType:
    return load_handler("sleep")


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, handler: ModuleType) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    for_this_thread(monkeypatch, sleep=lambda _seconds: None)


scaling = stub_of("scaling")
balancing = stub_of("balancing")


def is_first(balancing: Stubber, *, asleep: bool) -> None:
    rule = {"RuleArn": ASLEEP_RULE, "Priority": "1" if asleep else "2"}
    balancing.add_response("describe_rules", {"Rules": [rule]}, {"RuleArns": [ASLEEP_RULE]})


def puts_first(balancing: Stubber, first: str, second: str) -> None:
    priorities = [{"RuleArn": first, "Priority": 1}, {"RuleArn": second, "Priority": 2}]
    balancing.add_response("set_rule_priorities", {"Rules": []}, {"RulePriorities": priorities})


def health(balancing: Stubber, *states: str) -> None:
    found = [{"Target": {"Id": "10.0.0.1"}, "TargetHealth": {"State": state}} for state in states]
    balancing.add_response(
        "describe_target_health", {"TargetHealthDescriptions": found}, {"TargetGroupArn": TARGET_GROUP}
    )


def runs(scaling: Stubber, fewest: int, most: int) -> None:
    expected = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/cluster/gateway",
        "ScalableDimension": "ecs:service:DesiredCount",
        "MinCapacity": fewest,
        "MaxCapacity": most,
    }
    scaling.add_response(
        "register_scalable_target", {"ScalableTargetARN": "arn:aws:application-autoscaling:x"}, expected
    )


def test_the_answer_changes_before_the_tasks_go(handler: ModuleType, scaling: Stubber, balancing: Stubber) -> None:
    is_first(balancing, asleep=False)
    puts_first(balancing, ASLEEP_RULE, AWAKE_RULE)
    runs(scaling, 0, 0)
    assert handler.handler({"to": "asleep"}, Context()) == {"was": "awake", "is": "asleep", "seconds": 0}


def test_callers_are_led_to_the_tasks_once_one_is_healthy(
    handler: ModuleType, scaling: Stubber, balancing: Stubber
) -> None:
    is_first(balancing, asleep=True)
    runs(scaling, 2, 5)
    health(balancing)
    health(balancing, "initial")
    health(balancing, "initial", "healthy")
    puts_first(balancing, AWAKE_RULE, ASLEEP_RULE)
    assert handler.handler({"to": "awake"}, Context())["was"] == "asleep"


def test_in_vain_it_stays_asleep_and_says_where_to_look(
    handler: ModuleType, scaling: Stubber, balancing: Stubber
) -> None:
    is_first(balancing, asleep=True)
    runs(scaling, 2, 5)
    for _ in range(9):
        health(balancing, "unhealthy")
    with pytest.raises(handler.SleepError, match="no task of the gateway became healthy in time: ECS's events"):
        handler.handler({"to": "awake"}, Context())


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_what_is_deployed_is_woken(
    handler: ModuleType, scaling: Stubber, balancing: Stubber, request_type: str
) -> None:
    runs(scaling, 2, 5)
    health(balancing, "healthy")
    puts_first(balancing, AWAKE_RULE, ASLEEP_RULE)
    event = {"RequestType": request_type, "ResourceProperties": {"TaskDefinition": "task:8"}}
    assert handler.handler(event, Context()) == {"PhysicalResourceId": "awake"}


def test_what_never_sleeps_any_more_is_left_awake(handler: ModuleType, scaling: Stubber, balancing: Stubber) -> None:
    """Also where it slept at that moment; and nobody waits for it."""
    runs(scaling, 2, 5)
    puts_first(balancing, AWAKE_RULE, ASLEEP_RULE)
    assert handler.handler({"RequestType": "Delete"}, Context()) == {"PhysicalResourceId": "awake"}


def test_another_event_is_refused(handler: ModuleType, scaling: Stubber, balancing: Stubber) -> None:
    is_first(balancing, asleep=False)
    event: dict[str, Any] = {"to": "bed"}
    with pytest.raises(handler.SleepError, match="'bed' is nothing to do"):
        handler.handler(event, Context())
