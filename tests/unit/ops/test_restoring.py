"""`make restore`: the database restored beside the one in use, taking its place, and brought up in another region."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ops import release
from ops.access import OpsError
from ops.assembly import Assembly
from ops.restoring import __main__ as command
from ops.restoring.clusters import Clusters, Second
from ops.secrets import required_secrets
from ops.smoke import Check, Report
from stacks.company import environments
from stacks.settings import Copies, Database, Environment, Network
from tests.unit.fake_aws import Answers, FakeAws, refusal
from tests.unit.ops.fake_rds import LAST, Rds, summaries

PROD = environments()["prod"]
NOW = "litellm-prod"
# As long as CloudFormation makes them: stack, logical id, twelve characters.
WRITER = "litellm-prod-database-clusterwritera91bb273-abcdefghijkl"
READER = "litellm-prod-database-clusterreadera09a3718-abcdefghijkl"
OSAKA = "ap-northeast-3"
TO = "2026-11-24T03:00:00Z"
CHANGES = 14
"""Of a whole restoration: what is made, renamed and run."""
GOOD = Report("prod", (Check("health", True, "it answers", 0.1),))
COPY = f"arn:aws:rds:{OSAKA}:333333333333:cluster-snapshot:awsbackup:copyjob-2"
RECORD = {"Name": "llm.example.com.", "Type": "A", "ResourceRecords": [{"Value": "192.0.2.1"}]}
OTHER_RECORD = {"Name": "www.example.com.", "Type": "A", "ResourceRecords": [{"Value": "192.0.2.2"}]}


def changes(method: str) -> bool:
    """Whether it changes something, by its name."""
    return not method.startswith(("describe", "get", "list"))


class World:
    """An account with prod in it, and what was done with it."""

    def __init__(self, environment: Environment = PROD) -> None:
        self.environment = environment
        self.rds = Rds(NOW, (WRITER, READER))
        self.stacks = {"litellm-prod-database", "litellm-prod-gateway"}
        self.ran: list[dict[str, Any]] = []
        self.exit_code = 0
        self.secrets = dict.fromkeys(required_secrets(environment), "old")
        self.elsewhere: dict[str, str] = {}
        self.removed: list[Any] = []
        self.once: set[str] = {"dashboard", "budget", "Slack"}
        self.cdk: list[str] = []
        self.waited = 0
        there = self.secrets if environment.region == OSAKA else self.elsewhere
        service = {"deployments": [{}], "runningCount": 2, "desiredCount": 2, "networkConfiguration": {}}
        answers: Answers = {
            ("sts", "get_caller_identity"): {"Account": environment.account},
            ("cloudformation", "describe_stacks"): self._stack,
            ("cloudformation", "list_stack_resources"): self._resources,
            **self._parameters(self.secrets),
            **self._parameters(there, f"@{OSAKA}"),
            ("ecs", "describe_services"): {"services": [service]},
            ("ecs", "run_task"): self._run,
            ("ecs", "describe_tasks"): lambda **_: {
                "tasks": [{"lastStatus": "STOPPED", "containers": [{"exitCode": self.exit_code}]}]
            },
            ("ecs", "update_service"): {},
            ("logs", "get_log_events"): {"events": [{"message": "4, 2026-11-24 02:59, 213"}]},
            ("backup", "list_recovery_points_by_backup_vault"): self._points,
            ("route53", "list_resource_record_sets"): {
                "ResourceRecordSets": [RECORD, OTHER_RECORD],
                "IsTruncated": False,
                "MaxItems": "300",
            },
            ("route53", "change_resource_record_sets"): self._change,
            **self._of_the_account(),
            **self.rds.answers(),
        }
        self.aws = FakeAws(answers)

    @property
    def changes(self) -> list[str]:
        """What was asked for that changes something, in its order."""
        return [method for _, method, _ in self.aws.asked if changes(method)]

    def restore(self, *arguments: str, answers: tuple[str, ...] = ("prod", "prod")) -> int:
        given = iter(answers)
        return command.main(
            ["--env", "prod", *arguments],
            session=self.aws.session,
            ask=lambda _: next(given),
            cdk=self._cdk,
            wait=self._wait,
            synthesize=self._assembly,
        )

    @property
    def clusters(self) -> Clusters:
        rds: Any = self.aws.session.client("rds")
        return Clusters(rds, NOW, (WRITER, READER), print, self._wait)

    def _wait(self) -> None:
        self.waited += 1

    def _stack(self, StackName: str) -> Any:  # noqa: ANN401, N803 - boto3's
        if StackName not in self.stacks:
            raise refusal("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [{"StackName": StackName, "StackStatus": "CREATE_COMPLETE", "CreationTime": LAST}]}

    def _resources(self, StackName: str) -> Any:  # noqa: ANN401, N803
        found = {
            "litellm-prod-database": (
                ("ClusterReaderA09A3718", "AWS::RDS::DBInstance", READER),
                ("ClusterWriterA91BB273", "AWS::RDS::DBInstance", WRITER),
                ("ClusterEB0386A7", "AWS::RDS::DBCluster", NOW),
            ),
            "litellm-prod-gateway": (
                ("MigrationTask69EAEF9D", "AWS::ECS::TaskDefinition", "migration:7"),
                ("Logs6819BB44", "AWS::Logs::LogGroup", "logs"),
            ),
        }
        return {"StackResourceSummaries": list(summaries(*found[StackName]))}

    def _parameters(self, values: dict[str, str], region: str = "") -> Answers:
        def get(Name: str, WithDecryption: bool = False) -> Any:  # noqa: ANN401, N803
            return {"Parameter": {"Value": values.get(Name.rsplit("/", 1)[-1], "a-name")}}

        def describe(**_: Any) -> Any:  # noqa: ANN401
            at = {"Type": "SecureString", "Version": 1, "LastModifiedDate": LAST}
            return {"Parameters": [{"Name": f"/litellm/prod/{name}"} | at for name in values]}

        def put(Name: str, Value: str, **_: Any) -> Any:  # noqa: ANN401, N803
            values[Name.rsplit("/", 1)[-1]] = Value
            return {}

        given: dict[str, Callable[..., Any]] = {
            "get_parameter": get,
            "describe_parameters": describe,
            "put_parameter": put,
        }
        return {("ssm", f"{method}{region}"): answer for method, answer in given.items()}

    def _change(self, ChangeBatch: Any, **_: Any) -> Any:  # noqa: ANN401, N803
        self.removed.extend(ChangeBatch["Changes"])
        return {"ChangeInfo": {"Id": "1", "Status": "PENDING", "SubmittedAt": LAST}}

    def _of_the_account(self) -> Answers:
        """What an account has but once, by the names that the template of `_assembly` has, and others'."""

        def dashboards(DashboardNamePrefix: str) -> Any:  # noqa: ANN401, N803
            names = [f"{DashboardNamePrefix}-own", *([DashboardNamePrefix] if "dashboard" in self.once else [])]
            return {"DashboardEntries": [{"DashboardName": name} for name in names]}

        def budget(**_: Any) -> Any:  # noqa: ANN401
            if "budget" not in self.once:
                raise refusal("NotFoundException")
            return {}

        def slack(ChatConfigurationArn: str) -> Any:  # noqa: ANN401, N803
            names = ("SlackTeamName", "SlackTeamId", "SlackChannelId", "SlackChannelName", "IamRoleArn")
            told = {**dict.fromkeys(names, "arn:aws:iam::333333333333:role/any"), "SnsTopicArns": []}
            there = [told | {"ChatConfigurationArn": ChatConfigurationArn}] if "Slack" in self.once else []
            return {"SlackChannelConfigurations": there}

        def gone(kind: str, key: str) -> Callable[..., Any]:
            def remove(**given: Any) -> Any:  # noqa: ANN401
                self.once.remove(kind)
                self.removed.append(given[key])
                return {}

            return remove

        return {
            ("cloudwatch", "list_dashboards"): dashboards,
            ("cloudwatch", "delete_dashboards"): gone("dashboard", "DashboardNames"),
            ("budgets", "describe_budget"): budget,
            ("budgets", "delete_budget"): gone("budget", "BudgetName"),
            ("chatbot", "describe_slack_channel_configurations@us-east-2"): slack,
            ("chatbot", "delete_slack_channel_configuration@us-east-2"): gone("Slack", "ChatConfigurationArn"),
        }

    def _run(self, **given: Any) -> Any:  # noqa: ANN401
        self.ran.append(given)
        return {"tasks": [{"taskArn": "arn:aws:ecs:x:1:task/c/42"}], "failures": []}

    def _points(self, BackupVaultName: str, ByCreatedBefore: datetime | None = None) -> Any:  # noqa: ANN401, N803
        assert BackupVaultName == "litellm-prod-copies"
        points = [
            ("copyjob-1", datetime(2026, 11, 26, 18, 50, tzinfo=UTC), "COMPLETED"),
            ("copyjob-2", datetime(2026, 11, 27, 18, 50, tzinfo=UTC), "COMPLETED"),
            ("copyjob-3", datetime(2026, 11, 28, 18, 50, tzinfo=UTC), "PARTIAL"),
        ]
        return {
            "RecoveryPoints": [
                {"RecoveryPointArn": COPY.replace("copyjob-2", name), "CreationDate": taken, "Status": state}
                for name, taken, state in points
                if ByCreatedBefore is None or taken < ByCreatedBefore
            ]
        }

    def _cdk(self, *arguments: str) -> int:
        self.cdk.append(" ".join(arguments[:2]))
        return 0

    def _assembly(self, name: str) -> Assembly:
        folder = Path(self.folder)
        of_the_region = {"Fn::GetAtt": ["Identity", "DkimDNSTokenName1"]}  # another one in each
        template = {
            "Record": ("AWS::Route53::RecordSet", {"Name": "llm.example.com.", "Type": "A"}),
            "Dkim": ("AWS::Route53::RecordSet", {"Name": of_the_region, "Type": "CNAME"}),
            "Dashboard": ("AWS::CloudWatch::Dashboard", {"DashboardName": "litellm-prod"}),
            "Budget": ("AWS::Budgets::Budget", {"Budget": {"BudgetName": "litellm-prod-80"}}),
            "Slack": ("AWS::Chatbot::SlackChannelConfiguration", {"ConfigurationName": "litellm-prod"}),
            "Bucket": ("AWS::S3::Bucket", {}),
        }
        resources = {name: {"Type": kind, "Properties": own} for name, (kind, own) in template.items()}
        (folder / "gateway.json").write_text(json.dumps({"Resources": resources}))
        artifact = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{PROD.account}/{OSAKA}",
            "displayName": f"{name}/Gateway",
            "properties": {"templateFile": "gateway.json", "stackName": f"litellm-{name}-gateway"},
        }
        (folder / "manifest.json").write_text(json.dumps({"artifacts": {"gateway": artifact}}))
        return Assembly.load(folder)

    folder = ""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(command, "smoke", lambda _: GOOD)
    return World()


def moved(**changes: Any) -> Environment:  # noqa: ANN401 - settings
    """Prod, as its settings are after somebody has named the other region in them."""
    network = Network(zones=(f"{OSAKA}a", f"{OSAKA}c"), cidr=str(PROD.network.cidr))
    return PROD.model_copy(update={"region": OSAKA, "network": network, **changes})


# --- In the same region ---------------------------------------------------------------------------------------------


def test_the_restored_database_takes_the_place_of_the_one_in_use(world: World) -> None:
    assert world.restore("--to", TO) == 0
    assert set(world.rds.clusters) == {NOW, f"{NOW}-old"}
    # The names are CloudFormation's again, with what was restored behind them.
    assert world.rds.clusters[NOW]["DbClusterResourceId"] == f"cluster-{NOW}-restored"
    assert world.rds.members(NOW) == sorted((WRITER, READER))
    assert world.rds.members(f"{NOW}-old") == [f"{NOW}-old-1", f"{NOW}-old-2"]
    assert world.rds.restored_from["RestoreToTime"] == datetime(2026, 11, 24, 3, tzinfo=UTC)
    assert world.changes[-1] == "update_service"


def test_the_restored_database_is_as_its_template_says(world: World) -> None:
    assert world.restore() == 0
    given = world.rds.restored_from
    assert given["UseLatestRestorableTime"] is True
    assert given["Tags"] == [{"Key": "service", "Value": "llm"}]  # those of aws: are AWS's alone
    assert (given["KmsKeyId"], given["DeletionProtection"]) == (world.rds.clusters[NOW]["KmsKeyId"], True)
    writer = world.rds.instances[WRITER]
    assert (writer["PromotionTier"], writer["AutoMinorVersionUpgrade"], writer["AvailabilityZone"]) == (
        0,
        False,
        "ap-northeast-1a",
    )
    # What Parameter Store has today, and for the restored one alone.
    assert world.rds.passwords == {f"cluster-{NOW}-restored": "old"}


def test_a_task_migrates_the_restored_one_and_looks_into_both(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.restore("--to", TO) == 0
    containers = [given["overrides"]["containerOverrides"][0] for given in world.ran]
    hosts = [container["environment"][0]["value"].split(".")[0] for container in containers]
    assert hosts == [f"{NOW}-restored", NOW, f"{NOW}-restored"]
    assert ["command" in container for container in containers] == [False, True, True]
    assert f"{NOW}-restored: accounts, latest call, migrations: 4, 2026-11-24 02:59, 213" in capsys.readouterr().out


def test_a_dry_run_says_each_step_and_what_is_lost_and_does_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.restore("--to", TO, "--dry-run", answers=()) == 0
    said = capsys.readouterr().out
    assert "1. litellm-prod-restored is restored beside litellm-prod, with 2 instances" in said
    assert "litellm-prod becomes litellm-prod-old" in said
    assert "What is lost: everything after 2026-11-24 03:00:00 UTC" in said
    assert world.changes == []


def test_a_rehearsal_touches_nothing_that_is_in_use(world: World) -> None:
    before = dict(world.rds.clusters), dict(world.rds.instances)
    assert world.restore("--rehearse", answers=("prod",)) == 0
    assert (world.rds.clusters, world.rds.instances) == before
    assert len(world.ran) == 3
    assert "update_service" not in world.changes


@pytest.mark.parametrize(("answers", "left"), [(("no",), {NOW}), (("prod", ""), {NOW, f"{NOW}-restored"})])
def test_who_does_not_confirm_has_the_database_in_use_as_it_was(
    world: World, capsys: pytest.CaptureFixture[str], answers: tuple[str, ...], left: set[str]
) -> None:
    assert world.restore(answers=answers) == 2
    assert set(world.rds.clusters) == left
    assert world.rds.members(NOW) == sorted((WRITER, READER))
    said = capsys.readouterr().err
    assert said.startswith("restore: prod was not confirmed")
    assert ("--go-on" in said) == (len(left) > 1)


@pytest.mark.parametrize("done", range(CHANGES))
def test_what_was_interrupted_anywhere_goes_on(world: World, monkeypatch: pytest.MonkeyPatch, done: int) -> None:
    """Before each change of RDS or ECS: the second run ends as one without an interruption."""

    class Asked(list[tuple[str, str, dict[str, Any]]]):
        def append(self, asked: tuple[str, str, dict[str, Any]]) -> None:
            super().append(asked)
            if len(world.changes) > done:
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(world.aws, "asked", Asked())
        assert world.restore("--to", TO) == 130
    assert world.restore("--to", TO, "--go-on") == 0
    assert set(world.rds.clusters) == {NOW, f"{NOW}-old"}
    assert world.rds.clusters[NOW]["DbClusterResourceId"] == f"cluster-{NOW}-restored"
    assert world.rds.members(NOW) == sorted((WRITER, READER))
    assert world.rds.members(f"{NOW}-old") == [f"{NOW}-old-1", f"{NOW}-old-2"]


def test_a_whole_restoration_makes_these_changes(world: World) -> None:
    """So that the test above interrupts each."""
    assert world.restore("--to", TO) == 0
    assert len(world.changes) == CHANGES


def test_what_another_run_left_is_told_and_can_be_removed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.restore(answers=("prod", "")) == 2
    assert world.restore() == 2
    assert "litellm-prod-restored is there already: go on with it (ARGS=--go-on), or" in capsys.readouterr().err
    assert world.restore("--discard", answers=("prod",)) == 0
    assert set(world.rds.clusters) == {NOW}
    assert world.restore() == 0
    assert world.restore() == 2
    assert "litellm-prod-old is there, from the restore before: remove it first" in capsys.readouterr().err


@pytest.mark.parametrize("to", ["2026-10-31T23:59:59Z", "2026-11-28T20:00:01Z"])
def test_a_second_without_a_backup_is_refused(world: World, capsys: pytest.CaptureFixture[str], to: str) -> None:
    assert world.restore("--to", to) == 2
    said = "litellm-prod can be restored to any second from 2026-11-01 00:00:00 UTC to 2026-11-28 20:00:00 UTC"
    assert said in capsys.readouterr().err
    assert world.changes == []


@pytest.mark.parametrize("to", ["yesterday", "2026-11-24T03:00:00", "2026-11-24"])
def test_a_time_without_its_zone_is_refused(world: World, capsys: pytest.CaptureFixture[str], to: str) -> None:
    with pytest.raises(SystemExit):
        world.restore("--to", to)
    assert f"'{to}' is no time with its zone: write it as 2026-11-24T03:00:00Z" in capsys.readouterr().err


def test_a_task_that_fails_ends_it_before_anything_took_a_place(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.exit_code = 1
    assert world.restore() == 2
    assert "failed (exit code 1): its log is the stream litellm/litellm/42" in capsys.readouterr().err
    assert set(world.rds.clusters) == {NOW, f"{NOW}-restored"}


def test_a_cluster_that_cannot_become_available_is_told(world: World) -> None:
    world.rds.clusters[f"{NOW}-restored"] = {"Status": "restore-error"}
    world.rds._state = lambda *_: {}  # type: ignore[method-assign]
    world.rds.members = lambda _: []  # type: ignore[method-assign,assignment]
    with pytest.raises(OpsError, match=r"litellm-prod-restored is restore-error: its events in RDS"):
        world.clusters.make(Second(None), "password")


def test_without_the_stack_the_other_region_is_named(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.stacks.clear()
    assert world.restore() == 2
    assert "no stack litellm-prod-database in ap-northeast-1: if that region is gone, give REGION=…" in (
        capsys.readouterr().err
    )


# --- In another region ----------------------------------------------------------------------------------------------


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """The other region, in which the CDK makes an empty database, and the release is deployed by what deploys it."""
    environment = moved()
    monkeypatch.setattr(command, "environment_named", lambda _: environment)
    result = World(environment)
    result.stacks, result.folder = {"litellm-prod-database"}, str(tmp_path)

    def deploy(arguments: list[str], **_: Any) -> int:  # noqa: ANN401
        result.cdk.append(" ".join(arguments[:3]))
        return 0

    monkeypatch.setattr(release, "main", deploy)
    return result


def test_the_newest_whole_copy_fills_the_database_there(away: World) -> None:
    assert away.restore("--region", OSAKA, answers=("prod",)) == 0
    assert away.rds.restored_from["SnapshotIdentifier"] == COPY
    # Not the copy's key: the one that the template there has.
    assert away.rds.restored_from["KmsKeyId"] == away.rds.clusters[NOW]["KmsKeyId"]
    assert away.rds.clusters[NOW]["DbClusterResourceId"] == f"cluster-{NOW}-restored"
    assert away.cdk == ["deploy prod/Database", "deploy --env prod"]
    # What the account has but once goes, and nothing else.
    assert away.removed == [
        {"Action": "DELETE", "ResourceRecordSet": RECORD},
        ["litellm-prod"],
        "litellm-prod-80",
        "arn:aws:chatbot::333333333333:chat-configuration/slack-channel/litellm-prod",
    ]


def test_what_the_account_has_not_is_not_removed(away: World) -> None:
    away.once.clear()
    assert away.restore("--region", OSAKA, answers=("prod",)) == 0
    assert away.removed == [{"Action": "DELETE", "ResourceRecordSet": RECORD}]


def test_what_will_be_removed_is_said_before(away: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert away.restore("--region", OSAKA, "--dry-run", answers=()) == 0
    said = (
        "record llm.example.com. A, dashboard litellm-prod, budget litellm-prod-80, configuration litellm-prod of Slack"
    )
    assert f"of the region that is gone, is removed: {said}" in capsys.readouterr().out
    assert away.removed == []


def test_an_older_copy_is_taken_for_an_earlier_time(away: World) -> None:
    assert away.restore("--region", OSAKA, "--to", "2026-11-27T00:00:00Z", answers=("prod",)) == 0
    assert away.rds.restored_from["SnapshotIdentifier"].endswith("copyjob-1")


def test_without_a_copy_nothing_is_deployed(away: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert away.restore("--region", OSAKA, "--to", TO) == 2
    assert "litellm-prod-copies in ap-northeast-3 has no whole copy of before 2026-11-24 03:00 UTC" in (
        capsys.readouterr().err
    )
    assert away.cdk == []


def test_a_secret_that_is_not_there_is_named_before_anything_is_deployed(
    away: World, capsys: pytest.CaptureFixture[str]
) -> None:
    del away.secrets["LITELLM_SALT_KEY"]
    assert away.restore("--region", OSAKA) == 2
    said = capsys.readouterr().err
    assert "ap-northeast-3 lacks LITELLM_SALT_KEY: store the values that prod had" in said
    assert away.cdk == []


def test_what_is_filled_already_is_not_filled_again(away: World) -> None:
    assert away.restore("--region", OSAKA, answers=("prod",)) == 0
    before = list(away.rds.clusters)
    away.stacks.add("litellm-prod-gateway")
    away.removed.clear()
    assert away.restore("--region", OSAKA, "--go-on", answers=("prod",)) == 0
    assert list(away.rds.clusters) == before
    assert away.removed == []  # the record is the new gateway's by now


def test_what_is_in_use_by_then_is_never_replaced_by_the_copy(away: World) -> None:
    """Even if the empty one has been removed, by which the command knows that the names have changed hands."""
    assert away.restore("--region", OSAKA, answers=("prod",)) == 0
    away.stacks.add("litellm-prod-gateway")
    for name in away.rds.members(f"{NOW}-old"):
        away.rds.instances.pop(name)
    away.rds.clusters.pop(f"{NOW}-old")
    before = dict(away.rds.clusters)
    assert away.restore("--region", OSAKA, "--go-on", answers=("prod",)) == 0
    assert away.rds.clusters == before


def test_a_gateway_that_is_there_is_not_restored_over(away: World, capsys: pytest.CaptureFixture[str]) -> None:
    away.stacks.add("litellm-prod-gateway")
    assert away.restore("--region", OSAKA) == 2
    assert "prod is deployed in ap-northeast-3 already" in capsys.readouterr().err


def test_the_settings_decide_where_it_is(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.restore("--region", OSAKA) == 2
    said = capsys.readouterr().err
    assert 'prod is in ap-northeast-1 by its settings: write region="ap-northeast-3", network.zones' in said
    assert world.changes == []


# --- Made ready -----------------------------------------------------------------------------------------------------


def test_secrets_are_carried_over_once(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copying = PROD.model_copy(update={"database": Database(copies=Copies(region=OSAKA))})
    monkeypatch.setattr(command, "environment_named", lambda _: copying)
    assert world.restore("--prepare") == 0
    assert world.elsewhere == world.secrets
    assert "LITELLM_SALT_KEY" in capsys.readouterr().out
    world.secrets["AZURE_API_KEY"] = "new"
    assert world.restore("--prepare") == 0
    assert world.elsewhere == world.secrets
    assert "stored now: AZURE_API_KEY." in capsys.readouterr().out
    assert "old" not in capsys.readouterr().out  # no value is ever printed


def test_without_a_second_region_there_is_nothing_to_make_ready(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "environment_named", lambda _: PROD.model_copy(update={"database": Database()}))
    assert world.restore("--prepare") == 2
    assert "prod has no second region: set database.copies" in capsys.readouterr().err
