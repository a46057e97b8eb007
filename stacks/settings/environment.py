"""One environment: all its settings, what holds between them, and the names that follow from them."""

import fnmatch
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Self

from pydantic import model_validator

from stacks.litellm_config import (
    CACHE_VARIABLES,
    OVERWRITTEN,
    PROVIDER_SETTINGS,
    SECRET_SUFFIXES,
    SECRET_VALUE,
    TASK_VARIABLES,
    Address,
    LiteLlmConfig,
    load_config,
)
from stacks.litellm_config.bedrock import GEOGRAPHIES, geography_of
from stacks.litellm_config.made import Made, setting_of
from stacks.litellm_config.variables import is_for_all_of_aws
from stacks.settings.bedrock import Bedrock
from stacks.settings.gateway import LEAST_CAPACITY, RESERVED_CONNECTIONS, Cache, Database, Gateway
from stacks.settings.network import HostedZone, Ingress, Network
from stacks.settings.observability import Alarms, Datadog
from stacks.settings.onboarding import Email, Onboarding
from stacks.settings.providers import Providers
from stacks.settings.sleep import Sleep
from stacks.settings.usage import Bill, Report
from stacks.settings.values import (
    MOST_TAGS,
    RETENTION_DAYS,
    AccountId,
    HostName,
    Region,
    RetentionDays,
    Settings,
    SettingsError,
    Tags,
    VariableName,
    VariableValue,
    like,
)

# Rules of one direction in a security group: AWS's quota. A range has two of them, for HTTPS and for HTTP.
# https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
SECURITY_GROUP_RULES = 60
# The longest name that Certificate Manager takes as the first of a certificate.
# https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
CERTIFICATE_NAME = 64
# The longest value of a load balancer's condition on the host.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html#host-conditions
HOST_CONDITION = 128


class Environment(Settings):
    """One environment: everything that may differ from the others."""

    name: Annotated[
        str,
        like(
            r"[a-z][a-z0-9]{1,11}",
            "no name for an environment: use 2 to 12 small letters and digits, beginning with a letter, since it is "
            "part of names whose length and characters AWS, Slack and Datadog limit",
        ),
    ]
    account: AccountId
    region: Region = "ap-northeast-1"
    hosted_zone: HostedZone
    domain: HostName
    certificate_arn: (
        Annotated[
            str,
            like(
                r"arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[0-9a-f-]{36}",
                "no ARN of a certificate: copy it whole from Certificate Manager",
            ),
        ]
        | None
    ) = None
    network: Network
    ingress: Ingress
    gateway: Gateway = Gateway()
    database: Database = Database()
    cache: Cache | None = None
    sleep: Sleep | None = None
    providers: Providers = Providers()
    bedrock: Bedrock = Bedrock()
    variables: dict[VariableName, VariableValue] = {}  # noqa: RUF012 - pydantic copies it for each
    email: Email = Email()
    onboarding: Onboarding | None = None
    alarms: Alarms = Alarms()
    datadog: Datadog | None = None
    report: Report | None = None
    bill: Bill | None = None
    litellm_license: bool = False
    deletion_protection: bool = True
    log_retention_days: RetentionDays = 30
    tags: Tags = {}  # noqa: RUF012

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for zone in self.network.zones:
            if not re.fullmatch(rf"{self.region}[a-z]", zone):
                raise ValueError(
                    f"network.zones has '{zone}', which is no zone of {self.region}: use {self.region}a and the like"
                )
        if self.domain != self.hosted_zone.name and not self.domain.endswith(f".{self.hosted_zone.name}"):
            raise ValueError(
                f"domain {self.domain} is not in hosted_zone {self.hosted_zone.name}: its records would have no place"
            )
        if self.certificate_arn and self.certificate_arn.split(":")[3:5] != [self.region, self.account]:
            raise ValueError(
                f"certificate_arn is of another region or account than {self.region} and {self.account}: "
                "a load balancer takes only its own"
            )
        self._check_names()
        self._check_ingress()
        self._check_variables()
        self._check_profiles()
        self._check_nat()
        self._check_copies()
        self._check_sleep()
        if self.bill and self.bill.google and not self.providers.vertexai_project:
            raise ValueError("bill.google has no project to look for in the export: set providers.vertexai_project")
        return self

    def _check_names(self) -> None:
        """Refuse a domain from which a name is derived that is too long."""
        most = HOST_CONDITION if self.certificate_arn else CERTIFICATE_NAME
        if len(self.domain) > most:
            raise ValueError(
                f"domain has {len(self.domain)} characters, and a "
                f"{'load balancer tells hosts' if self.certificate_arn else 'certificate is made'} by {most} at most: "
                "use a shorter one"
            )
        if self.onboarding and len(self.slack_domain) > CERTIFICATE_NAME:
            raise ValueError(
                f"domain has {len(self.domain)} characters, and {self.slack_domain}, which onboarding needs a "
                f"certificate for, may have {CERTIFICATE_NAME}: use a shorter one"
            )

    def _check_ingress(self) -> None:
        """Refuse what the load balancer's place or its security group cannot take."""
        vpc = self.network.vpc
        if vpc and self.ingress.public and not vpc.public_subnet_ids:
            raise ValueError(
                "network.vpc names no public_subnet_ids, and ingress.public is on: name one per zone, in the order of "
                "zones"
            )
        if vpc and self.ingress.public and not vpc.nat_addresses:
            raise ValueError(
                "network.vpc names no nat_addresses, and ingress.public is on: name the public addresses of the VPC's "
                "NAT gateways, from which the smoke test reaches the load balancer"
            )
        others = 1 if not self.ingress.public else len(vpc.nat_addresses) if vpc else self.network.nat_gateways
        rules = 2 * len(self.ingress.cidrs) + others
        if rules > SECURITY_GROUP_RULES:
            raise ValueError(
                f"ingress.cidrs names {len(self.ingress.cidrs)} ranges, which makes {rules} rules, HTTPS and HTTP, and "
                f"a security group takes {SECURITY_GROUP_RULES}: put neighbouring ranges together"
            )

    def _check_variables(self) -> None:
        """Refuse a variable that the gateway sets itself, or that is to be a secret."""
        for name, value in self.variables.items():
            if setting := setting_of(name):
                raise ValueError(f"variables has {name}, which {setting} gives the task: use another name")
            if name.startswith(CACHE_VARIABLES):
                raise ValueError(f"variables has {name}, by which LiteLLM would look for a Redis: set cache instead")
            if name in PROVIDER_SETTINGS:
                raise ValueError(f"variables has {name}: set providers.{PROVIDER_SETTINGS[name]} instead")
            if is_for_all_of_aws(name):
                raise ValueError(
                    f"variables has {name}, which is read for every call of AWS, by its SDK or by LiteLLM: use another "
                    "name"
                )
            if name.endswith(SECRET_SUFFIXES) or SECRET_VALUE.search(value):
                raise ValueError(
                    f"variables has {name}, which is a secret: end its name in one of {', '.join(SECRET_SUFFIXES)} in "
                    "config.yaml, remove it here, and put the value into Parameter Store with make secrets"
                )
            if name in TASK_VARIABLES | OVERWRITTEN or name in self._own_variables:
                raise ValueError(f"variables has {name}, which the gateway sets itself: use another name")

    def _check_profiles(self) -> None:
        """Refuse an inference profile that cannot be made in the environment's region."""
        for profile in self.bedrock.inference_profiles:
            geography, model = geography_of(profile.model)
            if geography and not self.region.startswith(GEOGRAPHIES[geography].callers):
                raise ValueError(
                    f"bedrock.inference_profiles: {profile.name} is of {profile.model}, which cannot be called from "
                    f"{self.region}, where it would be made: use the profile of that geography, or global.{model}"
                )
            if both := sorted(self.tags.keys() & profile.tags.keys()):
                raise ValueError(
                    f"bedrock.inference_profiles: {profile.name} has the tag {both[0]}, which tags of the environment "
                    "has too: use another key"
                )
            if len(self.tags | profile.tags) > MOST_TAGS:
                raise ValueError(
                    f"bedrock.inference_profiles: {profile.name} has {len(self.tags | profile.tags)} tags with those "
                    f"of the environment, and AWS takes 50 with its own: keep to {MOST_TAGS}"
                )

    def _check_nat(self) -> None:
        """Refuse one small machine as the only way out of an environment that people rely on."""
        if self.network.nat_instance and self.deletion_protection:
            raise ValueError(
                "network.nat_instance is for an environment that people can do without while it is repaired, and "
                "deletion_protection is on, which is for one that they rely on: turn one of the two off"
            )

    def _check_copies(self) -> None:
        """Refuse copies that would be lost with the region."""
        copies = self.database.copies
        if copies and copies.region == self.region:
            raise ValueError(
                f"database.copies.region is {copies.region}, which is the environment's own, and copies there would be "
                "lost with it: name another region"
            )

    def _check_sleep(self) -> None:
        """Refuse a sleep where other settings say that people rely on the environment, and what a pause cannot have."""
        if not self.sleep:
            return
        relied_on = {
            "deletion_protection is on": (self.deletion_protection, "turn it off if nobody relies on what is in it"),
            "database.reader is on": (self.database.reader, "leave it out"),
            "network.nat_gateways is above 1": (self.network.nat_gateways > 1, "use one"),
        }
        for what, (given, do) in relied_on.items():
            if given:
                raise ValueError(
                    f"sleep is for an environment that people can do without at night, and {what}, which is for one "
                    f"that they rely on: {do}, or leave sleep out"
                )
        if self.database.min_capacity > LEAST_CAPACITY:
            raise ValueError(
                f"database.min_capacity is {self.database.min_capacity:g}, and sleep has the database pause, for which "
                f"Aurora's least is 0: leave min_capacity out ({LEAST_CAPACITY:g} is what it has while it is in use)"
            )

    def litellm_config(self, file: Path) -> LiteLlmConfig:
        """The company's config.yaml, read as this environment has it: its plain variables, its licence.

        Raises
        ------
        ConfigError
            The file has a mistake, or asks for what the environment does not provide.
        """
        return load_config(
            file,
            provided=self.plain_variables,
            licensed=self.litellm_license,
            region=self.region,
            opened=self.ingress.also_open,
            servers={Address(each.host, each.port): each.private for each in self.providers.servers},
            made=Made(self.bedrock.personal_data is not None, self.bedrock.profiles),
            cached=self.cache is not None,
        )

    def check_models(self, models: Collection[str], groups: Collection[str] = ()) -> None:
        """Refuse accounts and plans for models that there are not.

        `models` are the names in config.yaml, `groups` those of its access groups, by which LiteLLM lets a key use
        several models at once.

        Raises
        ------
        SettingsError
            `onboarding.models` has another name, or a plan of `report` covers none.
        """
        offered = {*models, *groups}
        unknown = sorted(set(self.onboarding.models if self.onboarding else ()) - offered)
        if unknown:
            raise SettingsError(
                f"{self.name}: onboarding.models has {', '.join(unknown)}, which company/config.yaml does not offer: "
                f"it has {', '.join(sorted(offered))}"
            )
        for plan in self.report.plans if self.report else ():
            for pattern in plan.covers:
                if not fnmatch.filter(models, pattern):
                    raise SettingsError(
                        f"{self.name}: report.plans: {plan.name} covers {pattern}, which fits no model of "
                        f"company/config.yaml: it has {', '.join(sorted(models))}"
                    )

    @property
    def parameter_prefix(self) -> str:
        """Where this environment's parameters are in SSM Parameter Store, without a closing slash."""
        return f"/litellm/{self.name}"

    def parameter(self, name: str) -> str:
        """The full name of one of this environment's SSM parameters."""
        return f"{self.parameter_prefix}/{name}"

    @property
    def function_secrets(self) -> tuple[str, ...]:
        """Names of the secrets that the functions need of people, beside those of config.yaml."""
        needed = {
            "SLACK_SIGNING_SECRET": self.onboarding,
            "SLACK_BOT_TOKEN": self.onboarding or self.report,
            "DD_API_KEY": self.datadog,
            "DD_APP_KEY": self.datadog,
        }
        of_bills = self.bill.secrets if self.bill else ()
        return (*(name for name, settings in needed.items() if settings), *of_bills)

    @property
    def cache_name(self) -> str:
        """The replication group's identifier, which its nodes' are made of."""
        return f"litellm-{self.name}"

    @property
    def snapshots_vault(self) -> str:
        """The vault of AWS Backup with the snapshots that copies are made of, in the environment's region."""
        return f"litellm-{self.name}-snapshots"

    @property
    def copies_vault(self) -> str:
        """The vault of AWS Backup with the copies, in the second region."""
        return f"litellm-{self.name}-copies"

    @property
    def copies_key(self) -> str:
        """The alias of the key that the copies are encrypted with, in the second region."""
        return f"alias/litellm-{self.name}-copies"

    @property
    def log_retention(self) -> str:
        """The name in `aws_logs.RetentionDays` of how long logs are kept."""
        return RETENTION_DAYS[self.log_retention_days]

    @property
    def task_role(self) -> str:
        """How the name of the task's role begins, which CloudFormation makes of the stack's name and its own, and a
        star: a policy of another account names it so.
        """
        return f"litellm-{self.name}-gateway-TaskTaskRole*"

    @property
    def mail_sender(self) -> str:
        """The address that mails of the gateway come from."""
        return f"llm-gateway@{self.domain}"

    @property
    def derived_names(self) -> frozenset[str]:
        """The host names that are this environment's alone."""
        slack = (self.slack_domain,) if self.onboarding else ()
        return frozenset({self.domain, f"bounce.{self.domain}", *slack})

    @property
    def slack_domain(self) -> str:
        """The name under which Slack reaches the onboarding function."""
        return f"slack.{self.domain}"

    @property
    def plain_variables(self) -> dict[str, str]:
        """The task's plain variables that come from the settings, by LiteLLM's names for them."""
        of_providers = {
            "AZURE_API_BASE": self.providers.azure_api_base,
            "AZURE_AI_API_BASE": self.providers.azure_ai_api_base,
            "VERTEXAI_PROJECT": self.providers.vertexai_project,
            "VERTEXAI_LOCATION": self.providers.vertexai_project and self.providers.vertexai_location,
        }
        return self.variables | {name: value for name, value in of_providers.items() if value} | self._own_variables

    @property
    def _own_variables(self) -> dict[str, str]:
        """Those of `plain_variables` that no setting names."""
        return {
            "DD_SITE": self.providers.dd_site,
            "DD_SOURCE": "litellm",
            "DD_SERVICE": "litellm-gateway",
            "DD_ENV": self.name,
            "SMTP_HOST": f"email-smtp.{self.region}.amazonaws.com",
            "SMTP_PORT": "587",
            "SMTP_TLS": "True",
            "SMTP_SENDER_EMAIL": self.mail_sender,
            "TRUSTED_PROXY_RANGES": str(self.network.cidr),  # where the load balancer is
        }

    def check_connections(self, pool_limit: int) -> None:
        """Refuse a service that could ask the database for more connections than it takes.

        `pool_limit` is `database_connection_pool_limit` of config.yaml, per worker. While a deployment runs there are
        twice as many tasks, and one migration.

        Raises
        ------
        SettingsError
            The largest number of connections is above what the cluster takes at its largest capacity.
        """
        needed = (2 * self.gateway.max_tasks * self.gateway.workers + 1) * pool_limit
        available = self.database.max_connections - RESERVED_CONNECTIONS
        if needed > available:
            raise SettingsError(
                f"{self.name}: a deployment may open {needed} database connections (2 x {self.gateway.max_tasks} tasks "
                f"x {self.gateway.workers} workers x {pool_limit}, and {pool_limit} for the migration), but Aurora "
                f"takes {available} at {self.database.max_capacity:g} ACU: raise database.max_capacity, which a "
                "deployed database takes up when it is restarted (docs/upgrading.md), or lower gateway.max_tasks or "
                "database_connection_pool_limit in company/config.yaml"
            )
