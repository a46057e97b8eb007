"""The network of an environment: its zones, its VPC, and the ranges that reach it."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any, Final

from pydantic import TypeAdapter

from ops.init.kinds import YES_NO, setting, text, texts
from ops.init.questions.question import Context, Question, before, given, part
from stacks.company import LOCAL_CIDR
from stacks.settings import Cidr, ExistingVpc, Ingress, Network

# The zones of a region that new accounts have, where they are not a, b and c.
_ZONES: Final = {"ap-northeast-1": "acd", "ca-central-1": "abd", "us-west-1": "ac"}


def _zones(context: Context) -> list[str]:
    account, region = context.get("account"), context.get("region") or ""
    letters = _ZONES.get(region, "abc")
    found = context.aws.zones(account, region) if account else ()
    zones = list(found) or [f"{region}{letter}" for letter in letters]
    return zones[: 3 if context.get("size") == "large" else 2]


def _cidr(context: Context) -> str | None:
    """The range of an existing VPC, or a private one that no other environment has, nor `make up`."""
    if vpc := context.get("vpc.id"):
        return context.aws.vpc_cidr(context.get("account") or "", context.get("region") or "", vpc)
    taken = [IPv4Network(own["cidr"]) for own in context.earlier.values() if "cidr" in own]
    taken.append(IPv4Network(LOCAL_CIDR))
    free = (IPv4Network(f"10.{number}.0.0/16") for number in (*range(10, 251, 10), *range(256)))
    return next((str(cidr) for cidr in free if not any(cidr.overlaps(other) for other in taken)), None)


def _cidrs(context: Context) -> Any:  # noqa: ANN401 - an answer
    if context.before("public") == context.get("public"):
        return context.before("cidrs")
    return None if context.get("public") else ["10.0.0.0/8"]


def _management(context: Context) -> Any:  # noqa: ANN401 - an answer
    same = context.before("cidrs") == context.get("cidrs")
    return (context.before("management_cidrs") if same else None) or context.get("cidrs")


def _subnets(tier: str, whose: str, way: str) -> Question:
    """Which subnets of a VPC that was there already are a tier of the gateway's."""
    what = f"Subnets for the {whose} in the VPC, one a zone, in the order of the zones"
    return Question(f"vpc.{tier}_subnets", what, texts(setting(ExistingVpc, f"{tier}_subnet_ids")), f"subnet-…{way}")


NETWORK: Final = (
    Question(
        "zones",
        "Availability zones",
        texts(setting(Network, "zones")),
        "Two or more; the first is the database writer's.",
        _zones,
    ),
    Question(
        "public",
        "Load balancer on the internet side",
        YES_NO,
        "yes: reached from the internet, by the ranges that you name and no others. no: internal, reached by what "
        "is routed to the VPC.",
        before("public", True),
    ),
    part(
        "vpc",
        "Use a VPC that is there already",
        "yes asks for its id and its subnets. no makes a VPC.",
    ),
    Question("vpc.id", "Its id", text(setting(ExistingVpc, "id")), "vpc-…"),
    _subnets("public", "load balancer", ", those with a way from the internet."),
    _subnets("private", "tasks", ", those with a way to the internet."),
    Question(
        "vpc.nat_addresses",
        "Public addresses of its NAT gateways",
        texts(setting(ExistingVpc, "nat_addresses")),
        "The smoke test comes from them to the load balancer.",
        when=given("public"),
    ),
    # Last of the VPC: with it the VPC is whole, and judged.
    _subnets("isolated", "database", "; they need no way to anywhere."),
    Question(
        "cidr",
        "Range of the VPC",
        text(TypeAdapter(Cidr)),
        "Private, /16 to /22 for a new one, and of no other environment's. Of an existing VPC: its own.",
        _cidr,
    ),
    Question(
        "cidrs",
        "Ranges that may reach the gateway",
        texts(setting(Ingress, "cidrs")),
        "Your company's own: public ones for a load balancer on the internet side, else those routed to the VPC.",
        _cidrs,
    ),
    Question(
        "management_cidrs",
        "Ranges that may manage it",
        texts(setting(Ingress, "management_cidrs")),
        "A part of those: the administrators' pages and routes answer from there only.",
        _management,
    ),
)
"""Of each environment, in a new VPC or in one that was there already."""
