"""One environment in Dublin for a company whose models are all Azure's: two resources, in two places.

CodePipeline deploys what is merged to the branch of stable releases, once somebody has approved it.
"""

from stacks.settings import Alarms, Bill, Environment, HostedZone, Ingress, Network, Providers, Releases

ACCOUNT, REGION = "777777777777", "eu-west-1"


def main() -> Environment:
    """The company's only one. AZURE_SECOND_BASE is what config.yaml calls the second resource."""
    return Environment(
        name="main",
        account=ACCOUNT,
        region=REGION,
        hosted_zone=HostedZone(id="Z0777777MAIN", name="example.ie"),
        domain="ai.example.ie",
        network=Network(zones=("eu-west-1a", "eu-west-1c"), cidr="192.168.128.0/20", nat_gateways=2),
        ingress=Ingress(public=True, cidrs=("203.0.113.128/25",), management_cidrs=("203.0.113.128/25",)),
        providers=Providers(azure_api_base="https://example-ireland.openai.azure.com"),
        variables={"AZURE_SECOND_BASE": "https://example-sweden.openai.azure.com"},
        alarms=Alarms(emails=("it@example.ie",)),
        bill=Bill(tolerance_percent=5),
        tags={"cost-center": "4711"},
    )


def releases() -> Releases:
    """In the account of the environment itself."""
    return Releases(
        account=ACCOUNT,
        region=REGION,
        repository="example/ai",
        branch="release/stable",
        connection_arn=f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/77777777-89ab-cdef-0123-456789abcdef",
    )


ENVIRONMENTS = (main,)
RELEASES = releases
