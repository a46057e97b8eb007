"""The usage stack: what its functions are given, what each may do, when they run, and the key they ask LiteLLM with."""

import json
import re
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.company import config_file, environments
from stacks.environment_stage import EnvironmentStage
from stacks.settings import AnthropicBill, AzureBill, Bill, Environment, OpenAiBill, Plan, SettingsError
from stacks.usage import LITELLM_ROUTES
from tests.templates.conftest import CHECKOUT, WITHOUT_BUNDLING, Template, only, resources, statements
from tests.templates.synthesis import plain, resolved, text

ENVIRONMENTS = environments()
# Memory in MB and timeout in seconds.
FUNCTIONS = {"Report": (2048, 900), "Bill": (1024, 900)}
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
of_each_function = pytest.mark.parametrize("function", FUNCTIONS)
TIME = "<aws.scheduler.scheduled-time>"


def _by_name(template: Template, kind: str) -> dict[str, Any]:
    return {plain(logical_id): properties for logical_id, properties in resources(template, kind).items()}


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - a template is JSON
    return value if isinstance(value, list) else [value]


def _grants(stacks: dict[str, Template], role: str) -> dict[str, set[str]]:
    """The actions that a role may call, each with its resources, of parameters the last part of the name."""
    grants: dict[str, set[str]] = {}
    for policy, statement in statements(stacks["Usage"]):
        if plain(policy).removesuffix("DefaultPolicy") == role:
            for action in _list(statement["Action"]):
                found = (text(resolved(stacks, each)) for each in _list(statement["Resource"]))
                grants.setdefault(action, set()).update(re.sub(r"^arn:aws:ssm:.*/", "", each) for each in found)
    return grants


def _synthesized(config: Path | None = None, **settings: object) -> dict[str, Template]:
    """The stacks of dev with other settings, or another config.yaml."""
    environment = Environment(**dict(ENVIRONMENTS["dev"]) | settings)
    app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"] | WITHOUT_BUNDLING)
    EnvironmentStage(app, environment=environment, config_file=config or config_file())
    return {
        stack.hierarchical_id.rsplit("/", 1)[-1]: stack.template
        for stack in app.synth().get_nested_assembly(f"assembly-{environment.name}").stacks
    }


# The functions


@in_every_environment
@of_each_function
def test_function(templates: Templates, environment: Environment, function: str) -> None:
    stacks = templates[environment.name]
    properties = _by_name(stacks["Usage"], "AWS::Lambda::Function")[function]
    assert properties["Handler"] == f"usage.{function.lower()}.handler"
    assert (properties["Runtime"], properties["Architectures"]) == ("python3.13", ["arm64"])
    assert (properties["MemorySize"], properties["Timeout"]) == FUNCTIONS[function]
    assert properties["LoggingConfig"]["LogFormat"] == "JSON"
    assert text(properties["LoggingConfig"]["LogGroup"]) == f"<{function}Logs>"
    network = resolved(stacks, properties["VpcConfig"])
    assert list(map(text, network["SecurityGroupIds"])) == ["<FunctionsGroup.GroupId>"]
    zones = range(1, len(environment.network.zones) + 1)
    assert list(map(text, network["SubnetIds"])) == [f"<VpcPrivateSubnet{zone}Subnet>" for zone in zones]
    log_group = _by_name(stacks["Usage"], "AWS::Logs::LogGroup")[f"{function}Logs"]
    assert log_group["RetentionInDays"] == environment.log_retention_days


@in_every_environment
@of_each_function
def test_variables(templates: Templates, environment: Environment, function: str) -> None:
    stacks = templates[environment.name]
    properties = _by_name(stacks["Usage"], "AWS::Lambda::Function")[function]
    variables = {name: text(value) for name, value in resolved(stacks, properties["Environment"]["Variables"]).items()}
    assert environment.report
    assert environment.bill
    assert variables == {
        "POWERTOOLS_SERVICE_NAME": "usage",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "PARAMETER_PREFIX": f"/litellm/{environment.name}",
        "LITELLM_URL": f"http://gateway.{environment.name}.litellm.internal:4000",
        "ENVIRONMENT": environment.name,
        "GATEWAY_URL": f"https://{environment.domain}",
        "VERTEXAI_PROJECT": environment.providers.vertexai_project,
        "REPORT": environment.report.model_dump_json(),
        "BILL": environment.bill.model_dump_json(),
    }
    assert sum(len(name) + len(value) for name, value in variables.items()) < 4096  # all that Lambda takes


UNDELIVERED = {
    f"sqs:{action}": {"<Undelivered.Arn>"} for action in ("SendMessage", "GetQueueAttributes", "GetQueueUrl")
}


@in_every_environment
def test_report_may_read_its_secrets_and_nothing_else(templates: Templates, environment: Environment) -> None:
    assert _grants(templates[environment.name], "ReportServiceRole") == UNDELIVERED | {
        "ssm:GetParameter": {"SLACK_BOT_TOKEN", "USAGE_KEY"}
    }


@in_every_environment
def test_bill_may_read_its_secrets_and_the_costs(templates: Templates, environment: Environment) -> None:
    assert environment.bill
    clouds = {
        "AZURE_BILLING_SECRET": environment.bill.azure,
        "GOOGLE_BILLING_CREDENTIALS": environment.bill.google or environment.bill.gemini,
        "OPENAI_ADMIN_KEY": environment.bill.openai,
        "ANTHROPIC_ADMIN_KEY": environment.bill.anthropic,
    }
    assert _grants(templates[environment.name], "BillServiceRole") == UNDELIVERED | {
        "ssm:GetParameter": {"USAGE_KEY", "SLACK_BOT_TOKEN", *(name for name, cloud in clouds.items() if cloud)},
        "ce:GetCostAndUsage": {"*"},
    }


# When they run


@in_every_environment
def test_schedules(templates: Templates, environment: Environment) -> None:
    schedules = _by_name(templates[environment.name]["Usage"], "AWS::Scheduler::Schedule")
    found = {
        name: (
            schedule["ScheduleExpression"],
            schedule["ScheduleExpressionTimezone"],
            text(schedule["Target"]["Arn"]),
            json.loads(schedule["Target"]["Input"]),
        )
        for name, schedule in schedules.items()
    }
    assert environment.report
    hour, timezone = environment.report.hour, environment.report.timezone
    minute = 40 if environment.sleep and environment.sleep.awake else 10  # it is woken before
    assert found == {
        "Weekly": (f"cron({minute} {hour} ? * MON *)", timezone, "<Report.Arn>", {"period": "week", "time": TIME}),
        "Monthly": (f"cron({minute} {hour} 1 * ? *)", timezone, "<Report.Arn>", {"period": "month", "time": TIME}),
        "BillMonthly": (f"cron({minute} 3 5 * ? *)", "UTC", "<Bill.Arn>", {"time": TIME}),
    }
    for schedule in schedules.values():
        assert text(schedule["Target"]["RoleArn"]) == "<ScheduleRole.Arn>"
        assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] > 0
        assert text(schedule["Target"]["DeadLetterConfig"]["Arn"]) == "<Undelivered.Arn>"
        assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}


@in_every_environment
def test_the_scheduler_starts_these_only(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    assert _grants(stacks, "ScheduleRole") == {
        "lambda:InvokeFunction": {"<Report.Arn>", "<Bill.Arn>"},
        "sqs:SendMessage": {"<Undelivered.Arn>"},
    }
    trust = _by_name(stacks["Usage"], "AWS::IAM::Role")["ScheduleRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert [(statement["Principal"], text(statement["Condition"])) for statement in trust] == [
        (
            {"Service": "scheduler.amazonaws.com"},
            text({"StringEquals": {"aws:SourceAccount": environment.account}}),
        )
    ]


@in_every_environment
def test_what_fails_is_kept(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Usage"]
    kept = resources(template, "AWS::Lambda::EventInvokeConfig").values()
    assert {
        text(each["FunctionName"]): text(each["DestinationConfig"]["OnFailure"]["Destination"]) for each in kept
    } == {f"<{function}>": "<Undelivered.Arn>" for function in FUNCTIONS}
    # A comparison fails once it has told what it could not compare: another attempt would tell it again.
    assert {text(each["FunctionName"]): each.get("MaximumRetryAttempts") for each in kept} == {
        "<Report>": None,
        "<Bill>": 0,
    }
    queue = only(template, "AWS::SQS::Queue")
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


# The key


@in_every_environment
def test_key_asks_for_figures_only(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    key = only(stacks["Usage"], "Custom::LiteLlmKey")
    assert key["AllowedRoutes"] == list(LITELLM_ROUTES)
    assert set(LITELLM_ROUTES) == {
        *(f"/{who}/daily/activity/export" for who in ("user", "team", "tag")),
        "/model/info",
    }
    functions = _by_name(stacks["Usage"], "AWS::Lambda::Function")
    make = resolved(stacks, functions["LiteLlmKeyMake"])
    assert list(map(text, make["VpcConfig"]["SecurityGroupIds"])) == ["<FunctionsGroup.GroupId>"]
    assert make["Environment"]["Variables"] == {
        "PARAMETER_PREFIX": f"/litellm/{environment.name}",
        "LITELLM_URL": f"http://gateway.{environment.name}.litellm.internal:4000",
        "KEY": "USAGE_KEY",
        "KEY_OF": "the usage functions",
        "USER_ID": "usage-service",
        "USER_ROLE": "proxy_admin_viewer",
    }
    assert functions["LiteLlmKeyName"]["Environment"]["Variables"] == {"USER_ID": "usage-service"}
    assert _grants(stacks, "LiteLlmKeyMakeServiceRole") == {
        "ssm:GetParameter": {"LITELLM_MASTER_KEY"},
        "ssm:PutParameter": {"USAGE_KEY"},
        "ssm:GetParameterHistory": {"USAGE_KEY"},
        "ssm:DeleteParameter": {"USAGE_KEY"},
    }


@in_every_environment
@of_each_function
def test_key_is_there_before_who_uses_it(templates: Templates, environment: Environment, function: str) -> None:
    (user,) = (
        resource
        for name, resource in templates[environment.name]["Usage"]["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function" and plain(name) == function
    )
    assert "LiteLlmKey" in user["DependsOn"]


# By setting


def test_without_report_and_bill() -> None:
    assert "Usage" not in _synthesized(report=None, bill=None)


def test_a_report_on_the_first_only() -> None:
    dev = ENVIRONMENTS["dev"]
    assert dev.report
    report = dev.report.model_copy(update={"weekly": False, "hour": 7, "timezone": "UTC"})
    template = _synthesized(report=report, bill=None)["Usage"]
    functions = _by_name(template, "AWS::Lambda::Function")
    assert "Bill" not in functions
    assert functions["Report"]["Environment"]["Variables"]["BILL"] == ""
    schedule = only(template, "AWS::Scheduler::Schedule")
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == ("cron(40 7 1 * ? *)", "UTC")


def test_a_bill_alone_and_without_bedrock() -> None:
    """It tells nobody but the alarm, and so reads no token of Slack's; AWS's costs are nobody's business."""
    one = "00000000-0000-4000-8000-000000000001"
    bill = Bill(
        azure=AzureBill(tenant=one, client=one, subscription=one), openai=OpenAiBill(), anthropic=AnthropicBill()
    )
    variables = {"AZURE_SECOND_BASE": "https://example-second.openai.azure.com"}
    azure = CHECKOUT / "tests" / "companies" / "azure-only" / "config.yaml"
    stacks = _synthesized(azure, report=None, bill=bill, variables=variables)
    functions = _by_name(stacks["Usage"], "AWS::Lambda::Function")
    assert "Report" not in functions
    assert functions["Bill"]["Environment"]["Variables"]["REPORT"] == ""
    keys = {"OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY"}
    assert _grants(stacks, "BillServiceRole") == UNDELIVERED | {
        "ssm:GetParameter": {"USAGE_KEY", "AZURE_BILLING_SECRET", *keys}
    }
    others = {name: text(stack) for name, stack in stacks.items() if name != "Usage"}
    assert not any(key in stack for key in keys for stack in others.values())
    alarms = {plain(name) for name in resources(stacks["Observability"], "AWS::CloudWatch::Alarm")}
    assert {name for name in alarms if name.endswith("Bill")} == {"AzureBill", "OpenAiBill", "AnthropicBill"}


def test_settings_that_no_function_can_take() -> None:
    dev = ENVIRONMENTS["dev"]
    assert dev.report
    plans = tuple(
        Plan(name=f"A plan with a rather long name that has the number {number}", monthly_price=20, covers=("gpt-*",))
        for number in range(20)
    )
    environment = Environment(**dict(dev) | {"report": dev.report.model_copy(update={"plans": plans})})
    with pytest.raises(
        SettingsError, match=r"^dev: report and bill are \d+ bytes as JSON, and a function takes 3072 .*shorten"
    ):
        EnvironmentStage(cdk.App(context=WITHOUT_BUNDLING), environment=environment, config_file=config_file())
