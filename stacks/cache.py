"""The cache: what LiteLLM's tasks share with each other, and nothing that is kept."""

from typing import Any

from aws_cdk import Acknowledgment, CfnDeletionPolicy, SecretValue, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from constructs import Construct

from stacks.litellm_config import CACHE_PASSWORD
from stacks.network import CACHE_PORT
from stacks.settings import Cache, Environment

ENGINE, ENGINE_VERSION = "valkey", "8.1"
# As the database's (stacks/database.py); ElastiCache takes no shorter one than an hour.
MAINTENANCE_WINDOW = "sun:17:00-sun:18:00"


class CacheStack(Stack):
    """ElastiCache for Valkey: a node, and a replica in a second zone where the settings ask for one.

    TLS only, with a password from Parameter Store, encrypted at rest, in the isolated subnets, and open to the tasks
    alone. Not in cluster mode: LiteLLM's scripts then find all keys in one place. Nothing is backed up, and removing it
    leaves nothing behind: its counts begin anew, and of what was spent the database is the book.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        settings: Cache,
        vpc: ec2.IVpc,
        security_group: ec2.ISecurityGroup,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        subnets = elasticache.CfnSubnetGroup(
            self,
            "Subnets",
            description="Isolated subnets, for what LiteLLM's tasks share",
            subnet_ids=vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED).subnet_ids,
        )
        password = SecretValue.ssm_secure(environment.parameter(CACHE_PASSWORD))
        self.nodes = 2 if settings.replica else 1
        self.group = elasticache.CfnReplicationGroup(
            self,
            "Group",
            replication_group_id=environment.cache_name,
            replication_group_description="What LiteLLM's tasks share: limits, spend, regions that are left out",
            engine=ENGINE,
            engine_version=ENGINE_VERSION,
            cache_node_type=settings.node,
            num_cache_clusters=self.nodes,
            automatic_failover_enabled=settings.replica,
            multi_az_enabled=settings.replica,
            port=CACHE_PORT,
            cache_subnet_group_name=subnets.ref,
            security_group_ids=[security_group.security_group_id],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            auth_token=password.unsafe_unwrap(),  # a reference, which CloudFormation resolves
            auto_minor_version_upgrade=True,
            preferred_maintenance_window=MAINTENANCE_WINDOW,
            snapshot_retention_limit=0,  # counts of yesterday would be wrong ones
        )
        # Without a snapshot, which CloudFormation would otherwise take where a policy asks for one.
        self.group.cfn_options.deletion_policy = CfnDeletionPolicy.DELETE
        self.group.cfn_options.update_replace_policy = CfnDeletionPolicy.DELETE
        self.host = self.group.attr_primary_end_point_address
        self._acknowledge(settings)

    def node_names(self) -> list[str]:
        """The nodes' own identifiers, which their metrics go by: ElastiCache counts them from 001."""
        return [f"{self.group.replication_group_id}-{number:03}" for number in range(1, self.nodes + 1)]

    def _acknowledge(self, settings: Cache) -> None:
        findings = {"AwsSolutions-AEC5": "The port is closed to all but LiteLLM's tasks; another would hide nothing"}
        if not settings.replica:
            findings["AwsSolutions-AEC4"] = "Without the node each task counts for itself: no request waits for it"
        Validations.of(self.group).acknowledge(
            *(Acknowledgment(id=rule, reason=reason) for rule, reason in findings.items())
        )
