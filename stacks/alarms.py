"""The alarms of an environment, each with what it means, why its threshold is where it is, and what to do first.

`docs/alarms.md` is the same in a table; a test keeps it in step.
"""

from collections.abc import Iterable, Sequence

from aws_cdk import CfnResource, Duration, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_rds as rds
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.edge import Edge
from stacks.onboarding import OnboardingStack
from stacks.settings import Bill, Database

NAMESPACE = "LiteLlmGateway"  # of our own metrics
FIVE_MINUTES = Duration.minutes(5)
ONCE, TWICE_OF_THREE, FIFTEEN_MINUTES, HALF_AN_HOUR = (1, 1), (2, 3), (3, 3), (6, 6)  # of five minutes each

TARGET_ERRORS_PERCENT, REQUESTS_AT_LEAST = 5, 20
BALANCER_ERRORS_PERCENT, BALANCER_ERRORS_AT_LEAST = 1, 5
FASTEST_SECONDS = 10
BUSY_PERCENT = 85  # of CPU or memory; the service is scaled to stay at CPU_TARGET_PERCENT of stacks/gateway.py
CAPACITY_PERCENT = 90
CONNECTIONS_PERCENT = 80
VOLUME_BYTES = 200 * 1024**3
# Half of the 2.1 billion at which PostgreSQL stops writing.
# https://www.postgresql.org/docs/17/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND
TRANSACTION_IDS = 1_000_000_000
DEADLOCKS_PER_SECOND = 0.1
REPLICA_LAG_MS = 1000
CERTIFICATE_DAYS = 30
# Where AWS puts a sender under review; it stops one at twice the bounces and five times the complaints.
# https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-bounce-rate.html
BOUNCE_RATE, COMPLAINT_RATE = 0.05, 0.001
BLOCKED_REQUESTS = 1000
RATE_LIMITED_REQUESTS = 100
RECEIVER_MS = 2500
LOGGED_ERRORS = 10

# What an error of a function, or of the functions of a construct, means and what to do first: by stack and construct.
# Each construct of which nothing is said here only runs while something is deployed.
_FUNCTIONS = {
    "GatewayMigration": (
        "The database migration failed, and with it the deployment. The service stays as it was.",
        "Read the reason in the gateway stack's events, which name the log stream.",
    ),
    "OnboardingReceiver": ("Slack got no answer, and someone saw an error.", "Read the function's log."),
    "OnboardingWorker": (
        "The worker ended without saying which request failed. The queue gives it the request again.",
        "Read the function's log; the dead letters have what failed ten times.",
    ),
    "OnboardingSweep": (
        "Who has left may still have an account: the daily sweep did not end.",
        "Read the function's log and start it once more.",
    ),
    "OnboardingBounces": (
        "A mail did not arrive, and nobody was told.",
        "Read the function's log; the queue Undelivered has the event.",
    ),
    "SmokeTest": (
        "The smoke test of a release ended without an answer, which counts as failed.",
        "Read the function's log, and run it once more (make smoke).",
    ),
    "UsageReport": ("A report of usage was not posted.", "Read the function's log and start it once more."),
    "UsageBill": ("The month's bill was not compared.", "Read the function's log and start it once more."),
}
_WHILE_DEPLOYED = (
    "A function that only runs while something is deployed ended with an error, and so did the deployment.",
    "Read the reason in the stack's events and deploy again.",
)
# The CDK's provider framework throws in these two until what it waits for is done: an error of theirs is no error.
# Its state machine tries them again, and fails when they fail in the end.
_WAITING = ("framework-isComplete", "framework-onTimeout")
_CDKS_OWN = {"Custom::VpcRestrictDefaultSGCustomResourceProvider": "DefaultSecurityGroup"}


class Alarms:
    """Makes the alarms in `scope`. Each tells `topic`, when it is over too. `made` are all so far."""

    def __init__(self, scope: Construct, *, topic: sns.ITopic) -> None:
        self._scope = scope
        self._action = actions.SnsAction(topic)
        self.made: list[cloudwatch.Alarm] = []

    def edge(self, edge: Edge) -> None:
        """What callers notice: errors, slowness, and tasks that the load balancer cannot reach."""
        metrics = edge.load_balancer.metrics
        of_load = {
            "requests": metrics.request_count(period=FIVE_MINUTES),
            "failed": metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=FIVE_MINUTES),
            "own": metrics.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT, period=FIVE_MINUTES),
            "fastest": edge.metric_targets("TargetResponseTime", "p10", FIVE_MINUTES),
        }
        self._alarm(
            "TargetErrors",
            _math(
                f"IF(requests >= {REQUESTS_AT_LEAST}, 100 * FILL(failed, 0) / requests, 0)", of_load, "% of requests"
            ),
            TARGET_ERRORS_PERCENT,
            means="LiteLLM answers callers with 5xx, although it tries other regions and deployments first.",
            why="5 % of at least 20 requests in five minutes, twice of three times: one bad minute of a provider "
            "passes by, and of fewer requests a single error would be 5 %.",
            do="Look at the errors by class on the dashboard, and at the providers' status pages.",
            of=TWICE_OF_THREE,
        )
        self._alarm(
            "BalancerErrors",
            _math(
                f"IF(own >= {BALANCER_ERRORS_AT_LEAST}, 100 * own / (FILL(requests, 0) + own), 0)",
                of_load,
                "% of requests",
            ),
            BALANCER_ERRORS_PERCENT,
            means="The load balancer answers 5xx itself: no healthy task (503), a task that hung up (502), or one "
            "that was silent for longer than a request may take (504).",
            why="1 % and at least 5 in five minutes, twice of three times: a task that ends may cut a connection, and "
            "the requests that reached no task are not counted among the requests.",
            do="Look at the running and healthy tasks on the dashboard, then at the log of the stopped ones.",
            of=TWICE_OF_THREE,
        )
        self._alarm(
            "RejectedConnections",
            metrics.rejected_connection_count(period=FIVE_MINUTES),
            1,
            means="The load balancer refused connections: it had reached the most that it can hold.",
            why="One is too many: it grows by itself with the load, and who was refused is in no log.",
            do="Look for a client that opens connections without end, in the access log.",
        )
        self._alarm(
            "TargetConnectionErrors",
            metrics.target_connection_error_count(period=FIVE_MINUTES),
            5,
            means="The load balancer cannot connect to tasks: their workers do not accept, or have died.",
            why="5 in five minutes, twice of three times: while a task ends a few are normal.",
            do="Look at CPU, memory and the stopped tasks; start new tasks if they hang.",
            of=TWICE_OF_THREE,
        )
        self._alarm(
            "FastestAnswers",
            _math(f"IF(requests >= {REQUESTS_AT_LEAST}, fastest, 0)", of_load, "p10, seconds"),
            FASTEST_SECONDS,
            means="Even the fastest tenth of the answers is slow to begin. What all of them have in common is the "
            "gateway: a busy worker, or a slow database.",
            why="Not the slow answers, since answers of a model are long by nature, and one without a stream begins "
            "only at its end. 10 s of the fastest tenth of at least 20 requests, for a quarter of an hour: refusals, "
            "lists of models and streams begin within one second or two.",
            do="Look at CPU and the database on the dashboard; if only one provider is slow, Datadog shows it.",
            of=FIFTEEN_MINUTES,
        )
        self._alarm(
            "UnhealthyTasks",
            edge.metric_targets("UnHealthyHostCount", "Minimum", FIVE_MINUTES),
            1,
            means="A task fails its health checks all the time.",
            why="One for ten minutes: a task needs 45 seconds to start, ECS replaces an unhealthy one after a few "
            "minutes, and each minute in which none was unhealthy ends it.",
            do="Read the task's log; ECS's events of the service say why it was replaced.",
            of=(2, 2),
        )
        self._alarm(
            "NoHealthyTask",
            edge.metric_targets("HealthyHostCount", "Maximum", Duration.minutes(1)),
            1,
            means="No task is healthy: the gateway is down for everyone.",
            why="Less than one for three minutes; no figure counts as none, since the load balancer always gives one "
            "where there is a target.",
            do="Read ECS's events of the service and the log of the stopped tasks. After a deployment: roll back.",
            of=(3, 3),
            below=True,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        for construct_id, rule, threshold, means, why, do in (
            (
                "RateLimited",
                "RatePerAddress",
                RATE_LIMITED_REQUESTS,
                "The web ACL turns requests of an address away, because there are too many of them.",
                "100 in five minutes: a script that runs wild goes far beyond; a whole office may share the address, "
                "and then people feel it.",
                "Find the address with the saved query on blocked requests; raise ingress.requests_per_address if it "
                "is an office at work.",
            ),
            (
                "SignInsLimited",
                "SignInRatePerAddress",
                1,
                "Someone tries passwords or invitations: an address made more sign-ins than the web ACL lets pass.",
                "One is too many: the limit is 100 sign-ins in five minutes, and an invitation takes two.",
                "Find the address with the saved query on blocked requests, and whose machine it is.",
            ),
        ):
            self._alarm(construct_id, edge.web_acl.metric_blocked(rule), threshold, means=means, why=why, do=do)
        self._alarm(
            "BlockedRequests",
            edge.web_acl.metric_blocked(),
            BLOCKED_REQUESTS,
            means="The web ACL blocks far more than usual: a scan, or a client or an office that is shut out.",
            why="1000 in five minutes, twice of three times: the pages of LiteLLM's UI ask for routes that are closed "
            "to their users, so that some hundreds are a busy morning.",
            do="See the rule, the routes and the addresses with the saved query on blocked requests.",
            of=TWICE_OF_THREE,
        )
        self._certificate("GatewayCertificate", edge.certificate)

    def service(self, service: ecs.FargateService) -> None:
        """The tasks: whether there are as many as there should be, and whether they have room."""
        counts = {
            "desired": task_count(service, "DesiredTaskCount"),
            "running": task_count(service, "RunningTaskCount"),
        }
        self._alarm(
            "TasksMissing",
            _math("desired - running", counts, "tasks missing", period=Duration.minutes(1)),
            1,
            means="Fewer tasks run than should: they do not start, or stop again and again.",
            why="One for ten minutes: a new task needs two or three. No figure counts as missing, since ECS "
            "gives both every minute while there is a service.",
            do="Read ECS's events of the service (no capacity, no image, a missing secret) and the stopped tasks' log.",
            of=(10, 10),
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        self._alarm(
            "Cpu",
            service.metric_cpu_utilization(period=FIVE_MINUTES),
            BUSY_PERCENT,
            means="The tasks are busy, and no more are added: answers begin later and later.",
            why="85 % for a quarter of an hour: at 60 % tasks are added within minutes, so that it stays there only at "
            "gateway.max_tasks.",
            do="Raise gateway.max_tasks (the synthesis says what the database then needs).",
            of=FIFTEEN_MINUTES,
        )
        self._alarm(
            "Memory",
            service.metric_memory_utilization(statistic="Maximum", period=FIVE_MINUTES),
            BUSY_PERCENT,
            means="A task is short of memory: at 100 % it is killed, with all the answers that it is sending.",
            why="85 % for a quarter of an hour: a worker at rest has a fifth of its 4 GiB, and nothing is scaled on "
            "memory, which LiteLLM does not give back.",
            do="Start new tasks (see docs/operations.md) and look whether it grows again; then raise gateway.memory.",
            of=FIFTEEN_MINUTES,
        )

    def database(self, cluster: rds.DatabaseCluster, settings: Database) -> None:
        """Aurora: near a limit of the settings, or of PostgreSQL."""

        def metric(name: str, statistic: str, period: Duration = FIVE_MINUTES) -> cloudwatch.Metric:
            return cluster.metric(name, statistic=statistic, period=period)

        self._alarm(
            "DatabaseCapacity",
            metric("ACUUtilization", "Maximum"),
            CAPACITY_PERCENT,
            means="The database has nearly grown to database.max_capacity: it becomes slow next.",
            why="90 % for a quarter of an hour: it grows within seconds, so that a peak is over by then.",
            do="Look for a slow query in Performance Insights; raise database.max_capacity.",
            of=FIFTEEN_MINUTES,
        )
        self._alarm(
            "DatabaseConnections",
            metric("DatabaseConnections", "Maximum"),
            settings.max_connections * CONNECTIONS_PERCENT // 100,
            means="Connections to the database run out: the next task, and people's own tools, would be refused.",
            why="80 % of what it takes at database.max_capacity, twice of three times: the synthesis makes sure that "
            "the service, twice over while it is deployed, stays below the whole.",
            do="See who holds them in pg_stat_activity; lower gateway.max_tasks or raise database.max_capacity.",
            of=TWICE_OF_THREE,
        )
        self._alarm(
            "DatabaseVolume",
            metric("VolumeBytesUsed", "Maximum", Duration.hours(1)),
            VOLUME_BYTES,
            means="The database has become large: every call leaves a row in LiteLLM_SpendLogs.",
            why="200 GiB, some hundred million calls. Aurora grows on for years; it is the costs that this tells of, "
            "0.12 US dollars a GB and month, and that a restore takes longer.",
            do="Delete old rows of LiteLLM_SpendLogs: the daily figures are in tables of their own.",
        )
        self._alarm(
            "TransactionIds",
            metric("MaximumUsedTransactionIDs", "Maximum", Duration.hours(1)),
            TRANSACTION_IDS,
            means="PostgreSQL comes near the end of its transaction ids, at which it would stop writing.",
            why="1 billion, half of what there are: autovacuum begins at 200 million, so that it has not kept up, and "
            "there are weeks left.",
            do="Look for a transaction that stays open (pg_stat_activity, pg_prepared_xacts), then VACUUM FREEZE.",
        )
        self._alarm(
            "Deadlocks",
            metric("Deadlocks", "Average"),
            DEADLOCKS_PER_SECOND,
            means="Tasks lock each other out in the database while they add up spend: figures come late.",
            why="30 in five minutes, for a quarter of an hour: LiteLLM tries again after a deadlock, and a few are "
            "normal with several tasks.",
            do="Read the statements in the database's log; a newer LiteLLM may have mended it.",
            of=FIFTEEN_MINUTES,
        )
        if settings.reader:
            self._alarm(
                "ReplicaLag",
                metric("AuroraReplicaLag", "Average"),
                REPLICA_LAG_MS,
                means="The reader falls behind the writer: a failover to it would take longer.",
                why="1 s for a quarter of an hour: it is usually below 0.1 s, and the storage is one, so that nothing "
                "would be lost.",
                do="Look at the writer's load; Aurora starts a reader anew that stays a minute behind.",
                of=FIFTEEN_MINUTES,
            )

    def network(self, vpc: ec2.IVpc) -> None:
        """The NAT gateways of a VPC of our own: an existing one's are whose it is."""
        gateways = [each for each in vpc.node.find_all() if isinstance(each, ec2.CfnNatGateway)]
        if gateways:
            self._alarm(
                "NatPorts",
                _sum(
                    cloudwatch.Metric(
                        namespace="AWS/NATGateway",
                        metric_name="ErrorPortAllocation",
                        dimensions_map={"NatGatewayId": each.attr_nat_gateway_id},
                        statistic="Sum",
                        period=FIVE_MINUTES,
                    )
                    for each in gateways
                ),
                1,
                means="A NAT gateway has no ports left: calls of providers fail.",
                why="One is too many: it has 55,000 for each provider's address, far more than the tasks should open.",
                do="Look for connections that stay open; raise network.nat_gateways.",
            )

    def functions(self, stage: Construct) -> None:
        """Errors of every function of the stage, one alarm for each construct that has some, and throttles of all."""
        for group, metrics in _errors(stage).items():
            means, do = _FUNCTIONS.get(group, _WHILE_DEPLOYED)
            self._alarm(
                f"{group}Errors",
                _sum(metrics),
                1,
                means=means,
                why="One is too many: what can be expected to fail is answered, and is no error of the function.",
                do=do,
            )
        self._alarm(
            "Throttles",
            cloudwatch.Metric(namespace="AWS/Lambda", metric_name="Throttles", statistic="Sum", period=FIVE_MINUTES),
            1,
            means="Lambda turned invocations away: the account's limit of functions at once is reached, which all its "
            "functions share.",
            why="One, twice of three times: a single one is tried again; none of ours has a limit of its own.",
            do="See which function runs so often; ask AWS for a higher limit (a new account has ten).",
            of=TWICE_OF_THREE,
        )

    def onboarding(self, onboarding: OnboardingStack) -> None:
        """Requests from Slack that fail, wait or are slow."""
        self._waiting_message("DeadLetters", onboarding.dead_letters, "A person's request failed ten times.")
        self._waiting_message(
            "Undelivered", onboarding.undelivered, "The sweep did not run, or an event of a mail was not told."
        )
        self._alarm(
            "OldestRequest",
            onboarding.requests.metric_approximate_age_of_oldest_message(statistic="Maximum", period=FIVE_MINUTES),
            Duration.minutes(30).to_seconds(),
            means="A person's request waits, where people were promised minutes.",
            why="Half an hour: a deployment of LiteLLM, for which requests wait, takes ten minutes.",
            do="See whether LiteLLM answers, then read the worker's log.",
        )
        self._alarm(
            "ReceiverDuration",
            onboarding.receiver.metric_duration(statistic="p90", period=FIVE_MINUTES),
            RECEIVER_MS,
            means="Slack soon shows people an error, since the answer takes too long.",
            why="2,500 ms, twice: Slack gives up after 3,000, of which the way there takes some; one cold start is no "
            "slowness.",
            do="Look at Slack's own status and at the function's log; more memory makes it faster.",
            of=(2, 2),
        )
        self._certificate("SlackCertificate", onboarding.certificate)

    def mail(self) -> None:
        """What puts the account's right to send mail at risk: SES gives both rates for the account as a whole."""
        for construct_id, name, rate, what, stops in (
            ("BounceRate", "Reputation.BounceRate", BOUNCE_RATE, "bounce", "10 %"),
            ("ComplaintRate", "Reputation.ComplaintRate", COMPLAINT_RATE, "are complained of", "0.5 %"),
        ):
            self._alarm(
                construct_id,
                cloudwatch.Metric(namespace="AWS/SES", metric_name=name, statistic="Maximum", period=Duration.hours(1)),
                rate,
                means=f"Too many mails of the account {what}: AWS may stop it from sending any.",
                why=f"{rate:.1%}, at which AWS reviews a sender; it stops one at {stops}.",
                do="See the audit channel for the addresses, and close the accounts of those that do not exist.",
            )

    def usage(self, undelivered: sqs.IQueue) -> None:
        """A scheduled report that never ran."""
        self._waiting_message("UsageUndelivered", undelivered, "A report or the check of the bill did not run.")

    def bill(self, bill: Bill, environment: str) -> None:
        """The difference between LiteLLM's costs and the bill, for each provider whose bill is compared."""
        compared = {"Bedrock": "bedrock"}
        if bill.azure:
            compared["Azure"] = "azure"
        if bill.google:
            compared["VertexAi"] = "vertex_ai"
        for construct_id, provider in compared.items():
            self._alarm(
                f"{construct_id}Bill",
                cloudwatch.Metric(
                    namespace=NAMESPACE,
                    metric_name="BillDifferencePercent",
                    dimensions_map={"Environment": environment, "Provider": provider},
                    statistic="Maximum",
                    period=Duration.days(1),
                ),
                bill.tolerance_percent,
                means="LiteLLM's costs of the last month and the bill differ: budgets and reports are wrong.",
                why="Above bill.tolerance_percent: rounding and calls around midnight stay below it. It tells once a "
                "month, when the bill is complete.",
                do="See the figures by model in the function's log; mend the prices in company/config.yaml.",
                above=True,
            )

    def log(self, construct_id: str, metric: cloudwatch.Metric, *, means: str, do: str) -> None:
        """Lines of a log that should not be there."""
        self._alarm(
            construct_id,
            metric,
            LOGGED_ERRORS,
            means=means,
            why="10 lines in five minutes, twice of three times: what is over by itself writes a few.",
            do=do,
            of=TWICE_OF_THREE,
        )

    def _waiting_message(self, construct_id: str, queue: sqs.IQueue, means: str) -> None:
        self._alarm(
            construct_id,
            queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=FIVE_MINUTES),
            1,
            means=f"{means} It waits for someone.",
            why="One is too many: nothing comes here by itself.",
            do="Read it, mend what it says, and send it on; it is kept for 14 days.",
        )

    def _certificate(self, construct_id: str, certificate: acm.ICertificate) -> None:
        self._alarm(
            construct_id,
            certificate.metric_days_to_expiry(),
            CERTIFICATE_DAYS,
            means="The certificate was not renewed: when it expires, every caller is refused.",
            why="30 days: ACM renews its own 45 days or more before, an imported one never. No figure changes nothing, "
            "since there is none of an expired certificate.",
            do="See in ACM why: the validation's DNS record must be there. Import a new one where it was imported.",
            below=True,
            missing=cloudwatch.TreatMissingData.IGNORE,
        )

    def _alarm(
        self,
        construct_id: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        *,
        means: str,
        why: str,
        do: str,
        of: tuple[int, int] = ONCE,
        below: bool = False,
        above: bool = False,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        """An alarm at or above a threshold (or below, or strictly above), in so many of so many periods.

        No figure is no trouble, as there is none where nothing was asked for, unless `missing` says otherwise.
        """
        operator = cloudwatch.ComparisonOperator
        datapoints, periods = of
        alarm = cloudwatch.Alarm(
            self._scope,
            construct_id,
            alarm_description=describe(means, why, do),
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=datapoints,
            comparison_operator=operator.LESS_THAN_THRESHOLD
            if below
            else operator.GREATER_THAN_THRESHOLD
            if above
            else operator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        self.made.append(alarm)


def describe(means: str, why: str, do: str) -> str:
    """An alarm's description, of which `docs/alarms.md` has the parts in columns."""
    return f"{means} Threshold: {why} First: {do}"


def task_count(service: ecs.FargateService, name: str, *, label: str | None = None) -> cloudwatch.Metric:
    """A count of Container Insights: DesiredTaskCount, RunningTaskCount or PendingTaskCount, each minute."""
    return cloudwatch.Metric(
        namespace="ECS/ContainerInsights",
        metric_name=name,
        dimensions_map={"ClusterName": service.cluster.cluster_name, "ServiceName": service.service_name},
        statistic="Average",
        period=Duration.minutes(1),
        label=label,
    )


def _math(
    expression: str, metrics: dict[str, cloudwatch.Metric], label: str, *, period: Duration = FIVE_MINUTES
) -> cloudwatch.MathExpression:
    """A formula of those of the metrics that it names."""
    used: dict[str, cloudwatch.IMetric] = {name: metric for name, metric in metrics.items() if name in expression}
    return cloudwatch.MathExpression(expression=expression, using_metrics=used, label=label, period=period)


def _sum(metrics: Iterable[cloudwatch.Metric]) -> cloudwatch.IMetric:
    """The metrics together; where one has no figure it counts as zero."""
    found: Sequence[cloudwatch.Metric] = tuple(metrics)
    if len(found) == 1:
        return found[0]
    named = {f"m{number}": metric for number, metric in enumerate(found)}
    return _math(" + ".join(f"FILL({name}, 0)" for name in named), named, "together")


def _errors(stage: Construct) -> dict[str, list[cloudwatch.Metric]]:
    """The errors of all functions, and of the state machines that wait for some, by stack and construct."""
    found: dict[str, list[cloudwatch.Metric]] = {}
    for stack in stage.node.children:
        if not isinstance(stack, Stack):
            continue
        for each in stack.node.find_all():
            if not isinstance(each, CfnResource) or _waits(each):
                continue
            if each.cfn_resource_type == "AWS::Lambda::Function":
                metric = _errors_of("AWS/Lambda", "Errors", "FunctionName", each.ref)
            elif each.cfn_resource_type == "AWS::StepFunctions::StateMachine":
                metric = _errors_of("AWS/States", "ExecutionsFailed", "StateMachineArn", each.ref)
            else:
                continue
            place = each.node.path.removeprefix(f"{stack.node.path}/").split("/")[0]
            found.setdefault(f"{stack.node.id}{_CDKS_OWN.get(place, place)}", []).append(metric)
    return found


def _errors_of(namespace: str, name: str, dimension: str, value: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace,
        metric_name=name,
        dimensions_map={dimension: value},
        statistic="Sum",
        period=FIVE_MINUTES,
    )


def _waits(resource: CfnResource) -> bool:
    return any(part in _WAITING for part in resource.node.path.split("/"))
