"""ops/first_attempts.py: which stacks are in the way of a deployment, and that they are out of it afterwards.

The second with the emulated AWS, which refuses to delete what is protected as AWS does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import WaiterError

from local.aws import Emulator, Settings
from local.place import Place
from local.ports import free_ports
from ops import first_attempts
from ops.access import Access, OpsError
from ops.assembly import Assembly
from stacks.company import environments
from tests.unit.fake_aws import Answers, FakeAws
from tests.unit.ops.fake_cloudformation import assembly

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import WaiterConfigTypeDef

DEV = environments()["dev"]
GATEWAY = "litellm-dev-gateway"
NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def release(tmp_path: Path) -> Assembly:
    return Assembly.load(assembly(tmp_path / "cdk.out", "Network", "Gateway"))


def stack(name: str, state: str, *, protected: bool = False) -> dict[str, Any]:
    return {
        "StackName": name,
        "StackId": f"arn:{name}",
        "CreationTime": NOW,
        "StackStatus": state,
        "EnableTerminationProtection": protected,
    }


def event(state: str, logical_id: str = GATEWAY) -> dict[str, Any]:
    return {
        "StackId": f"arn:{GATEWAY}",
        "EventId": state,
        "StackName": GATEWAY,
        "Timestamp": NOW,
        "LogicalResourceId": logical_id,
        "ResourceStatus": state,
    }


def found(release: Assembly, *stacks: dict[str, Any], events: tuple[dict[str, Any], ...] = ()) -> list[str]:
    answers: Answers = {
        ("cloudformation", "describe_stacks"): {"Stacks": list(stacks)},
        ("cloudformation", "describe_stack_events"): {"StackEvents": list(events)},
    }
    return [attempt.name for attempt in first_attempts.failed(Access(DEV, FakeAws(answers).session), release)]


@pytest.mark.parametrize("state", ["CREATE_FAILED", "ROLLBACK_FAILED"])
def test_a_stack_that_was_never_made_is_in_the_way(release: Assembly, state: str) -> None:
    assert found(release, stack(GATEWAY, state), stack("litellm-dev-other", state)) == [GATEWAY]


@pytest.mark.parametrize(
    "state", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED", "REVIEW_IN_PROGRESS"]
)
def test_another_one_is_not(release: Assembly, state: str) -> None:
    assert found(release, stack(GATEWAY, state, protected=True)) == []


def test_the_cdk_removes_what_is_rolled_back_unless_it_is_protected(release: Assembly) -> None:
    assert found(release, stack(GATEWAY, "ROLLBACK_COMPLETE")) == []
    assert found(release, stack(GATEWAY, "ROLLBACK_COMPLETE", protected=True)) == [GATEWAY]


def test_what_was_in_use_is_never_removed(release: Assembly) -> None:
    """Only by its events is a stack that could not be deleted told from one that was never made."""
    whole = (event("DELETE_FAILED"), event("CREATE_COMPLETE"), event("CREATE_IN_PROGRESS"))
    assert found(release, stack(GATEWAY, "DELETE_FAILED"), events=whole) == []
    never = (event("DELETE_FAILED"), event("ROLLBACK_FAILED"), event("CREATE_COMPLETE", "EdgeLoadBalancer"))
    assert found(release, stack(GATEWAY, "DELETE_FAILED"), events=never) == [GATEWAY]


def test_a_pipeline_is_told_who_can(release: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Answers = {("cloudformation", "describe_stacks"): {"Stacks": [stack(GATEWAY, "ROLLBACK_FAILED")]}}
    session = FakeAws(answers).session
    monkeypatch.setattr(Access, "acting_as", lambda *_: session)
    with pytest.raises(OpsError) as refusal:
        first_attempts.failed(Access(DEV, session, by_roles=True), release)
    assert "litellm-dev-gateway (ROLLBACK_FAILED)" in str(refusal.value)
    assert "run `make deploy ENV=dev` with an administrator's credentials of account 111111111111" in str(refusal.value)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    place = Place(
        account=DEV.account,
        region=DEV.region,
        domain=DEV.domain,
        port=free_ports(1)[0],
        parameter_prefix=DEV.parameter_prefix,
    )
    emulator = Emulator(
        port=free_ports(1)[0], state=tmp_path_factory.mktemp("emulator"), settings=Settings(places=[place])
    )
    emulator.start()
    yield emulator
    emulator.stop()


BALANCER = {
    "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "Properties": {
        "Subnets": ["subnet-00000001", "subnet-00000002"],
        "LoadBalancerAttributes": [{"Key": "deletion_protection.enabled", "Value": "true"}],
    },
}
CLUSTER = {
    "Type": "AWS::RDS::DBCluster",
    "Properties": {"Engine": "aurora-postgresql", "DBClusterIdentifier": "litellm-dev", "DeletionProtection": True},
}
PROTECTED = {"Balancer": BALANCER, "Cluster": CLUSTER}
FAILS = {
    "Type": "AWS::SSM::Parameter",
    "Properties": {"Type": "String", "Value": "{{resolve:ssm:/not/there}}"},
    "DependsOn": list(PROTECTED),
}


def test_what_is_left_of_it_goes_and_it_can_be_made(
    emulator: Emulator, release: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.endpoint)
    session = boto3.Session(aws_access_key_id=DEV.account, aws_secret_access_key="test", region_name=DEV.region)
    cloudformation, access = session.client("cloudformation"), Access(DEV, session)
    create = cloudformation.get_waiter("stack_create_complete")
    gone = cloudformation.get_waiter("stack_delete_complete")
    patience: WaiterConfigTypeDef = {"Delay": 1, "MaxAttempts": 300}

    def attempt(resources: dict[str, Any]) -> str:
        body = json.dumps({"Resources": resources})
        cloudformation.create_stack(StackName=GATEWAY, TemplateBody=body, EnableTerminationProtection=True)
        with suppress(WaiterError):
            create.wait(StackName=GATEWAY, WaiterConfig=patience)
        return str(cloudformation.describe_stacks(StackName=GATEWAY)["Stacks"][0]["StackStatus"])

    assert attempt(PROTECTED | {"Fails": FAILS}) == "ROLLBACK_FAILED"
    # As the CDK CLI would try it.
    cloudformation.update_termination_protection(StackName=GATEWAY, EnableTerminationProtection=False)
    cloudformation.delete_stack(StackName=GATEWAY)
    with suppress(WaiterError):
        gone.wait(StackName=GATEWAY, WaiterConfig=patience)
    cloudformation.update_termination_protection(StackName=GATEWAY, EnableTerminationProtection=True)
    (left,) = first_attempts.failed(access, release)
    assert (left.state, left.protected) == ("DELETE_FAILED", True)
    said: list[str] = []
    first_attempts.remove(access, left, say=said.append, wait=lambda: sleep(0.1))
    assert said[-1] == "  litellm-dev-gateway: DELETE_COMPLETE"
    assert sum("its deletion protection is taken off" in line for line in said) == 2
    assert session.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert session.client("rds").describe_db_clusters()["DBClusters"] == []
    assert first_attempts.failed(access, release) == ()
    assert attempt(PROTECTED) == "CREATE_COMPLETE"


def test_what_still_cannot_be_deleted_is_named(release: Assembly) -> None:
    answers: Answers = {
        ("cloudformation", "list_stack_resources"): {"StackResourceSummaries": []},
        ("cloudformation", "delete_stack"): {},
        ("cloudformation", "describe_stacks"): {"Stacks": [stack(GATEWAY, "DELETE_FAILED")]},
        ("cloudformation", "describe_stack_events"): {
            "StackEvents": [
                event("DELETE_FAILED", "Bucket")
                | {"ResourceType": "AWS::S3::Bucket", "ResourceStatusReason": "The bucket is not empty"}
            ]
        },
    }
    attempt = first_attempts.Attempt(GATEWAY, f"arn:{GATEWAY}", "ROLLBACK_FAILED", protected=False)
    with pytest.raises(OpsError, match=r"Bucket .* The bucket is not empty"):
        first_attempts.remove(Access(DEV, FakeAws(answers).session), attempt, say=print, wait=lambda: None)
