"""What the emulated CloudFormation is refused as AWS's services refuse it, seen through AWS's own API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local.aws import REGION, Emulator, Settings
from local.place import Place
from local.ports import free_ports
from local.refusals import ROLES
from tests.unit.local.test_emulator import aws as aws_of
from tests.unit.local.test_functions import resource

NEW, PREPARED = "111111111111", "222222222222"  # accounts: nobody has done anything in one, an operator in the other
PLACE = Place(account=PREPARED, region=REGION, domain="llm.example.com", port=1, parameter_prefix="/llm")
FAILING = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "{{resolve:ssm:/not/there}}"}}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    settings = Settings(places=[Place(**{**vars(PLACE), "port": free_ports(1)[0]})])
    emulator = Emulator(port=free_ports(1)[0], state=tmp_path_factory.mktemp("emulator"), settings=settings)
    emulator.start()
    yield emulator
    emulator.stop()


def aws(emulator: Emulator, service: str, account: str = NEW, region: str = REGION) -> Any:  # noqa: ANN401 - any client
    return aws_of(emulator, service, account, region)


def after(others: Mapping[str, Any]) -> dict[str, Any]:
    """A resource that fails once the others are there."""
    return {**FAILING, "DependsOn": list(others)}


def create(
    emulator: Emulator, name: str, resources: Mapping[str, Any], account: str = NEW, region: str = REGION
) -> tuple[str, list[str]]:
    """Create a stack: its state when it is over, and why resources of it failed."""
    cloudformation = aws(emulator, "cloudformation", account, region)
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    return _ended(cloudformation, "stack_create_complete", name)


def _ended(cloudformation: Any, waiter: str, name: str) -> tuple[str, list[str]]:  # noqa: ANN401 - a client
    with suppress(WaiterError):
        cloudformation.get_waiter(waiter).wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events if event["ResourceStatus"].endswith("_FAILED")]
    return cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"], reasons


GROUP = resource(
    "AWS::RDS::DBSubnetGroup", DBSubnetGroupDescription="any", SubnetIds=["subnet-00000001", "subnet-00000002"]
)


@pytest.mark.parametrize(
    ("kind", "needs", "says"),
    [
        ("AWS::ECS::Cluster", resource("AWS::ECS::Cluster"), "Please verify that the ECS service linked role exists."),
        ("AWS::RDS::DBSubnetGroup", GROUP, "Missing necessary credentials."),
    ],
)
def test_the_first_one_of_an_account_comes_before_the_services_role(
    emulator: Emulator, kind: str, needs: dict[str, Any], says: str
) -> None:
    name = kind.replace(":", "")
    state, reasons = create(emulator, f"first{name}", {"Needs": needs})
    assert state == "ROLLBACK_COMPLETE"
    assert any(says in reason for reason in reasons)
    assert create(emulator, f"second{name}", {"Needs": needs})[0] == "CREATE_COMPLETE"


def test_an_account_in_which_an_operator_has_made_the_roles_is_ready(emulator: Emulator) -> None:
    assert create(emulator, "ready", {"Cluster": resource("AWS::ECS::Cluster"), "Group": GROUP}, PREPARED) == (
        "CREATE_COMPLETE",
        [],
    )
    iam = aws(emulator, "iam", PREPARED)
    for service, name in ROLES.items():
        role = iam.get_role(RoleName=name)["Role"]
        assert role["Arn"] == f"arn:aws:iam::{PREPARED}:role/aws-service-role/{service}/{name}"
    with pytest.raises(ClientError, match="has been taken in this account"):
        iam.create_service_linked_role(AWSServiceName="rds.amazonaws.com")
    with pytest.raises(ClientError, match="is not emulated"):
        iam.create_service_linked_role(AWSServiceName="eks.amazonaws.com")


def balancer(*, scheme: str = "internal", protected: bool = False) -> dict[str, Any]:
    return resource(
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        Scheme=scheme,
        Subnets=["subnet-00000001", "subnet-00000002"],
        LoadBalancerAttributes=[{"Key": "deletion_protection.enabled", "Value": str(protected).lower()}],
    )


def test_a_protected_load_balancer_outlives_the_rollback_of_its_creation(emulator: Emulator) -> None:
    others = {"Balancer": balancer(protected=True)}
    state, reasons = create(emulator, "protected", {**others, "Fails": after(others)}, PREPARED)
    assert state == "ROLLBACK_FAILED"
    assert any("cannot be deleted because deletion protection is enabled" in reason for reason in reasons)
    cloudformation, elb = aws(emulator, "cloudformation", PREPARED), aws(emulator, "elbv2", PREPARED)
    cloudformation.delete_stack(StackName="protected")
    assert _ended(cloudformation, "stack_delete_complete", "protected")[0] == "DELETE_FAILED"
    (left,) = elb.describe_load_balancers()["LoadBalancers"]
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=left["LoadBalancerArn"],
        Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}],
    )
    stack = cloudformation.describe_stacks(StackName="protected")["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName="protected")
    assert _ended(cloudformation, "stack_delete_complete", stack)[0] == "DELETE_COMPLETE"
    assert elb.describe_load_balancers()["LoadBalancers"] == []


def test_a_protected_cluster_outlives_it_too(emulator: Emulator) -> None:
    others = {"Cluster": resource("AWS::RDS::DBCluster", Engine="aurora-postgresql", DeletionProtection=True)}
    state, reasons = create(emulator, "database", {**others, "Fails": after(others)}, PREPARED)
    assert state == "ROLLBACK_FAILED"
    assert any("Cannot delete protected Cluster" in reason for reason in reasons)


def test_rds_restores_and_renames_only_what_it_does_on_aws(emulator: Emulator) -> None:
    """The codes are those of its API reference, for each operation."""
    others = {
        "Group": GROUP,
        "One": resource("AWS::RDS::DBCluster", Engine="aurora-postgresql", DBClusterIdentifier="one"),
    }
    others["Two"] = {**others["One"], "Properties": {**others["One"]["Properties"], "DBClusterIdentifier": "two"}}
    assert create(emulator, "clusters", others, PREPARED)[0] == "CREATE_COMPLETE"
    rds = aws(emulator, "rds", PREPARED)
    addresses = {
        each["DBClusterIdentifier"]: each["Endpoint"].partition(".")[2]
        for each in rds.describe_db_clusters()["DBClusters"]
    }
    assert addresses["one"] == addresses["two"]  # the rest is the account's, in a region
    latest = {"SourceDBClusterIdentifier": "one", "UseLatestRestorableTime": True}
    engine = {"Engine": "aurora-postgresql", "EngineVersion": "17.7"}

    def rename(to: str, **more: Any) -> Any:  # noqa: ANN401 - boto3's
        return rds.modify_db_cluster(DBClusterIdentifier="one", NewDBClusterIdentifier=to, **more)

    refused: dict[str, Callable[[], object]] = {
        "DBClusterSnapshotNotFoundFault": lambda: rds.restore_db_cluster_from_snapshot(
            DBClusterIdentifier="new", SnapshotIdentifier="none", **engine
        ),
        "DBClusterNotFoundFault": lambda: rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier="new", **latest | {"SourceDBClusterIdentifier": "none"}
        ),
        "InvalidRestoreFault": lambda: rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier="new", SourceDBClusterIdentifier="one", RestoreToTime="2026-11-24T03:00:00Z"
        ),
        "DBClusterAlreadyExistsFault": lambda: rename("two", ApplyImmediately=True),
        "InvalidParameterValue": lambda: rename("one--old", ApplyImmediately=True),
        "InvalidParameterCombination": lambda: rename("three"),
    }
    for code, ask in refused.items():
        with pytest.raises(ClientError, match=code):
            ask()
    rename("three", ApplyImmediately=True)
    (found,) = rds.describe_db_clusters(DBClusterIdentifier="three")["DBClusters"]
    assert found["Endpoint"] == f"three.{addresses['one']}"
    with pytest.raises(ClientError, match="DBClusterNotFoundFault"):
        rds.describe_db_clusters(DBClusterIdentifier="one")


def test_an_account_has_a_dashboard_once_whatever_the_region(emulator: Emulator) -> None:
    dashboard = {"Dashboard": resource("AWS::CloudWatch::Dashboard", DashboardName="litellm-prod", DashboardBody="{}")}
    assert create(emulator, "here", dashboard)[0] == "CREATE_COMPLETE"
    state, reasons = create(emulator, "there", dashboard, region="eu-central-1")
    assert state == "ROLLBACK_COMPLETE"
    assert any("'litellm-prod' already exists" in reason for reason in reasons)
    cloudwatch = aws(emulator, "cloudwatch", region="eu-central-1")
    assert [each["DashboardName"] for each in cloudwatch.list_dashboards()["DashboardEntries"]] == ["litellm-prod"]
    cloudwatch.delete_dashboards(DashboardNames=["litellm-prod"])
    assert create(emulator, "again", dashboard, region="eu-central-1")[0] == "CREATE_COMPLETE"


def test_targets_belong_to_one_load_balancer(emulator: Emulator) -> None:
    """What the scheme of a load balancer replaces, if its targets stay."""

    def stack(scheme: str) -> str:
        listener = resource(
            "AWS::ElasticLoadBalancingV2::Listener",
            LoadBalancerArn={"Ref": "Balancer"},
            Port=80,
            Protocol="HTTP",
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}],
        )
        rule = resource(
            "AWS::ElasticLoadBalancingV2::ListenerRule",
            ListenerArn={"Ref": "Listener"},
            Priority=1,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": ["llm.example.com"]}}],
            Actions=[{"Type": "forward", "TargetGroupArn": {"Ref": "Targets"}}],
        )
        targets = resource("AWS::ElasticLoadBalancingV2::TargetGroup", Port=4000, Protocol="HTTP", TargetType="ip")
        made = {"Balancer": balancer(scheme=scheme), "Listener": listener, "Rule": rule, "Targets": targets}
        return json.dumps({"Resources": made})

    cloudformation = aws(emulator, "cloudformation", PREPARED)
    cloudformation.create_stack(StackName="edge", TemplateBody=stack("internal"))
    assert _ended(cloudformation, "stack_create_complete", "edge")[0] == "CREATE_COMPLETE"
    cloudformation.update_stack(StackName="edge", TemplateBody=stack("internet-facing"))
    state, reasons = _ended(cloudformation, "stack_update_complete", "edge")
    assert state == "UPDATE_ROLLBACK_COMPLETE"
    assert any("cannot be associated with more than one load balancer" in reason for reason in reasons)


def test_a_new_account_is_in_the_sandbox_of_ses(emulator: Emulator) -> None:
    ses = aws(emulator, "sesv2")

    def send(to: str) -> None:
        ses.send_email(
            FromEmailAddress="gateway@example.com",
            Destination={"ToAddresses": [to]},
            Content={"Simple": {"Subject": {"Data": "any"}, "Body": {"Text": {"Data": "any"}}}},
        )

    ses.create_email_identity(EmailIdentity="example.com")
    account = ses.get_account()
    assert (account["ProductionAccessEnabled"], account["SendQuota"]["Max24HourSend"]) == (False, 200)
    send("somebody@mail.example.com")
    send("success@simulator.amazonses.com")
    with pytest.raises(ClientError) as refused:
        send("somebody@example.org")
    assert refused.value.response["Error"] == {
        "Code": "MessageRejected",
        "Message": "Email address is not verified. The following identities failed the check in region "
        f"{REGION.upper()}: somebody@example.org",
    }
    ses.put_account_details(
        MailType="TRANSACTIONAL", WebsiteURL="https://llm.example.com", ProductionAccessEnabled=True
    )
    send("somebody@example.org")
    assert ses.get_account()["ProductionAccessEnabled"]
    assert aws(emulator, "sesv2", PREPARED).get_account()["ProductionAccessEnabled"]
