"""Removes an environment, and says what stays of it: `make destroy ENV=dev`.

It refuses while `deletion_protection` is on, says what will be removed and what stays on purpose, and wants to have the
environment's name typed. Then the CDK CLI removes the stacks, the last deployed first. What stayed is looked up in the
account and listed with the command that removes it. Nothing of that is removed here: the environment could be had back
from it. A second run lists it again.

Integrates with the CDK CLI, AWS CloudFormation, CloudWatch Logs, KMS, RDS, Route 53, S3, STS and Systems Manager,
through boto3's own credentials and settings (AWS_PROFILE, AWS_ENDPOINT_URL, …).

Exit codes: 0 it is gone; 2 a mistake or an error, in one sentence; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore import exceptions as aws

from ops.access import QUALIFIER, OpsError, connect, environment_named, explain, run
from ops.assembly import Assembly, StackArtifact, deployed_template, stacks_of
from ops.deletion import failures
from ops.release import Cdk, run_cdk
from stacks.company import promotion
from stacks.settings import Environment

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

STAYS: Final = """\
What stays on purpose:
  the last snapshot of the database, and the KMS key that it is encrypted with
  the secrets in Parameter Store: without LITELLM_SALT_KEY the snapshot's credentials of providers cannot be read
  the bucket of the load balancer's access log
  log groups that are kept, that a service of AWS makes, or that a function wrote to once more while it was removed
  the DNS records that proved the domain to Certificate Manager
  images and packages in what `cdk bootstrap` made, which other stacks may use too
"""
PATIENCE: Final = (
    "It takes 20 minutes or more: AWS releases the network interfaces of functions in a VPC only after a while, at "
    "times an hour. Interrupting it stops nothing that has begun."
)


# --- What is removed ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """The environment's deployed stacks: those to be removed, in this order, and others that are its own matter."""

    removed: tuple[StackTypeDef, ...]
    left: tuple[StackTypeDef, ...]

    @classmethod
    def of(cls, stacks: Iterable[StackTypeDef], artifacts: Iterable[StackArtifact]) -> Plan:
        """What of the deployed `stacks` is in the assembly, the last deployed first."""
        by_name = {stack["StackName"]: stack for stack in stacks}
        removed = [by_name.pop(artifact.name) for artifact in artifacts if artifact.name in by_name]
        return cls(tuple(reversed(removed)), tuple(by_name.values()))

    def check(self, session: boto3.Session, environment: Environment) -> None:
        """Refuse what would fail half-way.

        Raises
        ------
        OpsError
            A stack is still protected, or one that is not in the assembly uses another one's outputs.
        """
        if protected := [s["StackName"] for s in self.removed if s.get("EnableTerminationProtection")]:
            raise OpsError(
                f"{', '.join(protected)} is still protected, as it was deployed with deletion_protection: "
                f"run make deploy ENV={environment.name} first."
            )
        for stack in self.left:
            if "Fn::ImportValue" in (deployed_template(session, stack["StackName"]) or ""):
                raise OpsError(
                    f"{stack['StackName']} uses what will be removed, and is not in the assembly: remove it first (aws "
                    f"cloudformation delete-stack --region {environment.region} --stack-name {stack['StackName']}), or "
                    "have its setting back in company/environments.py."
                )

    def text(self) -> str:
        """What will be removed."""
        lines = [f"  {stack['StackName']}" for stack in self.removed]
        return "\n".join(["What will be removed, in this order:", *lines])


def confirm(environment: Environment, given: str | None, ask: Callable[[str], str] | None) -> None:
    """Have the environment's name typed, unless it was given.

    Raises
    ------
    OpsError
        Another name, or nobody is there to type it.
    """
    if given is None:
        if ask is None:
            raise OpsError(
                f"nobody is here to confirm it: to remove {environment.name} without a terminal, say "
                f"--yes-i-mean {environment.name}."
            )
        try:
            given = ask(f"Type {environment.name} to remove it with all of its data: ").strip()
        except EOFError:
            given = ""
    if given != environment.name:
        raise OpsError(f"{environment.name} was not confirmed, so nothing was removed: type its name.")


# --- What stays -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """Something that stayed, and the command that removes it."""

    kind: str
    name: str
    command: str


Look = Callable[["Account"], Iterator[Kept]]


@dataclass(frozen=True)
class Account:
    """Where to look for what stayed."""

    session: boto3.Session
    environment: Environment

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """A client in the environment's region."""
        return self.session.client(service, region_name=self.environment.region)  # type: ignore[call-overload]

    def pages(self, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
        """The items of all pages of a list."""
        for page in self.client(service).get_paginator(operation).paginate(**arguments):
            yield from page[key]

    def command(self, arguments: str) -> str:
        """A command of the AWS CLI in the environment's region."""
        return f"aws {arguments} --region {self.environment.region}"


def retained(account: Account) -> Iterator[Kept]:
    """What CloudFormation was told to keep, by the events of the removed stacks, which it knows for 90 days."""
    seen: set[str] = set()
    for stack in account.pages(
        "cloudformation", "list_stacks", "StackSummaries", StackStatusFilter=["DELETE_COMPLETE"]
    ):
        if not stack["StackName"].startswith(f"litellm-{account.environment.name}-"):
            continue
        for event in account.pages(
            "cloudformation", "describe_stack_events", "StackEvents", StackName=stack["StackId"]
        ):
            name = event.get("PhysicalResourceId", "")
            if event.get("ResourceStatus") == "DELETE_SKIPPED" and name not in seen:
                seen.add(name)
                yield from _still_there(account, event["ResourceType"], name)


def _still_there(account: Account, kind: str, name: str) -> Iterator[Kept]:
    """The resource, unless it was removed since. Log groups are listed by themselves."""
    if kind == "AWS::KMS::Key":
        if _exists(lambda: account.client("kms").describe_key(KeyId=name)["KeyMetadata"]["KeyState"] == "Enabled"):
            command = account.command(f"kms schedule-key-deletion --key-id {name} --pending-window-in-days 30")
            yield Kept("KMS key, which no snapshot can be restored without", name, command)
    elif kind == "AWS::S3::Bucket":
        if _exists(lambda: account.client("s3").head_bucket(Bucket=name) is not None):
            yield Kept("bucket of the access log", name, account.command(f"s3 rb s3://{name} --force"))
    elif kind != "AWS::Logs::LogGroup":
        yield Kept(kind, name, "remove it by hand, if it is still there")


def _exists(look: Callable[[], bool]) -> bool:
    try:
        return look()
    except aws.ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchBucket", "NotFoundException"):
            return False
        raise


def snapshots(account: Account) -> Iterator[Kept]:
    """The database's last snapshots, and those that somebody took. RDS has no list by a cluster that is gone."""
    for snapshot in account.pages("rds", "describe_db_cluster_snapshots", "DBClusterSnapshots", SnapshotType="manual"):
        if snapshot["DBClusterIdentifier"] == f"litellm-{account.environment.name}":
            name = snapshot["DBClusterSnapshotIdentifier"]
            command = account.command(f"rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier {name}")
            yield Kept("snapshot of the database", name, command)


def secrets(account: Account) -> Iterator[Kept]:
    """The secrets, ten to a command, which takes no more."""
    prefix = account.environment.parameter_prefix
    found = account.pages(
        "ssm",
        "describe_parameters",
        "Parameters",
        ParameterFilters=[{"Key": "Path", "Option": "Recursive", "Values": [prefix]}],
    )
    every = sorted(parameter["Name"] for parameter in found)
    for names in (every[start : start + 10] for start in range(0, len(every), 10)):
        own = ", ".join(name.removeprefix(f"{prefix}/") for name in names)
        command = account.command(f"ssm delete-parameters --names {' '.join(names)}")
        yield Kept(f"secrets below {prefix}", own, command)


def log_groups(account: Account) -> Iterator[Kept]:
    """Log groups that are kept, and those that Lambda, ECS and RDS make for themselves."""
    name = account.environment.name
    prefixes = (
        f"litellm-{name}-",
        f"aws-waf-logs-litellm-{name}",
        f"/aws/cloudformation/litellm-{name}-",
        f"/aws/ecs/containerinsights/litellm-{name}-",
        f"/aws/lambda/litellm-{name}-",
        f"/aws/rds/cluster/litellm-{name}/",
    )
    for prefix in prefixes:
        for group in account.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix):
            command = account.command(f"logs delete-log-group --log-group-name {group['logGroupName']}")
            yield Kept("log group", group["logGroupName"], command)


def validation_records(account: Account) -> Iterator[Kept]:
    """The records of the certificates, which CloudFormation makes and does not remove."""
    zone, domain = account.environment.hosted_zone.id, account.environment.domain
    try:
        for record in account.pages("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone):
            values = [each["Value"] for each in record.get("ResourceRecords", [])]
            name = record["Name"].rstrip(".")
            if name.endswith(f".{domain}") and any("acm-validations.aws" in value for value in values):
                change = json.dumps({"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]})
                yield Kept(
                    "DNS record of a certificate",
                    name,
                    f"aws route53 change-resource-record-sets --hosted-zone-id {zone} "
                    f"--change-batch {shlex.quote(change)}",
                )
    except aws.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchHostedZone":
            raise


def other_stacks(account: Account) -> Iterator[Kept]:
    """Stacks of the environment that were not in the assembly: GitHub's roles, which somebody may still deploy with."""
    for stack in stacks_of(account.client("cloudformation"), account.environment).values():
        name = stack["StackName"]
        yield Kept("stack", name, account.command(f"cloudformation delete-stack --stack-name {name}"))


LEFTOVERS: Final[tuple[Look, ...]] = (snapshots, retained, secrets, log_groups, validation_records, other_stacks)


def leftovers(account: Account) -> str:
    """What stayed, each with its command; what could not be looked up is said too."""
    lines: list[str] = []
    for look in LEFTOVERS:
        try:
            lines += (f"  {kept.kind}: {kept.name}\n    {kept.command}" for kept in look(account))
        except (aws.BotoCoreError, aws.ClientError) as error:
            lines.append(f"  {look.__name__.replace('_', ' ')}: not looked up: {explain(error)}")
    environment = account.environment
    place = f"{environment.account}-{environment.region}"
    lines.append(
        f"  images and packages: cdk-{QUALIFIER}-container-assets-{place}, cdk-{QUALIFIER}-assets-{place}\n"
        f"    cdk gc aws://{environment.account}/{environment.region} --unstable=gc  # what no stack uses any more"
    )
    if (releases := promotion()) and environment.name in releases.environments:
        lines.append(
            f"  its place among the releases of account {releases.account}\n"
            "    take it out of releases() in company/environments.py, and deploy that account's stacks"
        )
    return "\n".join([f"What is left of {environment.name}, and how it is removed:", *lines])


# --- The command ----------------------------------------------------------------------------------------------------


def remove(session: boto3.Session, environment: Environment, plan: Plan, app: Path, cdk: Cdk) -> None:
    """Have the CDK CLI remove the environment's stacks.

    Raises
    ------
    OpsError
        Some are still there: which, why, and what to do.
    """
    cloudformation = session.client("cloudformation", region_name=environment.region)
    code = cdk("destroy", f"{environment.name}/*", "--force", "--app", str(app), "--no-notices")
    expected = {stack["StackName"] for stack in plan.removed}
    remaining = [stack for stack in stacks_of(cloudformation, environment).values() if stack["StackName"] in expected]
    if not code and not remaining:
        return
    names = ", ".join(stack["StackName"] for stack in remaining) or "the CDK CLI failed after the last stack"
    reasons = [line for stack in remaining for line in failures(cloudformation, stack)]
    raise OpsError(
        "\n".join(
            [
                f"{environment.name} is not removed as a whole: {names}; "
                f"{'see the reasons below' if reasons else 'see what the CDK CLI said above, and run it again'}.",
                *reasons,
            ]
        )
    )


def destroy(
    session: boto3.Session,
    environment: Environment,
    *,
    app: Path | None,
    given: str | None,
    ask: Callable[[str], str] | None,
    cdk: Cdk,
) -> None:
    """Remove the environment, once that is confirmed, and list what stays.

    Raises
    ------
    OpsError
        It is protected, was not confirmed, or could not be removed as a whole.
    """
    if environment.deletion_protection:
        raise OpsError(
            f"{environment.name} is protected: set deletion_protection=False for it in company/environments.py, run "
            f"make deploy ENV={environment.name}, and then this again."
        )
    account = Account(session, environment)
    stacks = [*stacks_of(account.client("cloudformation"), environment).values()]
    with tempfile.TemporaryDirectory() as folder:
        if stacks:
            assembly = Assembly.load(app) if app else Assembly.synthesize((environment.name,), Path(folder))
            plan = Plan.of(stacks, assembly.stacks(environment.name))
        if not stacks or not plan.removed:
            print(f"{environment.name}: nothing is left to remove in account {environment.account}.")
        else:
            plan.check(session, environment)
            print(f"{environment.name}: account {environment.account}, {environment.region}")
            print(f"{plan.text()}\n{STAYS}{PATIENCE}", flush=True)
            confirm(environment, given, ask)
            remove(session, environment, plan, assembly.folder, cdk)
            print(f"{environment.name} is removed.")
    print(leftovers(account))


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.destroy", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    result.add_argument("--yes-i-mean", metavar="NAME", help="its name once more, instead of typing it")
    result.add_argument("--app", type=Path, metavar="DIR", help="the synthesized assembly; else it is synthesized anew")
    return result


def main(
    argv: list[str] | None = None,
    *,
    session: boto3.Session | None = None,
    ask: Callable[[str], str] | None = None,
    cdk: Cdk = run_cdk,
) -> int:
    """Run the command and return its exit code. Tests give the session, who types the name, and the CDK CLI."""
    arguments = parser().parse_args(argv)
    if ask is None and sys.stdin.isatty():
        ask = input

    def work() -> int:
        environment = environment_named(arguments.env)
        access = connect(environment, session)
        destroy(access.session, environment, app=arguments.app, given=arguments.yes_i_mean, ask=ask, cdk=cdk)
        return 0

    return run("destroy", work)


if __name__ == "__main__":
    sys.exit(main())
