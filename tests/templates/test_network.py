"""The network stack: tiers, ways out, and every permitted connection."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations, product
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions

from stacks.company import environments
from stacks.network import NetworkStack
from stacks.settings import Environment, Network, Server
from tests.templates.conftest import Template, only, resources
from tests.templates.synthesis import VARIANT, plain, text, variant

ENVIRONMENTS = environments()
TIERS = ("Public", "Private", "Isolated")
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


def _tag(properties: dict[str, Any], key: str) -> str:
    return next(str(tag["Value"]) for tag in properties["Tags"] if tag["Key"] == key)


@in_every_environment
def test_each_zone_has_a_subnet_of_each_tier(templates: Templates, environment: Environment) -> None:
    subnets = resources(templates[environment.name]["Network"], "AWS::EC2::Subnet").values()
    found = {(_tag(subnet, "aws-cdk:subnet-name"), subnet["AvailabilityZone"]) for subnet in subnets}
    assert len(environment.network.zones) >= 2
    assert found == set(product(TIERS, environment.network.zones))
    ranges = [IPv4Network(subnet["CidrBlock"]) for subnet in subnets]
    assert all(one.subnet_of(environment.network.cidr) for one in ranges)
    assert not any(one.overlaps(other) for one, other in combinations(ranges, 2))
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)


@in_every_environment
def test_ways_out(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Network"]
    instance = environment.network.nat_instance
    nat_gateways = resources(template, f"AWS::EC2::{'Instance' if instance else 'NatGateway'}")
    count = environment.network.nat_gateways
    assert [text((nat.get("NetworkInterfaces") or [nat])[0]["SubnetId"]) for nat in nat_gateways.values()] == [
        f"<VpcPublicSubnet{number}Subnet>" for number in range(1, count + 1)
    ]
    table = {
        text(route["RouteTableId"]): text(route.get("GatewayId") or route.get("InstanceId") or route["NatGatewayId"])
        for route in resources(template, "AWS::EC2::Route").values()
        if route["DestinationCidrBlock"] == "0.0.0.0/0"
    }
    zones = range(1, len(environment.network.zones) + 1)
    public = {f"<VpcPublicSubnet{zone}RouteTable>": "<VpcIGW>" for zone in zones}
    private = {
        f"<VpcPrivateSubnet{zone}RouteTable>": (
            f"<VpcPublicSubnet{min(zone, count)}{'NatInstance' if instance else 'NATGateway'}>"
        )
        for zone in zones
    }
    assert table == public | private  # an isolated subnet has no way out


@in_every_environment
def test_flow_logs(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Network"]
    flow_log = only(template, "AWS::EC2::FlowLog")
    assert (flow_log["TrafficType"], flow_log["ResourceType"], text(flow_log["ResourceId"])) == ("ALL", "VPC", "<Vpc>")
    assert flow_log["LogDestinationType"] == "cloud-watch-logs"
    assert text(flow_log["LogGroupName"]) == "<FlowLogs>"
    assert only(template, "AWS::Logs::LogGroup")["RetentionInDays"] == 30


@in_every_environment
def test_endpoints(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Network"]
    endpoints = resources(template, "AWS::EC2::VPCEndpoint").values()
    gateways = {
        text(endpoint["ServiceName"]): endpoint for endpoint in endpoints if endpoint["VpcEndpointType"] == "Gateway"
    }
    assert set(gateways) == {f"com.amazonaws.<AWS::Region>.{name}" for name in ("s3", "dynamodb")}
    for gateway in gateways.values():
        assert len(gateway["RouteTableIds"]) == len(TIERS) * len(environment.network.zones)
    # The default lets everything through, and identities' policies decide: the emulated AWS asks no endpoint.
    assert not [endpoint for endpoint in endpoints if "PolicyDocument" in endpoint]
    interfaces = [endpoint for endpoint in endpoints if endpoint["VpcEndpointType"] == "Interface"]
    assert {endpoint["ServiceName"] for endpoint in interfaces} == {
        f"com.amazonaws.{environment.region}.{name}" for name in environment.network.interface_endpoints
    }
    for endpoint in interfaces:
        assert endpoint["PrivateDnsEnabled"] is True
        assert list(map(text, endpoint["SecurityGroupIds"])) == ["<EndpointGroup.GroupId>"]
        assert [text(subnet) for subnet in endpoint["SubnetIds"]] == [
            f"<VpcPrivateSubnet{number}Subnet>" for number in range(1, len(environment.network.zones) + 1)
        ]


def _rules(template: Template) -> Iterator[tuple[str, str, int, str]]:
    """Every rule: group, direction, port and peer."""
    for direction in ("Ingress", "Egress"):
        inline = [
            (plain(logical_id), rule)
            for logical_id, group in resources(template, "AWS::EC2::SecurityGroup").items()
            for rule in group.get(f"SecurityGroup{direction}", ())
        ]
        apart = [
            (text(rule["GroupId"]).strip("<>").removesuffix(".GroupId"), rule)
            for rule in resources(template, f"AWS::EC2::SecurityGroup{direction}").values()
        ]
        for group, rule in inline + apart:
            if rule.get("Description") == "Disallow all traffic":  # how the CDK writes "none": an impossible address
                assert rule["CidrIp"] == "255.255.255.255/32"
                continue
            assert rule["IpProtocol"] == "tcp"
            assert rule["FromPort"] == rule["ToPort"]
            peer = text(
                rule.get("CidrIp")
                or rule["SourceSecurityGroupId" if direction == "Ingress" else "DestinationSecurityGroupId"]
            )
            yield group, direction, rule["FromPort"], peer.strip("<>").removesuffix(".GroupId")


def _permitted(environment: Environment) -> set[tuple[str, str, int, str]]:
    callers = {
        ("LoadBalancerGroup", "Ingress", port, str(cidr)) for port in (80, 443) for cidr in environment.ingress.cidrs
    }
    smoke_test = {("LoadBalancerGroup", "Ingress", 443, peer) for peer in _smoke_test_comes_from(environment)}
    endpoints = (
        {("EndpointGroup", "Ingress", 443, group) for group in ("GatewayGroup", "FunctionsGroup")}
        if environment.network.interface_endpoints
        else set()
    )
    servers = {
        ("GatewayGroup", "Egress", each.port, each.security_group_id or str(each.cidr))
        for each in environment.providers.servers
    }
    cache = (
        {("GatewayGroup", "Egress", 6379, "CacheGroup"), ("CacheGroup", "Ingress", 6379, "GatewayGroup")}
        if environment.cache
        else set()
    )
    return (
        callers
        | smoke_test
        | endpoints
        | servers
        | cache
        | _through_the_instance(environment)
        | {
            ("LoadBalancerGroup", "Egress", 4000, "GatewayGroup"),
            ("GatewayGroup", "Ingress", 4000, "LoadBalancerGroup"),
            ("GatewayGroup", "Ingress", 4000, "FunctionsGroup"),
            ("FunctionsGroup", "Egress", 4000, "GatewayGroup"),
            ("FunctionsGroup", "Egress", 443, "0.0.0.0/0"),
            ("GatewayGroup", "Egress", 443, "0.0.0.0/0"),
            ("GatewayGroup", "Egress", 587, "0.0.0.0/0"),
            ("GatewayGroup", "Egress", 5432, "DatabaseGroup"),
            ("DatabaseGroup", "Ingress", 5432, "GatewayGroup"),
        }
    )


def _smoke_test_comes_from(environment: Environment) -> list[str]:
    network = environment.network
    if not environment.ingress.public:
        return ["FunctionsGroup"]
    if network.vpc:
        return [f"{address}/32" for address in network.vpc.nat_addresses]
    if network.nat_instance:
        return ["VpcPublicSubnet1NatInstance.PublicIp>/32"]
    return [f"VpcPublicSubnet{number}EIP.PublicIp>/32" for number in range(1, network.nat_gateways + 1)]


@in_every_environment
def test_every_permitted_connection(templates: Templates, environment: Environment) -> None:
    rules = list(_rules(templates[environment.name]["Network"]))
    assert len(rules) == len(set(rules))
    assert set(rules) == _permitted(environment)


def _through_the_instance(environment: Environment) -> set[tuple[str, str, int, str]]:
    """What a machine in the place of a NAT gateway lets through: from the private subnets alone, and out."""
    if not environment.network.nat_instance:
        return set()
    private = [f"10.10.{number}.0/24" for number in range(1, len(environment.network.zones) + 1)]
    return {
        ("VpcNatSecurityGroup", way, port, peer)
        for port in (443, 587)
        for way, peer in (*(("Ingress", cidr) for cidr in private), ("Egress", "0.0.0.0/0"))
    }


def test_a_nat_instance_is_nobodys_to_sign_in_to(templates: Templates) -> None:
    template = templates["dev"]["Network"]
    instance = only(template, "AWS::EC2::Instance")
    assert "KeyName" not in instance
    assert [disk["Ebs"]["Encrypted"] for disk in instance["BlockDeviceMappings"]] == [True]
    assert instance["SourceDestCheck"] is False  # it forwards what is not its own
    (role,) = [
        properties
        for name, properties in resources(template, "AWS::IAM::Role").items()
        if name.startswith("VpcPublicSubnet1NatInstance")
    ]
    assert not {"ManagedPolicyArns", "Policies"} & role.keys()


@in_every_environment
def test_nothing_is_open_to_the_world(templates: Templates, environment: Environment) -> None:
    for template in templates[environment.name].values():
        ingress = [rule for rule in _rules(template) if rule[1] == "Ingress"]
        assert not [rule for rule in ingress if rule[3] in ("0.0.0.0/0", "::/0")]
    default_group = only(templates[environment.name]["Network"], "Custom::VpcRestrictDefaultSG")
    assert text(default_group["DefaultSecurityGroupId"]) == "<Vpc.DefaultSecurityGroup>"


@pytest.mark.parametrize(("zones", "room"), [("ac", 3), ("acd", 3), ("ac", 4), ("ac", 2), ("acd", 2)])
def test_a_zone_is_added_without_moving_what_is_there(zones: str, room: int) -> None:
    """As long as there is room, and with what is there at the same place in the settings."""
    before, after = (_ranges(zones + more, room) for more in ("", "b"))
    assert len(after) == len(before) + len(TIERS)
    assert (before.items() <= after.items()) == (len(zones) < room)


def _ranges(zones: str, room: int) -> dict[str, str]:
    """The range of each subnet of a new VPC, by logical id."""
    network = Network(
        zones=tuple(f"ap-northeast-1{zone}" for zone in zones), cidr=IPv4Network("10.1.0.0/16"), room_for_zones=room
    )
    environment = ENVIRONMENTS["dev"].model_copy(update={"network": network})
    stack = NetworkStack(cdk.App(), "Network", environment=environment)
    found = resources(dict(assertions.Template.from_stack(stack).to_json()), "AWS::EC2::Subnet")
    return {
        logical_id: f"{subnet['CidrBlock']} in {subnet['AvailabilityZone']}" for logical_id, subnet in found.items()
    }


@in_every_environment
def test_the_load_balancer_may_leave_the_public_subnets(templates: Templates, environment: Environment) -> None:
    """Whether it is there or not, what it would import is exported: this stack is updated first."""
    exported = [output["Value"] for output in templates[environment.name]["Network"]["Outputs"].values()]
    zones = range(1, len(environment.network.zones) + 1)
    assert {f"<VpcPublicSubnet{zone}Subnet>" for zone in zones} <= set(map(text, exported))


def test_an_internal_load_balancer_may_move_into_the_public_subnets() -> None:
    internal = ENVIRONMENTS["dev"].model_copy(update={"ingress": VARIANT.ingress})
    stack = NetworkStack(cdk.App(), "Network", environment=internal)
    outputs = assertions.Template.from_stack(stack).to_json()["Outputs"]
    exported = {text(output["Value"]) for output in outputs.values()}
    assert {"<VpcPublicSubnet1Subnet>", "<VpcPublicSubnet2Subnet>"} <= exported


def test_the_other_stacks_add_no_rule(templates: Templates) -> None:
    for stacks in templates.values():
        for name in stacks.keys() - {"Network"}:
            assert not [kind for kind in _kinds(stacks[name]) if kind.startswith("AWS::EC2::SecurityGroup")]


def test_an_existing_vpc_gets_only_groups() -> None:
    template = variant()["Network"]
    assert {kind for kind in _kinds(template) if kind != "AWS::CDK::Metadata"} == {
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
    }
    vpc = VARIANT.network.vpc
    assert vpc
    assert {group["VpcId"] for group in resources(template, "AWS::EC2::SecurityGroup").values()} == {vpc.id}
    assert set(_rules(template)) == _permitted(VARIANT)


def _public(**vpc: Any) -> Template:  # noqa: ANN401 - any setting
    """The network of a public gateway in an existing VPC."""
    existing = VARIANT.network.vpc
    assert existing
    network = VARIANT.network.model_copy(update={"vpc": existing.model_copy(update=vpc)})
    ingress = VARIANT.ingress.model_copy(update={"public": True})
    environment = VARIANT.model_copy(update={"network": network, "ingress": ingress})
    stack = NetworkStack(cdk.App(), "Network", environment=environment)
    return dict(assertions.Template.from_stack(stack).to_json())


def test_the_smoke_test_comes_from_the_named_addresses_of_an_existing_vpc() -> None:
    rules = set(_rules(_public(nat_addresses=(IPv4Address("198.51.100.7"),))))
    assert ("LoadBalancerGroup", "Ingress", 443, "198.51.100.7/32") in rules
    assert ("LoadBalancerGroup", "Ingress", 443, "FunctionsGroup") not in rules


def test_tasks_are_let_out_to_each_server_of_models_and_no_further() -> None:
    """Once where two servers have a port and a peer in common: AWS refuses a rule that is there already."""
    group, cidr = "sg-0123456789abcdef0", "10.30.0.0/24"
    servers = (
        Server(host="vllm.internal", port=8000, security_group_id=group),
        Server(host="other.internal", port=8000, security_group_id=group),
        Server(host="10.30.0.7", port=11434, cidr=cidr),
    )
    environment = VARIANT.model_copy(update={"providers": VARIANT.providers.model_copy(update={"servers": servers})})
    stack = NetworkStack(cdk.App(), "Network", environment=environment)
    rules = list(_rules(dict(assertions.Template.from_stack(stack).to_json())))
    assert len(rules) == len(set(rules))
    assert set(rules) - _permitted(VARIANT) == {
        ("GatewayGroup", "Egress", 8000, group),
        ("GatewayGroup", "Egress", 11434, cidr),
    }
    assert set(rules) == _permitted(environment)


def _kinds(template: Template) -> set[str]:
    return {resource["Type"] for resource in template["Resources"].values()}
