"""Three small environments in two accounts: dev is in that where releases are made, stg and prod share another."""

from stacks.settings import (
    Bedrock,
    Environment,
    Gateway,
    HostedZone,
    InferenceProfile,
    Ingress,
    Network,
    PersonalData,
    Providers,
    Releases,
)

RELEASES_ACCOUNT, OTHER_ACCOUNT = "111111111111", "222222222222"
OFFICE, OPERATORS = "203.0.113.0/24", "203.0.113.0/28"


def environment(name: str, number: int, account: str, *, azure: str = "example-llm") -> Environment:
    """An environment; the `number` keeps its addresses apart from those of the others, `azure` is its resource."""
    return Environment(
        name=name,
        account=account,
        hosted_zone=HostedZone(id=f"Z000000{number}PROMOTION", name=f"{name}.example.com"),
        domain=f"llm.{name}.example.com",
        network=Network(zones=("ap-northeast-1a", "ap-northeast-1c"), cidr=f"10.{number}.0.0/16"),
        ingress=Ingress(public=True, cidrs=(OFFICE,), management_cidrs=(OPERATORS,), also_open=("pass_through",)),
        gateway=Gateway(max_tasks=1),
        providers=Providers(azure_api_base=f"https://{azure}.openai.azure.com", vertexai_project="example-llm"),
        bedrock=Bedrock(
            personal_data=PersonalData(),
            inference_profiles=(
                InferenceProfile(name="data-eng", model="jp.amazon.nova-2-lite-v1:0", tags={"team": "data-eng"}),
            ),
        ),
        deletion_protection=False,
        tags={"service": "litellm-gateway", "environment": name},
    )


def dev() -> Environment:
    """Where a release goes first."""
    return environment("dev", 1, RELEASES_ACCOUNT)


def stg() -> Environment:
    """Where a release is rehearsed."""
    return environment("stg", 2, OTHER_ACCOUNT)


def prod() -> Environment:
    """Where people work."""
    return environment("prod", 3, OTHER_ACCOUNT)


def releases() -> Releases:
    """Where the image is, and who may ask for the smoke tests."""
    return Releases(account=RELEASES_ACCOUNT, repository="example/litellm-gateway", github_actions=True)


ENVIRONMENTS = (dev, stg, prod)
RELEASES = releases
