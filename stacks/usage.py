"""Usage: what a channel of Slack is told of it, and whether its cost is what is on the bill."""

import json
from typing import Any

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.constructs.litellm_key import LiteLlmKey, parameter_arn
from stacks.constructs.python_function import SETTINGS_BYTES, PythonFunction, PythonPackage
from stacks.constructs.schedule import schedule, schedule_role
from stacks.litellm_config import BILLS, LiteLlmConfig
from stacks.network import as_it_is, in_vpc
from stacks.settings import Bill, Environment, Report, SettingsError

USAGE_KEY, BOT_TOKEN = "USAGE_KEY", "SLACK_BOT_TOKEN"
# What the functions, and operators by ops/usage.py, may ask of LiteLLM, and nothing else: figures, and models' names.
LITELLM_ROUTES = (*(f"/{entity}/daily/activity/export" for entity in ("user", "team", "tag")), "/model/info")
# Past the hour: 09:00 in Tokyo is midnight of UTC, and LiteLLM writes what is spent once a minute.
MINUTE = 10
# Where the environment sleeps by the clock, it is woken at that minute (stacks/gateway/sleep.py) and asked later.
MINUTE_ONCE_AWAKE = 40
BILL_HOUR = 3  # UTC
BILL_DAY = 5  # of the month: before, clouds still change the figures of the month before


class UsageStack(Stack):
    """The functions `report` and `bill`, each where the environment's settings have it, and what starts them.

    `compared` are the providers, by the names of their rows, whose bill `bill` reads.

    Both ask LiteLLM on the private path, with a key that may ask for nothing but figures. A run that failed is tried
    again twice; what no attempt did is kept in `undelivered` for 14 days.

    Raises
    ------
    BundlingError
        The functions' package could not be put together.
    SettingsError
        The settings are too long for a function's environment.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        config: LiteLlmConfig,
        vpc: ec2.IVpc,
        security_group: ec2.ISecurityGroup,
        litellm_url: str,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self._environment = environment
        self._minute = MINUTE_ONCE_AWAKE if environment.sleep and environment.sleep.awake else MINUTE
        self.compared = _compared(environment.bill, config) if environment.bill else ()
        self._variables = {
            "POWERTOOLS_SERVICE_NAME": "usage",
            "POWERTOOLS_LOG_LEVEL": "INFO",
            "PARAMETER_PREFIX": environment.parameter_prefix,
            "LITELLM_URL": litellm_url,
            "ENVIRONMENT": environment.name,
            "GATEWAY_URL": f"https://{environment.domain}",
            "VERTEXAI_PROJECT": environment.providers.vertexai_project or "",  # the billing export may have more
            **_settings(environment),
        }
        group = as_it_is(self, "Group", security_group)
        self._in_vpc = in_vpc(vpc, group)
        self._package = PythonPackage("usage")
        self.undelivered = self._queue()
        self._key = LiteLlmKey(
            self,
            "LiteLlmKey",
            environment=environment,
            vpc=vpc,
            security_group=group,
            litellm_url=litellm_url,
            name=USAGE_KEY,
            description="the usage functions",
            user="usage-service",
            role="proxy_admin_viewer",  # LiteLLM shows everybody's figures to nobody less
            routes=LITELLM_ROUTES,
        )
        self._schedule_role = self._role()
        self.report = self._report(environment.report) if environment.report else None
        self.bill = self._bill(environment.bill) if environment.bill else None

    def _queue(self) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            "Undelivered",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),  # the most that there is
            removal_policy=RemovalPolicy.DESTROY,
        )
        Validations.of(queue).acknowledge(
            Acknowledgment(
                id="AwsSolutions-SQS3",
                reason="It holds the dead letters of the scheduler and the functions: the rule does not see them",
            )
        )
        return queue

    def _role(self) -> iam.Role:
        role = schedule_role(self, description="Starts the functions for usage")
        role.add_to_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[self.undelivered.queue_arn]))
        return role

    def _report(self, settings: Report) -> PythonFunction:
        report = self._function(
            "Report",
            description="Tells a channel of Slack who used which model, at what cost, and who is cheaper on a plan",
            memory_size=2048,
            timeout=Duration.minutes(15),
            secrets=(BOT_TOKEN, USAGE_KEY),
        )
        hour, timezone = settings.hour, settings.timezone
        if settings.weekly:
            self._schedule("Weekly", report, f"cron({self._minute} {hour} ? * MON *)", timezone, {"period": "week"})
        if settings.monthly:
            self._schedule("Monthly", report, f"cron({self._minute} {hour} 1 * ? *)", timezone, {"period": "month"})
        return report

    def _bill(self, settings: Bill) -> PythonFunction:
        bill = self._function(
            "Bill",
            description="Compares LiteLLM's costs of the month before with what the providers have on the bill",
            memory_size=1024,  # for the CPU that comes with it: of memory it needs 54 MiB
            timeout=Duration.minutes(15),
            retry_attempts=0,  # it fails once it has told what could not be compared, and would tell it again
            secrets=(USAGE_KEY, *((BOT_TOKEN,) if self._environment.report else ()), *settings.secrets),
        )
        if "bedrock" in self.compared:
            bill.add_to_role_policy(iam.PolicyStatement(actions=["ce:GetCostAndUsage"], resources=["*"]))
            Validations.of(bill).acknowledge(
                Acknowledgment(id="AwsSolutions-IAM5[Resource::*]", reason="Cost Explorer's figures are no resources")
            )
        self._schedule("BillMonthly", bill, f"cron({self._minute} {BILL_HOUR} {BILL_DAY} * ? *)", "UTC", {})
        return bill

    def _function(
        self,
        construct_id: str,
        *,
        secrets: tuple[str, ...],
        **kwargs: Any,  # noqa: ANN401 - a function's own properties
    ) -> PythonFunction:
        """The function of the module of this name, which may read these parameters and write its log."""
        function = PythonFunction(
            self,
            construct_id,
            package=self._package,
            module=construct_id.lower(),
            environment=self._environment,
            variables=self._variables,
            on_failure=destinations.SqsDestination(self.undelivered),
            **self._in_vpc,
            **kwargs,
        )
        arns = [parameter_arn(self, self._environment, name) for name in secrets]
        function.add_to_role_policy(iam.PolicyStatement(actions=["ssm:GetParameter"], resources=arns))
        function.node.add_dependency(self._key.resource)
        self._schedule_role.add_to_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])
        )
        return function

    def _schedule(
        self, construct_id: str, function: lambda_.IFunction, expression: str, timezone: str, event: dict[str, str]
    ) -> None:
        schedule(
            self,
            construct_id,
            function=function,
            role=self._schedule_role,
            dead_letters=self.undelivered,
            expression=expression,
            # The time tells a second delivery of one event from the next one.
            event=json.dumps({**event, "time": "<aws.scheduler.scheduled-time>"}),
            schedule_expression_timezone=timezone,
        )


def _compared(bill: Bill, config: LiteLlmConfig) -> tuple[str, ...]:
    """The providers whose bill is read: where a setting says how, and AWS's where there are models of Bedrock's."""
    providers = {model.provider for model in config.models}
    return tuple(
        provider
        for provider, known in BILLS.items()
        if (getattr(bill, known.setting) if known.setting else provider in providers)
    )


def _settings(environment: Environment) -> dict[str, str]:
    """The settings as the functions read them, "" for those that the environment has not."""
    report, bill = environment.report, environment.bill
    variables = {
        "REPORT": report.model_dump_json(ensure_ascii=True) if report else "",
        "BILL": bill.model_dump_json(ensure_ascii=True) if bill else "",
    }
    size = sum(len(value.encode()) for value in variables.values())
    if size > SETTINGS_BYTES:
        raise SettingsError(
            f"{environment.name}: report and bill are {size} bytes as JSON, and a function takes {SETTINGS_BYTES} in "
            "its environment: shorten report.plans"
        )
    return variables
