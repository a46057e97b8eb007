"""The cache stack: TLS, password, encryption, place, and that nothing of it is kept."""

from typing import Any

import pytest

from stacks.company import environments
from stacks.settings import Environment
from tests.templates.conftest import Template, only, resources
from tests.templates.synthesis import resolved, text

ENVIRONMENTS = environments()
Templates = dict[str, dict[str, Template]]
CACHED = {name: each for name, each in ENVIRONMENTS.items() if each.cache}
with_a_cache = pytest.mark.parametrize("environment", CACHED.values(), ids=CACHED)


def _group(template: Template) -> dict[str, Any]:
    (found,) = (each for each in template["Resources"].values() if each["Type"] == "AWS::ElastiCache::ReplicationGroup")
    return dict(found)


def test_prod_has_one_and_no_environment_that_says_nothing_of_it(templates: Templates) -> None:
    assert "prod" in CACHED
    assert {name for name, stacks in templates.items() if "Cache" in stacks} == CACHED.keys()


@with_a_cache
def test_it_is_valkey_with_tls_and_a_password_that_no_template_has(
    templates: Templates, environment: Environment
) -> None:
    found = _group(templates[environment.name]["Cache"])["Properties"]
    assert environment.cache
    assert (found["Engine"], found["CacheNodeType"]) == ("valkey", environment.cache.node)
    assert (found["TransitEncryptionEnabled"], found["TransitEncryptionMode"]) == (True, "required")
    assert found["AtRestEncryptionEnabled"] is True
    assert found["AuthToken"] == f"{{{{resolve:ssm-secure:/litellm/{environment.name}/REDIS_PASSWORD}}}}"


@with_a_cache
def test_it_fails_over_only_with_a_replica(templates: Templates, environment: Environment) -> None:
    found = _group(templates[environment.name]["Cache"])["Properties"]
    assert environment.cache
    replica = environment.cache.replica
    assert found["NumCacheClusters"] == (2 if replica else 1)
    assert found["AutomaticFailoverEnabled"] is found["MultiAZEnabled"] is replica


@with_a_cache
def test_nothing_of_it_is_kept(templates: Templates, environment: Environment) -> None:
    """A count of yesterday would be a wrong one."""
    found = _group(templates[environment.name]["Cache"])
    assert found["Properties"]["SnapshotRetentionLimit"] == 0
    assert (found["DeletionPolicy"], found["UpdateReplacePolicy"]) == ("Delete", "Delete")


@with_a_cache
def test_it_is_patched_when_the_database_is(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    assert only(stacks["Database"], "AWS::RDS::DBCluster")["PreferredMaintenanceWindow"].startswith("sun:17:00-")
    assert _group(stacks["Cache"])["Properties"]["PreferredMaintenanceWindow"] == "sun:17:00-sun:18:00"


@with_a_cache
def test_it_lives_in_the_isolated_subnets(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    subnets = resolved(stacks, only(stacks["Cache"], "AWS::ElastiCache::SubnetGroup")["SubnetIds"])
    zones = range(1, len(environment.network.zones) + 1)
    assert list(map(text, subnets)) == [f"<VpcIsolatedSubnet{zone}Subnet>" for zone in zones]
    groups = resolved(stacks, _group(stacks["Cache"])["Properties"]["SecurityGroupIds"])
    assert list(map(text, groups)) == ["<CacheGroup.GroupId>"]


@with_a_cache
def test_each_node_is_watched(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    count = _group(stacks["Cache"])["Properties"]["NumCacheClusters"]
    nodes = {f"litellm-{environment.name}-{number:03}" for number in range(1, count + 1)}
    for logical_id, alarm in resources(stacks["Observability"], "AWS::CloudWatch::Alarm").items():
        if logical_id.startswith("Cache") and not logical_id.startswith("CacheUnreachable"):
            metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each]
            found = [{each["Name"]: each["Value"] for each in one["Dimensions"]} for one in metrics or [alarm]]
            assert {one["CacheClusterId"] for one in found} == nodes, logical_id
            assert {one["CacheNodeId"] for one in found} == {"0001"}, logical_id
