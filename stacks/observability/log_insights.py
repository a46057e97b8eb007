"""What is read out of the logs: saved queries of CloudWatch Logs Insights, and the lines that alarms count."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.observability.alarms.making import NAMESPACE

# The end of a line of LiteLLM's about an error, as container/masking.py writes it: [RateLimitError at /app/…/main.py:7]
ERROR_PLACE = r"/\[(?<class>\w+) at (?<file>[^\]]+):\d+\]/"
# Lines of LiteLLM, seen in its log while Datadog's intake answered 503 ("Datadog API error: status_code=503, will retry
# 1 records - …", every five seconds) and while the database was down (tests/templates/test_observability.py has some).
DATADOG_FAILED = '{ ($.level = "ERROR") && ($.message = "*Datadog*") }'
DATABASE_FAILED = (
    '{ ($.level = "ERROR") && (($.message = "*Prisma*") || ($.message = "*prisma*") || ($.message = "*from DB*") || '
    '($.message = "*reach database server*")) }'
)
# Lines of LiteLLM about spend that it took from its memory and could not write: one of the traceback when the sums of
# persons, keys and teams are gone (`_commit_spend_updates_to_db_without_redis_buffer` in db_spend_update_writer.py puts
# nothing back), seen while the database was down, and its own word for what it gives up elsewhere.
SPEND_DROPPED = '?"in _commit_spend_updates_to_db_without_redis_buffer" ?"Spend tracking - dropped"'
# Lines of LiteLLM, seen while Valkey was away: five by each worker, then one each time that it tries again.
CACHE_FAILED = (
    '{ ($.level = "ERROR") && (($.message = "*REDIS*") || ($.message = "*Redis*") || ($.message = "*get cache*")) }'
)
# Lines of container/masking.py, one a minute and worker in which records were lost: the value is how many.
LOST = "$.datadog.lost"
DATADOG_LOST = f"{{ {LOST} > 0 }}"
# Lines of PostgreSQL about a connection that it refused: a wrong password, or no room.
LOGIN_REFUSED = '?"password authentication failed" ?"remaining connection slots" ?"too many clients already"'


def counted(
    scope: Construct,
    construct_id: str,
    log_group: logs.ILogGroup,
    pattern: str,
    environment: str,
    *,
    value: str = "1",
) -> cloudwatch.Metric:
    """The lines of a log group that match a filter pattern, in five minutes. The environment is a dimension by name.

    A line counts once, or as much as the field `value` of it says. There is no figure where no line matches, so that
    the metric costs nothing then.
    """
    logs.CfnMetricFilter(
        scope,
        construct_id,
        log_group_name=log_group.log_group_name,
        filter_pattern=pattern,
        metric_transformations=[
            logs.CfnMetricFilter.MetricTransformationProperty(
                metric_namespace=f"{NAMESPACE}/{environment}",
                metric_name=construct_id,
                metric_value=value,
                unit="Count",
            )
        ],
    )
    return cloudwatch.Metric(
        namespace=f"{NAMESPACE}/{environment}",
        metric_name=construct_id,
        statistic="Sum",
        period=Duration.minutes(5),
    )


class SavedQueries:
    """Makes saved queries, in the folder `litellm-<environment>` of Logs Insights."""

    def __init__(self, scope: Construct, *, environment: str) -> None:
        self._scope = scope
        self._folder = f"litellm-{environment}"

    def gateway(self, log_group: logs.ILogGroup) -> None:
        """LiteLLM's log: JSON lines of errors, and what it prints while it starts."""
        self._query(
            "ErrorsByClass",
            "LiteLLM: errors by class",
            [log_group],
            logs.QueryString(
                fields=["@timestamp"],
                filter_statements=['level = "ERROR"'],
                parse_statements=[f"message {ERROR_PLACE}"],
                stats_statements=["count(*) as errors, max(@timestamp) as latest by class, logger"],
                sort="errors desc",
                limit=50,
            ),
        )
        self._query(
            "LatestErrors",
            "LiteLLM: latest errors",
            [log_group],
            logs.QueryString(
                fields=["@timestamp", "component", "logger", "litellm_call_id", "message", "@logStream"],
                filter_statements=['level = "ERROR"'],
                sort="@timestamp desc",
                limit=100,
            ),
        )
        self._query(
            "Starts",
            "LiteLLM: what tasks and migrations print while they start",
            [log_group],
            logs.QueryString(
                fields=["@timestamp", "@logStream", "@message"],
                filter_statements=["not ispresent(level)"],
                sort="@timestamp desc",
                limit=500,
            ),
        )

    def web_acl(self, log_group: logs.ILogGroup) -> None:
        """The web ACL's log, which has the blocked requests."""
        self._query(
            "Blocked",
            "Web ACL: blocked requests by rule, route and address",
            [log_group],
            logs.QueryString(
                fields=["@timestamp"],
                stats_statements=[
                    "count(*) as requests, max(@timestamp) as latest "
                    "by terminatingRuleId, httpRequest.httpMethod, httpRequest.uri, httpRequest.clientIp"
                ],
                sort="requests desc",
                limit=100,
            ),
        )

    def database(self, log_group: logs.ILogGroup) -> None:
        """PostgreSQL's log."""
        self._query(
            "Database",
            "PostgreSQL: errors",
            [log_group],
            logs.QueryString(
                fields=["@timestamp", "@message"],
                filter_statements=[r"@message like /(ERROR|FATAL|PANIC):/"],
                sort="@timestamp desc",
                limit=200,
            ),
        )

    def functions(self, log_groups: Sequence[logs.ILogGroup]) -> None:
        """The logs of the functions, in JSON of Powertools for AWS Lambda and of Lambda itself."""
        self._query(
            "Functions",
            "Functions: errors and warnings",
            log_groups,
            logs.QueryString(
                fields=[
                    "@timestamp",
                    "coalesce(service, @log) as what",
                    "level",
                    "message",
                    "exception_name",
                    "@requestId",
                ],
                filter_statements=['level in ["ERROR", "CRITICAL", "WARNING"] or type = "platform.fault"'],
                sort="@timestamp desc",
                limit=200,
            ),
        )

    def slack(self, log_group: logs.ILogGroup) -> None:
        """The access log of the API that Slack calls."""
        self._query(
            "Slack",
            "Slack's requests: how many, how slow",
            [log_group],
            logs.QueryString(
                fields=["@timestamp"],
                stats_statements=[
                    "count(*) as requests, pct(responseLatency, 90) as p90, max(responseLatency) as slowest "
                    "by route, status"
                ],
                sort="requests desc",
            ),
        )

    def _query(
        self, construct_id: str, name: str, log_groups: Sequence[logs.ILogGroup], query: logs.QueryString
    ) -> None:
        logs.QueryDefinition(
            self._scope,
            f"Query{construct_id}",
            query_definition_name=f"{self._folder}/{name}",
            query_string=query,
            log_groups=list(log_groups),
        )
