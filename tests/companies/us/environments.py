"""Two environments in one account of us-east-1, in VPCs that the company's network team has made.

GitHub Actions promotes releases; the certificates come from the company's security team.
"""

from stacks.settings import (
    Alarms,
    Bill,
    Database,
    Environment,
    ExistingVpc,
    Gateway,
    HostedZone,
    Ingress,
    Network,
    Onboarding,
    Providers,
    Releases,
)

ACCOUNT, REGION = "666666666666", "us-east-1"
ZONES = ("us-east-1a", "us-east-1b")
HEADQUARTERS, VPN = "198.51.100.0/24", "192.0.2.0/25"


def certificate(number: int) -> str:
    """The ARN of one of the certificates that are in Certificate Manager already."""
    return f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/6666666{number}-aaaa-4bbb-8ccc-dddddddddddd"


def staging() -> Environment:
    """Internal, in the VPC of all that is tried: it has no public subnets."""
    return Environment(
        name="staging",
        account=ACCOUNT,
        region=REGION,
        hosted_zone=HostedZone(id="Z0666661STAGING", name="staging.example.net"),
        domain="staging.example.net",  # the zone's apex
        certificate_arn=certificate(1),
        network=Network(
            zones=ZONES,
            cidr="172.16.0.0/22",
            vpc=ExistingVpc(
                id="vpc-0666666666666aaa1",
                private_subnet_ids=("subnet-0666666666666ab01", "subnet-0666666666666ab02"),
                isolated_subnet_ids=("subnet-0666666666666ac01", "subnet-0666666666666ac02"),
            ),
        ),
        ingress=Ingress(public=False, cidrs=("172.16.0.0/12",), management_cidrs=("172.16.0.0/12",)),
        deletion_protection=False,
        log_retention_days=7,
        tags={"team": "ml-platform", "stage": "staging"},
    )


def production() -> Environment:
    """Public, in the VPC of production. The smoke test comes from its NAT gateways' addresses."""
    return Environment(
        name="production",
        account=ACCOUNT,
        region=REGION,
        hosted_zone=HostedZone(id="Z0666662PRODUCT", name="example.net"),
        domain="llm.example.net",
        certificate_arn=certificate(2),
        network=Network(
            zones=ZONES,
            cidr="172.20.0.0/16",
            vpc=ExistingVpc(
                id="vpc-0666666666666bbb1",
                public_subnet_ids=("subnet-0666666666666ba01", "subnet-0666666666666ba02"),
                private_subnet_ids=("subnet-0666666666666bb01", "subnet-0666666666666bb02"),
                isolated_subnet_ids=("subnet-0666666666666bc01", "subnet-0666666666666bc02"),
                nat_addresses=("198.51.100.250", "198.51.100.251"),
            ),
        ),
        ingress=Ingress(public=True, cidrs=(HEADQUARTERS, VPN), management_cidrs=("192.0.2.64/26",)),
        gateway=Gateway(cpu=2048, memory=8192, workers=2, min_tasks=2, max_tasks=6),
        database=Database(min_capacity=2, max_capacity=16, reader=True, backup_days=14),
        providers=Providers(vertexai_project="example-llm-us", vertexai_location="us"),
        onboarding=Onboarding(
            workspace="T0US1234567",
            audit_channel="C0USAUDIT89",
            mail_domains=("example.net", "example.org"),
            teams=("search", "ads", "support"),
        ),
        alarms=Alarms(emails=("oncall@example.net",), monthly_budget=40_000),
        bill=Bill(),
        tags={"team": "ml-platform", "stage": "production"},
    )


def releases() -> Releases:
    """Both environments by GitHub's workflows, production after somebody's approval."""
    return Releases(account=ACCOUNT, region=REGION, repository="example/llm", github_actions=True)


ENVIRONMENTS = (staging, production)
LOCAL = staging
RELEASES = releases
