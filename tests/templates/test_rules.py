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
from tests.templates.synthesis import IMAGE

CONTEXTS = {
    # As people deploy: here the local run, whose settings no deployed environment has.
    "local": {"environments": "local"},
    # As a build of the pipeline synthesizes: every other environment, and what promotes to them.
    "release": {"image": IMAGE},
}


@pytest.fixture(scope="module", params=CONTEXTS)
def synthesized(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `app.py` wrote, with every rule applied, offline and without credentials."""
    outdir = tmp_path_factory.mktemp("cdk.out")
    context = CONTEXTS[request.param] | WITHOUT_BUNDLING
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


def test_all_that_is_deployed_is_checked(synthesized: Path) -> None:
    manifest = json.loads((synthesized / "manifest.json").read_text())["artifacts"]
    nested = {name.removeprefix("assembly-") for name in manifest if name.startswith("assembly-")}
    assert nested in ({"local"}, set(environments()) - {"local"})
    assert ("Pipeline" in manifest) == ("local" not in nested)


def test_nothing_was_looked_up(synthesized: Path) -> None:
    assert "missing" not in json.loads((synthesized / "manifest.json").read_text())


def test_cfn_lint(synthesized: Path) -> None:
    found = sorted(each for place in (".", "assembly-*") for each in synthesized.glob(f"{place}/*.template.json"))
    assert len(found) >= len(STACKS)
    # W3005: a DependsOn that a reference implies already: the CDK writes both. W3010: zones are settings. E3703: passes
    # on as an error that Fn::Sub is nicer than Fn::Join, which CDK Pipelines uses in its actions.
    ignored = ("W3005", "W3010", "E3703")
    run = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", *ignored, "--", *map(str, found)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
