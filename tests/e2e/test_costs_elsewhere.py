"""What LiteLLM counts of calls to providers with an API of their own and to servers, against what is billed.

As tests/e2e/test_costs.py does it of the clouds' models, with the same arithmetic and at the same three places. The
example's gateway is given the models as in the admin UI, of which LiteLLM makes what it makes of config.yaml's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from local.gateway import LocalGateway
from local.outside.completion import IMAGE_TOKENS, count_tokens
from tests.e2e.conftest import eventually
from tests.e2e.costs import (
    CHAT,
    EMBEDDINGS,
    Case,
    Counted,
    Figures,
    Json,
    Sent,
    all_in_datadog,
    all_in_days,
    billed,
    chat,
    chat_cases,
    check,
    in_datadog,
    in_days,
    messages_cases,
    of_records,
    prefix,
    price,
    responses_cases,
    send,
    user_of,
)
from tests.e2e.elsewhere import entries, models
from tests.e2e.test_completions import PRICES

IMAGES, RERANK = "/v1/images/generations", "/v1/rerank"
STREAMED: Json = {"stream": True, "stream_options": {"include_usage": True}}
SHAPES = ("plain", "streamed", "reasoning-streamed", "cached", "cached-streamed")
# What servers tell has no thoughts and no caches.
OF_A_SERVER = ("plain", "streamed", "streamed-without-usage", "tools-streamed")


def some(cases: Mapping[str, Case], shapes: tuple[str, ...] = SHAPES, **more: Any) -> dict[str, Case]:  # noqa: ANN401
    """Those of these shapes, with more in each body; there is one cache, which the second call reads."""
    return {
        name: replace(case, body={**case.body, **more}, times=2 if case.times > 1 else 1)
        for name, case in cases.items()
        if name.partition("--")[2] in shapes
    }


def embedded(model: str, counted: Counted = Counted.EXACT) -> Case:
    body = {"model": model, "input": ["To be embedded " * 20, "four"], "encoding_format": "float"}
    return Case(EMBEDDINGS, body, datadog=counted, daily=counted)


CASES = {
    **some(chat_cases("anthropic-", "elsewhere-anthropic")),
    **some(messages_cases("anthropic-messages-", "elsewhere-anthropic")),
    **some(chat_cases("openai-", "elsewhere-openai")),
    **some(responses_cases("openai-responses-", "elsewhere-openai")),
    **some(chat_cases("gemini-", "elsewhere-gemini"), SHAPES[:3]),
    # Without marks: LiteLLM would have Google keep what they mark, for a price by the hour.
    "gemini--cached": Case(CHAT, chat("elsewhere-gemini", prefix("gemini")), times=2),
    "gemini--cached-streamed": Case(CHAT, chat("elsewhere-gemini", prefix("gemini, streamed"), **STREAMED), times=2),
    **some(chat_cases("mistral-", "elsewhere-mistral"), prompt_cache_key="costs"),
    # LiteLLM asks no model of Azure AI Foundry but OpenAI's to think.
    **some(chat_cases("foundry-", "elsewhere-foundry"), (*SHAPES[:2], *SHAPES[3:])),
    **some(messages_cases("foundry-claude-", "elsewhere-foundry-claude")),
    **some(chat_cases("vllm-", "elsewhere-vllm"), OF_A_SERVER),
    **some(chat_cases("house-", "elsewhere-house"), OF_A_SERVER),
    **some(chat_cases("ollama-", "elsewhere-ollama"), OF_A_SERVER),
    "openai-embeddings": embedded("elsewhere-openai-embeddings"),
    "gemini-embeddings": embedded("elsewhere-gemini-embeddings", Counted.TOKENIZED),
    "mistral-embeddings": embedded("elsewhere-mistral-embeddings"),
    "foundry-embeddings": embedded("elsewhere-foundry-embeddings"),
}

PROMPT = "A pixel, please."
# What has another price than by tokens of texts: path, request, and US dollars, by the list's prices.
OTHERWISE: Mapping[str, tuple[str, Json, float]] = {
    "images": (
        IMAGES,
        {"model": "elsewhere-openai-images", "prompt": PROMPT},
        count_tokens(PROMPT) * PRICES["gpt-image-2"]["input_cost_per_token"]
        + IMAGE_TOKENS * PRICES["gpt-image-2"]["output_cost_per_image_token"],
    ),
    "rerank": (
        RERANK,
        {"model": "elsewhere-foundry-rerank", "query": "capital", "documents": ["A cat.", "The capital."], "top_n": 1},
        PRICES["azure_ai/cohere-rerank-v4.0-fast"]["input_cost_per_query"],
    ),
}


@pytest.fixture(scope="module")
def added(gateway: LocalGateway) -> Iterator[None]:
    """The models, as long as these tests last."""
    with models(gateway, entries(gateway.outside.credentials)):
        yield


@pytest.fixture(scope="module")
def sent(gateway: LocalGateway, added: None) -> dict[str, Sent]:
    """Every case, sent."""
    return {name: send(gateway, name, case) for name, case in CASES.items()}


@pytest.fixture(scope="module")
def datadog(gateway: LocalGateway, sent: dict[str, Sent]) -> dict[str, list[Json]]:
    return all_in_datadog(gateway, CASES, sent)


@pytest.fixture(scope="module")
def days(gateway: LocalGateway, datadog: dict[str, list[Json]], sent: dict[str, Sent]) -> dict[str, Figures]:
    return all_in_days(gateway, CASES, sent)


@pytest.mark.parametrize("name", CASES)
def test_the_providers_were_called_as_meant(name: str, sent: dict[str, Sent]) -> None:
    """What the other tests compare with is there: each answer, whatever was cached or thought."""
    seen, bill = sent[name], sent[name].billed()
    assert set(seen.statuses) == {200}
    assert [call.status for call in seen.calls] == [200] * CASES[name].times
    assert (bill.cached > 0) == ("-cached" in name)
    written = "-cached" in name and "cache_creation_input_token_cost" in price(seen.calls[0])
    assert (bill.cache_write > 0) == written
    assert bool(bill.reasoning) == ("-reasoning" in name)


@pytest.mark.parametrize("name", CASES)
def test_the_answer_says_what_is_billed(name: str, sent: dict[str, Sent]) -> None:
    case, seen = CASES[name], sent[name]
    expected = [billed(call) for call in seen.calls]
    streamed = "stream" in case.body
    if case.daily is Counted.TOKENIZED:
        (answer,) = seen.answers
        assert answer
        assert 0 < answer.prompt != expected[0].prompt
        return
    if case.path == CHAT and streamed and "stream_options" not in case.body:
        assert set(seen.answers) == {None}  # as the format has it
    else:
        assert [figures and figures.tokens() for figures in seen.answers] == [each.tokens() for each in expected]
    costs = [None if streamed else pytest.approx(figures.cost, rel=1e-9) for figures in expected]
    assert list(seen.costs) == costs


@pytest.mark.parametrize("name", CASES)
def test_datadog_gets_what_is_billed(name: str, sent: dict[str, Sent], datadog: dict[str, list[Json]]) -> None:
    records = datadog.get(user_of(name), [])
    check(CASES[name].datadog, of_records(records), sent[name], reasoning=True)
    assert {record["provider"] for record in records} == {call.provider for call in sent[name].calls}


@pytest.mark.parametrize("name", CASES)
def test_litellms_days_are_what_is_billed(name: str, sent: dict[str, Sent], days: dict[str, Figures]) -> None:
    check(CASES[name].daily, days.get(user_of(name), Figures()), sent[name], reasoning=False)


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_not_priced_by_text_costs_what_the_list_says(gateway: LocalGateway, added: None, name: str) -> None:
    """By the token of an image, and by the search."""
    (path, body, cost), user = OTHERWISE[name], user_of(name)
    answer = gateway.api("POST", path, key=gateway.user_key(user), json=body)
    assert answer.is_success, answer.text
    assert float(answer.headers["x-litellm-response-cost"]) == pytest.approx(cost)
    assert eventually(lambda: of_records(in_datadog(gateway).get(user, [])).cost) == pytest.approx(cost)
    assert eventually(lambda: in_days(gateway).get(user, Figures()).cost) == pytest.approx(cost)
