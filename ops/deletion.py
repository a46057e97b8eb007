"""Why a stack could not be deleted as a whole, and what to do about it.

Integrates with AWS CloudFormation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef

ADVICE: Final[Mapping[str, str]] = {
    "has a dependent object|DependencyViolation|network interface|has dependencies": (
        "AWS has yet to release the network interfaces of functions in the VPC, which takes up to an hour: run it "
        "again then"
    ),
    "bucket.* not empty": "empty the bucket (aws s3 rm s3://… --recursive), and run it again",
    "in use by": "remove the stack that uses it, and run it again",
    "[Pp]rotection": "deploy with deletion_protection=False first, and run it again",
    "custom resource|CloudFormation did not receive a response": (
        "the log of its function says why; once it is mended, or if nothing is there that it could remove, run it again"
    ),
}
"""What to do about a reason that CloudFormation gives."""
OTHERWISE: Final = "mend what the reason says, and run it again"


def failures(cloudformation: CloudFormationClient, stack: StackTypeDef) -> Iterator[str]:
    """Why a stack was not removed: each resource of the last attempt that could not be, and what to do."""
    for event in _last_attempt(cloudformation, stack):
        if event.get("ResourceStatus") == "DELETE_FAILED" and event["LogicalResourceId"] != stack["StackName"]:
            reason = " ".join(event.get("ResourceStatusReason", "no reason is given").split())
            what = f"{event['LogicalResourceId']} ({event['ResourceType']})"
            yield f"  {stack['StackName']}: {what}: {reason}\n    -> {advice(reason)}."


def _last_attempt(cloudformation: CloudFormationClient, stack: StackTypeDef) -> Iterator[StackEventTypeDef]:
    """The stack's events, the latest first, back to the begin of its removal."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack["StackId"])
    for event in (event for page in pages for event in page["StackEvents"]):
        yield event
        own = event.get("PhysicalResourceId") == stack["StackId"]
        if own and event.get("ResourceStatus") == "DELETE_IN_PROGRESS":
            return


def advice(reason: str) -> str:
    """What to do about the reason."""
    return next((told for pattern, told in ADVICE.items() if re.search(pattern, reason)), OTHERWISE)
