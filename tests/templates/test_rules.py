"""The rules that AWS's and our templates must obey: cdk-nag, CloudFormation's own validation, cfn-lint."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

import app
from stacks.environments import environments
from tests.templates.conftest import CHECKOUT, STACKS, WITHOUT_BUNDLING


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `app.py` wrote, with every rule applied, offline and without credentials."""
    outdir = tmp_path_factory.mktemp("cdk.out")
    context = {"environments": ",".join(environments())} | WITHOUT_BUNDLING
    config = json.loads((CHECKOUT / "cdk.json").read_text())["context"] | context
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(outdir),
        "CDK_OUTDIR": str(outdir),
        "CDK_CONTEXT_JSON": json.dumps(config),
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }
    run = subprocess.run(
        [sys.executable, "app.py"], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return outdir


def _violations(synthesized: Path) -> Iterator[str]:
    report = json.loads((synthesized / "validation-report.json").read_text())
    for plugin in report["pluginReports"]:
        for violation in plugin["violations"]:
            for construct in violation["violatingConstructs"]:
                yield f"{violation['ruleName']} at {construct['constructPath']}"


def test_no_rule_is_violated(synthesized: Path) -> None:
    assert list(_violations(synthesized)) == []


def test_the_rules_can_fail() -> None:
    """An empty list of violations means something only because a bad stack has one."""
    cdk_app = cdk.App()
    app.apply_rules(cdk_app)
    s3.Bucket(cdk.Stack(cdk_app, "Bad"), "WithoutAccessLogs")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        cdk_app.synth()


def test_nothing_was_looked_up(synthesized: Path) -> None:
    assert "missing" not in json.loads((synthesized / "manifest.json").read_text())


def test_cfn_lint(synthesized: Path) -> None:
    found = sorted(synthesized.glob("assembly-*/*.template.json"))
    assert len(found) == len(STACKS) * len(environments())
    # W3005: a DependsOn that a reference implies already: the CDK writes both. W3010: zones are settings.
    run = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", "W3005", "W3010", "--", *map(str, found)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
