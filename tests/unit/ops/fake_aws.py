"""AWS as `make restore` asks it: RDS that restores and renames, and what else it looks at, all held by one session.

Each request is checked by botocore's own validator against the service's model, as a real client does before it sends.
A cluster or instance becomes available only after having been looked at once, and a new name is unknown at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.session
from botocore import exceptions as aws
from botocore import xform_name
from botocore.model import ServiceModel
from botocore.validate import validate_parameters

FIRST, LAST = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 28, 20, tzinfo=UTC)
ENDPOINT = "{}.cluster-abc.ap-northeast-1.rds.amazonaws.com"


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.Session().get_service_model(service)


def refused(code: str, operation: str) -> aws.ClientError:
    """An error as AWS answers it."""
    return aws.ClientError({"Error": {"Code": code, "Message": code}}, operation)


class Client:
    """A client of one service, whose answers are functions by operation."""

    def __init__(self, service: str, answers: Mapping[str, Callable[..., Any]], asked: list[str]) -> None:
        self._model, self._answers, self._asked = _model(service), answers, asked
        self._operations = {xform_name(name): name for name in self._model.operation_names}
        self.exceptions = type(
            "", (), {"ResourceNotFoundException": _NotRaisedError, "ParameterNotFound": _NotRaisedError}
        )

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = self._operations[name]

        def call(**parameters: Any) -> Any:  # noqa: ANN401 - boto3's
            shape = self._model.operation_model(operation).input_shape
            validate_parameters(parameters, shape)
            if operation.startswith(("Delete", "Restore", "Modify", "Create", "Update", "Change", "Put", "Run")):
                self._asked.append(operation)
            return self._answers[operation](**parameters)

        return call

    def get_paginator(self, name: str) -> Any:  # noqa: ANN401 - boto3's
        """One page has all."""
        call = getattr(self, name)
        return type("", (), {"paginate": lambda _, **parameters: iter([call(**parameters)])})()


class _NotRaisedError(Exception):
    """What a client may name, and this one never raises."""


class Rds:
    """Clusters and instances by name."""

    def __init__(self, now: str, instances: tuple[str, ...]) -> None:
        self.clusters = {now: cluster(now)}
        self.instances = {name: instance(name, now, tier) for tier, name in enumerate(instances)}
        self.restored_from: dict[str, Any] = {}
        self._unseen: set[str] = set()

    def answers(self) -> dict[str, Callable[..., Any]]:
        """By operation."""
        return {
            "DescribeDBClusters": self._describe_cluster,
            "DescribeDBInstances": self._describe_instance,
            "RestoreDBClusterToPointInTime": self._restore,
            "RestoreDBClusterFromSnapshot": self._restore,
            "ModifyDBCluster": self._modify_cluster,
            "ModifyDBInstance": self._modify_instance,
            "CreateDBInstance": self._create_instance,
            "DeleteDBInstance": lambda DBInstanceIdentifier: self.instances.pop(DBInstanceIdentifier),  # noqa: N803
            "DeleteDBCluster": self._delete,
        }

    def members(self, name: str) -> list[str]:
        """The instances of a cluster."""
        own = self.clusters[name]["DbClusterResourceId"]
        return sorted(each for each, it in self.instances.items() if it["of"] == own)

    def _describe_cluster(self, DBClusterIdentifier: str) -> Any:  # noqa: ANN401, N803 - boto3's
        found = self.clusters.get(DBClusterIdentifier)
        if found is None:
            raise refused("DBClusterNotFoundFault", "DescribeDBClusters")
        members = [{"DBInstanceIdentifier": each} for each in self.members(DBClusterIdentifier)]
        return {"DBClusters": [found | self._state(DBClusterIdentifier, "Status") | {"DBClusterMembers": members}]}

    def _describe_instance(self, DBInstanceIdentifier: str) -> Any:  # noqa: ANN401, N803
        found = self.instances.get(DBInstanceIdentifier)
        if found is None:
            raise refused("DBInstanceNotFound", "DescribeDBInstances")
        return {"DBInstances": [found | self._state(DBInstanceIdentifier, "DBInstanceStatus")]}

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
        found |= {key: value for key, value in given.items() if key in ("DeletionProtection", "MasterUserPassword")}
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
        self.instances[DBInstanceIdentifier] = (
            made | given | {"of": self.clusters[DBClusterIdentifier]["DbClusterResourceId"]}
        )
        self._unseen.add(DBInstanceIdentifier)
        return {}

    def _delete(self, DBClusterIdentifier: str, SkipFinalSnapshot: bool) -> Any:  # noqa: ANN401, N803
        assert not self.clusters[DBClusterIdentifier]["DeletionProtection"]
        assert SkipFinalSnapshot
        assert self.members(DBClusterIdentifier) == []
        return self.clusters.pop(DBClusterIdentifier)


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


class Session:
    """A session with the clients of these answers, by service."""

    def __init__(self, answers: Mapping[str, Mapping[str, Callable[..., Any]]]) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def client(self, service: str, *, region_name: str | None = None, **_: Any) -> Client:  # noqa: ANN401
        """The client, whatever the region: answers of several regions are kept as `service@region`."""
        key = f"{service}@{region_name}"
        return Client(service, self._answers[key if key in self._answers else service], self.asked)

    def get_partition_for_region(self, _: str) -> str:
        """The main one."""
        return "aws"


def summaries(*found: tuple[str, str, str]) -> Iterator[dict[str, Any]]:
    """Resources of a stack as CloudFormation lists them: logical id, type, physical id."""
    for logical_id, kind, name in found:
        yield {"LogicalResourceId": logical_id, "ResourceType": kind, "PhysicalResourceId": name}
