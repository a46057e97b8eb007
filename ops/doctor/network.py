"""The zones of the settings, and the VPC that the settings name if it was there already.

Integrates with EC2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any, Final

from botocore import exceptions as aws

from ops.doctor.account import Account, error_code
from ops.doctor.finding import Finding, problem, well
from stacks.nat_instance import HTTPS_PORT
from stacks.settings import ExistingVpc

CALLED: Final = (
    *("bedrock-agent-runtime", "bedrock-runtime", "ecr.api", "ecr.dkr", "email", "email-smtp", "logs", "sqs", "ssm"),
    "sts",
)
"""Services that tasks and functions in the VPC call, by the names of their endpoints."""


def zones(account: Account) -> Iterator[Finding]:
    """The account has the zones of the settings: older ones are not given to new accounts."""
    wanted = account.environment.network.zones
    found = account.client("ec2").describe_availability_zones()["AvailabilityZones"]
    usable = {zone["ZoneName"] for zone in found if zone["State"] == "available"}
    if missing := [zone for zone in wanted if zone not in usable]:
        yield problem(
            "zones",
            f"the account has no {', '.join(missing)}",
            f"name others in network.zones of company/environments.py: there are {', '.join(sorted(usable))}.",
        )
    else:
        yield well("zones", ", ".join(wanted))


def existing_vpc(account: Account) -> Iterator[Finding]:
    """A VPC that is there already is as the settings say."""
    if vpc := account.environment.network.vpc:
        yield _vpc(account, vpc)
        yield _subnets(account, vpc)
        if account.environment.ingress.public:
            yield _nat_addresses(account, vpc)


def endpoints_of_existing_vpc(account: Account) -> Iterator[Finding]:
    """The interface endpoints of a VPC that is there already let the tasks and functions in.

    With private DNS, which an endpoint has unless it is told otherwise, everything in the VPC reaches the service by it
    and by nothing else, whatever other way out there is.
    https://docs.aws.amazon.com/vpc/latest/privatelink/interface-endpoints.html
    """
    vpc, ec2 = account.environment.network.vpc, account.client("ec2")
    if not vpc:
        return
    filters = [{"Name": "vpc-id", "Values": [vpc.id]}, {"Name": "vpc-endpoint-type", "Values": ["Interface"]}]
    pages = ec2.get_paginator("describe_vpc_endpoints").paginate(Filters=filters)
    endpoints = {
        name: [group["GroupId"] for group in endpoint["Groups"]]
        for page in pages
        for endpoint in page["VpcEndpoints"]
        if endpoint.get("PrivateDnsEnabled")
        for name in CALLED
        if endpoint["ServiceName"].endswith(f".{account.environment.region}.{name}")
    }
    if not endpoints:
        return
    subnets = ec2.describe_subnets(SubnetIds=list(vpc.private_subnet_ids))["Subnets"]
    sources = [IPv4Network(subnet["CidrBlock"]) for subnet in subnets]
    ids = sorted({group for groups in endpoints.values() for group in groups})
    found = ec2.get_paginator("describe_security_groups").paginate(GroupIds=ids)
    groups = {group["GroupId"]: group for page in found for group in page["SecurityGroups"]}
    closed = [
        name
        for name, own in endpoints.items()
        if not all(any(_lets_in(groups[group], source) for group in own) for source in sources)
    ]
    if closed:
        yield problem(
            "endpoints",
            f"those of {vpc.id} for {', '.join(closed)} do not let the private subnets in",
            f"let {', '.join(map(str, sources))} in at port {HTTPS_PORT}, in the security groups of these endpoints.",
        )
    else:
        yield well("endpoints", f"{', '.join(endpoints)}: let the private subnets in")


def _lets_in(group: Mapping[str, Any], source: IPv4Network) -> bool:
    """Whether one rule of the security group lets all of the range in by HTTPS."""
    return any(
        source.subnet_of(IPv4Network(peer["CidrIp"]))
        for rule in group["IpPermissions"]
        if rule["IpProtocol"] == "-1"
        or (rule["IpProtocol"] == "tcp" and rule["FromPort"] <= HTTPS_PORT <= rule["ToPort"])
        for peer in rule["IpRanges"]
    )


def _vpc(account: Account, vpc: ExistingVpc) -> Finding:
    cidr, remedy = str(account.environment.network.cidr), "correct network in company/environments.py."
    try:
        (found,) = account.client("ec2").describe_vpcs(VpcIds=[vpc.id])["Vpcs"]
    except aws.ClientError as error:
        if not error_code(error).startswith("InvalidVpcID"):
            raise
        return problem("VPC", f"there is no {vpc.id} in {account.environment.region}", remedy)
    ranges = [each["CidrBlock"] for each in found["CidrBlockAssociationSet"]]
    if cidr not in ranges:
        return problem("VPC", f"{vpc.id} has {', '.join(ranges)}, and network.cidr is {cidr}", remedy)
    return well("VPC", f"{vpc.id} with {cidr}")


def _subnets(account: Account, vpc: ExistingVpc) -> Finding:
    remedy = "name one subnet a zone, in the order of network.zones, in company/environments.py."
    order = account.environment.network.zones * 3
    ids = (*vpc.public_subnet_ids, *vpc.private_subnet_ids, *vpc.isolated_subnet_ids)
    try:
        found = account.client("ec2").describe_subnets(SubnetIds=list(ids))["Subnets"]
    except aws.ClientError as error:
        if not error_code(error).startswith("InvalidSubnetID"):
            raise
        return problem("subnets", "one of those in network.vpc does not exist", remedy)
    places = {subnet["SubnetId"]: (subnet["VpcId"], subnet["AvailabilityZone"]) for subnet in found}
    if wrong := [id_ for id_, zone in zip(ids, order, strict=True) if places[id_] != (vpc.id, zone)]:
        return problem("subnets", f"not of {vpc.id}, or not in their zone: {', '.join(wrong)}", remedy)
    return well("subnets", f"{len(ids)}, each in its zone")


def _nat_addresses(account: Account, vpc: ExistingVpc) -> Finding:
    """The addresses that the private subnets are seen with, which the load balancer lets the smoke test in from."""
    what, named = "NAT addresses", {str(address) for address in vpc.nat_addresses}
    pages = (
        account.client("ec2")
        .get_paginator("describe_nat_gateways")
        .paginate(Filter=[{"Name": "vpc-id", "Values": [vpc.id]}, {"Name": "state", "Values": ["available"]}])
    )
    gateways = [gateway for page in pages for gateway in page["NatGateways"]]
    found = {at["PublicIp"] for gateway in gateways for at in gateway["NatGatewayAddresses"] if at.get("PublicIp")}
    if not named or not found <= named:
        lacking = ", ".join(sorted(found - named)) or "the public addresses that the private subnets are seen with"
        remedy = f"add {lacking} to network.vpc.nat_addresses in company/environments.py."
        return problem(what, "the smoke test would not be let in to the public load balancer", remedy)
    return well(what, ", ".join(sorted(named)))
