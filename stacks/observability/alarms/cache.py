"""Alarms of the cache, without which the tasks count each for itself."""

from collections.abc import Iterable

from aws_cdk import aws_cloudwatch as cloudwatch

from stacks.cache import CacheStack
from stacks.observability.alarms.making import (
    FIFTEEN_MINUTES,
    FIVE_MINUTES,
    TWICE_OF_THREE,
    Alarms,
    formula,
    together,
)
from stacks.settings import Gateway

MEMORY_PERCENT = 80
CPU_PERCENT = 80
# That a worker opens at most: the 50 of redis-py's pool, and what waits for messages.
CONNECTIONS = 60


def node_metric(node: str, name: str, statistic: str) -> cloudwatch.Metric:
    """A metric of one node of the cache.

    https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.Redis.html
    """
    return cloudwatch.Metric(
        namespace="AWS/ElastiCache",
        metric_name=name,
        dimensions_map={"CacheClusterId": node, "CacheNodeId": "0001"},
        statistic=statistic,
        period=FIVE_MINUTES,
        label=node,
    )


def cache(alarms: Alarms, stack: CacheStack, gateway: Gateway) -> None:
    """The nodes near a limit; with a replica, of the worse of the two. Whether they answer, LiteLLM's log tells."""
    nodes = stack.node_names()

    def worst(name: str) -> cloudwatch.IMetric:
        return _highest(node_metric(node, name, "Maximum") for node in nodes)

    alarms.make(
        "CacheMemory",
        worst("DatabaseMemoryUsagePercentage"),
        MEMORY_PERCENT,
        means="The cache is nearly full: what the tasks share is thrown away next, before its time.",
        why="80 % for a quarter of an hour: a key takes some kilobytes for some minutes, so that it is usually a few "
        "per cent.",
        do="See on the dashboard since when; set a larger cache.node.",
        of=FIFTEEN_MINUTES,
    )
    alarms.make(
        "CacheCpu",
        worst("EngineCPUUtilization"),
        CPU_PERCENT,
        means="Valkey's one thread does nearly all that it can: calls wait longer for it, and after 0.1 s count for "
        "their task alone.",
        why="80 % for a quarter of an hour; AWS advises to grow before 90 %.",
        do="Look at the requests on the dashboard; set a larger cache.node.",
        of=FIFTEEN_MINUTES,
    )
    alarms.make(
        "CacheConnections",
        worst("CurrConnections"),
        2 * gateway.max_tasks * gateway.workers * CONNECTIONS,
        means="More connections to the cache than the tasks should have: where they end, tasks count for themselves.",
        why="Sixty for each worker of twice gateway.max_tasks, as while a deployment runs, for a quarter of an hour. A "
        "node takes 65,000, if its memory does.",
        do="Look for tasks that start again and again.",
        of=FIFTEEN_MINUTES,
    )
    alarms.make(
        "CacheEvictions",
        together(node_metric(node, "Evictions", "Sum") for node in nodes),
        1,
        means="The cache throws away what has not expired yet: limits and budgets are counted anew too early.",
        why="One is too many, twice of three times: nothing is evicted before the memory is full.",
        do="Set a larger cache.node; until then what was spent is taken from the database.",
        of=TWICE_OF_THREE,
    )


def _highest(metrics: Iterable[cloudwatch.Metric]) -> cloudwatch.IMetric:
    """The highest of the metrics, where one without a figure counts as zero."""
    found = tuple(metrics)
    if len(found) == 1:
        return found[0]
    named = {f"m{number}": metric for number, metric in enumerate(found)}
    return formula(f"MAX([{', '.join(f'FILL({name}, 0)' for name in named)}])", named, "the highest")
