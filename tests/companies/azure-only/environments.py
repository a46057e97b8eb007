"""One environment in Dublin for a company whose models are all Azure's: two resources, in two places."""

from stacks.settings import Alarms, Bill, Environment, HostedZone, Ingress, Network, Providers


def main() -> Environment:
    """The company's only one. AZURE_SECOND_BASE is what config.yaml calls the second resource."""
    return Environment(
        name="main",
        account="777777777777",
        region="eu-west-1",
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


ENVIRONMENTS = (main,)
