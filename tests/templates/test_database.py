"""The database stack: engine, encryption, backups, and what keeps it from being lost."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from stacks.company import environments
from stacks.settings import Environment
from tests.templates.conftest import Template, only, resources
from tests.templates.synthesis import VARIANT, artifacts, plain, resolved, text, variant

ENVIRONMENTS = environments()
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraPostgreSQLReleaseNotes/aurorapostgresql-supported-releases-eol.html
LONG_TERM_SUPPORT = {"16.8", "17.7"}
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


def _resource(template: Template, kind: str) -> dict[str, Any]:
    """The one resource of this type, whole."""
    (found,) = (resource for resource in template["Resources"].values() if resource["Type"] == kind)
    return dict(found)


CLUSTER: dict[str, Callable[[Environment], object]] = {
    "Engine": lambda _: "aurora-postgresql",
    "DatabaseName": lambda _: "litellm",
    "MasterUsername": lambda _: "litellm",
    "MasterUserPassword": lambda environment: (
        f"{{{{resolve:ssm-secure:/litellm/{environment.name}/DATABASE_PASSWORD}}}}"
    ),
    "StorageEncrypted": lambda _: True,
    "BackupRetentionPeriod": lambda environment: environment.database.backup_days,
    "DeletionProtection": lambda environment: environment.deletion_protection,
    "CopyTagsToSnapshot": lambda _: True,
    "EnableCloudwatchLogsExports": lambda _: ["postgresql"],
    "ServerlessV2ScalingConfiguration": lambda environment: {
        "MinCapacity": 0 if environment.sleep else environment.database.min_capacity,
        "MaxCapacity": environment.database.max_capacity,
        **({"SecondsUntilAutoPause": 300} if environment.sleep else {}),
    },
}


@in_every_environment
@pytest.mark.parametrize("name", CLUSTER)
def test_cluster(templates: Templates, environment: Environment, name: str) -> None:
    assert only(templates[environment.name]["Database"], "AWS::RDS::DBCluster")[name] == CLUSTER[name](environment)


@in_every_environment
def test_engine_is_a_long_term_support_version(templates: Templates, environment: Environment) -> None:
    version = only(templates[environment.name]["Database"], "AWS::RDS::DBCluster")["EngineVersion"]
    assert version in LONG_TERM_SUPPORT


@in_every_environment
def test_stays_on_its_long_term_support_version(templates: Templates, environment: Environment) -> None:
    """An instance is upgraded to the next minor by itself unless it says not to, and takes the cluster along."""
    instances = resources(templates[environment.name]["Database"], "AWS::RDS::DBInstance")
    assert {name: instance.get("AutoMinorVersionUpgrade") for name, instance in instances.items()} == dict.fromkeys(
        instances, False
    )


@in_every_environment
def test_maintenance_is_at_one_time_and_not_while_the_backup_is_made(
    templates: Templates, environment: Environment
) -> None:
    template = templates[environment.name]["Database"]
    cluster = only(template, "AWS::RDS::DBCluster")
    instances = resources(template, "AWS::RDS::DBInstance").values()
    assert {each["PreferredMaintenanceWindow"] for each in (cluster, *instances)} == {"sun:17:00-sun:17:30"}
    maintenance = re.findall(r"\d\d:\d\d", cluster["PreferredMaintenanceWindow"])
    backup = cluster["PreferredBackupWindow"].split("-")
    assert maintenance[0] < maintenance[1] <= backup[0] < backup[1]


@in_every_environment
def test_own_key(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Database"]
    assert text(only(template, "AWS::RDS::DBCluster")["KmsKeyId"]) == "<Key.Arn>"
    key = _resource(template, "AWS::KMS::Key")
    assert key["Properties"]["EnableKeyRotation"] is True
    # Without the key no snapshot can be restored.
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")


@in_every_environment
def test_only_tls(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Database"]
    assert text(only(template, "AWS::RDS::DBCluster")["DBClusterParameterGroupName"]) == "<Parameters>"
    assert only(template, "AWS::RDS::DBClusterParameterGroup")["Parameters"] == {"rds.force_ssl": "1"}


@in_every_environment
def test_removal_leaves_a_snapshot(templates: Templates, environment: Environment) -> None:
    cluster = _resource(templates[environment.name]["Database"], "AWS::RDS::DBCluster")
    assert (cluster["DeletionPolicy"], cluster["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")


@in_every_environment
def test_logs_are_kept_as_long_as_the_settings_say(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Database"]
    cluster, log_group = _resource(template, "AWS::RDS::DBCluster"), only(template, "AWS::Logs::LogGroup")
    identifier = cluster["Properties"]["DBClusterIdentifier"]
    assert log_group["LogGroupName"] == f"/aws/rds/cluster/{identifier}/postgresql"
    assert log_group["RetentionInDays"] == environment.log_retention_days
    assert "Logs" in map(plain, cluster["DependsOn"])  # or RDS makes the group itself, to be kept for ever


@in_every_environment
def test_writer_and_reader(templates: Templates, environment: Environment) -> None:
    instances = resources(templates[environment.name]["Database"], "AWS::RDS::DBInstance").values()
    zones = environment.network.zones[: 2 if environment.database.reader else 1]
    assert [instance["AvailabilityZone"] for instance in instances] == list(zones)
    assert len(set(zones)) == len(zones)
    for tier, instance in enumerate(instances):
        assert instance["PromotionTier"] == tier  # 0 and 1 scale with the writer
        assert instance["DBInstanceClass"] == "db.serverless"
        assert instance["PubliclyAccessible"] is False
        assert instance["EnablePerformanceInsights"] is True
        assert instance["PerformanceInsightsRetentionPeriod"] == 7  # free
        assert text(instance["PerformanceInsightsKMSKeyId"]) == "<Key.Arn>"


def test_prod_has_a_reader() -> None:
    assert ENVIRONMENTS["prod"].database.reader
    assert ENVIRONMENTS["prod"].deletion_protection


@in_every_environment
def test_lives_in_the_isolated_subnets(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    subnets = resolved(stacks, only(stacks["Database"], "AWS::RDS::DBSubnetGroup")["SubnetIds"])
    assert list(map(text, subnets)) == [
        f"<VpcIsolatedSubnet{number}Subnet>" for number in range(1, len(environment.network.zones) + 1)
    ]
    groups = resolved(stacks, only(stacks["Database"], "AWS::RDS::DBCluster")["VpcSecurityGroupIds"])
    assert list(map(text, groups)) == ["<DatabaseGroup.GroupId>"]


def test_lives_in_the_isolated_subnets_of_an_existing_vpc() -> None:
    assert VARIANT.network.vpc
    subnets = only(variant()["Database"], "AWS::RDS::DBSubnetGroup")["SubnetIds"]
    assert subnets == list(VARIANT.network.vpc.isolated_subnet_ids)


@pytest.mark.parametrize("environment", [ENVIRONMENTS["dev"], VARIANT], ids=lambda environment: environment.name)
def test_termination_protection_of_the_stack(environment: Environment) -> None:
    stack = artifacts()[environment.name]["Database"]
    assert bool(stack.termination_protection) is environment.deletion_protection
