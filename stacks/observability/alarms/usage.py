"""Alarms of the reports of usage, and of the bill that they are held against."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs

from stacks.litellm_config import ROWS
from stacks.observability.alarms.making import NAMESPACE, Alarms
from stacks.settings import Bill


def usage(alarms: Alarms, undelivered: sqs.IQueue) -> None:
    """A scheduled report that never ran."""
    alarms.waiting_message("UsageUndelivered", undelivered, "A report or the check of the bill did not run.")


def bill(alarms: Alarms, bill: Bill, environment: str) -> None:
    """The difference between LiteLLM's costs and the bill, for each provider whose bill is compared."""
    for row in ROWS:
        if not row.bill or (row.bill.setting and not getattr(bill, row.bill.setting)):
            continue
        alarms.make(
            f"{row.bill.alarm}Bill",
            cloudwatch.Metric(
                namespace=NAMESPACE,
                metric_name="BillDifferencePercent",
                dimensions_map={"Environment": environment, "Provider": row.name},
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
