"""What the operators' commands have in common: the environment, its AWS account, and one sentence for each mistake.

A command works with AWS credentials of the environment's own account and refuses others. What promotes releases,
CodePipeline or GitHub Actions, may do nothing by itself, and CodePipeline's credentials are of another account: with
`assume_roles` they become, for each kind of work, one of the roles that `cdk bootstrap` (with `--trust` of another
account) has made in the environment's account, as the CDK CLI does it.

Integrates with AWS STS, through boto3's own credentials and settings (AWS_PROFILE, AWS_ENDPOINT_URL, …).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import boto3
from botocore import exceptions as aws

from stacks.company import environments
from stacks.litellm_config import ConfigError
from stacks.settings import Environment, SettingsError

QUALIFIER: Final = "hnb659fds"
"""Of the roles and buckets of `cdk bootstrap`, unless it is given another: the CDK's own."""

Role = Literal["lookup", "deploy", "file-publishing"]
"""Of the bootstrap's roles: may read, may change stacks, may store templates and packages."""


class OpsError(Exception):
    """A mistake or an error, in one sentence that says what to do."""


def environment_named(name: str) -> Environment:
    """The environment of `company/environments.py`.

    Raises
    ------
    OpsError
        There is none of this name.
    """
    found = environments().get(name)
    if found is None:
        raise OpsError(f"there is no environment {name}: company/environments.py has {', '.join(environments())}.")
    return found


@dataclass(frozen=True)
class Access:
    """The way into the environment's AWS account.

    `session` has the credentials of who calls; `by_roles` says that they only assume the bootstrap's roles.
    """

    environment: Environment
    session: boto3.Session
    by_roles: bool = False

    def role_arn(self, role: Role) -> str:
        """The ARN of one of the bootstrap's roles in the environment's account and region."""
        account, region = self.environment.account, self.environment.region
        partition = self.session.get_partition_for_region(region)
        return f"arn:{partition}:iam::{account}:role/cdk-{QUALIFIER}-{role}-role-{account}-{region}"

    def acting_as(self, role: Role) -> boto3.Session:
        """A session of the environment's account and region: the caller's own, or the role's if it goes by roles.

        Raises
        ------
        OpsError
            The role does not trust the caller's account, or the caller may not assume it.
        """
        if not self.by_roles:
            return self.session
        arn = self.role_arn(role)
        try:
            answer = self.session.client("sts").assume_role(RoleArn=arn, RoleSessionName="litellm-gateway-release")
        except aws.ClientError as error:
            own = self.session.client("sts").get_caller_identity()["Account"]
            trust = "" if own == self.environment.account else f" --trust {own}"
            raise OpsError(
                f"account {own} may not assume {arn} ({error.response['Error']['Code']}): bootstrap the account of "
                f"{self.environment.name} with `cdk bootstrap{trust}`, and permit sts:AssumeRole to the caller."
            ) from error
        given = answer["Credentials"]
        return boto3.Session(
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            region_name=self.environment.region,
        )


def connect(environment: Environment, session: boto3.Session | None = None, *, assume_roles: bool = False) -> Access:
    """The way into the environment's account, once the credentials are known to be of it.

    Raises
    ------
    OpsError
        They are of another account, and roles were not asked for.
    """
    session = session or boto3.Session(region_name=environment.region)
    account = session.client("sts").get_caller_identity()["Account"]
    if account != environment.account and not assume_roles:
        raise OpsError(
            f"these AWS credentials are of account {account}, but {environment.name} is in {environment.account}: "
            "set AWS_PROFILE to a profile of that account, or correct company/environments.py."
        )
    return Access(environment, session, by_roles=assume_roles)


ADVICE: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired"),
        "the AWS credentials have expired: sign in again (aws sso login, or whatever your company uses)",
    ),
    **dict.fromkeys(
        ("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException"),
        "AWS does not know these credentials: check AWS_PROFILE and the access key",
    ),
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"),
        "these AWS credentials may not do it: sign in with a role that may",
    ),
    **dict.fromkeys(
        ("ThrottlingException", "Throttling", "RequestLimitExceeded"),
        "AWS takes no more requests for now: wait a minute and run it again",
    ),
}
"""What to do about an error code of AWS. Messages of AWS are not repeated: they could quote a value."""


def explain(error: Exception, advice: Mapping[str, str] = ADVICE) -> str:
    """One sentence for an error of botocore's."""
    if isinstance(error, aws.ClientError):
        code = error.response.get("Error", {}).get("Code", "unknown")
        what = advice.get(code, "see AWS's documentation of that error")
        return f"AWS refused {error.operation_name} ({code}): {what}."
    if isinstance(error, aws.NoCredentialsError | aws.PartialCredentialsError):
        return "there are no AWS credentials: set AWS_PROFILE, or sign in (aws sso login)."
    if isinstance(error, aws.ProfileNotFound):
        return "AWS_PROFILE names a profile that ~/.aws/config does not have: correct it."
    if isinstance(error, aws.SSOError | aws.TokenRetrievalError | aws.CredentialRetrievalError):
        return "the AWS sign-in is not valid any more: sign in again (aws sso login)."
    if isinstance(error, aws.ConnectionError | aws.HTTPClientError):  # no connection, timed out, TLS or proxy failure
        return (
            f"AWS could not be reached ({type(error).__name__}): check the network, HTTPS_PROXY and AWS_ENDPOINT_URL."
        )
    return f"AWS's client cannot go on ({type(error).__name__}): check AWS_PROFILE, ~/.aws/config and the network."


ENOUGH: Final = 128 + signal.SIGPIPE
"""The exit code of a command whose reader went away, as of those that the signal ends."""


def run(
    command: str, work: Callable[[], int], *, advice: Mapping[str, str] = ADVICE, done: Callable[[], str] = lambda: ""
) -> int:
    """Do a command's work and return its exit code: 2 for a mistake or an error, 130 if it was interrupted.

    Either is said in one sentence on standard error, after the command's name, and then what `done` says of what had
    been done before. `advice` is what to do about an error code of AWS.
    """
    try:
        code = work()
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who reads has enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes when it ends
        return ENOUGH
    except KeyboardInterrupt:
        code, sentence = 130, "interrupted."
    except (OpsError, SettingsError, ConfigError) as error:
        code, sentence = 2, str(error)
    except (aws.BotoCoreError, aws.ClientError) as error:
        code, sentence = 2, explain(error, advice)
    print(f"{command}: {sentence}{done()}", file=sys.stderr)
    return code
