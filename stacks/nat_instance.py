"""A machine of the smallest size in the place of a NAT gateway, for an environment that people can do without."""

from typing import cast

from aws_cdk import Acknowledgment, Validations
from aws_cdk import aws_ec2 as ec2

from stacks.settings import Environment

HTTPS_PORT = 443
SMTP_SUBMISSION_PORT = 587
SIZE = "t4g.nano"
DISK_GB = 8
# Amazon Linux 2023 has no rules of a firewall, and forwards nothing. Packages come by the machine's own address, which
# it has from the beginning; a repository that does not answer is asked again.
# https://docs.aws.amazon.com/vpc/latest/userguide/work-with-nat-instances.html
COMMANDS = (
    "until dnf install -y iptables-services; do sleep 5; done",
    "systemctl enable --now iptables",
    "echo net.ipv4.ip_forward=1 > /etc/sysctl.d/nat.conf && sysctl -p /etc/sysctl.d/nat.conf",
    "interface=$(ip -o route show default | awk '{print $5; exit}')",
    'iptables -t nat -A POSTROUTING -o "$interface" -j MASQUERADE',
    "iptables -F FORWARD",
    "service iptables save",
)


def nat_instance() -> ec2.NatInstanceProviderV2:
    """The machine, with Amazon Linux 2023 as it is when something is deployed; nobody signs in, by no way.

    It lets nothing through until `let_through` has said what.
    """
    commands = ec2.UserData.for_linux()
    commands.add_commands(*COMMANDS)
    return ec2.NatInstanceProviderV2(
        instance_type=ec2.InstanceType(SIZE),
        default_allowed_traffic=ec2.NatTrafficDirection.NONE,
        associate_public_ip_address=True,
        credit_specification=ec2.CpuCredits.STANDARD,  # slower when it has used its credits up, and never dearer
        user_data=commands,
    )


def let_through(nat: ec2.NatInstanceProviderV2, vpc: ec2.IVpc, environment: Environment) -> None:
    """Let through what tasks and functions may send out, of the private subnets alone, and keep its disk encrypted."""
    anywhere = "0.0.0.0/0"
    # A server in a private range is reached by a way of the company's own.
    servers = (
        (str(each.cidr), each.port) for each in environment.providers.servers if each.cidr and each.cidr.is_global
    )
    for cidr, port in dict.fromkeys(((anywhere, HTTPS_PORT), (anywhere, SMTP_SUBMISSION_PORT), *servers)):
        for subnet in vpc.private_subnets:
            nat.connections.allow_from(ec2.Peer.ipv4(subnet.ipv4_cidr_block), ec2.Port.tcp(port), "On its way out")
        nat.connections.allow_to(ec2.Peer.ipv4(cidr), ec2.Port.tcp(port), "Out, for tasks, functions and itself")
    for instance in nat.gateway_instances:
        machine = cast(ec2.CfnInstance, instance.node.default_child)
        machine.block_device_mappings = [
            ec2.CfnInstance.BlockDeviceMappingProperty(
                device_name="/dev/xvda",
                ebs=ec2.CfnInstance.EbsProperty(encrypted=True, volume_size=DISK_GB, volume_type="gp3"),
            )
        ]
        Validations.of(instance).acknowledge(
            Acknowledgment(id="AwsSolutions-EC28", reason="A figure a minute of it would cost half of what it does"),
            Acknowledgment(id="AwsSolutions-EC29", reason="It holds nothing; a deployment makes another one"),
        )
