"""ops/refused.py: what CloudFormation would refuse, found in two templates."""

from __future__ import annotations

from typing import Any

import pytest

from ops.diff import Pair, differences
from ops.refused import protected, refusals

BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"


def resource(kind: str, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"Type": kind, "Properties": properties}


def template(**resources: dict[str, Any]) -> dict[str, Any]:
    return {"Resources": resources}


def refused(
    old: dict[str, Any] | None, new: dict[str, Any], *more: Pair, left: dict[str, dict[str, Any]] | None = None
) -> list[str]:
    pairs = [Pair("Network", old, new), *more]
    return list(refusals(pairs, differences(pairs), left))


def subnet(cidr: str, zone: str = "a", vpc: str = "Vpc") -> dict[str, Any]:
    return resource("AWS::EC2::Subnet", VpcId={"Ref": vpc}, CidrBlock=cidr, AvailabilityZone=zone)


def vpc(cidr: str = "10.0.0.0/16") -> dict[str, Any]:
    return resource("AWS::EC2::VPC", CidrBlock=cidr)


def test_a_subnet_cannot_have_the_range_of_another() -> None:
    before = template(Vpc=vpc(), One=subnet("10.0.0.0/24"))
    (moved,) = refused(before, template(Vpc=vpc(), One=subnet("10.0.0.0/24", "b")))
    assert "subnets would get ranges that others have yet (One (10.0.0.0/24))" in moved
    (new,) = refused(before, template(Vpc=vpc(), Two=subnet("10.0.0.128/25")))
    assert "Two (10.0.0.128/25)" in new
    assert refused(before, template(Vpc=vpc(), One=subnet("10.0.0.0/24"), Two=subnet("10.0.1.0/24"))) == []
    assert refused(before, template(Vpc=vpc("10.0.0.0/17"), One=subnet("10.0.0.0/24"))) == []  # another VPC
    assert refused(None, before) == []


def edge(balancer: str = "Balancer", targets: str = "Targets", scheme: str = "internal") -> dict[str, Any]:
    return template(
        **{
            balancer: resource(BALANCER, Scheme=scheme),
            f"{balancer}Listener": resource(
                "AWS::ElasticLoadBalancingV2::Listener", LoadBalancerArn={"Ref": balancer}, Port=443, DefaultActions=[]
            ),
            "Rule": resource(
                "AWS::ElasticLoadBalancingV2::ListenerRule",
                ListenerArn={"Ref": f"{balancer}Listener"},
                Priority=1,
                Conditions=[],
                Actions=[{"Type": "forward", "TargetGroupArn": {"Ref": targets}}],
            ),
            targets: resource("AWS::ElasticLoadBalancingV2::TargetGroup", Port=4000),
        }
    )


@pytest.mark.parametrize(
    "after", [edge(scheme="internet-facing"), edge("Other")], ids=["replaced", "under another logical id"]
)
def test_targets_cannot_belong_to_two_load_balancers(after: dict[str, Any]) -> None:
    (sentence,) = refused(edge(), after)
    assert "the targets Targets would belong to a new load balancer while they are the old one's" in sentence


def test_a_new_load_balancer_with_targets_of_its_own_is_well() -> None:
    assert refused(edge(), edge("Other", "OtherTargets")) == []
    assert refused(edge(), edge()) == []


def test_a_name_is_had_once() -> None:
    before = template(Logs=resource("AWS::Logs::LogGroup", LogGroupName="logs"))
    (sentence,) = refused(before, template(Other=resource("AWS::Logs::LogGroup", LogGroupName="logs")))
    assert "AWS::Logs::LogGroup Other would be made anew as logs while the old one has that name" in sentence
    assert refused(before, template(Other=resource("AWS::Logs::LogGroup", LogGroupName="others"))) == []
    assert refused(before, template(Other=resource("AWS::Logs::LogGroup"))) == []


def test_a_channel_of_alarms_has_one_configuration_of_a_name() -> None:
    def channel(workspace: str) -> dict[str, Any]:
        kind = "AWS::Chatbot::SlackChannelConfiguration"
        return template(Channel=resource(kind, ConfigurationName="alarms", SlackWorkspaceId=workspace))

    (sentence,) = refused(channel("T1"), channel("T2"))
    assert "would be made anew as alarms" in sentence


def exporting(value: object, name: str = "net:Group", **resources: dict[str, Any]) -> dict[str, Any]:
    return {**template(**resources), "Outputs": {"Out": {"Value": value, "Export": {"Name": name}}}}


def importing(name: str = "net:Group") -> dict[str, Any]:
    return template(User=resource("AWS::SSM::Parameter", Type="String", Value={"Fn::ImportValue": name}))


GROUP = {"Ref": "Group"}


def group(vpc_id: str = "vpc-1") -> dict[str, Any]:
    return resource("AWS::EC2::SecurityGroup", GroupDescription="any", VpcId=vpc_id)


@pytest.mark.parametrize(
    "after",
    [
        template(Group=group()),
        exporting({"Ref": "Other"}, Group=group(), Other=group()),
        exporting(GROUP, Group=group("vpc-2")),
    ],
    ids=["it goes", "it is of something else", "what it is of is replaced"],
)
def test_an_export_stays_as_it_is_while_it_is_imported(after: dict[str, Any]) -> None:
    before = exporting(GROUP, Group=group())
    user = Pair("Gateway", importing(), template())  # that it imports it no more comes too late
    (sentence,) = refused(before, after, user)
    assert "what it exports would change (net:Group) while Gateway, updated only afterwards, import it" in sentence
    (of_left,) = refused(before, after, left={"litellm-dev-usage": importing()})
    assert "`aws cloudformation delete-stack --stack-name litellm-dev-usage`" in of_left
    assert refused(before, after, Pair("Gateway", importing("net:Other"), template())) == []
    assert refused(before, before, user) == []


def test_a_protected_load_balancer_stays_behind() -> None:
    def balancer(value: str) -> dict[str, Any]:
        attributes = [{"Key": "deletion_protection.enabled", "Value": value}]
        return template(Balancer=resource(BALANCER, Scheme="internal", LoadBalancerAttributes=attributes))

    def of(value: str, new: dict[str, Any]) -> tuple[str, ...]:
        return protected(differences([Pair("Gateway", balancer(value), new)]))

    (sentence,) = of("true", template())
    assert "the load balancer Balancer is protected from deletion: it stays in the account" in sentence
    assert of("true", balancer("true")) == of("false", template()) == ()
