"""How much the gateway has to do: the figures that its tasks give of themselves, and the scaling by them."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.observability.alarms.making import NAMESPACE
from stacks.settings import Environment

CPU_TARGET_PERCENT = 60  # LiteLLM's advice: scale on CPU, never on memory
# Of max_in_flight_requests: what comes while another task starts still finds room, and three tasks of which one fails
# have room for all.
IN_FLIGHT_TARGET_PERCENT = 60
# Lines of container/capacity.py: one a minute and worker.
IN_FLIGHT, REFUSED = "$.capacity.in_flight", "$.capacity.refused"


class Capacity(Construct):
    """Makes the service's scaling, by CPU and by requests in flight, and the figures that it needs.

    An answer of a minute costs a task next to nothing while it waits for its provider, and a prompt of 1.6 MB as much
    CPU as five short ones: neither a count of requests nor the load balancer's other figures tell (its connections are
    kept, and a stream's response time ends where its answer begins). So the tasks say in their log how many requests
    they have in hand (container/capacity.py), and metric filters make figures of it.

    `in_flight` is the average of a worker, `refused` the sum of all.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        log_group: logs.ILogGroup,
        service: ecs.FargateService,
    ) -> None:
        super().__init__(scope, construct_id)
        self._namespace = f"{NAMESPACE}/{environment.name}"
        self._log_group = log_group
        self.in_flight = self._figure("InFlight", f"{{ {IN_FLIGHT} >= 0 }}", IN_FLIGHT, statistic="Average")
        # Nothing where nothing was refused, so that the metric costs nothing then.
        self.refused = self._figure("Refused", f"{{ {REFUSED} > 0 }}", REFUSED, statistic="Sum")
        settings = environment.gateway
        self.tasks = tasks = service.auto_scale_task_count(
            min_capacity=settings.min_tasks, max_capacity=settings.max_tasks
        )
        cooldowns: dict[str, Any] = {
            "scale_in_cooldown": Duration.minutes(5),
            "scale_out_cooldown": Duration.minutes(1),
        }
        tasks.scale_on_cpu_utilization("Cpu", target_utilization_percent=CPU_TARGET_PERCENT, **cooldowns)
        tasks.scale_to_track_custom_metric(
            "InFlight",
            metric=self.in_flight,
            target_value=settings.max_in_flight_requests * IN_FLIGHT_TARGET_PERCENT / 100,
            **cooldowns,
        )

    def _figure(self, name: str, pattern: str, value: str, *, statistic: str) -> cloudwatch.Metric:
        logs.CfnMetricFilter(
            self,
            name,
            log_group_name=self._log_group.log_group_name,
            filter_pattern=pattern,
            metric_transformations=[
                logs.CfnMetricFilter.MetricTransformationProperty(
                    metric_namespace=self._namespace, metric_name=name, metric_value=value, unit="Count"
                )
            ],
        )
        return cloudwatch.Metric(
            namespace=self._namespace, metric_name=name, statistic=statistic, period=Duration.minutes(1)
        )
