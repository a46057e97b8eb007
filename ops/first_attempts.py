"""What the failed creation of a stack has left, told and removed, so that it can be tried again.

CloudFormation takes a creation that fails back by deleting what it has made. What has deletion protection it cannot
delete, and neither can whoever tries again: the CDK CLI deletes such a stack before it makes it anew. So the protection
is taken off first, of what is left of a stack that has never been made as a whole and of nothing else. The database's
cluster leaves a last snapshot, which is empty.

Going on from where it failed (`cdk deploy --no-rollback`) is no way out of it: the CDK CLI does that only if the change
replaces nothing, and a new image replaces the task definitions.

Integrates with AWS CloudFormation, Elastic Load Balancing and RDS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore import exceptions as aws

from ops.access import Access, OpsError
from ops.assembly import Assembly, resources_of, stacks_of
from ops.deletion import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

MADE: Final = ("CREATE_COMPLETE", "IMPORT_COMPLETE")
"""States of a stack, by any of which it has been made as a whole."""


@dataclass(frozen=True)
class Attempt:
    """A stack of the release whose creation failed, and that is in nobody's way but its own."""

    name: str
    stack_id: str
    state: str
    protected: bool
    """Whether it has termination protection."""

    def __str__(self) -> str:
        """What becomes of it, in a sentence."""
        return (
            f"{self.name} was never made as a whole ({self.state}): what is left of it loses its deletion protection "
            "and is deleted, and then it is made anew."
        )


def failed(access: Access, assembly: Assembly) -> tuple[Attempt, ...]:
    """The stacks of the release that have to be removed before they can be made.

    Raises
    ------
    OpsError
        There are some, and the caller only assumes the bootstrap's roles, which may not take protection off.
    """
    environment = access.environment
    cloudformation = access.acting_as("lookup").client("cloudformation")
    found = stacks_of(cloudformation, environment)
    released = (stack.name for stack in assembly.stacks(environment.name))
    attempts = tuple(
        Attempt(
            name,
            str(found[name].get("StackId", name)),
            found[name]["StackStatus"],
            found[name].get("EnableTerminationProtection", False),
        )
        for name in released
        if name in found and _is_in_the_way(cloudformation, found[name])
    )
    if attempts and access.by_roles:
        states = ", ".join(f"{attempt.name} ({attempt.state})" for attempt in attempts)
        raise OpsError(
            f"{states} was never made as a whole, and what is left of it is protected from deletion: run "
            f"`make deploy ENV={environment.name}` with an administrator's credentials of account "
            f"{environment.account}, which removes it and makes it anew; this can be run again after that."
        )
    return attempts


def _is_in_the_way(cloudformation: CloudFormationClient, stack: StackTypeDef) -> bool:
    match stack["StackStatus"]:
        case "CREATE_FAILED" | "ROLLBACK_FAILED":
            return True
        case "ROLLBACK_COMPLETE":  # the CDK CLI removes it itself, if it may
            return stack.get("EnableTerminationProtection", False)
        case "DELETE_FAILED":  # of an earlier attempt to remove it, or of what was in use
            return not _was_made(cloudformation, stack)
    return False


def _was_made(cloudformation: CloudFormationClient, stack: StackTypeDef) -> bool:
    name = stack.get("StackId", stack["StackName"])
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
    return any(
        event.get("LogicalResourceId") == stack["StackName"] and event.get("ResourceStatus") in MADE
        for page in pages
        for event in page["StackEvents"]
    )


def remove(access: Access, attempt: Attempt, *, say: Callable[[str], None], wait: Callable[[], None]) -> None:
    """Remove what is left of the stack, and return when it is gone.

    Raises
    ------
    OpsError
        Something of it cannot be deleted: what, why, and what to do.
    """
    session = access.acting_as("deploy")
    cloudformation = session.client("cloudformation")
    say(f"Removing what is left of {attempt.name}, which was never made as a whole:")
    for kind, name in _left(cloudformation, attempt):
        if kind in UNPROTECT:
            say(f"  {kind} {name}: its deletion protection is taken off")
            UNPROTECT[kind](session, name)
    if attempt.protected:
        cloudformation.update_termination_protection(StackName=attempt.name, EnableTerminationProtection=False)
    cloudformation.delete_stack(StackName=attempt.stack_id)
    while (stack := _described(cloudformation, attempt)) and stack["StackStatus"].endswith("_IN_PROGRESS"):
        wait()
    if stack and stack["StackStatus"] != "DELETE_COMPLETE":
        reasons = "\n".join(failures(cloudformation, stack))
        raise OpsError(f"what is left of {attempt.name} could not be removed as a whole:\n{reasons}")
    say(f"  {attempt.name}: DELETE_COMPLETE")


def _left(cloudformation: CloudFormationClient, attempt: Attempt) -> Iterator[tuple[str, str]]:
    """Type and physical id of each resource that is still there."""
    for resource in resources_of(cloudformation, attempt.stack_id):
        if resource["ResourceStatus"] != "DELETE_COMPLETE" and resource.get("PhysicalResourceId"):
            yield resource["ResourceType"], resource["PhysicalResourceId"]


def _described(cloudformation: CloudFormationClient, attempt: Attempt) -> StackTypeDef | None:
    try:
        return cloudformation.describe_stacks(StackName=attempt.stack_id)["Stacks"][0]
    except aws.ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # it does not exist
            return None
        raise


def _unprotect_load_balancer(session: Any, arn: str) -> None:  # noqa: ANN401 - boto3's session, or a test's
    attribute = {"Key": "deletion_protection.enabled", "Value": "false"}
    session.client("elbv2").modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[attribute])


def _unprotect_cluster(session: Any, identifier: str) -> None:  # noqa: ANN401 - as above
    session.client("rds").modify_db_cluster(
        DBClusterIdentifier=identifier, DeletionProtection=False, ApplyImmediately=True
    )


UNPROTECT: Final = {
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _unprotect_load_balancer,
    "AWS::RDS::DBCluster": _unprotect_cluster,
}
"""By type: how what `deletion_protection` of the settings protects loses that."""
