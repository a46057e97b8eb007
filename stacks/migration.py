"""The migration: LiteLLM's schema changes, run as a task before the service changes."""

from pathlib import Path
from typing import cast

from aws_cdk import Acknowledgment, CfnElement, CustomResource, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources as cr
from constructs import Construct, IConstruct

HANDLER = Path(__file__).parent.parent / "lambda" / "migration"


class Migration(Construct):
    """Runs `task_definition` whenever it changes, and fails the deployment if the task fails.

    What is to change only after a migration depends on this construct. Takes at most an hour.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: ecs.ICluster,
        task_definition: ecs.FargateTaskDefinition,
        security_group: ec2.ISecurityGroup,
        log_group: logs.ILogGroup,
        log_stream_prefix: str,
    ) -> None:
        super().__init__(scope, construct_id)
        log = logs.LogGroup(self, "Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY)
        start = self._function("Start", "on_event", log)
        self._permit_start(start, cluster, task_definition)
        watch = self._function("Watch", "is_complete", log)
        watch.add_to_role_policy(
            iam.PolicyStatement(
                actions=["ecs:DescribeTasks"],
                resources=[
                    Stack.of(self).format_arn(service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*")
                ],
            )
        )
        provider = cr.Provider(
            self,
            "Provider",
            on_event_handler=start,
            is_complete_handler=watch,
            query_interval=Duration.seconds(5),
            total_timeout=Duration.hours(1),
            log_group=log,
            disable_waiter_state_machine_logging=True,
        )
        self._acknowledge(provider, start, watch, cluster)
        run = CustomResource(
            self,
            "Default",
            resource_type="Custom::DatabaseMigration",
            service_token=provider.service_token,
            properties={
                "Cluster": cluster.cluster_arn,
                # A new image or a changed variable is a new revision, and so a new run.
                "TaskDefinition": task_definition.task_definition_arn,
                "Subnets": cluster.vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS).subnet_ids,
                "SecurityGroups": [security_group.security_group_id],
                "LogGroup": log_group.log_group_name,
                "LogStreamPrefix": log_stream_prefix,
            },
        )
        # It runs at once, and once: the cluster's capacity providers and the task's policies must be there.
        run.node.add_dependency(cluster, task_definition)

    def _function(self, construct_id: str, handler: str, log_group: logs.ILogGroup) -> lambda_.Function:
        return lambda_.Function(
            self,
            construct_id,
            description="Runs LiteLLM's database migrations before the service changes",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(HANDLER), exclude=["__pycache__"]),
            handler=f"handler.{handler}",
            timeout=Duration.minutes(1),
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

    def _acknowledge(
        self, provider: cr.Provider, start: lambda_.Function, watch: lambda_.Function, cluster: ecs.ICluster
    ) -> None:
        stack = Stack.of(provider)

        def logical_id(construct: IConstruct) -> str:
            return stack.get_logical_id(cast(CfnElement, construct.node.default_child))

        wildcards = {
            f"arn:{stack.partition}:ecs:{stack.region}:{stack.account}:task/<{logical_id(cluster)}>/*": (
                "A task's ARN is known only once it runs; the cluster is this gateway's own"
            )
        } | {
            f"<{logical_id(function)}.Arn>:*": "The CDK's provider framework lets its own functions call any version"
            for function in (start, watch, *provider.node.find_all())
            if isinstance(function, lambda_.Function)
        }
        policy = "arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
        findings = {
            f"AwsSolutions-IAM4[Policy::{policy}]": "AWS's policy for writing a function's log, attached by the CDK",
            "AwsSolutions-SF1": "A state machine of the CDK's that only waits: what it calls is logged",
            "AwsSolutions-SF2": "A state machine of the CDK's that only waits: there is nothing to trace",
        } | {f"AwsSolutions-IAM5[Resource::{arn}]": reason for arn, reason in wildcards.items()}
        Validations.of(self).acknowledge(*(Acknowledgment(id=rule, reason=reason) for rule, reason in findings.items()))
