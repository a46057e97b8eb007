"""RDS as `make restore` asks it: clusters and instances that are restored, made, renamed and removed.

A cluster or instance becomes available only after having been looked at once, by its new name too. For `FakeAws`, which
checks each request and answer against AWS's own description of the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tests.unit.fake_aws import Answers, refusal

FIRST, LAST = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 28, 20, tzinfo=UTC)
ENDPOINT = "{}.cluster-abc.ap-northeast-1.rds.amazonaws.com"


class Rds:
    """Clusters and instances by name."""

    def __init__(self, now: str, instances: tuple[str, ...]) -> None:
        self.clusters = {now: cluster(now)}
        self.instances = {name: instance(name, now, tier) for tier, name in enumerate(instances)}
        self.passwords: dict[str, str] = {}
        self.restored_from: dict[str, Any] = {}
        self._unseen: set[str] = set()

    def answers(self) -> Answers:
        """By service and method."""
        found: dict[str, Callable[..., Any]] = {
            "describe_db_clusters": self._describe_cluster,
            "describe_db_instances": self._describe_instance,
            "restore_db_cluster_to_point_in_time": self._restore,
            "restore_db_cluster_from_snapshot": self._restore,
            "modify_db_cluster": self._modify_cluster,
            "modify_db_instance": self._modify_instance,
            "create_db_instance": self._create_instance,
            "delete_db_instance": lambda DBInstanceIdentifier: self._gone(DBInstanceIdentifier),  # noqa: N803
            "delete_db_cluster": self._delete,
        }
        return {("rds", method): answer for method, answer in found.items()}

    def members(self, name: str) -> list[str]:
        """The instances of a cluster."""
        own = self.clusters[name]["DbClusterResourceId"]
        return sorted(each for each, it in self.instances.items() if it["of"] == own)

    def _describe_cluster(self, DBClusterIdentifier: str) -> Any:  # noqa: ANN401, N803 - boto3's
        found = self.clusters.get(DBClusterIdentifier)
        if found is None:
            raise refusal("DBClusterNotFoundFault")
        members = [{"DBInstanceIdentifier": each} for each in self.members(DBClusterIdentifier)]
        return {"DBClusters": [found | self._state(DBClusterIdentifier, "Status") | {"DBClusterMembers": members}]}

    def _describe_instance(self, DBInstanceIdentifier: str) -> Any:  # noqa: ANN401, N803
        found = self.instances.get(DBInstanceIdentifier)
        if found is None:
            raise refusal("DBInstanceNotFound")
        return {"DBInstances": [_without(found) | self._state(DBInstanceIdentifier, "DBInstanceStatus")]}

    def _state(self, name: str, key: str) -> dict[str, str]:
        if name in self._unseen:
            self._unseen.discard(name)
            return {key: "creating"}
        return {key: "available"}

    def _restore(self, DBClusterIdentifier: str, **given: Any) -> Any:  # noqa: ANN401, N803
        self.restored_from = given
        made = cluster(DBClusterIdentifier) | {"DeletionProtection": given["DeletionProtection"]}
        self.clusters[DBClusterIdentifier] = made
        self._unseen.add(DBClusterIdentifier)
        return {"DBCluster": made}

    def _modify_cluster(self, DBClusterIdentifier: str, **given: Any) -> Any:  # noqa: ANN401, N803
        found = self.clusters[DBClusterIdentifier]
        if to := given.get("NewDBClusterIdentifier"):
            assert to not in self.clusters
            self.clusters[to] = self.clusters.pop(DBClusterIdentifier)
            self._unseen.add(to)
        found |= {key: value for key, value in given.items() if key == "DeletionProtection"}
        self.passwords |= (
            {found["DbClusterResourceId"]: given["MasterUserPassword"]} if "MasterUserPassword" in given else {}
        )
        return {}

    def _modify_instance(self, DBInstanceIdentifier: str, NewDBInstanceIdentifier: str, **_: Any) -> Any:  # noqa: ANN401, N803
        assert NewDBInstanceIdentifier not in self.instances
        assert len(NewDBInstanceIdentifier) <= 63
        self.instances[NewDBInstanceIdentifier] = self.instances.pop(DBInstanceIdentifier)
        self._unseen.add(NewDBInstanceIdentifier)
        return {}

    def _create_instance(self, DBInstanceIdentifier: str, DBClusterIdentifier: str, **given: Any) -> Any:  # noqa: ANN401, N803
        assert len(DBInstanceIdentifier) <= 63
        made = instance(DBInstanceIdentifier, DBClusterIdentifier, given["PromotionTier"])
        made |= {key: value for key, value in given.items() if key in made} | {"TagList": given["Tags"]}
        self.instances[DBInstanceIdentifier] = made | {"of": self.clusters[DBClusterIdentifier]["DbClusterResourceId"]}
        self._unseen.add(DBInstanceIdentifier)
        return {}

    def _delete(self, DBClusterIdentifier: str, SkipFinalSnapshot: bool) -> Any:  # noqa: ANN401, N803
        assert not self.clusters[DBClusterIdentifier]["DeletionProtection"]
        assert SkipFinalSnapshot
        assert self.members(DBClusterIdentifier) == []
        self.clusters.pop(DBClusterIdentifier)
        return {}

    def _gone(self, name: str) -> Any:  # noqa: ANN401
        self.instances.pop(name)
        return {}


def _without(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "of"}


def cluster(name: str) -> dict[str, Any]:
    """What RDS says of one."""
    return {
        "DBClusterIdentifier": name,
        "DbClusterResourceId": f"cluster-{name}",
        "Engine": "aurora-postgresql",
        "EngineVersion": "17.7",
        "Endpoint": ENDPOINT.format(name),
        "EarliestRestorableTime": FIRST,
        "LatestRestorableTime": LAST,
        "DBSubnetGroup": "subnets",
        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
        "DBClusterParameterGroup": "parameters",
        "KmsKeyId": "arn:aws:kms:ap-northeast-1:333333333333:key/1",
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 1.0, "MaxCapacity": 16.0},
        "EnabledCloudwatchLogsExports": ["postgresql"],
        "CopyTagsToSnapshot": True,
        "DeletionProtection": True,
        "BackupRetentionPeriod": 35,
        "PreferredBackupWindow": "18:00-18:30",
        "PreferredMaintenanceWindow": "sun:17:00-sun:17:30",
        "TagList": [{"Key": "aws:cloudformation:stack-name", "Value": "x"}, {"Key": "service", "Value": "llm"}],
    }


def instance(name: str, of: str, tier: int) -> dict[str, Any]:
    """What RDS says of one; `of` is the cluster's own id, which no renaming changes."""
    return {
        "DBInstanceIdentifier": name,
        "of": f"cluster-{of}",
        "Engine": "aurora-postgresql",
        "DBInstanceClass": "db.serverless",
        "AvailabilityZone": f"ap-northeast-1{'ac'[tier % 2]}",
        "PromotionTier": tier,
        "AutoMinorVersionUpgrade": False,
        "PreferredMaintenanceWindow": "sun:17:00-sun:17:30",
        "PerformanceInsightsKMSKeyId": "arn:aws:kms:ap-northeast-1:333333333333:key/1",
        "PerformanceInsightsRetentionPeriod": 7,
        "TagList": [{"Key": "service", "Value": "llm"}],
    }


def summaries(*found: tuple[str, str, str]) -> Iterator[dict[str, Any]]:
    """Resources of a stack as CloudFormation lists them: logical id, type, physical id."""
    for logical_id, kind, name in found:
        yield {
            "LogicalResourceId": logical_id,
            "ResourceType": kind,
            "PhysicalResourceId": name,
            "LastUpdatedTimestamp": FIRST,
            "ResourceStatus": "CREATE_COMPLETE",
        }
