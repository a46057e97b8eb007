"""A cluster restored beside the one that CloudFormation made, which it then takes the place of by their names.

CloudFormation knows a cluster and its instances by their identifiers, and so do the tasks by the address that follows
from them. What takes these names is theirs from then on: no template changes, and nothing is replaced. (A template's
`SnapshotIdentifier` would have to stay in it for good: without it, or with another, CloudFormation makes a new cluster
and deletes the old, "AWS::RDS::DBCluster", SnapshotIdentifier.)

Each step looks first whether it has been done, so that what was interrupted goes on.

Integrates with Amazon RDS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore import exceptions as aws

from ops.access import OpsError

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterTypeDef, DBInstanceTypeDef

LOST: Final = ("deleting", "failed", "inaccessible-encryption-credentials", "incompatible-network", "restore-error")
"""States that nothing becomes available from. "Viewing DB cluster status" in Aurora's user guide."""

T = TypeVar("T")
Step = Callable[[], None]


@dataclass(frozen=True)
class Second:
    """A second of the last days, by Aurora's own backups; None for the latest that there is."""

    to: datetime | None


@dataclass(frozen=True)
class Copy:
    """A copy that AWS Backup keeps, and when the snapshot was taken."""

    arn: str
    taken: datetime


@dataclass(frozen=True)
class Clusters:
    """The cluster `now`, with its instances as CloudFormation named them, the writer first.

    The restored one is `now` with `-restored` behind it and the one that it replaces `-old`; their instances are these
    with a number, since an instance's own name has hardly room for more (63 characters).
    """

    rds: RDSClient
    now: str
    instances: tuple[str, ...]
    say: Callable[[str], None]
    wait: Step

    @property
    def restored(self) -> str:
        """The restored cluster, until it takes the place."""
        return f"{self.now}-restored"

    @property
    def old(self) -> str:
        """The cluster that was replaced."""
        return f"{self.now}-old"

    def found(self, name: str) -> DBClusterTypeDef | None:
        """The cluster of this name, if there is one."""
        return self._found(lambda: self.rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0])

    def endpoint(self, name: str) -> str:
        """The address of the cluster's writer."""
        return self._cluster(name)["Endpoint"]

    def make(self, source: Second | Copy, password: str) -> None:
        """Restore beside `now`, with all that its template says, and today's password."""
        if not self.found(self.restored):
            self.say(f"Restoring {self.restored}: 10 to 40 minutes")
            self._begin(source)
        self._available(self.restored)
        original = self._cluster(self.now)
        self.rds.modify_db_cluster(
            DBClusterIdentifier=self.restored,
            ApplyImmediately=True,
            BackupRetentionPeriod=original["BackupRetentionPeriod"],
            PreferredBackupWindow=original["PreferredBackupWindow"],
            PreferredMaintenanceWindow=original["PreferredMaintenanceWindow"],
            MasterUserPassword=password,
        )
        for number, name in enumerate(self.instances, 1):
            self._instance_like(name, f"{self.restored}-{number}")
        self._available(self.restored)

    @property
    def taking(self) -> bool:
        """Whether the names have begun to change hands."""
        return self._instance(f"{self.old}-1") is not None or self.found(self.old) is not None

    def take_place(self) -> None:
        """Have the restored cluster and its instances take the names of `now`, which stays as `-old`."""
        for number, name in enumerate(self.instances, 1):
            self._rename_instance(name, f"{self.old}-{number}")
            self._rename_instance(f"{self.restored}-{number}", name)
        self._rename(self.now, self.old)
        self._rename(self.restored, self.now)

    def remove_restored(self) -> None:
        """Remove the restored cluster, which nothing uses, without a snapshot: it can be restored again."""
        cluster = self.found(self.restored)
        if not cluster:
            return
        if cluster["DeletionProtection"]:
            self.rds.modify_db_cluster(
                DBClusterIdentifier=self.restored, ApplyImmediately=True, DeletionProtection=False
            )
        for member in cluster["DBClusterMembers"]:
            self.rds.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"])
        self.rds.delete_db_cluster(DBClusterIdentifier=self.restored, SkipFinalSnapshot=True)
        self.say(f"{self.restored} is being removed")

    def _begin(self, source: Second | Copy) -> None:
        original = self._cluster(self.now)
        scaling = original["ServerlessV2ScalingConfiguration"]
        common: dict[str, Any] = {
            "DBClusterIdentifier": self.restored,
            "DBSubnetGroupName": original["DBSubnetGroup"],
            "VpcSecurityGroupIds": [each["VpcSecurityGroupId"] for each in original["VpcSecurityGroups"]],
            "DBClusterParameterGroupName": original["DBClusterParameterGroup"],
            "KmsKeyId": original["KmsKeyId"],
            "ServerlessV2ScalingConfiguration": {
                key: scaling[key] for key in ("MinCapacity", "MaxCapacity", "SecondsUntilAutoPause") if key in scaling
            },
            "EnableCloudwatchLogsExports": original["EnabledCloudwatchLogsExports"],
            "CopyTagsToSnapshot": original["CopyTagsToSnapshot"],
            "DeletionProtection": original["DeletionProtection"],
            "Tags": [tag for tag in original["TagList"] if not tag["Key"].startswith("aws:")],
        }
        if isinstance(source, Copy):
            self.rds.restore_db_cluster_from_snapshot(
                SnapshotIdentifier=source.arn,
                Engine=original["Engine"],
                EngineVersion=original["EngineVersion"],
                **common,
            )
            return
        time: dict[str, Any] = {"RestoreToTime": source.to} if source.to else {"UseLatestRestorableTime": True}
        self.rds.restore_db_cluster_to_point_in_time(SourceDBClusterIdentifier=self.now, **common, **time)

    def _instance_like(self, name: str, made: str) -> None:
        """An instance as the original is: in its zone, and like it never upgraded by itself."""
        if not self._instance(made):
            self.say(f"Making {made}")
            like = self._instance(name)
            if like is None:
                raise OpsError(f"there is no instance {name}, which the template has: look at it in RDS.")
            self.rds.create_db_instance(
                DBInstanceIdentifier=made,
                DBClusterIdentifier=self.restored,
                Engine=like["Engine"],
                DBInstanceClass=like["DBInstanceClass"],
                AvailabilityZone=like["AvailabilityZone"],
                PromotionTier=like["PromotionTier"],
                AutoMinorVersionUpgrade=like["AutoMinorVersionUpgrade"],
                PreferredMaintenanceWindow=like["PreferredMaintenanceWindow"],
                EnablePerformanceInsights=True,
                PerformanceInsightsKMSKeyId=like["PerformanceInsightsKMSKeyId"],
                PerformanceInsightsRetentionPeriod=like["PerformanceInsightsRetentionPeriod"],
                Tags=[tag for tag in like["TagList"] if not tag["Key"].startswith("aws:")],
            )
        self._instance_available(made)

    def _rename_instance(self, name: str, to: str) -> None:
        if self._instance(to) is None:
            self.say(f"{name} becomes {to}")
            self.rds.modify_db_instance(DBInstanceIdentifier=name, NewDBInstanceIdentifier=to, ApplyImmediately=True)
        self._instance_available(to)

    def _rename(self, name: str, to: str) -> None:
        if self.found(to) is None:
            self.say(f"{name} becomes {to}")
            self.rds.modify_db_cluster(DBClusterIdentifier=name, NewDBClusterIdentifier=to, ApplyImmediately=True)
        self._available(to)

    def _cluster(self, name: str) -> DBClusterTypeDef:
        cluster = self.found(name)
        if cluster is None:
            raise OpsError(
                f"there is no cluster {name}: look at it in RDS, as docs/operations/restore-database.md says."
            )
        return cluster

    def _instance(self, name: str) -> DBInstanceTypeDef | None:
        return self._found(lambda: self.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0])

    def _found(self, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except aws.ClientError as error:
            if error.response["Error"]["Code"] in ("DBClusterNotFoundFault", "DBInstanceNotFound"):
                return None
            raise

    def _available(self, name: str) -> None:
        self._until(name, lambda: (self.found(name) or {}).get("Status"))

    def _instance_available(self, name: str) -> None:
        self._until(name, lambda: (self._instance(name) or {}).get("DBInstanceStatus"))

    def _until(self, name: str, state: Callable[[], str | None]) -> None:
        """Wait until it is available. One that was just renamed is not known by its new name for a while."""
        while (now := state()) != "available":
            if now in LOST:
                raise OpsError(f"{name} is {now}: its events in RDS say why (aws rds describe-events).")
            self.wait()
