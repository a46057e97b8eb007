"""What EventBridge Scheduler starts by the clock."""

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct


def schedule_role(scope: Construct, *, description: str) -> iam.Role:
    """The role of the scheduler, as `ScheduleRole` in `scope`: for schedules of this account only."""
    principal = iam.ServicePrincipal(
        "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}}
    )
    return iam.Role(scope, "ScheduleRole", assumed_by=principal, description=description)


def schedule(
    scope: Construct,
    construct_id: str,
    *,
    function: lambda_.IFunction,
    role: iam.IRole,
    dead_letters: sqs.IQueue,
    expression: str,
    event: str | None = None,
    **kwargs: Any,  # noqa: ANN401 - a schedule's own properties
) -> None:
    """Start a function with `event`, JSON; five attempts within an hour, and then it is among the `dead_letters`.

    Not the CDK's own `Schedule`, whose ids would have the environment's name in them.
    """
    target = scheduler.CfnSchedule.TargetProperty(
        arn=function.function_arn,
        role_arn=role.role_arn,
        input=event,
        retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
            maximum_retry_attempts=5, maximum_event_age_in_seconds=3600
        ),
        dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
    )
    made = scheduler.CfnSchedule(
        scope,
        construct_id,
        schedule_expression=expression,
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=target,
        **kwargs,
    )
    made.node.add_dependency(role)
