"""The types of the settings, and the rules they must obey: what `company/environments.py` is written in.

Every model is frozen and refuses unknown names. A value that cannot work is refused when it is read, in one
sentence that names the environment, the setting and what to do.
"""

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import combinations
from math import ceil
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import botocore.session
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from stacks.litellm_config import OVERWRITTEN, PROVIDER_SETTINGS, SECRET_SUFFIXES, SECRET_VALUE, TASK_VARIABLES

# Memory (MiB) that Fargate offers for each CPU size (CPU units, 1024 = 1 vCPU).
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
FARGATE_MEMORY: dict[int, range] = {
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
# What LiteLLM advises for each worker process: 1 vCPU and 4 GiB. At rest one was measured at 740 MB resident.
WORKER_CPU = 1024
WORKER_MEMORY = 4096

# Aurora PostgreSQL: max_connections = LEAST(DBInstanceClassMemory / 9531392, 5000), an ACU being 2 GiB of memory; a
# cluster whose smallest capacity is 0 or 0.5 ACU is capped at 2000.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
ACU_BYTES = 2 * 1024**3
BYTES_PER_CONNECTION = 9_531_392
MAX_CONNECTIONS = 5000
MAX_CONNECTIONS_AT_HALF_ACU = 2000
# Connections that Aurora keeps for its own and for superuser sessions, and room for one administrator's tools.
RESERVED_CONNECTIONS = 15

# LiteLLM's database in the cluster, and the user that owns it.
DATABASE_NAME = "litellm"
DATABASE_USERNAME = "litellm"

# Ranges that are not for hosts in a network: this host, loopback, link-local, multicast and what is reserved.
NO_VPC = tuple(map(ipaddress.IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")))

# The tiers of a new VPC, in the order in which they get addresses, with the size of each zone's subnet.
SUBNET_PREFIXES = {"Public": 26, "Private": 24, "Isolated": 26}

# Rules of one direction in a security group: AWS's quota. A range has two of them, for HTTPS and for HTTP.
# https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
SECURITY_GROUP_RULES = 60
# The longest name that Certificate Manager takes as the first of a certificate.
# https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
CERTIFICATE_NAME = 64
# The longest value of a load balancer's condition on the host.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html#host-conditions
HOST_CONDITION = 128

# Tags of a resource: AWS takes 50, of which the CDK and CloudFormation add some.
MOST_TAGS = 40

# The days that CloudWatch Logs accepts, and the CDK's names for them (`aws_logs.RetentionDays`).
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = {
    1: "ONE_DAY",
    3: "THREE_DAYS",
    5: "FIVE_DAYS",
    7: "ONE_WEEK",
    14: "TWO_WEEKS",
    30: "ONE_MONTH",
    60: "TWO_MONTHS",
    90: "THREE_MONTHS",
    120: "FOUR_MONTHS",
    150: "FIVE_MONTHS",
    180: "SIX_MONTHS",
    365: "ONE_YEAR",
    400: "THIRTEEN_MONTHS",
    545: "EIGHTEEN_MONTHS",
    731: "TWO_YEARS",
    1096: "THREE_YEARS",
    1827: "FIVE_YEARS",
    2192: "SIX_YEARS",
    2557: "SEVEN_YEARS",
    2922: "EIGHT_YEARS",
    3288: "NINE_YEARS",
    3653: "TEN_YEARS",
}


# The workflows of .github/ release this branch, and have a job for each of so many environments.
WORKFLOW_BRANCH = "main"
WORKFLOW_ENVIRONMENTS = 6


class SettingsError(ValueError):
    """A setting that cannot work. The message is one sentence for the person who edits the settings."""


@cache
def _regions() -> tuple[str, ...]:
    """Every region of ECS that the pinned botocore knows; read from its data files, not from AWS."""
    return tuple(botocore.session.Session().get_available_regions("ecs"))


def _known_region(region: str) -> str:
    if region not in _regions():
        raise ValueError(f"'{region}' is not an AWS region: use one such as ap-northeast-1")
    return region


def _network(cidr: Any) -> ipaddress.IPv4Network:  # noqa: ANN401 - pydantic hands over whatever was written
    try:
        return ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"'{cidr}' is not an IPv4 range ({error}): write it as 10.0.0.0/16") from error


def _address(address: Any) -> ipaddress.IPv4Address:  # noqa: ANN401 - pydantic hands over whatever was written
    try:
        return ipaddress.IPv4Address(address)
    except ValueError as error:
        raise ValueError(f"'{address}' is no IPv4 address: write it as 203.0.113.9") from error


def _not_the_world(cidr: ipaddress.IPv4Network) -> ipaddress.IPv4Network:
    # Two /1 are the world as well as one /0 is; no company's own range is wider than a /8.
    if cidr.prefixlen < 8:
        raise ValueError(f"{cidr} is open to the world: name your company's own ranges (a /8 at the widest)")
    return cidr


def _retention(days: int) -> int:
    if days not in RETENTION_DAYS:
        raise ValueError(
            f"CloudWatch Logs keeps no log for {days} days: choose one of {', '.join(map(str, RETENTION_DAYS))}"
        )
    return days


@cache
def _timezones() -> frozenset[str]:
    """Every time zone of the machine or of tzdata: looking for them takes a while.

    What `localtime` is depends on the machine, and Factory says that a machine has none.
    """
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _known_timezone(name: str) -> str:
    if name not in _timezones():
        raise ValueError(f"'{name}' is no time zone: use one such as Asia/Tokyo or UTC")
    return name


def _like(pattern: str, problem: str) -> AfterValidator:
    """Refuse a text that the pattern does not fit, with what is wrong and what to write instead."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"'{value}' is {problem}")
        return value

    return AfterValidator(check)


def _once(what: str) -> AfterValidator:
    """Refuse a list that names one twice."""

    def check(values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) != len(values):
            raise ValueError(f"{what} is named twice ({', '.join(map(str, values))}): name each once")
        return values

    return AfterValidator(check)


def _tags(tags: dict[str, str]) -> dict[str, str]:
    """What every service takes: IAM does not tell keys by case, and a template comes back without other characters."""
    for key, value in tags.items():
        if not re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{1,128}", key) or key.lower().startswith("aws:"):
            raise ValueError(f"'{key}' is no key of a tag: use at most 128 letters, digits and _.:/=+@-, not aws:…")
        if not re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{0,256}", value):
            raise ValueError(f"'{value}' is no value of a tag: use at most 256 letters, digits and _.:/=+@-")
    if len({key.lower() for key in tags}) != len(tags):
        raise ValueError(f"two keys differ only by case ({', '.join(tags)}): IAM takes them for one, so name it once")
    if len(tags) > MOST_TAGS:
        raise ValueError(f"there are {len(tags)} of them, and AWS takes 50 with its own: keep to {MOST_TAGS}")
    return tags


SubnetId = Annotated[str, _like(r"subnet-[0-9a-f]{8,17}", "no id of a subnet: copy it whole, subnet-…")]
AccountId = Annotated[str, _like(r"\d{12}", "no AWS account: write its twelve digits in quotes")]
Region = Annotated[str, AfterValidator(_known_region)]
Address = Annotated[ipaddress.IPv4Address, BeforeValidator(_address)]
Cidr = Annotated[ipaddress.IPv4Network, BeforeValidator(_network)]
NamedRange = Annotated[Cidr, AfterValidator(_not_the_world)]
HostName = Annotated[
    str,
    _like(
        r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
        "no host name: write it in small letters, without https:// and without a dot at the end",
    ),
]
MailAddress = Annotated[
    str,
    BeforeValidator(lambda address: address.lower() if isinstance(address, str) else address),
    _like(r"[a-z0-9._+-]{1,64}@([a-z0-9-]+\.)+[a-z]{2,63}", "no mail address: write it as sre@example.com"),
]
TeamName = Annotated[
    str,
    _like(
        r"[a-z0-9][a-z0-9-]{0,39}",
        "no name for a team: use at most 40 small letters, digits and hyphens, as in data-eng",
    ),
]
UsDollars = Annotated[float, Field(ge=0.01, le=1_000_000)]
Percent = Annotated[float, Field(ge=0.01, le=100)]
SlackWorkspaceId = Annotated[
    str, _like(r"[TE][A-Z0-9]{6,20}", "no workspace of Slack: copy its id, T… (or E…, of an organization)")
]
SlackChannelId = Annotated[
    str, _like(r"[CG][A-Z0-9]{6,20}", "no channel of Slack: copy its id, C… or G…, from the channel's details")
]
SlackGroupId = Annotated[str, _like(r"S[A-Z0-9]{6,20}", "no user group of Slack: copy its id, S…")]
Uuid = Annotated[
    str,
    _like(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "no id of Azure: copy it whole, eight-four-four-four-twelve"),
]
RetentionDays = Annotated[int, AfterValidator(_retention)]
VariableName = Annotated[
    str,
    _like(r"[A-Z][A-Z0-9_]{1,99}", "no name of a variable: use capitals, digits and underscores, as in AZURE_EU_BASE"),
]
VariableValue = Annotated[
    str, _like(r"[!-~]([ -~]{0,1022}[!-~])?", "no value of a variable: use 1 to 1024 characters of ASCII, in one line")
]
Tags = Annotated[dict[str, str], AfterValidator(_tags)]
EndpointName = Annotated[
    str,
    _like(r"[a-z0-9]([a-z0-9.-]{0,60}[a-z0-9])?", "no service with an endpoint: use its name, as in ecr.dkr or ssm"),
]
Acu = Annotated[float, Field(ge=0.5, le=256, multiple_of=0.5)]


class Settings(BaseModel):
    """What all groups of settings have in common: frozen, and no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class HostedZone(Settings):
    """The Route 53 hosted zone that the gateway's records go into, in the same account."""

    id: Annotated[str, _like(r"Z[A-Z0-9]{5,31}", "no id of a hosted zone: copy it from Route 53, Z…")]
    name: HostName


class ExistingVpc(Settings):
    """A VPC that is there already.

    Each list names one subnet per zone, in the order of `Network.zones`; the private ones have a way to the internet,
    and the public ones, which hold a public load balancer, may be left out for an internal one.
    `nat_addresses` are the public addresses of that way: the smoke test comes from them to a public load balancer.
    """

    id: Annotated[str, _like(r"vpc-[0-9a-f]{8,17}", "no id of a VPC: copy it whole, vpc-…")]
    public_subnet_ids: Annotated[tuple[SubnetId, ...], _once("a subnet")] = ()
    private_subnet_ids: Annotated[tuple[SubnetId, ...], _once("a subnet")]
    isolated_subnet_ids: Annotated[tuple[SubnetId, ...], _once("a subnet")]
    nat_addresses: Annotated[tuple[Address, ...], _once("an address")] = ()


class Network(Settings):
    """Where the gateway lives.

    `cidr` is the VPC's own range, also of an existing one. `interface_endpoints` are AWS services reached without the
    NAT gateways (endpoint names such as `ecr.dkr`): each costs about 10 USD a month and zone and saves 0.062 USD per GB
    in Tokyo, so name one for traffic above some 300 GB a month, or where the way must not lead over the internet.
    """

    zones: Annotated[tuple[str, ...], Field(min_length=2)]
    cidr: Cidr
    nat_gateways: Annotated[int, Field(ge=1)] = 1
    interface_endpoints: Annotated[tuple[EndpointName, ...], _once("an endpoint")] = ()
    vpc: ExistingVpc | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.zones)) != len(self.zones):
            raise ValueError(f"zones names one twice ({', '.join(self.zones)}): the gateway needs two different ones")
        if not 16 <= self.cidr.prefixlen <= 28:
            raise ValueError(f"cidr {self.cidr} is no size of a VPC: use one from /16 to /28")
        if self.cidr.is_global:
            raise ValueError(f"cidr {self.cidr} is public address space: use a private range such as 10.0.0.0/16")
        if any(self.cidr.overlaps(each) for each in NO_VPC):
            raise ValueError(f"cidr {self.cidr} is of no use in a network: use a private range such as 10.0.0.0/16")
        if not self.vpc and self._addresses_needed() > self.cidr.num_addresses:
            largest = 32 - (self._addresses_needed() - 1).bit_length()
            raise ValueError(
                f"cidr {self.cidr} does not hold the subnets of {len(self.zones)} zones: use a /{largest} or larger, "
                "or fewer zones"
            )
        if self.nat_gateways > len(self.zones):
            raise ValueError(
                f"nat_gateways is {self.nat_gateways} for {len(self.zones)} zones: use one per zone at most"
            )
        if self.vpc:
            for kind in ("public", "private", "isolated"):
                ids = getattr(self.vpc, f"{kind}_subnet_ids")
                if len(ids) != len(self.zones) and (ids or kind != "public"):
                    raise ValueError(
                        f"vpc.{kind}_subnet_ids names {len(ids)} subnets for {len(self.zones)} zones: "
                        "name one per zone, in the order of zones"
                    )
        return self

    def _addresses_needed(self) -> int:
        """The end of the last subnet in a new VPC: tier after tier, each from a multiple of its subnets' size."""
        end = 0
        for prefix in SUBNET_PREFIXES.values():
            size = 2 ** (32 - prefix)
            end = ceil(end / size) * size + len(self.zones) * size
        return end


class Ingress(Settings):
    """Who may reach the load balancer.

    `public` puts it on the internet side, for `cidrs` only; otherwise it is internal and `cidrs` are the company's
    ranges that are routed to the VPC. From all of them answer the LLM routes, and what people need of LiteLLM's UI for
    themselves: an invitation, sign-in, their own keys and usage. From `management_cidrs`, a part of them, everything
    else answers too: the management routes, and so the administrators' pages. `requests_per_address` is the most that
    one address may send in five minutes, where sign-ins have a lower limit; a whole office may share one.
    """

    public: bool
    requests_per_address: Annotated[int, Field(ge=100, le=2_000_000_000)] = 20_000
    cidrs: Annotated[tuple[NamedRange, ...], Field(min_length=1), _once("a range")]
    management_cidrs: Annotated[tuple[NamedRange, ...], Field(min_length=1), _once("a range")]

    @model_validator(mode="after")
    def _management_within(self) -> Self:
        for cidr in self.management_cidrs:
            if not any(cidr.subnet_of(outer) for outer in self.cidrs):
                raise ValueError(
                    f"management_cidrs has {cidr}, which cidrs does not let in: add it to cidrs or remove it"
                )
        return self


class Gateway(Settings):
    """The LiteLLM service: `cpu` in CPU units (1024 = 1 vCPU), `memory` in MiB, both per task.

    `requests_per_task` is the load in requests a minute at which a task is added. Spot tasks cost a third and end with
    two minutes' notice, which cuts long answers.
    """

    cpu: int = 1024
    memory: int = 4096
    workers: Annotated[int, Field(ge=1, le=16)] = 1
    min_tasks: Annotated[int, Field(ge=1)] = 1
    max_tasks: Annotated[int, Field(ge=1)] = 2
    requests_per_task: Annotated[int, Field(ge=1)] = 1200
    spot: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.cpu not in FARGATE_MEMORY:
            raise ValueError(
                f"cpu {self.cpu} is no size that LiteLLM fits in: use {', '.join(map(str, FARGATE_MEMORY))}"
            )
        sizes = FARGATE_MEMORY[self.cpu]
        if self.memory not in sizes:
            raise ValueError(
                f"Fargate offers no memory of {self.memory} MiB with cpu {self.cpu}: use {sizes[0]} to {sizes[-1]} MiB "
                f"in steps of {sizes.step}"
            )
        if self.cpu < self.workers * WORKER_CPU or self.memory < self.workers * WORKER_MEMORY:
            raise ValueError(
                f"cpu {self.cpu} and memory {self.memory} are too little for {self.workers} workers: LiteLLM needs "
                f"{WORKER_CPU} CPU units and {WORKER_MEMORY} MiB for each, so raise them to "
                f"{self.workers * WORKER_CPU} and {self.workers * WORKER_MEMORY} or lower workers"
            )
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"min_tasks {self.min_tasks} is above max_tasks {self.max_tasks}: swap or raise max_tasks")
        return self


class Database(Settings):
    """Aurora PostgreSQL Serverless v2: capacities in ACU (2 GiB of memory each), backups in days.

    The least is 0.5 ACU: a pause at 0 needs a moment without connections, and LiteLLM's pool always keeps one.
    """

    min_capacity: Acu = 0.5
    max_capacity: Annotated[Acu, Field(ge=1)] = 2
    reader: bool = False
    backup_days: Annotated[int, Field(ge=1, le=35)] = 7

    @model_validator(mode="after")
    def _minimum_below_maximum(self) -> Self:
        if self.min_capacity > self.max_capacity:
            raise ValueError(
                f"min_capacity {self.min_capacity} is above max_capacity {self.max_capacity}: "
                "swap them or raise max_capacity"
            )
        return self

    @property
    def max_connections(self) -> int:
        """Connections that the cluster takes at its largest capacity."""
        ceiling = MAX_CONNECTIONS_AT_HALF_ACU if self.min_capacity <= 0.5 else MAX_CONNECTIONS
        return min(int(self.max_capacity * ACU_BYTES) // BYTES_PER_CONNECTION, ceiling)


class Providers(Settings):
    """The plain (not secret) variables of the providers that `company/config.yaml` refers to, in LiteLLM's names.

    One that no model needs is left out.
    """

    azure_api_base: (
        Annotated[
            str,
            _like(
                r"https://[a-z0-9-]+\.(openai|cognitiveservices)\.azure\.com/?",
                "no address of an Azure OpenAI resource: write it as https://NAME.openai.azure.com",
            ),
        ]
        | None
    ) = None
    vertexai_project: (
        Annotated[
            str, _like(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "no id of a Google Cloud project: copy its id, not its name")
        ]
        | None
    ) = None
    vertexai_location: Annotated[
        str, _like(r"global|us|eu|[a-z]+-[a-z]+\d+", "no location of Vertex AI: use global or one such as europe-west1")
    ] = "global"
    dd_site: HostName = "ap1.datadoghq.com"


class Email(Settings):
    """The mails of the gateway: invitations, and LiteLLM's notices about budgets. The sender is `llm-gateway@<domain>`.

    Answers go to `reply_to`. `dmarc_policy` is what receivers are asked to do with a forged mail of the domain, and
    `dmarc_reports` where they report it. Another `smtp_key` makes a new key for LiteLLM's notices, by SMTP, and removes
    the one that there was: change it to rotate the key.
    """

    reply_to: MailAddress | None = None
    dmarc_policy: Literal["none", "quarantine", "reject"] = "quarantine"
    dmarc_reports: MailAddress | None = None
    smtp_key: Annotated[
        str, _like(r"[A-Za-z0-9-]{1,32}", "no label of a key: use at most 32 letters, digits and hyphens")
    ] = "1"


class Onboarding(Settings):
    """Accounts that people ask for in Slack, and that close when they leave.

    `command` is the slash command, another one in each environment of one workspace. `workspace` (T… or E…),
    `audit_channel` (C… or G…) and `approver_group` (S…) are Slack's ids. A mail address is taken from the Slack profile
    and must be of `mail_domains`. An account starts with `max_budget` US dollars per `budget_duration`, for `models`
    (all of config.yaml if none is named), with at most `tpm_limit` tokens and `rpm_limit` requests a minute. Who asks
    for more, up to `budget_ceiling`, waits for one of `approver_group`; without such a group nobody gets more. Accounts
    of `protected` addresses never close by themselves; with `dry_run` none does, and the audit channel is told which
    would. The daily sweep closes no more than `close_limit` at once.
    """

    command: Annotated[
        str, _like(r"/[a-z0-9_-]{1,31}", "no slash command: use a / and at most 31 small letters, digits, - and _")
    ] = "/llm-account"
    workspace: SlackWorkspaceId
    audit_channel: SlackChannelId
    approver_group: SlackGroupId | None = None
    mail_domains: Annotated[tuple[HostName, ...], Field(min_length=1)]
    teams: Annotated[tuple[TeamName, ...], Field(min_length=1, max_length=100)]  # Slack's most options in a select
    max_budget: UsDollars = 100
    budget_ceiling: UsDollars = 1000
    budget_duration: Annotated[
        str, _like(r"[1-9]\d{0,2}(h|d|mo)", "no time for a budget: write it as 24h, 30d or 1mo")
    ] = "30d"
    models: tuple[str, ...] = ()
    tpm_limit: Annotated[int, Field(ge=1)] | None = None
    rpm_limit: Annotated[int, Field(ge=1)] | None = None
    protected: tuple[MailAddress, ...] = ()
    dry_run: bool = False
    close_limit: Annotated[int, Field(ge=1)] = 20

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_budget > self.budget_ceiling:
            raise ValueError(
                f"max_budget {self.max_budget:g} is above budget_ceiling {self.budget_ceiling:g}: swap them or raise "
                "budget_ceiling"
            )
        for name in ("teams", "mail_domains"):
            values: tuple[str, ...] = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} names one twice ({', '.join(values)}): name each once")
        return self


class Listeners(Settings):
    """Who is told: mail addresses, and a channel of Slack (`workspace` T…, `channel` C… or G…).

    The channel is served by Amazon Q Developer in chat applications, which somebody lets into the workspace once, in
    AWS's console.
    """

    emails: Annotated[tuple[MailAddress, ...], _once("an address")] = ()
    workspace: SlackWorkspaceId | None = None
    channel: SlackChannelId | None = None

    @model_validator(mode="after")
    def _whole_place(self) -> Self:
        if (self.workspace is None) != (self.channel is None):
            raise ValueError("workspace and channel name one place in Slack together: set both or neither")
        return self


class Alarms(Listeners):
    """Who hears of alarms, and the `monthly_budget`.

    That is what all of the account may cost in a month, in US dollars, before AWS Budgets says so; without it there is
    no budget.
    """

    monthly_budget: UsDollars | None = None


class Datadog(Settings):
    """Metrics, dashboard and monitors in Datadog, made from the records of calls, in the organisation of the API key.

    Monitors tell `notify`, in Datadog's words: @slack-channel, @pagerduty-service, @name@example.com. They say when a
    person's day costs three times the same day a week before and `spend_jump` US dollars more, when `error_percent` of
    a provider's answers in 15 minutes are errors, and when a person has used `budget_percent` of a budget.
    """

    notify: tuple[
        Annotated[
            str,
            _like(
                r"@[A-Za-z0-9._@+-]{2,100}", "no listener of Datadog: write it as @slack-channel or @name@example.com"
            ),
        ],
        ...,
    ] = ()
    spend_jump: UsDollars = 20
    error_percent: Percent = 10
    budget_percent: Percent = 80


class Plan(Settings):
    """A flat-rate plan of a provider, for one person: `monthly_price` in US dollars.

    It covers the models of `covers` (names in config.yaml; * stands for any characters), of whose use, at the prices
    that the gateway counts with, `monthly_allowance` US dollars a month are included; without it, all. `seats` is the
    Slack user group of those who have one. With `through_gateway` the use of a seat passes through the gateway, so that
    who hardly uses it can be told.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    monthly_price: UsDollars
    covers: Annotated[tuple[str, ...], Field(min_length=1)]
    monthly_allowance: UsDollars | None = None
    seats: SlackGroupId | None = None
    through_gateway: bool = False


class Report(Settings):
    """What Slack's `channel` (C… or G…) is told of usage: `weekly` on Mondays, `monthly` on the first, at `hour`.

    It names the `top` users, who would be cheaper on one of the `plans`, who uses less than `seat_percent` of what a
    seat costs, and whose spend is more than `jump_factor` times and `jump_minimum` US dollars above that of the period
    before. Its days are LiteLLM's, which are of UTC; `timezone` is that of `hour`.
    """

    channel: SlackChannelId
    weekly: bool = True
    monthly: bool = True
    hour: Annotated[int, Field(ge=0, le=23)] = 9
    timezone: Annotated[str, AfterValidator(_known_timezone)] = "UTC"
    top: Annotated[int, Field(ge=1, le=50)] = 10
    jump_factor: Annotated[float, Field(gt=1, le=1000)] = 3
    jump_minimum: UsDollars = 20
    seat_percent: Percent = 20
    plans: Annotated[tuple[Plan, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [plan.name for plan in self.plans]
        if len(set(names)) != len(names):
            raise ValueError(f"plans has one name twice ({', '.join(names)}): give each its own")
        if not (self.weekly or self.monthly):
            raise ValueError("weekly and monthly are both off: turn one on, or leave report out")
        # The largest offset of the year, as of 2026: before that hour UTC's day, and so the period, is not over.
        zone = ZoneInfo(self.timezone)
        offsets = [datetime(2026, month, 1, tzinfo=zone).utcoffset() or timedelta() for month in (1, 7)]
        earliest = max(0, ceil(max(offsets) / timedelta(hours=1)))
        if self.hour < earliest:
            raise ValueError(
                f"hour {self.hour} in {self.timezone} is the day before in UTC, whose days the figures are of: use "
                f"{earliest} or later"
            )
        return self


class AzureBill(Settings):
    """Azure's bill: the subscription of the OpenAI resource, and an app registration that may read its costs.

    The app needs the role Cost Management Reader on the subscription; its client secret is the secret
    AZURE_BILLING_SECRET.
    """

    tenant: Uuid
    client: Uuid
    subscription: Uuid


class GoogleBill(Settings):
    """Google's bill: the table project.dataset.table of the billing export to BigQuery, and where its jobs run.

    GOOGLE_BILLING_CREDENTIALS is the key of a service account with the roles BigQuery Data Viewer on the table and
    BigQuery Job User on the project.
    """

    table: Annotated[
        str,
        _like(
            r"[a-z][a-z0-9-]{4,28}[a-z0-9]\.[A-Za-z0-9_]+\.[A-Za-z0-9_]+",
            "no table of BigQuery: write it as project.dataset.table",
        ),
    ]
    location: Annotated[
        str, _like(r"[A-Za-z0-9-]{2,30}", "no location of BigQuery: use one such as US, EU or asia-northeast1")
    ] = "US"


class Bill(Settings):
    """The monthly comparison of LiteLLM's costs with what AWS (and, where given, Azure and Google) has on the bill.

    An alarm tells of a difference above `tolerance_percent`, and the channel of `report`, where there is one, of all of
    them. `profile_tag` is the cost allocation tag of the Bedrock
    application inference profiles, where config.yaml uses such. The other clouds' accounts must not be used past the
    gateway, or their bill is higher than what it has seen.
    """

    tolerance_percent: Percent = 3
    profile_tag: (
        Annotated[
            str, _like(r"[A-Za-z0-9 _.:/=+@-]{1,128}", "no key of a tag: use at most 128 letters, digits and _.:/=+@-")
        ]
        | None
    ) = None
    azure: AzureBill | None = None
    google: GoogleBill | None = None


class Releases(Listeners):
    """How releases are made and promoted: in `account` and `region`, from `branch` of GitHub's `repository` owner/name.

    The image of a release is built there once; `environments` take it in this order (all, if none is named), those of
    `approved` after a person's approval (the last, if it is left out). With `connection_arn`, a connection of
    CodeConnections to the repository, CodePipeline does it,
    and tells its listeners; with `github_actions` workflows of the repository may, by OIDC roles. `oidc_provider` says
    that the accounts have GitHub's OIDC provider already: an account has one at most.
    """

    account: AccountId
    region: Region = "ap-northeast-1"
    repository: Annotated[
        str, _like(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}", "no repository of GitHub: write it as owner/name")
    ]
    branch: Annotated[str, _like(r"[A-Za-z0-9._/-]{1,100}", "no name of a branch: use letters, digits and ._/-")] = (
        "main"
    )
    environments: tuple[str, ...] = ()
    approved: tuple[str, ...] = ()
    connection_arn: (
        Annotated[
            str,
            _like(
                r"arn:aws[a-z-]*:(codeconnections|codestar-connections):[a-z0-9-]+:\d{12}:connection/[0-9a-f-]{36}",
                "no ARN of a connection: copy it whole from Developer Tools, Connections",
            ),
        ]
        | None
    ) = None
    github_actions: bool = False
    oidc_provider: bool = False

    @model_validator(mode="after")
    def _promotes(self) -> Self:
        if len(set(self.environments)) != len(self.environments):
            raise ValueError(f"environments names one twice ({', '.join(self.environments)}): name each once")
        if not (self.connection_arn or self.github_actions):
            raise ValueError("nothing promotes: set connection_arn or github_actions, or leave RELEASES out")
        if self.github_actions and self.branch != WORKFLOW_BRANCH:
            raise ValueError(
                f"branch is {self.branch}, but the workflows release {WORKFLOW_BRANCH} only: name that one, or leave "
                "github_actions to CodePipeline's connection_arn"
            )
        return self

    def among(self, names: Collection[str]) -> Self:
        """The settings with what they leave to the environments, whose `names` are in order.

        Without `environments` a release goes to all of them, and without `approved` a person approves the last.

        Raises
        ------
        SettingsError
            `environments` or `approved` has another name.
        """
        chosen = self.environments or tuple(names)
        approved = self.approved if "approved" in self.model_fields_set else chosen[-1:]
        for setting, given, known, place in (
            ("environments", chosen, names, "which company/environments.py does not define"),
            ("approved", approved, chosen, "which is not in environments"),
        ):
            if unknown := [name for name in given if name not in known]:
                raise SettingsError(f"releases: {setting} has {', '.join(unknown)}, {place}: it has {', '.join(known)}")
        if self.github_actions and len(chosen) > WORKFLOW_ENVIRONMENTS:
            raise SettingsError(
                f"releases: {len(chosen)} environments take releases, and the workflows have jobs for "
                f"{WORKFLOW_ENVIRONMENTS}: name those that they are to go to in environments"
            )
        return self.model_copy(update={"environments": chosen, "approved": approved})


class Environment(Settings):
    """One environment: everything that may differ from the others."""

    name: Annotated[
        str,
        _like(
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
            _like(
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
    providers: Providers = Providers()
    variables: dict[VariableName, VariableValue] = {}
    email: Email = Email()
    onboarding: Onboarding | None = None
    alarms: Alarms = Alarms()
    datadog: Datadog | None = None
    report: Report | None = None
    bill: Bill | None = None
    litellm_license: bool = False
    deletion_protection: bool = True
    log_retention_days: RetentionDays = 30
    tags: Tags = {}

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
            if name in PROVIDER_SETTINGS:
                raise ValueError(f"variables has {name}: set providers.{PROVIDER_SETTINGS[name]} instead")
            if name.endswith(SECRET_SUFFIXES) or SECRET_VALUE.search(value):
                raise ValueError(
                    f"variables has {name}, which is a secret: end its name in one of {', '.join(SECRET_SUFFIXES)} in "
                    "config.yaml, remove it here, and put the value into Parameter Store with make secrets"
                )
            if name in TASK_VARIABLES | OVERWRITTEN or name in self._own_variables:
                raise ValueError(f"variables has {name}, which the gateway sets itself: use another name")

    def check_models(self, models: Collection[str]) -> None:
        """Refuse accounts and plans for models that there are not; `models` are the names in config.yaml.

        Raises
        ------
        SettingsError
            `onboarding.models` has another name, or a plan of `report` covers none.
        """
        unknown = sorted(set(self.onboarding.models if self.onboarding else ()) - set(models))
        if unknown:
            raise SettingsError(
                f"{self.name}: onboarding.models has {', '.join(unknown)}, which company/config.yaml does not offer: "
                f"it has {', '.join(sorted(models))}"
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
            "AZURE_BILLING_SECRET": self.bill and self.bill.azure,
            "GOOGLE_BILLING_CREDENTIALS": self.bill and self.bill.google,
        }
        return tuple(name for name, settings in needed.items() if settings)

    @property
    def log_retention(self) -> str:
        """The name in `aws_logs.RetentionDays` of how long logs are kept."""
        return RETENTION_DAYS[self.log_retention_days]

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
                f"takes {available} at {self.database.max_capacity:g} ACU: raise database.max_capacity, or lower "
                "gateway.max_tasks or database_connection_pool_limit in company/config.yaml"
            )


Read = TypeVar("Read", bound=Settings | None)


def read(settings: Callable[[], Read]) -> Read:
    """What `settings` returns: a function named after its environment, or after what else it describes.

    Raises
    ------
    SettingsError
        A line a finding: the environment, the setting, what is wrong with it and what to do.
    """
    try:
        return settings()
    except ValidationError as error:
        raise SettingsError("\n".join(findings(settings.__name__, error))) from error


def findings(name: str, error: ValidationError) -> Iterator[str]:
    """Yield a line for each finding in settings that are called `name`: the setting, what is wrong and what to do."""
    whole = error.title in (Environment.__name__, Releases.__name__)
    group = () if whole else (re.sub(r"\B([A-Z])", r"_\1", error.title).lower(),)
    # A list whose items are refused counts as empty too: that is no finding of its own.
    lists = {finding["loc"][:-1] for finding in error.errors()}
    for finding in error.errors():
        if not finding["loc"] or finding["loc"] not in lists:
            yield _finding(name, (*group, *finding["loc"]), _words(finding), finding["input"])


def by_name(environments: Iterable[Environment]) -> dict[str, Environment]:
    """The environments by name.

    Raises
    ------
    SettingsError
        Two have one name, one domain or one channel for alarms in one account, or their VPCs' ranges overlap, so that
        they could never be peered.
    """
    environments = tuple(environments)
    for one, other in combinations(environments, 2):
        if one.name == other.name:
            raise SettingsError(f"two environments are called {one.name}: give each its own name")
        if one.domain == other.domain:
            raise SettingsError(f"{one.name} and {other.name} have one domain, {one.domain}: give each its own")
        if taken := one.derived_names & other.derived_names:
            raise SettingsError(
                f"{one.name} and {other.name} both need the name {min(taken)}: give one of them another domain"
            )
        if one.account == other.account:
            _share_account(one, other)
        shared = one.network.vpc is not None and other.network.vpc is not None
        if shared and one.network.vpc.id == other.network.vpc.id:  # type: ignore[union-attr]
            _share_vpc(one, other)
        elif one.network.cidr.overlaps(other.network.cidr):
            raise SettingsError(
                f"{one.name} and {other.name} have overlapping ranges, {one.network.cidr} and {other.network.cidr}: "
                "give each its own network.cidr"
            )
    return {environment.name: environment for environment in environments}


def _words(finding: ErrorDetails) -> str:
    """Pydantic's words, but for those that speak of Python."""
    context = finding.get("ctx", {})
    match finding["type"]:
        case "too_short" if not context["actual_length"]:
            return f"Value error, is empty: name at least {context['min_length']}"
        case "too_short":
            return f"Value error, has {context['actual_length']}: name at least {context['min_length']}"
        case "too_long":
            return f"Value error, has {context['actual_length']}: name at most {context['max_length']}"
    return finding["msg"]


def _share_account(one: Environment, other: Environment) -> None:
    """Refuse what an account has once: Amazon Q Developer takes one configuration for a channel."""
    channel = one.alarms.channel
    if channel and channel == other.alarms.channel:
        raise SettingsError(
            f"{one.name} and {other.name} are in one account and have one alarms.channel, {channel}, which Amazon Q "
            "Developer serves once an account: give each its own"
        )


def _share_vpc(one: Environment, other: Environment) -> None:
    """Refuse what a VPC has once: its range, and the private name of a service with an interface endpoint."""
    if one.network.cidr != other.network.cidr:
        raise SettingsError(
            f"{one.name} and {other.name} are in one VPC, and network.cidr is {one.network.cidr} and "
            f"{other.network.cidr}: write the VPC's own range"
        )
    if both := sorted(set(one.network.interface_endpoints) & set(other.network.interface_endpoints)):
        raise SettingsError(
            f"{one.name} and {other.name} are in one VPC, and both have {both[0]} in network.interface_endpoints: "
            "leave it to one of them"
        )


def _finding(name: str, location: tuple[int | str, ...], message: str, value: object) -> str:
    place = ".".join(map(str, location))
    ours = message.startswith("Value error, ")  # and then it names the value
    message = message.removeprefix("Value error, ")
    if message == "Extra inputs are not permitted":
        message = "there is no such setting: see stacks/settings.py for those that there are"
    elif message == "Field required":
        message = "is not set: it has no default, so give it a value"
    elif not ours and isinstance(value, str | int | float | None):
        message = f"{value!r}: {message[0].lower()}{message[1:]}"
    finding = f"{name}: {place}: {message}" if place else f"{name}: {message}"
    # A value that is quoted may have anything in it, and a finding is a line.
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in finding)
