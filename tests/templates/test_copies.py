"""Copies of the database in a second region: when, to where, for how long, with which key, and by whose rights."""

from typing import Any, cast

import aws_cdk as cdk
import pytest

import app
from stacks.company import EXAMPLE, company, load
from stacks.copies import hours_of
from stacks.settings import Copies, Database, Environment
from tests.company.synthesis import Templates, context, released
from tests.templates.conftest import Template, only, resources, statements
from tests.templates.synthesis import text

EVERYTHING = load(EXAMPLE.with_name("everything"))
ENVIRONMENT = EVERYTHING.environments["everyone12"]
ACCOUNT, HERE, THERE = ENVIRONMENT.account, ENVIRONMENT.region, "ap-southeast-4"
OF_BACKUP = "AWS::Backup::BackupVault", "AWS::Backup::BackupPlan", "AWS::Backup::BackupSelection"
CLUSTER = f"arn:aws:rds:{HERE}:{ACCOUNT}:cluster:<Cluster>"
TAKEN, COPIED = (f"arn:aws:rds:{region}:{ACCOUNT}:cluster-snapshot:awsbackup:*" for region in (HERE, THERE))
KEYS_THERE = f"arn:aws:kms:{THERE}:{ACCOUNT}:key/*"
VAULT_THERE = f"arn:aws:backup:{THERE}:{ACCOUNT}:backup-vault:litellm-everyone12-copies"


@pytest.fixture(scope="module")
def made() -> Templates:
    return released(EVERYTHING)


@pytest.fixture(scope="module")
def database(made: Templates) -> Template:
    return made["everyone12"]["Database"]


@pytest.fixture(scope="module")
def there(made: Templates) -> Template:
    return made["releases"]["Copies-everyone12"]


def _rule(template: Template) -> dict[str, Any]:
    (rule,) = only(template, "AWS::Backup::BackupPlan")["BackupPlan"]["BackupPlanRule"]
    return cast("dict[str, Any]", rule)


def test_nothing_is_copied_unless_the_settings_say_so(made: Templates) -> None:
    asked = {name for name, each in EVERYTHING.environments.items() if each.database.copies}
    assert asked == {"everyone12"}
    copying = {
        name for name in EVERYTHING.environments if any(resources(made[name]["Database"], kind) for kind in OF_BACKUP)
    }
    assert copying == asked
    assert {name for name in made["releases"] if name.startswith("Copies")} == {"Copies-everyone12"}


def test_a_company_without_releases_has_its_second_region_too() -> None:
    cdk_app = cdk.App(context=context())
    copying = Environment(**dict(company().environments["prod"]) | {"database": Database(copies=Copies(region=THERE))})
    app.keep_copies(cdk_app, _with(copying))
    (stack,) = cdk_app.synth().stacks
    assert (stack.id, stack.stack_name) == ("Copies-prod", "litellm-copies-prod")
    assert (stack.environment.region, stack.environment.account) == (THERE, copying.account)
    assert stack.termination_protection is True


def _with(environment: Environment) -> Any:  # noqa: ANN401 - a company, of which one thing is asked
    return type("Own", (), {"environments": {environment.name: environment}})


def test_the_whole_is_copied_as_often_as_the_settings_say(database: Template) -> None:
    rule = _rule(database)
    assert rule["ScheduleExpression"] == "cron(40 0,6,12,18 * * ? *)"
    assert rule["CopyActions"] == [{"DestinationBackupVaultArn": VAULT_THERE, "Lifecycle": {"DeleteAfterDays": 30}}]
    assert (rule["Lifecycle"], rule["StartWindowMinutes"]) == ({"DeleteAfterDays": 1}, 60)
    (resource,) = only(database, "AWS::Backup::BackupSelection")["BackupSelection"]["Resources"]
    assert text(resource) == CLUSTER


@pytest.mark.parametrize(
    ("every", "hours"),
    [(24, "18"), (12, "6,18"), (8, "2,10,18"), (1, ",".join(map(str, range(24))))],
)
def test_the_hours_are_evenly_over_the_day(every: int, hours: str) -> None:
    assert hours_of(every) == hours


def test_the_vault_there_is_found_by_its_name_and_has_its_own_key(there: Template) -> None:
    vault = only(there, "AWS::Backup::BackupVault")
    assert VAULT_THERE.endswith(f":{vault['BackupVaultName']}")
    assert text(vault["EncryptionKeyArn"]) == "<Key.Arn>"
    key = only(there, "AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True
    assert only(there, "AWS::KMS::Alias")["AliasName"] == "alias/litellm-everyone12-copies"
    # The account's own IAM decides, and nobody else is let in.
    assert [statement["Principal"] for statement in key["KeyPolicy"]["Statement"]] == [
        {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    ]


def test_neither_goes_with_its_stack(there: Template, database: Template) -> None:
    for template in (there, database):
        for kind in ("AWS::Backup::BackupVault", "AWS::KMS::Key"):
            (found,) = (each for each in template["Resources"].values() if each["Type"] == kind)
            assert (found["DeletionPolicy"], found["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_backup_may_do_this_with_this_cluster_and_no_more(database: Template) -> None:
    """What AWS's managed policy for AWS Backup has for Aurora, with the resources named."""
    (role,) = (name for name in resources(database, "AWS::IAM::Role") if name.startswith("CopiesRole"))
    assert resources(database, "AWS::IAM::Role")[role].get("ManagedPolicyArns") is None
    found: dict[tuple[str, str], Any] = {}
    for _, statement in statements(database):
        for action in _listed(statement["Action"]):
            for resource in map(text, _listed(statement["Resource"])):
                assert statement["Effect"] == "Allow"
                found[action, resource] = statement.get("Condition")
    by_alias = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/litellm-everyone12-copies"}}
    for_aws = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    assert found == {
        ("rds:CreateDBClusterSnapshot", CLUSTER): None,
        ("rds:CreateDBClusterSnapshot", TAKEN): None,
        **{
            (f"rds:{action}", resource): None
            for action in ("AddTagsToResource", "ListTagsForResource")
            for resource in (CLUSTER, TAKEN, COPIED)
        },
        **{
            (f"rds:{action}", resource): None
            for action in ("CopyDBClusterSnapshot", "DeleteDBClusterSnapshot")
            for resource in (TAKEN, COPIED)
        },
        ("rds:DescribeDBClusterSnapshots", "*"): None,
        ("rds:DescribeDBClusters", "*"): None,
        ("tag:GetResources", "*"): None,
        ("backup:CopyIntoBackupVault", VAULT_THERE): None,
        ("backup:DescribeBackupVault", VAULT_THERE): None,
        ("kms:DescribeKey", "<Key.Arn>"): None,
        ("kms:CreateGrant", "<Key.Arn>"): for_aws,
        ("kms:DescribeKey", KEYS_THERE): by_alias,
        ("kms:CreateGrant", KEYS_THERE): by_alias | for_aws,
    }


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - a template is JSON
    return value if isinstance(value, list) else [value]
