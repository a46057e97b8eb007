"""What must hold of any environment, asked of each one of the company: see invariants.py for the rules."""

import pytest

from stacks.company import RELEASES, Company
from tests.company.invariants import INVARIANTS, Deployed, of_company
from tests.company.synthesis import Templates


@pytest.fixture(scope="session")
def deployed(own: Company, templates: Templates) -> list[Deployed]:
    """Every environment, the local one included."""
    return of_company(own, templates)


def test_every_environment_is_there(own: Company, templates: Templates) -> None:
    assert set(templates) - {RELEASES} == set(own.all)


@pytest.mark.parametrize("name", INVARIANTS)
def test_holds(name: str, deployed: list[Deployed]) -> None:
    rule = INVARIANTS[name]
    found = [f"{each.environment.name}: {sentence}" for each in deployed for sentence in rule(each)]
    if found:
        pytest.fail(f"{rule.__doc__}\n" + "\n".join(found), pytrace=False)
