"""What the usage functions read of their environment, and that it is what the settings have."""

import dataclasses
from collections.abc import Iterator

import pytest
from aws_lambda_powertools.utilities import parameters
from pydantic import BaseModel
from usage import environment

from stacks import settings
from stacks.company import environments


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    cached = (environment.report, environment.bill, environment.places)
    for read in cached:
        read.cache_clear()
    yield
    for read in cached:
        read.cache_clear()


@pytest.mark.parametrize("name", ["Plan", "Report", "AzureBill", "GoogleBill", "OpenAiBill", "AnthropicBill", "Bill"])
def test_the_fields_are_those_of_the_settings(name: str) -> None:
    theirs: type[BaseModel] = getattr(settings, name)
    assert [field.name for field in dataclasses.fields(getattr(environment, name))] == [*theirs.model_fields]


@pytest.mark.parametrize("name", environments())
def test_settings_come_as_they_were_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = environments()[name]
    assert written.report
    assert written.bill
    monkeypatch.setenv("REPORT", written.report.model_dump_json())
    monkeypatch.setenv("BILL", written.bill.model_dump_json())
    report, bill = environment.report(), environment.bill()
    assert report
    assert bill
    assert dataclasses.asdict(report) == written.report.model_dump()
    assert dataclasses.asdict(bill) == written.bill.model_dump()
    assert all(isinstance(plan, environment.Plan) for plan in report.plans)
    hash(report), hash(bill)  # and nothing in them can be changed


def test_an_environment_without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPORT", "BILL"):
        monkeypatch.setenv(name, "")
    assert environment.report() is None
    assert environment.bill() is None


def test_places(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"ENVIRONMENT": "dev", "LITELLM_URL": "http://gateway:4000", "GATEWAY_URL": "https://llm.example.com"}
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    assert {name.upper(): value for name, value in dataclasses.asdict(environment.places()).items()} == places


def test_a_secret_is_the_environments_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get_parameter(name: str, **options: object) -> str:
        asked.append((name, options))
        return "sk-of-this-test"

    monkeypatch.setenv("PARAMETER_PREFIX", "/litellm/dev")
    monkeypatch.setattr(parameters, "get_parameter", get_parameter)
    assert environment.secret("USAGE_KEY") == "sk-of-this-test"
    assert asked == [("/litellm/dev/USAGE_KEY", {"decrypt": True, "max_age": 300})]
