"""The rules that every template must obey: cdk-nag, CloudFormation's own validation, cfn-lint."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import remembered
from ops.audit.packs import of_pack
from stacks.company import LOCAL, Company
from tests.company.synthesis import REPORT, as_release, checked

WAYS = ("by hand", "as a release")


@pytest.fixture(scope="module", params=WAYS)
def synthesized(own: Company, request: pytest.FixtureRequest) -> Path:
    """The folder that `app.py` wrote (`checked`).

    By hand it has the local run, whose settings no deployed environment has, and an image that the deployment builds.
    As a release it has every other environment, with an image that is there, and what promotes to them.
    """
    return checked(own, environments=LOCAL) if request.param == WAYS[0] else as_release(own)


TOLD = "Annotation::litellm:"
"""What a synthesis tells of a company's settings, such as a price that changes soon, is to be known and is no rule."""


def _violations(synthesized: Path) -> Iterator[str]:
    report = json.loads((synthesized / REPORT).read_text())
    for plugin in report["pluginReports"]:
        for violation in plugin["violations"]:
            if violation["severity"] == "warning" and violation["ruleName"].startswith(TOLD):
                continue
            if of_pack(violation["ruleName"]):  # whose findings have answers, not acknowledgments: test_findings.py
                continue
            for construct in violation["violatingConstructs"]:
                yield f"{violation['ruleName']} at {construct['constructPath']}"


def test_no_rule_is_violated(synthesized: Path) -> None:
    """An empty list means something because a bad stack has one: `tests/templates/test_rules.py`."""
    assert list(_violations(synthesized)) == []


def test_all_that_is_deployed_is_checked(own: Company, synthesized: Path) -> None:
    manifest = json.loads((synthesized / "manifest.json").read_text())["artifacts"]
    nested = {name.removeprefix("assembly-") for name in manifest if name.startswith("assembly-")}
    assert nested in ({LOCAL}, set(own.environments))
    pipeline = own.releases is not None and own.releases.connection_arn is not None
    assert ("Pipeline" in manifest) == (pipeline and LOCAL not in nested)


def test_nothing_was_looked_up(synthesized: Path) -> None:
    assert "missing" not in json.loads((synthesized / "manifest.json").read_text())


def test_cfn_lint(synthesized: Path) -> None:
    found = sorted(each for place in (".", "assembly-*") for each in synthesized.glob(f"{place}/*.template.json"))
    assert found
    # W3005: a DependsOn that a reference implies already: the CDK writes both. W3010: zones are settings. E3703: passes
    # on as an error that Fn::Sub is nicer than Fn::Join, which CDK Pipelines uses in its actions.
    ignored = ("W3005", "W3010", "E3703")

    rules = remembered.text_of("requirements.txt")
    keys = {each: remembered.digest_of(rules, *ignored, each.read_text("utf-8")) for each in found}
    # Of each by itself, so that a change of one stack has that one looked at; all of those by one process.
    unknown = [each for each in found if not remembered.is_known("cfn-lint", keys[each])]
    if unknown:
        run = subprocess.run(
            [Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", *ignored, "--", *map(str, unknown)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
    for each in unknown:
        remembered.document("cfn-lint", keys[each], lambda: "well")
