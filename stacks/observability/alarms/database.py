"""Alarms of the database, and of the network that all of it stands on."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds

from stacks.observability.alarms.making import FIFTEEN_MINUTES, FIVE_MINUTES, TWICE_OF_THREE, Alarms, together
from stacks.settings import Copies, Database
from stacks.settings.gateway import COPY_BEGINS_WITHIN, COPY_ENDS_WITHIN

CAPACITY_PERCENT = 90
CONNECTIONS_PERCENT = 80
VOLUME_BYTES = 200 * 1024**3
# Half of the 2.1 billion at which PostgreSQL stops writing.
# https://www.postgresql.org/docs/17/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND
TRANSACTION_IDS = 1_000_000_000
DEADLOCKS_PER_SECOND = 0.1
REPLICA_LAG_MS = 1000


def database(alarms: Alarms, cluster: rds.DatabaseCluster, settings: Database) -> None:
    """Aurora: near a limit of the settings, or of PostgreSQL."""

    def metric(name: str, statistic: str, period: Duration = FIVE_MINUTES) -> cloudwatch.Metric:
        return cluster.metric(name, statistic=statistic, period=period)

    alarms.make(
        "DatabaseCapacity",
        metric("ACUUtilization", "Maximum"),
        CAPACITY_PERCENT,
        means="The database has nearly grown to database.max_capacity: it becomes slow next.",
        why="90 % for a quarter of an hour: it grows within seconds, so that a peak is over by then.",
        do="Look for a slow query in Performance Insights; raise database.max_capacity.",
        of=FIFTEEN_MINUTES,
    )
    alarms.make(
        "DatabaseConnections",
        metric("DatabaseConnections", "Maximum"),
        settings.max_connections * CONNECTIONS_PERCENT // 100,
        means="Connections to the database run out: the next task, and people's own tools, would be refused.",
        why="80 % of what it takes at database.max_capacity, twice of three times: the synthesis makes sure that "
        "the service, twice over while it is deployed, stays below the whole.",
        do="See who holds them in pg_stat_activity; lower gateway.max_tasks, or raise database.max_capacity and "
        "restart the instances (docs/upgrading.md).",
        of=TWICE_OF_THREE,
    )
    alarms.make(
        "DatabaseVolume",
        metric("VolumeBytesUsed", "Maximum", Duration.hours(1)),
        VOLUME_BYTES,
        means="The database has become large: every call leaves a row in LiteLLM_SpendLogs.",
        why="200 GiB, some hundred million calls. Aurora grows on for years; it is the costs that this tells of, "
        "0.12 US dollars a GB and month, and that a restore takes longer.",
        do="Delete old rows of LiteLLM_SpendLogs: the daily figures are in tables of their own.",
    )
    alarms.make(
        "TransactionIds",
        metric("MaximumUsedTransactionIDs", "Maximum", Duration.hours(1)),
        TRANSACTION_IDS,
        means="PostgreSQL comes near the end of its transaction ids, at which it would stop writing.",
        why="1 billion, half of what there are: autovacuum begins at 200 million, so that it has not kept up, and "
        "there are weeks left.",
        do="Look for a transaction that stays open (pg_stat_activity, pg_prepared_xacts), then VACUUM FREEZE.",
    )
    alarms.make(
        "Deadlocks",
        metric("Deadlocks", "Average"),
        DEADLOCKS_PER_SECOND,
        means="Tasks lock each other out in the database while they add up spend: figures come late.",
        why="30 in five minutes, for a quarter of an hour: LiteLLM tries again after a deadlock, and a few are "
        "normal with several tasks.",
        do="Read the statements in the database's log; a newer LiteLLM may have mended it.",
        of=FIFTEEN_MINUTES,
    )
    if settings.reader:
        alarms.make(
            "ReplicaLag",
            metric("AuroraReplicaLag", "Average"),
            REPLICA_LAG_MS,
            means="The reader falls behind the writer: a failover to it would take longer.",
            why="1 s for a quarter of an hour: it is usually below 0.1 s, and the storage is one, so that nothing "
            "would be lost.",
            do="Look at the writer's load; Aurora starts a reader anew that stays a minute behind.",
            of=FIFTEEN_MINUTES,
        )


def copies(alarms: Alarms, copies: Copies, vault: str) -> None:
    """The snapshots that copies in the second region are made of, in the vault of this name.

    A copy that failed is told by AWS Backup's event: of its figures AWS does not say which vault's a copy's are.
    https://docs.aws.amazon.com/aws-backup/latest/devguide/cloudwatch.html
    """
    hours = copies.every_hours + COPY_BEGINS_WITHIN + COPY_ENDS_WITHIN
    alarms.make(
        "NoSnapshotToCopy",
        cloudwatch.Metric(
            namespace="AWS/Backup",
            metric_name="NumberOfBackupJobsCompleted",
            dimensions_map={"BackupVaultName": vault},
            statistic="Sum",
            period=Duration.hours(1),
        ),
        1,
        means="AWS Backup has taken no snapshot of the database for longer than database.copies says: with the region "
        "all would be lost that came after the last copy.",
        why=f"None within every_hours and the {COPY_BEGINS_WITHIN + COPY_ENDS_WITHIN} hours in which it begins and "
        "ends. No figure counts as none, so that it also tells from the first deployment until the first snapshot.",
        do="See whether AWS Backup's opt-in for Aurora is on, and look at its jobs (docs/operations/region-gone.md).",
        of=(hours, hours),
        below=True,
        missing=cloudwatch.TreatMissingData.BREACHING,
    )


def network(alarms: Alarms, vpc: ec2.IVpc) -> None:
    """The NAT gateways of a VPC of our own, or the machine in their place: an existing one's are whose it is."""
    for machine in (each for each in vpc.node.find_all() if isinstance(each, ec2.CfnInstance)):
        alarms.make(
            "NatInstance",
            cloudwatch.Metric(
                namespace="AWS/EC2",
                metric_name="StatusCheckFailed",
                dimensions_map={"InstanceId": machine.ref},
                statistic="Maximum",
                period=FIVE_MINUTES,
            ),
            1,
            means="The machine that leads tasks and functions out does not work: calls of providers fail.",
            why="Failed for ten minutes: AWS has moved it to other hardware by then, where that helps.",
            do="Reboot it in EC2; if that does not help, leave network.nat_instance out and deploy.",
            of=(2, 2),
        )
    gateways = [each for each in vpc.node.find_all() if isinstance(each, ec2.CfnNatGateway)]
    if gateways:
        alarms.make(
            "NatPorts",
            together(
                cloudwatch.Metric(
                    namespace="AWS/NATGateway",
                    metric_name="ErrorPortAllocation",
                    dimensions_map={"NatGatewayId": each.attr_nat_gateway_id},
                    statistic="Sum",
                    period=FIVE_MINUTES,
                )
                for each in gateways
            ),
            1,
            means="A NAT gateway has no ports left: calls of providers fail.",
            why="One is too many: it has 55,000 for each provider's address, far more than the tasks should open.",
            do="Look for connections that stay open; raise network.nat_gateways.",
        )
