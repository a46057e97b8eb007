"""The region is gone, as docs/operations/region-gone.md has it: made ready, lost, and brought up in the second one.

Prod of the company `two-accounts`, by the operators' commands in a checkout of its own, whose settings are edited as
the page says. The gateway of the second region has what the first one had until the copy: who had a key calls with it.
It happens once (`history`), and each test looks at one side of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local import assets
from local.gateway import CDK, LocalGateway, outside_of, start_emulator
from stacks.company import Company, load
from tests.checkout import copy_checkout
from tests.e2e.conftest import eventually

OWN = "tests/companies/two-accounts"
TOKYO, OSAKA = "ap-northeast-1", "ap-northeast-3"
DATABASE = "litellm-prod"
Edits = Mapping[str, str]
READY: Edits = {
    "    Bedrock,\n": "    Bedrock,\n    Copies,\n    Database,\n",
    "        deletion_protection=False,\n": "        deletion_protection=False,\n"
    f'        database=Database(reader=True, copies=Copies(region="{OSAKA}", every_hours=24, days=7)),\n',
}
MOVED: Edits = {
    "        account=account,\n": f'        account=account,\n        region="{OSAKA}",\n',
    f'zones=("{TOKYO}a", "{TOKYO}c")': f'zones=("{OSAKA}a", "{OSAKA}c")',
    f', copies=Copies(region="{OSAKA}", every_hours=24, days=7)': "",
    "    Copies,\n": "",
}
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class History:
    """What happened."""

    tokyo: LocalGateway
    osaka: LocalGateway
    key: str
    """Of somebody, made in Tokyo."""
    spend: float
    """Of theirs there, before the copy."""
    late: str
    """A key that was made after the copy."""
    done: Mapping[str, Done]
    """The commands, by what they are."""


class Checkout:
    """A checkout of the company's, in which somebody edits and runs commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        copy_checkout(folder)

    def edit(self, edits: Edits) -> Company:
        """Edit the settings; the company that it has then."""
        file = self.folder / OWN / "environments.py"
        text = file.read_text()
        for old, new in edits.items():
            assert old in text, old
            text = text.replace(old, new)
        file.write_text(text)
        return load(self.folder / OWN)

    def run(self, gateway: LocalGateway, *command: str) -> Done:
        """Run a command for the gateway's environment."""
        own = {"COMPANY": OWN, "CDK_VALIDATION": "false", "CDK_DISABLE_CLI_TELEMETRY": "true"}
        environment = {**os.environ, **own, **gateway.access}
        began = time.monotonic()
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        print(f"{time.monotonic() - began:.0f} s: {' '.join(command[1:])}")
        return done

    def ops(self, gateway: LocalGateway, module: str, *arguments: str) -> Done:
        """Run an operators' command on prod."""
        return self.run(gateway, sys.executable, "-m", f"ops.{module}", *arguments)


def well(done: Done) -> Done:
    assert done.returncode == 0, f"{done.args}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Make it ready in Tokyo, lose Tokyo, and bring it up in Osaka."""
    folder = tmp_path_factory.mktemp("region-gone")
    checkout = Checkout(folder / "checkout")
    ready = checkout.edit(READY)
    moved_checkout = Checkout(folder / "moved")
    moved_checkout.edit(READY)
    moved = moved_checkout.edit(MOVED)
    with ExitStack() as running:
        prod = ready.environments["prod"]
        outside = running.enter_context(outside_of(prod, prod.litellm_config(ready.config), folder / "outside"))
        tokyo = LocalGateway(folder / "tokyo", own=ready, environment=prod, outside=outside, checkout=checkout.folder)
        osaka = LocalGateway(
            folder / "osaka",
            own=moved,
            environment=moved.environments["prod"],
            outside=outside,
            checkout=moved_checkout.folder,
        )
        database = running.enter_context(ExitStack())  # to be ended after the tasks that use it
        emulator = start_emulator(folder / "aws", outside, tokyo, osaka)
        running.callback(emulator.stop)
        for gateway in (tokyo, osaka):
            gateway.use(emulator)
        tokyo.store_secrets()
        postgres = tokyo.start_postgres()
        database.callback(postgres.stop)

        done: dict[str, Done] = {}
        cdk = ("node", str(CDK))
        targets = (f"aws://{prod.account}/{region}" for region in (TOKYO, OSAKA))
        well(checkout.run(tokyo, *cdk, "bootstrap", *targets, "--app", "", "--no-notices"))
        well(checkout.run(tokyo, *cdk, "deploy", "Copies-prod", "--require-approval", "never", "--no-notices"))
        well(checkout.run(tokyo, *cdk, "synth", "--quiet", "-c", "environments=prod"))
        assets.share(checkout.folder / "cdk.out")
        well(checkout.ops(tokyo, "release", "deploy", "--env", "prod", "--app", "cdk.out", "--yes"))
        done["prepare"] = well(checkout.ops(tokyo, "restoring", "--env", "prod", "--prepare"))
        key, user = tokyo.user_key("somebody@example.com"), "somebody@example.com"
        ask(tokyo, key)
        spend = eventually(lambda: spent(tokyo, user))
        copy(tokyo)
        late = tokyo.user_key("late@example.com")
        done["doctor"] = checkout.ops(tokyo, "doctor", "--env", "prod")
        done["rehearsal"] = checkout.ops(tokyo, "restoring", "--env", "prod", "--rehearse", "--yes-i-mean", "prod")

        lose(tokyo, postgres)
        emulator.lose(TOKYO)
        restore = ("restoring", "--env", "prod", "--region", OSAKA)
        done["dry run"] = moved_checkout.ops(osaka, *restore, "--dry-run")
        done["restore"] = moved_checkout.ops(osaka, *restore, "--yes-i-mean", "prod")
        done["again"] = moved_checkout.ops(osaka, *restore, "--yes-i-mean", "prod", "--go-on")
        yield History(tokyo, osaka, key, spend, late, done)


def ask(gateway: LocalGateway, key: str) -> None:
    body = {"model": "nova-2-lite", "messages": [{"role": "user", "content": "Hello"}]}
    answer = gateway.api("POST", "/v1/chat/completions", key=key, json=body)
    assert answer.is_success, answer.text


def spent(gateway: LocalGateway, user: str) -> float:
    answer = gateway.api("GET", "/user/info", params={"user_id": user})
    return float(answer.json()["user_info"]["spend"])


def copy(gateway: LocalGateway) -> None:
    """What AWS Backup does at the hours of the deployed plan, by the role and into the vaults that it names."""
    backup, rds = gateway.client("backup"), gateway.client("rds")
    (plan,) = backup.list_backup_plans()["BackupPlansList"]
    (rule,) = backup.get_backup_plan(BackupPlanId=plan["BackupPlanId"])["BackupPlan"]["Rules"]
    (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=DATABASE)["DBClusters"]
    stack = (
        gateway.client("cloudformation")
        .get_paginator("list_stack_resources")
        .paginate(StackName=f"{DATABASE}-database")
    )
    (role,) = (
        each["PhysicalResourceId"]
        for page in stack
        for each in page["StackResourceSummaries"]
        if each["LogicalResourceId"].startswith("CopiesRole") and each["ResourceType"] == "AWS::IAM::Role"
    )
    role_arn = gateway.client("iam").get_role(RoleName=role)["Role"]["Arn"]
    vault = rule["TargetBackupVaultName"]
    taken = backup.start_backup_job(BackupVaultName=vault, ResourceArn=cluster["DBClusterArn"], IamRoleArn=role_arn)
    for action in rule["CopyActions"]:
        job = backup.start_copy_job(
            RecoveryPointArn=taken["RecoveryPointArn"],
            SourceBackupVaultName=vault,
            DestinationBackupVaultArn=action["DestinationBackupVaultArn"],
            IamRoleArn=role_arn,
        )
        assert backup.describe_copy_job(CopyJobId=job["CopyJobId"])["CopyJob"]["State"] == "COMPLETED"


def lose(gateway: LocalGateway, postgres: Any) -> None:  # noqa: ANN401 - local.postgres.Postgres
    """End what runs in the region: tasks, and the database."""
    ecs = gateway.client("ecs")
    cluster, service = gateway.secret("cluster"), gateway.secret("service")
    ecs.update_service(cluster=cluster, service=service, desiredCount=0)
    assert eventually(lambda: not ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"])
    postgres.stop()


def test_who_had_a_key_calls_with_it_in_the_other_region(history: History) -> None:
    well(history.done["restore"])
    ask(history.osaka, history.key)
    assert eventually(lambda: spent(history.osaka, "somebody@example.com") > history.spend)


def test_what_came_after_the_copy_is_lost(history: History) -> None:
    body = {"model": "nova-2-lite", "messages": [{"role": "user", "content": "Hello"}]}
    assert history.osaka.api("POST", "/v1/chat/completions", key=history.late, json=body).status_code == 401


def test_doctor_says_that_the_second_region_is_ready(history: History) -> None:
    said = "\n".join(each for each in history.done["doctor"].stdout.splitlines() if "second region" in each)
    assert f"{OSAKA} has a copy of" in said
    assert "second region, bootstrap" in said


def test_each_step_is_said_before_it_is_done(history: History) -> None:
    said = well(history.done["dry run"]).stdout
    assert f"{DATABASE}-network and {DATABASE}-database are deployed in {OSAKA}, empty" in said
    assert "llm.prod.example.com. A" in said
    assert "Nothing was done, as --dry-run says." in said


def test_a_second_run_changes_nothing(history: History) -> None:
    assert "the smoke test" in well(history.done["again"]).stdout
    clusters = history.osaka.client("rds").describe_db_clusters()["DBClusters"]
    assert sorted(each["DBClusterIdentifier"] for each in clusters) == [DATABASE, f"{DATABASE}-old"]


def test_cloudformation_finds_what_it_made(history: History) -> None:
    rds, cloudformation = history.osaka.client("rds"), history.osaka.client("cloudformation")
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=f"{DATABASE}-database")
    made = {
        each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::RDS::DBInstance"
    }
    (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=DATABASE)["DBClusters"]
    assert {member["DBInstanceIdentifier"] for member in cluster["DBClusterMembers"]} == made
    assert len(made) == 2


def test_the_same_region_is_rehearsed_without_a_trace(history: History) -> None:
    said = well(history.done["rehearsal"]).stdout
    assert f"{DATABASE}-restored: accounts, latest call, migrations: " in said
    decided = [json.loads(line) for line in history.osaka.emulator.decisions.read_text().splitlines()]
    copying = {(one["action"], one["allowed"]) for one in decided if "/AWSBackup-Job" in one["principal"]}
    assert ("rds:CopyDBClusterSnapshot", True) in copying
    assert all(allowed for _, allowed in copying)
