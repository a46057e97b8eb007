"""The load balancer's access log as a table: what the bucket keeps as lines of text, asked with SQL in Athena."""

from collections.abc import Iterator

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from constructs import Construct

from stacks.settings import Environment

TABLE = "access_log"
FIRST_DAY = "2026/01/01"  # no earlier one is looked for
SCANNED_BYTES = 10 * 1024**3  # the most of one question: 5 US cents
PLAIN, QUOTED, REQUEST = r"([^ ]*)", r'"([^"]*)"', r'"([^ ]*) (.*?) ([^ "]*)"'
# The fields of a line in their order, which more may follow: the column, how it is written, its type.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
FIELDS: tuple[tuple[str, str, str], ...] = (
    ("type", PLAIN, "string"),
    ("time", PLAIN, "string"),
    ("elb", PLAIN, "string"),
    ("client", PLAIN, "string"),
    ("target", PLAIN, "string"),
    ("request_processing_time", PLAIN, "double"),
    ("target_processing_time", PLAIN, "double"),
    ("response_processing_time", PLAIN, "double"),
    ("elb_status_code", PLAIN, "int"),
    ("target_status_code", PLAIN, "string"),
    ("received_bytes", PLAIN, "bigint"),
    ("sent_bytes", PLAIN, "bigint"),
    ("method url protocol", REQUEST, "string"),
    ("user_agent", QUOTED, "string"),
    ("ssl_cipher", PLAIN, "string"),
    ("ssl_protocol", PLAIN, "string"),
    ("target_group_arn", PLAIN, "string"),
    ("trace_id", QUOTED, "string"),
    ("domain_name", QUOTED, "string"),
    ("chosen_cert_arn", QUOTED, "string"),
    ("matched_rule_priority", PLAIN, "string"),
    ("request_creation_time", PLAIN, "string"),
    ("actions_executed", QUOTED, "string"),
    ("redirect_url", QUOTED, "string"),
    ("error_reason", QUOTED, "string"),
)
LINE = " ".join(pattern for _, pattern, _ in FIELDS) + ".*"
QUESTIONS = {
    "SlowestRoutes": (
        "The slowest routes since yesterday",
        "SELECT regexp_replace(url, '^https?://[^/]+|[?].*$', '') AS route, method, count(*) AS requests, "
        "approx_percentile(target_processing_time, 0.5) AS p50, "
        "approx_percentile(target_processing_time, 0.95) AS p95, max(target_processing_time) AS slowest "
        "FROM access_log WHERE day >= date_format(current_date - interval '1' day, '%Y/%m/%d') "
        "AND target_processing_time >= 0 GROUP BY 1, 2 ORDER BY p95 DESC LIMIT 50",
    ),
    "FailedRequests": (
        "Answers of 5xx since yesterday, by route and reason",
        "SELECT regexp_replace(url, '^https?://[^/]+|[?].*$', '') AS route, elb_status_code, target_status_code, "
        "error_reason, count(*) AS requests, max(time) AS latest "
        "FROM access_log WHERE day >= date_format(current_date - interval '1' day, '%Y/%m/%d') "
        "AND elb_status_code >= 500 GROUP BY 1, 2, 3, 4 ORDER BY requests DESC LIMIT 100",
    ),
    "Callers": (
        "Who called most since yesterday",
        "SELECT split_part(client, ':', 1) AS address, user_agent, count(*) AS requests, "
        "count_if(elb_status_code >= 400) AS refused "
        "FROM access_log WHERE day >= date_format(current_date - interval '1' day, '%Y/%m/%d') "
        "GROUP BY 1, 2 ORDER BY requests DESC LIMIT 100",
    ),
}


class AccessLogTable:
    """Makes database and table in Glue's catalogue, and a workgroup of Athena with saved queries. Each costs nothing.

    Every day is a partition that nobody has to add. Athena keeps the results for a day; no bucket is needed.
    """

    def __init__(self, scope: Construct, *, environment: Environment, bucket_name: str) -> None:
        stack = Stack.of(scope)
        name = f"litellm_{environment.name}"
        database = glue.CfnDatabase(
            scope,
            "LogDatabase",
            catalog_id=stack.account,
            # A name that SQL takes without quotes.
            database_name=name,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=name, description="Logs of the LLM gateway that are in buckets"
            ),
        )
        folder = f"s3://{bucket_name}/AWSLogs/{stack.account}/elasticloadbalancing/{stack.region}"
        table = glue.CfnTable(
            scope,
            "AccessLogTable",
            catalog_id=stack.account,
            database_name=name,
            table_input=glue.CfnTable.TableInputProperty(
                name=TABLE,
                description="A line for each request that the load balancer answered",
                table_type="EXTERNAL_TABLE",
                parameters={
                    "EXTERNAL": "TRUE",
                    "projection.enabled": "true",
                    "projection.day.type": "date",
                    "projection.day.format": "yyyy/MM/dd",
                    "projection.day.range": f"{FIRST_DAY},NOW",
                    "projection.day.interval": "1",
                    "projection.day.interval.unit": "DAYS",
                    "storage.location.template": f"{folder}/${{day}}",
                },
                partition_keys=[glue.CfnTable.ColumnProperty(name="day", type="string")],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    columns=[glue.CfnTable.ColumnProperty(name=column, type=kind) for column, kind in columns()],
                    location=f"{folder}/",
                    input_format="org.apache.hadoop.mapred.TextInputFormat",
                    output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                    serde_info=glue.CfnTable.SerdeInfoProperty(
                        serialization_library="org.apache.hadoop.hive.serde2.RegexSerDe",
                        parameters={"input.regex": LINE, "serialization.format": "1"},
                    ),
                ),
            ),
        )
        table.add_resource_dependency(database)
        workgroup = athena.CfnWorkGroup(
            scope,
            "LogQuestions",
            name=f"litellm-{environment.name}",
            description="Questions about the LLM gateway's logs",
            recursive_delete_option=True,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                bytes_scanned_cutoff_per_query=SCANNED_BYTES,
                enforce_work_group_configuration=True,
                managed_query_results_configuration=athena.CfnWorkGroup.ManagedQueryResultsConfigurationProperty(
                    enabled=True
                ),
                publish_cloud_watch_metrics_enabled=False,
            ),
        )
        Validations.of(workgroup).acknowledge(
            Acknowledgment(id="AwsSolutions-ATH1", reason="Athena keeps the results itself, encrypted, for a day")
        )
        for construct_id, (title, sql) in QUESTIONS.items():
            query = athena.CfnNamedQuery(
                scope,
                f"Question{construct_id}",
                name=title,
                database=name,
                query_string=sql,
                work_group=workgroup.name,
            )
            query.add_resource_dependency(workgroup)
            query.add_resource_dependency(table)


def columns() -> Iterator[tuple[str, str]]:
    """Name and type of each column: one for each group of `LINE`."""
    for names, _, kind in FIELDS:
        for name in names.split():
            yield name, kind
