"""Prices with a day: what is refused of them, and what synth tells of a change before, on and after its day."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.company import EXAMPLE
from stacks.litellm_config import CATALOG, COMING, ConfigError, LiteLlmConfig, day_of, in_force, load_config

ARGON, SONNET = "vertex_ai/gemini-4-argon", "bedrock/us.anthropic.claude-sonnet-5-5"
DAY, DOUBLE = "2026-12-01", {"input_cost_per_token": 4.0e-06, "output_cost_per_token": 2.0e-05}
WHERE = "model_list entry 1 (m).model_info.prices_from"
NEEDED = {
    "vertex_project": "os.environ/VERTEXAI_PROJECT",
    "vertex_location": "global",
    "vertex_credentials": "os.environ/VERTEX_CREDENTIALS",
}
CHARGED = ["prices.dated", "budgets.refusals", "faults.attributed", "errors.told"]


def entry(model: str = ARGON, parameters: Mapping[str, object] | None = None, **info: object) -> dict[str, Any]:
    """One that is called in one place."""
    place = {"aws_region_name": "us-west-2"} if model.startswith("bedrock/") else NEEDED
    return {"model_name": "m", "litellm_params": {"model": model, **place, **(parameters or {})}, "model_info": info}


def read(folder: Path, *entries: dict[str, Any], callbacks: list[str] = CHARGED, text: str = "") -> LiteLlmConfig:
    """The file with these entries, read."""
    document = {
        "model_list": entries,
        "litellm_settings": {
            "request_timeout": 600,
            "budget_exceeded_status_code": 400,
            "callbacks": callbacks,
            "expose_router_debug_in_errors": False,
        },
        "router_settings": {"disable_cooldowns": True},
        "general_settings": {
            "database_connection_pool_limit": 10,
            "disable_budget_reservation": True,
            "apply_user_budget_to_team_keys": True,
            "max_in_flight_requests_per_worker": "os.environ/MAX_IN_FLIGHT_REQUESTS",
        },
    }
    path = folder / "config.yaml"
    path.write_text(text or yaml.safe_dump(document, sort_keys=False), "utf-8")
    return load_config(path, provided=("VERTEXAI_PROJECT",))


def sentence(refusal: pytest.ExceptionInfo[ConfigError]) -> str:
    """What is told of the one mistake, but for its line."""
    return re.sub(r"(config\.yaml): line \d+", r"\1", str(refusal.value))


# What holds on which day


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-11-30", {}),
        ("2026-12-01", {"a": 1.0, "b": 2.0}),
        ("2027-01-31", {"a": 1.0, "b": 2.0}),
        ("2027-02-01", {"a": 3.0, "b": 2.0}),
    ],
)
def test_a_price_holds_until_a_later_day_names_it_again(day: str, expected: dict[str, float]) -> None:
    assert in_force({"2027-02-01": {"a": 3.0}, "2026-12-01": {"a": 1.0, "b": 2.0}}, day) == expected


@pytest.mark.parametrize(
    ("provider", "moment", "day"),
    [
        ("vertex_ai", "2026-12-01T07:59:59", "2026-11-30"),
        ("vertex_ai", "2026-12-01T08:00:00", "2026-12-01"),
        ("vertex_ai", "2027-07-01T06:59:59", "2027-06-30"),  # in summer Los Angeles is an hour nearer
        ("vertex_ai", "2027-07-01T07:00:00", "2027-07-01"),
        ("bedrock", "2026-11-30T23:59:59", "2026-11-30"),
        ("bedrock", "2026-12-01T00:00:00", "2026-12-01"),
        ("azure", "2026-12-01T00:00:00", "2026-12-01"),
    ],
)
def test_a_day_begins_where_the_provider_bills(provider: str, moment: str, day: str) -> None:
    assert day_of(provider, datetime.fromisoformat(moment).replace(tzinfo=UTC)) == day


# What is refused

A_MAPPING = 'it must be a mapping of days to prices, as in {"2026-12-01": {input_cost_per_token: 4.0e-06}}'
NO_DAY = 'is no day: write it as year, month and day, as in "2026-12-01"'
# What stands below prices_from, where the mistake is, and what is said of it.
REFUSALS: list[tuple[object, str, str]] = [
    (4.0e-06, "", A_MAPPING),
    ({}, "", A_MAPPING),
    ({date(2026, 12, 1): DOUBLE}, "", "the day 2026-12-01 is not text: put it in quotes"),
    ({"2026-11-31": DOUBLE}, ".2026-11-31", f"'2026-11-31' {NO_DAY}"),
    ({"20261201": DOUBLE}, "", f"'20261201' {NO_DAY}"),
    ({"December": DOUBLE}, "", f"'December' {NO_DAY}"),
    (
        {DAY: 4.0e-06},
        ".2026-12-01",
        "it must be a mapping of LiteLLM's names of prices to US dollars, as in {input_cost_per_token: 4.0e-06}",
    ),
]
# The same, of a price of that day.
PRICES = [
    ({"input_cost_per_tokens": 4.0e-06}, "unknown price 'input_cost_per_tokens': did you mean 'input_cost_per_token'"),
    ({"max_tokens": 4}, "unknown price 'max_tokens': LiteLLM has none like it"),
    (
        {"input_cost_per_token": "4e-06"},
        "input_cost_per_token is '4e-06', which is text in YAML: write it with a point, as in 4.0e-06",
    ),
    ({"input_cost_per_token": "two"}, "input_cost_per_token must be a number of US dollars, not 'two'"),
    ({"input_cost_per_token": -1e-06}, "input_cost_per_token must be a number of US dollars, not -1e-06"),
    ({"input_cost_per_token": True}, "input_cost_per_token must be a number of US dollars, not True"),
    ({"input_cost_per_token": float("nan")}, "input_cost_per_token must be a number of US dollars, not nan"),
    (
        {"input_cost_per_token": 4.0},
        "input_cost_per_token is 4 US dollars for a single token: 4 for a million tokens is 4.0e-06",
    ),
]
REFUSALS += [({DAY: prices}, ".2026-12-01", problem) for prices, problem in PRICES]


@pytest.mark.parametrize(("changes", "place", "problem"), REFUSALS, ids=[problem[:60] for *_, problem in REFUSALS])
def test_a_mistake_is_refused_in_one_sentence(tmp_path: Path, changes: object, place: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, entry(prices_from=changes))
    assert sentence(refusal) == f"{tmp_path}/config.yaml: {WHERE}{place}: {problem}."


@pytest.mark.parametrize("section", ["model_info", "litellm_params"])
@pytest.mark.parametrize(("prices", "problem"), PRICES[3:], ids=[problem[:60] for _, problem in PRICES[3:]])
def test_so_is_one_of_a_price_for_every_day(tmp_path: Path, section: str, prices: dict[str, Any], problem: str) -> None:
    given = entry(parameters=prices) if section == "litellm_params" else entry(**prices)
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, given)
    assert sentence(refusal) == f"{tmp_path}/config.yaml: model_list entry 1 (m).{section}: {problem}."


@pytest.mark.parametrize("section", ["model_info", "litellm_params"])
def test_a_price_for_every_day_may_be_text_to_yaml(tmp_path: Path, section: str) -> None:
    """LiteLLM makes a number of it; and it is no secret, for all that its name ends in."""
    prices: dict[str, Any] = {"input_cost_per_token": "4e-06", "output_cost_per_token": "2E-5"}
    given = entry(parameters=prices) if section == "litellm_params" else entry(**prices)
    (model,) = read(tmp_path, given).models
    assert model.own_prices() == {"input_cost_per_token": 4e-06, "output_cost_per_token": 2e-05}


def test_a_key_that_is_nearly_it(tmp_path: Path) -> None:
    (warning,) = read(tmp_path, entry(price_from={DAY: DOUBLE})).warnings
    assert warning.endswith(
        "model_list entry 1 (m).model_info: 'price_from' has no effect: did you mean 'prices_from'."
    )


def test_a_price_that_holds_on_every_day_is_not_below_litellm_params(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has output_cost_per_token, which holds on every day: move it to model_info"):
        read(tmp_path, entry(parameters={"output_cost_per_token": 1e-05}, prices_from={DAY: DOUBLE}))


def test_prices_that_nobody_would_charge(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, entry(prices_from={DAY: DOUBLE}), callbacks=[])
    assert sentence(refusal) == (
        f"{tmp_path}/config.yaml: litellm_settings.callbacks: model_list entry 1 (m) has prices_from, which only the "
        "callback prices.dated charges: add it to the list."
    )


@pytest.mark.parametrize(
    "name",
    ["cache_read_input_token_cost", "input_cost_per_token_above_100k_tokens", "regional_endpoint_uplift_multiplier"],
)
def test_caches_long_prompts_and_regions_have_prices_too(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, entry(prices_from={DAY: {name: 1e-07}}))
    assert found.warnings == ()


# What synth tells


def told(config: LiteLlmConfig, today: str) -> list[str]:
    """The notices of a day, without the file's name."""
    return [text.removeprefix(f"{config.path}: ") for text in config.price_notices(date.fromisoformat(today))]


SOON = (
    "the price of m (vertex_ai/gemini-4-argon) changes on 2026-12-01, which LiteLLM will charge by itself: "
    "input 2 -> 4, output 10 -> 20 (US dollars per million tokens)."
)


@pytest.mark.parametrize(
    ("today", "notices"),
    [("2026-10-31", []), ("2026-11-01", [SOON]), ("2026-11-30", [SOON]), ("2026-12-01", []), ("2027-12-01", [])],
)
def test_a_change_is_told_of_for_thirty_days_before_it(tmp_path: Path, today: str, notices: list[str]) -> None:
    assert told(read(tmp_path, entry(prices_from={DAY: DOUBLE})), today) == notices


def test_a_second_change_is_told_of_as_from_the_first(tmp_path: Path) -> None:
    later = {DAY: DOUBLE, "2027-03-01": {"output_cost_per_token": 1.5e-05, "output_cost_per_reasoning_token": 1.5e-05}}
    (text,) = told(read(tmp_path, entry(prices_from=later)), "2027-02-28")
    assert text.endswith("output 20 -> 15, 1 other price (US dollars per million tokens).")


def test_a_models_regions_are_told_of_once(tmp_path: Path) -> None:
    change = {DAY: {"input_cost_per_token": 3.0e-06}}
    regions = [entry(SONNET, {"aws_region_name": region}, prices_from=change) for region in ("us-west-2", "us-east-1")]
    (text,) = told(read(tmp_path, *regions), "2026-11-28")
    assert "input 2.2 -> 3 " in text


def test_prices_that_the_list_has_are_to_be_removed(tmp_path: Path) -> None:
    config = read(tmp_path, entry(prices_from={"2026-10-07": {"input_cost_per_token": 2e-06}, DAY: DOUBLE}))
    assert told(config, "2026-10-07") == [
        "the list of LiteLLM 1.106.12 has the prices of m (vertex_ai/gemini-4-argon) that hold from 2026-10-07 on: "
        "remove them from prices_from."
    ]
    assert told(config, "2026-10-06") == []  # nor is anything to come then
    assert told(config, "2026-12-01") == []  # what holds now is not in it


def test_a_change_that_is_announced_is_asked_for(tmp_path: Path) -> None:
    (text,) = told(read(tmp_path, entry()), "2026-09-01")
    assert text == (
        "the price of m (vertex_ai/gemini-4-argon) changes on 2026-12-01, which LiteLLM 1.106.12 does not know: add "
        "the day to its model_info.prices_from, as docs/costs.md has it: input 2 -> 4, output 10 -> 20, read from the "
        "cache 0.1 -> 0.2, 13 other prices (US dollars per million tokens)."
    )
    own = entry(input_cost_per_token=1.0e-06, output_cost_per_token=5.0e-06)
    assert told(read(tmp_path, own), "2026-12-24") == []  # as agreed on with the provider


def test_the_example_has_every_change_that_is_announced() -> None:
    document = yaml.safe_load((EXAMPLE / "config.yaml").read_text("utf-8"))
    infos = {each["litellm_params"]["model"]: each.get("model_info", {}) for each in document["model_list"]}
    assert COMING.keys() <= infos.keys()
    assert {model: infos[model]["prices_from"] for model in COMING} == COMING


@pytest.mark.parametrize("model", COMING)
def test_the_list_does_not_have_it_yet(model: str) -> None:
    """When a new version of LiteLLM has a change: take it out of COMING, of the example and of docs/costs.md."""
    listed = json.loads(CATALOG.read_text("utf-8"))["prices"][model]
    for prices in COMING[model].values():
        assert prices.keys() <= listed.keys()
        assert not prices.items() <= listed.items()


def test_all_that_the_model_costs_by_the_token_doubles() -> None:
    listed = json.loads(CATALOG.read_text("utf-8"))["prices"][ARGON]
    by_token = {name: 2 * price for name, price in listed.items() if "token" in name}
    assert COMING[ARGON][DAY] == pytest.approx(by_token)
