"""Onboarding: accounts that people ask for in Slack, and that close when they leave."""

import json
from math import ceil
from typing import Any, cast

from aws_cdk import Acknowledgment, ArnFormat, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.constructs.litellm_key import LiteLlmKey, parameter_arn
from stacks.constructs.python_function import SETTINGS_BYTES, PythonFunction, PythonPackage
from stacks.constructs.schedule import schedule, schedule_role
from stacks.email import let_send
from stacks.network import as_it_is, in_vpc
from stacks.settings import Environment, Onboarding, SettingsError, Sleep
from stacks.settings.sleep import minutes

ROUTE = "/slack/events"
SIGNING_SECRET, BOT_TOKEN, ONBOARDING_KEY = "SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN", "ONBOARDING_KEY"
# What the functions may ask of LiteLLM, and nothing else: accounts, invitations, teams, and blocking a key.
LITELLM_ROUTES = (
    *("/user/new", "/user/info", "/user/list", "/user/update", "/user/delete"),
    *("/invitation/new", "/invitation/info"),
    *("/team/new", "/team/info", "/team/member_add"),
    "/key/block",
)
RECEIVER_SECONDS = 10  # Slack gives up after three; a cold start must still be able to end
# MB. A whole vCPU: of Slack's three seconds, a cold start with the 0.29 of 512 MB takes all. `make bench` measures it.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
RECEIVER_MEMORY = 1769
WORKER_SECONDS = 120
# How often a request is tried before it goes to the dead letters. The worker lengthens the time between.
MAX_ATTEMPTS = 10
# The least that Lambda takes. Requests for one account come one after another; these are for different ones.
WORKERS_AT_ONCE = 2
# Slack sends an app at most 30,000 events an hour, 8.3 a second, and people's own clicks come on top.
# https://docs.slack.dev/apis/events-api/#rate-limiting
REQUESTS_PER_SECOND = 25
# What Powertools' idempotency does with the table.
ITEM_ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
DAILY = "cron(15 18 * * ? *)"  # UTC: in the night of Tokyo, and at noon in New York
SWEEP_AFTER_MINUTES = 30  # of an environment that sleeps by the clock, on each of its days, from when it is awake
# The worker's longest time between two attempts (LONGEST_WAIT of lambda/onboarding/worker.py).
LONGEST_WAIT_MINUTES = 15
# What the access log has of a request: no query, no header, no body.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "route": "$context.routeKey",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    "responseLatency": "$context.responseLatency",
    "integrationStatus": "$context.integrationStatus",
    "error": "$context.error.messageString",
}


class OnboardingStack(Stack):
    """What Slack calls, what makes and closes accounts, and what hears of undelivered mails.

    Slack → HTTP API → `receiver` → `requests` (a FIFO queue, one account at a time) → `worker`, which asks LiteLLM on
    the private path and sends mails by SES. `sweep` looks daily for who has left. `bounces` hears SES's events. A
    request that failed `MAX_ATTEMPTS` times, and as often again as there is time for in the longest night of an
    environment that sleeps, is kept in `dead_letters`, an event of SES's or the scheduler's that no
    function took in `undelivered`, 14 days each.

    No function has a reserved concurrency: an account with Lambda's initial limit of ten has none to reserve. The API's
    throttle, and the worker's queue, limit them.

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
        settings: Onboarding,
        vpc: ec2.IVpc,
        security_group: ec2.ISecurityGroup,
        litellm_url: str,
        configuration_set: ses.IConfigurationSet,
        mail_events: sns.ITopic,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self._environment = environment
        onboarding = settings.model_dump_json(ensure_ascii=True)
        if len(onboarding.encode()) > SETTINGS_BYTES:
            raise SettingsError(
                f"{environment.name}: onboarding is {len(onboarding.encode())} bytes as JSON, and a function takes "
                f"{SETTINGS_BYTES} in its environment: shorten teams, models, mail_domains or protected"
            )
        # A request that meets a sleeping gateway waits until it is awake, however long the night is.
        night = environment.sleep.longest_night if environment.sleep else 0
        self._attempts = MAX_ATTEMPTS + ceil(night / LONGEST_WAIT_MINUTES)
        self._package = PythonPackage("onboarding")
        self._common = {
            "POWERTOOLS_SERVICE_NAME": "onboarding",
            "POWERTOOLS_LOG_LEVEL": "INFO",
            "PARAMETER_PREFIX": environment.parameter_prefix,
            "ONBOARDING": onboarding,
        }
        group = as_it_is(self, "Group", security_group)
        self._in_vpc = in_vpc(vpc, group)
        self._ask_litellm = {"LITELLM_URL": litellm_url, "GATEWAY_URL": f"https://{environment.domain}"}
        self.dead_letters = self._queue("DeadLetters", fifo=True)
        self.undelivered = self._queue("Undelivered")
        Validations.of(self.undelivered).acknowledge(
            Acknowledgment(
                id="AwsSolutions-SQS3",
                reason="It holds the dead letters of SNS, the scheduler and the functions: the rule does not see them",
            )
        )
        self.requests = self._queue(
            "Requests",
            fifo=True,
            # AWS's advice, six times the function's: its attempts must be over before another one starts.
            visibility_timeout=Duration.seconds(6 * WORKER_SECONDS),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=self._attempts),
        )
        self.table = self._table()
        key = LiteLlmKey(
            self,
            "LiteLlmKey",
            environment=environment,
            vpc=vpc,
            security_group=group,
            litellm_url=litellm_url,
            name=ONBOARDING_KEY,
            description="the onboarding functions",
            user="onboarding-service",
            role="proxy_admin",  # LiteLLM lets only these manage users
            routes=LITELLM_ROUTES,
        )
        self.receiver = self._receiver()
        self.worker = self._worker(configuration_set)
        self.sweep = self._sweep()
        self.bounces = self._bounces(mail_events)
        for function in (self.worker, self.sweep):
            function.node.add_dependency(key.resource)
        self._api()

    def _queue(self, construct_id: str, *, fifo: bool | None = None, **kwargs: Any) -> sqs.Queue:  # noqa: ANN401
        """An encrypted queue that keeps messages for 14 days, the most that there is."""
        return sqs.Queue(
            self,
            construct_id,
            fifo=fifo,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
            removal_policy=RemovalPolicy.DESTROY,
            **kwargs,
        )

    def _table(self) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            "Done",
            # The names of Powertools' idempotency.
            partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
            time_to_live_attribute="expiration",
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            removal_policy=RemovalPolicy.DESTROY,
        )
        Validations.of(table).acknowledge(
            Acknowledgment(
                id="AwsSolutions-DDB3",
                reason="It only remembers for a while which requests are done: accounts are in LiteLLM's database",
            )
        )
        return table

    def _function(
        self,
        construct_id: str,
        *,
        description: str,
        timeout: Duration,
        secrets: tuple[str, ...],
        variables: dict[str, str] | None = None,
        memory_size: int = 512,
        **kwargs: Any,  # noqa: ANN401 - a function's own properties
    ) -> PythonFunction:
        """The function of the module of this name, which may read these parameters and write its log."""
        function = PythonFunction(
            self,
            construct_id,
            package=self._package,
            module=construct_id.lower(),
            environment=self._environment,
            variables=self._common | (variables or {}),
            description=description,
            memory_size=memory_size,
            timeout=timeout,
            **kwargs,
        )
        arns = [parameter_arn(self, self._environment, name) for name in secrets]
        function.add_to_role_policy(iam.PolicyStatement(actions=["ssm:GetParameter"], resources=arns))
        return function

    def _receiver(self) -> PythonFunction:
        receiver = self._function(
            "Receiver",
            description="Takes Slack's requests, checks their signature and queues what they ask for",
            timeout=Duration.seconds(RECEIVER_SECONDS),
            memory_size=RECEIVER_MEMORY,
            secrets=(SIGNING_SECRET, BOT_TOKEN),
            variables={"QUEUE_URL": self.requests.queue_url},
        )
        _permit(receiver, "sqs:SendMessage", self.requests.queue_arn)
        return receiver

    def _worker(self, configuration_set: ses.IConfigurationSet) -> PythonFunction:
        environment = self._environment
        worker = self._function(
            "Worker",
            description="Makes and closes accounts, and tells who asked",
            timeout=Duration.seconds(WORKER_SECONDS),
            secrets=(BOT_TOKEN, ONBOARDING_KEY),
            variables=self._ask_litellm
            | {
                "QUEUE_URL": self.requests.queue_url,
                "MAX_ATTEMPTS": str(self._attempts),
                "TABLE_NAME": self.table.table_name,
                "MAIL_SENDER": environment.mail_sender,
                "MAIL_REPLY_TO": environment.email.reply_to or "",
                "MAIL_CONFIGURATION_SET": configuration_set.configuration_set_name,
            },
            **self._in_vpc,
        )
        self.table.grant(worker, *ITEM_ACTIONS)
        let_send(
            worker,
            "ses:SendEmail",
            environment=environment,
            configuration_set=configuration_set,
        )
        self.requests.grant_consume_messages(worker)
        lambda_.EventSourceMapping(
            self,
            "RequestsToWorker",
            target=worker,
            event_source_arn=self.requests.queue_arn,
            batch_size=1,
            report_batch_item_failures=True,
            max_concurrency=WORKERS_AT_ONCE,
        )
        return worker

    def _sweep(self) -> PythonFunction:
        sweep = self._function(
            "Sweep",
            description="Closes the accounts of people who have left, where Slack's own event was missed",
            timeout=Duration.minutes(15),
            secrets=(BOT_TOKEN, ONBOARDING_KEY),
            variables=self._ask_litellm | {"TABLE_NAME": self.table.table_name},
            on_failure=destinations.SqsDestination(self.undelivered),
            **self._in_vpc,
        )
        self.table.grant(sweep, *ITEM_ACTIONS)
        role = schedule_role(self, description="Starts the daily sweep")
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[sweep.function_arn]))
        role.add_to_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[self.undelivered.queue_arn]))
        schedule(
            self,
            "Daily",
            function=sweep,
            role=role,
            dead_letters=self.undelivered,
            **_daily(self._environment.sleep),
            description="Closes the accounts of people who have left",
        )
        return sweep

    def _bounces(self, events: sns.ITopic) -> PythonFunction:
        bounces = self._function(
            "Bounces",
            description="Tells the audit channel of mails that did not arrive",
            timeout=Duration.seconds(30),
            secrets=(BOT_TOKEN,),
            on_failure=destinations.SqsDestination(self.undelivered),
        )
        # Not `add_subscription`, whose ids would have the environment's name in them.
        sns.Subscription(
            self,
            "MailEvents",
            topic=events,
            protocol=sns.SubscriptionProtocol.LAMBDA,
            endpoint=bounces.function_arn,
            dead_letter_queue=self.undelivered,
        )
        bounces.add_permission(
            "MailEvents", principal=iam.ServicePrincipal("sns.amazonaws.com"), source_arn=events.topic_arn
        )
        return bounces

    def _api(self) -> None:
        """The one route that Slack calls, under the environment's own name and certificate only."""
        environment = self._environment
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "HostedZone", hosted_zone_id=environment.hosted_zone.id, zone_name=environment.hosted_zone.name
        )
        self.certificate = acm.Certificate(
            self,
            "Certificate",
            domain_name=environment.slack_domain,
            validation=acm.CertificateValidation.from_dns(zone),
        )
        domain = apigatewayv2.DomainName(
            self,
            "Domain",
            domain_name=environment.slack_domain,
            certificate=self.certificate,
            security_policy=apigatewayv2.SecurityPolicy.TLS_1_2,
        )
        api = apigatewayv2.HttpApi(
            self,
            "Api",
            description="Slack's requests to the LLM gateway's onboarding",
            create_default_stage=False,
            disable_execute_api_endpoint=True,
        )
        (route,) = api.add_routes(
            path=ROUTE,
            methods=[apigatewayv2.HttpMethod.POST],
            integration=integrations.HttpLambdaIntegration("Receiver", self.receiver),
        )
        self.access_log = logs.LogGroup(
            self,
            "AccessLogs",
            retention=logs.RetentionDays[environment.log_retention],
            removal_policy=RemovalPolicy.RETAIN if environment.deletion_protection else RemovalPolicy.DESTROY,
        )
        stage = apigatewayv2.HttpStage(
            self,
            "Stage",
            http_api=api,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigatewayv2.ThrottleSettings(rate_limit=REQUESTS_PER_SECOND, burst_limit=2 * REQUESTS_PER_SECOND),
        )
        # The ARN as API Gateway wants it, without the closing `:*`.
        cast(
            apigatewayv2.CfnStage, stage.node.default_child
        ).access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
            destination_arn=self.format_arn(
                service="logs",
                resource="log-group",
                resource_name=self.access_log.log_group_name,
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            ),
            format=json.dumps(ACCESS_LOG),
        )
        apigatewayv2.ApiMapping(self, "Mapping", api=api, domain_name=domain, stage=stage)
        route53.ARecord(
            self,
            "Alias",
            zone=zone,
            record_name=f"{environment.slack_domain}.",
            target=route53.RecordTarget.from_alias(
                targets.ApiGatewayv2DomainProperties(domain.regional_domain_name, domain.regional_hosted_zone_id)
            ),
        )
        Validations.of(route).acknowledge(
            Acknowledgment(
                id="AwsSolutions-APIG4",
                reason="Slack signs every request and knows no other way; the receiver checks before it reads",
            )
        )


def _daily(sleep: Sleep | None) -> dict[str, str]:
    """When the sweep looks: at its own hour, or on each day of an environment that sleeps, once it is awake."""
    if not (sleep and sleep.awake):
        return {"expression": DAILY}
    hour, minute = divmod(minutes(sleep.opens) + SWEEP_AFTER_MINUTES, 60)
    expression = f"cron({minute} {hour} ? * {','.join(sleep.in_order)} *)"
    return {"expression": expression, "schedule_expression_timezone": sleep.timezone}


def _permit(function: lambda_.Function, action: str, arn: str) -> None:
    function.add_to_role_policy(iam.PolicyStatement(actions=[action], resources=[arn]))
