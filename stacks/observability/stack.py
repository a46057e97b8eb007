"""Observability: the alarms and whom they go to, the dashboard, and what is asked of the logs."""

import json
from typing import Any

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.cache import CacheStack
from stacks.constructs.listeners import let_events_publish, let_publish, post_in_slack, topic_of
from stacks.constructs.python_function import PythonFunction
from stacks.database import DatabaseStack
from stacks.gateway.stack import GatewayStack
from stacks.network import NetworkStack
from stacks.observability import log_insights
from stacks.observability.access_log_table import AccessLogTable
from stacks.observability.alarms import cache as cache_alarms
from stacks.observability.alarms import database as database_alarms
from stacks.observability.alarms import functions as function_alarms
from stacks.observability.alarms import gateway as gateway_alarms
from stacks.observability.alarms import onboarding as onboarding_alarms
from stacks.observability.alarms import usage as usage_alarms
from stacks.observability.alarms.making import Alarms
from stacks.observability.asleep import mute
from stacks.observability.dashboard import CloudWatchDashboard
from stacks.observability.log_insights import SavedQueries, counted
from stacks.observability.watched import Watched
from stacks.onboarding import OnboardingStack
from stacks.settings import Copies, Environment
from stacks.usage import UsageStack

# What ECS tells of by events, and no figure: title of the message, detail type, what the event must have beside the
# service, and the field that says why.
SERVICE_EVENTS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "TaskStopped": (
        "A task of LiteLLM stopped by itself",
        "ECS Task State Change",
        {
            "lastStatus": ["STOPPED"],
            # Not those that a deployment, the scaling or AWS (on Spot) ends. Health checks have no code of their own.
            "$or": [
                {"stopCode": ["EssentialContainerExited", "TaskFailedToStart"]},
                {"stoppedReason": [{"prefix": "Task failed"}]},
            ],
        },
        "stoppedReason",
    ),
    "DeploymentFailed": (
        "A deployment of LiteLLM failed, and the service is back on the old tasks",
        "ECS Deployment State Change",
        {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
        "reason",
    ),
    "ServiceImpaired": (
        "ECS cannot run LiteLLM's tasks as it should",
        "ECS Service Action",
        {"eventType": ["ERROR"]},
        "eventName",
    ),
}
# When AWS Budgets tells: percent of the budget, spent or foreseen. It reckons about three times a day.
BUDGET_PERCENT = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))


class ObservabilityStack(Stack):
    """What watches the other stacks of the environment, which are all there already, and tells people.

    - `topic`: what all alarms, ECS's events and the budget go to; mailed to `alarms.emails`, and posted in
      `alarms.channel` by Amazon Q Developer in chat applications.
    - `alarms`: of the edge, the service, the database, the cache, every function, queues, mails, certificates, the
      bill and lines of logs.
    - a dashboard, saved queries of the logs, and a table of the access log.
    - a budget for all that the account costs, where `alarms.monthly_budget` is set.

    It has the other stacks' values by `watched`: what is watched may change and go without this stack being changed
    first, and is watched again after the next deployment.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        network: NetworkStack,
        database: DatabaseStack,
        cache: CacheStack | None,
        gateway: GatewayStack,
        onboarding: OnboardingStack | None,
        usage: UsageStack | None,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self._environment = environment
        self.watched = Watched(self, environment=environment)
        self.watched.publish(gateway.edge.web_acl, "Name", gateway.edge.web_acl.name)
        self.topic = self._topic()
        self.alarms = Alarms(self, topic=self.topic, watched=self.watched)
        gateway_alarms.edge(self.alarms, gateway.edge)
        gateway_alarms.capacity(self.alarms, gateway.capacity)
        gateway_alarms.service(self.alarms, gateway.service)
        database_alarms.database(self.alarms, database.cluster, environment.database)
        database_alarms.network(self.alarms, network.vpc)
        if environment.database.copies:
            database_alarms.copies(self.alarms, environment.database.copies, environment.snapshots_vault)
        if cache:
            cache_alarms.cache(self.alarms, cache, environment.gateway)
        function_alarms.functions(self.alarms, scope)
        onboarding_alarms.mail(self.alarms)
        if onboarding:
            onboarding_alarms.onboarding(self.alarms, onboarding)
        if usage:
            usage_alarms.usage(self.alarms, usage.undelivered)
            if environment.bill:
                usage_alarms.bill(self.alarms, environment.bill, environment.name, usage.compared)
        if gateway.sleeping:
            self.alarms.waiting_message(
                "SleepUndelivered",
                gateway.sleeping.undelivered,
                "The gateway did not fall asleep, or did not wake, by the clock.",
            )
        if environment.sleep and environment.sleep.awake:
            mute(self, environment.sleep, self.alarms.made)
        self._count_lines(gateway, database, cache)
        self._tell_of_events(gateway)
        if environment.database.copies:
            self._tell_of_copies(environment.database.copies)
        self._post()
        if environment.alarms.monthly_budget:
            self._budget(environment.alarms.monthly_budget)
        functions = [each for each in scope.node.find_all() if isinstance(each, PythonFunction)]
        self._save_queries(gateway, database, onboarding, functions)
        bucket = self.watched.value(gateway.edge.access_logs.bucket_name)
        AccessLogTable(self, environment=environment, bucket_name=bucket)
        self._draw(gateway, database, cache, onboarding, usage, functions)

    def _topic(self) -> sns.Topic:
        topic = topic_of(self, self._environment.alarms, display_name=f"LLM gateway {self._environment.name}")
        # A policy of its own replaces the one with which AWS lets the account's alarms publish.
        let_publish(topic, "AlarmsOfThisAccount", "cloudwatch.amazonaws.com")
        return topic

    def _count_lines(self, gateway: GatewayStack, database: DatabaseStack, cache: CacheStack | None) -> None:
        name = self._environment.name
        litellm, postgresql = map(self.watched.log_group, (gateway.log_group, database.log_group))
        self.alarms.log(
            "DatadogIntake",
            counted(self, "DatadogFailed", litellm, log_insights.DATADOG_FAILED, name),
            means="Datadog does not take the records of calls: usage is missing there until it does.",
            do="Look at Datadog's status page and at the key DD_API_KEY; LiteLLM keeps the records in memory and tries "
            "again, until a task ends: start no new tasks before it is over.",
        )
        self.alarms.make(
            "DatadogRecordsLost",
            counted(self, "DatadogLost", litellm, log_insights.DATADOG_LOST, name, value=log_insights.LOST),
            1,
            means="Records of calls are lost to Datadog: a worker keeps 20,000 while it takes none, and had more.",
            why="One is too many: DatadogIntake has told before, and these do not come any more.",
            do="As for DatadogIntake. Datadog's figures of that time stay too low: what was used and what it cost is "
            "complete in LiteLLM's own sums (make usage, the report).",
        )
        self.alarms.log(
            "DatabaseUnreachable",
            counted(self, "DatabaseFailed", litellm, log_insights.DATABASE_FAILED, name),
            means="LiteLLM cannot work with the database: keys cannot be checked, spend is not written.",
            do="Look at the database on the dashboard; after a failover it is over within a minute.",
        )
        self.alarms.make(
            "SpendDropped",
            counted(self, "SpendLost", litellm, log_insights.SPEND_DROPPED, name),
            1,
            means="Spend could not be added to the totals of people and keys: budgets let as much more through.",
            why="One line is what a worker had to write, up to a minute's calls; LiteLLM does not try it again.",
            do="When the database is back, set the totals by the sums of the day (docs/operations/usage-and-bill.md).",
        )
        if cache:
            self.alarms.log(
                "CacheUnreachable",
                counted(self, "CacheFailed", litellm, log_insights.CACHE_FAILED, name),
                means="LiteLLM does not reach the cache: the tasks count each for itself.",
                do="Requests go on meanwhile. Look at the cache's events in ElastiCache (docs/operations/cache.md).",
            )
        self.alarms.log(
            "LoginsRefused",
            counted(self, "LoginRefused", postgresql, log_insights.LOGIN_REFUSED, name),
            means="The database refuses connections: a wrong password, or no room for more.",
            do="Read its log with the saved query; after a change of DATABASE_PASSWORD see docs/operations.md.",
        )

    def _tell_of_events(self, gateway: GatewayStack) -> None:
        """Send the topic ECS's events, in the words that Amazon Q Developer posts and a mail can show.

        https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
        """
        name, arn = map(self.watched.value, (gateway.service.service_name, gateway.service.service_arn))
        for construct_id, (title, kind, found, reason) in SERVICE_EVENTS.items():
            of_task = kind == "ECS Task State Change"
            detail = found | {"group": [f"service:{name}"]} if of_task else found
            pattern = {"source": ["aws.ecs"], "detail-type": [kind], "detail": detail}
            whole = pattern if of_task else pattern | {"resources": [arn]}
            self._tell(construct_id, title, whole, f"$.detail.{reason}", "$.resources[0]")
        let_events_publish(self.topic, "EventsOfTheService")

    def _tell_of_copies(self, copies: Copies) -> None:
        """Send the topic AWS Backup's events of snapshots and copies that did not become anything.

        What every one of them has is its state; why, AWS Backup's jobs say.
        https://docs.aws.amazon.com/aws-backup/latest/devguide/eventbridge.html
        """
        vaults = [
            self.format_arn(
                service="backup",
                region=region,
                resource="backup-vault",
                resource_name=name,
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for region, name in (
                (self.region, self._environment.snapshots_vault),
                (copies.region, self._environment.copies_vault),
            )
        ]
        pattern = {
            "source": ["aws.backup"],
            "detail-type": ["Backup Job State Change", "Copy Job State Change"],
            "detail": {
                "state": ["ABORTED", "EXPIRED", "FAILED", "PARTIAL"],
                "$or": [{"backupVaultArn": vaults[:1]}, {"destinationBackupVaultArn": vaults[1:]}],
            },
        }
        title = "The database was not copied to the second region"
        self._tell("CopyFailed", title, pattern, "$.detail.state", "$.detail-type")

    def _tell(self, construct_id: str, title: str, pattern: dict[str, Any], reason: str, what: str) -> None:
        """Send the topic an event by its pattern, with what stands in it at two paths."""
        rule = events.CfnRule(
            self,
            construct_id,
            description=f"{title}: told to the topic of alarms",
            event_pattern=pattern,
            targets=[
                events.CfnRule.TargetProperty(
                    arn=self.topic.topic_arn,
                    id="Topic",
                    input_transformer=events.CfnRule.InputTransformerProperty(
                        input_paths_map={"reason": reason, "what": what},
                        input_template=_notification(f"{self._environment.name}: {title}"),
                    ),
                )
            ],
        )
        gateway_alarms.untold(self.alarms, f"{construct_id}Untold", rule, title)

    def _post(self) -> None:
        """Post in Slack. The channel's members may look at alarms and figures from there."""
        post_in_slack(
            self,
            self._environment.alarms,
            topic=self.topic,
            name=f"litellm-{self._environment.name}",
            subject="alarms",
            shows="the alarms and their charts",
            may_look=iam.PolicyStatement(
                actions=["cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "cloudwatch:GetMetricWidgetImage"],
                resources=["*"],
            ),
            findings={"AwsSolutions-IAM5[Resource::*]": "Figures of CloudWatch are no resources; it only reads"},
        )

    def _budget(self, dollars: float) -> None:
        """A budget for the whole account: the gateway is meant to be alone in it."""
        let_publish(
            self.topic,
            "BudgetOfThisAccount",
            "budgets.amazonaws.com",
            {"ArnLike": {"aws:SourceArn": f"arn:{self.partition}:budgets::{self.account}:*"}},
        )
        percents = "-".join(f"{kind.lower()}{percent}" for kind, percent in BUDGET_PERCENT)
        budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                # CloudFormation replaces a budget whose notifications change: it needs another name then.
                budget_name=f"litellm-{self._environment.name}-{percents}",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=dollars, unit="USD"),
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[
                        budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=self.topic.topic_arn)
                    ],
                )
                for kind, percent in BUDGET_PERCENT
            ],
            resource_tags=[
                budgets.CfnBudget.ResourceTagProperty(key=key, value=value)
                for key, value in self._environment.tags.items()
            ],
        )
        budget.node.add_dependency(self.topic)  # AWS tries the topic, whose policy must be there

    def _save_queries(
        self,
        gateway: GatewayStack,
        database: DatabaseStack,
        onboarding: OnboardingStack | None,
        functions: list[PythonFunction],
    ) -> None:
        queries = SavedQueries(self, environment=self._environment.name)
        queries.gateway(self.watched.log_group(gateway.log_group))
        queries.web_acl(self.watched.log_group(gateway.edge.web_acl.log_group))
        queries.database(self.watched.log_group(database.log_group))
        if functions:
            queries.functions([self.watched.log_group(function.log_group) for function in functions])
        if onboarding:
            queries.slack(self.watched.log_group(onboarding.access_log))

    def _draw(
        self,
        gateway: GatewayStack,
        database: DatabaseStack,
        cache: CacheStack | None,
        onboarding: OnboardingStack | None,
        usage: UsageStack | None,
        functions: list[PythonFunction],
    ) -> None:
        dashboard = CloudWatchDashboard(self, environment=self._environment, watched=self.watched)
        dashboard.golden_signals(gateway.edge, gateway.service, gateway.capacity)
        dashboard.alarms(self.alarms.made)
        dashboard.errors(self.watched.log_group(gateway.log_group))
        dashboard.database(database.cluster)
        if cache:
            dashboard.cache(cache.node_names())
        queues: dict[str, sqs.IQueue] = {}
        if onboarding:
            queues |= {
                "requests": onboarding.requests,
                "dead letters": onboarding.dead_letters,
                "undelivered": onboarding.undelivered,
            }
        if usage:
            queues["undelivered, usage"] = usage.undelivered
        dashboard.functions(functions, queues)
        dashboard.mail()


def _notification(title: str) -> str:
    """A message of the events' own, whose words in angle brackets EventBridge replaces by JSON strings."""
    message = {
        "version": "1.0",
        "source": "custom",
        "content": {"textType": "client-markdown", "title": title, "description": "<reason>"},
        "metadata": {"additionalContext": {"resource": "<what>"}},
    }
    return json.dumps(message).replace('"<', "<").replace('>"', ">")
