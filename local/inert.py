"""What a deployment contains and has no effect on one machine: which types, and which resources were deployed of them.

A type that neither ministack nor `INERT` knows fails the deployment.
"""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.ecs import Json, Provisioned, ministack

PUBLIC_ADDRESS = "198.51.100.1"  # of every elastic address: from a range for documentation
Handler = dict[str, Any]


@dataclass(frozen=True)
class Inert:
    """A CloudFormation type that nothing is made for.

    Parameters
    ----------
    prefix
        Of the physical id.
    attributes
        The attributes that a template may read; each has the physical id as value, but for `Arn` and `PublicIp`.
    has_effect
        Something else on this machine acts on it, so it is not told among those without effect.
    """

    prefix: str
    attributes: tuple[str, ...] = ("Id",)
    has_effect: bool = False


# Everything that a deployment may contain and that does nothing on one machine.
INERT: dict[str, Inert] = {
    "AWS::ApplicationAutoScaling::ScalingPolicy": Inert("scaling-policy", ("Arn",)),
    "AWS::Athena::NamedQuery": Inert("named-query", ("NamedQueryId",)),
    "AWS::Backup::BackupSelection": Inert("backup-selection", ("Id", "SelectionId", "BackupPlanId")),
    "AWS::Budgets::Budget": Inert("budget"),
    "AWS::CertificateManager::Account": Inert("acm-account", ("AccountId",)),
    "AWS::Chatbot::SlackChannelConfiguration": Inert("chatbot", ("Arn",)),
    "AWS::CloudWatch::AlarmMuteRule": Inert("alarm-mute-rule", ("Arn",)),
    "AWS::CloudWatch::AnomalyDetector": Inert("anomaly-detector"),
    "AWS::CloudWatch::CompositeAlarm": Inert("composite-alarm", ("Arn",)),
    "AWS::EC2::EIP": Inert("eipalloc", ("AllocationId", "PublicIp")),
    "AWS::EC2::FlowLog": Inert("fl"),
    "AWS::EC2::NatGateway": Inert("nat", ("NatGatewayId",)),
    "AWS::EC2::NetworkAcl": Inert("acl"),
    "AWS::EC2::NetworkAclEntry": Inert("acl-entry"),
    "AWS::EC2::SecurityGroupEgress": Inert("sgr"),
    "AWS::EC2::SecurityGroupIngress": Inert("sgr"),
    "AWS::EC2::SubnetNetworkAclAssociation": Inert("aclassoc", ("AssociationId",)),
    "AWS::ECS::ClusterCapacityProviderAssociations": Inert("capacity-providers"),
    "AWS::Logs::QueryDefinition": Inert("query", ("QueryDefinitionId",)),
    "AWS::Route53::HealthCheck": Inert("health-check", ("HealthCheckId",)),
    "AWS::WAFv2::IPSet": Inert("ipset", ("Arn", "Id"), has_effect=True),
    "AWS::WAFv2::LoggingConfiguration": Inert("waf-logging"),
    "AWS::WAFv2::RegexPatternSet": Inert("regexset", ("Arn", "Id"), has_effect=True),
    "AWS::WAFv2::RuleGroup": Inert("rulegroup", ("Arn", "Id", "LabelNamespace")),
    "AWS::WAFv2::WebACLAssociation": Inert("webacl-association", has_effect=True),
    "Custom::VpcRestrictDefaultSG": Inert("default-security-group"),  # a Lambda function that needs the SDK for EC2
}
# Types that ministack keeps and answers for, and whose effect it does not have.
WITHOUT_EFFECT = (
    "AWS::EC2::VPCEndpoint",
    "AWS::ServiceDiscovery::PrivateDnsNamespace",
    "AWS::ServiceDiscovery::Service",
)


class Ledger:
    """The deployed resources that are not emulated, kept in a JSON file (by physical id) for whoever reports them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
        self._write()

    def add(self, physical_id: str, *, kind: str, logical_id: str, stack: str) -> None:
        """Record a resource."""
        with self._lock:
            self._entries[physical_id] = {"type": kind, "logical_id": logical_id, "stack": stack}
            self._write()

    def remove(self, physical_id: str) -> None:
        """Forget a deleted resource."""
        with self._lock:
            self._entries.pop(physical_id, None)
            self._write()

    def _write(self) -> None:
        self._path.write_text(json.dumps(self._entries, indent=1))


def inert_handler(kind: str, inert: Inert, ledger: Ledger) -> Handler:
    """A CloudFormation handler as ministack wants it, which does nothing, and records what is without effect."""
    responses = ministack("core.responses")

    def attributes(physical_id: str) -> dict[str, str]:
        service = kind.split("::")[1].lower()
        arn = f"arn:aws:{service}:{responses.get_region()}:{responses.get_account_id()}:{physical_id}"
        told = {"Arn": arn, "PublicIp": PUBLIC_ADDRESS}
        return {name: told.get(name, physical_id) for name in inert.attributes}

    def create(logical_id: str, properties: Json, stack: str) -> Provisioned:
        physical_id = f"{inert.prefix}-{uuid.uuid4().hex[:17]}"
        if not inert.has_effect:
            ledger.add(physical_id, kind=kind, logical_id=logical_id, stack=stack)
        return physical_id, attributes(physical_id)

    def update(physical_id: str, before: Json, after: Json, stack: str) -> Provisioned:
        return physical_id, attributes(physical_id)

    def delete(physical_id: str, properties: Json) -> None:
        ledger.remove(physical_id)

    return {"create": create, "update": update, "delete": delete}


def recorded(kind: str, handler: Handler, ledger: Ledger) -> Handler:
    """The handler that ministack has for a type without effect, with its resources recorded."""

    def create(logical_id: str, properties: Json, stack: str) -> Provisioned:
        physical_id, attributes = handler["create"](logical_id, properties, stack)
        ledger.add(physical_id, kind=kind, logical_id=logical_id, stack=stack)
        return physical_id, attributes

    def delete(physical_id: str, properties: Json) -> None:
        handler["delete"](physical_id, properties)
        ledger.remove(physical_id)

    return {**handler, "create": create, "delete": delete}
