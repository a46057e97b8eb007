"""One environment's synthesized templates, and how to ask them: what is drawn, priced and listed comes from here."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ops import remembered
from stacks import CHECKOUT
from stacks.company import company

Properties = dict[str, Any]
Templates = Mapping[str, dict[str, Any]]
"""One environment's templates by the name of the stack: Network, Database, Email, Gateway, …"""

KIND = "templates"
"""What they are remembered as."""

SMOKE_TEST = "for the smoke test"
"""How stacks/network.py ends the description of the rules that let the smoke test in."""


@cache
def synthesize(environment: str) -> Templates:
    """The templates of an environment of the company in force, made without AWS, Docker or the network."""
    own = company()
    templates: Templates = remembered.document(KIND, remembered.digest(own, environment), lambda: _made(environment))
    return templates


def _made(environment: str) -> Templates:
    os.environ["CDK_VALIDATION"] = "false"  # the rules have a test of their own; here they would only take time
    import aws_cdk as cdk  # starts Node, which reads the variable then

    import app

    context = json.loads((CHECKOUT / "cdk.json").read_text())["context"]
    # The functions' packages are not put together: nobody deploys what is synthesized here.
    context |= {"environments": environment, "aws:cdk:bundling-stacks": []}
    with tempfile.TemporaryDirectory() as folder:
        cdk_app = cdk.App(outdir=folder, context=context)
        app.build(cdk_app, company())
        stacks = cdk_app.synth().get_nested_assembly(f"assembly-{environment}").stacks
        return {stack.hierarchical_id.rsplit("/", 1)[-1]: stack.template for stack in stacks}


@dataclass(frozen=True)
class Facts:
    """The templates of one environment, and how to ask them."""

    templates: Templates

    def resources(self, kind: str) -> dict[str, Properties]:
        """The properties of every resource of one type, by stack and logical id."""
        return {
            f"{stack}/{logical_id}": resource.get("Properties", {})
            for stack, template in self.templates.items()
            for logical_id, resource in template["Resources"].items()
            if resource["Type"] == kind
        }

    def only(self, kind: str, containing: str = "") -> Properties:
        """The properties of the one resource of a type whose logical id contains a word."""
        (properties,) = (found for name, found in self.resources(kind).items() if containing in name)
        return properties

    def subnets(self, tier: str) -> dict[str, Properties]:
        """The subnets of a tier (Public, Private, Isolated) by zone; none in a VPC that was there already."""
        return {
            properties["AvailabilityZone"]: properties
            for properties in self.resources("AWS::EC2::Subnet").values()
            if {"Key": "aws-cdk:subnet-name", "Value": tier} in properties["Tags"]
        }

    def nat_zones(self) -> set[str]:
        """The zones that have a NAT gateway of the stack's."""
        subnets = self.resources("AWS::EC2::Subnet")
        return {
            str(subnets[f"Network/{properties['SubnetId']['Ref']}"]["AvailabilityZone"])
            for properties in self.resources("AWS::EC2::NatGateway").values()
        }

    def endpoints(self) -> tuple[str, ...]:
        """The services that have an interface endpoint."""
        found = self.resources("AWS::EC2::VPCEndpoint").values()
        return tuple(
            properties["ServiceName"].split(".", 3)[3]
            for properties in found
            if properties["VpcEndpointType"] == "Interface"
        )

    def scaling_target(self, metric: str) -> int:
        """At what value of a metric, AWS's own or the tasks', there are tasks added."""
        for properties in self.resources("AWS::ApplicationAutoScaling::ScalingPolicy").values():
            tracking = properties["TargetTrackingScalingPolicyConfiguration"]
            own, predefined = (tracking.get(f"{kind}MetricSpecification", {}) for kind in ("Customized", "Predefined"))
            if metric in (own.get("MetricName"), predefined.get("PredefinedMetricType")):
                return int(tracking["TargetValue"])
        raise LookupError(f"no scaling policy follows {metric}: ops/diagram must be told what does")

    def parameter(self, name: str) -> str:
        """The value of one of the published parameters."""
        return str(self.only("AWS::SSM::Parameter", f"Parameter{name}")["Value"])

    def attribute(self, key: str) -> str:
        """An attribute of the load balancer."""
        pairs = self.only("AWS::ElasticLoadBalancingV2::LoadBalancer")["LoadBalancerAttributes"]
        return next(str(pair["Value"]) for pair in pairs if pair["Key"] == key)

    def is_public(self) -> bool:
        """Whether the load balancer is on the internet side."""
        return bool(self.only("AWS::ElasticLoadBalancingV2::LoadBalancer")["Scheme"] == "internet-facing")

    def callers(self) -> tuple[str, ...]:
        """The ranges that the load balancer lets in, but for the smoke test's."""
        rules = self.only("AWS::EC2::SecurityGroup", "LoadBalancerGroup")["SecurityGroupIngress"]
        return tuple(dict.fromkeys(rule["CidrIp"] for rule in rules if not rule["Description"].endswith(SMOKE_TEST)))

    def function(self, module: str) -> Properties | None:
        """The Lambda function that a module of a package in `lambda/` is (`onboarding.receiver`), if there is one."""
        found = self.resources("AWS::Lambda::Function").values()
        return next((function for function in found if function.get("Handler") == f"{module}.handler"), None)

    def attempts(self) -> int:
        """How often the queue hands a request to the worker before it goes to the dead-letter queue."""
        queues = self.resources("AWS::SQS::Queue").values()
        (attempts,) = (queue["RedrivePolicy"]["maxReceiveCount"] for queue in queues if "RedrivePolicy" in queue)
        return int(attempts)

    def retention(self) -> str:
        """How long logs are kept: the shortest and the longest, in days."""
        days = sorted({group["RetentionInDays"] for group in self.resources("AWS::Logs::LogGroup").values()})
        return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"

    def told_by_mail(self) -> bool:
        """Whether anybody gets alarms by mail."""
        subscriptions = self.resources("AWS::SNS::Subscription")
        return any(
            name.startswith("Observability/") and properties["Protocol"] == "email"
            for name, properties in subscriptions.items()
        )

    def told_in_slack(self) -> bool:
        """Whether a channel gets alarms."""
        return bool(self.resources("AWS::Chatbot::SlackChannelConfiguration"))


def plain(logical_id: str) -> str:
    """A logical id without the eight hexadecimal digits that the CDK puts behind most."""
    return re.sub(r"(?<=.)[0-9A-F]{8}$", "", logical_id)
