"""The questions: what each asks, what it may be answered with, and what its default follows from.

They are asked in the order in which they stand here. One whose key has that of a part in front (`slack.workspace`) is
asked where the part is wanted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from pydantic import TypeAdapter, ValidationError

from ops.init import config_file, models
from ops.init.answers import Answers, Keys
from ops.init.kinds import PLANS, YES_NO, Kind, RefusedError, choice, each, number, reason, setting, text, texts
from ops.init.meaning import SIZES, check, environment_of
from stacks.company import LOCAL, LOCAL_CIDR
from stacks.litellm_config import PROVIDER_SETTINGS, ConfigError, load_config
from stacks.settings import (
    Alarms,
    AzureBill,
    Cidr,
    Datadog,
    Email,
    Environment,
    ExistingVpc,
    GoogleBill,
    HostedZone,
    HostName,
    Ingress,
    Network,
    Onboarding,
    Providers,
    Region,
    Releases,
    Report,
    SettingsError,
    SlackChannelId,
    SlackWorkspaceId,
    TeamName,
    UsDollars,
)


class LookUp(Protocol):
    """What AWS knows; nothing where it cannot be asked."""

    @property
    def account(self) -> str | None:
        """The account of the credentials."""

    @property
    def region(self) -> str | None:
        """The region of AWS_REGION or the profile."""

    def zones(self, account: str, region: str) -> tuple[str, ...]:
        """The zones that the account has there."""

    def zone_id(self, account: str, name: str) -> str | None:
        """The id of the account's public hosted zone of this name."""

    def vpc_cidr(self, account: str, region: str, vpc: str) -> str | None:
        """The range of a VPC."""


@dataclass(frozen=True)
class Context:
    """What is known when a question is asked: the answers so far, and of which environment it is asked, if of one."""

    answers: Answers
    name: str | None
    aws: LookUp
    looked_at: set[str] = field(default_factory=set, compare=False)  # the answers that a default has asked for

    def get(self, key: str) -> Any:  # noqa: ANN401 - an answer
        """An answer of the environment, or of the company as a whole; None if it has not been given."""
        self.looked_at.add(key)
        own = self.answers.of(self.name) if self.name else {}
        return own.get(key, self.answers.company.get(key))

    @property
    def number(self) -> int:
        """The place of the environment, from 0."""
        return self.answers.named.index(str(self.name))

    @property
    def is_last(self) -> bool:
        """Whether a release reaches the environment last."""
        return self.name == self.answers.named[-1]

    @property
    def earlier(self) -> dict[str, dict[str, Any]]:
        """The environments before this one, by name."""
        return {name: self.answers.of(name) for name in self.answers.named[: self.number]}

    def before(self, key: str) -> Any:  # noqa: ANN401 - an answer
        """The same answer of the environment before; None if this is the first."""
        self.looked_at.add(key)
        return next((own.get(key) for own in reversed(self.earlier.values())), None)

    def last(self, key: str) -> Any:  # noqa: ANN401 - an answer
        """An answer of the environment that the company works with."""
        self.looked_at.add(key)
        return self.answers.of(self.answers.named[-1]).get(key)


Default = Callable[[Context], Any]


@dataclass(frozen=True)
class Question:
    """One question. One that is `optional` may be answered with nothing; a `section` is a part that may be left out."""

    key: str
    text: str
    kind: Kind
    help: str
    default: Default = lambda _: None
    when: Callable[[Context], bool] = lambda _: True
    optional: bool = False
    section: bool = False
    check: Callable[[Context, Any], None] = lambda _, __: None

    def is_asked(self, context: Context) -> bool:
        """Whether it is a question at all with the answers so far."""
        parts = self.key.split(".")[:-1]
        wanted = all(context.get(".".join(parts[: end + 1])) for end in range(len(parts)))
        return wanted and self.when(context)

    def accepted(self, context: Context, value: Any) -> Any:  # noqa: ANN401 - an answer
        """The answer as it is kept, if it can work with those before it.

        Raises
        ------
        RefusedError
            It cannot: why.
        """
        if value is None or value == []:
            if not self.optional:
                raise RefusedError("it needs an answer")
            return None
        value = self.kind.read(value)
        self.check(context, value)
        self._check_settings(context, value)
        return value

    def _check_settings(self, context: Context, value: Any) -> None:  # noqa: ANN401 - an answer
        own = context.answers.of(context.name)
        before = dict(own)
        own[self.key] = value
        try:
            check(context.answers)
        except ValidationError as error:
            raise RefusedError(reason(error)) from error
        except SettingsError as error:
            raise RefusedError(str(error)) from error
        finally:
            own.clear()
            own.update(before)


class Group(NamedTuple):
    """Questions under one heading: of each environment in turn, or of the company as a whole."""

    title: str
    each: bool
    questions: tuple[Question, ...]


def _always(value: Any) -> Default:  # noqa: ANN401 - a default
    return lambda _: value


def _before(key: str, otherwise: Any = None) -> Default:  # noqa: ANN401 - a default
    """As in the environment before."""

    def default(context: Context) -> Any:  # noqa: ANN401 - an answer
        found = context.before(key)
        return otherwise if found is None else found

    return default


# --- The environments ------------------------------------------------------------------------------------------------


def _check_names(_: Context, names: list[str]) -> None:
    if LOCAL in names:
        raise RefusedError(f"{LOCAL} is the environment of make up: give it another name")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RefusedError(f"{', '.join(twice)} is there twice: give each its own name")


ENVIRONMENTS: Final = Question(
    "environments",
    "Environments, in the order in which a release reaches them",
    each(setting(Environment, "name")),
    "One, such as prod, or several, such as dev, stg and prod: each has a gateway of its own, in an account of its own "
    "or together with others in one.",
    _always(["dev", "stg", "prod"]),
    check=_check_names,
)

# The zones of a region that new accounts have, where they are not a, b and c.
_ZONES: Final = {"ap-northeast-1": "acd", "ca-central-1": "abd", "us-west-1": "ac"}


def _zone_name(context: Context) -> str | None:
    """As that of the environment before, with this one's name in the place of that one's."""
    zone: str | None = context.before("hosted_zone")
    if zone is None:
        return None
    name, _, rest = zone.partition(".")
    return f"{context.name}.{rest}" if name == context.answers.named[context.number - 1] else zone


def _zone_id(context: Context) -> str | None:
    account, zone = context.get("account"), context.get("hosted_zone")
    for own in context.earlier.values():
        if (own.get("account"), own.get("hosted_zone")) == (account, zone) and "hosted_zone_id" in own:
            return str(own["hosted_zone_id"])
    return context.aws.zone_id(account, zone) if account and zone else None


def _domain(context: Context) -> str | None:
    if not (zone := context.get("hosted_zone")):
        return None
    taken = {own.get("domain") for own in context.earlier.values()}
    return next(name for name in (f"llm.{zone}", f"llm-{context.name}.{zone}") if name not in taken)


def _size(context: Context) -> str:
    """The last one is the company's; one before it is where a release is rehearsed."""
    if context.is_last:
        return "large" if len(context.answers.named) > 2 else "medium"
    return "medium" if context.number else "small"


def _zones(context: Context) -> list[str]:
    account, region = context.get("account"), context.get("region") or ""
    letters = _ZONES.get(region, "abc")
    found = context.aws.zones(account, region) if account else ()
    zones = list(found) or [f"{region}{letter}" for letter in letters]
    return zones[: 3 if context.get("size") == "large" else 2]


def _cidr(context: Context) -> str | None:
    """The range of an existing VPC, or a private one that no other environment has, nor `make up`."""
    if vpc := context.get("vpc.id"):
        return context.aws.vpc_cidr(context.get("account") or "", context.get("region") or "", vpc)
    taken = [IPv4Network(own["cidr"]) for own in context.earlier.values() if "cidr" in own]
    taken.append(IPv4Network(LOCAL_CIDR))
    free = (IPv4Network(f"10.{number}.0.0/16") for number in (*range(10, 251, 10), *range(256)))
    return next((str(cidr) for cidr in free if not any(cidr.overlaps(other) for other in taken)), None)


def _cidrs(context: Context) -> Any:  # noqa: ANN401 - an answer
    if context.before("public") == context.get("public"):
        return context.before("cidrs")
    return None if context.get("public") else ["10.0.0.0/8"]


def _management(context: Context) -> Any:  # noqa: ANN401 - an answer
    same = context.before("cidrs") == context.get("cidrs")
    return (context.before("management_cidrs") if same else None) or context.get("cidrs")


_SUBNETS: Final = "{} in the VPC, one a zone, in the order of the zones"

PLACE: Final = Group(
    "The environment {name}",
    True,
    (
        Question(
            "account",
            "AWS account",
            text(setting(Environment, "account")),
            "Its twelve digits. Give the models no other user in it, or their costs cannot be held against the bill.",
            lambda context: context.before("account") or context.aws.account,
        ),
        Question(
            "region",
            "AWS region",
            text(TypeAdapter(Region)),
            "The region of everything but the models, which may be called elsewhere.",
            lambda context: context.before("region") or context.aws.region or "ap-northeast-1",
        ),
        Question(
            "hosted_zone",
            "Hosted zone of Route 53",
            text(setting(HostedZone, "name")),
            "The public zone, in the same account, that the gateway's records go into. To make one: aws route53 "
            "create-hosted-zone --name NAME --caller-reference gateway",
            _zone_name,
        ),
        Question(
            "hosted_zone_id",
            "Its id",
            text(setting(HostedZone, "id")),
            "Z…, as aws route53 list-hosted-zones-by-name --dns-name NAME shows it behind /hostedzone/.",
            _zone_id,
        ),
        Question(
            "domain",
            "Host name of the gateway",
            text(TypeAdapter(HostName)),
            "In the hosted zone. The gateway answers for no other name.",
            _domain,
        ),
        Question(
            "certificate_arn",
            "ARN of a certificate that is there already",
            text(setting(Environment, "certificate_arn")),
            "Of Certificate Manager, in the same account and region. With none the deployment makes one.",
            optional=True,
        ),
        Question(
            "size",
            "Size: small, medium or large",
            choice(*SIZES),
            "small: one task, one NAT gateway, logs for two weeks. medium: two tasks and more. large: three tasks and "
            "more, a NAT gateway a zone, a database reader to fail over to, backups of 35 days, logs for a year. The "
            "settings that come of it can be changed one by one in the file.",
            _size,
        ),
        Question(
            "zones",
            "Availability zones",
            texts(setting(Network, "zones")),
            "Two or more; the first is the database writer's.",
            _zones,
        ),
        Question(
            "public",
            "Load balancer on the internet side",
            YES_NO,
            "yes: reached from the internet, by the ranges that you name and no others. no: internal, reached by what "
            "is routed to the VPC.",
            _before("public", True),
        ),
        Question(
            "vpc",
            "Use a VPC that is there already",
            YES_NO,
            "yes asks for its id and its subnets. no makes a VPC.",
            _always(False),
            section=True,
        ),
        Question("vpc.id", "Its id", text(setting(ExistingVpc, "id")), "vpc-…"),
        Question(
            "vpc.public_subnets",
            _SUBNETS.format("Subnets for the load balancer"),
            texts(setting(ExistingVpc, "public_subnet_ids")),
            "subnet-…, those with a way from the internet.",
        ),
        Question(
            "vpc.private_subnets",
            _SUBNETS.format("Subnets for the tasks"),
            texts(setting(ExistingVpc, "private_subnet_ids")),
            "subnet-…, those with a way to the internet.",
        ),
        Question(
            "vpc.nat_addresses",
            "Public addresses of its NAT gateways",
            texts(setting(ExistingVpc, "nat_addresses")),
            "The smoke test comes from them to the load balancer.",
            when=lambda context: bool(context.get("public")),
        ),
        # Last of the VPC: with it the VPC is whole, and judged.
        Question(
            "vpc.isolated_subnets",
            _SUBNETS.format("Subnets for the database"),
            texts(setting(ExistingVpc, "isolated_subnet_ids")),
            "subnet-…; they need no way to anywhere.",
        ),
        Question(
            "cidr",
            "Range of the VPC",
            text(TypeAdapter(Cidr)),
            "Private, /16 to /22 for a new one, and of no other environment's. Of an existing VPC: its own.",
            _cidr,
        ),
        Question(
            "cidrs",
            "Ranges that may reach the gateway",
            texts(setting(Ingress, "cidrs")),
            "Your company's own: public ones for a load balancer on the internet side, else those routed to the VPC.",
            _cidrs,
        ),
        Question(
            "management_cidrs",
            "Ranges that may manage it",
            texts(setting(Ingress, "management_cidrs")),
            "A part of those: the administrators' pages and routes answer from there only.",
            _management,
        ),
        Question(
            "deletion_protection",
            "Protect database, load balancer and logs from removal",
            YES_NO,
            "no where it is to be gone when it is destroyed.",
            lambda context: context.is_last,
        ),
    ),
)


# --- Providers and models --------------------------------------------------------------------------------------------


def _home(context: Context) -> str:
    """The region of the environment that the company works with."""
    return str(context.last("region") or "us-east-1")


def _geography(context: Context) -> str:
    return str(context.get("bedrock.geography") or models.NO_PROFILE)


def _check_listed(key: str) -> Callable[[Context, Any], None]:
    """Refuse models that make no config.yaml."""

    def check_listed(context: Context, value: Any) -> None:  # noqa: ANN401 - an answer
        answers = Answers({**context.answers.company, key: value}, context.answers.environments)
        some = environment_of(context.answers, context.answers.named[0]).plain_variables
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "config.yaml"
            file.write_text(config_file.written(answers), "utf-8")
            try:
                load_config(file, provided={*some, *PROVIDER_SETTINGS})
            except ConfigError as error:
                raise RefusedError(str(error).removeprefix(f"{file}: ").rstrip(".")) from error

    return check_listed


def _check_any_provider(context: Context, value: bool) -> None:
    if not (value or context.get("bedrock") or context.get("azure")):
        raise RefusedError("no provider is left: say yes to one of bedrock, azure and vertex")


_LISTED: Final = "NAME, or NAME={} where it is called otherwise there."

PROVIDERS: Final = Group(
    "Providers and models",
    False,
    (
        Question(
            "bedrock",
            "Use Amazon Bedrock",
            YES_NO,
            "In the environment's own account, with the role of its tasks.",
            _always(True),
            section=True,
        ),
        Question(
            "bedrock.geography",
            "Geography of inference profiles",
            choice(*models.REGIONS, models.NO_PROFILE),
            "Where prompts may be processed: us, eu, jp, au, apac, or global, which is nowhere in particular. "
            "none calls each region's models by themselves, which most current ones do not offer.",
            lambda context: models.geographies_of(_home(context)),
        ),
        Question(
            "bedrock.regions",
            "Regions to call",
            texts(TypeAdapter(tuple[Region, ...])),
            "Each model has a deployment in each: load spreads, and a region that answers 429 is left out a while.",
            lambda context: list(models.regions_of(_geography(context), _home(context))),
            check=lambda context, value: models.check_regions(_geography(context), value),
        ),
        Question(
            "bedrock.models",
            "Models",
            texts(TypeAdapter(tuple[str, ...])),
            f"{_LISTED.format('ID')} One that not all regions have: NAME@REGION, or NAME@REGION+REGION.",
            lambda context: list(models.offered(_geography(context))),
            check=_check_listed("bedrock.models"),
        ),
        Question(
            "azure",
            "Use Azure OpenAI",
            YES_NO,
            "A resource for each environment, or one for all; its key is a secret.",
            _always(False),
            section=True,
        ),
        Question(
            "azure.models",
            "Models",
            texts(TypeAdapter(tuple[str, ...])),
            _LISTED.format("DEPLOYMENT"),
            _always(list(models.AZURE)),
            check=_check_listed("azure.models"),
        ),
        Question(
            "vertex",
            "Use Google's Vertex AI",
            YES_NO,
            "A project for each environment, or one for all; the key of a service account is a secret.",
            _always(False),
            section=True,
            check=_check_any_provider,
        ),
        Question(
            "vertex.models",
            "Models",
            texts(TypeAdapter(tuple[str, ...])),
            _LISTED.format("ID"),
            _always(list(models.VERTEX)),
            check=_check_listed("vertex.models"),
        ),
        Question(
            "vertex.location",
            "Location of Vertex AI",
            text(setting(Providers, "vertexai_location")),
            "global, eu, us, or a region such as europe-west1.",
            _always("global"),
        ),
    ),
)
ADDRESSES: Final = Group(
    "The providers of {name}",
    True,
    (
        Question(
            "azure_api_base",
            "Address of the Azure OpenAI resource",
            text(setting(Providers, "azure_api_base")),
            "https://NAME.openai.azure.com",
            _before("azure_api_base"),
            when=lambda context: bool(context.get("azure")),
        ),
        Question(
            "vertex_project",
            "Project of Google Cloud",
            text(setting(Providers, "vertexai_project")),
            "Its id, not its name.",
            _before("vertex_project"),
            when=lambda context: bool(context.get("vertex")),
        ),
    ),
)


# --- What a company may leave out ------------------------------------------------------------------------------------

_TIMEZONES: Final = {
    "ap-northeast-1": "Asia/Tokyo",
    "ap-northeast-2": "Asia/Seoul",
    "ap-northeast-3": "Asia/Tokyo",
    "ap-south-1": "Asia/Kolkata",
    "ap-southeast-1": "Asia/Singapore",
    "ap-southeast-2": "Australia/Sydney",
    "ca-central-1": "America/Toronto",
    "eu-central-1": "Europe/Berlin",
    "eu-north-1": "Europe/Stockholm",
    "eu-west-1": "Europe/Dublin",
    "eu-west-2": "Europe/London",
    "eu-west-3": "Europe/Paris",
    "sa-east-1": "America/Sao_Paulo",
    "us-east-1": "America/New_York",
    "us-east-2": "America/New_York",
    "us-west-1": "America/Los_Angeles",
    "us-west-2": "America/Los_Angeles",
}
_DATADOG: Final = {"ap-": "ap1.datadoghq.com", "eu-": "datadoghq.eu"}


def _mail_domains(context: Context) -> list[str] | None:
    zone = context.last("hosted_zone")
    return [zone.removeprefix(f"{context.answers.named[-1]}.")] if zone else None


def _hour(context: Context) -> int | None:
    """The first hour of a working day at which the day before is over in UTC."""
    zone = context.get("report.timezone") or "UTC"
    for hour in range(9, 24):
        try:
            Report(channel="C000000", timezone=zone, hour=hour)
        except ValidationError:
            continue
        return hour
    return None


def _datadog_site(context: Context) -> str:
    home = _home(context)
    return next((site for start, site in _DATADOG.items() if home.startswith(start)), "datadoghq.com")


def _release_question(key: str, what: str, kind: Kind, why: str, **how: Any) -> Question:  # noqa: ANN401 - of a question
    return Question(f"releases.{key}", what, kind, why, **how)


def _by(word: str) -> Callable[[Context], bool]:
    return lambda context: context.get("releases.by") == word


PARTS: Final = Group(
    "People, Slack, Datadog and releases",
    False,
    (
        Question(
            "budget",
            "US dollars that a person may use in 30 days, unless told otherwise",
            number(TypeAdapter(UsDollars)),
            "What a new account starts with.",
            _always(100),
        ),
        Question(
            "reply_to",
            "Address that answers to the gateway's mails go to",
            text(setting(Email, "reply_to")),
            "Such as it-help@example.com.",
            optional=True,
        ),
        Question("slack", "Use Slack", YES_NO, "For accounts, alarms, reports.", _always(False), section=True),
        Question(
            "slack.workspace",
            "Id of the workspace",
            text(TypeAdapter(SlackWorkspaceId)),
            "T…, or E… of an organization: it is in the address of a channel in the browser.",
        ),
        Question(
            "slack.alerts",
            "Alerts of LiteLLM by an incoming web hook",
            YES_NO,
            "Throttled regions, failed spend tracking, budgets: the web hook's address is a secret.",
            _always(True),
        ),
        Question(
            "onboarding",
            "Accounts on request from Slack",
            YES_NO,
            "People ask for an account by a slash command or a workflow, and get an invitation by mail.",
            _always(False),
            when=lambda context: bool(context.get("slack")),
            section=True,
        ),
        Question(
            "onboarding.audit_channel",
            "Id of the channel that hears of every account",
            text(setting(Onboarding, "audit_channel")),
            "C… or G…, from the channel's details.",
        ),
        Question(
            "onboarding.approver_group",
            "Id of the user group that approves larger budgets",
            text(setting(Onboarding, "approver_group")),
            "S…; with none nobody gets a larger one.",
            optional=True,
        ),
        Question(
            "onboarding.mail_domains",
            "Domains of the mail addresses that get an account",
            texts(setting(Onboarding, "mail_domains")),
            "As they are in the Slack profiles.",
            _mail_domains,
        ),
        Question(
            "onboarding.teams",
            "Teams to choose from",
            each(TypeAdapter(TeamName)),
            "Usage counts for one of them; small letters, digits and hyphens.",
            _always(["everyone"]),
        ),
        Question(
            "onboarding.budget_ceiling",
            "US dollars that can be asked for at most",
            number(setting(Onboarding, "budget_ceiling")),
            "What is above the usual budget has to be approved.",
            lambda context: min(max(1000, 10 * (context.get("budget") or 100)), 1_000_000),
        ),
        Question(
            "report",
            "A report of usage in Slack, each week and each month",
            YES_NO,
            "Who used what, who would be cheaper on a flat-rate plan; the app of the accounts posts it.",
            _always(False),
            when=lambda context: bool(context.get("onboarding")),
            section=True,
        ),
        Question(
            "report.timezone",
            "Time zone",
            text(setting(Report, "timezone")),
            "Such as Asia/Tokyo or UTC.",
            lambda context: _TIMEZONES.get(_home(context), "UTC"),
        ),
        Question(
            "report.hour",
            "Hour of the day",
            number(setting(Report, "hour")),
            "After midnight in UTC, whose days the figures are of.",
            _hour,
        ),
        Question(
            "report.plans",
            "Flat-rate plans that people could be cheaper on",
            PLANS,
            "NAME | US DOLLARS A MONTH | MODELS | US DOLLARS OF USE INCLUDED | SLACK GROUP OF THOSE WHO HAVE ONE, the "
            "last two may be missing, with a semicolon between plans: Claude Team Premium | 125 | claude-* | 600",
            optional=True,
        ),
        Question(
            "alarm_emails",
            "Addresses that get alarms",
            texts(setting(Alarms, "emails")),
            "AWS mails each a link to confirm.",
            optional=True,
        ),
        Question(
            "datadog",
            "Metrics, dashboard and monitors in Datadog",
            YES_NO,
            "A record of each call goes there, without prompts and answers. Without it, make usage has the figures.",
            _always(False),
            section=True,
        ),
        Question(
            "datadog.site",
            "Site of Datadog",
            text(setting(Providers, "dd_site")),
            "As in the address of its pages: datadoghq.com, datadoghq.eu, ap1.datadoghq.com, …",
            _datadog_site,
        ),
        Question(
            "bill",
            "Hold the costs against the clouds' bills each month",
            YES_NO,
            "An alarm tells of a difference.",
            _always(False),
            section=True,
        ),
        Question(
            "bill.azure",
            "Azure's too",
            YES_NO,
            "By an app registration that may read the subscription's costs.",
            _always(False),
            when=lambda context: bool(context.get("azure")),
            section=True,
        ),
        *(
            Question(f"bill.azure.{name}", what, text(setting(AzureBill, name)), "Its id, of Microsoft Entra or Azure.")
            for name, what in (("tenant", "Tenant"), ("client", "Client"), ("subscription", "Subscription"))
        ),
        Question(
            "bill.google",
            "Google's too",
            YES_NO,
            "By the billing export to BigQuery.",
            _always(False),
            when=lambda context: bool(context.get("vertex")),
            section=True,
        ),
        Question(
            "bill.google.table",
            "Table of the billing export",
            text(setting(GoogleBill, "table")),
            "project.dataset.table",
        ),
        Question(
            "bill.google.location",
            "Location of its dataset",
            text(setting(GoogleBill, "location")),
            "US, EU or a region of Google's.",
            _always("US"),
        ),
        Question(
            "releases",
            "Promote releases from environment to environment",
            YES_NO,
            "no: people deploy by make deploy. It can be added at any time.",
            _always(False),
            section=True,
        ),
        _release_question(
            "by",
            "By codepipeline or github",
            choice("codepipeline", "github"),
            "codepipeline: AWS CodePipeline. github: the workflows of this repository in GitHub Actions, by OIDC.",
            default=_always("codepipeline"),
        ),
        _release_question(
            "account",
            "AWS account where releases are built",
            text(setting(Releases, "account")),
            "One of its own, or an environment's.",
            default=lambda context: context.last("account"),
        ),
        _release_question(
            "region", "Its region", text(TypeAdapter(Region)), "Of the image and the pipeline.", default=_home
        ),
        _release_question(
            "repository", "Repository on GitHub", text(setting(Releases, "repository")), "owner/name of your copy."
        ),
        _release_question(
            "branch",
            "Branch whose commits are released",
            text(setting(Releases, "branch")),
            "With GitHub Actions it has to be main.",
            default=_always("main"),
        ),
        _release_question(
            "connection_arn",
            "ARN of the connection to GitHub",
            text(setting(Releases, "connection_arn")),
            "Of CodeConnections. With none yet, releases are left out of the file until you answer this anew.",
            when=_by("codepipeline"),
            optional=True,
        ),
        _release_question(
            "oidc_provider",
            "The accounts have GitHub's OIDC provider already",
            YES_NO,
            "An account has one at most; no makes it.",
            default=_always(False),
            when=_by("github"),
        ),
        _release_question(
            "approved",
            "Environments that wait for a person each time",
            texts(setting(Releases, "approved")),
            "The others wait only for what loses data or widens access.",
            default=lambda context: list(context.answers.named[-1:]),
            check=lambda context, value: _check_among(value, context.answers.named),
            optional=True,
        ),
        _release_question(
            "emails",
            "Addresses that hear of the pipeline",
            texts(setting(Releases, "emails")),
            "AWS mails each a link to confirm.",
            default=lambda context: context.get("alarm_emails"),
            when=_by("codepipeline"),
            optional=True,
        ),
        _release_question(
            "channel",
            "Id of the Slack channel that hears of it",
            text(setting(Releases, "channel")),
            "C… or G…",
            when=lambda context: _by("codepipeline")(context) and bool(context.get("slack")),
            optional=True,
        ),
        Question(
            "local",
            "Environment that make up runs on this machine",
            text(setting(Environment, "name")),
            "Under another name and account.",
            lambda context: context.answers.named[0],
            check=lambda context, value: _check_among([value], context.answers.named),
        ),
    ),
)


def _check_among(names: list[str], known: tuple[str, ...]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise RefusedError(f"{', '.join(unknown)} is no environment: there are {', '.join(known)}")


def _command(context: Context) -> str:
    taken = {own.get("slack_command") for own in context.earlier.values()}
    short = "/llm-account"
    return short if context.is_last and short not in taken else f"{short}-{context.name}"


def _check_command(context: Context, value: str) -> None:
    """One workspace has one app of a slash command."""
    for name, own in context.earlier.items():
        if own.get("slack_command") == value:
            raise RefusedError(f"{value} is the command of {name}: give each environment its own")


DETAILS: Final = Group(
    "What {name} tells whom",
    True,
    (
        Question(
            "slack_command",
            "Slash command",
            text(setting(Onboarding, "command")),
            "Another one in each environment.",
            _command,
            when=lambda context: bool(context.get("onboarding")),
            check=_check_command,
        ),
        Question(
            "report_channel",
            "Id of the channel that gets the report",
            text(setting(Report, "channel")),
            "C… or G…",
            _before("report_channel"),
            when=lambda context: bool(context.get("report")),
        ),
        Question(
            "alarm_channel",
            "Id of the channel that gets alarms",
            text(TypeAdapter(SlackChannelId)),
            "C… or G…; by Amazon Q Developer in chat applications.",
            when=lambda context: bool(context.get("slack")),
            optional=True,
        ),
        Question(
            "monthly_budget",
            "US dollars a month for the whole account, of which AWS Budgets tells",
            number(TypeAdapter(UsDollars)),
            "All that the account may cost.",
            optional=True,
        ),
        Question(
            "datadog_notify",
            "Whom Datadog's monitors tell",
            texts(setting(Datadog, "notify")),
            "In Datadog's words: @slack-channel, @pagerduty-service, @name@example.com.",
            when=lambda context: bool(context.get("datadog")),
            optional=True,
        ),
    ),
)

GROUPS: Final = (Group("The environments", False, (ENVIRONMENTS,)), PLACE, PROVIDERS, ADDRESSES, PARTS, DETAILS)
"""Everything that is asked, in this order."""


def _keys(*, each: bool) -> Iterator[str]:
    for group in GROUPS:
        if group.each is each:
            yield from (question.key for question in group.questions if question is not ENVIRONMENTS)


KEYS: Final = Keys(
    tuple(_keys(each=False)),
    tuple(_keys(each=True)),
    {question.key for group in GROUPS for question in group.questions if question.section},
)
