"""A key with which functions ask LiteLLM, made in LiteLLM by the deployment."""

import json
from collections.abc import Sequence
from typing import Any

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.constructs.provider import provide, provider_log
from stacks.constructs.python_function import source
from stacks.network import in_vpc
from stacks.settings import Environment

LABEL = "1"  # another one makes other keys, and removes those that there were


class LiteLlmKey(Construct):
    """A LiteLLM key for `routes` alone, of a user of its own, as the SecureString `name` in Parameter Store.

    LiteLLM's `role` of the `user` may be one that may do more: the routes of its key keep it from everything else.
    `description` says whose key it is. The function that makes it is the only one beside LiteLLM's tasks that reads the
    master key; it uses it on the private path. Changed routes or limits, or another `LABEL`, make a new key and remove
    the old one. It waits ten minutes for LiteLLM. Removed with the stack; AWS takes up to an hour to give back the
    network interfaces of a function in a VPC.

    Limits, of the user and of the key: `max_budget` in US dollars per `budget_duration` (LiteLLM's words: 1d, 30d), and
    the `models`, all if none is named.

    The parameter is encrypted with the account's key aws/ssm, whose own policy lets who may read a parameter decrypt
    it: no permission for KMS is needed.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        vpc: ec2.IVpc,
        security_group: ec2.ISecurityGroup,
        litellm_url: str,
        name: str,
        description: str,
        user: str,
        role: str,
        routes: Sequence[str],
        max_budget: float | None = None,
        budget_duration: str | None = None,
        models: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        self._description = f"Makes the LiteLLM key of {description}"
        log = provider_log(self)
        named = self._function("Name", "on_event", log, environment={"USER_ID": user})
        make = self._function(
            "Make",
            "is_complete",
            log,
            **in_vpc(vpc, security_group),
            environment={
                "PARAMETER_PREFIX": environment.parameter_prefix,
                "LITELLM_URL": litellm_url,
                "KEY": name,
                "KEY_OF": description,
                "USER_ID": user,
                "USER_ROLE": role,
            },
        )
        actions = {
            "LITELLM_MASTER_KEY": ["ssm:GetParameter"],
            name: ["ssm:PutParameter", "ssm:GetParameterHistory", "ssm:DeleteParameter"],
        }
        for parameter, allowed in actions.items():
            arn = parameter_arn(self, environment, parameter)
            make.add_to_role_policy(iam.PolicyStatement(actions=allowed, resources=[arn]))
        provider = provide(
            self,
            log_group=log,
            on_event=named,
            is_complete=make,
            query_interval=Duration.seconds(10),
            total_timeout=Duration.minutes(20),  # the function gives up before
        )
        possible = {"max_budget": max_budget, "budget_duration": budget_duration, "models": list(models)}
        limits = {name: value for name, value in possible.items() if value}
        properties: dict[str, Any] = {"Label": LABEL, "AllowedRoutes": list(routes)}
        if limits:
            properties["Limits"] = json.dumps(limits)  # CloudFormation would hand over a number as a string
        self.resource = CustomResource(
            self,
            "Default",
            resource_type="Custom::LiteLlmKey",
            service_token=provider.service_token,
            properties=properties,
        )
        # It is removed before what its function may do.
        self.resource.node.add_dependency(make)

    def _function(
        self, construct_id: str, handler: str, log_group: logs.ILogGroup, **kwargs: object
    ) -> lambda_.Function:
        return lambda_.Function(
            self,
            construct_id,
            description=self._description,
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=source("litellm_key"),
            handler=f"litellm_key.handler.{handler}",
            memory_size=256,
            timeout=Duration.minutes(5),  # six calls to LiteLLM, at 45 s each
            log_group=log_group,
            **kwargs,  # type: ignore[arg-type]
        )


def parameter_arn(scope: Construct, environment: Environment, name: str) -> str:
    """The ARN of one of the environment's parameters."""
    return Stack.of(scope).format_arn(
        service="ssm", resource="parameter", resource_name=environment.parameter(name).removeprefix("/")
    )
