"""Whose files are in force, what their mistakes are told as, and what `make up` makes of an environment."""

import os
from pathlib import Path

import pytest

from stacks import company
from stacks.company import EXAMPLE, LOCAL, load, local_of
from stacks.settings import SettingsError

SETTINGS = (EXAMPLE / "environments.py").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A company's folder with the example's settings."""
    (tmp_path / "environments.py").write_text(SETTINGS)
    return tmp_path


def refused(folder: Path, old: str, new: str) -> str:
    """What is said of the settings once something is changed in them."""
    file = folder / "environments.py"
    assert old in SETTINGS
    file.write_text(SETTINGS.replace(old, new))
    with pytest.raises(SettingsError) as refusal:
        load(folder)
    return str(refusal.value).replace(f"{folder}/", "")


def test_the_companys_own_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "OWN", tmp_path / "company")
    assert company.folder_of(None) == EXAMPLE
    (tmp_path / "company").mkdir()
    assert company.folder_of(None) == tmp_path / "company"
    assert company.folder_of("tests/companies/two-accounts").name == "two-accounts"


def test_settings_are_read_as_they_are_now(folder: Path) -> None:
    """Also where nothing but their text tells them apart: as long, and written in the same second."""
    file = folder / "environments.py"
    for cidr in ("10.10.0.0/16", "10.90.0.0/16"):
        file.write_text(SETTINGS.replace('cidr="10.10.0.0/16"', f'cidr="{cidr}"'))
        os.utime(file, (0, 0))
        assert str(load(folder).environments["dev"].network.cidr) == cidr


def test_environments_are_in_the_companys_order(folder: Path) -> None:
    found = load(folder)
    assert [*found.environments] == ["dev", "stg", "prod"]
    assert [*found.all] == ["dev", "stg", "prod", LOCAL]
    assert found.releases
    assert found.releases.environments == ("dev", "stg", "prod")


def test_a_folder_without_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"environments.py: there is no such file: make init writes it$"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "RELEASES = releases",
            "RELEASES = releases(",
            "environments.py: line {line}: SyntaxError: '(' was never closed",
        ),
        ("(dev, stg, prod)", "(dev, qa)", "environments.py: line {line}: NameError: name 'qa' is not defined"),
        (
            'OFFICE = "203.0.113.0/24"',
            "OFFICE = Bill(tolerance_percent=0)",
            "environments.py: bill.tolerance_percent: 0: input should be greater than or equal to 0.01",
        ),
        ("min_tasks=2", "min_tasks=9", "stg: gateway: min_tasks 9 is above max_tasks 4: swap or raise max_tasks"),
        ('name="stg"', 'name="dev"', "two environments are called dev: give each its own name"),
        (
            'name="stg"',
            'name="local"',
            "an environment is called local: that is the one of make up, so give it another name",
        ),
        (
            "ENVIRONMENTS = (dev, stg, prod)",
            "MINE = (dev, stg, prod)",
            "environments.py: ENVIRONMENTS is not set: list the functions of the environments that are deployed, as in "
            "ENVIRONMENTS = (dev, prod)",
        ),
        (
            "(dev, stg, prod)",
            "(dev(), stg)",
            "environments.py: ENVIRONMENTS is to name functions, without parentheses behind them, as in "
            "ENVIRONMENTS = (dev, prod)",
        ),
        (
            'account="444444444444",',
            'account="444444444444", environments=("qa",),',
            "releases: environments has qa, which company/environments.py does not define: it has dev, stg, prod",
        ),
    ],
)
def test_a_mistake_is_told_in_a_sentence(folder: Path, old: str, new: str, sentence: str) -> None:
    line = SETTINGS[: SETTINGS.index(old)].count("\n") + 1
    assert refused(folder, old, new) == sentence.replace("{line}", str(line))


def test_local_is_the_environment_that_is_named(folder: Path) -> None:
    assert load(folder).local.report == load(folder).environments["dev"].report
    (folder / "environments.py").write_text(SETTINGS.replace("LOCAL = dev", "LOCAL = prod"))
    assert load(folder).local.report == load(folder).environments["prod"].report
    (folder / "environments.py").write_text(SETTINGS.replace("LOCAL = dev", ""))
    assert load(folder).local.report == load(folder).environments["dev"].report


def test_local_is_nobodys_account_and_keeps_nothing() -> None:
    prod = load(EXAMPLE).environments["prod"]
    certificate = f"arn:aws:acm:{prod.region}:{prod.account}:certificate/11111111-2222-3333-4444-555555555555"
    local = local_of(prod.model_copy(update={"certificate_arn": certificate}))
    assert (local.name, local.account, local.region) == (LOCAL, "0" * 12, prod.region)
    assert local.certificate_arn == certificate.replace(prod.account, local.account)
    assert local.tags == {"service": "litellm-gateway", "environment": LOCAL}
    assert not local.deletion_protection
    assert not local.network.vpc
    assert prod.account not in local.model_dump_json()


def test_local_holds_its_figures_against_the_bills_of_the_clouds_that_it_uses() -> None:
    dev = load(EXAMPLE).environments["dev"]
    both = local_of(dev).bill
    assert both
    assert both.azure
    assert both.google
    one = local_of(
        dev.model_copy(update={"providers": dev.providers.model_copy(update={"vertexai_project": None})})
    ).bill
    assert one
    assert one.azure
    assert not one.google
    assert local_of(dev.model_copy(update={"bill": None})).bill is None
