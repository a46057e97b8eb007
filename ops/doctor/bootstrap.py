"""What is made in an account once, before the first deployment: by `cdk bootstrap`, and the roles of some services.

Integrates with IAM and Systems Manager, and with the installed CDK, which tells the version that it needs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

from botocore import exceptions as aws

from ops.access import QUALIFIER, OpsError, Role
from ops.doctor.account import Account, error_code
from ops.doctor.finding import Finding, problem, well
from stacks.company import promotion
from stacks.settings import Environment, Releases

_CDK: Final = Lock()  # its library has one process, and takes the next answer for that to its own question
NODE: Final = Path(sys.executable).with_name("node")  # what the CDK runs in


def _pipeline_account(environment: Environment, releases: Releases | None) -> str | None:
    """The account that CodePipeline releases to the environment from, if that is another one."""
    if not releases or not releases.connection_arn or environment.name not in releases.environments:
        return None
    return releases.account if releases.account != environment.account else None


def bootstrap_command(environment: Environment, releases: Releases | None) -> str:
    """What bootstraps the environment's account for who releases to it."""
    command = f"cdk bootstrap aws://{environment.account}/{environment.region}"
    if not (trusted := _pipeline_account(environment, releases)):
        return command
    return (
        f"{command} --trust {trusted} --cloudformation-execution-policies arn:aws:iam::aws:policy/AdministratorAccess"
    )


def required_bootstrap() -> int:
    """The bootstrap version that stacks of the installed CDK need, as it writes it down for any of them.

    It may be asked from several threads, as of two regions.

    Raises
    ------
    OpsError
        There is no Node, which the CDK runs in.
    """
    if not NODE.exists():
        raise OpsError("the CDK cannot be asked which version it needs: it is not installed; run make setup.")
    with _CDK:
        return _required_bootstrap()


@cache
def _required_bootstrap() -> int:
    os.environ.setdefault("JSII_NODE", str(NODE))
    import aws_cdk as cdk  # takes a second or two, and only this check needs it

    with tempfile.TemporaryDirectory() as folder:
        app = cdk.App(outdir=folder, analytics_reporting=False)
        stack = cdk.Stack(app, "Any", env=cdk.Environment(account="0" * 12, region="us-east-1"))
        cdk.CfnWaitConditionHandle(stack, "Nothing")  # a template without resources is not valid
        app.synth()
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
    artifact = manifest["artifacts"]["Any"]["properties"]
    return max(int(part["requiresBootstrapStackVersion"]) for part in (artifact, artifact["lookupRole"]))


def bootstrap(account: Account) -> Iterator[Finding]:
    """The account is bootstrapped, with what the CDK needs."""
    remedy = f"run `{bootstrap_command(account.environment, promotion())}` with an administrator's credentials."
    name = f"/cdk-bootstrap/{QUALIFIER}/version"
    try:
        version = int(account.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
    except aws.ClientError as error:
        if error_code(error) != "ParameterNotFound":
            raise
        yield problem("bootstrap", f"there is no parameter {name}", remedy)
        return
    needed = required_bootstrap()
    if version < needed:
        yield problem("bootstrap", f"version {version}, and the CDK needs {needed}", remedy)
    else:
        yield well("bootstrap", f"version {version}; the CDK needs {needed}")


def trust(account: Account) -> Iterator[Finding]:
    """The bootstrap's roles may be assumed by the account that CodePipeline releases from."""
    environment = account.environment
    if not (trusted := _pipeline_account(environment, promotion())):
        return
    roles: tuple[Role, ...] = ("lookup", "file-publishing", "deploy")
    if distrustful := [role for role in roles if not _trusts(account, role, trusted)]:
        yield problem(
            "bootstrap's trust",
            f"the roles {', '.join(distrustful)} do not trust account {trusted}, which releases",
            f"run `{bootstrap_command(environment, promotion())}` with an administrator's credentials.",
        )
    else:
        yield well("bootstrap's trust", f"its roles trust account {trusted}, which releases")


def _trusts(account: Account, role: Role, trusted: str) -> bool:
    """Whether the role is there and its policy names the account, or all of it (`…:root`), as a principal."""
    name = account.access.role_arn(role).rpartition("/")[2]
    try:
        document = account.client("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    except aws.ClientError as error:
        if error_code(error).startswith("NoSuchEntity"):
            return False
        raise
    principals: list[str] = []
    for statement in document["Statement"]:
        named = statement.get("Principal", {}).get("AWS", []) if statement["Effect"] == "Allow" else []
        principals += [named] if isinstance(named, str) else named
    return any(principal == trusted or principal.split(":")[4:5] == [trusted] for principal in principals)


@dataclass(frozen=True)
class LinkedRole:
    """The role of a service of AWS that it makes in an account on first use, and then cannot use yet."""

    what: str
    name: str
    service: str
    first: str
    """What fails without it, the first time."""
    stack: str
    """Of an environment: once it is deployed, the role is there."""
    needed: Callable[[Environment, Releases | None], bool] = lambda environment, releases: True

    def __call__(self, account: Account) -> Iterator[Finding]:
        """The account has it."""
        if not self.needed(account.environment, promotion()) or (self.stack and account.has_stack(self.stack)):
            return
        try:
            account.client("iam").get_role(RoleName=self.name)
        except aws.ClientError as error:
            if not error_code(error).startswith("NoSuchEntity"):
                raise
            remedy = f"run `aws iam create-service-linked-role --aws-service-name {self.service}` before the first one."
            yield problem(self.what, f"there is no {self.name}, and the first {self.first} would fail without", remedy)
        else:
            yield well(self.what, self.name)


def _notifies(environment: Environment, releases: Releases | None) -> bool:
    """Whether the pipeline, which tells people how it goes, is in the environment's own account."""
    return bool(releases and releases.connection_arn and releases.account == environment.account)


# Whose role AWS makes together with what needs it, which then fails as often as not: IAM takes a while to know it.
# ECS: https://github.com/aws/containers-roadmap/issues/2614
# RDS: https://github.com/terraform-aws-modules/terraform-aws-rds/issues/364 (the subnet group),
#   https://github.com/aws-samples/eks-workshop-v2/issues/1609 (the database)
# CodeStar Notifications ("might take up to 15 minutes"): https://github.com/aws/aws-cdk/issues/34406
# Those of load balancers, Application Auto Scaling, AWS WAF's logs and API Gateway are made on the way too, and
# nobody has been heard of who had to make one: nothing of theirs is used in the same call.
LINKED_ROLES: Final = (
    LinkedRole("role of ECS", "AWSServiceRoleForECS", "ecs.amazonaws.com", "cluster", "gateway"),
    LinkedRole("role of RDS", "AWSServiceRoleForRDS", "rds.amazonaws.com", "database", "database"),
    LinkedRole(
        "role of CodeStar",
        "AWSServiceRoleForCodeStarNotifications",
        "codestar-notifications.amazonaws.com",
        "notification rule, of the pipeline,",
        "",
        _notifies,
    ),
)
