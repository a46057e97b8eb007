"""The table of providers, and what repeats a part of it where stacks/ cannot be imported."""

import dataclasses
import json
from typing import Any

import pytest
from usage.bill_providers import BILLED, OWN, provider_of

from container import records
from ops.bill_providers import FILE, document
from ops.catalog import PRICE_MAP
from ops.secrets import KNOWN
from stacks import CHECKOUT
from stacks.company import environments
from stacks.litellm_config import ConfigError, Provider
from stacks.litellm_config.catalog import catalog
from stacks.litellm_config.provider import Address, Way
from stacks.litellm_config.providers import BILLS, BY_NAME, PROVIDER_SETTINGS, PROVIDERS, ROWS
from stacks.litellm_config.rules import models
from stacks.litellm_config.variables import ADMIN_KEYS, SECRET_SUFFIXES
from stacks.settings import Bill, Providers
from stacks.settings.usage import BILL_SECRETS
from tests.unit.litellm_config.documents import VARIABLES, Load, changed

INSTALLED = next(CHECKOUT.glob(".tools/litellm/lib/python*/site-packages/litellm"), None)
needs_litellm = pytest.mark.skipif(INSTALLED is None, reason="LiteLLM is not installed in .tools/litellm")
each_row = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


@each_row
def test_a_name_is_litellms(row: Provider) -> None:
    assert set(row.names) <= set(catalog()["providers"])
    assert all(BY_NAME[name] is row for name in row.names)
    assert row.name in PROVIDERS


@each_row
def test_a_secret_is_asked_for_and_a_setting_is_there(row: Provider) -> None:
    """What `make secrets` knows of, and what an environment's `providers` has; a way to sign in needs one of them."""
    secrets = {name for name in row.variables.values() if name.endswith(SECRET_SUFFIXES)}
    assert secrets <= set(KNOWN)
    plain = set(row.variables.values()) - secrets
    assert plain == set(row.settings)
    assert set(row.settings.values()) <= set(Providers.model_fields)
    assert {names[0] for names in row.needs} | set(row.implied) <= set(row.variables)
    assert not row.ways or row.ways[0].parameters[0] in row.variables


def test_a_setting_of_a_provider_gives_its_variable() -> None:
    example = next(iter(environments().values()))
    given = example.providers.model_dump()
    found = example.plain_variables
    assert {name for name, setting in PROVIDER_SETTINGS.items() if given[setting]} == found.keys() & PROVIDER_SETTINGS


@needs_litellm
@each_row
def test_litellm_has_its_prices_and_its_folders(row: Provider) -> None:
    assert INSTALLED
    listed = json.loads((INSTALLED / PRICE_MAP).read_text("utf-8")).values()
    assert set(row.priced_as) <= {str(model.get("litellm_provider")).partition("-")[0] for model in listed}
    assert all((INSTALLED / "llms" / folder).is_dir() for folder in row.folders or row.names)


# What repeats it


def test_the_comparison_with_the_bill_is_given_the_table() -> None:
    """lambda/ imports nothing of stacks/."""
    assert FILE.read_text("utf-8") == document(), "run: make docs"
    compared = {name: billed.setting for name, billed in BILLED.items() if not billed.why_not}
    assert compared == {name: bill.setting for name, bill in BILLS.items()}


def test_a_bill_is_compared_by_its_setting_and_secret_or_says_why_not() -> None:
    assert {bill.setting for bill in BILLS.values() if bill.setting} == set(BILL_SECRETS) <= set(Bill.model_fields)
    assert set(BILL_SECRETS.values()) <= set(KNOWN)
    assert {name for name in BILL_SECRETS.values() if name.endswith("_ADMIN_KEY")} == ADMIN_KEYS
    assert all(bill.alarm for bill in BILLS.values())
    for bill in (row.bill for row in ROWS if row.bill and row.bill.why_not):
        assert not bill.alarm
        assert not bill.setting
    assert {row.bill.others for row in ROWS if row.bill and row.bill.models} <= set(BILLS)


@each_row
def test_every_name_of_a_provider_is_on_a_bill(row: Provider) -> None:
    for name in (*row.names, *row.priced_as):
        assert provider_of(f"{name}/{row.bill.models if row.bill else ''}") == (row.name if row.bill else OWN)
    if row.host:
        assert provider_of(f"{row.name}/model", {row.host, f"eu.{row.host}"}) == row.name
        assert provider_of(f"{row.name}/model", {"llm.internal"}) == OWN


@each_row
def test_a_record_has_the_region_by_the_same_parameter(row: Provider) -> None:
    """container/ imports nothing of stacks/."""
    for name in row.names:
        for parameter in ("aws_region_name", "vertex_location"):
            found = records.region({"custom_llm_provider": name, parameter: "somewhere"}, f"{name}/model")
            assert (found == "somewhere") == (parameter in row.region[:1]), (name, parameter)


# A row


def test_a_provider_is_a_row(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its entries need, where they are called, and its secret follow from the row."""
    row = Provider(
        name="deepseek",
        title="DeepSeek",
        variables={"api_key": "DEEPSEEK_API_KEY", "api_base": "DEEPSEEK_API_BASE"},
        implied=("api_key",),
        settings={},
        hosts=lambda model, variables: iter([Address("api.deepseek.com")]),
        priced_as=("deepseek",),
        bill=None,
    )
    monkeypatch.setattr(models, "BY_NAME", {**BY_NAME, "deepseek": row})
    monkeypatch.setattr(models, "PROVIDERS", (*PROVIDERS, "deepseek"))
    entry: dict[str, Any] = {"model_name": "m", "litellm_params": {"model": "deepseek/deepseek-chat"}}
    config = load(changed(model_list=[entry]))
    assert config.hosts(VARIABLES) == ("api.deepseek.com",)
    assert "DEEPSEEK_API_KEY" in config.secrets  # LiteLLM takes it by itself
    entry["litellm_params"]["api_key"] = "os.environ/OUR_KEY"
    assert {"DEEPSEEK_API_KEY", "OUR_KEY"} & set(load(changed(model_list=[entry])).secrets) == {"OUR_KEY"}
    entry["litellm_params"]["api_base"] = "http://api.deepseek.com"
    with pytest.raises(ConfigError, match="is not HTTPS on port 443"):
        load(changed(model_list=[entry]))
    explicit = dataclasses.replace(row, implied=(), needs=(("api_base",),))
    monkeypatch.setattr(models, "BY_NAME", {"deepseek": explicit})
    entry["litellm_params"] = {"model": "deepseek/deepseek-chat"}
    with pytest.raises(ConfigError, match=r"no api_key: deepseek needs it, as in os\.environ/DEEPSEEK_API_KEY"):
        load(changed(model_list=[entry]))
    with pytest.raises(ConfigError, match=r"no api_base: deepseek needs it, as in os\.environ/DEEPSEEK_API_BASE"):
        load(changed(model_list=[entry]))


def test_a_way_to_sign_in_is_whole(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    azure = dataclasses.replace(BY_NAME["azure"], ways=(Way(("api_key",)), Way(("user", "password"), "an account")))
    monkeypatch.setattr(models, "BY_NAME", {**BY_NAME, "azure": azure})
    document = changed(gpt__litellm_params__user="os.environ/ACCOUNT_TOKEN", gpt__litellm_params__api_key=None)
    with pytest.raises(ConfigError, match="litellm_params has user but no password: an account takes user and passwo"):
        load(document)
    document["model_list"][1]["litellm_params"]["password"] = "os.environ/ACCOUNT_PASSWORD"
    load(document)
