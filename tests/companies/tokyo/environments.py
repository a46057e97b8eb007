"""Three environments in Tokyo, each in an account of its own, with everything that a company gets by default.

`docs/settings.md` explains each value; `stacks/settings` has the rules.
"""

from stacks.settings import (
    Alarms,
    Bill,
    Cache,
    Copies,
    Database,
    Datadog,
    Email,
    Environment,
    Gateway,
    HostedZone,
    Ingress,
    Network,
    Onboarding,
    Plan,
    Providers,
    Releases,
    Report,
    Sleep,
)

OFFICE = "203.0.113.0/24"  # where people work: your company's own public ranges
OPERATORS = "203.0.113.64/27"  # where accounts are managed from: a part of the above


def accounts(command: str) -> Onboarding:
    """Who gets an account by asking for it in Slack, and what with: the same in every environment but for its name."""
    return Onboarding(
        command=command,
        workspace="T0123456789",
        audit_channel="C0123456789",
        approver_group="S0123456789",
        mail_domains=("example.com",),
        teams=("platform", "product", "research", "sales"),
    )


def report(channel: str) -> Report:
    """What a channel is told every week and every month, and the plans that people could be cheaper on.

    The prices are those that providers publish for one seat; the allowances are yours to set by what you see.
    """
    return Report(
        channel=channel,
        timezone="Asia/Tokyo",
        plans=(
            Plan(
                name="Claude Team Premium",
                monthly_price=125,
                covers=("claude-*",),
                monthly_allowance=600,
                seats="S0CLAUDE789",
            ),
            Plan(name="ChatGPT Business", monthly_price=30, covers=("gpt-*",), monthly_allowance=90),
        ),
    )


def dev() -> Environment:
    """To try changes on: small and cheap, asleep at night, gone when it is destroyed."""
    return Environment(
        name="dev",
        account="111111111111",
        hosted_zone=HostedZone(id="Z0111111DEVEXAMPLE", name="dev.example.com"),
        domain="llm.dev.example.com",
        network=Network(zones=("ap-northeast-1a", "ap-northeast-1c"), cidr="10.10.0.0/16", nat_instance=True),
        ingress=Ingress(public=True, cidrs=(OFFICE,), management_cidrs=(OFFICE,), also_open=("mcp",)),
        gateway=Gateway(spot=True),
        sleep=Sleep(awake="09:00-19:00", timezone="Asia/Tokyo"),
        providers=Providers(
            azure_api_base="https://example-llm-dev.openai.azure.com",
            vertexai_project="example-llm-dev",
        ),
        onboarding=accounts("/llm-account-dev"),
        alarms=Alarms(emails=("sre@example.com",), monthly_budget=500),
        datadog=Datadog(),
        report=report("C0DEV56789A"),
        bill=Bill(),
        deletion_protection=False,
        log_retention_days=14,
        tags={"service": "litellm-gateway", "environment": "dev"},
    )


def stg() -> Environment:
    """To rehearse a release: built as prod is, in a smaller size."""
    return Environment(
        name="stg",
        account="222222222222",
        hosted_zone=HostedZone(id="Z0222222STGEXAMPLE", name="stg.example.com"),
        domain="llm.stg.example.com",
        network=Network(zones=("ap-northeast-1a", "ap-northeast-1c"), cidr="10.20.0.0/16"),
        ingress=Ingress(public=True, cidrs=(OFFICE,), management_cidrs=(OPERATORS,), also_open=("mcp",)),
        gateway=Gateway(min_tasks=2, max_tasks=4),
        database=Database(max_capacity=4),
        providers=Providers(
            azure_api_base="https://example-llm-stg.openai.azure.com",
            vertexai_project="example-llm-stg",
        ),
        onboarding=accounts("/llm-account-stg"),
        alarms=Alarms(emails=("sre@example.com",), monthly_budget=1000),
        datadog=Datadog(notify=("@slack-llm-gateway-stg",)),
        report=report("C0STG56789A"),
        bill=Bill(),
        tags={"service": "litellm-gateway", "environment": "stg"},
    )


def prod() -> Environment:
    """For the whole company: three zones, a NAT gateway in each, a database reader to fail over to."""
    return Environment(
        name="prod",
        account="333333333333",
        hosted_zone=HostedZone(id="Z0333333PRODEXAMPLE", name="example.com"),
        domain="llm.example.com",
        network=Network(
            zones=("ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"),
            cidr="10.30.0.0/16",
            nat_gateways=3,
            # A task must start while the way to the internet is down: its image, its secrets and its log.
            interface_endpoints=("ecr.api", "ecr.dkr", "ssm", "logs"),
        ),
        ingress=Ingress(public=True, cidrs=(OFFICE,), management_cidrs=(OPERATORS,), also_open=("mcp",)),
        gateway=Gateway(min_tasks=3, max_tasks=12),
        database=Database(
            min_capacity=1, max_capacity=16, reader=True, backup_days=35, copies=Copies(region="ap-northeast-3")
        ),
        # Three tasks and more count as one.
        cache=Cache(),
        providers=Providers(
            azure_api_base="https://example-llm.openai.azure.com",
            vertexai_project="example-llm",
        ),
        onboarding=accounts("/llm-account"),
        email=Email(reply_to="it-help@example.com", dmarc_policy="reject", dmarc_reports="sre@example.com"),
        alarms=Alarms(
            emails=("sre@example.com",), workspace="T0123456789", channel="C0ALARMS789", monthly_budget=20_000
        ),
        datadog=Datadog(notify=("@slack-llm-gateway", "@pagerduty-llm-gateway"), spend_jump=100),
        report=report("C0PROD56789"),
        bill=Bill(),
        log_retention_days=365,
        tags={"service": "litellm-gateway", "environment": "prod"},
    )


def releases() -> Releases:
    """Where releases are built, and what takes them from environment to environment."""
    return Releases(
        account="444444444444",
        repository="example/litellm-gateway",
        connection_arn="arn:aws:codeconnections:ap-northeast-1:444444444444:connection/01234567-89ab-cdef-0123-456789abcdef",
        emails=("sre@example.com",),
        workspace="T0123456789",
        channel="C0RELEASE89",
    )


ENVIRONMENTS = (dev, stg, prod)  # what is deployed, in this order
LOCAL = dev  # what `make up` runs, under another name and account
RELEASES = releases  # leave it out if people deploy by hand
