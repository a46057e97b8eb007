"""Changes that lose data are caught before they ship: the templates against the record in `stateful.json`."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stacks.company import company
from tests.company import stateful
from tests.company.stateful import Record, Verdict, judge, written
from tests.templates.conftest import Template

Templates = dict[str, dict[str, Template]]


# --- The test itself can fail ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record(templates: Templates) -> Record:
    """A record of the templates as they are."""
    return judge({}, templates).record


def after(record: Record, templates: Templates, change: Callable[[Templates], object]) -> Verdict:
    changed = copy.deepcopy(templates)
    change(changed)
    return judge(record, changed)


def find(template: Template, kind: str, begin: str = "") -> tuple[str, dict[str, Any]]:
    return next(
        (key, item) for key, item in template["Resources"].items() if item["Type"] == kind and key.startswith(begin)
    )


def rename(templates: Templates, environment: str, stack: str, kind: str, new: str) -> str:
    old, _ = find(templates[environment][stack], kind)
    templates[environment][stack] = json.loads(
        json.dumps(templates[environment][stack]).replace(f'"{old}"', f'"{new}"')
    )
    return old


def cluster(templates: Templates, environment: str = "prod") -> dict[str, Any]:
    return find(templates[environment]["Database"], "AWS::RDS::DBCluster")[1]


def test_nothing_is_lost_without_a_change(record: Record, templates: Templates) -> None:
    verdict = after(record, templates, lambda _: None)
    assert not verdict.lost
    assert not verdict.behind
    assert json.loads(written(verdict.record)) == verdict.record


def test_another_construct_id(record: Record, templates: Templates) -> None:
    old, _ = find(templates["prod"]["Database"], "AWS::RDS::DBCluster")
    lost = after(
        record, templates, lambda it: rename(it, "prod", "Database", "AWS::RDS::DBCluster", "Aurora12345678")
    ).lost
    assert lost.startswith(
        f"prod: Database: AWS::RDS::DBCluster {old} is deleted, after a last snapshot, and a new one is made: "
        "Aurora12345678. It holds all that LiteLLM knows: users, teams, keys, budgets and spend.\n"
        f'  Instead: keep the logical id, with `.node.default_child.override_logical_id("{old}")` on the new construct'
    )
    assert "cdk refactor" in lost


@pytest.mark.parametrize(
    ("name", "value"),
    [("DBClusterIdentifier", "litellm-new"), ("KmsKeyId", "alias/another"), ("StorageEncrypted", False)],
)
def test_a_property_that_replaces(record: Record, templates: Templates, name: str, value: object) -> None:
    lost = after(record, templates, lambda it: cluster(it)["Properties"].update({name: value})).lost
    assert f" is replaced by a new one, because {name} changes: the old one is deleted, after a last snapshot" in lost
    assert f"Instead: put {name} back; or copy the data first." in lost
    assert ("no second one can be called litellm-prod" in lost) is (name != "DBClusterIdentifier")
    assert "AWS::RDS::DBInstance" in lost  # they follow the cluster


def test_a_key_that_is_gone(record: Record, templates: Templates) -> None:
    key, _ = find(templates["prod"]["Database"], "AWS::KMS::Key")

    def change(it: Templates) -> None:
        del it["prod"]["Database"]["Resources"][key]
        del cluster(it)["Properties"]["KmsKeyId"]

    lost = after(record, templates, change).lost
    assert f"AWS::KMS::Key {key} is orphaned: it stays in the account, but in no stack." in lost
    assert "because KmsKeyId changes" in lost


def test_what_it_refers_to_under_another_id(record: Record, templates: Templates) -> None:
    def change(it: Templates) -> None:
        rename(it, "prod", "Database", "AWS::RDS::DBSubnetGroup", "Subnets12345678")

    lost = after(record, templates, change).lost
    assert "is replaced by a new one, because DBSubnetGroupName changes" in lost


def test_a_removed_bucket(record: Record, templates: Templates) -> None:
    def change(it: Templates) -> None:
        key, _ = find(it["dev"]["Gateway"], "AWS::S3::Bucket")
        del it["dev"]["Gateway"]["Resources"][key]

    lost = after(record, templates, change).lost
    assert lost.startswith("dev: Gateway: AWS::S3::Bucket ")
    assert "is orphaned" in lost
    assert "keep it in the stack" in lost


def test_the_same_in_every_environment_is_said_once(record: Record, templates: Templates) -> None:
    def change(it: Templates) -> None:
        for stacks in it.values():
            key, _ = find(stacks["Onboarding"], "AWS::DynamoDB::Table")
            del stacks["Onboarding"]["Resources"][key]

    lost = after(record, templates, change).lost
    assert lost.count("AWS::DynamoDB::Table") == 1
    assert lost.startswith(f"{', '.join(templates)}: Onboarding: ")


def test_another_stack(record: Record, templates: Templates) -> None:
    def change(it: Templates) -> None:
        key, table = find(it["prod"]["Onboarding"], "AWS::DynamoDB::Table")
        del it["prod"]["Onboarding"]["Resources"][key]
        it["prod"]["Usage"]["Resources"][key] = table

    lost = after(record, templates, change).lost
    assert " in Usage. It holds items" in lost
    assert "Instead: move the deployed one to Usage with `cdk refactor --unstable=refactor`, before all else." in lost


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: cluster(it).update(DeletionPolicy="Delete"), "DeletionPolicy Snapshot becomes Delete"),
        (lambda it: cluster(it).update(UpdateReplacePolicy="Delete"), "UpdateReplacePolicy Snapshot becomes Delete"),
        (
            lambda it: cluster(it)["Properties"].update(DeletionProtection=False, BackupRetentionPeriod=7),
            "DeletionProtection on becomes off, BackupRetentionPeriod 35 becomes 7",
        ),
        (
            lambda it: find(it["prod"]["Gateway"], "AWS::Logs::LogGroup", "Logs")[1]["Properties"].update(
                RetentionInDays=7
            ),
            "RetentionInDays 365 becomes 7",
        ),
    ],
)
def test_weaker_protection(
    record: Record, templates: Templates, change: Callable[[Templates], object], says: str
) -> None:
    lost = after(record, templates, change).lost
    assert f"loses protection: {says}. " in lost
    assert lost.count("\n") == 1  # nothing else, and what to do instead
    assert "  Instead: put " in lost


def test_a_stack_that_is_gone(record: Record, templates: Templates) -> None:
    lost = after(record, templates, lambda it: it["stg"].pop("Onboarding")).lost
    assert "stg: Onboarding: AWS::DynamoDB::Table" in lost
    assert "stays deployed with its stack" in lost


def test_an_environment_that_is_gone(record: Record, templates: Templates) -> None:
    lost = after(record, templates, lambda it: it.pop("stg")).lost
    assert lost.startswith("stg: the environment is in company/environments.py no more, but its stacks stay deployed")
    assert "make destroy ENV=stg" in lost


def test_what_is_new_must_be_recorded(record: Record, templates: Templates) -> None:
    def change(it: Templates) -> None:
        it["dev"]["Usage"]["Resources"]["Archive12345678"] = {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"}

    verdict = after(record, templates, change)
    assert not verdict.lost
    assert verdict.behind == ("dev: Usage: AWS::S3::Bucket Archive12345678",)


def test_stronger_protection_must_be_recorded(record: Record, templates: Templates) -> None:
    """Or it could be lost again unseen."""
    verdict = after(record, templates, lambda it: cluster(it, "dev")["Properties"].update(BackupRetentionPeriod=35))
    assert not verdict.lost
    assert len(verdict.behind) == 1


def test_what_loses_nothing_is_not_recorded(record: Record, templates: Templates) -> None:
    def change(it: Templates) -> None:
        cluster(it)["Properties"]["EngineVersion"] = "17.9"
        cluster(it)["Properties"]["Tags"] = []
        del it["prod"]["Database"]["Outputs"]

    verdict = after(record, templates, change)
    assert not verdict.lost
    assert not verdict.behind


# --- The command ----------------------------------------------------------------------------------------------------


def test_the_command_accepts_a_loss_only_when_it_is_told_to(
    record: Record,
    templates: Templates,
    tmp_path: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed = copy.deepcopy(templates)
    key, _ = find(changed["dev"]["Onboarding"], "AWS::DynamoDB::Table")
    del changed["dev"]["Onboarding"]["Resources"][key]
    file = tmp_path / "stateful.json"
    file.write_text(written(record))
    monkeypatch.setattr(stateful, "company", lambda: replace(company(), folder=tmp_path))
    monkeypatch.setattr(stateful, "everything", lambda _: changed)

    assert stateful.main([]) == 1
    said = capsys.readouterr().out
    assert f"dev: Onboarding: AWS::DynamoDB::Table {key} is deleted." in said
    assert "make stateful ARGS=--accept" in said
    assert file.read_text() == written(record)

    assert stateful.main(["--accept"]) == 0
    assert f"AWS::DynamoDB::Table {key} is deleted." in capsys.readouterr().out
    assert stateful.main([]) == 0
    assert capsys.readouterr().out == "Nothing is lost.\n"
    assert key not in file.read_text().split('"stg"')[0]
