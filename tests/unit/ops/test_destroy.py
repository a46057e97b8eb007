"""ops/destroy.py: what it refuses, whom it asks, what it removes in which order, and what it says of the rest."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ops import deletion, destroy
from ops.access import OpsError
from ops.destroy import Account
from stacks.company import environments
from tests.unit.fake_aws import Answers, FakeAws, refusal

DEV = environments()["dev"]
NOW = datetime(2026, 11, 24, tzinfo=UTC)
ARN = "arn:aws:cloudformation:ap-northeast-1:111111111111:stack"
NAMES = ("network", "database", "gateway")  # in the order of deployment
KEY, BUCKET = "01234567-89ab-cdef-0123-456789abcdef", "litellm-dev-gateway-edgeaccesslogs"


def stack(name: str, status: str = "CREATE_COMPLETE", *, protected: bool = False) -> dict[str, Any]:
    return {
        "StackName": f"litellm-dev-{name}",
        "StackId": f"{ARN}/litellm-dev-{name}/1",
        "StackStatus": status,
        "CreationTime": NOW,
        "EnableTerminationProtection": protected,
    }


def event(name: str, status: str, logical_id: str = "", kind: str = "", physical: str = "", reason: str = "") -> Any:  # noqa: ANN401 - an event
    identity = f"{ARN}/litellm-dev-{name}/1"
    return {
        "StackId": identity,
        "EventId": f"{logical_id}-{status}",
        "StackName": f"litellm-dev-{name}",
        "LogicalResourceId": logical_id or f"litellm-dev-{name}",
        "ResourceType": kind or "AWS::CloudFormation::Stack",
        "PhysicalResourceId": physical or ("" if logical_id else identity),
        "Timestamp": NOW,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def assembly(folder: Path) -> str:
    """An assembly with the stacks of dev, each on top of the one before it."""
    artifacts = {
        name: {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{DEV.account}/{DEV.region}",
            "displayName": f"dev/{name.title()}",
            "properties": {"templateFile": f"{name}.template.json", "stackName": f"litellm-dev-{name}"},
            "dependencies": list(NAMES[:number]),
        }
        for number, name in enumerate(NAMES)
    }
    (folder / "manifest.json").write_text(json.dumps({"version": "1", "artifacts": artifacts}))
    return str(folder)


class Aws(FakeAws):
    """An account where dev is deployed, until the CDK CLI is called."""

    def __init__(self, *, stacks: list[dict[str, Any]] | None = None, more: Answers | None = None) -> None:
        self.stacks = [stack(name) for name in NAMES] if stacks is None else stacks
        self.destroyed: list[tuple[str, ...]] = []
        self.events: dict[str, list[dict[str, Any]]] = {}
        nothing: Answers = {
            ("sts", "get_caller_identity"): {"Account": DEV.account},
            ("cloudformation", "describe_stacks"): self._describe,
            ("cloudformation", "list_stacks"): {"StackSummaries": []},
            ("cloudformation", "describe_stack_events"): lambda StackName: {"StackEvents": self.events[StackName]},  # noqa: N803 - boto3's
            ("rds", "describe_db_cluster_snapshots"): {"DBClusterSnapshots": []},
            ("ssm", "describe_parameters"): {"Parameters": []},
            ("logs", "describe_log_groups"): {"logGroups": []},
            ("route53", "list_resource_record_sets"): {
                "ResourceRecordSets": [],
                "IsTruncated": False,
                "MaxItems": "300",
            },
        }
        super().__init__(nothing | (more or {}))

    def _describe(self, StackName: str = "") -> Any:  # noqa: N803, ANN401 - boto3's
        found = [each for each in self.stacks if StackName in ("", each["StackName"])]
        return (
            {"Stacks": found} if found or not StackName else refusal("ValidationError", f"{StackName} does not exist")
        )

    def cdk(self, *arguments: str) -> int:
        self.destroyed.append(arguments)
        self.stacks = [each for each in self.stacks if each["StackName"].rpartition("-")[2] not in NAMES]
        return 0


def run(
    aws: Aws,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    ask: Callable[[str], str] | None = None,
    cdk: Callable[..., int] | None = None,
    environment: str = "dev",
) -> tuple[int, str, str]:
    code = destroy.main(["--env", environment, *arguments], session=aws.session, ask=ask, cdk=cdk or aws.cdk)
    return code, *capsys.readouterr()


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)


def test_it_removes_the_stacks_once_the_name_was_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws()
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return " dev "

    code, out, err = run(aws, capsys, "--app", assembly(tmp_path), ask=ask)
    assert (code, err) == (0, "")
    assert asked == ["Type dev to remove it with all of its data: "]
    assert aws.destroyed == [("destroy", "dev/*", "--force", "--app", str(tmp_path), "--no-notices")]
    assert out.startswith("dev: account 111111111111, ap-northeast-1\nWhat will be removed, in this order:\n")
    order = [line.strip() for line in out.splitlines() if line.startswith("  litellm-dev-")]
    assert order == [f"litellm-dev-{name}" for name in reversed(NAMES)]
    assert "the last snapshot of the database, and the KMS key" in out
    assert "at times an hour" in out
    assert "dev is removed.\nWhat is left of dev, and how it is removed:\n" in out
    assert "cdk-hnb659fds-container-assets-111111111111-ap-northeast-1" in out
    assert "releases of account 444444444444" in out


def test_a_second_run_finds_nothing_to_remove(capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws(stacks=[])
    code, out, _ = run(aws, capsys)  # without an assembly, a confirmation or the CDK
    assert code == 0
    assert aws.destroyed == []
    assert out.startswith("dev: nothing is left to remove in account 111111111111.\nWhat is left of dev")


@pytest.mark.parametrize("typed", ["", "prod", "yes"])
def test_another_name_removes_nothing(typed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws()
    code, _, err = run(aws, capsys, "--app", assembly(tmp_path), ask=lambda prompt: typed)
    assert code == 2
    assert err == "destroy: dev was not confirmed, so nothing was removed: type its name.\n"
    assert aws.destroyed == []


def test_the_end_of_input_removes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(prompt: str) -> str:
        raise EOFError

    code, _, err = run(Aws(), capsys, "--app", assembly(tmp_path), ask=ask)
    assert code == 2
    assert "nothing was removed" in err


def test_without_a_terminal_the_name_must_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws, app = Aws(), assembly(tmp_path)
    code, _, err = run(aws, capsys, "--app", app)
    assert code == 2
    assert "--yes-i-mean dev" in err
    assert run(aws, capsys, "--app", app, "--yes-i-mean", "stg")[0] == 2
    assert aws.destroyed == []
    assert run(aws, capsys, "--app", app, "--yes-i-mean", "dev")[0] == 0
    assert len(aws.destroyed) == 1


def test_a_protected_environment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws(more={("sts", "get_caller_identity"): {"Account": environments()["prod"].account}})
    code, out, err = run(aws, capsys, "--yes-i-mean", "prod", environment="prod")
    assert (code, out) == (2, "")
    assert err.startswith("destroy: prod is protected: set deletion_protection=False for it in company/environments.py")
    assert "make deploy ENV=prod" in err
    assert aws.destroyed == []


def test_a_stack_that_is_still_protected_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws(stacks=[stack("network"), stack("database", protected=True)])
    code, _, err = run(aws, capsys, "--app", assembly(tmp_path), "--yes-i-mean", "dev")
    assert code == 2
    assert "litellm-dev-database is still protected, as it was deployed with deletion_protection" in err
    assert aws.destroyed == []


def test_a_stack_outside_of_the_assembly_that_needs_the_others_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps({"Resources": {"X": {"Fn::ImportValue": "litellm-dev-network:Vpc"}}})
    aws = Aws(
        stacks=[*(stack(name) for name in NAMES), stack("onboarding")],
        more={("cloudformation", "get_template"): {"TemplateBody": body}},
    )
    code, _, err = run(aws, capsys, "--app", assembly(tmp_path), "--yes-i-mean", "dev")
    assert code == 2
    assert "litellm-dev-onboarding uses what will be removed, and is not in the assembly" in err
    assert "aws cloudformation delete-stack --region ap-northeast-1 --stack-name litellm-dev-onboarding" in err
    assert aws.destroyed == []


def test_another_stack_that_stands_alone_stays_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws(
        stacks=[*(stack(name) for name in NAMES), stack("github")],
        more={("cloudformation", "get_template"): {"TemplateBody": "{}"}},
    )
    code, out, _ = run(aws, capsys, "--app", assembly(tmp_path), "--yes-i-mean", "dev")
    assert code == 0
    assert len(aws.destroyed) == 1
    assert "  stack: litellm-dev-github\n    aws cloudformation delete-stack --stack-name litellm-dev-github" in out


def test_other_credentials_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws(more={("sts", "get_caller_identity"): {"Account": "999999999999"}})
    code, out, err = run(aws, capsys, "--yes-i-mean", "dev")
    assert (code, out) == (2, "")
    assert "are of account 999999999999, but dev is in 111111111111" in err


def test_a_failure_names_stack_resource_reason_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = Aws()
    group = ("Functions1234", "AWS::EC2::SecurityGroup", "sg-1")
    aws.events[f"{ARN}/litellm-dev-network/1"] = [
        event("network", "DELETE_FAILED", reason="The following resource(s) failed to delete: [Functions1234]."),
        event("network", "DELETE_FAILED", *group, "resource sg-1 has a dependent object"),
        event("network", "DELETE_IN_PROGRESS"),
        event("network", "DELETE_FAILED", "Earlier", "AWS::EC2::VPC", "vpc-1", "of another time"),
    ]

    def cdk(*arguments: str) -> int:
        aws.stacks = [stack("network", "DELETE_FAILED")]
        return 1

    code, out, err = run(aws, capsys, "--app", assembly(tmp_path), "--yes-i-mean", "dev", cdk=cdk)
    assert code == 2
    assert "dev is removed" not in out
    first, *rest = err.splitlines()
    assert first == "destroy: dev is not removed as a whole: litellm-dev-network; see the reasons below."
    assert rest == [
        "  litellm-dev-network: Functions1234 (AWS::EC2::SecurityGroup): resource sg-1 has a dependent object",
        f"    -> {deletion.advice('DependencyViolation')}.",
    ]


def test_a_failure_of_the_cli_itself_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws()
    for name in NAMES:
        aws.events[f"{ARN}/litellm-dev-{name}/1"] = [event(name, "CREATE_COMPLETE")]
    code, _, err = run(aws, capsys, "--app", assembly(tmp_path), "--yes-i-mean", "dev", cdk=lambda *_: 1)
    assert code == 2
    assert "see what the CDK CLI said above, and run it again" in err


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("The bucket you tried to delete is not empty", "empty the bucket"),
        (
            "Export litellm-dev-network:X cannot be deleted as it is in use by litellm-dev-other",
            "remove the stack that",
        ),
        (
            "Cannot delete protected Cluster, please disable deletion protection and try again",
            "deletion_protection=Fals",
        ),
        ("Received response status [FAILED] from custom resource. Message returned: no", "the log of its function"),
        ("Something new", "mend what the reason says"),
    ],
)
def test_each_known_reason_has_its_advice(reason: str, told: str) -> None:
    assert told in deletion.advice(reason)


# --- What stays -----------------------------------------------------------------------------------------------------


def record(name: str, value: str) -> dict[str, Any]:
    return {"Name": f"{name}.", "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": value}]}


def removed(name: str, identity: str) -> dict[str, Any]:
    return {
        "StackName": name,
        "StackId": identity,
        "CreationTime": NOW,
        "DeletionTime": NOW,
        "StackStatus": "DELETE_COMPLETE",
    }


def with_leftovers() -> Aws:
    skipped = [
        event("gateway", "DELETE_SKIPPED", "Key961B73FD", "AWS::KMS::Key", KEY),
        event("gateway", "DELETE_SKIPPED", "EdgeAccessLogs", "AWS::S3::Bucket", BUCKET),
        event("gateway", "DELETE_SKIPPED", "EdgeAccessLogs", "AWS::S3::Bucket", BUCKET),
        event("gateway", "DELETE_SKIPPED", "OldLogs", "AWS::S3::Bucket", "removed-since"),
        event("gateway", "DELETE_SKIPPED", "Table", "AWS::DynamoDB::Table", "requests"),
        event("gateway", "DELETE_COMPLETE", "Cluster", "AWS::RDS::DBCluster", "litellm-dev"),
    ]

    def groups(logGroupNamePrefix: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        name = "/aws/ecs/containerinsights/litellm-dev-gateway-Cluster/performance"
        return {"logGroups": [{"logGroupName": name}] if name.startswith(logGroupNamePrefix) else []}

    def parameters(ParameterFilters: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's
        assert ParameterFilters == [{"Key": "Path", "Option": "Recursive", "Values": ["/litellm/dev"]}]
        return {"Parameters": [{"Name": f"/litellm/dev/SECRET_{number:02}"} for number in range(12)]}

    aws = Aws(
        stacks=[],
        more={
            ("cloudformation", "list_stacks"): {
                "StackSummaries": [removed("litellm-dev-gateway", "1"), removed("litellm-dev2-gateway", "2")]
            },
            ("rds", "describe_db_cluster_snapshots"): {
                "DBClusterSnapshots": [
                    {"DBClusterIdentifier": "litellm-dev", "DBClusterSnapshotIdentifier": "litellm-dev-last"},
                    {"DBClusterIdentifier": "litellm-dev2", "DBClusterSnapshotIdentifier": "of-another"},
                ]
            },
            ("kms", "describe_key"): {"KeyMetadata": {"KeyId": KEY, "KeyState": "Enabled"}},
            ("s3", "head_bucket"): lambda Bucket: refusal("404") if Bucket == "removed-since" else {},  # noqa: N803 - boto3's
            ("ssm", "describe_parameters"): parameters,
            ("logs", "describe_log_groups"): groups,
            ("route53", "list_resource_record_sets"): {
                "ResourceRecordSets": [
                    record("_1.llm.dev.example.com", "_2.acm-validations.aws."),
                    record("_1.other.dev.example.com", "_2.acm-validations.aws."),
                    record("www.llm.dev.example.com", "elsewhere.example.com."),
                ],
                "IsTruncated": False,
                "MaxItems": "300",
            },
        },
    )
    aws.events = {"1": skipped}
    return aws


def test_what_stayed_is_listed_with_the_command_for_each() -> None:
    text = destroy.leftovers(Account(with_leftovers().session, DEV))
    lines = text.splitlines()
    for expected in (
        "aws rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier litellm-dev-last --region ap-northeast-1",
        f"aws kms schedule-key-deletion --key-id {KEY} --pending-window-in-days 30 --region ap-northeast-1",
        f"aws s3 rb s3://{BUCKET} --force --region ap-northeast-1",
        "aws logs delete-log-group --log-group-name "
        "/aws/ecs/containerinsights/litellm-dev-gateway-Cluster/performance --region ap-northeast-1",
        "cdk gc aws://111111111111/ap-northeast-1 --unstable=gc  # what no stack uses any more",
    ):
        assert f"    {expected}" in lines, text
    assert "  AWS::DynamoDB::Table: requests" in lines
    for gone in ("removed-since", "of-another", "other.dev", "www."):
        assert gone not in text
    assert text.count(BUCKET) == 2  # a line and its command


def test_secrets_are_named_by_tens_and_never_read() -> None:
    aws = with_leftovers()
    commands = [kept.command.split() for kept in destroy.secrets(Account(aws.session, DEV))]
    assert [len([word for word in command if word.startswith("/litellm/dev/")]) for command in commands] == [10, 2]
    assert {operation for service, operation, _ in aws.asked if service == "ssm"} == {"describe_parameters"}


def test_the_command_for_a_record_removes_just_that() -> None:
    (kept,) = destroy.validation_records(Account(with_leftovers().session, DEV))
    *_, batch = shlex.split(kept.command)
    assert json.loads(batch)["Changes"] == [
        {"Action": "DELETE", "ResourceRecordSet": record("_1.llm.dev.example.com", "_2.acm-validations.aws.")}
    ]


def test_a_key_that_is_being_deleted_is_not_listed() -> None:
    aws = with_leftovers()
    aws.answers["kms", "describe_key"] = {"KeyMetadata": {"KeyId": KEY, "KeyState": "PendingDeletion"}}
    assert KEY not in destroy.leftovers(Account(aws.session, DEV))


def test_what_cannot_be_looked_up_hides_nothing_else() -> None:
    aws = with_leftovers()
    aws.answers["rds", "describe_db_cluster_snapshots"] = refusal("AccessDenied")
    aws.answers["route53", "list_resource_record_sets"] = refusal("NoSuchHostedZone")
    text = destroy.leftovers(Account(aws.session, DEV))
    assert "  snapshots: not looked up: AWS refused" in text
    assert BUCKET in text


def test_a_name_that_was_given_is_enough() -> None:
    destroy.confirm(DEV, "dev", None)
    with pytest.raises(OpsError, match="dev was not confirmed"):
        destroy.confirm(DEV, "DEV", None)
