"""ops/stateful.py: which types hold data, and which changes lose it.

The sentences of whole templates are in test_changes.py, those of the record in tests/templates/test_stateful.py.
"""

import math
from typing import Any

import pytest

from ops.diff import Pair, differences, models
from ops.stateful import ADDITIONAL, HOLDS, Guard, Loss, kept, losses, policy, stateful_types

BUCKET = {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain", "Properties": {}}


def template(**resources: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"Resources": resources}


def resource(kind: str, **properties: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"Type": kind, "Properties": properties}


def lost(old: dict[str, Any], new: dict[str, Any] | None) -> list[Loss]:
    return list(losses(differences([Pair("Gateway", old, new)])))


def test_the_types_are_those_of_cfn_lint_and_ours() -> None:
    assert {"AWS::RDS::DBCluster", "AWS::KMS::Key", "AWS::SQS::Queue", *ADDITIONAL} <= stateful_types()
    assert "AWS::Lambda::Function" not in stateful_types()
    assert stateful_types() - ADDITIONAL  # cfn-lint's file is where it was
    assert HOLDS.keys() <= stateful_types()


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        (resource("AWS::RDS::DBCluster"), "DeletionPolicy", "Snapshot"),
        (resource("AWS::RDS::DBCluster"), "UpdateReplacePolicy", "Delete"),
        (resource("AWS::RDS::DBInstance"), "DeletionPolicy", "Snapshot"),
        (resource("AWS::RDS::DBInstance", DBClusterIdentifier="c"), "DeletionPolicy", "Delete"),
        (resource("AWS::S3::Bucket"), "DeletionPolicy", "Delete"),
        (BUCKET, "DeletionPolicy", "Retain"),
    ],
)
def test_what_cloudformation_takes_without_a_policy(given: dict[str, Any], name: str, expected: str) -> None:
    assert policy(given, name) == expected


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (resource("AWS::Logs::LogGroup"), resource("AWS::Logs::LogGroup", RetentionInDays=14), "unlimited becomes 14"),
        (
            resource("AWS::SQS::Queue"),
            resource("AWS::SQS::Queue", MessageRetentionPeriod=60),
            "MessageRetentionPeriod 345600 becomes 60",
        ),
        (
            resource("AWS::KMS::Key"),
            resource("AWS::KMS::Key", Enabled=False, PendingWindowInDays=7),
            "Enabled on becomes off, PendingWindowInDays 30 becomes 7",
        ),
        (
            resource("AWS::DynamoDB::Table", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}),
            resource("AWS::DynamoDB::Table"),
            "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled on becomes off",
        ),
        (
            resource("AWS::S3::Bucket", VersioningConfiguration={"Status": "Enabled"}),
            resource("AWS::S3::Bucket", VersioningConfiguration={"Status": "Suspended"}),
            "VersioningConfiguration.Status on becomes off",
        ),
        (
            resource("AWS::S3::Bucket", LifecycleConfiguration={"Rules": [{"ExpirationInDays": 30}]}),
            resource("AWS::S3::Bucket", LifecycleConfiguration={"Rules": [{"ExpirationInDays": 7}]}),
            "LifecycleConfiguration changes, so that some may be deleted sooner",
        ),
        (
            resource("AWS::RDS::DBCluster", BackupRetentionPeriod=7),
            resource("AWS::RDS::DBCluster", BackupRetentionPeriod={"Ref": "Days"}),
            "BackupRetentionPeriod 7 becomes unknown",
        ),
    ],
)
def test_weaker_protection(before: dict[str, Any], after: dict[str, Any], says: str) -> None:
    (loss,) = lost(template(It=before), template(It=after))
    assert loss.kind == "unprotected"
    assert says in loss.happens
    assert loss.instead.startswith("put ")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (resource("AWS::Logs::LogGroup", RetentionInDays=14), resource("AWS::Logs::LogGroup")),
        (
            resource("AWS::RDS::DBCluster", BackupRetentionPeriod=7),
            resource("AWS::RDS::DBCluster", BackupRetentionPeriod=35),
        ),
        (
            resource("AWS::S3::Bucket", LifecycleConfiguration={"Rules": [{"ExpirationInDays": 7}]}),
            resource("AWS::S3::Bucket", LifecycleConfiguration={"Rules": [{"ExpirationInDays": 30}]}),
        ),
        (
            resource("AWS::S3::Bucket", LifecycleConfiguration={"Rules": [{"ExpirationInDays": 7}]}),
            resource("AWS::S3::Bucket"),
        ),
        (resource("AWS::S3::Bucket"), BUCKET),
    ],
)
def test_stronger_protection_is_no_loss(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert lost(template(It=before), template(It=after)) == []


def test_the_worse_of_two_policies_is_expected() -> None:
    before = BUCKET | {"Properties": {"BucketName": "a"}}
    after = BUCKET | {"Properties": {"BucketName": "b"}, "UpdateReplacePolicy": "Delete"}
    (loss,) = lost(template(It=before), template(It=after))
    assert loss.happens == "is replaced by a new one, because BucketName changes: the old one is deleted"


def test_what_only_may_replace() -> None:
    before = resource("AWS::RDS::DBInstance", DBClusterIdentifier="c", AvailabilityZone="a")
    after = resource("AWS::RDS::DBInstance", DBClusterIdentifier="c", AvailabilityZone="b")
    (loss,) = lost(template(It=before), template(It=after))
    assert loss.happens.startswith("may be replaced by a new one, because AvailabilityZone changes")


def test_a_fixed_name_lets_a_replacement_fail() -> None:
    before = resource("AWS::RDS::DBCluster", DBClusterIdentifier="one", StorageEncrypted=True)
    after = resource("AWS::RDS::DBCluster", DBClusterIdentifier="one", StorageEncrypted=False)
    (loss,) = lost(template(It=before), template(It=after))
    assert loss.happens.endswith("or rather the deployment fails, since no second one can be called one")


def test_a_replacement_is_followed_to_what_refers_to_it() -> None:
    def stack(subnets: str) -> dict[str, Any]:
        return template(
            Subnets=resource("AWS::RDS::DBSubnetGroup", DBSubnetGroupName=subnets),
            It=resource("AWS::RDS::DBCluster", DBSubnetGroupName={"Ref": "Subnets"}),
        )

    (loss,) = lost(stack("a"), stack("b"))
    assert "because DBSubnetGroupName changes" in loss.happens
    assert loss.instead == "leave what it refers to as it is; or copy the data first"


def test_a_type_cannot_change() -> None:
    (loss,) = lost(template(It=BUCKET), template(It=resource("AWS::SNS::Topic")))
    assert loss.happens.startswith("is replaced by a new one, because its type changes")


def test_what_holds_no_data_may_go() -> None:
    assert lost(template(It=resource("AWS::SNS::Topic")), template(Other=BUCKET)) == []


def test_two_that_could_have_taken_its_place_are_not_guessed_at() -> None:
    queue = resource("AWS::SQS::Queue")
    (loss,) = lost(template(It=queue), template(One=queue, Two=queue))
    assert loss.happens == "is deleted"
    assert "keep it in the stack" in loss.instead


def test_termination_protection() -> None:
    before_and_after = Pair("Database", template(It=BUCKET), template(It=BUCKET), protected=(True, False))
    (loss,) = losses(differences([before_and_after]))
    assert str(loss) == (
        "Database: the stack loses its termination protection: one command can delete it with all that is in it."
    )


def test_a_flag_that_only_a_deployment_knows() -> None:
    assert Guard(("DeletionProtection",)).strength(resource("AWS::RDS::DBCluster", DeletionProtection="true")) == 1
    unknown = Guard(("DeletionProtection",)).strength(
        resource("AWS::RDS::DBCluster", DeletionProtection={"Fn::If": ["A", True, False]})
    )
    assert math.isnan(unknown)


def test_what_is_kept_of_a_template() -> None:
    known = models(frozenset({"AWS::RDS::DBCluster", "AWS::RDS::DBSubnetGroup", "AWS::SNS::Topic"}))
    found = kept(
        template(
            Topic=resource("AWS::SNS::Topic"),
            Unused=resource("AWS::RDS::DBSubnetGroup", DBSubnetGroupName="unused"),
            Cluster=resource(
                "AWS::RDS::DBCluster",
                DBSubnetGroupName={"Ref": "Subnets"},
                EngineVersion="17.7",
                DeletionProtection=True,
            ),
            Subnets=resource("AWS::RDS::DBSubnetGroup", DBSubnetGroupName="used", SubnetIds=["subnet-1"]),
        ),
        known,
    )
    assert found == {
        "Cluster": {
            "Type": "AWS::RDS::DBCluster",
            "DeletionPolicy": "Snapshot",
            "UpdateReplacePolicy": "Delete",
            "Properties": {"DBSubnetGroupName": {"Ref": "Subnets"}, "DeletionProtection": True},
        },
        "Subnets": {"Type": "AWS::RDS::DBSubnetGroup", "Properties": {"DBSubnetGroupName": "used"}},
    }
