"""The plain settings of the providers, and the servers of models that are on a port of their own."""

import ipaddress
from typing import Annotated, Self

from pydantic import Field, model_validator

from stacks.settings.values import HostName, NamedRange, Settings, like, once

HTTPS_PORT = 443
# The most rules out that the tasks' security group has room for: AWS's quota is 60 in a direction, and HTTPS, mail and
# the database have theirs.
# https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
MOST_SERVERS = 50


class Server(Settings):
    """A server of models on a port of its own, as vLLM's 8000 or Ollama's 11434 is: the tasks' way to it.

    `host` and `port` are those that an `api_base` of config.yaml calls. The tasks are let out to that port of
    `security_group_id`, which is the server's or its load balancer's, or of the range `cidr`. That the server lets them
    in is its owner's part. A server that answers HTTPS on port 443 needs none of this.
    """

    host: Annotated[
        str,
        like(
            r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}|\d{1,3}(\.\d{1,3}){3}",
            "no host: write its name in small letters or its IPv4 address, without http:// and without its port",
        ),
    ]
    port: Annotated[int, Field(ge=1, le=65535)]
    security_group_id: (
        Annotated[str, like(r"sg-[0-9a-f]{8,17}", "no id of a security group: copy it whole, sg-…")] | None
    ) = None
    cidr: NamedRange | None = None

    @model_validator(mode="after")
    def _one_peer(self) -> Self:
        if self.port == HTTPS_PORT:
            raise ValueError(f"{self.address} is open already, as HTTPS is to every host: leave it out")
        if (self.security_group_id is None) == (self.cidr is None):
            raise ValueError(f"{self.address} takes one of security_group_id and cidr: say which the tasks may reach")
        return self

    @property
    def address(self) -> str:
        """Host and port, as an address has them."""
        return f"{self.host}:{self.port}"

    @property
    def private(self) -> bool:
        """Whether the way to it is within the company's network, where HTTP without TLS may be spoken."""
        return self.cidr is None or not _public(self.cidr)


class Providers(Settings):
    """The plain (not secret) variables of the providers that `company/config.yaml` refers to, in LiteLLM's names.

    One that no model needs is left out. `servers` are those of models on a port of their own.
    """

    azure_api_base: (
        Annotated[
            str,
            like(
                r"https://[a-z0-9-]+\.(openai|cognitiveservices|services\.ai)\.azure\.com/?",
                "no address of an Azure OpenAI resource: write it as https://NAME.openai.azure.com",
            ),
        ]
        | None
    ) = None
    azure_ai_api_base: (
        Annotated[
            str,
            like(
                r"https://[a-z0-9-]+\.(services\.ai|[a-z0-9]+\.models\.ai)\.azure\.com(/models|/anthropic)?/?",
                "no address of an Azure AI Foundry resource: write it as https://NAME.services.ai.azure.com",
            ),
        ]
        | None
    ) = None
    vertexai_project: (
        Annotated[
            str, like(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "no id of a Google Cloud project: copy its id, not its name")
        ]
        | None
    ) = None
    vertexai_location: Annotated[
        str, like(r"global|us|eu|[a-z]+-[a-z]+\d+", "no location of Vertex AI: use global or one such as europe-west1")
    ] = "global"
    dd_site: HostName = "ap1.datadoghq.com"
    servers: Annotated[tuple[Server, ...], Field(max_length=MOST_SERVERS), once("a server")] = ()

    @model_validator(mode="after")
    def _one_way_to_each(self) -> Self:
        addresses = [server.address for server in self.servers]
        if twice := sorted({address for address in addresses if addresses.count(address) > 1}):
            raise ValueError(f"servers names {', '.join(twice)} twice: name each host and port once")
        return self


def _public(cidr: ipaddress.IPv4Network) -> bool:
    return cidr.is_global or any(address.is_global for address in (cidr[0], cidr[-1]))
