"""ops/drift.py: what it says of stacks that were changed past CloudFormation, and of those that it cannot compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ops import drift
from ops.assembly import stacks_of
from ops.drift import Detection
from stacks.company import environments
from tests.unit.fake_aws import Answer, Answers, FakeAws, refusal

DEV = environments()["dev"]
NOW = datetime(2026, 11, 24, tzinfo=UTC)
NETWORK, GATEWAY = "litellm-dev-network", "litellm-dev-gateway"
SERVICE = {"LogicalResourceId": "Service9571FDD8", "ResourceType": "AWS::ECS::Service", "PhysicalResourceId": "arn:svc"}
GROUP = {"LogicalResourceId": "Logs6819BB44", "ResourceType": "AWS::Logs::LogGroup", "PhysicalResourceId": "logs-1"}


def stack(name: str, status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    return {"StackName": name, "StackStatus": status, "CreationTime": NOW}


def drifted(resource: dict[str, str], status: str, *differences: tuple[str, str, str]) -> dict[str, Any]:
    return {
        **resource,
        "StackId": "arn:stack",
        "StackResourceDriftStatus": status,
        "Timestamp": NOW,
        "PropertyDifferences": [
            {"PropertyPath": path, "ExpectedValue": expected, "ActualValue": actual, "DifferenceType": "NOT_EQUAL"}
            for path, expected, actual in differences
        ],
    }


def summaries(**counts: int) -> dict[str, Any]:
    return {
        "StackResourceSummaries": [
            {
                "LogicalResourceId": f"{status}{number}",
                "ResourceType": "AWS::Some::Thing",
                "LastUpdatedTimestamp": NOW,
                "ResourceStatus": "CREATE_COMPLETE",
                "DriftInformation": {"StackResourceDriftStatus": status},
            }
            for status, count in counts.items()
            for number in range(count)
        ]
    }


def detection(status: str = "DETECTION_COMPLETE", **more: str) -> dict[str, Any]:
    return {
        "StackId": "arn:stack",
        "StackDriftDetectionId": "1",
        "DetectionStatus": status,
        "Timestamp": NOW,
        **more,
    }


def by_stack(**answers: Any) -> Callable[..., Any]:  # noqa: ANN401 - see FakeAws
    """Of the stack's last word, else of `others`."""
    return lambda StackName, **_: answers.get(StackName.rpartition("-")[2], answers["others"])  # noqa: N803 - boto3's


def in_sync() -> Answers:
    others = [stack("litellm-dev2-network"), stack("CDKToolkit"), stack("litellm-dev-usage", "ROLLBACK_COMPLETE")]
    return {
        ("sts", "get_caller_identity"): {"Account": DEV.account},
        ("cloudformation", "describe_stacks"): {"Stacks": [stack(NETWORK), stack(GATEWAY, "UPDATE_COMPLETE"), *others]},
        ("cloudformation", "detect_stack_drift"): {"StackDriftDetectionId": "1"},
        ("cloudformation", "describe_stack_drift_detection_status"): detection(),
        ("cloudformation", "list_stack_resources"): by_stack(
            network=summaries(IN_SYNC=4, NOT_CHECKED=2), others=summaries(IN_SYNC=3)
        ),
        ("cloudformation", "describe_stack_resource_drifts"): {"StackResourceDrifts": []},
    }


def run(answers: Answers, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = drift.main(["--env", "dev"], session=FakeAws(answers).session)
    return code, *capsys.readouterr()


def test_all_is_in_sync(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(in_sync(), capsys)
    assert (code, err) == (0, "")
    first, *lines, last = out.splitlines()
    assert first == "dev: comparing 2 stacks in account 111111111111"
    assert sorted(lines) == [
        "  litellm-dev-gateway  3 in sync",
        "  litellm-dev-network  4 in sync; CloudFormation cannot compare 2",
    ]
    assert last == "All is as the templates say."


def test_each_drifted_resource_is_told_with_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    pages: dict[str | None, dict[str, Any]] = {
        None: {
            "StackResourceDrifts": [
                drifted(SERVICE, "MODIFIED", ("/DesiredCount", "2", "5"), ("/Tags/0", "null", '{"Key":"x"}'))
            ],
            "NextToken": "more",
        },
        "more": {"StackResourceDrifts": [drifted(GROUP, "DELETED")]},
    }

    def drifts(StackName: str, NextToken: str | None = None, **_: object) -> dict[str, Any]:  # noqa: N803 - boto3's
        return pages[NextToken] if StackName == GATEWAY else {"StackResourceDrifts": []}

    answers = in_sync() | {
        ("cloudformation", "list_stack_resources"): by_stack(
            gateway=summaries(IN_SYNC=1, MODIFIED=1, DELETED=1), others=summaries(IN_SYNC=1)
        ),
        ("cloudformation", "describe_stack_resource_drifts"): drifts,
    }
    code, out, _ = run(answers, capsys)
    assert code == 1
    assert "  litellm-dev-gateway  2 of 3 resources drifted\n" in out
    assert out.splitlines()[3:-1] == [
        "litellm-dev-gateway: Service9571FDD8 (AWS::ECS::Service) arn:svc",
        "    /DesiredCount: 2 -> 5",
        '    /Tags/0: (not set) -> {"Key":"x"}',
        "litellm-dev-gateway: Logs6819BB44 (AWS::Logs::LogGroup) logs-1",
        "    is gone",
    ]
    assert out.splitlines()[-1].startswith("2 drifted: change each back by hand")


def test_a_long_value_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    policy = json.dumps({"Statement": ["x" * 500]})
    answers = in_sync() | {
        ("cloudformation", "describe_stack_resource_drifts"): {
            "StackResourceDrifts": [drifted(SERVICE, "MODIFIED", ("/Policy", policy, ""))]
        }
    }
    _, out, _ = run(answers, capsys)
    (line, _) = (line for line in out.splitlines() if "/Policy" in line)
    assert len(line) < 200
    assert line.endswith("… -> (not set)")


@pytest.mark.parametrize(
    ("place", "answer", "said"),
    [
        (
            "describe_stack_drift_detection_status",
            detection("DETECTION_FAILED", DetectionStatusReason="Failed to detect drift on [Service9571FDD8]"),
            "not compared: Failed to detect drift on [Service9571FDD8]",
        ),
        (
            "detect_stack_drift",
            refusal("ValidationError"),
            "a deployment or another comparison of the stack is running: run it again when that is over",
        ),
        (
            "describe_stacks",
            {"Stacks": [stack(NETWORK), stack(GATEWAY, "UPDATE_IN_PROGRESS")]},
            "not compared: it is UPDATE_IN_PROGRESS",
        ),
    ],
)
def test_a_stack_that_cannot_be_compared_hides_no_other(
    place: str,
    answer: Answer,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = run(in_sync() | {("cloudformation", place): answer}, capsys)
    assert (code, err) == (2, "")
    assert said in out
    assert "stacks could not be compared." in out


def test_it_waits_until_the_comparison_is_over() -> None:
    states = iter(["DETECTION_IN_PROGRESS", "DETECTION_IN_PROGRESS", "DETECTION_COMPLETE"])
    aws = FakeAws(
        in_sync() | {("cloudformation", "describe_stack_drift_detection_status"): lambda **_: detection(next(states))}
    )
    cloudformation = aws.session.client("cloudformation")
    (network, *_) = stacks_of(cloudformation, DEV).values()
    assert Detection(cloudformation, interval=0).compare(network).failure == ""
    assert next(states, None) is None


def test_it_does_not_wait_forever() -> None:
    aws = FakeAws(
        in_sync() | {("cloudformation", "describe_stack_drift_detection_status"): detection("DETECTION_IN_PROGRESS")}
    )
    cloudformation = aws.session.client("cloudformation")
    (network, *_) = stacks_of(cloudformation, DEV).values()
    assert "not done after 0 minutes" in Detection(cloudformation, interval=0, patience=0).compare(network).failure


def test_what_is_not_deployed_has_not_drifted(capsys: pytest.CaptureFixture[str]) -> None:
    answers = in_sync() | {("cloudformation", "describe_stacks"): {"Stacks": [stack("litellm-dev2-network")]}}
    code, out, err = run(answers, capsys)
    assert (code, out) == (2, "")
    assert err == "drift: dev is not deployed in account 111111111111, so nothing can have drifted.\n"


def test_other_credentials_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run({("sts", "get_caller_identity"): {"Account": "999999999999"}}, capsys)
    assert (code, out) == (2, "")
    assert "are of account 999999999999, but dev is in 111111111111" in err
