"""The company whose files are judged, and what they are synthesized to."""

import os

import pytest

from stacks.company import Company, folder_of, load
from tests.company.synthesis import Templates, everything


@pytest.fixture(scope="session")
def own() -> Company:
    """Whose checkout this is: `company/`, or the example company where there is none."""
    return load(folder_of(os.environ["COMPANY_UNDER_TEST"]))


@pytest.fixture(scope="session")
def templates(own: Company) -> Templates:
    """Its templates by environment and stack, once a run."""
    return everything(own)
