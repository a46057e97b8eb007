"""The rules that every template must obey are applied to whatever there is: `tests/company/test_rules.py` asks them."""

import json
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

import app
from tests.company.rules import lint
from tests.company.synthesis import REPORT


def test_the_rules_can_fail(tmp_path: Path) -> None:
    """With everything written, so that what breaks a rule can be told by the report."""
    cdk_app = cdk.App(outdir=str(tmp_path))
    app.apply_rules(cdk_app)
    s3.Bucket(cdk.Stack(cdk_app, "Bad"), "WithoutAccessLogs")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        cdk_app.synth()
    (plugin,) = json.loads((tmp_path / REPORT).read_text())["pluginReports"]
    assert "AwsSolutions-S1" in {violation["ruleName"] for violation in plugin["violations"]}
    assert (tmp_path / "Bad.template.json").is_file()


def test_cfn_lint_can_fail(tmp_path: Path) -> None:
    """Twice: what it has found is not remembered as well."""
    bad = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Delay": 1}}}}
    (tmp_path / "Bad.template.json").write_text(json.dumps(bad))
    assert "E3002" in lint(tmp_path)
    assert "E3002" in lint(tmp_path)
