"""The network: a VPC of three tiers, and who may talk to whom."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Acknowledgment, RemovalPolicy, Stack, Token, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.nat_instance import HTTPS_PORT, SMTP_SUBMISSION_PORT, let_through, nat_instance
from stacks.settings import Environment, Server

GATEWAY_PORT = 4000
POSTGRES_PORT = 5432
CACHE_PORT = 6379


class NetworkStack(Stack):
    """The VPC over the environment's zones, or the existing one that the settings name, and the security groups.

    Public subnets hold the load balancer (when it is public) and the NAT gateways, private ones the tasks, isolated
    ones the database and the cache. The security groups name every permitted connection; everything else, outgoing too,
    is closed.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        self._zones = environment.network.zones
        self._nat: ec2.NatInstanceProviderV2 | None = None
        super().__init__(scope, construct_id, **kwargs)
        self.vpc = self._existing_vpc(environment) if environment.network.vpc else self._new_vpc(environment)
        self.load_balancer_group = self._group("LoadBalancerGroup", "The load balancer: HTTPS from the named ranges")
        self.gateway_group = self._group("GatewayGroup", "LiteLLM tasks: from the load balancer, to the providers")
        self.database_group = self._group("DatabaseGroup", "Aurora: PostgreSQL from LiteLLM tasks")
        self.cache_group = self._group("CacheGroup", "Valkey: from LiteLLM tasks") if environment.cache else None
        self.functions_group = self._group("FunctionsGroup", "Functions: to LiteLLM, Slack, AWS and other clouds")
        self._permit(environment)
        if self._nat:
            let_through(self._nat, self.vpc, environment)
        self._export_public_subnets()
        if environment.network.interface_endpoints:
            self._interface_endpoints(environment)

    @property
    def availability_zones(self) -> list[str]:
        """The environment's zones: CDK would otherwise look them up in AWS while it synthesizes."""
        return list(self._zones)

    def _new_vpc(self, environment: Environment) -> ec2.IVpc:
        self._nat = nat_instance() if environment.network.nat_instance else None
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(str(environment.network.cidr)),
            availability_zones=list(environment.network.zones),
            # So that the isolated tier does not move, with the database in it, when a zone is added.
            reserved_azs=environment.network.reserved_zones,
            nat_gateways=environment.network.nat_gateways,
            nat_gateway_provider=self._nat,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=26, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=24),
                ec2.SubnetConfiguration(name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=26),
            ],
        )
        # The image's layers come from S3: free, and past the NAT gateways.
        vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        # So does what the functions remember, from DynamoDB.
        vpc.add_gateway_endpoint("DynamoDb", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        log_group = logs.LogGroup(
            self,
            "FlowLogs",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group),
            max_aggregation_interval=ec2.FlowLogMaxAggregationInterval.TEN_MINUTES,
        )
        return vpc

    def _existing_vpc(self, environment: Environment) -> ec2.IVpc:
        network = environment.network
        assert network.vpc  # noqa: S101 - the caller asked
        Validations.of(self).acknowledge(
            Acknowledgment(
                id="Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId",
                reason="Only gateway endpoints would ask for a subnet's route table, and this one has its own",
            )
        )
        return ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=network.vpc.id,
            vpc_cidr_block=str(network.cidr),
            availability_zones=list(network.zones),
            public_subnet_ids=list(network.vpc.public_subnet_ids) or None,
            private_subnet_ids=list(network.vpc.private_subnet_ids),
            isolated_subnet_ids=list(network.vpc.isolated_subnet_ids),
        )

    def _export_public_subnets(self) -> None:
        """Export the public subnets whoever uses them: the load balancer may move out of them.

        CloudFormation updates this stack before the gateway's, and refuses to remove an export that is still in use.
        Those of an existing VPC are known by their ids.
        """
        for subnet in self.vpc.public_subnets:
            if Token.is_unresolved(subnet.subnet_id):
                self.export_value(subnet.subnet_id)

    def _group(self, construct_id: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(self, construct_id, vpc=self.vpc, description=description, allow_all_outbound=False)

    def _permit(self, environment: Environment) -> None:
        balancer, gateway, database = self.load_balancer_group, self.gateway_group, self.database_group
        functions = self.functions_group
        for cidr in environment.ingress.cidrs:
            for port, why in ((HTTPS_PORT, "HTTPS"), (80, "HTTP, answered with a redirect to HTTPS")):
                balancer.add_ingress_rule(ec2.Peer.ipv4(str(cidr)), ec2.Port.tcp(port), why)
        self._let_functions_in(environment)
        self._connect(balancer, gateway, GATEWAY_PORT, "Requests and health checks")
        self._connect(functions, gateway, GATEWAY_PORT, "Accounts and usage, on the private path")
        self._connect(gateway, database, POSTGRES_PORT, "PostgreSQL")
        if self.cache_group:
            self._connect(gateway, self.cache_group, CACHE_PORT, "Valkey")
        anywhere = ec2.Peer.any_ipv4()
        gateway.add_egress_rule(anywhere, ec2.Port.tcp(HTTPS_PORT), "The providers, Datadog, Slack and AWS, by name")
        gateway.add_egress_rule(anywhere, ec2.Port.tcp(SMTP_SUBMISSION_PORT), "Mails of LiteLLM, by SES")
        self._let_out_to(environment.providers.servers)
        functions.add_egress_rule(anywhere, ec2.Port.tcp(HTTPS_PORT), "Slack, AWS and other clouds, by name")

    def _let_out_to(self, servers: Sequence[Server]) -> None:
        """Let the tasks out to each server of models, once where several have a port and a peer in common."""
        ways = dict.fromkeys((server.security_group_id, server.cidr, server.port) for server in servers)
        for group, cidr, port in ways:
            peer = ec2.Peer.security_group_id(group) if group else ec2.Peer.ipv4(str(cidr))
            self.gateway_group.add_egress_rule(peer, ec2.Port.tcp(port), "A server of models")

    def _let_functions_in(self, environment: Environment) -> None:
        """Let the smoke test in at the gateway's public name, as people come in.

        A public load balancer sees the addresses of the NAT gateways, an internal one the functions themselves.
        """
        why = "HTTPS, for the smoke test"
        if not environment.ingress.public:
            self._let_in(self.functions_group, self.load_balancer_group, HTTPS_PORT, why)
            return
        for address in self._nat_addresses(environment):
            self.load_balancer_group.add_ingress_rule(ec2.Peer.ipv4(f"{address}/32"), ec2.Port.tcp(HTTPS_PORT), why)
        Validations.of(self.load_balancer_group).acknowledge(
            Acknowledgment(
                id="AwsSolutions-EC23",
                reason="The rule cannot read an address that is known once it is deployed: it is one, a /32",
            )
        )

    def _nat_addresses(self, environment: Environment) -> list[str]:
        """The public addresses that requests from the private subnets come from."""
        existing = environment.network.vpc
        if existing is None:
            if self._nat:
                return [instance.instance_public_ip for instance in self._nat.gateway_instances]
            eips = (subnet.node.try_find_child("EIP") for subnet in self.vpc.public_subnets)
            return [eip.attr_public_ip for eip in eips if isinstance(eip, ec2.CfnEIP)]
        return [str(address) for address in existing.nat_addresses]

    def _connect(self, source: ec2.SecurityGroup, target: ec2.SecurityGroup, port: int, why: str) -> None:
        """Permit one connection on both sides, with ids that the CDK's own rules would put the environment into."""
        self._let_in(source, target, port, why)
        ec2.CfnSecurityGroupEgress(
            self,
            f"{source.node.id}To{target.node.id}",
            group_id=source.security_group_id,
            destination_security_group_id=target.security_group_id,
            **_traffic(port, why),
        )

    def _let_in(self, source: ec2.SecurityGroup, target: ec2.SecurityGroup, port: int, why: str) -> None:
        ec2.CfnSecurityGroupIngress(
            self,
            f"{target.node.id}From{source.node.id}",
            group_id=target.security_group_id,
            source_security_group_id=source.security_group_id,
            **_traffic(port, why),
        )

    def _interface_endpoints(self, environment: Environment) -> None:
        group = self._group("EndpointGroup", "Services of AWS: HTTPS from LiteLLM tasks and functions")
        for source in (self.gateway_group, self.functions_group):
            self._let_in(source, group, HTTPS_PORT, "HTTPS")
        for name in environment.network.interface_endpoints:
            self.vpc.add_interface_endpoint(
                f"Endpoint-{name}",
                service=ec2.InterfaceVpcEndpointAwsService(name, port=HTTPS_PORT),
                security_groups=[group],
                open=False,
                lookup_supported_azs=False,
            )


def as_it_is(scope: Construct, construct_id: str, group: ec2.ISecurityGroup) -> ec2.ISecurityGroup:
    """A group for use in another stack, which may add no rule to it: every rule is written here."""
    return ec2.SecurityGroup.from_security_group_id(scope, construct_id, group.security_group_id, mutable=False)


def in_vpc(vpc: ec2.IVpc, group: ec2.ISecurityGroup) -> dict[str, Any]:
    """A function's properties that put it into the private subnets, with the connections of this group."""
    return {
        "vpc": vpc,
        "vpc_subnets": ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
        "security_groups": [group],
    }


def _traffic(port: int, why: str) -> dict[str, Any]:
    return {"ip_protocol": "tcp", "from_port": port, "to_port": port, "description": why}
