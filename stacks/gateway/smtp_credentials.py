"""The SMTP credentials with which LiteLLM sends its notices, made by the deployment and rotated by a setting."""

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ses as ses
from constructs import Construct

from stacks.constructs.provider import provide, provider_log
from stacks.constructs.python_function import source
from stacks.email import let_send
from stacks.settings import Environment

USERNAME = "SMTP_USERNAME"
PASSWORD = "SMTP_PASSWORD"  # noqa: S105 - the parameter's name


class SmtpCredentials(Construct):
    """An IAM user that may send mail as `environment.mail_sender` and nothing else, and its key as SMTP credentials.

    A custom resource makes the user's access key, derives from it what SES takes over SMTP, and stores both as the
    SecureStrings `SMTP_USERNAME` and `SMTP_PASSWORD`. Another `environment.email.smtp_key` makes a new key. `label` is
    that setting: a task that carries it as a plain variable is replaced with each rotation. What reads the parameters
    depends on this construct, in the same stack: CloudFormation removes the old key only at the end of the stack's
    update, when the new tasks run, and a rollback before that puts the old key back.

    The user is for this key only: any other key of it is taken for a leftover, and removed. Removing the construct
    removes the key, the user and both parameters.

    The parameters are encrypted with the account's key aws/ssm, whose own policy lets who may write or read a parameter
    encrypt and decrypt it: no permission for KMS is needed.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        configuration_set: ses.IConfigurationSet,
    ) -> None:
        super().__init__(scope, construct_id)
        self.label = environment.email.smtp_key
        self.user = iam.User(self, "User")
        let_send(
            self.user,
            "ses:SendRawEmail",
            environment=environment,
            configuration_set=configuration_set,
        )
        log = provider_log(self)
        function = lambda_.Function(
            self,
            "Make",
            description="Makes the SMTP credentials of the LLM gateway",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=source("smtp_credentials"),
            handler="smtp_credentials.handler.on_event",
            memory_size=256,
            timeout=Duration.minutes(5),  # so that botocore gives up first, and what was begun is taken back
            log_group=log,
        )
        self._permit(function, environment)
        provider = provide(self, log_group=log, on_event=function)
        credentials = CustomResource(
            self,
            "Default",
            resource_type="Custom::SmtpCredentials",
            service_token=provider.service_token,
            properties={
                "User": self.user.user_name,
                "Region": environment.region,
                "UsernameParameter": environment.parameter(USERNAME),
                "PasswordParameter": environment.parameter(PASSWORD),
                "Label": self.label,
            },
        )
        # It is deleted before what its function may do.
        credentials.node.add_dependency(function)

    def _permit(self, function: lambda_.Function, environment: Environment) -> None:
        parameters = [
            Stack.of(self).format_arn(
                service="ssm", resource="parameter", resource_name=environment.parameter(name).removeprefix("/")
            )
            for name in (USERNAME, PASSWORD)
        ]
        for actions, resources in (
            (["iam:CreateAccessKey", "iam:DeleteAccessKey", "iam:ListAccessKeys"], [self.user.user_arn]),
            # The history, since a rollback needs the old password, which IAM does not give a second time.
            (["ssm:PutParameter", "ssm:GetParameterHistory", "ssm:DeleteParameters"], parameters),
        ):
            function.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=resources))
