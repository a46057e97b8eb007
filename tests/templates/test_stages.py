"""What holds for all stacks of an environment, and between the environments: names, ids, tags, how they deploy."""

from datetime import date

import aws_cdk as cdk
import pytest

from stacks.company import config_file, environments
from stacks.environment_stage import EnvironmentStage
from stacks.settings import Environment
from tests.templates.conftest import STACKS, WITHOUT_BUNDLING, Template, resources, stacks_of
from tests.templates.synthesis import VARIANT, artifacts, plain

ENVIRONMENTS = environments()
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
as_deployed = pytest.mark.parametrize("environment", [ENVIRONMENTS["dev"], VARIANT], ids=lambda each: each.name)

# What prod has by its settings beside what dev has: a third zone, a NAT gateway in each, endpoints, a reader.
BY_SETTING = {
    "Network": (
        *(f"Vpc{tier}Subnet3" for tier in ("Public", "Private", "Isolated")),
        *(f"VpcPublicSubnet2{kind}" for kind in ("EIP", "NATGateway")),
        *(f"WatchedVpcPublicSubnet{number}NATGateway" for number in (2, 3)),
        "VpcEndpoint",
        "EndpointGroup",
        "CacheGroup",
        "GatewayGroupToCacheGroup",
    ),
    "Database": ("ClusterReader", "Copies", "Snapshots"),
    "Email": (),
    "Gateway": (),
    "Smoke": (),
    "Onboarding": (),
    "Datadog": (),
    "Usage": (),
    "Observability": ("Slack", "ReplicaLag", "Cache", "CopyFailed", "NoSnapshotToCopy"),
}

# Only the local run's settings compare these bills.
OTHER_BILLS = ("AnthropicBill", "AzureBill", "GeminiBill", "OpenAiBill", "VertexAiBill")
# What dev has of its own, as it sleeps and has a machine in the place of its NAT gateway.
OF_DEV: dict[str, tuple[str, ...]] = dict.fromkeys(STACKS, ()) | {
    "Network": ("VpcNatSecurityGroup", "VpcPublicSubnet1NatInstance", "WatchedVpcPublicSubnet1NatInstance"),
    "Gateway": ("Sleep", "WatchedSleep", "EdgeLoadBalancerHttpsAsleepRule"),
    "Observability": ("Night", "Waking", "SleepUndelivered", "GatewaySleep", "NatInstance"),
}
# And what the others have there.
IN_PLACE_OF_A_MACHINE: dict[str, tuple[str, ...]] = dict.fromkeys(STACKS, ()) | {
    "Network": ("VpcPublicSubnet1EIP", "VpcPublicSubnet1NATGateway", "WatchedVpcPublicSubnet1NATGateway"),
    "Datadog": ("MonitorSilence",),
    "Observability": ("NatPorts",),
}
# No release gets to the local run, and so nobody in another account tries it.
OF_RELEASES = ("TestReleases",)

# Names that another system or person needs to know, or that keep a resource from being replaced unseen.
NAMED = {
    "AWS::Lambda::Function": ("FunctionName", {"litellm-{name}-smoke", "litellm-{name}-sleep"}),
    "AWS::RDS::DBCluster": ("DBClusterIdentifier", {"litellm-{name}"}),
    "AWS::Logs::LogGroup": (
        "LogGroupName",
        {"/aws/rds/cluster/litellm-{name}/postgresql", "aws-waf-logs-litellm-{name}"},
    ),
    "AWS::SSM::Parameter": (
        "Name",
        {f"/litellm/{{name}}/{fact}" for fact in ("base-url", "cluster", "service", "litellm-version")},
    ),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": ("Name", {"{name}.litellm.internal"}),
    "AWS::ServiceDiscovery::Service": ("Name", {"gateway"}),
}
NAME_PROPERTIES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::EC2::SecurityGroup": "GroupName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ECS::Service": "ServiceName",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "Name",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::RDS::DBClusterParameterGroup": "DBClusterParameterGroupName",
    "AWS::RDS::DBInstance": "DBInstanceIdentifier",
    "AWS::RDS::DBSubnetGroup": "DBSubnetGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SES::ConfigurationSet": "Name",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
    "AWS::WAFv2::IPSet": "Name",
    "AWS::WAFv2::RegexPatternSet": "Name",
    "AWS::WAFv2::WebACL": "Name",
} | {kind: name for kind, (name, _) in NAMED.items()}


@as_deployed
def test_stacks_carry_the_tags(environment: Environment) -> None:
    assert {name: stack.tags for name, stack in artifacts()[environment.name].items()} == dict.fromkeys(
        stacks_of(environment), environment.tags
    )


@as_deployed
def test_stack_names_and_places(environment: Environment) -> None:
    stacks = artifacts()[environment.name]
    assert {stack.stack_name for stack in stacks.values()} == {
        f"litellm-{environment.name}-{name.lower()}" for name in stacks_of(environment)
    }
    places = {(stack.environment.account, stack.environment.region) for stack in stacks.values()}
    assert places == {(environment.account, environment.region)}


@pytest.mark.parametrize("stack", STACKS)
def test_logical_ids_are_the_same_in_every_environment(templates: Templates, stack: str) -> None:
    ids = {name: set(templates[name][stack]["Resources"]) for name in ENVIRONMENTS}
    for name in ("dev", "local"):  # they sleep, and dev has a machine for a NAT gateway
        own = {each for each in ids[name] if each.startswith(OF_DEV[stack])}
        assert bool(own) == bool(OF_DEV[stack]) or name == "local"
        ids[name] -= own
    without = {each for each in ids["stg"] if not each.startswith(IN_PLACE_OF_A_MACHINE[stack])}
    assert ids["dev"] == without
    assert {each for each in ids["dev"] if not each.startswith(OF_RELEASES)} == {
        each for each in ids["local"] if not each.startswith((*OTHER_BILLS, *IN_PLACE_OF_A_MACHINE[stack]))
    }
    assert ids["stg"] <= ids["prod"]
    added = ids["prod"] - ids["stg"]
    assert not {logical_id for logical_id in added if not logical_id.startswith(BY_SETTING[stack])}
    assert all(any(logical_id.startswith(start) for logical_id in added) for start in BY_SETTING[stack])


@in_every_environment
@pytest.mark.parametrize("stack", STACKS)
def test_no_logical_id_names_an_environment(templates: Templates, environment: Environment, stack: str) -> None:
    naming = {name for name in templates[environment.name][stack]["Resources"] if environment.name in name}
    assert not naming


@in_every_environment
def test_physical_names_are_generated(templates: Templates, environment: Environment) -> None:
    given: dict[str, set[str]] = {}
    watched = f"/litellm/{environment.name}/watched/"  # what the Observability stack looks up, by whatever name
    for template in templates[environment.name].values():
        for kind, name in NAME_PROPERTIES.items():
            for properties in resources(template, kind).values():
                if name in properties and not str(properties[name]).startswith(watched):
                    given.setdefault(kind, set()).add(properties[name])
    known = {
        kind: {pattern.format(name=environment.name) for pattern in patterns} for kind, (_, patterns) in NAMED.items()
    }
    if not environment.sleep:
        known["AWS::Lambda::Function"].remove(f"litellm-{environment.name}-sleep")
    assert given == known


def test_only_the_access_logs_and_the_database_outlive_dev(templates: Templates) -> None:
    """What is left when dev is destroyed."""
    kept = {
        plain(logical_id): resource["DeletionPolicy"]
        for template in templates["dev"].values()
        for logical_id, resource in template["Resources"].items()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
    }
    assert kept == {"Key": "Retain", "Cluster": "Snapshot", "EdgeAccessLogs": "Retain"}


def test_a_price_that_changes_soon_is_told_when_it_is_synthesized(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no more on the day itself, when LiteLLM charges the new one."""

    def told(today: date) -> list[str]:
        monkeypatch.setattr("stacks.environment_stage._today", lambda: today)
        cdk_app = cdk.App(context=WITHOUT_BUNDLING)
        stage = EnvironmentStage(cdk_app, environment=ENVIRONMENTS["dev"], config_file=config_file())
        return [str(entry.data) for entry in stage.gateway.node.metadata if entry.type == "aws:cdk:warning"]

    (sentence,) = told(date(2026, 11, 30))
    assert "gemini-4-argon) changes on 2026-12-01, which LiteLLM will charge by itself: input 2 -> 4" in sentence
    assert told(date(2026, 12, 1)) == []
