"""The CloudWatch dashboard of an environment: what AWS knows of the gateway. Who uses what is Datadog's to show."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.gateway.capacity import Capacity
from stacks.gateway.edge import Edge
from stacks.observability.alarms.cache import node_metric
from stacks.observability.alarms.gateway import task_count
from stacks.observability.log_insights import ERROR_PLACE
from stacks.observability.watched import Watched
from stacks.settings import Environment

MINUTE = Duration.minutes(1)
FULL, HALF, THIRD, QUARTER = 24, 12, 8, 6  # of the width of a dashboard


class CloudWatchDashboard:
    """Makes the dashboard `litellm-<environment>`, row by row: the four golden signals come first."""

    def __init__(self, scope: Construct, *, environment: Environment, watched: Watched) -> None:
        self._environment = environment
        self._watched = watched
        self._dashboard = cloudwatch.Dashboard(
            scope,
            "Dashboard",
            dashboard_name=f"litellm-{environment.name}",
            default_interval=Duration.hours(12),
            period_override=cloudwatch.PeriodOverride.AUTO,
        )

    def alarms(self, alarms: Sequence[cloudwatch.IAlarm]) -> None:
        """The state of every alarm."""
        rows = -(-len(alarms) // 8)
        self._row(cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=FULL, height=1 + rows))

    def golden_signals(self, edge: Edge, service: ecs.FargateService, capacity: Capacity) -> None:
        """Requests, errors, latency and tasks."""
        balancer = edge.load_balancer.metrics
        codes = {
            f"{kind} of {of}": balancer.custom(f"HTTPCode_{name}_{kind.upper()}_Count", statistic="Sum", period=MINUTE)
            for of, name, kinds in (("LiteLLM", "Target", ("4xx", "5xx")), ("the load balancer", "ELB", ("4xx", "5xx")))
            for kind in kinds
        }
        counts = (
            task_count(service, name, label=label)
            for name, label in (
                ("DesiredTaskCount", "desired"),
                ("RunningTaskCount", "running"),
                ("PendingTaskCount", "starting"),
            )
        )
        self._row(
            self._graph("Requests a minute", balancer.request_count(period=MINUTE, label="requests"), width=QUARTER),
            self._graph("Errors a minute", *_labelled(codes), width=QUARTER),
            self._graph(
                "Until an answer begins (without a stream: until it ends)",
                *(
                    edge.metric_targets("TargetResponseTime", statistic, MINUTE, statistic)
                    for statistic in ("p10", "p50", "p95", "p99")
                ),
                width=QUARTER,
                unit="seconds",
            ),
            self._graph(
                "Tasks",
                *counts,
                edge.metric_targets("HealthyHostCount", "Maximum", MINUTE, "healthy"),
                width=QUARTER,
            ),
        )
        self._row(
            self._graph(
                "CPU and memory of the tasks",
                service.metric_cpu_utilization(period=MINUTE, label="CPU"),
                service.metric_memory_utilization(period=MINUTE, statistic="Maximum", label="memory, fullest task"),
                width=QUARTER,
                unit="percent",
            ),
            self._graph(
                "Requests in hand, of a worker, and refused",
                capacity.in_flight.with_(label="in hand"),
                capacity.in_flight.with_(label="in hand, fullest worker", statistic="Maximum"),
                capacity.refused.with_(label="refused"),
                width=QUARTER,
            ),
            self._graph(
                "Connections",
                balancer.active_connection_count(period=MINUTE, label="open"),
                balancer.target_connection_error_count(period=MINUTE, label="not accepted by a task"),
                balancer.rejected_connection_count(period=MINUTE, label="refused"),
                width=QUARTER,
            ),
            self._graph(
                "Blocked by the web ACL in five minutes",
                *(edge.web_acl.metric_blocked(rule) for rule in edge.web_acl.rules),
                width=QUARTER,
                stacked=True,
            ),
        )

    def errors(self, log_group: logs.ILogGroup) -> None:
        """LiteLLM's errors by class, from its log."""
        self._row(
            cloudwatch.LogQueryWidget(
                title="LiteLLM: errors by class",
                log_group_names=[log_group.log_group_name],
                view=cloudwatch.LogQueryVisualizationType.TABLE,
                query_lines=[
                    'filter level = "ERROR"',
                    f"parse message {ERROR_PLACE}",
                    "stats count(*) as errors, max(@timestamp) as latest by class, logger",
                    "sort errors desc",
                    "limit 20",
                ],
                width=FULL,
                height=6,
            )
        )

    def database(self, cluster: rds.DatabaseCluster) -> None:
        """Aurora."""

        def metric(name: str, statistic: str, label: str) -> cloudwatch.Metric:
            return cluster.metric(name, statistic=statistic, period=MINUTE, label=label)

        limit = self._environment.database.max_connections
        reader = [metric("AuroraReplicaLag", "Maximum", "lag of the reader, ms")]
        self._row(
            self._graph(
                "Database: capacity",
                metric("ServerlessDatabaseCapacity", "Maximum", "ACU"),
                width=QUARTER,
                limit=self._environment.database.max_capacity,
            ),
            self._graph(
                "Database: connections",
                metric("DatabaseConnections", "Maximum", "connections"),
                width=QUARTER,
                limit=limit,
            ),
            self._graph(
                "Database: latency",
                metric("CommitLatency", "Average", "commit, ms"),
                *(reader if self._environment.database.reader else ()),
                width=QUARTER,
            ),
            self._graph(
                "Database: trouble a second",
                metric("Deadlocks", "Average", "deadlocks"),
                width=QUARTER,
            ),
        )

    def cache(self, nodes: Sequence[str]) -> None:
        """The cache's nodes: near a limit, and what they are asked."""

        def metrics(name: str, statistic: str) -> list[cloudwatch.Metric]:
            return [node_metric(node, name, statistic) for node in nodes]

        self._row(
            self._graph(
                "Cache: memory",
                *metrics("DatabaseMemoryUsagePercentage", "Maximum"),
                width=QUARTER,
                unit="%",
                limit=100,
            ),
            self._graph(
                "Cache: engine CPU", *metrics("EngineCPUUtilization", "Maximum"), width=QUARTER, unit="%", limit=100
            ),
            self._graph("Cache: connections", *metrics("CurrConnections", "Maximum"), width=QUARTER),
            self._graph(
                "Cache: evictions, and sign-ins refused",
                *metrics("Evictions", "Sum"),
                *metrics("AuthenticationFailures", "Sum"),
                width=QUARTER,
            ),
        )

    def functions(self, functions: Sequence[lambda_.IFunction], queues: dict[str, sqs.IQueue]) -> None:
        """Functions that run while nothing is deployed, and the queues before and behind them."""
        if not functions:
            return
        self._row(
            self._graph(
                "Functions: errors", *(each.metric_errors(label=each.node.id) for each in functions), width=THIRD
            ),
            self._graph(
                "Functions: longest run",
                *(each.metric_duration(statistic="Maximum", label=each.node.id) for each in functions),
                width=THIRD,
                unit="ms",
            ),
            self._graph(
                "Queues: messages",
                *(
                    queue.metric_approximate_number_of_messages_visible(statistic="Maximum", label=label)
                    for label, queue in queues.items()
                ),
                width=THIRD,
            ),
        )

    def mail(self) -> None:
        """SES, whose figures are of the whole account."""

        def metric(name: str, statistic: str, label: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace="AWS/SES", metric_name=name, statistic=statistic, period=Duration.hours(1), label=label
            )

        self._row(
            self._graph(
                "Mails an hour",
                *(metric(name, "Sum", name.lower()) for name in ("Send", "Delivery", "Bounce", "Complaint", "Reject")),
                width=HALF,
            ),
            self._graph(
                "Reputation of the account as a sender",
                metric("Reputation.BounceRate", "Maximum", "bounces"),
                metric("Reputation.ComplaintRate", "Maximum", "complaints"),
                width=HALF,
            ),
        )

    def _row(self, *widgets: cloudwatch.IWidget) -> None:
        self._dashboard.add_widgets(*widgets)

    def _graph(
        self,
        title: str,
        *metrics: cloudwatch.IMetric,
        width: int,
        unit: str | None = None,
        stacked: bool = False,
        limit: float | None = None,
    ) -> cloudwatch.GraphWidget:
        """A graph from zero on, of metrics of any stack; `limit` is drawn across it."""
        lines = (
            [cloudwatch.HorizontalAnnotation(value=limit, label="limit", color=cloudwatch.Color.RED)] if limit else []
        )
        return cloudwatch.GraphWidget(
            title=title,
            left=[self._watched.metric(metric) for metric in metrics],
            left_y_axis=cloudwatch.YAxisProps(min=0, label=unit or "", show_units=False),
            left_annotations=lines,
            stacked=stacked,
            width=width,
            height=6,
        )


def _labelled(metrics: dict[str, cloudwatch.Metric]) -> Sequence[cloudwatch.Metric]:
    return [metric.with_(label=label) for label, metric in metrics.items()]
