"""What custom resources have in common that the CDK's provider framework runs: a log, the framework, its findings."""

from collections.abc import Mapping
from typing import Any, cast

from aws_cdk import Acknowledgment, CfnElement, RemovalPolicy, Stack, Validations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources as cr
from constructs import Construct

_MANAGED = "arn:<AWS::Partition>:iam::aws:policy/service-role"
_BASIC = f"AwsSolutions-IAM4[Policy::{_MANAGED}/AWSLambdaBasicExecutionRole]"
_IN_VPC = f"AwsSolutions-IAM4[Policy::{_MANAGED}/AWSLambdaVPCAccessExecutionRole]"


def provider_log(scope: Construct) -> logs.LogGroup:
    """The log of a custom resource's functions and of the framework, as `Logs` in `scope`; gone with it."""
    return logs.LogGroup(scope, "Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY)


def provide(
    scope: Construct,
    *,
    log_group: logs.ILogGroup,
    on_event: lambda_.IFunction,
    is_complete: lambda_.IFunction | None = None,
    findings: Mapping[str, str] | None = None,
    **kwargs: Any,  # noqa: ANN401 - the framework's own properties
) -> cr.Provider:
    """The framework that runs a custom resource's functions, as `Provider` in `scope`.

    What cdk-nag finds in it and in the functions of `scope`, which are all there already, is acknowledged. `findings`
    are reasons for what it finds beside that, by rule.
    """
    provider = cr.Provider(
        scope,
        "Provider",
        on_event_handler=on_event,
        is_complete_handler=is_complete,
        disable_waiter_state_machine_logging=True if is_complete else None,
        log_group=log_group,
        **kwargs,
    )
    stack = Stack.of(scope)
    functions = [each for each in scope.node.find_all() if isinstance(each, lambda_.Function)]
    reasons = {_BASIC: "AWS's policy for writing a function's log, attached by the CDK"}
    if any(function.is_bound_to_vpc for function in functions):
        reasons[_IN_VPC] = "AWS's policy for a function's network interfaces in a VPC, attached by the CDK"
    for function in functions:
        logical_id = stack.get_logical_id(cast(CfnElement, function.node.default_child))
        reasons[f"AwsSolutions-IAM5[Resource::<{logical_id}.Arn>:*]"] = (
            "The CDK's provider framework lets its own functions call any version"
        )
    if is_complete:
        reasons["AwsSolutions-SF1"] = "A state machine of the CDK's that only waits: what it calls is logged"
        reasons["AwsSolutions-SF2"] = "A state machine of the CDK's that only waits: there is nothing to trace"
    acknowledged = reasons | dict(findings or {})
    Validations.of(scope).acknowledge(
        *(Acknowledgment(id=rule, reason=reason) for rule, reason in acknowledged.items())
    )
    return provider
