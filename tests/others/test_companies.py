"""The example companies, as different as real ones, are synthesized to what obeys every rule, as a release is.

Three are not asked here. `tests/company/`, which asks the same and more, is run on the one of the product and, by
`test_adoption.py`, on the one that is adopted; the releases of the third are deployed and run, by `test_promotion.py`.
Each has its local environment too, but for the rules: they take as long as those of a
deployed one and are of the same stacks.
"""

import json
from pathlib import Path

import pytest

from ops.stateful import stateful_types
from stacks.company import EXAMPLE, LOCAL, RELEASES, Company, load
from tests.company.invariants import broken, of_company
from tests.company.rules import lint, violations
from tests.company.stateful import judge
from tests.company.synthesis import Templates, releases, synthesized, written

COMPANIES = EXAMPLE.parent
WITH_TESTS_OF_THEIR_OWN = ("tokyo", "europe", "two-accounts")
FOLDERS = sorted({file.parent.name for file in COMPANIES.glob("*/environments.py")} - {*WITH_TESTS_OF_THEIR_OWN})


@pytest.fixture(scope="module", params=FOLDERS)
def own(request: pytest.FixtureRequest) -> Company:
    return load(COMPANIES / request.param)


@pytest.fixture(scope="module")
def release(own: Company) -> Path:
    """The folder of the company's release, with every rule applied."""
    return releases([COMPANIES / name for name in FOLDERS]) / own.folder.name


@pytest.fixture(scope="module")
def templates(own: Company, release: Path) -> Templates:
    return written(release) | synthesized(own, LOCAL)


def test_no_rule_is_violated(release: Path) -> None:
    assert list(violations(release)) == []


def test_nothing_was_looked_up(release: Path) -> None:
    assert "missing" not in json.loads((release / "manifest.json").read_text())


def test_cfn_lint(release: Path) -> None:
    assert lint(release) == ""


def test_every_environment_is_there(own: Company, templates: Templates) -> None:
    assert set(templates) == {*own.all, *([RELEASES] if own.releases else [])}
    assert ("Pipeline" in templates.get(RELEASES, {})) == bool(own.releases and own.releases.connection_arn)


def test_what_must_hold_of_any_environment_holds(own: Company, templates: Templates) -> None:
    found = [f"{each.environment.name}: {sentence}" for each in of_company(own, templates) for sentence in broken(each)]
    assert found == []


def test_all_that_holds_data_is_recorded(templates: Templates) -> None:
    record = judge({}, templates).record
    again = judge(record, templates)
    assert (again.lost, again.behind, again.gone) == ("", (), ())
    for environment, stacks in templates.items():
        for stack, template in stacks.items():
            holding = {name for name, it in template["Resources"].items() if it["Type"] in stateful_types()}
            assert holding <= record[environment].get(stack, {}).keys(), f"{environment}: {stack}"
