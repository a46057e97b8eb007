"""Whose fault a failed attempt is: on a stand-in for LiteLLM, and what follows of it on the pinned LiteLLM's Router."""

import asyncio
import sys
import types
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from stacks.litellm_config import SERVED_AS
from stacks.litellm_config.rules.faults import CALLBACK
from tests.unit.container.loading import in_litellm, loaded, stand_in
from tests.unit.container.regions import SLOW, regions

REGIONS = {"us-west-2", "us-east-1", "us-east-2"}
Json = dict[str, Any]

OFTEN = {"times": 6}  # more often than what leaves a deployment out, if others see it too
# Each way in which a caller can make a call fail, as the Router gets it of the proxy: what fails, and with which class
# of error. LiteLLM's proxy refuses the rest before: mock_testing_*, mock_timeout and mock_response, api_base.
WRONG: dict[str, tuple[Json, str]] = {
    "404": ({"prompt": "answer 404: no file of that name", **OFTEN}, "NotFoundError"),
    "parameter": ({"prompt": "answer 400: temperature: range: 0..1"}, "BadRequestError"),
    "too large": ({"prompt": "answer 413: Request exceeds the maximum size"}, "BadRequestError"),
    "too long": ({"prompt": "answer 400: prompt is too long: 1000001 > 1000000"}, "ContextWindowExceededError"),
    "filter": ({"prompt": "answer 400: Output blocked by content filtering policy"}, "ContentPolicyViolationError"),
    "not theirs": ({"prompt": "answer 403: You have no access to this file", **OFTEN}, "PermissionDeniedError"),
    "strange": ({"prompt": "answer 500: Internal server error", **OFTEN}, "InternalServerError"),
    "time-out": ({"prompt": SLOW, "timeout": 0.05, "client_side_timeout": True, **OFTEN}, "Timeout"),
    "leaves": ({"prompt": SLOW, "leaves": True}, "CancelledError"),
    "operation": ({"operation": "aembedding"}, "LiteLLMUnknownProvider"),
    "own key": ({"api_key": "not a key"}, "AuthenticationError"),
    "retries": ({"prompt": "answer 500: x", "num_retries": 9, "models": ["claude"], **OFTEN}, "InternalServerError"),
    "for how long": ({"prompt": "answer 404: x", "cooldown_time": 9999}, "NotFoundError"),
    "another's": ({"prompt": "answer 404: x", "model_info": {"id": "elsewhere"}}, "NotFoundError"),
}
NO_MATTER_OF_THE_REQUEST = {"404", "too long", "not theirs", "strange", "time-out", "own key", "retries"}
"""Those that a fallback may answer: it could, or nobody can tell."""

ONE = ["us-east-1", "alone"]
DOWN: dict[str, tuple[Json, Json]] = {
    "throttled": ({"status": 429, "people": ["ana"] * 3, "places": ONE}, {"us-east-1": 30}),
    "throttled for long": ({"status": 429, "people": ["ana"] * 3, "places": ONE, "retry_after": 77}, {"us-east-1": 77}),
    "refused": ({"status": 401, "people": ["ana"] * 3, "places": ONE}, {"us-east-1": 30}),
    "out": ({"status": 500, "people": ["ana", "ben"] * 4, "places": ONE}, {"us-east-1": 30}),
    "out for one": ({"status": 500, "people": ["ana"] * 8, "places": ONE}, {}),
}
EVERYWHERE = {"throttled everywhere": {"status": 429, "people": ["ana"] * 4, "places": sorted(REGIONS)}}


# What a caller gets of a provider's status is the same, whatever LiteLLM asks the provider for. It has no class for
# Anthropic's 529, and takes 500.
TOLD = (400, 401, 403, 404, 408, 429, 500, 502, 503, 529)
ASKED = (
    *(("acompletion", "anthropic"), ("aresponses", "anthropic"), ("aanthropic_messages", "anthropic")),
    *(("agenerate_content", "anthropic"), ("agenerate_content_stream", "anthropic")),
    *(("aanthropic_messages", "openai"), ("agenerate_content", "openai")),
)


@pytest.fixture(scope="module")
def held() -> Json:
    """What became of the calls that `mistakes.py` has fail."""
    asked = {
        "wrong": {name: way for name, (way, _) in WRONG.items()},
        "down": {name: case for name, (case, _) in DOWN.items()} | EVERYWHERE,
        "told": {"statuses": TOLD, "formats": ASKED},
    }
    with regions() as url:
        return in_litellm("mistakes.py", {"url": url, **asked})


def test_by_litellms_own_rule_anyone_can_switch_a_model_off(held: Json) -> None:
    """What this is for; if it holds no longer, LiteLLM's own rule may do."""
    assert set(held["by LiteLLM"]["ben"]["only"]) == {"RouterRateLimitError"}
    assert set(held["by LiteLLM"]["ben"]["claude"]) == {"RouterRateLimitError"}


@pytest.mark.parametrize("way", WRONG)
def test_one_callers_mistake_hurts_nobody_else(held: Json, way: str) -> None:
    found = held["wrong"][way]
    assert found["ana"] == [WRONG[way][1]]
    assert found["out"] == {}
    assert set(found["ben"]["claude"]) <= REGIONS
    assert set(found["ben"].get("only", ["alone"])) == {"alone"}


@pytest.mark.parametrize("way", sorted(set(WRONG) - NO_MATTER_OF_THE_REQUEST - {"for how long", "another's"}))
def test_what_is_wrong_with_a_request_goes_to_no_other_vendor(held: Json, way: str) -> None:
    assert "elsewhere" not in held["wrong"][way]["asked"]


def test_what_another_model_may_take_does(held: Json) -> None:
    assert "elsewhere" in held["wrong"]["too long"]["asked"]


@pytest.mark.parametrize("case", DOWN)
def test_what_a_provider_says_of_itself_leaves_its_deployment_out(held: Json, case: str) -> None:
    """But never the only one of a model, which fails here in the same way."""
    assert held["down"][case] == DOWN[case][1]


def test_the_last_deployment_of_a_model_stays(held: Json) -> None:
    """One prompt that is too long for a quota has 429 in each region: others' calls must have somewhere to go."""
    (out,) = (held["down"][name] for name in EVERYWHERE)
    assert len(out) == len(REGIONS) - 1


@pytest.mark.parametrize("asked", ASKED, ids=" of ".join)
def test_a_callers_status_is_the_providers(held: Json, asked: tuple[str, str]) -> None:
    found = dict(zip(TOLD, held["told"][ASKED.index(asked)], strict=True))
    assert found == {status: status for status in TOLD} | ({529: 500} if "anthropic" in asked else {})


# On a stand-in for LiteLLM


class BadRequestError(Exception):
    def __init__(self, **_: object) -> None:
        super().__init__()


ROUTER = SimpleNamespace(content_policy_fallbacks=None)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    tracked = "litellm.router_utils.router_callbacks.track_deployment_metrics"
    parts: dict[str, dict[str, Any]] = {
        "fastapi": {"HTTPException": Exception},
        "litellm": {"BadRequestError": BadRequestError},
        "litellm.integrations": {},
        "litellm.integrations.custom_logger": {"CustomLogger": object},
        "litellm.proxy": {"proxy_server": SimpleNamespace(llm_router=ROUTER)},
        "litellm.router_utils": {},
        "litellm.router_utils.router_callbacks": {},
        tracked: {"get_deployment_successes_for_current_minute": lambda *_: 0},
    }
    stand_in(monkeypatch, parts)
    for name in ("reach", "routing"):
        monkeypatch.setitem(sys.modules, name, loaded(name))
    yield loaded("faults")


def test_litellm_starts_it(faults: types.ModuleType) -> None:
    assert "faults:begin" in SERVED_AS["LITELLM_WORKER_STARTUP_HOOKS"].split(",")
    assert callable(faults.begin)


def came(kind: str, words: str = "", model: str = "claude", notes: str = "metadata") -> Json:
    return {notes: {"previous_models": [{"exception_type": kind, "exception_string": words, "model_group": model}]}}


def test_the_callback_is_the_one_that_the_reader_asks_for(faults: types.ModuleType) -> None:
    module, name = CALLBACK.split(".")
    assert module == faults.__name__
    assert isinstance(getattr(faults, name), faults.Attributed)


@pytest.mark.parametrize("notes", ["metadata", "litellm_metadata"])
def test_a_fallback_has_no_deployment_for_a_wrong_request(faults: types.ModuleType, notes: str) -> None:
    request = came("BadRequestError", notes=notes)
    with pytest.raises(BadRequestError):
        asyncio.run(faults.attributed.async_filter_deployments("gpt", [1], None, request))
    assert asyncio.run(faults.attributed.async_filter_deployments("claude", [1], None, request)) == [1]  # another order


@pytest.mark.parametrize("call", ["anthropic_messages", "agenerate_content", "agenerate_content_stream"])
def test_a_fallback_has_no_deployment_that_would_be_unguarded(faults: types.ModuleType, call: str) -> None:
    """LiteLLM leaves an entry's guardrail out of these; the caller gets what the first model has said."""
    guarded = [{"litellm_params": {"guardrailConfig": {"guardrailIdentifier": "a1b2c3"}}}]
    request = came("RateLimitError") | {"litellm_logging_obj": SimpleNamespace(call_type=call)}
    with pytest.raises(BadRequestError):
        asyncio.run(faults.attributed.async_filter_deployments("gpt", guarded, None, request))
    unguarded = [{"litellm_params": {"model": "m"}}]
    assert asyncio.run(faults.attributed.async_filter_deployments("gpt", unguarded, None, request)) == unguarded
    request["litellm_logging_obj"].call_type = "acompletion"
    assert asyncio.run(faults.attributed.async_filter_deployments("gpt", guarded, None, request)) == guarded


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"metadata": None},
        {"metadata": {"previous_models": ["claude"]}},
        {"metadata": {"previous_models": []}},
        came("RateLimitError"),
        came("ContextWindowExceededError"),
        came("BadRequestError", "Your credit balance is too low to access the Anthropic API."),
        came("UnprocessableEntityError", "Error converting to valid response block=Expecting value: line 1 column 1"),
    ],
)
def test_everything_else_has(faults: types.ModuleType, request_: Json) -> None:
    assert asyncio.run(faults.attributed.async_filter_deployments("gpt", [1], None, request_)) == [1]


def test_a_filters_own_fallbacks_are_the_companys(faults: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults.is_mistaken("gpt", came("ContentPolicyViolationError"))
    monkeypatch.setattr(ROUTER, "content_policy_fallbacks", [{"claude": ["gpt"]}])
    assert not faults.is_mistaken("gpt", came("ContentPolicyViolationError"))


def test_nothing_of_it_keeps_a_request_from_its_answer(
    faults: types.ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    error = SimpleNamespace(status_code=429)
    asyncio.run(faults.attributed.async_post_call_failure_deployment_hook({"model_info": {"id": "a"}}, error, None))
    assert "could not be found out" in caplog.text


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7), ("299.5", 299.5), ("86400", 300), ("inf", 300), ("0", 30), ("-1", 30), ("nan", 30), ("Fri, 1 Jan", 30)],
)
def test_a_provider_says_for_how_long_up_to_a_bound(faults: types.ModuleType, said: str, seconds: float) -> None:
    """A quota of the day would leave its deployment out for hours, though it were raised meanwhile."""
    router = SimpleNamespace(cooldown_time=30, get_model_info=lambda **_: {})
    error = SimpleNamespace(litellm_response_headers={"retry-after": said})
    assert faults._seconds(router, "a", error) == seconds


def test_what_the_entry_says_is_before_what_the_provider_says(faults: types.ModuleType) -> None:
    entry = {"litellm_params": {"cooldown_time": 3600}}
    router = SimpleNamespace(cooldown_time=30, get_model_info=lambda **_: entry)
    assert faults._seconds(router, "a", SimpleNamespace(litellm_response_headers={"retry-after": "7"})) == 3600
