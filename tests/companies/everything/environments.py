"""Six environments, several in one account and region, and each setting that there is has another value than its own.

`docs/settings.md` explains each value; `stacks/settings` has the rules.
"""

from stacks.settings import (
    Alarms,
    AnthropicBill,
    AzureBill,
    Bedrock,
    Bill,
    Cache,
    Copies,
    Database,
    Datadog,
    Email,
    Environment,
    ExistingVpc,
    Gateway,
    GeminiBill,
    GoogleBill,
    HostedZone,
    InferenceProfile,
    Ingress,
    Network,
    Onboarding,
    OpenAiBill,
    PersonalData,
    Plan,
    Providers,
    Releases,
    Report,
    Server,
    Sleep,
)

SHARED, OWN, RELEASES_ACCOUNT = "999999999991", "999999999992", "999999999993"
SYDNEY, OHIO = "ap-southeast-2", "us-east-2"
OFFICE = "203.0.113.0/24"


def providers(name: str) -> Providers:
    """Where an environment's models are: its own resource and project."""
    return Providers(
        azure_api_base=f"https://example-{name}.cognitiveservices.azure.com/",
        azure_ai_api_base=f"https://example-{name}-ai.services.ai.azure.com",
        vertexai_project=f"example-{name}-9",
        vertexai_location="australia-southeast1",
        dd_site="datadoghq.eu",
        servers=(
            Server(host="vllm.models.example.com.au", port=8000, security_group_id="sg-0999999999999aac1"),
            Server(host="ollama.models.example.com.au", port=11434, cidr="10.200.0.0/24"),
        ),
    )


def bedrock() -> Bedrock:
    """What config.yaml refers to of Bedrock's: it is one file for all environments, in whichever region."""
    return Bedrock(
        personal_data=PersonalData(kinds=("name", "email", "phone", "national_id")),
        inference_profiles=(
            InferenceProfile(
                name="legal",
                model="global.anthropic.claude-sonnet-5-5",
                tags={"llm-team": "legal", "cost-centre": "4711"},
            ),
        ),
    )


def small(name: str, number: int, region: str = SYDNEY, account: str = SHARED) -> Environment:
    """One of those that are alike; the `number` keeps its addresses apart from those of the others."""
    return Environment(
        name=name,
        account=account,
        region=region,
        hosted_zone=HostedZone(id=f"Z099999{number}EVERYTHING", name="try.example.com.au"),
        domain=f"llm-{name}.try.example.com.au",
        network=Network(zones=(f"{region}a", f"{region}b"), cidr=f"10.{number}.0.0/21"),
        ingress=Ingress(public=True, cidrs=(OFFICE,), management_cidrs=(OFFICE,)),
        gateway=Gateway(spot=True),
        providers=providers(name),
        bedrock=bedrock(),
        variables={"AZURE_OTHER_BASE": f"https://example-{name}-2.openai.azure.com"},
        litellm_license=True,
        deletion_protection=False,
        log_retention_days=3,
    )


def z9() -> Environment:
    """The first that a release reaches, whatever the alphabet says; asleep most of the week."""
    return Environment(
        **dict(small("z9", 90))
        | {
            "network": Network(zones=(f"{SYDNEY}a", f"{SYDNEY}b"), cidr="10.90.0.0/21", nat_instance=True),
            "sleep": Sleep(awake="07:30-18:00", days=("SUN", "TUE"), timezone="Australia/Sydney"),
        }
    )


def a1() -> Environment:
    """A second one in the same account and region."""
    return small("a1", 91)


def ohio() -> Environment:
    """The same account, another region."""
    return small("ohio", 92, region=OHIO)


def blue() -> Environment:
    """An account of its own, which it shares with green."""
    return small("blue", 93, account=OWN)


def green() -> Environment:
    """Besides blue, in a VPC that is there already, with an internal load balancer."""
    return Environment(
        **dict(small("green", 94, account=OWN))
        | {
            "network": Network(
                zones=(f"{SYDNEY}a", f"{SYDNEY}c"),
                cidr="10.94.0.0/21",
                vpc=ExistingVpc(
                    id="vpc-0999999999999aaa1",
                    public_subnet_ids=("subnet-0999999999999aa01", "subnet-0999999999999aa02"),
                    private_subnet_ids=("subnet-0999999999999ab01", "subnet-0999999999999ab02"),
                    isolated_subnet_ids=("subnet-0999999999999ac01", "subnet-0999999999999ac02"),
                    nat_addresses=("198.51.100.7",),
                ),
            ),
            "ingress": Ingress(public=False, cidrs=("10.0.0.0/8",), management_cidrs=("10.90.0.0/16",)),
            "certificate_arn": f"arn:aws:acm:{SYDNEY}:{OWN}:certificate/99999999-aaaa-4bbb-8ccc-dddddddddddd",
        }
    )


def everyone12() -> Environment:
    """For the whole company, with everything that there is."""
    return Environment(
        name="everyone12",
        account=OWN,
        region=SYDNEY,
        hosted_zone=HostedZone(id="Z0999999EVERYONE", name="example.com.au"),
        domain="ai.example.com.au",
        network=Network(
            zones=(f"{SYDNEY}a", f"{SYDNEY}b", f"{SYDNEY}c"),
            cidr="10.96.0.0/16",
            nat_gateways=3,
            room_for_zones=4,
            interface_endpoints=("ecr.api", "ecr.dkr", "ssm", "logs", "bedrock-runtime"),
        ),
        ingress=Ingress(
            public=True,
            requests_per_address=50_000,
            cidrs=(OFFICE, "198.51.100.0/25", "192.0.2.0/24"),
            management_cidrs=("203.0.113.64/27", "192.0.2.8/32"),
            also_open=("pass_through", "mcp"),
        ),
        gateway=Gateway(
            cpu=4096, memory=16384, workers=2, min_tasks=3, max_tasks=9, max_in_flight_requests=150, spot=True
        ),
        database=Database(
            min_capacity=1.5,
            max_capacity=32,
            reader=True,
            backup_days=35,
            copies=Copies(region="ap-southeast-4", every_hours=6, days=30),
        ),
        cache=Cache(node="cache.r7g.large", replica=True),
        providers=providers("everyone"),
        bedrock=bedrock(),
        variables={"AZURE_OTHER_BASE": "https://example-everyone-2.openai.azure.com"},
        email=Email(
            reply_to="help@example.com.au",
            dmarc_policy="reject",
            dmarc_reports="dmarc@example.com.au",
            smtp_key="2026-q4",
        ),
        onboarding=Onboarding(
            command="/ai",
            workspace="T0AUSTRALIA",
            audit_channel="G0AUDIT5678",
            approver_group="S0APPROVERS",
            mail_domains=("example.com.au", "contractors.example.com.au"),
            teams=("platform", "data-eng", "mobile", "legal"),
            max_budget=50,
            budget_ceiling=500,
            budget_duration="7d",
            models=("claude-haiku-5-5", "gpt-6-luna", "gemini-3.8-flash"),
            tpm_limit=200_000,
            rpm_limit=120,
            protected=("ceo@example.com.au",),
            dry_run=True,
            close_limit=5,
        ),
        alarms=Alarms(
            emails=("sre@example.com.au", "oncall@example.com.au"),
            workspace="T0AUSTRALIA",
            channel="C0ALARMS999",
            monthly_budget=25_000,
        ),
        datadog=Datadog(notify=("@slack-llm", "@pagerduty-llm"), spend_jump=50, error_percent=5, budget_percent=90),
        report=Report(
            channel="C0USAGE9999",
            monthly=False,
            hour=12,
            timezone="Australia/Sydney",
            top=25,
            jump_factor=2.5,
            jump_minimum=40,
            seat_percent=30,
            plans=(
                Plan(
                    name="Claude Team Premium",
                    monthly_price=125,
                    covers=("claude-*",),
                    monthly_allowance=600,
                    seats="S0CLAUDE999",
                    through_gateway=True,
                ),
            ),
        ),
        bill=Bill(
            tolerance_percent=2,
            profile_tag="llm-team",
            azure=AzureBill(
                tenant="99999999-0000-4000-8000-000000000001",
                client="99999999-0000-4000-8000-000000000002",
                subscription="99999999-0000-4000-8000-000000000003",
            ),
            google=GoogleBill(table="example-billing.exports.gcp_billing_export_resource_v1_9", location="EU"),
            gemini=GeminiBill(
                table="example-billing.exports.gcp_billing_export_resource_v1_9",
                location="EU",
                project="example-ai-studio",
            ),
            openai=OpenAiBill(projects=("proj_example1", "proj_example2")),
            anthropic=AnthropicBill(workspaces=("default", "wrkspc_01Example")),
        ),
        litellm_license=True,
        log_retention_days=731,
        tags={"service": "llm", "environment": "everyone12", "owner": "platform@example.com.au"},
    )


def releases() -> Releases:
    """By CodePipeline and by GitHub's workflows, in an order that is no alphabet's; two wait for a person."""
    return Releases(
        account=RELEASES_ACCOUNT,
        region=SYDNEY,
        repository="example/ai-gateway",
        environments=("z9", "a1", "blue", "everyone12"),
        approved=("blue", "everyone12"),
        connection_arn=(
            f"arn:aws:codeconnections:{SYDNEY}:{RELEASES_ACCOUNT}:connection/99999999-89ab-cdef-0123-456789abcdef"
        ),
        github_actions=True,
        oidc_provider=True,
        emails=("releases@example.com.au",),
        workspace="T0AUSTRALIA",
        channel="C0RELEASES9",
    )


ENVIRONMENTS = (z9, a1, ohio, green, blue, everyone12)
LOCAL = everyone12
RELEASES = releases
