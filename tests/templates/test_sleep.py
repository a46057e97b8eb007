"""An environment that sleeps: what takes its tasks away and brings them back, and what is different because of that."""

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aws_cdk as cdk
import pytest
from aws_cdk import assertions

from stacks.company import environments
from stacks.observability.asleep import OF_SLEEP, mute
from stacks.settings import Sleep
from tests.templates.conftest import Template, only, resources, statements
from tests.templates.synthesis import plain, text

Templates = dict[str, dict[str, Template]]
DEV = environments()["dev"]
OTHER = Sleep(awake="00:30-12:00", days=("SUN", "WED"), timezone="Europe/Berlin")
SERVICE = {
    "SERVICE": "service/<Cluster>/<Service.Name>",
    "MIN_TASKS": "1",
    "MAX_TASKS": "2",
    "TARGET_GROUP": "<EdgeTargets>",
    "AWAKE_RULE": "<EdgeLoadBalancerHttpsOwnHostNameRule>",
    "ASLEEP_RULE": "<EdgeLoadBalancerHttpsAsleepRule>",
}


def function(template: Template) -> Any:  # noqa: ANN401 - a template is JSON
    (found,) = [
        properties
        for properties in resources(template, "AWS::Lambda::Function").values()
        if str(properties.get("FunctionName", "")).endswith("-sleep")
    ]
    return found


def schedules(template: Template) -> dict[str, tuple[str, str, Any]]:
    """When what starts with which event, by logical id."""
    return {
        plain(name): (one["ScheduleExpression"], one["ScheduleExpressionTimezone"], json.loads(one["Target"]["Input"]))
        for name, one in resources(template, "AWS::Scheduler::Schedule").items()
    }


def test_the_example_sleeps_as_it_says(templates: Templates) -> None:
    """Who sleeps, so that the tests below have something to see."""
    assert DEV.sleep == Sleep(awake="09:00-19:00", timezone="Asia/Tokyo")
    assert [name for name, stacks in templates.items() if "AsleepRule" in json.dumps(stacks)] == ["dev", "local"]


def test_it_wakes_before_its_hours_and_falls_asleep_every_evening(templates: Templates) -> None:
    clock = schedules(templates["dev"]["Gateway"])
    days = "MON,TUE,WED,THU,FRI"
    assert clock["SleepAwake"] == (f"cron(50 8 ? * {days} *)", "Asia/Tokyo", {"to": "awake"})
    assert clock["SleepAsleep"] == ("cron(0 19 ? * * *)", "Asia/Tokyo", {"to": "asleep"})  # whoever has woken it


def test_it_wakes_half_an_hour_before_each_report_and_the_bill(templates: Templates) -> None:
    """Also on a day on which it would sleep: the first may be a Sunday."""
    wakes = schedules(templates["dev"]["Gateway"])
    asked = schedules(templates["dev"]["Usage"])
    for wake, ask in (("SleepForWeekly", "Weekly"), ("SleepForMonthly", "Monthly"), ("SleepForBill", "BillMonthly")):
        assert wakes[wake][2] == {"to": "awake"}
        expression, timezone, _ = asked[ask]
        assert wakes[wake][:2] == (expression.replace("cron(40 ", "cron(10 "), timezone), wake
        assert expression.startswith("cron(40 ")
    assert schedules(templates["stg"]["Usage"])["Weekly"][0].startswith("cron(10 ")


def test_the_sweep_looks_when_it_is_awake(templates: Templates) -> None:
    dev, stg = (only(templates[name]["Onboarding"], "AWS::Scheduler::Schedule") for name in ("dev", "stg"))
    assert dev["ScheduleExpression"] == "cron(30 9 ? * MON,TUE,WED,THU,FRI *)"
    assert dev["ScheduleExpressionTimezone"] == "Asia/Tokyo"
    assert stg["ScheduleExpression"] == "cron(15 18 * * ? *)"


def test_a_request_for_an_account_outlasts_the_longest_night(templates: Templates) -> None:
    """From Friday evening to Monday morning, with an attempt every 15 minutes, and those of any failure beside."""
    for name, attempts in {"dev": 10 + 62 * 4, "stg": 10}.items():
        template = templates[name]["Onboarding"]
        queues = resources(template, "AWS::SQS::Queue").values()
        (received,) = [queue["RedrivePolicy"]["maxReceiveCount"] for queue in queues if "RedrivePolicy" in queue]
        functions = resources(template, "AWS::Lambda::Function").values()
        (told,) = [
            one["Environment"]["Variables"]["MAX_ATTEMPTS"]
            for one in functions
            if "MAX_ATTEMPTS" in one.get("Environment", {}).get("Variables", {})
        ]
        assert (received, told) == (attempts, str(attempts))
        assert received <= 1000  # the most that SQS takes


@pytest.mark.parametrize("name", ["dev", "local"])
def test_the_function_knows_what_it_changes_and_may_change_nothing_else(templates: Templates, name: str) -> None:
    template = templates[name]["Gateway"]
    most = {} if name == "dev" else {"MAX_TASKS": "1"}
    variables = {key: text(value) for key, value in function(template)["Environment"]["Variables"].items()}
    assert variables == SERVICE | most
    allowed = {
        (action, text(resource))
        for logical_id, statement in statements(template)
        if logical_id.startswith("SleepFunction")
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for resource in (statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]])
    }
    account = environments()[name].account
    assert {each for each in allowed if not each[0].startswith("sqs:")} == {
        (
            "application-autoscaling:RegisterScalableTarget",
            f"arn:aws:application-autoscaling:ap-northeast-1:{account}:scalable-target/*",
        ),
        ("ecs:DescribeServices", "<Service>"),
        ("ecs:UpdateService", "<Service>"),
        ("elasticloadbalancing:SetRulePriorities", SERVICE["AWAKE_RULE"]),
        ("elasticloadbalancing:SetRulePriorities", SERVICE["ASLEEP_RULE"]),
        ("elasticloadbalancing:DescribeRules", "*"),
        ("elasticloadbalancing:DescribeTargetHealth", "*"),
    }


def test_callers_are_told_what_sleeps_until_when_and_what_to_do(templates: Templates) -> None:
    rules = resources(templates["dev"]["Gateway"], "AWS::ElasticLoadBalancingV2::ListenerRule")
    found = {plain(name): rule for name, rule in rules.items()}
    asleep, forwards = (found[f"EdgeLoadBalancerHttps{name}Rule"] for name in ("Asleep", "OwnHostName"))
    assert asleep["Conditions"] == forwards["Conditions"]
    assert (forwards["Priority"], asleep["Priority"]) == (1, 2)  # as it is deployed it is awake
    (action,) = asleep["Actions"]
    answer = action["FixedResponseConfig"]
    assert (answer["StatusCode"], answer["ContentType"]) == ("503", "application/json")
    assert len(answer["MessageBody"]) <= 1024  # the most that a load balancer takes
    said = json.loads(answer["MessageBody"])["error"]["message"]
    assert said == (
        "The gateway of dev sleeps outside 09:00-19:00 (Asia/Tokyo, MON, TUE, WED, THU, FRI). Whoever deploys it wakes "
        "it within minutes: make wake ENV=dev"
    )


def test_other_tasks_are_woken_once_the_service_has_them(templates: Templates) -> None:
    template = templates["dev"]["Gateway"]
    (woken,) = [one for one in template["Resources"].values() if one["Type"] == "Custom::Woken"]
    service = only(template, "AWS::ECS::Service")
    assert woken["Properties"]["TaskDefinition"] == service["TaskDefinition"]
    kinds = {template["Resources"][name]["Type"] for name in woken["DependsOn"]}
    assert {"AWS::ECS::Service", "AWS::ApplicationAutoScaling::ScalableTarget"} <= kinds


def test_the_smoke_test_may_wake_it(templates: Templates) -> None:
    for name in ("dev", "stg"):
        template = templates[name]["Smoke"]
        (test,) = [
            one
            for one in resources(template, "AWS::Lambda::Function").values()
            if one.get("FunctionName") == f"litellm-{name}-smoke"
        ]
        sleeps = name == "dev"
        assert test["Environment"]["Variables"].get("SLEEP_FUNCTION") == ("litellm-dev-sleep" if sleeps else None)
        invoked = [
            text(statement["Resource"])
            for logical_id, statement in statements(template)
            if logical_id.startswith("TestServiceRole") and statement["Action"] == "lambda:InvokeFunction"
        ]
        wanted = "arn:aws:lambda:ap-northeast-1:111111111111:function:litellm-dev-sleep"
        assert invoked == ([wanted] if sleeps else [])


def test_tasks_wait_for_a_database_that_was_paused(templates: Templates) -> None:
    for name, seconds in {"dev": "60", "stg": None}.items():
        for task in resources(templates[name]["Gateway"], "AWS::ECS::TaskDefinition").values():
            (container,) = task["ContainerDefinitions"]
            variables = {each["Name"]: each["Value"] for each in container["Environment"]}
            assert variables.get("DATABASE_CONNECT_TIMEOUT") == seconds


def test_datadog_does_not_tell_of_the_silence_that_is_meant(templates: Templates) -> None:
    monitors = {
        name: [plain(each) for each in resources(stacks["Datadog"], "Custom::DatadogMonitor")]
        for name, stacks in templates.items()
    }
    assert "MonitorSilence" not in monitors["dev"]
    assert {"MonitorSilence"} <= set(monitors["stg"]) & set(monitors["local"])


# --- Alarms -----------------------------------------------------------------------------------------------------------


def _length(duration: str) -> timedelta:
    days, _, rest = duration.removeprefix("P").rpartition("T") if "T" in duration else (duration[1:], "", "")
    found = timedelta(days=int(days.removesuffix("D") or 0))
    for unit, name in (("H", "hours"), ("M", "minutes")):
        amount, there, after = rest.partition(unit)
        if there:
            found, rest = found + timedelta(**{name: int(amount)}), after
    return found


def _muted(rules: list[Any], at: datetime) -> bool:
    """Whether one of the rules mutes at this moment, counting as CloudWatch does: so long after each of its times."""
    for rule in rules:
        schedule = rule["Rule"]["Schedule"]
        minute, hour, _, _, days = schedule["Expression"].removeprefix("cron(").removesuffix(")").split()
        zone = ZoneInfo(schedule["Timezone"])
        for back in range(8):
            day = at.astimezone(zone).date() - timedelta(days=back)
            begin = datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=zone)
            if f"{begin:%a}".upper() in days.split(",") and timedelta() <= at - begin.astimezone(at.tzinfo) < _length(
                schedule["Duration"]
            ):
                return True
    return False


@pytest.mark.parametrize("sleep", [DEV.sleep, OTHER], ids=["dev", "other"])
def test_alarms_of_sleep_are_muted_all_night_and_at_no_other_time(sleep: Sleep) -> None:
    """Every half an hour of a year, with the nights in which the clocks are turned."""
    stack = cdk.Stack()
    topic = cdk.aws_cloudwatch.Metric(namespace="N", metric_name="M")
    alarms = [
        cdk.aws_cloudwatch.Alarm(stack, name, metric=topic, threshold=1, evaluation_periods=1) for name in OF_SLEEP
    ]
    mute(stack, sleep, alarms)
    template = dict(assertions.Template.from_stack(stack).to_json())
    rules = list(resources(template, "AWS::CloudWatch::AlarmMuteRule").values())
    zone, utc = ZoneInfo(sleep.timezone), ZoneInfo("UTC")
    at, end = datetime(2026, 1, 1, tzinfo=utc), datetime(2027, 1, 1, tzinfo=utc)
    cried, silent = [], []
    while at < end:
        local = at.astimezone(zone)
        awake = f"{local:%a}".upper() in sleep.days and sleep.opens <= local.time() < sleep.closes
        muted = _muted(rules, at)
        if not awake and not muted and at > datetime(2026, 1, 8, tzinfo=utc):
            cried.append(local)
        # Half an hour after it is awake; and an hour of the day after a night that was an hour shorter.
        since = datetime(local.year, local.month, local.day, sleep.opens.hour, sleep.opens.minute, tzinfo=zone)
        if awake and muted and at - since.astimezone(utc) >= timedelta(minutes=90):
            silent.append(local)
        at += timedelta(minutes=30)
    assert not cried
    assert not silent


def test_the_alarms_that_are_muted_are_those_of_sleep(templates: Templates) -> None:
    rules = resources(templates["dev"]["Observability"], "AWS::CloudWatch::AlarmMuteRule")
    assert {plain(name) for name in rules} == {"NightMonTueWedThu", "NightFri", "Waking"}
    for rule in rules.values():
        assert sorted(plain(name["Ref"]) for name in rule["MuteTargets"]["AlarmNames"]) == sorted(OF_SLEEP)
    for name in ("stg", "prod", "local"):
        assert not resources(templates[name]["Observability"], "AWS::CloudWatch::AlarmMuteRule")
