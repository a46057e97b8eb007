"""The checkout is taken over as a company does it: its files laid in, accepted by the commands, and its suite passes.

Each company of `tests/companies` is one, but for the example, whose suite is run anyway, and that of the promotion,
which has a test of its own. Two of them run their gateway too. The others are spared the rules of the local
environment, which take as long as those of a deployed one and are of the same stacks.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ops import remembered
from stacks.company import EXAMPLE
from tests.checkout import copy_checkout

COMPANIES = EXAMPLE.parent
WITH_A_TEST_OF_THEIR_OWN = ("tokyo", "two-accounts")
FOLDERS = sorted(
    file.parent.name for file in COMPANIES.glob("*/environments.py") if file.parent.name not in WITH_A_TEST_OF_THEIR_OWN
)
# As different as can be: a public one of Azure alone, an internal one of Bedrock and each provider with its own API.
RUNNING = ("azure-only", "europe")
SPARED = "ARGS=--ignore=tests/company/e2e -k 'not hand'"  # `by hand` is the local environment's way in test_rules.py
# What the product's tests are run with already.
INSTALLED = ("--old-file=.venv/.done", "--old-file=node_modules/.done", "--old-file=.tools/litellm/.done")

Done = subprocess.CompletedProcess[str]


def adopt(name: str, folder: Path) -> Path:
    """A copy of the checkout with the company's two files in `company/`, which remembers what this one does."""
    copy_checkout(folder, without=("company/",))
    remembered.FOLDER.mkdir(parents=True, exist_ok=True)
    (folder / ".cache").mkdir()
    (folder / ".cache" / remembered.FOLDER.name).symlink_to(remembered.FOLDER)
    (folder / "company").mkdir()
    for file in ("environments.py", "config.yaml"):
        shutil.copy2(COMPANIES / name / file, folder / "company" / file)
    return folder


def make(folder: Path, *arguments: str) -> Done:
    """A command, in one process, as of somebody who has set nothing."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CDK_VALIDATION", "COMPANY", "COMPANY_UNDER_TEST", "MAKEFLAGS")
        and not name.startswith(("PYTEST_", "AWS_"))
    }
    command = ("make", "--no-print-directory", *INSTALLED, "WORKERS=0", *arguments)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def well(done: Done) -> str:
    """What it printed; it must have ended well."""
    assert done.returncode == 0, f"{done.args}: {done.stdout[-6000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("name", FOLDERS)
def test_a_companys_files_are_accepted_and_its_suite_passes(name: str, tmp_path: Path) -> None:
    folder = adopt(name, tmp_path / "checkout")
    well(make(folder, "snapshots"))
    well(make(folder, "stateful", "ARGS=--accept"))
    assert sorted(path.name for path in (folder / "company").iterdir() if path.name != "__pycache__") == [
        *("config.yaml", "environments.py", "snapshots", "stateful.json"),
    ]
    whole = name in RUNNING
    printed = well(make(folder, "company", *([] if whole else [SPARED])))
    assert " passed" in printed
    assert ("tests/company/e2e" in printed) == whole


def test_before_it_is_accepted_the_suite_says_how(tmp_path: Path) -> None:
    folder = adopt(RUNNING[1], tmp_path / "checkout")
    done = make(folder, "company", "ARGS=--ignore=tests/company/e2e --deselect=tests/company/test_rules.py")
    assert done.returncode != 0
    assert "make snapshots accepts them as they are now" in done.stdout
    assert "the record is to be renewed (make stateful)" in done.stdout
