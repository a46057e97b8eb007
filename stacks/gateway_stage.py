"""One environment: its stacks, each handed what it needs."""

from aws_cdk import Acknowledgment, Annotations, Stage, Tags, Validations
from aws_cdk import Environment as AwsEnvironment
from constructs import Construct

from stacks.database import DatabaseStack
from stacks.gateway import CONTAINER, GatewayStack
from stacks.litellm_config import LiteLlmConfig
from stacks.network import NetworkStack
from stacks.settings import Environment


class GatewayStage(Stage):
    """The gateway in one environment: network, database and the gateway itself, in this order.

    Raises
    ------
    ConfigError
        config.yaml has a mistake, or asks for what the environment does not provide.
    SettingsError
        The service could open more database connections than the cluster takes.
    """

    def __init__(self, scope: Construct, *, environment: Environment) -> None:
        super().__init__(
            scope, environment.name, env=AwsEnvironment(account=environment.account, region=environment.region)
        )
        config = LiteLlmConfig.load(
            CONTAINER / "config.yaml", provided=environment.plain_variables, licensed=environment.litellm_license
        )
        environment.check_connections(config.database_pool_limit)
        self.network = NetworkStack(
            self,
            "Network",
            stack_name=f"litellm-{environment.name}-network",
            environment=environment,
            tags=environment.tags,
        )
        self.database = DatabaseStack(
            self,
            "Database",
            stack_name=f"litellm-{environment.name}-database",
            tags=environment.tags,
            environment=environment,
            vpc=self.network.vpc,
            security_group=self.network.database_group,
        )
        self.gateway = GatewayStack(
            self,
            "Gateway",
            stack_name=f"litellm-{environment.name}-gateway",
            tags=environment.tags,
            environment=environment,
            config=config,
            vpc=self.network.vpc,
            load_balancer_group=self.network.load_balancer_group,
            gateway_group=self.network.gateway_group,
            database=self.database.cluster,
        )
        Validations.of(self).acknowledge(
            Acknowledgment(
                id="CloudFormation-Validate::W3010",
                reason="The zones are settings of the environment, and one environment is one region",
            )
        )
        for warning in config.warnings:
            Annotations.of(self.gateway).add_warning_v2("litellm:config", warning)
        for key, value in environment.tags.items():
            Tags.of(self).add(key, value)
