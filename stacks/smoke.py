"""The smoke test: a function that asks the deployed gateway at its public name, as people do."""

from typing import Any

from aws_cdk import Acknowledgment, ArnFormat, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.constructs.litellm_key import LiteLlmKey, parameter_arn
from stacks.constructs.python_function import source
from stacks.gateway.sleep import function_name
from stacks.litellm_config import LiteLlmConfig
from stacks.network import as_it_is, in_vpc
from stacks.settings import Environment, Releases

SMOKE_KEY = "SMOKE_KEY"
# What the test asks with its key, and nothing else. The web ACL opens these routes, and the others that it asks, to
# everyone whom the load balancer lets in.
LITELLM_ROUTES = ("/v1/chat/completions", "/v1/embeddings", "/v1/model/info", "/v1/responses", "/v2/user/info")
# US dollars a day. A test costs about 0.001: one short answer of each provider's cheapest chat model.
MAX_BUDGET = 0.05
# The longest that it takes: three attempts of 45 s each, with pauses, one after the other at each of three places, and
# three minutes until what was spent is seen.
TIMEOUT = Duration.minutes(14)


class SmokeStack(Stack):
    """The function `litellm-<environment>-smoke` and the key that it asks with.

    It runs in the VPC and asks over HTTPS at the gateway's public host name, past the web ACL: the network stack lets
    it in. A gateway that sleeps it wakes first. Of each provider of config.yaml it asks the cheapest chat model, or one
    for something else where it has none. Whoever may invoke functions of the account may run it, and where `releases`
    promotes to this environment, who may in the account of the releases. It has no reserved concurrency: an account
    with Lambda's initial limit of ten has none to reserve.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        config: LiteLlmConfig,
        version: str,
        vpc: ec2.IVpc,
        security_group: ec2.ISecurityGroup,
        litellm_url: str,
        releases: Releases | None,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        group = as_it_is(self, "Group", security_group)
        key = LiteLlmKey(
            self,
            "LiteLlmKey",
            environment=environment,
            vpc=vpc,
            security_group=group,
            litellm_url=litellm_url,
            name=SMOKE_KEY,
            description="the smoke test",
            user="smoke-test",
            role="internal_user",
            routes=LITELLM_ROUTES,
            max_budget=MAX_BUDGET,
            budget_duration="1d",
            models=sorted({model.name for model in config.models}),  # no others, which someone has made in the UI
        )
        self.function = lambda_.Function(
            self,
            "Test",
            function_name=f"litellm-{environment.name}-smoke",  # who deploys a release runs it by this name
            description="Asks the deployed gateway at its public name: health, version, sign-in, completions, spend",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=source("smoke"),
            handler="smoke.handler.handler",
            memory_size=512,  # for the CPU that comes with it: several TLS connections at once
            timeout=TIMEOUT,
            environment={
                "PARAMETER_PREFIX": environment.parameter_prefix,
                "KEY": SMOKE_KEY,
                "GATEWAY_URL": f"https://{environment.domain}",
                "LITELLM_VERSION": version,
                "PROVIDERS": " ".join(providers_to_ask(config)),
                **({"FREE_PROVIDERS": " ".join(free)} if (free := free_providers(config)) else {}),
                **({"SLEEP_FUNCTION": function_name(environment)} if environment.sleep else {}),
            },
            log_group=logs.LogGroup(
                self,
                "TestLogs",
                retention=logs.RetentionDays[environment.log_retention],
                removal_policy=RemovalPolicy.RETAIN if environment.deletion_protection else RemovalPolicy.DESTROY,
            ),
            **in_vpc(vpc, group),
        )
        self.function.add_to_role_policy(
            iam.PolicyStatement(actions=["ssm:GetParameter"], resources=[parameter_arn(self, environment, SMOKE_KEY)])
        )
        if environment.sleep:
            arn = self.format_arn(
                service="lambda",
                resource="function",
                resource_name=function_name(environment),
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            self.function.add_to_role_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[arn]))
        self.function.node.add_dependency(key.resource)
        if releases and environment.name in releases.environments:
            self.function.add_permission("Releases", principal=iam.AccountPrincipal(releases.account))
        managed = "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role"
        reasons = {
            f"{managed}/AWSLambdaBasicExecutionRole]": "AWS's policy for writing a function's log, attached by the CDK",
            f"{managed}/AWSLambdaVPCAccessExecutionRole]": (
                "AWS's policy for a function's network interfaces in a VPC, attached by the CDK"
            ),
        }
        Validations.of(self.function).acknowledge(
            *(Acknowledgment(id=rule, reason=reason) for rule, reason in reasons.items())
        )


def free_providers(config: LiteLlmConfig) -> list[str]:
    """The providers of config.yaml whose models all have a price of 0, as a server of the company's own may have."""
    costs = {model.provider for model in config.models if not model.is_free()}
    return sorted({model.provider for model in config.models} - costs)


def providers_to_ask(config: LiteLlmConfig) -> list[str]:
    """The providers of config.yaml with a model whose name no other one shares, which would not tell who answers."""
    providers: dict[str, set[str]] = {}
    for model in config.models:
        providers.setdefault(model.name, set()).add(model.provider)
    return sorted({provider for found in providers.values() if len(found) == 1 for provider in found})
