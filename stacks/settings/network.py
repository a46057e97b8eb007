"""Where the gateway lives, and who may reach it."""

import ipaddress
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stacks.settings.values import Address, Cidr, EndpointName, HostName, NamedRange, Settings, SubnetId, like, once

# Ranges that are not for hosts in a network: this host, loopback, link-local, multicast and what is reserved.
NO_VPC = tuple(map(ipaddress.IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")))

# What of config.yaml may be opened to everybody, beyond models: FEATURES in stacks/litellm_config/features.py.
Feature = Literal["mcp", "pass_through"]

# The tiers of a new VPC, in the order in which they get addresses, with the size of each zone's subnet.
SUBNET_PREFIXES = {"Public": 26, "Private": 24, "Isolated": 26}


class HostedZone(Settings):
    """The Route 53 hosted zone that the gateway's records go into, in the same account."""

    id: Annotated[str, like(r"Z[A-Z0-9]{5,31}", "no id of a hosted zone: copy it from Route 53, Z…")]
    name: HostName


class ExistingVpc(Settings):
    """A VPC that is there already.

    Each list names one subnet per zone, in the order of `Network.zones`; the private ones have a way to the internet,
    and the public ones, which hold a public load balancer, may be left out for an internal one.
    `nat_addresses` are the public addresses of that way: the smoke test comes from them to a public load balancer.
    """

    id: Annotated[str, like(r"vpc-[0-9a-f]{8,17}", "no id of a VPC: copy it whole, vpc-…")]
    public_subnet_ids: Annotated[tuple[SubnetId, ...], once("a subnet")] = ()
    private_subnet_ids: Annotated[tuple[SubnetId, ...], once("a subnet")]
    isolated_subnet_ids: Annotated[tuple[SubnetId, ...], once("a subnet")]
    nat_addresses: Annotated[tuple[Address, ...], once("an address")] = ()


class Network(Settings):
    """Where the gateway lives.

    `cidr` is the VPC's own range, also of an existing one. `interface_endpoints` are AWS services reached without the
    NAT gateways (endpoint names such as `ecr.dkr`): each costs about 10 USD a month and zone and saves 0.062 USD per GB
    in Tokyo, so name one for traffic above some 300 GB a month, or where the way must not lead over the internet. An
    existing VPC has its owner's: an endpoint answers for everything in the VPC, and there can be one of a service.
    `nat_instance` has a machine of the smallest size in the place of the one NAT gateway, for a tenth of its price:
    nobody but AWS's own recovery repairs it, and a deployment that finds a newer image of its system replaces it, with
    another address. `room_for_zones` is for how many zones a new VPC keeps ranges free in each tier, so that zones can
    be added at the end of `zones` later: without the room the next tier's subnets would have to move, which
    CloudFormation cannot do.
    """

    zones: Annotated[tuple[str, ...], Field(min_length=2)]
    cidr: Cidr
    nat_gateways: Annotated[int, Field(ge=1)] = 1
    nat_instance: bool = False
    interface_endpoints: Annotated[tuple[EndpointName, ...], once("an endpoint")] = ()
    room_for_zones: Annotated[int, Field(ge=2, le=6)] = 3
    vpc: ExistingVpc | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.zones)) != len(self.zones):
            raise ValueError(f"zones names one twice ({', '.join(self.zones)}): the gateway needs two different ones")
        if not 16 <= self.cidr.prefixlen <= 28:
            raise ValueError(f"cidr {self.cidr} is no size of a VPC: use one from /16 to /28")
        if self.cidr.is_global:
            raise ValueError(f"cidr {self.cidr} is public address space: use a private range such as 10.0.0.0/16")
        if any(self.cidr.overlaps(each) for each in NO_VPC):
            raise ValueError(f"cidr {self.cidr} is of no use in a network: use a private range such as 10.0.0.0/16")
        if not self.vpc and self._addresses_needed() > self.cidr.num_addresses:
            largest = 32 - (self._addresses_needed() - 1).bit_length()
            room = len(self.zones) + self.reserved_zones
            fewer = f"room_for_zones={len(self.zones)}" if self.reserved_zones else "fewer zones"
            raise ValueError(
                f"cidr {self.cidr} does not hold the subnets of {room} zones: use a /{largest} or larger, or {fewer}"
            )
        if self.nat_gateways > len(self.zones):
            raise ValueError(
                f"nat_gateways is {self.nat_gateways} for {len(self.zones)} zones: use one per zone at most"
            )
        if self.nat_instance and self.nat_gateways > 1:
            raise ValueError(
                f"nat_instance is one machine in the place of one NAT gateway, and nat_gateways is "
                f"{self.nat_gateways}: leave one of the two out"
            )
        if self.vpc:
            self._check_existing(self.vpc)
        return self

    def _check_existing(self, vpc: ExistingVpc) -> None:
        """Refuse what an existing VPC cannot have, or lacks."""
        if self.nat_instance:
            raise ValueError(
                "nat_instance is on, and vpc is one that is there already, with its own way out: turn it off"
            )
        if self.interface_endpoints:
            raise ValueError(
                f"interface_endpoints has {', '.join(self.interface_endpoints)}, and vpc is one that is there already, "
                "where an endpoint would answer everybody for that service: have the VPC's owner make it for all of "
                "its range, and leave interface_endpoints out"
            )
        for kind in ("public", "private", "isolated"):
            ids = getattr(vpc, f"{kind}_subnet_ids")
            if len(ids) != len(self.zones) and (ids or kind != "public"):
                raise ValueError(
                    f"vpc.{kind}_subnet_ids names {len(ids)} subnets for {len(self.zones)} zones: "
                    "name one per zone, in the order of zones"
                )

    @property
    def reserved_zones(self) -> int:
        """For how many more zones a new VPC keeps ranges free."""
        return max(0, self.room_for_zones - len(self.zones))

    def _addresses_needed(self) -> int:
        """The end of the last subnet in a new VPC: tier after tier, each from a multiple of its subnets' size."""
        end, zones = 0, len(self.zones) + self.reserved_zones
        for prefix in SUBNET_PREFIXES.values():
            size = 2 ** (32 - prefix)
            end = ceil(end / size) * size + zones * size
        return end


class Ingress(Settings):
    """Who may reach the load balancer.

    `public` puts it on the internet side, for `cidrs` only; otherwise it is internal and `cidrs` are the company's
    ranges that are routed to the VPC. From all of them answer the LLM routes, and what people need of LiteLLM's UI for
    themselves: an invitation, sign-in, their own keys and usage. From `management_cidrs`, a part of them, everything
    else answers too: the management routes, and so the administrators' pages. `requests_per_address` is the most that
    one address may send in five minutes, where sign-ins have a lower limit; a whole office may share one.

    `also_open` names what else of config.yaml answers to all of `cidrs`, and not to the management ranges alone: `mcp`,
    the tools of its MCP servers, and `pass_through`, the paths of its pass-through endpoints. Who of them may use which
    is said in LiteLLM, by key and team (docs/config.md).
    """

    public: bool
    requests_per_address: Annotated[int, Field(ge=100, le=2_000_000_000)] = 20_000
    cidrs: Annotated[tuple[NamedRange, ...], Field(min_length=1), once("a range")]
    management_cidrs: Annotated[tuple[NamedRange, ...], Field(min_length=1), once("a range")]
    also_open: Annotated[tuple[Feature, ...], once("a feature")] = ()

    @model_validator(mode="after")
    def _management_within(self) -> Self:
        for cidr in self.management_cidrs:
            if not any(cidr.subnet_of(outer) for outer in self.cidrs):
                raise ValueError(
                    f"management_cidrs has {cidr}, which cidrs does not let in: add it to cidrs or remove it"
                )
        return self
