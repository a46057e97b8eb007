"""One environment in Frankfurt, for the company's own network only: no more than has to be said.

No account is asked for in Slack, nothing goes to Datadog, nobody is told of alarms, and people deploy by hand.
"""

from stacks.settings import Environment, HostedZone, Ingress, Network, Providers, Server

INTRANET = "10.0.0.0/8"  # what a Transit Gateway routes to the VPC
OPERATORS = "10.20.30.0/24"


def sandbox() -> Environment:
    """Where the platform team tries what the company might want: internal, and gone when it is destroyed."""
    return Environment(
        name="sandbox",
        account="555555555555",
        region="eu-central-1",
        hosted_zone=HostedZone(id="Z0555555SANDBOX", name="sandbox.example.eu"),
        domain="llm.sandbox.example.eu",
        network=Network(zones=("eu-central-1a", "eu-central-1b"), cidr="10.99.0.0/20"),
        ingress=Ingress(public=False, cidrs=(INTRANET,), management_cidrs=(OPERATORS,)),
        providers=Providers(
            azure_ai_api_base="https://example-sandbox.services.ai.azure.com",
            servers=(
                Server(host="vllm.example.eu", port=8000, security_group_id="sg-0555555555555eee1"),
                Server(host="10.30.0.7", port=11434, cidr="10.30.0.0/24"),
            ),
        ),
        deletion_protection=False,
    )


ENVIRONMENTS = (sandbox,)
