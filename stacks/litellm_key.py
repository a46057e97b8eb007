"""The key with which the onboarding functions ask LiteLLM, made in LiteLLM by the deployment."""

from typing import cast

from aws_cdk import Acknowledgment, CfnElement, CustomResource, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources as cr
from constructs import Construct

from stacks.python_function import LAMBDA
from stacks.settings import Environment

NAME = "ONBOARDING_KEY"  # of the parameter that holds it
LABEL = "1"  # another one makes another key, and removes the one that there was
# What the functions may ask of LiteLLM, and nothing else: accounts, invitations, teams, and blocking a key.
ALLOWED_ROUTES = (
    *("/user/new", "/user/info", "/user/list", "/user/update", "/user/delete"),
    *("/invitation/new", "/invitation/info"),
    *("/team/new", "/team/info", "/team/member_add"),
    "/key/block",
)


class LiteLlmKey(Construct):
    """A LiteLLM key for `ALLOWED_ROUTES`, of a user of its own, as the SecureString `NAME` in Parameter Store.

    LiteLLM lets only its administrators manage users: the user `onboarding-service` is one, and the routes of its key
    keep it from everything else. The function that makes it is the only one beside LiteLLM's tasks that reads the
    master key; it uses it on the private path. Changed routes, or another `LABEL`, make a new key and remove the old
    one. It waits ten minutes for LiteLLM. Removed with the stack; AWS takes up to an hour to give back the network
    interfaces of a function in a VPC.

    The parameter is encrypted with the account's key aws/ssm, whose own policy lets who may read a parameter decrypt
    it: no permission for KMS is needed.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        vpc: ec2.IVpc,
        security_group: ec2.ISecurityGroup,
        litellm_url: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self._environment = environment
        log = logs.LogGroup(self, "Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY)
        name = self._function("Name", "on_event", log)
        make = self._function(
            "Make",
            "is_complete",
            log,
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
            security_groups=[security_group],
            environment={"PARAMETER_PREFIX": environment.parameter_prefix, "LITELLM_URL": litellm_url},
        )
        self._permit(make)
        provider = cr.Provider(
            self,
            "Provider",
            on_event_handler=name,
            is_complete_handler=make,
            query_interval=Duration.seconds(10),
            total_timeout=Duration.minutes(20),  # the function gives up before
            log_group=log,
            disable_waiter_state_machine_logging=True,
        )
        self._acknowledge(provider)
        self.resource = CustomResource(
            self,
            "Default",
            resource_type="Custom::LiteLlmKey",
            service_token=provider.service_token,
            properties={"Label": LABEL, "AllowedRoutes": list(ALLOWED_ROUTES)},
        )
        # It is removed before what its function may do.
        self.resource.node.add_dependency(make)

    def _function(
        self, construct_id: str, handler: str, log_group: logs.ILogGroup, **kwargs: object
    ) -> lambda_.Function:
        return lambda_.Function(
            self,
            construct_id,
            description="Makes the LiteLLM key of the onboarding functions",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(LAMBDA / "litellm_key"), exclude=["__pycache__"]),
            handler=f"handler.{handler}",
            memory_size=256,
            timeout=Duration.minutes(4),  # five calls to LiteLLM, at 45 s each
            log_group=log_group,
            **kwargs,  # type: ignore[arg-type]
        )

    def _permit(self, function: lambda_.Function) -> None:
        actions = {
            "LITELLM_MASTER_KEY": ["ssm:GetParameter"],
            NAME: ["ssm:PutParameter", "ssm:GetParameterHistory", "ssm:DeleteParameter"],
        }
        for name, allowed in actions.items():
            function.add_to_role_policy(
                iam.PolicyStatement(actions=allowed, resources=[parameter_arn(self, self._environment, name)])
            )

    def _acknowledge(self, provider: cr.Provider) -> None:
        stack = Stack.of(self)
        functions = [
            stack.get_logical_id(cast(CfnElement, each.node.default_child))
            for each in self.node.find_all()
            if isinstance(each, lambda_.Function)
        ]
        managed = "arn:<AWS::Partition>:iam::aws:policy/service-role"
        findings = {
            f"AwsSolutions-IAM4[Policy::{managed}/AWSLambdaBasicExecutionRole]": (
                "AWS's policy for writing a function's log, attached by the CDK"
            ),
            f"AwsSolutions-IAM4[Policy::{managed}/AWSLambdaVPCAccessExecutionRole]": (
                "AWS's policy for a function's network interfaces in a VPC, attached by the CDK"
            ),
            "AwsSolutions-SF1": "A state machine of the CDK's that only waits: what it calls is logged",
            "AwsSolutions-SF2": "A state machine of the CDK's that only waits: there is nothing to trace",
        } | {
            f"AwsSolutions-IAM5[Resource::<{function}.Arn>:*]": (
                "The CDK's provider framework lets its own functions call any version"
            )
            for function in functions
        }
        Validations.of(self).acknowledge(*(Acknowledgment(id=rule, reason=reason) for rule, reason in findings.items()))


def parameter_arn(scope: Construct, environment: Environment, name: str) -> str:
    """The ARN of one of the environment's parameters."""
    return Stack.of(scope).format_arn(
        service="ssm", resource="parameter", resource_name=environment.parameter(name).removeprefix("/")
    )
