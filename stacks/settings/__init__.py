"""The types of the settings, and the rules they must obey: what `company/environments.py` is written in.

Every model is frozen and refuses unknown names. A value that cannot work is refused when it is read, in one
sentence that names the environment, the setting and what to do.
"""

from stacks.settings.bedrock import Bedrock, InferenceProfile, PersonalData
from stacks.settings.environment import SECURITY_GROUP_RULES, Environment
from stacks.settings.gateway import (
    DATABASE_NAME,
    DATABASE_USERNAME,
    FARGATE_MEMORY,
    WORKER_CPU,
    WORKER_MEMORY,
    Cache,
    Copies,
    Database,
    Gateway,
)
from stacks.settings.network import SUBNET_PREFIXES, ExistingVpc, HostedZone, Ingress, Network
from stacks.settings.observability import Alarms, Datadog, Listeners
from stacks.settings.onboarding import Email, Onboarding
from stacks.settings.providers import Providers, Server
from stacks.settings.reading import by_name, findings, read
from stacks.settings.releases import WORKFLOW_BRANCH, WORKFLOW_ENVIRONMENTS, Releases
from stacks.settings.sleep import Sleep
from stacks.settings.usage import AnthropicBill, AzureBill, Bill, GeminiBill, GoogleBill, OpenAiBill, Plan, Report
from stacks.settings.values import (
    MOST_TAGS,
    RETENTION_DAYS,
    AccountId,
    Cidr,
    HostName,
    Region,
    Settings,
    SettingsError,
    SlackChannelId,
    SlackWorkspaceId,
    TeamName,
    UsDollars,
)

__all__ = [
    "DATABASE_NAME",
    "DATABASE_USERNAME",
    "FARGATE_MEMORY",
    "MOST_TAGS",
    "RETENTION_DAYS",
    "SECURITY_GROUP_RULES",
    "SUBNET_PREFIXES",
    "WORKER_CPU",
    "WORKER_MEMORY",
    "WORKFLOW_BRANCH",
    "WORKFLOW_ENVIRONMENTS",
    "AccountId",
    "Alarms",
    "AnthropicBill",
    "AzureBill",
    "Bedrock",
    "Bill",
    "Cache",
    "Cidr",
    "Copies",
    "Database",
    "Datadog",
    "Email",
    "Environment",
    "ExistingVpc",
    "Gateway",
    "GeminiBill",
    "GoogleBill",
    "HostName",
    "HostedZone",
    "InferenceProfile",
    "Ingress",
    "Listeners",
    "Network",
    "Onboarding",
    "OpenAiBill",
    "PersonalData",
    "Plan",
    "Providers",
    "Region",
    "Releases",
    "Report",
    "Server",
    "Settings",
    "SettingsError",
    "SlackChannelId",
    "SlackWorkspaceId",
    "Sleep",
    "TeamName",
    "UsDollars",
    "by_name",
    "findings",
    "read",
]
