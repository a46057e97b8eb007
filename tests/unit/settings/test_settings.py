"""What the settings accept, what they refuse and how they say so, and what is derived from them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from stacks.company import environments, promotion
from stacks.settings import (
    FARGATE_MEMORY,
    RETENTION_DAYS,
    Alarms,
    Bill,
    Database,
    Datadog,
    Email,
    Environment,
    ExistingVpc,
    Gateway,
    HostedZone,
    Ingress,
    Network,
    Onboarding,
    Providers,
    Releases,
    Report,
    SettingsError,
    by_name,
    read,
)

ZONES = ("ap-northeast-1a", "ap-northeast-1c")
NETWORK: dict[str, Any] = {"zones": ZONES, "cidr": "10.1.0.0/16"}
INGRESS: dict[str, Any] = {"public": True, "cidrs": ("203.0.113.0/24",), "management_cidrs": ("203.0.113.0/26",)}
ZONE: dict[str, Any] = {"id": "Z0123456789EXAMPLE", "name": "example.com"}
PROVIDERS: dict[str, Any] = {"azure_api_base": "https://example.openai.azure.com", "vertexai_project": "example-llm"}
ONBOARDING: dict[str, Any] = {
    "workspace": "T0123456789",
    "audit_channel": "C0123456789",
    "mail_domains": ("example.com",),
    "teams": ("platform",),
}
VPC: dict[str, Any] = {
    "id": "vpc-0123456789abcdef0",
    "public_subnet_ids": ("subnet-0a0a0a01", "subnet-0a0a0a02"),
    "private_subnet_ids": ("subnet-0b0b0b01", "subnet-0b0b0b02"),
    "isolated_subnet_ids": ("subnet-0c0c0c01", "subnet-0c0c0c02"),
    "nat_addresses": ("198.51.100.7",),
}
CERTIFICATE = "arn:aws:acm:{region}:{account}:certificate/11111111-2222-3333-4444-555555555555"
MAIL_ADDRESS = "is no mail address: write it as sre@example.com"
WORKSPACE = "no workspace of Slack: copy its id, T… (or E…, of an organization)"
CHANNEL = "no channel of Slack: copy its id, C… or G…, from the channel's details"
GROUP = "no user group of Slack: copy its id, S…"
TIMES = ("monthly", "0d", "30s")
AT_LEAST_ONE = "is empty: name at least 1"
PLAN: dict[str, Any] = {"name": "Claude Team", "monthly_price": 125, "covers": ("claude-*",), "seats": "S0123456789"}
AZURE = dict.fromkeys(("tenant", "client", "subscription"), "01234567-89ab-4def-8123-456789abcdef")
SERVER: dict[str, Any] = {"host": "vllm.internal", "port": 8000, "cidr": "10.1.0.0/16"}
SIZES = "1024, 2048, 4096, 8192, 16384"


def environment(**changes: Any) -> Environment:  # noqa: ANN401 - any setting
    """A valid environment, but for the changes."""
    values: dict[str, Any] = {
        "name": "test",
        "account": "123456789012",
        "hosted_zone": HostedZone(**ZONE),
        "domain": "llm.example.com",
        "network": Network(**NETWORK),
        "ingress": Ingress(**INGRESS),
        "providers": Providers(**PROVIDERS),
    }
    return Environment(**values | changes)


def network(**changes: Any) -> Environment:  # noqa: ANN401
    return environment(network=Network(**NETWORK | changes))


def ingress(**changes: Any) -> Environment:  # noqa: ANN401
    return environment(ingress=Ingress(**INGRESS | changes))


def gateway(**changes: Any) -> Environment:  # noqa: ANN401
    return environment(gateway=Gateway(**changes))


def database(**changes: Any) -> Environment:  # noqa: ANN401
    return environment(database=Database(**changes))


def providers(**changes: Any) -> Environment:  # noqa: ANN401
    return environment(providers=Providers(**PROVIDERS | changes))


def hosted_zone(**changes: Any) -> Environment:  # noqa: ANN401
    return environment(hosted_zone=HostedZone(**ZONE | changes))


def email(**changes: Any) -> Environment:  # noqa: ANN401
    return environment(email=Email(**changes))


def onboarding(**changes: Any) -> Environment:  # noqa: ANN401
    return environment(onboarding=Onboarding(**ONBOARDING | changes))


def alarms(**changes: Any) -> Environment:  # noqa: ANN401 - any setting
    """A valid environment with these alarms."""
    return environment(alarms=Alarms(**changes))


def datadog(**changes: Any) -> Environment:  # noqa: ANN401 - any setting
    """A valid environment with Datadog, but for the changes."""
    return environment(datadog=Datadog(**changes))


def report(**changes: Any) -> Environment:  # noqa: ANN401 - any setting
    """A valid environment with a report, but for the changes."""
    return environment(report=Report(**{"channel": "C0123456789", **changes}))


def bill(**changes: Any) -> Environment:  # noqa: ANN401 - any setting
    """A valid environment that compares the bill, but for the changes."""
    return environment(bill=Bill(**changes))


def existing_vpc(**changes: Any) -> Environment:  # noqa: ANN401
    return network(vpc=ExistingVpc(**VPC | changes))


Make = Callable[..., Environment]
REFUSED: list[tuple[Make, dict[str, Any], str]] = [
    # The environment
    (environment, {"nmae": "x"}, "nmae: there is no such setting: see stacks/settings for those that there are"),
    *(
        (
            environment,
            {"name": name},
            f"name: '{name}' is no name for an environment: use 2 to 12 small letters and digits, beginning with a "
            "letter, since it is part of names whose length and characters AWS, Slack and Datadog limit",
        )
        for name in ("Prod", "p", "1st", "pre-prod", "abcdefghijklmnopqrstuvwxyz")
    ),
    (environment, {"account": "1234"}, "account: '1234' is no AWS account: write its twelve digits in quotes"),
    (
        environment,
        {"region": "ap-northeast-9"},
        "region: 'ap-northeast-9' is not an AWS region: use one such as ap-northeast-1",
    ),
    (
        environment,
        {"region": "us-east-1"},
        "network.zones has 'ap-northeast-1a', which is no zone of us-east-1: use us-east-1a and the like",
    ),
    (
        environment,
        {"domain": "llm.example.org"},
        "domain llm.example.org is not in hosted_zone example.com: its records would have no place",
    ),
    (
        environment,
        {"domain": "notexample.com"},
        "domain notexample.com is not in hosted_zone example.com: its records would have no place",
    ),
    (
        environment,
        {"certificate_arn": CERTIFICATE.format(region="us-east-1", account="123456789012")},
        "certificate_arn is of another region or account than ap-northeast-1 and 123456789012: "
        "a load balancer takes only its own",
    ),
    (
        environment,
        {"certificate_arn": CERTIFICATE.format(region="ap-northeast-1", account="999999999999")},
        "certificate_arn is of another region or account than ap-northeast-1 and 123456789012: "
        "a load balancer takes only its own",
    ),
    (
        environment,
        {"certificate_arn": "example.com"},
        "certificate_arn: 'example.com' is no ARN of a certificate: copy it whole from Certificate Manager",
    ),
    (
        environment,
        {"database": {"copies": {"region": "ap-northeast-1"}}},
        "database.copies.region is ap-northeast-1, which is the environment's own, and copies there would be lost "
        "with it: name another region",
    ),
    (
        environment,
        {"database": {"copies": {"region": "osaka"}}},
        "database.copies.region: 'osaka' is not an AWS region: use one such as ap-northeast-1",
    ),
    (
        environment,
        {"log_retention_days": 31},
        "log_retention_days: CloudWatch Logs keeps no log for 31 days: choose one of "
        + ", ".join(map(str, RETENTION_DAYS)),
    ),
    (hosted_zone, {"id": "example"}, "hosted_zone.id: 'example' is no id of a hosted zone: copy it from Route 53, Z…"),
    # The network
    (
        network,
        {"zones": ("ap-northeast-1a",)},
        "network.zones: has 1: name at least 2",
    ),
    (
        network,
        {"zones": ("ap-northeast-1a", "ap-northeast-1a")},
        "network: zones names one twice (ap-northeast-1a, ap-northeast-1a): the gateway needs two different ones",
    ),
    (
        network,
        {"zones": ("ap-northeast-1a", "us-east-1a")},
        "network.zones has 'us-east-1a', which is no zone of ap-northeast-1: use ap-northeast-1a and the like",
    ),
    (
        network,
        {"cidr": "10.1.0.1/16"},
        "network.cidr: '10.1.0.1/16' is not an IPv4 range (10.1.0.1/16 has host bits set): write it as 10.0.0.0/16",
    ),
    (
        network,
        {"cidr": "10.1.0.0/24", "room_for_zones": 2},
        "network: cidr 10.1.0.0/24 does not hold the subnets of 2 zones: use a /22 or larger, or fewer zones",
    ),
    (
        network,
        {"cidr": "10.1.0.0/22"},
        "network: cidr 10.1.0.0/22 does not hold the subnets of 3 zones: use a /21 or larger, or room_for_zones=2",
    ),
    (
        network,
        {"vpc": ExistingVpc(**VPC), "interface_endpoints": ("ssm", "logs")},
        "network: interface_endpoints has ssm, logs, and vpc is one that is there already, where an endpoint would "
        "answer everybody for that service: have the VPC's owner make it for all of its range, and leave "
        "interface_endpoints out",
    ),
    (
        network,
        {"cidr": "10.1.0.0/22", "zones": tuple(f"ap-northeast-1{zone}" for zone in "acd")},
        "network: cidr 10.1.0.0/22 does not hold the subnets of 3 zones: use a /21 or larger, or fewer zones",
    ),
    (network, {"cidr": "10.0.0.0/8"}, "network: cidr 10.0.0.0/8 is no size of a VPC: use one from /16 to /28"),
    (
        network,
        {"cidr": "8.8.0.0/16"},
        "network: cidr 8.8.0.0/16 is public address space: use a private range such as 10.0.0.0/16",
    ),
    (network, {"nat_gateways": 3}, "network: nat_gateways is 3 for 2 zones: use one per zone at most"),
    (network, {"nat_gateways": 0}, "network.nat_gateways: 0: input should be greater than or equal to 1"),
    (existing_vpc, {"id": "main"}, "existing_vpc.id: 'main' is no id of a VPC: copy it whole, vpc-…"),
    (
        existing_vpc,
        {"private_subnet_ids": ("private-1", "subnet-0b0b0b02")},
        "existing_vpc.private_subnet_ids.0: 'private-1' is no id of a subnet: copy it whole, subnet-…",
    ),
    *(
        (
            existing_vpc,
            {f"{kind}_subnet_ids": ("subnet-0d0d0d01",)},
            f"network: vpc.{kind}_subnet_ids names 1 subnets for 2 zones: name one per zone, in the order of zones",
        )
        for kind in ("public", "private", "isolated")
    ),
    # Who may reach it
    *(
        (
            ingress,
            {key: (cidr,)},
            f"ingress.{key}.0: {cidr} is open to the world: name your company's own ranges (a /8 at the widest)",
        )
        for key in ("cidrs", "management_cidrs")
        for cidr in ("0.0.0.0/0", "128.0.0.0/1", "10.0.0.0/7")
    ),
    (ingress, {"cidrs": ()}, f"ingress.cidrs: {AT_LEAST_ONE}"),
    (
        ingress,
        {"cidrs": ("office",)},
        "ingress.cidrs.0: 'office' is not an IPv4 range (Expected 4 octets in 'office'): write it as 10.0.0.0/16",
    ),
    (
        ingress,
        {"management_cidrs": ("198.51.100.0/24",)},
        "ingress: management_cidrs has 198.51.100.0/24, which cidrs does not let in: add it to cidrs or remove it",
    ),
    (
        ingress,
        {"requests_per_address": 10},
        "ingress.requests_per_address: 10: input should be greater than or equal to 100",
    ),
    # The tasks
    (gateway, {"cpu": 512}, f"gateway: cpu 512 is no size that LiteLLM fits in: use {SIZES}"),
    (
        gateway,
        {"cpu": 1024, "memory": 16384},
        "gateway: Fargate offers no memory of 16384 MiB with cpu 1024: use 2048 to 8192 MiB in steps of 1024",
    ),
    (
        gateway,
        {"cpu": 8192, "memory": 17408},
        "gateway: Fargate offers no memory of 17408 MiB with cpu 8192: use 16384 to 61440 MiB in steps of 4096",
    ),
    (
        gateway,
        {"workers": 2},
        "gateway: cpu 1024 and memory 4096 are too little for 2 workers: LiteLLM needs 1024 CPU units and 4096 MiB for "
        "each, so raise them to 2048 and 8192 or lower workers",
    ),
    (
        gateway,
        {"cpu": 2048, "memory": 4096, "workers": 2},
        "gateway: cpu 2048 and memory 4096 are too little for 2 workers: LiteLLM needs 1024 CPU units and 4096 MiB for "
        "each, so raise them to 2048 and 8192 or lower workers",
    ),
    (
        gateway,
        {"requests_per_task": 1200},
        "gateway: requests_per_task is gone, since a count of requests says nothing of their size: leave it out; tasks "
        "are added by CPU and by max_in_flight_requests, the requests that a worker has in hand at the same time "
        "(docs/upgrading.md)",
    ),
    (
        gateway,
        {"max_in_flight_requests": 0},
        "gateway.max_in_flight_requests: 0: input should be greater than or equal to 1",
    ),
    (
        gateway,
        {"max_in_flight_requests": 1001},
        "gateway.max_in_flight_requests: 1001: input should be less than or equal to 1000",
    ),
    (
        gateway,
        {"min_tasks": 3, "max_tasks": 2},
        "gateway: min_tasks 3 is above max_tasks 2: swap or raise max_tasks",
    ),
    (gateway, {"workers": 0}, "gateway.workers: 0: input should be greater than or equal to 1"),
    (gateway, {"min_tasks": 0}, "gateway.min_tasks: 0: input should be greater than or equal to 1"),
    # The database
    (
        database,
        {"min_capacity": 4},
        "database: min_capacity 4.0 is above max_capacity 2: swap them or raise max_capacity",
    ),
    (database, {"min_capacity": 0}, "database.min_capacity: 0: input should be greater than or equal to 0.5"),
    (database, {"max_capacity": 0.5}, "database.max_capacity: 0.5: input should be greater than or equal to 1"),
    (database, {"max_capacity": 300}, "database.max_capacity: 300: input should be less than or equal to 256"),
    (database, {"max_capacity": 1.3}, "database.max_capacity: 1.3: input should be a multiple of 0.5"),
    (database, {"backup_days": 0}, "database.backup_days: 0: input should be greater than or equal to 1"),
    (database, {"backup_days": 36}, "database.backup_days: 36: input should be less than or equal to 35"),
    # The providers
    (
        providers,
        {"azure_api_base": "http://example.com"},
        "providers.azure_api_base: 'http://example.com' is no address of an Azure OpenAI resource: write it as "
        "https://NAME.openai.azure.com",
    ),
    (
        providers,
        {"vertexai_project": "A"},
        "providers.vertexai_project: 'A' is no id of a Google Cloud project: copy its id, not its name",
    ),
    (
        providers,
        {"vertexai_location": "tokyo"},
        "providers.vertexai_location: 'tokyo' is no location of Vertex AI: use global or one such as europe-west1",
    ),
    (
        providers,
        {"azure_ai_api_base": "https://x.openai.azure.com"},
        "providers.azure_ai_api_base: 'https://x.openai.azure.com' is no address of an Azure AI Foundry resource: "
        "write it as https://NAME.services.ai.azure.com",
    ),
    *(
        (providers, {"servers": (SERVER | changes,)}, f"providers.servers.0{sentence}")
        for changes, sentence in (
            (
                {"host": "http://vllm.internal"},
                ".host: 'http://vllm.internal' is no host: write its name in small letters or its IPv4 address, "
                "without http:// and without its port",
            ),
            ({"port": 443}, ": vllm.internal:443 is open already, as HTTPS is to every host: leave it out"),
            (
                {"cidr": None},
                ": vllm.internal:8000 takes one of security_group_id and cidr: say which the tasks may reach",
            ),
            (
                {"security_group_id": "sg-0123456789abcdef0"},
                ": vllm.internal:8000 takes one of security_group_id and cidr: say which the tasks may reach",
            ),
            (
                {"cidr": "0.0.0.0/0"},
                ".cidr: 0.0.0.0/0 is open to the world: name your company's own ranges (a /8 at the widest)",
            ),
            (
                {"cidr": None, "security_group_id": "vllm"},
                ".security_group_id: 'vllm' is no id of a security group: copy it whole, sg-…",
            ),
        )
    ),
    (
        providers,
        {"servers": (SERVER, SERVER | {"cidr": "10.2.0.0/16"})},
        "providers: servers names vllm.internal:8000 twice: name each host and port once",
    ),
    # Mail
    (
        email,
        {"sender": "a@example.com"},
        "email.sender: there is no such setting: see stacks/settings for those that there are",
    ),
    (email, {"reply_to": "IT Help"}, f"email.reply_to: 'it help' {MAIL_ADDRESS}"),
    (email, {"dmarc_reports": "example.com"}, f"email.dmarc_reports: 'example.com' {MAIL_ADDRESS}"),
    (
        email,
        {"dmarc_policy": "strict"},
        "email.dmarc_policy: 'strict': input should be 'none', 'quarantine' or 'reject'",
    ),
    *(
        (
            email,
            {"smtp_key": key},
            f"email.smtp_key: '{key}' is no label of a key: use at most 32 letters, digits and hyphens",
        )
        for key in ("", "the second", "1" * 33)
    ),
    # Alarms
    (alarms, {"emails": ("sre",)}, f"alarms.emails.0: 'sre' {MAIL_ADDRESS}"),
    *(
        (alarms, place, "alarms: workspace and channel name one place in Slack together: set both or neither")
        for place in ({"workspace": "T0123456789"}, {"channel": "C0123456789"})
    ),
    (alarms, {"monthly_budget": 0}, "alarms.monthly_budget: 0: input should be greater than or equal to 0.01"),
    # Datadog
    (
        datadog,
        {"notify": ("#llm",)},
        "datadog.notify.0: '#llm' is no listener of Datadog: write it as @slack-channel or @name@example.com",
    ),
    *(
        (datadog, {key: 101}, f"datadog.{key}: 101: input should be less than or equal to 100")
        for key in ("error_percent", "budget_percent")
    ),
    # The report and its plans
    (report, {"channel": "#llm"}, f"report.channel: '#llm' is {CHANNEL}"),
    (report, {"hour": 24}, "report.hour: 24: input should be less than or equal to 23"),
    (report, {"timezone": "JST"}, "report.timezone: 'JST' is no time zone: use one such as Asia/Tokyo or UTC"),
    (
        report,
        {"hour": 8, "timezone": "Asia/Tokyo"},
        "report: hour 8 in Asia/Tokyo is the day before in UTC, whose days the figures are of: use 9 or later",
    ),
    (report, {"jump_factor": 1}, "report.jump_factor: 1: input should be greater than 1"),
    (
        report,
        {"weekly": False, "monthly": False},
        "report: weekly and monthly are both off: turn one on, or leave report out",
    ),
    (
        report,
        {"plans": (PLAN, PLAN)},
        "report: plans has one name twice (Claude Team, Claude Team): give each its own",
    ),
    (report, {"plans": ({**PLAN, "covers": ()},)}, f"report.plans.0.covers: {AT_LEAST_ONE}"),
    (
        report,
        {"plans": ({**PLAN, "seats": "@claude"},)},
        f"report.plans.0.seats: '@claude' is {GROUP}",
    ),
    # The bill
    (bill, {"tolerance_percent": 0}, "bill.tolerance_percent: 0: input should be greater than or equal to 0.01"),
    (
        bill,
        {"azure": {**AZURE, "tenant": "example.onmicrosoft.com"}},
        "bill.azure.tenant: 'example.onmicrosoft.com' is no id of Azure: copy it whole, eight-four-four-four-twelve",
    ),
    (
        bill,
        {"google": {"table": "billing.export"}},
        "bill.google.table: 'billing.export' is no table of BigQuery: write it as project.dataset.table",
    ),
    (
        bill,
        {"gemini": {"table": "example-llm.billing.export", "project": "My Project"}},
        "bill.gemini.project: 'My Project' is no id of a Google project: copy it from AI Studio, as my-project",
    ),
    (
        bill,
        {"openai": {"projects": ["gateway"]}},
        "bill.openai.projects.0: 'gateway' is no id of a project of OpenAI's: copy it whole, proj_…",
    ),
    (
        bill,
        {"anthropic": {"workspaces": ["Default"]}},
        "bill.anthropic.workspaces.0: 'Default' is no workspace of Anthropic's: copy its id whole, wrkspc_…, or write "
        "default for the first one",
    ),
    (
        bill,
        {"anthropic": {"workspaces": ["default", "default"]}},
        "bill.anthropic.workspaces: a workspace is named twice (default, default): name each once",
    ),
    # Accounts
    *(
        (onboarding, {key: value}, f"onboarding.{key}: '{value}' is {problem}")
        for key, value, problem in (
            ("workspace", "example.slack.com", WORKSPACE),
            ("workspace", "C0123456789", WORKSPACE),
            ("audit_channel", "#llm-audit", CHANNEL),
            ("audit_channel", "D0123456789", CHANNEL),
            ("approver_group", "@llm-admins", GROUP),
            *(("budget_duration", each, "no time for a budget: write it as 24h, 30d or 1mo") for each in TIMES),
        )
    ),
    *((onboarding, {key: ()}, f"onboarding.{key}: {AT_LEAST_ONE}") for key in ("mail_domains", "teams")),
    (
        onboarding,
        {"mail_domains": ("@example.com",)},
        "onboarding.mail_domains.0: '@example.com' is no host name: write it in small letters, without https:// and "
        "without a dot at the end",
    ),
    (
        onboarding,
        {"teams": ("platform", "Sales Team")},
        "onboarding.teams.1: 'Sales Team' is no name for a team: use at most 40 small letters, digits and hyphens, as "
        "in data-eng",
    ),
    (
        onboarding,
        {"teams": tuple(f"team-{number}" for number in range(101))},
        "onboarding.teams: has 101: name at most 100",
    ),
    (onboarding, {"protected": ("ci",)}, f"onboarding.protected.0: 'ci' {MAIL_ADDRESS}"),
    (onboarding, {"max_budget": 0}, "onboarding.max_budget: 0: input should be greater than or equal to 0.01"),
    (
        onboarding,
        {"max_budget": 2000},
        "onboarding: max_budget 2000 is above budget_ceiling 1000: swap them or raise budget_ceiling",
    ),
    (
        onboarding,
        {"max_budget": 1_000_000, "budget_ceiling": 999_999.99},
        "onboarding: max_budget 1000000 is above budget_ceiling 999999.99: swap them or raise budget_ceiling",
    ),
    (
        onboarding,
        {"budget_ceiling": 2_000_000},
        "onboarding.budget_ceiling: 2000000: input should be less than or equal to 1000000",
    ),
    *(
        (onboarding, {key: 0}, f"onboarding.{key}: 0: input should be greater than or equal to 1")
        for key in ("tpm_limit", "rpm_limit", "close_limit")
    ),
]


@pytest.mark.parametrize(
    ("make", "changes", "sentence"), REFUSED, ids=[f"{m.__name__} {c}"[:60] for m, c, _ in REFUSED]
)
def test_refused(make: Make, changes: dict[str, Any], sentence: str) -> None:
    def test() -> Environment:
        return make(**changes)

    with pytest.raises(SettingsError) as refusal:
        read(test)
    assert str(refusal.value) == f"test: {sentence}"


@pytest.mark.parametrize("name", ["REDIS_HOST", "REDIS_URL", "REDIS_CLUSTER_NODES"])
def test_a_redis_of_ones_own_is_refused(name: str) -> None:
    """LiteLLM would look for it, whatever its configuration says."""

    def test() -> Environment:
        return environment(variables={name: "redis.example.com"})

    with pytest.raises(SettingsError, match=f"variables has {name}, by which LiteLLM .* set cache instead"):
        read(test)


@pytest.mark.parametrize("name", ["AWS_ROLE_NAME", "AWS_PROFILE", "AWS_BEDROCK_RUNTIME_ENDPOINT"])
def test_a_variable_that_changes_every_call_of_aws_is_refused(name: str) -> None:
    """LiteLLM takes it for each entry that has none, and the task's role would call no model."""

    def test() -> Environment:
        return environment(variables={name: "other"})

    with pytest.raises(SettingsError, match=f"variables has {name}, which is read for every call of AWS"):
        read(test)
    environment(variables={"AWS_REGION_NAME": "us-west-2"})


def test_a_cache_is_of_a_known_node() -> None:
    def test() -> Environment:
        return environment(cache={"node": "cache.t4g.nano"})

    with pytest.raises(SettingsError) as refusal:
        read(test)
    assert "cache.node" in str(refusal.value) and "cache.t4g.micro" in str(refusal.value)


def test_missing_settings_of_the_accounts_are_named() -> None:
    def test() -> Environment:
        return environment(onboarding=Onboarding(workspace="T0123456789"))  # type: ignore[call-arg]

    with pytest.raises(SettingsError) as refusal:
        read(test)
    what = "is not set: it has no default, so give it a value"
    assert str(refusal.value).splitlines() == [
        f"test: onboarding.{name}: {what}" for name in ("audit_channel", "mail_domains", "teams")
    ]


def test_a_missing_setting_is_named() -> None:
    def test() -> Environment:
        return environment(gateway={"cpu": 1024}, bill={"azure": {}})

    with pytest.raises(SettingsError) as refusal:
        read(test)
    what = "is not set: it has no default, so give it a value"
    assert str(refusal.value).splitlines() == [
        f"test: bill.azure.tenant: {what}",
        f"test: bill.azure.client: {what}",
        f"test: bill.azure.subscription: {what}",
    ]


ACCEPTED: list[tuple[Make, dict[str, Any]]] = [
    (environment, {}),
    (environment, {"domain": "example.com"}),
    (environment, {"certificate_arn": CERTIFICATE.format(region="ap-northeast-1", account="123456789012")}),
    (environment, {"region": "us-west-2", "network": Network(zones=("us-west-2a", "us-west-2b"), cidr="10.1.0.0/16")}),
    (network, {"cidr": "172.16.0.0/22", "nat_gateways": 2, "room_for_zones": 2}),
    (network, {"interface_endpoints": ("ecr.api", "ssm")}),
    (existing_vpc, {}),
    (ingress, {"public": False, "cidrs": ("10.0.0.0/8",), "management_cidrs": ("10.1.0.0/16",)}),
    (gateway, {"cpu": 2048, "memory": 8192, "workers": 2, "min_tasks": 2, "max_tasks": 2, "spot": True}),
    (database, {"min_capacity": 0.5, "max_capacity": 256, "reader": True, "backup_days": 35}),
    (providers, {"azure_api_base": "https://x.cognitiveservices.azure.com/", "vertexai_location": "us-central1"}),
    (providers, {"azure_api_base": "https://x.services.ai.azure.com"}),
    (providers, {"azure_ai_api_base": "https://x.services.ai.azure.com/"}),
    (providers, {"azure_ai_api_base": "https://x.eastus2.models.ai.azure.com"}),
    (providers, {"servers": (SERVER, SERVER | {"port": 80}, {**SERVER, "host": "10.1.2.3"})}),
    (providers, {"servers": ({"host": "a.bc", "port": 1, "security_group_id": "sg-0123456789abcdef0"},)}),
    (email, {"reply_to": "it-help@example.com", "dmarc_policy": "none", "dmarc_reports": "dmarc@reports.example.org"}),
    (email, {"smtp_key": "2026-11-24"}),
    (alarms, {"emails": ("sre@example.com", "on+call@example.com")}),
    (alarms, {"workspace": "T0123456789", "channel": "G0123456789", "monthly_budget": 1000}),
    (datadog, {"notify": ("@slack-llm-gateway", "@pagerduty-llm", "@sre@example.com"), "error_percent": 100}),
    *((report, {"hour": h, "timezone": z}) for h, z in ((9, "Asia/Tokyo"), (0, "UTC"), (0, "America/New_York"))),
    (report, {"plans": (PLAN, {**PLAN, "name": "Other", "monthly_allowance": 600, "through_gateway": True})}),
    (bill, {"azure": AZURE, "google": {"table": "example-llm.billing.gcp_export_v1_0A"}, "profile_tag": "team"}),
    (onboarding, {}),
    (onboarding, {"workspace": "E0123456789", "audit_channel": "G0123456789", "approver_group": "S0123456789"}),
    (onboarding, {"teams": tuple(f"team-{number}" for number in range(100))}),  # Slack's most in a select
    (onboarding, {"max_budget": 0.5, "budget_ceiling": 0.5}),
    *((onboarding, {"budget_duration": duration}) for duration in ("24h", "7d", "1mo")),
    (onboarding, {"models": ("claude",), "tpm_limit": 1, "rpm_limit": 1, "close_limit": 1, "dry_run": True}),
]


@pytest.mark.parametrize(("make", "changes"), ACCEPTED, ids=[f"{m.__name__} {c}"[:60] for m, c in ACCEPTED])
def test_accepted(make: Make, changes: dict[str, Any]) -> None:
    assert make(**changes)


@pytest.mark.parametrize("cpu", FARGATE_MEMORY)
def test_every_size_of_fargate_that_holds_a_worker(cpu: int) -> None:
    for memory in FARGATE_MEMORY[cpu]:
        if memory >= 4096:
            assert gateway(cpu=cpu, memory=memory).gateway.memory == memory


@pytest.mark.parametrize("days", RETENTION_DAYS)
def test_every_retention(days: int) -> None:
    from aws_cdk.aws_logs import RetentionDays  # here, as it takes a second that the other tests need not wait

    assert environment(log_retention_days=days).log_retention in RetentionDays.__members__


def test_frozen() -> None:
    made = existing_vpc()
    groups: list[tuple[BaseModel | None, str]] = [
        *((made, name) for name in Environment.model_fields),
        (made.network, "cidr"),
        (made.ingress, "cidrs"),
        (made.gateway, "cpu"),
        (made.database, "reader"),
        (made.providers, "dd_site"),
        (made.email, "reply_to"),
        (onboarding().onboarding, "teams"),
        (alarms().alarms, "emails"),
        (datadog().datadog, "notify"),
        (report().report, "plans"),
        (bill().bill, "azure"),
    ]
    for group, name in groups:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(group, name, None)


def test_plain_variables() -> None:
    made = environment(name="dev")
    assert {
        name: made.plain_variables[name] for name in ("DD_ENV", "SMTP_HOST", "SMTP_SENDER_EMAIL", "AZURE_API_BASE")
    } == {
        "DD_ENV": "dev",
        "SMTP_HOST": "email-smtp.ap-northeast-1.amazonaws.com",
        "SMTP_SENDER_EMAIL": "llm-gateway@llm.example.com",
        "AZURE_API_BASE": "https://example.openai.azure.com",
    }
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in made.plain_variables)
    assert all(isinstance(value, str) and value for value in made.plain_variables.values())


def test_parameters() -> None:
    made = environment(name="dev")
    assert made.parameter_prefix == "/litellm/dev"
    assert made.parameter("DD_API_KEY") == "/litellm/dev/DD_API_KEY"


def test_names_of_mail_and_slack() -> None:
    made = environment(domain="llm.dev.example.com")
    assert made.mail_sender == made.plain_variables["SMTP_SENDER_EMAIL"] == "llm-gateway@llm.dev.example.com"
    assert made.slack_domain == "slack.llm.dev.example.com"


# The functions' secrets


@pytest.mark.parametrize(
    ("make", "needed"),
    [
        (environment, set()),
        (onboarding, {"SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"}),
        (report, {"SLACK_BOT_TOKEN"}),
        (datadog, {"DD_API_KEY", "DD_APP_KEY"}),
        (bill, set()),
        (lambda: bill(azure=AZURE), {"AZURE_BILLING_SECRET"}),
        (lambda: bill(google={"table": "example-llm.billing.export"}), {"GOOGLE_BILLING_CREDENTIALS"}),
        (
            lambda: bill(gemini={"table": "example-llm.billing.export", "project": "acme-ai-studio"}),
            {"GOOGLE_BILLING_CREDENTIALS"},
        ),
        (lambda: bill(openai={}, anthropic={"workspaces": ["default"]}), {"OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY"}),
    ],
)
def test_the_secrets_of_the_functions(make: Make, needed: set[str]) -> None:
    assert set(make().function_secrets) == needed


# Models of the accounts and of the plans


def test_a_plan_covers_models_that_there_are() -> None:
    report(plans=(PLAN,)).check_models(["claude-sonnet", "gpt"])
    with pytest.raises(SettingsError) as refusal:
        report(plans=(PLAN,)).check_models(["gemini", "gpt"])
    assert str(refusal.value) == (
        "test: report.plans: Claude Team covers claude-*, which fits no model of company/config.yaml: it has gemini, "
        "gpt"
    )


@pytest.mark.parametrize("make", [environment, onboarding, lambda: onboarding(models=("claude", "gemini"))])
def test_models_that_there_are(make: Make) -> None:
    make().check_models(["gemini", "claude", "gpt"])


def test_an_access_group_stands_for_its_models() -> None:
    onboarding(models=("claude", "research")).check_models(["gemini", "claude"], ["research"])


def test_models_that_there_are_not() -> None:
    with pytest.raises(SettingsError) as refusal:
        onboarding(models=("sonnet", "claude", "flash")).check_models(["gemini", "claude"])
    assert str(refusal.value) == (
        "test: onboarding.models has flash, sonnet, which company/config.yaml does not offer: it has claude, gemini"
    )


# Connections


@pytest.mark.parametrize(
    ("minimum", "maximum", "connections"),
    [
        # AWS's table.
        (0.5, 1, 189),
        (1, 1, 189),
        (1, 4, 823),
        (1, 8, 1669),
        (1, 16, 3360),
        (1, 32, 5000),
        (1, 64, 5000),
        (1, 128, 5000),
        (1, 256, 5000),
        # In between.
        (0.5, 2, 400),
        (0.5, 2.5, 506),
        (1, 24, 4180),
        # Capped, as the smallest capacity is 0.5.
        (0.5, 8, 1669),
        (0.5, 16, 2000),
    ],
)
def test_connections_that_aurora_takes(minimum: float, maximum: float, connections: int) -> None:
    assert Database(min_capacity=minimum, max_capacity=maximum).max_connections == connections


@pytest.mark.parametrize("maximum_tasks", [1, 18])
def test_connections_within_the_limit(maximum_tasks: int) -> None:
    gateway(max_tasks=maximum_tasks).check_connections(10)  # (2 x 18 + 1) x 10 = 370 of 385


def test_too_many_connections() -> None:
    with pytest.raises(SettingsError) as refusal:
        gateway(max_tasks=19).check_connections(10)
    assert str(refusal.value) == (
        "test: a deployment may open 390 database connections (2 x 19 tasks x 1 workers x 10, and 10 for the "
        "migration), but Aurora takes 385 at 2 ACU: raise database.max_capacity, which a deployed database takes up "
        "when it is restarted (docs/upgrading.md), or lower gateway.max_tasks or database_connection_pool_limit in "
        "company/config.yaml"
    )


# Between environments


OVERLAPPING: list[tuple[dict[str, Any], str]] = [
    (
        {"domain": "b.example.com", "network": Network(zones=ZONES, cidr="10.2.0.0/16")},
        "two environments are called test: give each its own name",
    ),
    (
        {"name": "other", "network": Network(zones=ZONES, cidr="10.2.0.0/16")},
        "test and other have one domain, llm.example.com: give each its own",
    ),
    (
        {"name": "other", "domain": "b.example.com", "network": Network(zones=ZONES, cidr="10.1.128.0/20")},
        "test and other have overlapping ranges, 10.1.0.0/16 and 10.1.128.0/20: give each its own network.cidr",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), OVERLAPPING)
def test_environments_must_differ(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        by_name((environment(), environment(**changes)))
    assert str(refusal.value) == sentence


def test_environments() -> None:
    found = environments()
    assert list(found) == ["dev", "stg", "prod", "local"]
    assert all(made.name == name for name, made in found.items())
    assert all(made.region == "ap-northeast-1" for made in found.values())
    assert {made.name for made in found.values() if made.deletion_protection} == {"stg", "prod"}


# Releases


def releases(**changes: Any) -> Releases:  # noqa: ANN401 - any setting
    """Valid settings of releases, but for the changes."""
    values: dict[str, Any] = {"account": "444444444444", "repository": "example/gateway", "github_actions": True}
    return Releases(**values | changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"environments": ("dev", "prod", "dev")},
            "releases: environments names one twice (dev, prod, dev): name each once",
        ),
        (
            {"github_actions": False},
            "releases: nothing promotes: set connection_arn or github_actions, or leave RELEASES out",
        ),
        (
            {"channel": "C0123456789"},
            "releases: workspace and channel name one place in Slack together: set both or neither",
        ),
        ({"account": None}, "releases: account: None: input should be a valid string"),
        (
            {"stage": "dev"},
            "releases: stage: there is no such setting: see stacks/settings for those that there are",
        ),
    ],
)
def test_releases_that_cannot_work(changes: dict[str, Any], sentence: str) -> None:
    def made() -> Releases:
        return releases(**changes)

    made.__name__ = "releases"
    with pytest.raises(SettingsError) as refusal:
        read(made)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("repository", ["gateway", "https://github.com/example/gateway", "example/gate way"])
def test_a_repository_is_owner_and_name(repository: str) -> None:
    with pytest.raises(ValidationError, match="repository"):
        releases(repository=repository)


def test_a_release_goes_to_all_environments_and_the_last_one_is_approved() -> None:
    found = releases().among(["dev", "stg", "prod"])
    assert (found.environments, found.approved) == (("dev", "stg", "prod"), ("prod",))


def test_a_release_goes_where_the_settings_say() -> None:
    found = releases(environments=("prod", "dev"), approved=()).among(["dev", "stg", "prod"])
    assert (found.environments, found.approved) == (("prod", "dev"), ())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"environments": ("dev", "stg")},
            "environments has stg, which company/environments.py does not define: it has dev, prod",
        ),
        ({"approved": ("live",)}, "approved has live, which is not in environments: it has dev, prod"),
    ],
)
def test_releases_are_for_environments_that_there_are(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        releases(**changes).among(["dev", "prod"])
    assert str(refusal.value) == f"releases: {sentence}"


def test_promotion() -> None:
    found = promotion()
    assert found
    assert found.environments == ("dev", "stg", "prod")
    assert found.approved == ("prod",)
