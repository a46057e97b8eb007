"""The migration: LiteLLM's schema changes, run as a task before the service changes."""

from typing import cast

from aws_cdk import CfnElement, CustomResource, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.constructs.provider import provide, provider_log
from stacks.constructs.python_function import source

# How long a migration may take. CloudFormation gives a custom resource an hour, from the request to the answer; the
# rest of it is for the functions' own time and for a look that comes late.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
LIMIT = Duration.minutes(45)
# The provider framework counts its looks, at least this far apart, and would end the wait when an hour's are used up:
# the function's own clock is always first.
LOOK_EVERY = Duration.seconds(5)
LOOKS_FOR = Duration.hours(1)


class Migration(Construct):
    """Runs `task_definition` whenever it changes, and fails the deployment if the task fails.

    It never goes back: with a lower `version` of LiteLLM than the one before nothing runs, and the older release meets
    the newer tables. What is to change only after a migration depends on this construct. A task that takes longer than
    `LIMIT` is stopped, which fails the deployment.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: ecs.ICluster,
        task_definition: ecs.FargateTaskDefinition,
        version: str,
        security_group: ec2.ISecurityGroup,
        log_group: logs.ILogGroup,
        log_stream_prefix: str,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        log = provider_log(self)
        start = self._function("Start", "on_event", log)
        self._permit_start(start, cluster, task_definition)
        watch = self._function("Watch", "is_complete", log, LIMIT_SECONDS=str(LIMIT.to_seconds()))
        tasks = stack.format_arn(service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*")
        self._permit_tasks(start, watch, tasks)
        clusters_tasks = (
            f"arn:{stack.partition}:ecs:{stack.region}:{stack.account}:task/"
            f"<{stack.get_logical_id(cast(CfnElement, cluster.node.default_child))}>/*"
        )
        provider = provide(
            self,
            log_group=log,
            on_event=start,
            is_complete=watch,
            query_interval=LOOK_EVERY,
            total_timeout=LOOKS_FOR,
            findings={
                f"AwsSolutions-IAM5[Resource::{clusters_tasks}]": (
                    "A task's ARN is known only once it runs; the cluster is this gateway's own"
                )
            },
        )
        run = CustomResource(
            self,
            "Default",
            resource_type="Custom::DatabaseMigration",
            service_token=provider.service_token,
            properties={
                "Cluster": cluster.cluster_arn,
                # A new image or a changed variable is a new revision, and so a new run.
                "TaskDefinition": task_definition.task_definition_arn,
                "Version": version,
                "Subnets": cluster.vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS).subnet_ids,
                "SecurityGroups": [security_group.security_group_id],
                "LogGroup": log_group.log_group_name,
                "LogStreamPrefix": log_stream_prefix,
            },
        )
        # It runs at once, and once: the cluster's capacity providers and the task's policies must be there.
        run.node.add_dependency(cluster, task_definition)

    def _function(
        self, construct_id: str, handler: str, log_group: logs.ILogGroup, **variables: str
    ) -> lambda_.Function:
        return lambda_.Function(
            self,
            construct_id,
            description="Runs LiteLLM's database migrations before the service changes",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=source("migration"),
            handler=f"migration.handler.{handler}",
            timeout=Duration.minutes(1),
            environment=variables,
            log_group=log_group,
        )

    @staticmethod
    def _permit_start(
        function: lambda_.Function, cluster: ecs.ICluster, task_definition: ecs.FargateTaskDefinition
    ) -> None:
        roles = (task_definition.task_role, task_definition.obtain_execution_role())
        for statement in (
            iam.PolicyStatement(
                actions=["ecs:RunTask"],
                resources=[task_definition.task_definition_arn],
                conditions={"ArnEquals": {"ecs:cluster": cluster.cluster_arn}},
            ),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[role.role_arn for role in roles],
                conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            ),
            iam.PolicyStatement(actions=["cloudformation:DescribeStacks"], resources=[Stack.of(cluster).stack_id]),
        ):
            function.add_to_role_policy(statement)

    @staticmethod
    def _permit_tasks(start: lambda_.Function, watch: lambda_.Function, tasks: str) -> None:
        """Look at the cluster's tasks, and stop those that carry the migration's tag, which they get when they start.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
        """
        migrations = {"StringEquals": {"aws:ResourceTag/purpose": "database-migration"}}
        as_they_start = {"StringEquals": {"ecs:CreateAction": "RunTask"}}
        for function, action, conditions in (
            (start, "ecs:TagResource", as_they_start),
            (watch, "ecs:DescribeTasks", None),
            (watch, "ecs:StopTask", migrations),
        ):
            function.add_to_role_policy(iam.PolicyStatement(actions=[action], resources=[tasks], conditions=conditions))
