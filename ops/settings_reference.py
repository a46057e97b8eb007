"""What each setting means: the reference in `docs/settings.md`, whose names, types and defaults come from the code.

`make docs` writes it; a test fails if a setting has no meaning here, or the page is not what would be written.
"""

from __future__ import annotations

import ipaddress
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ops.refused import Effect
from stacks import CHECKOUT
from stacks.settings import Environment, Releases, Settings

PAGE: Final = CHECKOUT / "docs" / "settings.md"

ENVIRONMENT: Final[Mapping[str, str]] = {
    "name": "Name of the environment: in names of stacks and in `/litellm/<name>/…`",
    "account": "AWS account, 12 digits",
    "region": "Region of everything but the models",
    "hosted_zone.id": "Route 53 hosted zone of the gateway's records",
    "hosted_zone.name": "Its name; `domain` lies in it",
    "domain": "Host name of the gateway; it answers for no other",
    "certificate_arn": "A certificate that is there already; without it one is made",
    "network.zones": "Two or more availability zones; the first is the database writer's",
    "network.cidr": "Range of the VPC, private, not overlapping another environment's; "
    "a new one needs a /21 for three zones, or with `room_for_zones=2` a /22 for two",
    "network.nat_gateways": "NAT gateways, one per zone at most",
    "network.nat_instance": "A machine of the smallest size in the place of the one NAT gateway",
    "network.interface_endpoints": "AWS services reached without the NAT gateways, such as `ecr.dkr`; none in an "
    "existing VPC",
    "network.room_for_zones": "Zones for which a new VPC keeps ranges free: so many there can be later",
    "network.vpc.id": "An existing VPC, instead of a new one",
    "network.vpc.public_subnet_ids": "Its subnets for the load balancer, in the order of `network.zones`",
    "network.vpc.private_subnet_ids": "Its subnets for the tasks, with a way to the internet",
    "network.vpc.isolated_subnet_ids": "Its subnets for the database",
    "network.vpc.nat_addresses": "Public addresses of its way out, from which the smoke test comes",
    "ingress.public": "Load balancer on the internet side, or internal",
    "ingress.requests_per_address": "The most requests of one address in five minutes",
    "ingress.cidrs": "Ranges that reach the load balancer; wider than /8 is refused",
    "ingress.management_cidrs": "The part of them from which administration answers too",
    "ingress.also_open": "What of config.yaml answers to all of `cidrs` too, beyond models: `mcp` the tools of its MCP "
    "servers, `pass_through` its pass-through endpoints",
    "gateway.cpu": "CPU units of a task (1024 = 1 vCPU)",
    "gateway.memory": "MiB of a task; LiteLLM advises 1 vCPU and 4 GiB per worker",
    "gateway.workers": "Worker processes of a task",
    "gateway.min_tasks": "The fewest tasks",
    "gateway.max_tasks": "The most tasks",
    "gateway.max_in_flight_requests": "Requests in hand of a worker: more get 503, a task is added at 60 %",
    "gateway.spot": "Fargate Spot: a third of the price, two minutes' notice",
    "database.min_capacity": "The least of Aurora's capacity, in ACU",
    "database.max_capacity": "The most of it; it also bounds the connections",
    "database.reader": "A reader in the second zone, to fail over to",
    "database.backup_days": "Days that can be restored to the second",
    "database.copies.region": "Another region, to which snapshots of the database are copied "
    "([the region is gone](operations/region-gone.md)); without `copies` it is lost with its region",
    "database.copies.every_hours": "How often: what came since is lost with the region",
    "database.copies.days": "Days that a copy is kept",
    "cache.node": "Node of ElastiCache for Valkey, in which the tasks share limits a minute, spend, and which region "
    "is left out; without `cache`, each task counts for itself",
    "cache.replica": "A replica in a second zone, to fail over to",
    "sleep.awake": "From when to when it is awake, as in `09:00-19:00`: else no task runs, and the database pauses; "
    "without it only `make sleep` and `make wake` do that",
    "sleep.days": "On which days of the week",
    "sleep.timezone": "Time zone of the hours and days",
    "providers.azure_api_base": "Address of the Azure OpenAI resource, where config.yaml has such models",
    "providers.azure_ai_api_base": "Address of the Azure AI Foundry resource, where config.yaml has such models",
    "providers.vertexai_project": "Project of Google Cloud, where config.yaml has models of Vertex AI",
    "providers.vertexai_location": "Location of Vertex AI",
    "providers.dd_site": "Site of Datadog",
    "providers.servers[].host": "Server of models on a port of its own, as an `api_base` of config.yaml names it; "
    "[providers.md](providers.md#a-server-of-your-own) has the whole",
    "providers.servers[].port": "Its port, which the tasks are let out to",
    "providers.servers[].security_group_id": "Security group of the server or its load balancer",
    "providers.servers[].cidr": "Or the range of its addresses",
    "bedrock.personal_data.kinds": "What the guardrail that the deployment makes masks, in English and Japanese; "
    "[config.yaml](config.md#personal-data) refers to it",
    "bedrock.inference_profiles[].name": "An application inference profile that the deployment makes; "
    "[config.yaml](config.md#whose-use-it-was) refers to it by its name",
    "bedrock.inference_profiles[].model": "The model, or the inference profile, that it is of",
    "bedrock.inference_profiles[].tags": "Tags of it beside the environment's, by which AWS's bill tells its use",
    "variables": "Plain variables of the task that config.yaml refers to as `os.environ/NAME`, beside the providers'",
    "email.reply_to": "Where answers to the gateway's mails go",
    "email.dmarc_policy": "What receivers are asked to do with forged mails of the domain",
    "email.dmarc_reports": "Where receivers report such mails",
    "email.smtp_key": "Name of LiteLLM's SMTP key; another one makes a new key and removes the old",
    "onboarding.command": "Slash command, another one in each environment of a workspace",
    "onboarding.workspace": "Slack's id of the workspace (T…) or organization (E…)",
    "onboarding.audit_channel": "Slack's id of the channel that hears of every account (C… or G…)",
    "onboarding.approver_group": "Slack's id of the user group that approves larger budgets (S…); without it nobody "
    "gets one",
    "onboarding.mail_domains": "Domains of the mail addresses that get an account",
    "onboarding.teams": "Teams to choose from, 100 at most; LiteLLM's teams of these names are made when needed",
    "onboarding.max_budget": "Budget of an account in US dollars per period",
    "onboarding.budget_ceiling": "The most that can be asked for",
    "onboarding.budget_duration": "The period: hours (`h`), days (`d`) or months (`mo`)",
    "onboarding.models": "Models that an account may use; empty for all",
    "onboarding.tpm_limit": "The most tokens a minute of an account",
    "onboarding.rpm_limit": "The most requests a minute of an account",
    "onboarding.protected": "Addresses of accounts that never close by themselves",
    "onboarding.dry_run": "Only tell which accounts would be closed",
    "onboarding.close_limit": "The most accounts that a daily sweep closes; above it, it closes none",
    "alarms.emails": "Addresses that get the alarms",
    "alarms.workspace": "Slack's id of the workspace with the alarm channel (T… or E…)",
    "alarms.channel": "Slack's id of the channel that gets the alarms (C… or G…)",
    "alarms.monthly_budget": "US dollars a month for the whole account, of which AWS Budgets tells",
    "datadog.notify": "Whom monitors tell, in Datadog's words: `@slack-…`, `@pagerduty-…`, a mail address",
    "datadog.spend_jump": "US dollars above three times the same day a week before at which a person's day is unusual; "
    "four times as many are unusual whatever was before",
    "datadog.error_percent": "Percentage of a provider's answers that may be errors",
    "datadog.budget_percent": "Percentage of a person's budget at which a monitor tells",
    "report.channel": "Slack's id of the channel that gets the report (C… or G…)",
    "report.weekly": "On Mondays, of the week before",
    "report.monthly": "On the first, of the month before",
    "report.hour": "The hour of the day, in `report.timezone`",
    "report.timezone": "Time zone of the hour; the days of the figures are of UTC",
    "report.top": "How many users the message names",
    "report.jump_factor": "How many times the period before a spend must be to be a jump",
    "report.jump_minimum": "US dollars above the period before that it must be as well",
    "report.seat_percent": "Percentage of a seat's price below which its use is hardly any",
    "report.plans[].name": "A flat-rate plan",
    "report.plans[].monthly_price": "US dollars a month for one person",
    "report.plans[].covers": "Models that it covers; `*` stands for any characters",
    "report.plans[].monthly_allowance": "US dollars of use a month that are included, at API prices; without it, all",
    "report.plans[].seats": "Slack's id of the user group of those who have one (S…)",
    "report.plans[].through_gateway": "Whether the use of a seat passes through the gateway",
    "bill.tolerance_percent": "Difference from the bill above which an alarm tells",
    "bill.profile_tag": "Cost allocation tag of Bedrock's application inference profiles",
    "bill.azure.tenant": "Microsoft Entra tenant of the app that reads Azure's costs",
    "bill.azure.client": "Its client id",
    "bill.azure.subscription": "Subscription of the Azure OpenAI resource",
    "bill.google.table": "Table of Google's billing export, `project.dataset.table`",
    "bill.google.location": "Location of its dataset in BigQuery",
    "bill.gemini.table": "Table of Google's billing export with the Gemini API's use, `project.dataset.table`",
    "bill.gemini.location": "Location of its dataset in BigQuery",
    "bill.gemini.project": "Project of the Gemini API's key, whose use is compared",
    "bill.openai.projects": "The gateway's projects at OpenAI (`proj_…`); empty for the whole organization",
    "bill.anthropic.workspaces": "The gateway's workspaces at Anthropic (`wrkspc_…` or `default`); empty for the whole "
    "organization",
    "litellm_license": "Whether you hold a LiteLLM licence; see the [README](../README.md#licences)",
    "deletion_protection": "Protects database, load balancer and logs from removal",
    "log_retention_days": "Days that logs of tasks, database and accesses are kept",
    "tags": "Tags of every resource",
}
"""Of each setting of an environment, in a sentence. Those of a group are named after it."""

EFFECTS: Final[Mapping[str, tuple[Effect, str]]] = {
    **dict.fromkeys(("name", "account", "region"), ("replaces", "all of it: it is another environment, without data")),
    **dict.fromkeys(("hosted_zone.id", "hosted_zone.name"), ("replaces", "records and certificates")),
    "domain": ("replaces", "records, certificates and the mails' identity; new tasks"),
    "certificate_arn": ("in place", "the deployment's own certificate goes"),
    "network.zones": ("refused", "but for one that is added at the end, within `network.room_for_zones`: in place"),
    "network.cidr": ("refused", ""),
    "network.nat_gateways": ("in place", "the addresses of those that go are lost"),
    "network.room_for_zones": ("refused", "if that moves a subnet"),
    "network.vpc.id": ("refused", ""),
    "ingress.public": ("replaces", "the load balancer; a protected one stays in the account"),
    "providers.dd_site": ("new tasks", ""),
    "providers.azure_api_base": ("new tasks", ""),
    "providers.azure_ai_api_base": ("new tasks", ""),
    "providers.vertexai_project": ("new tasks", ""),
    "providers.vertexai_location": ("new tasks", ""),
    "bedrock.personal_data.kinds": ("replaces", "the guardrail's version, which holds no data; new tasks"),
    "bedrock.inference_profiles": ("in place", "but for another name or model: that profile is replaced; new tasks"),
    "variables": ("new tasks", ""),
    "onboarding.command": ("new tasks", "they tell it to whose budget is used up"),
    "gateway.cpu": ("new tasks", ""),
    "gateway.memory": ("new tasks", ""),
    "gateway.workers": ("new tasks", ""),
    "gateway.max_in_flight_requests": ("new tasks", ""),
    "network.nat_instance": ("in place", "whatever is on its way out is cut off, and the address is another one"),
    "email.smtp_key": ("new tasks", ""),
    "litellm_license": ("new tasks", ""),
    "alarms.workspace": ("refused", "leave it out for one release"),
}
"""What a change of a setting does to what is deployed, where that is more than an update in place: the most that
CloudFormation does, as a test finds it in the templates of an environment with everything."""

RELEASES: Final[Mapping[str, str]] = {
    "account": "Account where releases are built, and where the pipeline runs",
    "region": "Its region",
    "repository": "Repository on GitHub, `owner/name`",
    "branch": "Branch whose commits are released",
    "environments": "Environments, in the order in which a release reaches them; all of them if it is left out",
    "approved": "Those that wait for a person each time; the last if it is left out",
    "connection_arn": "Connection of CodeConnections to the repository: makes the pipeline",
    "github_actions": "Makes the roles of the workflows",
    "oidc_provider": "Whether the accounts have GitHub's OIDC provider already",
    "emails": "Addresses that hear of the pipeline",
    "workspace": "Slack's id of the workspace of its channel (T… or E…)",
    "channel": "Slack's id of the channel that hears of the pipeline (C… or G…)",
}
"""Of each setting of releases."""
_INTRODUCTION = (
    "What the functions of `company/environments.py` return. `make docs` writes this page from the code; "
    "[stacks/settings/](../stacks/settings/__init__.py) holds the rules, and refuses what cannot work in one sentence, "
    "when the app is synthesized. What a change does to an environment that is deployed is in "
    "[upgrading.md](upgrading.md#change-a-setting). A whole file to read: "
    "[the example's](../tests/companies/tokyo/environments.py)."
)
_CHANGES = """\
What CloudFormation does with the templates when a setting of a deployed environment changes, as a test finds it by the
resource schemas. *Refused* fails and is rolled back, and `make diff` says why before it is tried; *replaces* makes
something anew and removes the old; *new tasks* is a roll-out. Every other setting changes in place. What that means for
people is in [upgrading.md](upgrading.md#change-a-setting).

"""
_PAGE = f"""\
# Settings

{_INTRODUCTION}

The file names the functions at its end:

| Name | Meaning |
| --- | --- |
| `ENVIRONMENTS` | The functions of the environments that are deployed, in their order: `(dev, stg, prod)` |
| `LOCAL` | The one of them that `make up` runs, under the name `local`; without it, the first |
| `RELEASES` | The function of what promotes releases; without it, people deploy by hand |

## An environment

What `required` says in a group holds only if the group is there: `onboarding=Onboarding(…)`.

"""


def document() -> str:
    """The page."""
    return (
        _PAGE
        + _table(Environment, ENVIRONMENT)
        + "\n## Change one later\n\n"
        + _CHANGES
        + _effects()
        + "\n## Releases\n\n"
        + _table(Releases, RELEASES)
    )


def _table(model: type[Settings], meanings: Mapping[str, str]) -> str:
    lines = ["| Name | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, kind, default in settings(model):
        lines.append(f"| `{name}` | `{kind}` | {default} | {meanings.get(name, '')} |")
    return "\n".join(lines) + "\n"


def _effects() -> str:
    lines = ["| Name | CloudFormation | |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {effect} | {note} |" for name, (effect, note) in EFFECTS.items()]
    return "\n".join(lines) + "\n"


def settings(model: type[Settings], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, type and default of every setting, groups resolved."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if typing.get_origin(kind) in (types.UnionType, typing.Union):
            (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
        if isinstance(kind, type) and issubclass(kind, Settings):
            yield from settings(kind, f"{prefix}{name}.")
        elif groups := [one for one in typing.get_args(kind) if isinstance(one, type) and issubclass(one, Settings)]:
            yield from settings(groups[0], f"{prefix}{name}[].")
        else:
            yield f"{prefix}{name}", _type(kind), _default(field)


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    return "none" if field.default is None else f"`{field.default}`"


def _type(kind: Any) -> str:  # noqa: ANN401 - an annotation
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin:
        return f"{origin.__name__}[{', '.join('...' if part is ... else _type(part) for part in arguments)}]"
    return "IPv4Network" if kind is ipaddress.IPv4Network else str(kind.__name__)
