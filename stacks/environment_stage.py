"""One environment: its stacks, each handed what it needs."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from aws_cdk import Acknowledgment, Annotations, Stage, Tags, Validations
from aws_cdk import Environment as AwsEnvironment
from constructs import Construct

from stacks.cache import CacheStack
from stacks.database import DatabaseStack
from stacks.datadog.stack import DatadogStack
from stacks.email import EmailStack
from stacks.gateway.sizing import doubts
from stacks.gateway.stack import GatewayStack
from stacks.litellm_config import LiteLlmConfig
from stacks.network import NetworkStack
from stacks.observability.stack import ObservabilityStack
from stacks.onboarding import OnboardingStack
from stacks.settings import Cache, Datadog, Environment, Onboarding, Releases
from stacks.settings.regions import lacking, told
from stacks.smoke import SmokeStack
from stacks.usage import UsageStack


class EnvironmentStage(Stage):
    """The gateway in one environment: network, database, cache, mail, the gateway itself, its smoke test, onboarding,
    Datadog's objects and usage (the cache and these where the settings have them) and observability, in this order.

    Raises
    ------
    ConfigError
        config.yaml has a mistake, or asks for what the environment does not provide.
    SettingsError
        The service could open more database connections than the cluster takes, accounts are for unknown models, or
        the smoke test could not reach the load balancer.
    BundlingError
        The onboarding functions' package could not be put together.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        environment: Environment,
        config_file: Path,
        image: str | None = None,
        releases: Releases | None = None,
    ) -> None:
        super().__init__(
            scope, environment.name, env=AwsEnvironment(account=environment.account, region=environment.region)
        )
        config = environment.litellm_config(config_file)
        environment.check_connections(config.database_pool_limit)
        environment.check_models({model.name for model in config.models}, config.access_groups)
        self.network = NetworkStack(
            self,
            "Network",
            **_common(environment, "network"),
        )
        self.database = DatabaseStack(
            self,
            "Database",
            vpc=self.network.vpc,
            security_group=self.network.database_group,
            **_common(environment, "database"),
        )
        self.cache = self._cache(environment, environment.cache) if environment.cache else None
        self.email = EmailStack(
            self,
            "Email",
            **_common(environment, "email"),
        )
        self.gateway = GatewayStack(
            self,
            "Gateway",
            config=config,
            vpc=self.network.vpc,
            load_balancer_group=self.network.load_balancer_group,
            gateway_group=self.network.gateway_group,
            database=self.database.cluster,
            cache=self.cache.host if self.cache else None,
            configuration_set=self.email.configuration_set,
            image=image,
            **_common(environment, "gateway"),
        )
        self.smoke = self._smoke(environment, config, releases)
        self.onboarding = self._onboarding(environment, environment.onboarding) if environment.onboarding else None
        self.datadog = self._datadog(environment, environment.datadog) if environment.datadog else None
        self.usage = self._usage(environment, config) if environment.report or environment.bill else None
        self.observability = ObservabilityStack(
            self,
            "Observability",
            network=self.network,
            database=self.database,
            cache=self.cache,
            gateway=self.gateway,
            onboarding=self.onboarding,
            usage=self.usage,
            **_common(environment, "observability"),
        )
        # No reference between them, and no alarm before what it watches.
        self.observability.add_stack_dependency(self.email)
        if self.cache:
            self.observability.add_stack_dependency(self.cache)
        Validations.of(self).acknowledge(
            Acknowledgment(
                id="CloudFormation-Validate::W3010",
                reason="The zones are settings of the environment, and one environment is one region",
            )
        )
        for warning in (*config.warnings, *config.price_notices(_today())):
            Annotations.of(self.gateway).add_warning_v2("litellm:config", warning)
        for doubt in doubts(environment):
            Annotations.of(self.gateway).add_warning_v2("litellm:size", doubt)
        if services := lacking(environment):
            Annotations.of(self).add_warning_v2("litellm:region", told(environment.name, environment.region, services))
        if environment.datadog and "masking.datadog" not in config.callbacks:
            Annotations.of(self).add_warning_v2(
                "litellm:datadog",
                f"{environment.name}: datadog is made of records of calls that {config_file.name} does not send: add "
                "masking.datadog to litellm_settings.callbacks, or leave datadog out.",
            )
        for key, value in environment.tags.items():
            Tags.of(self).add(key, value)

    def _cache(self, environment: Environment, settings: Cache) -> CacheStack:
        assert self.network.cache_group  # noqa: S101 - it is made for the same settings
        return CacheStack(
            self,
            "Cache",
            settings=settings,
            vpc=self.network.vpc,
            security_group=self.network.cache_group,
            **_common(environment, "cache"),
        )

    def _smoke(self, environment: Environment, config: LiteLlmConfig, releases: Releases | None) -> SmokeStack:
        stack = SmokeStack(
            self,
            "Smoke",
            config=config,
            version=self.gateway.version,
            vpc=self.network.vpc,
            security_group=self.network.functions_group,
            litellm_url=self.gateway.private_url,
            releases=releases,
            **_common(environment, "smoke"),
        )
        # It asks LiteLLM for a key while it is deployed, and gives it back while it is removed.
        stack.add_stack_dependency(self.gateway)
        return stack

    def _onboarding(self, environment: Environment, settings: Onboarding) -> OnboardingStack:
        stack = OnboardingStack(
            self,
            "Onboarding",
            settings=settings,
            vpc=self.network.vpc,
            security_group=self.network.functions_group,
            litellm_url=self.gateway.private_url,
            configuration_set=self.email.configuration_set,
            mail_events=self.email.events,
            **_common(environment, "onboarding"),
        )
        stack.add_stack_dependency(self.gateway)  # as the smoke test
        return stack

    def _usage(self, environment: Environment, config: LiteLlmConfig) -> UsageStack:
        stack = UsageStack(
            self,
            "Usage",
            config=config,
            vpc=self.network.vpc,
            security_group=self.network.functions_group,
            litellm_url=self.gateway.private_url,
            **_common(environment, "usage"),
        )
        stack.add_stack_dependency(self.gateway)  # as the smoke test
        return stack

    def _datadog(self, environment: Environment, settings: Datadog) -> DatadogStack:
        stack = DatadogStack(self, "Datadog", settings=settings, **_common(environment, "datadog"))
        # No reference between them, and no monitor of records before there is who sends them.
        stack.add_stack_dependency(self.gateway)
        return stack


def _common(environment: Environment, name: str) -> dict[str, Any]:
    """What every stack of an environment is given."""
    return {
        "stack_name": f"litellm-{environment.name}-{name}",
        "tags": environment.tags,
        "environment": environment,
    }


def _today() -> date:
    return datetime.now(UTC).date()
