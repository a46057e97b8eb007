"""What is made in an account once, before the first deployment: what `cdk bootstrap` makes, and the role of ECS.

Integrates with IAM and Systems Manager, and with the installed CDK, which tells the version that it needs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from botocore import exceptions as aws

from ops.access import QUALIFIER, OpsError, Role
from ops.doctor.account import Account, error_code
from ops.doctor.finding import Finding, problem, well
from stacks.company import promotion
from stacks.settings import Environment, Releases

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

    Raises
    ------
    OpsError
        There is no Node, which the CDK runs in.
    """
    if not NODE.exists():
        raise OpsError("the CDK cannot be asked which version it needs: it is not installed; run make setup.")
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


def container_role(account: Account) -> Iterator[Finding]:
    """ECS has its role. It makes it together with an account's first cluster, whose creation then mostly fails.

    https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/818
    """
    what, name = "role of ECS", "AWSServiceRoleForECS"
    if account.has_stack("gateway"):
        return  # so it has one
    try:
        account.client("iam").get_role(RoleName=name)
    except aws.ClientError as error:
        if not error_code(error).startswith("NoSuchEntity"):
            raise
        remedy = "run `aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com` before the first one."
        yield problem(what, f"there is no {name}, and the first cluster would fail without", remedy)
    else:
        yield well(what, name)
