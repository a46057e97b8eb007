"""Copies of the database in a second region: a snapshot of AWS Backup's at fixed hours, copied at once.

Aurora's own backups (`database.backup_days`) end with their region, and cannot be replicated by RDS as those of a
single instance can. AWS Backup takes a snapshot in the database's region and copies it into a vault in the other, whose
key it is encrypted with there. Nothing of it runs in the gateway's way.

Two stacks, since one is of one region: `CopiesStack` is the vault and its key, which a person deploys once, and which
are there when the database's region is not; `take_copies` is what the database's own stack has of it.
"""

from typing import Any

from aws_cdk import Acknowledgment, ArnFormat, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_backup as backup
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from constructs import Construct

from stacks.settings import Copies, Environment
from stacks.settings.gateway import COPY_BEGINS_WITHIN, COPY_ENDS_WITHIN

# The minute is after Aurora's own backup has begun (`BACKUP_WINDOW`), not with everybody else's at the full hour.
MINUTE = "40"
FIRST_HOUR = 18
# The snapshot that a copy is made of is of no use afterwards: Aurora itself goes back to any second.
KEPT_HERE = Duration.days(1)


class CopiesStack(Stack):
    """The vault that the copies of an environment's database are in, and the key that they are encrypted with.

    In the second region, and not of the environment's stage, which is one region's: `make copies` deploys it before
    `database.copies` is, and nothing changes it afterwards. Removing it leaves both behind.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        key = kms.Key(
            self,
            "Key",
            alias=environment.copies_key,
            description="Copies of the LLM gateway's database",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,  # without it no copy can ever be restored
        )
        backup.BackupVault(
            self,
            "Vault",
            backup_vault_name=environment.copies_vault,  # fixed: the plan in the other region names it
            encryption_key=key,
            removal_policy=RemovalPolicy.RETAIN,
        )


def take_copies(
    stack: Stack, *, environment: Environment, copies: Copies, cluster: rds.IDatabaseCluster, key: kms.IKey
) -> None:
    """Have the cluster's snapshots taken and copied, by a role that may do that with this cluster alone."""
    there = stack.format_arn(
        service="backup",
        region=copies.region,
        resource="backup-vault",
        resource_name=environment.copies_vault,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    vault = backup.BackupVault(
        stack,
        "Snapshots",
        backup_vault_name=environment.snapshots_vault,
        encryption_key=key,
        removal_policy=RemovalPolicy.RETAIN,
    )
    plan = backup.BackupPlan(
        stack,
        "Copies",
        backup_plan_name=environment.copies_vault,
        backup_plan_rules=[
            backup.BackupPlanRule(
                rule_name="copy",
                backup_vault=vault,
                schedule_expression=events.Schedule.cron(minute=MINUTE, hour=hours_of(copies.every_hours)),
                start_window=Duration.hours(COPY_BEGINS_WITHIN),
                completion_window=Duration.hours(COPY_ENDS_WITHIN),
                delete_after=KEPT_HERE,
                copy_actions=[
                    backup.BackupPlanCopyActionProps(
                        destination_backup_vault=backup.BackupVault.from_backup_vault_arn(stack, "There", there),
                        delete_after=Duration.days(copies.days),
                    )
                ],
            )
        ],
    )
    plan.add_selection(
        "Cluster",
        backup_selection_name="cluster",
        resources=[backup.BackupResource.from_arn(cluster.cluster_arn)],
        role=_role(stack, environment, cluster, key, copies.region, there),
        disable_default_backup_policy=True,
    )


def hours_of(every: int) -> str:
    """The hours of a day, in UTC, as cron has them: once a day it is after Aurora's own backup."""
    return ",".join(str(hour) for hour in sorted((FIRST_HOUR + n * every) % 24 for n in range(24 // every)))


def _role(
    stack: Stack, environment: Environment, cluster: rds.IDatabaseCluster, key: kms.IKey, region: str, there: str
) -> iam.Role:
    """What AWS's managed AWSBackupServiceRolePolicyForBackup has for Aurora, on this cluster and its snapshots."""
    role = iam.Role(
        stack,
        "CopiesRole",
        description="AWS Backup: snapshots of the LLM gateway's database, and their copies in a second region",
        assumed_by=iam.ServicePrincipal("backup.amazonaws.com"),
    )
    own, copied = (
        stack.format_arn(
            service="rds",
            region=where,
            resource="cluster-snapshot",
            resource_name="awsbackup:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        for where in (stack.region, region)
    )
    other_keys = stack.format_arn(service="kms", region=region, resource="key", resource_name="*")
    by_alias = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": environment.copies_key}}
    for_aws = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    looks = ["rds:DescribeDBClusterSnapshots", "rds:DescribeDBClusters", "tag:GetResources"]
    for actions, resources, conditions in (
        (["rds:CreateDBClusterSnapshot"], [cluster.cluster_arn, own], None),
        (["rds:AddTagsToResource", "rds:ListTagsForResource"], [cluster.cluster_arn, own, copied], None),
        (["rds:CopyDBClusterSnapshot", "rds:DeleteDBClusterSnapshot"], [own, copied], None),
        (looks, ["*"], None),
        (["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"], [there], None),
        (["kms:DescribeKey"], [key.key_arn], None),
        (["kms:CreateGrant"], [key.key_arn], for_aws),
        (["kms:DescribeKey"], [other_keys], by_alias),
        (["kms:CreateGrant"], [other_keys], by_alias | for_aws),
    ):
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions))
    findings = {
        "*": "Lists, which know no resources",
        own: "AWS Backup names its snapshots by numbers of its own, which begin so",
        copied: "Likewise, in the second region",
        other_keys: "The key there is told by its alias, in the condition: its number is not known here",
    }
    Validations.of(role).acknowledge(
        *(Acknowledgment(id=f"AwsSolutions-IAM5[Resource::{what}]", reason=why) for what, why in findings.items())
    )
    return role
