"""Prices with a day, as the container charges them: on a stand-in for LiteLLM, and on the pinned LiteLLM itself."""

import asyncio
import json
import logging
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import stacks.litellm_config.prices as rules
from stacks import CHECKOUT
from stacks.company import EXAMPLE
from stacks.litellm_config import CATALOG, PROVIDERS, load_config
from stacks.litellm_config.model import Model
from stacks.litellm_config.providers import BY_NAME
from tests.unit.container.loading import CONTAINER, loaded, stand_in
from tests.unit.litellm_config.documents import VARIABLES

PYTHON = CHECKOUT / ".tools/litellm/bin/python"
ARGON = "vertex_ai/gemini-4-argon"
LISTED = {"input_cost_per_token": 2e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1e-07}
CHANGES = {"2026-12-01": {"input_cost_per_token": 4e-06}, "2027-03-01": {"output_cost_per_token": 2e-05}}
# Midnight in Los Angeles, in winter and in spring before the clocks change.
DECEMBER, MARCH = datetime(2026, 12, 1, 8, tzinfo=UTC), datetime(2027, 3, 1, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Fields(types.SimpleNamespace):
    """Stands for one of LiteLLM's models: has what it is given."""

    def model_dump(self) -> dict[str, Any]:
        return dict(vars(self))


class Router:
    """Stands for LiteLLM's: changes a deployment by its id, and counts how often."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        self.model_list = [
            {"litellm_params": {"model": ARGON}, "model_info": {"id": str(number), "db_model": False, **info}}
            for number, info in enumerate(entries)
        ]
        self.changes = 0

    def get_deployment(self, model_id: str) -> Fields:
        (found,) = (entry for entry in self.model_list if entry["model_info"]["id"] == model_id)
        return Fields(model_info=Fields(**found["model_info"]))

    def upsert_deployment(self, deployment: Fields) -> None:
        info = deployment.model_info.model_dump()
        (place,) = (n for n, entry in enumerate(self.model_list) if entry["model_info"]["id"] == info["id"])
        self.model_list.append({**self.model_list.pop(place), "model_info": info})
        self.changes += 1

    def info(self, number: int = 0) -> dict[str, Any]:
        (found,) = (entry["model_info"] for entry in self.model_list if entry["model_info"]["id"] == str(number))
        return dict(found)


Request = Callable[[Router, datetime], dict[str, Any]]


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The module, imported as LiteLLM does, on a stand-in for LiteLLM."""
    parts: dict[str, dict[str, Any]] = {
        "litellm": {"model_cost": {ARGON: {**LISTED, "max_tokens": 9, "output_cost_per_reasoning_token": None}}},
        "litellm.integrations": {},
        "litellm.integrations.custom_logger": {"CustomLogger": object},
        "litellm.proxy": {},
        "litellm.proxy.proxy_server": {"llm_router": None},
    }
    stand_in(monkeypatch, parts)
    monkeypatch.setitem(sys.modules, "routing", loaded("routing"))
    yield loaded("prices")


@pytest.fixture
def request_at(prices: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> Request:
    """A request at a moment; returns what LiteLLM then has of the first deployment."""

    def request(router: Router, moment: datetime) -> dict[str, Any]:
        monkeypatch.setattr(sys.modules["litellm.proxy.proxy_server"], "llm_router", router)
        monkeypatch.setattr(prices, "now", lambda: moment)
        assert asyncio.run(prices.dated.async_pre_call_hook(None, None, {"model": "argon"}, "acompletion")) is None
        return router.info()

    return request


def test_a_second_before_the_day_nothing_is_changed(request_at: Request) -> None:
    router = Router({"prices_from": CHANGES})
    assert request_at(router, DECEMBER - SECOND) == {"id": "0", "db_model": False, "prices_from": CHANGES}
    assert router.changes == 0


def test_from_the_day_on_its_price_holds_and_the_others_are_the_lists(request_at: Request) -> None:
    router = Router({"prices_from": CHANGES})
    request_at(router, DECEMBER - SECOND)
    info = request_at(router, DECEMBER)
    assert {name: info[name] for name in LISTED} == LISTED | {"input_cost_per_token": 4e-06}
    assert "max_tokens" not in info  # it is no price
    assert info["prices_from"] == CHANGES


def test_a_later_day_comes_on_top(request_at: Request) -> None:
    router = Router({"prices_from": CHANGES})
    for moment, output in ((DECEMBER, 1e-05), (MARCH - SECOND, 1e-05), (MARCH, 2e-05)):
        info = request_at(router, moment)
        assert (info["input_cost_per_token"], info["output_cost_per_token"]) == (4e-06, output)
    assert router.changes == 2


def test_a_task_that_starts_after_both_days_has_both(request_at: Request) -> None:
    info = request_at(Router({"prices_from": CHANGES}), MARCH)
    assert (info["input_cost_per_token"], info["output_cost_per_token"]) == (4e-06, 2e-05)


def test_what_is_up_to_date_is_left_alone(request_at: Request) -> None:
    router = Router({"prices_from": CHANGES}, {"input_cost_per_token": 1.0})
    for _ in range(3):
        request_at(router, DECEMBER)
    assert router.changes == 1
    assert router.info(1)["input_cost_per_token"] == 1.0


def test_prices_of_its_own_stay_where_a_day_does_not_name_them(request_at: Request) -> None:
    own = {"input_cost_per_token": 1.5e-06, "output_cost_per_token": 7e-06}
    info = request_at(Router({**own, "prices_from": CHANGES}), DECEMBER)
    assert (info["input_cost_per_token"], info["output_cost_per_token"]) == (4e-06, 7e-06)
    assert "cache_read_input_token_cost" not in info  # LiteLLM's own rules say what it is then


def test_what_the_admin_ui_keeps_is_not_touched(request_at: Request) -> None:
    router = Router({"prices_from": CHANGES, "db_model": True})
    request_at(router, DECEMBER)
    assert router.changes == 0


def test_a_request_is_answered_whatever_is_wrong(request_at: Request, caplog: pytest.LogCaptureFixture) -> None:
    router = Router({"prices_from": {"2026-12-01": 4e-06}}, {"prices_from": CHANGES})
    with caplog.at_level(logging.ERROR):
        request_at(router, DECEMBER)
    assert "could not be changed on their day" in caplog.text
    assert router.info(1)["input_cost_per_token"] == 4e-06  # and the others are


def test_before_litellm_has_a_router(prices: types.ModuleType) -> None:
    asyncio.run(prices.dated.async_pre_call_hook(None, None, {}, "acompletion"))


# The same rules in both places


@pytest.mark.parametrize("moment", [DECEMBER - SECOND, DECEMBER, datetime(2027, 7, 1, 7, tzinfo=UTC) - SECOND, MARCH])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_synth_and_container_agree_on_the_day(prices: types.ModuleType, provider: str, moment: datetime) -> None:
    day = rules.day_of(provider, moment)
    assert prices.day_of(provider, moment) == day
    assert prices.in_force(CHANGES, day) == rules.in_force(CHANGES, day)


def test_synth_and_container_agree_on_the_list(prices: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = json.loads(CATALOG.read_text("utf-8"))["prices"]
    monkeypatch.setattr(sys.modules["litellm"], "model_cost", catalog, raising=False)
    models = list(load_config(EXAMPLE / "config.yaml", provided=VARIABLES).models)
    arn = "arn:aws:bedrock:us-west-2:111111111111:application-inference-profile/a1"
    for model, parameters, info in (
        ("azure/responses/gpt-6.1-sol", {}, {}),
        ("azure/ours", {}, {"base_model": "azure/us/gpt-6.1-sol"}),
        ("azure/ours", {}, {}),
        ("bedrock/converse/us.anthropic.claude-haiku-5-5", {}, {}),
        ("bedrock/us.anthropic.claude-haiku-5-5", {"model_id": arn}, {}),
        (f"bedrock/{arn}", {}, {"base_model": "us.anthropic.claude-haiku-5-5"}),
    ):
        region = "us-west-2" if model.startswith("bedrock") else None
        given = {"model": model, "aws_region_name": region, **parameters}
        provider = model.partition("/")[0]
        models.append(Model("m", provider, model, region, given, info, "entry", BY_NAME[provider]))
    for each in models:
        assert prices.listed({"model": each.model, **each.parameters}, each.info) == each.listed_prices(), each.model
    assert {bool(each.listed_prices()) for each in models} == {True, False}


# The pinned LiteLLM

ON_LITELLM = """
import asyncio, json, sys
from datetime import datetime
import prices
from litellm import Router
from litellm.types.utils import ModelResponse, Usage
from litellm.utils import reapply_runtime_model_cost_registrations as reload

router = Router(model_list=json.loads(sys.argv[1]))
ids = {entry["model_info"]["id"] for entry in router.model_list}

async def cost(model):
    usage = Usage(prompt_tokens=10_000, completion_tokens=500, total_tokens=10_500,
                  prompt_tokens_details={"cached_tokens": 4_000}, completion_tokens_details={"reasoning_tokens": 100})
    answer = ModelResponse(usage=usage, choices=[{"message": {"role": "assistant", "content": "Hello"}}])
    asked = [{"role": "user", "content": "Hello"}]
    answered = await router.acompletion(model=model, messages=asked, mock_response=answer)
    return answered._hidden_params["response_cost"]

async def main():
    for moment in sys.argv[2:]:
        prices.bring_up_to_date(router, datetime.fromisoformat(moment))
        print(json.dumps({name: await cost(name) for name in sorted(router.model_names)}))
    reload()  # as LiteLLM does after it has read its list anew
    print(json.dumps({name: await cost(name) for name in sorted(router.model_names)}))
    assert {entry["model_info"]["id"] for entry in router.model_list} == ids

asyncio.run(main())
"""
TOKENS = {"input_cost_per_token": 6_000, "cache_read_input_token_cost": 4_000, "output_cost_per_token": 500}


@pytest.mark.skipif(not PYTHON.exists(), reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
def test_litellm_charges_each_price_from_its_day_on() -> None:
    """One process, as a task is: before the days, after them, and after its list of prices is read anew."""
    in_a_region = {"model": ARGON, "vertex_project": "acme", "vertex_location": "us-central1"}
    opus = {"model": "bedrock/us.anthropic.claude-opus-5-5", "aws_region_name": "us-west-2"}
    azure = {"model": "azure/ours", "api_base": "https://acme.openai.azure.com", "api_key": "k", "api_version": "1"}
    doubled, dearer_output = rules.COMING[ARGON], {"output_cost_per_token": 2e-05}
    entries: list[tuple[str, dict[str, str], dict[str, Any]]] = [
        ("argon", in_a_region | {"vertex_location": "global"}, {"prices_from": doubled}),
        ("argon-in-a-region", in_a_region, {"prices_from": doubled}),
        ("argon-as-listed", in_a_region | {"vertex_location": "global"}, {}),
        ("opus", opus, {"prices_from": {"2026-12-01": {"cache_read_input_token_cost": 3e-07}}}),
        ("opus-as-listed", opus | {"aws_region_name": "us-east-1"}, {}),
        ("sol", azure, {"base_model": "azure/gpt-6.1-sol", "prices_from": {"2026-12-01": dearer_output}}),
    ]
    given = [{"model_name": name, "litellm_params": params, "model_info": info} for name, params, info in entries]
    listed = json.loads(CATALOG.read_text("utf-8"))["prices"]

    def cost(model: str, **other: float) -> Any:  # noqa: ANN401 - pytest's own
        return pytest.approx(sum(tokens * {**listed[model], **other}[name] for name, tokens in TOKENS.items()))

    lists = {"argon-as-listed": cost(ARGON), "opus-as-listed": cost("us.anthropic.claude-opus-5-5")}
    argon, dearer = cost(ARGON).expected, listed[ARGON]["regional_endpoint_uplift_multiplier"]
    first = lists | {  # still November everywhere
        "argon": pytest.approx(argon),
        "argon-in-a-region": pytest.approx(dearer * argon),
        "opus": cost("us.anthropic.claude-opus-5-5"),
        "sol": cost("azure/gpt-6.1-sol"),
    }
    second = first | {  # December in UTC, and not yet in Los Angeles
        "opus": cost("us.anthropic.claude-opus-5-5", cache_read_input_token_cost=3e-07),
        "sol": cost("azure/gpt-6.1-sol", output_cost_per_token=2e-05),
    }
    third = second | {"argon": pytest.approx(2 * argon), "argon-in-a-region": pytest.approx(2 * dearer * argon)}
    moments = [datetime(2026, 12, 1, tzinfo=UTC) - SECOND, DECEMBER - SECOND, DECEMBER]
    done = subprocess.run(
        [PYTHON, "-c", ON_LITELLM, json.dumps(given), *(moment.isoformat() for moment in moments)],
        env={"PYTHONPATH": str(CONTAINER), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [first, second, third, third]
