"""Finds what was changed past CloudFormation: `make drift ENV=dev`.

CloudFormation compares all of the environment's stacks with what is really there, side by side. A line for each stack
says how many resources it compared, and how many it does not know how to. Then follows each resource that differs, or
is gone, with what its template says and what there is instead. Nothing is changed.

Integrates with AWS CloudFormation, which reads the resources with the caller's permissions, and AWS STS, through
boto3's own credentials and settings (AWS_PROFILE, AWS_ENDPOINT_URL, …).

Exit codes: 0 all is as the templates say; 1 something has drifted; 2 a stack could not be compared, or a mistake or an
error, in one sentence; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import boto3
from botocore import exceptions as aws

from ops.access import ADVICE, OpsError, connect, environment_named, explain, run
from ops.assembly import NOT_THERE, resources_of, stacks_of
from stacks.settings import Environment

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackResourceDriftTypeDef, StackTypeDef

INTERVAL: Final = 3.0  # seconds between two questions whether a comparison is over
PATIENCE: Final = 1800.0  # seconds; a stack of a hundred resources takes a few minutes
LONGEST: Final = 160  # characters of a value that are shown

COMPARABLE: Final = (
    *("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"),
    *("IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"),
)
"""The states in which CloudFormation compares a stack.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html"""

REFUSED: Final[Mapping[str, str]] = {
    **ADVICE,
    "ValidationError": "a deployment or another comparison of the stack is running: run it again when that is over",
}
"""What to do about an error code of CloudFormation's."""


@dataclass(frozen=True)
class Comparison:
    """What came out for one stack: how many resources by CloudFormation's status, and those that differ."""

    stack: str
    counts: Mapping[str, int]
    drifts: tuple[StackResourceDriftTypeDef, ...] = ()
    failure: str = ""  # why not all of it could be compared

    @property
    def summary(self) -> str:
        """In one line."""
        compared = sum(self.counts.get(status, 0) for status in ("IN_SYNC", "MODIFIED", "DELETED"))
        left_out = sum(self.counts.values()) - compared
        state = f"{len(self.drifts)} of {compared} resources drifted" if self.drifts else f"{compared} in sync"
        unknown = f"; CloudFormation cannot compare {left_out}" if left_out else ""
        return f"not compared: {self.failure}" if self.failure else f"{state}{unknown}"


@dataclass(frozen=True)
class Detection:
    """Has CloudFormation compare stacks; `interval` and `patience` in seconds."""

    cloudformation: CloudFormationClient
    interval: float = INTERVAL
    patience: float = PATIENCE

    def all_of(self, stacks: list[StackTypeDef]) -> Iterator[Comparison]:
        """Compare the stacks side by side, and yield each when it is done."""
        with ThreadPoolExecutor(max(1, len(stacks))) as pool:
            for done in as_completed([pool.submit(self.compare, stack) for stack in stacks]):
                yield done.result()

    def compare(self, stack: StackTypeDef) -> Comparison:
        """Compare one stack; one that cannot be compared says why."""
        name, status = stack["StackName"], stack["StackStatus"]
        if status not in COMPARABLE:
            return Comparison(name, {}, failure=f"it is {status}; see its events in CloudFormation's console")
        try:
            failure = self._detect(name)
            return Comparison(name, self._counts(name), tuple(self._drifts(name)), failure)
        except (aws.BotoCoreError, aws.ClientError) as error:
            return Comparison(name, {}, failure=explain(error, REFUSED))

    def _detect(self, stack: str) -> str:
        """Start it and wait for the end; returns why it failed, or nothing."""
        detection = self.cloudformation.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            status = self.cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
            if status["DetectionStatus"] == "DETECTION_COMPLETE":
                return ""
            if status["DetectionStatus"] == "DETECTION_FAILED":
                return status.get("DetectionStatusReason", "CloudFormation does not say why")
            time.sleep(self.interval)
        return f"CloudFormation was not done after {self.patience / 60:.0f} minutes: run it again"

    def _counts(self, stack: str) -> Mapping[str, int]:
        return Counter(
            resource["DriftInformation"]["StackResourceDriftStatus"] if "DriftInformation" in resource else ""
            for resource in resources_of(self.cloudformation, stack)
        )

    def _drifts(self, stack: str) -> Iterator[StackResourceDriftTypeDef]:
        token: dict[str, str] = {}
        while True:  # boto3 has no paginator for it
            page = self.cloudformation.describe_stack_resource_drifts(
                StackName=stack,
                StackResourceDriftStatusFilters=["MODIFIED", "DELETED"],
                **token,  # type: ignore[arg-type]
            )
            yield from page["StackResourceDrifts"]
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


def describe(comparison: Comparison) -> Iterator[str]:
    """Lines about each resource that differs: which one, and in what."""
    for drift in comparison.drifts:
        physical = drift.get("PhysicalResourceId", "")
        yield f"{comparison.stack}: {drift['LogicalResourceId']} ({drift['ResourceType']}) {physical}"
        if drift["StackResourceDriftStatus"] == "DELETED":
            yield "    is gone"
        for difference in drift.get("PropertyDifferences", []):
            expected, actual = _short(difference["ExpectedValue"]), _short(difference["ActualValue"])
            yield f"    {difference['PropertyPath']}: {expected} -> {actual}"


def _short(value: str) -> str:
    """A value that fits on a line. CloudFormation writes null, or nothing, for one that is not there."""
    if value in ("", "null"):
        return "(not set)"
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}…"


def compare(detection: Detection, environment: Environment) -> int:
    """Compare the environment's stacks, print what comes out, and return the exit code.

    Raises
    ------
    OpsError
        The environment is not deployed.
    """
    stacks = [s for s in stacks_of(detection.cloudformation, environment).values() if s["StackStatus"] not in NOT_THERE]
    if not stacks:
        raise OpsError(
            f"{environment.name} is not deployed in account {environment.account}, so nothing can have drifted."
        )
    print(f"{environment.name}: comparing {len(stacks)} stacks in account {environment.account}", flush=True)
    width = max(len(stack["StackName"]) for stack in stacks)
    comparisons = []
    for comparison in detection.all_of(stacks):
        comparisons.append(comparison)
        print(f"  {comparison.stack:{width}}  {comparison.summary}", flush=True)
    for line in (line for comparison in sorted(comparisons, key=lambda c: c.stack) for line in describe(comparison)):
        print(line)
    failed = sum(bool(comparison.failure) for comparison in comparisons)
    if drifted := sum(len(comparison.drifts) for comparison in comparisons):
        # CloudFormation changes only what differs between two templates: what was done past it, it does not see.
        print(
            f"{drifted} drifted: change each back by hand, or take the change into stacks/ and deploy it. A deployment "
            "of the same template would not put it back."
        )
        return 1
    print(f"{failed} of {len(stacks)} stacks could not be compared." if failed else "All is as the templates say.")
    return 2 if failed else 0


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.drift", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    return result


def main(argv: list[str] | None = None, *, session: boto3.Session | None = None) -> int:
    """Run the command and return its exit code. Tests give the session."""
    arguments = parser().parse_args(argv)

    def work() -> int:
        environment = environment_named(arguments.env)
        access = connect(environment, session)
        return compare(Detection(access.session.client("cloudformation")), environment)

    return run("drift", work)


if __name__ == "__main__":
    sys.exit(main())
