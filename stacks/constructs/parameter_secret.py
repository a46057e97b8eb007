"""A secret of a container that ECS reads from Parameter Store, and that nobody may read more of than ECS does."""

import jsii
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm


class ParameterSecret(ecs.Secret):
    """A SecureString for a container's variable.

    The execution role may get its value, and nothing else: the CDK's own kind (`ecs.Secret.from_ssm_parameter`) also
    hands over the history, in which replaced secrets are.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html (required permissions)

    Parameters
    ----------
    parameter
        Where the value is.
    """

    def __init__(self, parameter: ssm.IParameter) -> None:
        super().__init__()
        self._parameter_arn = parameter.parameter_arn

    @property
    @jsii.member(jsii_name="arn")
    def arn(self) -> str:
        """Of the parameter."""
        return self._parameter_arn

    @property
    @jsii.member(jsii_name="hasField")
    def has_field(self) -> bool:
        """A parameter is one value."""
        return False

    @jsii.member(jsii_name="grantRead")
    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it get the value."""
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["ssm:GetParameters"], resource_arns=[self._parameter_arn]
        )
