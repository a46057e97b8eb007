"""The database: what LiteLLM remembers of accounts, keys, budgets and spend."""

from functools import partial
from typing import Any

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, SecretValue, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from constructs import Construct

from stacks.copies import take_copies
from stacks.settings import DATABASE_NAME, DATABASE_USERNAME, Environment

# A long-term-support minor, which AWS patches. It stays on it because no instance is upgraded by itself, which the user
# guide asks for ("Aurora long-term support (LTS) releases").
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraPostgreSQLReleaseNotes/aurorapostgresql-supported-releases-eol.html
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.VersionPolicy.Support.html
ENGINE = rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.VER_17_7)
# UTC. Patches come on a Sunday, or in Asia in the night after it; the two may not overlap. Chosen by RDS, the first
# would be some night of the week, another in each environment.
MAINTENANCE_WINDOW = "sun:17:00-sun:17:30"
BACKUP_WINDOW = "18:00-18:30"
# How long nobody must have been connected before a database that may pause does so: the least that Aurora takes. With
# a connection it goes on within half a minute. Aurora PostgreSQL 13.15, 14.12, 15.7, 16.3 and what is newer can.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
PAUSE_AFTER = Duration.minutes(5)


class DatabaseStack(Stack):
    """Aurora PostgreSQL Serverless v2 with a writer, and a reader in a second zone where the settings ask for one.

    Encrypted with a key of its own, TLS only, backed up continuously, and copied to a second region where the settings
    say so (`stacks/copies.py`). Removing it leaves a last snapshot and the key
    behind; with `deletion_protection` neither the stack nor the cluster can be removed at all.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        vpc: ec2.IVpc,
        security_group: ec2.ISecurityGroup,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, termination_protection=environment.deletion_protection, **kwargs)
        # A fixed name: a change that would replace the cluster fails, instead of starting with an empty one.
        identifier = f"litellm-{environment.name}"
        key = kms.Key(
            self,
            "Key",
            description="Aurora storage, snapshots and Performance Insights of the LLM gateway",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,  # without it no snapshot can ever be restored
        )
        # Made here and not by RDS, which would keep it forever.
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/rds/cluster/{identifier}/postgresql",
            retention=logs.RetentionDays[environment.log_retention],
            removal_policy=RemovalPolicy.DESTROY,
        )
        zones = environment.network.zones
        instance = partial(
            rds.ClusterInstance.serverless_v2,
            auto_minor_version_upgrade=False,
            preferred_maintenance_window=MAINTENANCE_WINDOW,
            # Seven days of it are free.
            enable_performance_insights=True,
            performance_insight_retention=rds.PerformanceInsightRetention.DEFAULT,
            performance_insight_encryption_key=key,
        )
        self.cluster = rds.DatabaseCluster(
            self,
            "Cluster",
            engine=ENGINE,
            cluster_identifier=identifier,
            default_database_name=DATABASE_NAME,
            credentials=rds.Credentials.from_password(
                DATABASE_USERNAME, SecretValue.ssm_secure(environment.parameter("DATABASE_PASSWORD"))
            ),
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[security_group],
            writer=instance("Writer", availability_zone=zones[0]),
            readers=[instance("Reader", availability_zone=zones[1], scale_with_writer=True)]
            if environment.database.reader
            else [],
            # Where the environment sleeps nobody is connected then, and an instance without connections pauses.
            serverless_v2_min_capacity=0 if environment.sleep else environment.database.min_capacity,
            serverless_v2_auto_pause_duration=PAUSE_AFTER if environment.sleep else None,
            serverless_v2_max_capacity=environment.database.max_capacity,
            storage_encryption_key=key,
            parameter_group=rds.ParameterGroup(self, "Parameters", engine=ENGINE, parameters={"rds.force_ssl": "1"}),
            backup=rds.BackupProps(
                retention=Duration.days(environment.database.backup_days), preferred_window=BACKUP_WINDOW
            ),
            preferred_maintenance_window=MAINTENANCE_WINDOW,
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=["postgresql"],
            deletion_protection=environment.deletion_protection,
            removal_policy=RemovalPolicy.SNAPSHOT,
        )
        self.cluster.node.add_dependency(self.log_group)
        if copies := environment.database.copies:
            take_copies(self, environment=environment, copies=copies, cluster=self.cluster, key=key)
        self._acknowledge(environment)

    def _acknowledge(self, environment: Environment) -> None:
        findings = {
            "AwsSolutions-RDS6": "LiteLLM signs in with a password from SSM: its connections outlive an IAM token",
            "AwsSolutions-RDS11": "The port is closed to all but LiteLLM's tasks; another number would hide nothing",
        }
        if not environment.deletion_protection:
            findings["AwsSolutions-RDS10"] = "An environment to try changes on can be removed; it leaves a snapshot"
        Validations.of(self.cluster).acknowledge(
            *(Acknowledgment(id=rule, reason=reason) for rule, reason in findings.items())
        )
