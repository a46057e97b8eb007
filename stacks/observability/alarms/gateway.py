"""Alarms of the gateway: what callers notice at the edge, and the tasks."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_events as events

from stacks.gateway.capacity import Capacity
from stacks.gateway.edge import Edge
from stacks.observability.alarms.making import (
    FIFTEEN_MINUTES,
    FIVE_MINUTES,
    TWICE_OF_THREE,
    Alarms,
    formula,
)

TARGET_ERRORS_PERCENT, REQUESTS_AT_LEAST = 5, 20
BALANCER_ERRORS_PERCENT, BALANCER_ERRORS_AT_LEAST = 1, 5
FASTEST_SECONDS = 10
BUSY_PERCENT = 85  # of CPU or memory; the service is scaled to stay at CPU_TARGET_PERCENT of stacks/gateway/capacity.py
BLOCKED_REQUESTS = 1000
RATE_LIMITED_REQUESTS = 100


def edge(alarms: Alarms, edge: Edge) -> None:
    """What callers notice: errors, slowness, and tasks that the load balancer cannot reach."""
    metrics = edge.load_balancer.metrics
    of_load = {
        "requests": metrics.request_count(period=FIVE_MINUTES),
        "failed": metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=FIVE_MINUTES),
        "own": metrics.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT, period=FIVE_MINUTES),
        "fastest": edge.metric_targets("TargetResponseTime", "p10", FIVE_MINUTES),
    }
    alarms.make(
        "TargetErrors",
        formula(f"IF(requests >= {REQUESTS_AT_LEAST}, 100 * FILL(failed, 0) / requests, 0)", of_load, "% of requests"),
        TARGET_ERRORS_PERCENT,
        means="LiteLLM answers callers with 5xx, although it tries other regions and deployments first.",
        why="5 % of at least 20 requests in five minutes, twice of three times: one bad minute of a provider "
        "passes by, and of fewer requests a single error would be 5 %.",
        do="Look at the errors by class on the dashboard, and at the providers' status pages.",
        of=TWICE_OF_THREE,
    )
    alarms.make(
        "BalancerErrors",
        formula(
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
    alarms.make(
        "RejectedConnections",
        metrics.rejected_connection_count(period=FIVE_MINUTES),
        1,
        means="The load balancer refused connections: it had reached the most that it can hold.",
        why="One is too many: it grows by itself with the load, and who was refused is in no log.",
        do="Look for a client that opens connections without end, in the access log.",
    )
    alarms.make(
        "TargetConnectionErrors",
        metrics.target_connection_error_count(period=FIVE_MINUTES),
        5,
        means="The load balancer cannot connect to tasks: their workers do not accept, or have died.",
        why="5 in five minutes, twice of three times: while a task ends a few are normal.",
        do="Look at CPU, memory and the stopped tasks; start new tasks if they hang.",
        of=TWICE_OF_THREE,
    )
    alarms.make(
        "FastestAnswers",
        formula(f"IF(requests >= {REQUESTS_AT_LEAST}, fastest, 0)", of_load, "p10, seconds"),
        FASTEST_SECONDS,
        means="Even the fastest tenth of the answers is slow to begin. What all of them have in common is the "
        "gateway: a busy worker, or a slow database.",
        why="Not the slow answers, since answers of a model are long by nature, and one without a stream begins "
        "only at its end. 10 s of the fastest tenth of at least 20 requests, for a quarter of an hour: refusals, "
        "lists of models and streams begin within one second or two.",
        do="Look at CPU and the database on the dashboard; if only one provider is slow, Datadog shows it.",
        of=FIFTEEN_MINUTES,
    )
    alarms.make(
        "UnhealthyTasks",
        edge.metric_targets("UnHealthyHostCount", "Minimum", FIVE_MINUTES),
        1,
        means="A task fails its health checks all the time.",
        why="One for ten minutes: a task needs 45 seconds to start, ECS replaces an unhealthy one after a few "
        "minutes, and each minute in which none was unhealthy ends it.",
        do="Read the task's log; ECS's events of the service say why it was replaced.",
        of=(2, 2),
    )
    alarms.make(
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
        alarms.make(construct_id, edge.web_acl.metric_blocked(rule), threshold, means=means, why=why, do=do)
    alarms.make(
        "BlockedRequests",
        edge.web_acl.metric_blocked(),
        BLOCKED_REQUESTS,
        means="The web ACL blocks far more than usual: a scan, or a client or an office that is shut out.",
        why="1000 in five minutes, twice of three times: the pages of LiteLLM's UI ask for routes that are closed "
        "to their users, so that some hundreds are a busy morning.",
        do="See the rule, the routes and the addresses with the saved query on blocked requests.",
        of=TWICE_OF_THREE,
    )
    alarms.certificate("GatewayCertificate", edge.certificate)


def capacity(alarms: Alarms, capacity: Capacity) -> None:
    """Requests that tasks have no room for."""
    alarms.make(
        "RequestsRefused",
        capacity.refused.with_(period=FIVE_MINUTES),
        1,
        means="Tasks refuse requests with 503 and Retry-After, since they have as many in hand as "
        "gateway.max_in_flight_requests allows, or more than their processor keeps up with.",
        why="Any in each of three times five minutes: a burst is over by then, or other tasks have started; SDKs try "
        "again by themselves.",
        do="Look at the tasks on the dashboard: if they are as many as gateway.max_tasks, raise it; if a task has CPU "
        "and memory left, raise gateway.max_in_flight_requests.",
        of=FIFTEEN_MINUTES,
    )


def service(alarms: Alarms, service: ecs.FargateService) -> None:
    """The tasks: whether there are as many as there should be, and whether they have room."""
    counts = {
        "desired": task_count(service, "DesiredTaskCount"),
        "running": task_count(service, "RunningTaskCount"),
    }
    alarms.make(
        "TasksMissing",
        formula("desired - running", counts, "tasks missing", period=Duration.minutes(1)),
        1,
        means="Fewer tasks run than should: they do not start, or stop again and again.",
        why="One for ten minutes: a new task needs two or three. No figure counts as missing, since ECS "
        "gives both every minute while there is a service.",
        do="Read ECS's events of the service (no capacity, no image, a missing secret) and the stopped tasks' log.",
        of=(10, 10),
        missing=cloudwatch.TreatMissingData.BREACHING,
    )
    alarms.make(
        "Cpu",
        service.metric_cpu_utilization(period=FIVE_MINUTES),
        BUSY_PERCENT,
        means="The tasks are busy, and no more are added: answers begin later and later.",
        why="85 % for a quarter of an hour: at 60 % tasks are added within minutes, so that it stays there only at "
        "gateway.max_tasks.",
        do="Raise gateway.max_tasks (the synthesis says what the database then needs).",
        of=FIFTEEN_MINUTES,
    )
    alarms.make(
        "Memory",
        service.metric_memory_utilization(statistic="Maximum", period=FIVE_MINUTES),
        BUSY_PERCENT,
        means="A task is short of memory: at 100 % it is killed, with all the answers that it is sending.",
        why="85 % for a quarter of an hour: a worker at rest has a fifth of its 4 GiB, and nothing is scaled on "
        "memory, which LiteLLM does not give back.",
        do="Start new tasks (see docs/operations.md) and look whether it grows again; then raise gateway.memory.",
        of=FIFTEEN_MINUTES,
    )


def untold(alarms: Alarms, construct_id: str, rule: events.CfnRule, title: str) -> None:
    """What AWS says by an event, which a rule could not tell the topic. CloudWatch tells the topic by itself."""
    alarms.make(
        construct_id,
        cloudwatch.Metric(
            namespace="AWS/Events",
            metric_name="FailedInvocations",
            dimensions_map={"RuleName": rule.ref},
            statistic="Sum",
            period=FIVE_MINUTES,
        ),
        1,
        means=f'AWS said "{title}", and EventBridge could not tell the topic of alarms.',
        why="One is too many: EventBridge counts what it has given up, and what it tries again it does not count.",
        do="Look at what happened, in ECS's events of the service or in AWS Backup's jobs, and at the topic's policy, "
        "which must let events.amazonaws.com publish without any condition; deploy again.",
    )


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
