"""What AWS Backup does with Aurora's clusters and ministack's leaves out: snapshots, and their copies in other regions.

At once, and with nothing but the role that it is given, which needs what AWS's own policy has for Aurora. No clock
starts a plan here: who tries one asks for its two jobs by themselves.
https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSBackupServiceRolePolicyForBackup.html
https://docs.aws.amazon.com/aws-backup/latest/devguide/API_StartBackupJob.html
https://docs.aws.amazon.com/aws-backup/latest/devguide/API_StartCopyJob.html
"""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from local.databases import Databases
from local.ecs import Json, ministack
from local.iam.decisions import Decisions

Answer = Any  # ministack's: status, headers, body
SERVICE: Final = "backup.amazonaws.com"


class ForbiddenError(Exception):
    """The role may not do it; the message is IAM's."""


class Backups:
    """The vaults' recovery points and the jobs that make them, put under ministack's AWS Backup."""

    def __init__(self, databases: Databases, decisions: Decisions) -> None:
        self._databases, self._decisions = databases, decisions
        self._backup, self._rds = ministack("services.backup"), ministack("services.rds")
        self._responses = ministack("core.responses")
        self._points: dict[str, list[dict[str, Any]]] = defaultdict(list)  # by the vault's ARN
        self._jobs: dict[str, dict[str, Any]] = {}  # that copied, by id

    def mend(self) -> None:
        """Put it into the imported ministack."""
        handle = self._backup.handle_request

        async def asked(method: str, path: str, headers: Json, body: bytes, query: Mapping[str, Any]) -> Answer:
            parts = [unquote(part) for part in path.strip("/").split("/")]
            try:
                answer = self._answer(method, parts, body)
            except ForbiddenError as refused:
                return self._backup._err("AccessDeniedException", str(refused), 403)
            return answer or await handle(method, path, headers, body, query)

        self._backup.handle_request = asked
        ministack("app").SERVICE_HANDLERS["backup"] = asked

    def _answer(self, method: str, parts: list[str], body: bytes) -> Answer:
        """Nothing for what ministack answers as it is."""
        match method, parts:
            case "PUT", ["backup-jobs"]:
                return self._take(json.loads(body))
            case "PUT", ["copy-jobs"]:
                return self._copy(json.loads(body))
            case "GET", ["copy-jobs", job] if job in self._jobs:
                return self._backup._ok({"CopyJob": self._jobs[job]})
            case "GET", ["backup-vaults", name, "recovery-points"] if name in self._backup._vaults:
                return self._backup._ok({"RecoveryPoints": self._points[self._backup._vault_arn(name)]})
        return None

    def _take(self, asked: Json) -> Answer:
        """Take a snapshot of a cluster into a vault of its region."""
        vault, arn = self._backup._vaults.get(asked["BackupVaultName"]), asked["ResourceArn"]
        cluster = self._rds._clusters.get(arn.rpartition(":")[2])
        if vault is None or cluster is None:
            return self._backup._not_found("There is no such vault or cluster.")
        name = f"awsbackup:job-{uuid.uuid4()}"
        snapshot = f"{arn.partition(':cluster:')[0]}:cluster-snapshot:{name}"
        self._by_role(
            asked["IamRoleArn"],
            ("rds:DescribeDBClusters", "*"),
            ("rds:ListTagsForResource", arn),
            ("rds:CreateDBClusterSnapshot", arn),
            ("rds:CreateDBClusterSnapshot", snapshot),
            ("rds:AddTagsToResource", snapshot),
            ("kms:DescribeKey", cluster["KmsKeyId"]),
        )
        self._keep(self._databases.snapshot(cluster, name), vault)
        return self._backup._ok({"BackupJobId": str(uuid.uuid4()), "RecoveryPointArn": snapshot})

    def _copy(self, asked: Json) -> Answer:
        """Copy a recovery point into a vault of another region, whose key it has there."""
        to, wanted = asked["DestinationBackupVaultArn"], asked["RecoveryPointArn"]
        _, _, _, region, account, _, name = to.split(":")
        known = self._points[self._backup._vault_arn(asked["SourceBackupVaultName"])]
        if wanted not in {each["RecoveryPointArn"] for each in known}:
            return self._backup._not_found(f"There is no recovery point {wanted}.")
        source, job = self._rds._db_cluster_snapshots[wanted.partition(":cluster-snapshot:")[2]], str(uuid.uuid4())
        copied = f"awsbackup:copyjob-{job}"
        arn = f"arn:aws:rds:{region}:{account}:cluster-snapshot:{copied}"
        with self._responses.request_scope(account, region):
            vault = self._backup._vaults.get(name)
            if vault is None:
                return self._backup._not_found(f"There is no vault {to}.")
            key = vault["EncryptionKeyArn"]
            self._by_role(
                asked["IamRoleArn"],
                ("backup:CopyIntoBackupVault", to),
                ("backup:DescribeBackupVault", to),
                ("rds:CopyDBClusterSnapshot", wanted),
                ("rds:CopyDBClusterSnapshot", arn),
                ("rds:AddTagsToResource", arn),
            )
            self._by_role(
                asked["IamRoleArn"],
                *(("kms:DescribeKey", key), ("kms:CreateGrant", key)),
                kms__ResourceAliases=_aliases(key),
                kms__GrantIsForAWSResource="true",
            )
            own = {"DBClusterSnapshotIdentifier": copied, "DBClusterSnapshotArn": arn, "KmsKeyId": key}
            self._rds._db_cluster_snapshots[copied] = {**source, **own}
            self._keep({**source, **own}, vault)
        self._jobs[job] = {"CopyJobId": job, "State": "COMPLETED", "DestinationRecoveryPointArn": arn}
        return self._backup._ok({"CopyJobId": job, "CreationDate": time.time(), "IsParent": False})

    def _keep(self, snapshot: Mapping[str, Any], vault: Mapping[str, Any]) -> None:
        self._points[vault["BackupVaultArn"]].append(
            {
                "RecoveryPointArn": snapshot["DBClusterSnapshotArn"],
                "BackupVaultName": vault["BackupVaultName"],
                "BackupVaultArn": vault["BackupVaultArn"],
                "CreationDate": time.time(),
                "Status": "COMPLETED",
                "ResourceType": "Aurora",
                "EncryptionKeyArn": snapshot["KmsKeyId"],
            }
        )

    def _by_role(self, role: str, *needed: tuple[str, str], **conditions: str | list[str]) -> None:
        for action, resource in needed:
            refusal = self._decisions.of_role(role, SERVICE, "AWSBackup-Job", action, resource, **conditions)
            if refusal:
                raise ForbiddenError(refusal)


def _aliases(key: str) -> list[str]:
    aliases = ministack("services.kms")._aliases.items()
    return [arn.rpartition(":")[2] for arn, target in aliases if target.rpartition("/")[2] == key.rpartition("/")[2]]
