"""The rules that every template must obey: cdk-nag, CloudFormation's own validation, cfn-lint."""

import json
from pathlib import Path

import pytest

from stacks.company import LOCAL, Company
from tests.company.rules import lint, violations
from tests.company.synthesis import as_release, checked

WAYS = ("by hand", "as a release")


@pytest.fixture(scope="module", params=WAYS)
def synthesized(own: Company, request: pytest.FixtureRequest) -> Path:
    """The folder that `app.py` wrote (`checked`).

    By hand it has the local run, whose settings no deployed environment has, and an image that the deployment builds.
    As a release it has every other environment, with an image that is there, and what promotes to them.
    """
    return checked(own, environments=LOCAL) if request.param == WAYS[0] else as_release(own)


def test_no_rule_is_violated(synthesized: Path) -> None:
    """An empty list means something because a bad stack has one: `tests/templates/test_rules.py`."""
    assert list(violations(synthesized)) == []


def test_all_that_is_deployed_is_checked(own: Company, synthesized: Path) -> None:
    manifest = json.loads((synthesized / "manifest.json").read_text())["artifacts"]
    nested = {name.removeprefix("assembly-") for name in manifest if name.startswith("assembly-")}
    assert nested in ({LOCAL}, set(own.environments))
    pipeline = own.releases is not None and own.releases.connection_arn is not None
    assert ("Pipeline" in manifest) == (pipeline and LOCAL not in nested)


def test_nothing_was_looked_up(synthesized: Path) -> None:
    assert "missing" not in json.loads((synthesized / "manifest.json").read_text())


def test_cfn_lint(synthesized: Path) -> None:
    assert lint(synthesized) == ""
