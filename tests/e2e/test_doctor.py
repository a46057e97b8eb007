"""What operators ask of a running environment: whether all is well in its account, and whether anything has drifted."""

import os
import subprocess
import sys

from local.gateway import CONCURRENT_FUNCTIONS, LocalGateway
from stacks import CHECKOUT


def _run(gateway: LocalGateway, command: str, *arguments: str) -> tuple[int, str]:
    run = subprocess.run(
        [sys.executable, "-m", f"ops.{command}", "--env", gateway.environment.name, *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **gateway.access},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    return run.returncode, run.stdout


# What a new account of AWS is, and the emulated one too.
NEW_ACCOUNT = "quota: Lambda concurrency"


def _problems(out: str) -> list[str]:
    found = [line.removeprefix("  problem ").strip() for line in out.splitlines() if line.startswith("  problem ")]
    assert [line for line in found if line.startswith(NEW_ACCOUNT)], out
    return [line for line in found if not line.startswith(NEW_ACCOUNT)]


def test_all_is_well_in_the_emulated_account_but_that_it_is_new(gateway: LocalGateway) -> None:
    code, out = _run(gateway, "doctor")
    assert code == 1, out
    assert _problems(out) == []
    assert f"{CONCURRENT_FUNCTIONS} functions at once in the whole account" in out
    for what in ("bootstrap", "secrets", "hosted zone", "mail", "quota: VPCs", "Bedrock: anthropic.claude-opus-5-5"):
        assert any(line.startswith("  ok ") and what in line for line in out.splitlines()), what


def test_a_missing_secret_is_a_problem_with_its_name(gateway: LocalGateway) -> None:
    ssm = gateway.client("ssm")
    name, value = gateway.environment.parameter("DD_APP_KEY"), gateway.secret("DD_APP_KEY")
    ssm.delete_parameter(Name=name)
    try:
        code, out = _run(gateway, "doctor")
    finally:
        ssm.put_parameter(Name=name, Value=value, Type="SecureString")
    assert code == 1, out
    (line,) = _problems(out)
    assert line.endswith("missing: DD_APP_KEY")
    assert "-> run `make secrets ENV=local`." in out
    assert value not in out


def test_what_was_changed_by_hand_has_drifted(gateway: LocalGateway) -> None:
    assert _run(gateway, "drift")[0] == 0
    logs = gateway.client("logs")
    resources = gateway.client("cloudformation").describe_stack_resources(StackName="litellm-local-network")
    (group,) = (
        resource for resource in resources["StackResources"] if resource["ResourceType"] == "AWS::Logs::LogGroup"
    )
    name = group["PhysicalResourceId"]
    (before,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    logs.put_retention_policy(logGroupName=name, retentionInDays=3)
    try:
        code, out = _run(gateway, "drift")
    finally:
        logs.put_retention_policy(logGroupName=name, retentionInDays=before["retentionInDays"])
    assert code == 1, out
    assert f"litellm-local-network: {group['LogicalResourceId']} (AWS::Logs::LogGroup) {name}\n" in out
    assert f"    /RetentionInDays: {before['retentionInDays']} -> 3\n" in out
    assert _run(gateway, "drift")[0] == 0
