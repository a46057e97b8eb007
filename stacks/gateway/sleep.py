"""Sleep: what takes the tasks away while nobody needs them, and brings them back."""

import json

from aws_cdk import Acknowledgment, CustomResource, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.constructs.provider import provide
from stacks.constructs.python_function import source
from stacks.constructs.schedule import schedule, schedule_role
from stacks.gateway.edge import Edge
from stacks.settings import Environment
from stacks.settings.sleep import Sleep, minutes
from stacks.usage import BILL_DAY, BILL_HOUR, MINUTE

# A task answers some three minutes after it was decided on: a place, the image, LiteLLM's start of 45 s, and two health
# checks. A database that was paused takes up to half a minute more.
AHEAD_MINUTES = 10
# What the function waits for a healthy task. The CDK's provider framework waits for it as long as a function may run.
TIMEOUT = Duration.minutes(10)
# Within which a paused database has gone on: 15 s as a rule, and more than 30 after a day.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
DATABASE_CONNECT_SECONDS = 60


class Sleeping(Construct):
    """The function `litellm-<environment>-sleep`, the load balancer's answer of one that sleeps, and the clock.

    By the clock it wakes on each of the days, ten minutes before it is to answer, and falls asleep every evening,
    whoever has woken it. It also wakes for the reports and the comparison with the bill, which are on other days too;
    `stacks/usage.py` has them start half an hour later. A deployment that changes the tasks wakes it, and fails if none
    of them becomes healthy. Taken out of the settings, it leaves the gateway awake.

    A start that failed is tried again twice; what no attempt did is kept in `undelivered`. Whoever may invoke functions
    of the account may run it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        settings: Sleep,
        edge: Edge,
        cluster: ecs.ICluster,
        service: ecs.FargateService,
        task: ecs.FargateTaskDefinition,
        tasks: ecs.ScalableTaskCount,
    ) -> None:
        super().__init__(scope, construct_id)
        self._environment = environment
        self.undelivered = sqs.Queue(
            self,
            "Undelivered",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
            removal_policy=RemovalPolicy.DESTROY,
        )
        Validations.of(self.undelivered).acknowledge(
            Acknowledgment(
                id="AwsSolutions-SQS3",
                reason="It holds the dead letters of the scheduler and the function: the rule does not see them",
            )
        )
        asleep = edge.answer_instead(answer(environment, settings))
        self.function = self._function(
            SERVICE=f"service/{cluster.cluster_name}/{service.service_name}",
            MIN_TASKS=str(environment.gateway.min_tasks),
            MAX_TASKS=str(environment.gateway.max_tasks),
            TARGET_GROUP=edge.targets.target_group_arn,
            AWAKE_RULE=edge.forwards.listener_rule_arn,
            ASLEEP_RULE=asleep.listener_rule_arn,
        )
        self._permit(service, [rule.listener_rule_arn for rule in (edge.forwards, asleep)])
        if settings.awake:
            self._by_the_clock(settings)
        self._wake_for_deployment(task, service, tasks)

    def _function(self, **variables: str) -> lambda_.Function:
        environment = self._environment
        function = lambda_.Function(
            self,
            "Function",
            function_name=function_name(environment),  # make wake, and the smoke test, run it by this name
            description="Lets the gateway fall asleep, and wakes it",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=source("sleep"),
            handler="sleep.handler.handler",
            timeout=TIMEOUT,
            environment=variables,
            on_failure=destinations.SqsDestination(self.undelivered),
            log_group=logs.LogGroup(
                self,
                "FunctionLogs",
                retention=logs.RetentionDays[environment.log_retention],
                removal_policy=RemovalPolicy.DESTROY,
            ),
        )
        managed = "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role"
        reasons = {
            f"{managed}/AWSLambdaBasicExecutionRole]": "AWS's policy for writing a function's log, attached by the CDK",
            "AwsSolutions-IAM5[Resource::*]": "Looking at rules and targets knows no resources; it only reads",
            f"AwsSolutions-IAM5[Resource::{_scalable_targets(self)}]": (
                "A scalable target has an id of AWS's making; the condition has it be of ECS, and the service's own "
                "permission beside it has it be this service"
            ),
        }
        Validations.of(function).acknowledge(
            *(Acknowledgment(id=rule, reason=reason) for rule, reason in reasons.items())
        )
        return function

    def _permit(self, service: ecs.FargateService, rules: list[str]) -> None:
        """What the function asks for, and what Application Auto Scaling asks its caller for beside.

        https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
        """
        for statement in (
            iam.PolicyStatement(
                actions=["application-autoscaling:RegisterScalableTarget"],
                resources=[_scalable_targets(self)],
                conditions={"StringEquals": {"application-autoscaling:service-namespace": "ecs"}},
            ),
            iam.PolicyStatement(
                actions=["ecs:DescribeServices", "ecs:UpdateService"],
                resources=[service.service_arn],
            ),
            iam.PolicyStatement(actions=["elasticloadbalancing:SetRulePriorities"], resources=rules),
            iam.PolicyStatement(
                actions=["elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTargetHealth"],
                resources=["*"],
            ),
        ):
            self.function.add_to_role_policy(statement)

    def _by_the_clock(self, settings: Sleep) -> None:
        role = schedule_role(self, description="Lets the gateway fall asleep, and wakes it")
        for action, arn in (
            ("lambda:InvokeFunction", self.function.function_arn),
            ("sqs:SendMessage", self.undelivered.queue_arn),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[arn]))
        # A start that failed in the evening must not come through in the morning, nor the other way round: an hour.
        for construct_id, to, expression, timezone in (
            ("Asleep", "asleep", f"cron({at(minutes(settings.closes))} ? * * *)", settings.timezone),
            ("Awake", "awake", waking(settings), settings.timezone),
            *((f"For{name}", "awake", expression, zone) for name, expression, zone in _wakes_for(self._environment)),
        ):
            schedule(
                self,
                construct_id,
                function=self.function,
                role=role,
                dead_letters=self.undelivered,
                expression=expression,
                event=json.dumps({"to": to}),
                schedule_expression_timezone=timezone,
            )

    def _wake_for_deployment(
        self, task: ecs.FargateTaskDefinition, service: ecs.FargateService, tasks: ecs.ScalableTaskCount
    ) -> None:
        provider = provide(self, log_group=self.function.log_group, on_event=self.function, findings={})
        woken = CustomResource(
            self,
            "Woken",
            resource_type="Custom::Woken",
            service_token=provider.service_token,
            # Other tasks are a reason to wake, and so is another number of them, which are started at once:
            # CloudFormation has changed the service by then.
            properties={
                "TaskDefinition": task.task_definition_arn,
                "Tasks": f"{self._environment.gateway.min_tasks} to {self._environment.gateway.max_tasks}",
            },
        )
        woken.node.add_dependency(service, tasks, self.function)


def function_name(environment: Environment) -> str:
    """By which the function is known outside its stack."""
    return f"litellm-{environment.name}-sleep"


def answer(environment: Environment, settings: Sleep) -> str:
    """What callers are told while it sleeps, in the form in which SDKs of OpenAI and Anthropic look for a sentence."""
    when = f" outside {settings.awake} ({settings.timezone}, {', '.join(settings.in_order)})" if settings.awake else ""
    message = (
        f"The gateway of {environment.name} sleeps{when}. Whoever deploys it wakes it within minutes: make wake "
        f"ENV={environment.name}"
    )
    error = {"type": "service_unavailable", "code": "asleep", "param": None, "message": message}
    return json.dumps({"type": "error", "error": error})


def at(minute: int) -> str:
    """Minutes since midnight as the first two fields of a cron expression."""
    return f"{minute % 60} {minute // 60}"


def waking(settings: Sleep) -> str:
    """When it wakes, so that it answers in time."""
    return f"cron({at(max(0, minutes(settings.opens) - AHEAD_MINUTES))} ? * {','.join(settings.in_order)} *)"


def _wakes_for(environment: Environment) -> list[tuple[str, str, str]]:
    """What asks the gateway on a day of its own, and for which it is woken half an hour before."""
    found = []
    if report := environment.report:
        if report.weekly:
            found.append(("Weekly", f"cron({MINUTE} {report.hour} ? * MON *)", report.timezone))
        if report.monthly:
            found.append(("Monthly", f"cron({MINUTE} {report.hour} 1 * ? *)", report.timezone))
    if environment.bill:
        found.append(("Bill", f"cron({MINUTE} {BILL_HOUR} {BILL_DAY} * ? *)", "UTC"))
    return found


def _scalable_targets(scope: Construct) -> str:
    stack = Stack.of(scope)
    return f"arn:{stack.partition}:application-autoscaling:{stack.region}:{stack.account}:scalable-target/*"
