"""What LiteLLM counts of a call, in every shape that calls have, against what its provider bills (docs/costs.md).

The tokens are the simulated providers' own counts (`outside.calls()`), in their own wire formats; the cost expected of
them is worked out here by the providers' published arithmetic, with the unit prices of the pinned LiteLLM's list. That
list is checked against the published prices in a test of its own. Each figure is looked for at three places: in the
answer to the caller, in the record that Datadog gets, and in LiteLLM's own figures of the day.

All requests are made first, each as a user of its own, and LiteLLM's minute is waited for once.
"""

import pytest

from local.gateway import LocalGateway
from local.outside.records import Fault
from tests.e2e.costs import (
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
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
    marked,
    messages,
    messages_cases,
    of_records,
    prefix,
    responses,
    responses_cases,
    send,
    user_of,
)
from tests.e2e.test_completions import CHANGES, PRICES

CLAUDE, GPT, GEMINI = "claude-sonnet-5-5", "gpt-6.1-sol", "gemini-4-argon"
BEDROCK_HOSTS, AZURE_HOSTS, VERTEX_HOSTS = (
    *("bedrock-runtime.*.amazonaws.com", "*.openai.azure.com", "*aiplatform.googleapis.com"),
)
TEXT = b"Answer"  # how the simulated model's answers begin
# Seconds between the pieces of an answer, so that LiteLLM passes one on before the next comes.
SLOW = 0.1

SHAPES = {
    **chat_cases("converse", CLAUDE),
    **messages_cases("messages", CLAUDE),
    **chat_cases("azure", GPT),
    **responses_cases("responses", GPT),
    **chat_cases("vertex", GEMINI),
    "titan-embedding": Case(EMBEDDINGS, {"model": "titan-embed-text-v2", "input": "To be embedded " * 20}),
    "azure-embeddings": Case(
        EMBEDDINGS,
        {"model": "text-embedding-3-large", "input": ["To be embedded " * 20, "four"], "encoding_format": "float"},
    ),
    # A client of one format with the model of another.
    "messages-to-azure": Case(
        MESSAGES, messages(GPT, thinking={"type": "enabled", "budget_tokens": 1024}, stream=True)
    ),
    "messages-to-vertex": Case(MESSAGES, messages(GEMINI, stream=True)),
    "responses-to-bedrock": Case(RESPONSES, responses(CLAUDE, reasoning={"effort": "medium"}, stream=True)),
    # An hour in the cache costs more than five minutes, and both can be in one prompt.
    "converse-cached-1h": Case(
        CHAT,
        {
            "model": CLAUDE,
            "messages": [
                {"role": "system", "content": marked("converse", "1h")},
                {"role": "user", "content": marked("converse", "5m")},
            ],
        },
        times=4,
    ),
    "converse-cached-1h-streamed": Case(
        CHAT,
        {
            "model": CLAUDE,
            "messages": [
                {"role": "system", "content": marked("converse-s", "1h")},
                {"role": "user", "content": "And?"},
            ],
            "stream": True,
        },
        times=4,
    ),
    "messages-cached-1h": Case(
        MESSAGES, messages(CLAUDE, marked("messages-1h", "5m"), system=marked("messages-1h", "1h")), times=4
    ),
    "messages-cached-1h-streamed": Case(
        MESSAGES,
        messages(CLAUDE, marked("messages-1h-s", "5m"), system=marked("messages-1h-s", "1h"), stream=True),
        times=4,
    ),
    # From a certain length on all of a prompt, and its answer, has another price.
    "converse-long": Case(CHAT, chat("claude-haiku-5-5", "word " * 84_000)),
    "azure-long": Case(CHAT, chat(GPT, "word " * 220_000)),
}

FAILURES = {
    # A refused attempt costs nothing; the caller's answer comes from elsewhere.
    "throttled": Case(CHAT, chat("claude-haiku-5-5"), fault={BEDROCK_HOSTS: Fault(status=429, count=1)}),
    "failed": Case(CHAT, chat("nova-2-lite"), fault={BEDROCK_HOSTS: Fault(status=500, count=1)}),
    "failed-streamed": Case(
        MESSAGES, messages("claude-haiku-5-5", stream=True), fault={BEDROCK_HOSTS: Fault(status=500, count=1)}
    ),
    "stepped-in": Case(CHAT, chat(GPT), fault={AZURE_HOSTS: Fault(status=503)}),
    "refused": Case(CHAT, chat("nova-2-lite"), fault={BEDROCK_HOSTS: Fault(status=400)}, status=400),
    # What Nova writes to a cache is free.
    "nova-cached": Case(
        CHAT,
        {
            "model": "nova-2-lite",
            "messages": [
                {"role": "system", "content": marked("nova", "5m")},
                {"role": "user", "content": "And?"},
            ],
        },
        times=4,
        datadog=Counted.WRITTEN,
        daily=Counted.WRITTEN,
    ),
    # A caller who does not wait for a whole answer: LiteLLM does.
    "converse-left-waiting": Case(CHAT, chat(CLAUDE), fault={BEDROCK_HOSTS: Fault(delay_seconds=3)}, waits=1),
    "azure-left-waiting": Case(CHAT, chat(GPT), fault={AZURE_HOSTS: Fault(delay_seconds=3)}, waits=1),
    # A caller who leaves a stream. LiteLLM reads Anthropic's format to its end, the others not.
    "messages-left": Case(
        MESSAGES,
        messages(CLAUDE, stream=True),
        fault={BEDROCK_HOSTS: Fault(chunk_delay_seconds=SLOW)},
        leaves_at=TEXT,
    ),
    "converse-left": Case(
        CHAT,
        chat(CLAUDE, stream=True, reasoning_effort="medium"),
        fault={BEDROCK_HOSTS: Fault(chunk_delay_seconds=SLOW)},
        leaves_at=TEXT,
        datadog=Counted.LESS,
        daily=Counted.LESS,
    ),
    "azure-left": Case(
        CHAT,
        chat(GPT, stream=True, reasoning_effort="medium"),
        fault={AZURE_HOSTS: Fault(chunk_delay_seconds=SLOW)},
        leaves_at=TEXT,
        datadog=Counted.LESS,
        daily=Counted.LESS,
    ),
    "vertex-left": Case(
        CHAT,
        chat(GEMINI, stream=True, reasoning_effort="medium"),
        fault={VERTEX_HOSTS: Fault(chunk_delay_seconds=SLOW)},
        leaves_at=TEXT,
        datadog=Counted.LESS,
        daily=Counted.LESS,
    ),
    "responses-left": Case(
        RESPONSES,
        responses(GPT, stream=True, reasoning={"effort": "medium"}),
        fault={AZURE_HOSTS: Fault(chunk_delay_seconds=SLOW)},
        leaves_at=TEXT,
        datadog=Counted.LESS,
        daily=Counted.LESS,
    ),
    "azure-left-cached": Case(
        CHAT,
        chat(GPT, prefix("azure-left"), stream=True),
        times=4,
        fault={AZURE_HOSTS: Fault(chunk_delay_seconds=SLOW)},
        leaves_at=TEXT,
        datadog=Counted.MORE,
        daily=Counted.MORE,
    ),
    "responses-left-early": Case(
        RESPONSES,
        responses(GPT, stream=True),
        fault={AZURE_HOSTS: Fault(chunk_delay_seconds=SLOW)},
        leaves_at=b"response.created",
        datadog=Counted.NOTHING,
        daily=Counted.NOTHING,
    ),
    # A provider who breaks a stream off: before the caller got any of it, LiteLLM asks another one ...
    "converse-broken-early": Case(
        CHAT,
        chat("claude-haiku-5-5", stream=True),
        fault={BEDROCK_HOSTS: Fault(cut_after_bytes=20, count=1)},
        datadog=Counted.UNBROKEN,
        daily=Counted.UNBROKEN,
    ),
    "messages-broken-early": Case(
        MESSAGES,
        messages("claude-opus-5-5", stream=True),
        fault={BEDROCK_HOSTS: Fault(cut_after_bytes=20, count=1)},
        datadog=Counted.UNBROKEN,
        daily=Counted.UNBROKEN,
    ),
    "azure-broken-early": Case(
        CHAT,
        chat(GPT, stream=True),
        fault={AZURE_HOSTS: Fault(cut_after_bytes=20, count=1)},
        datadog=Counted.UNBROKEN,
        daily=Counted.UNBROKEN,
    ),
    # ... and after that, the caller gets an error.
    "converse-broken": Case(
        CHAT,
        chat("claude-opus-5-5", stream=True),
        fault={BEDROCK_HOSTS: Fault(cut_after_bytes=800, chunk_delay_seconds=SLOW)},
        datadog=Counted.LESS,
        daily=Counted.NOTHING,
    ),
    "azure-broken": Case(
        CHAT,
        chat(GPT, stream=True),
        fault={AZURE_HOSTS: Fault(cut_after_bytes=1500, chunk_delay_seconds=SLOW)},
        datadog=Counted.LESS,
        daily=Counted.NOTHING,
    ),
    "responses-broken": Case(
        RESPONSES,
        responses(GPT, stream=True),
        fault={AZURE_HOSTS: Fault(cut_after_bytes=3500, chunk_delay_seconds=SLOW)},
        datadog=Counted.NOTHING,
        daily=Counted.NOTHING,
    ),
    # The last of all, counted in any case: when it has arrived, what came before and is not there never will be.
    "last": Case(EMBEDDINGS, {"model": "titan-embed-text-v2", "input": "The last"}),
}
CASES = SHAPES | FAILURES


@pytest.fixture(scope="module")
def sent(gateway: LocalGateway) -> dict[str, Sent]:
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
    """What the other tests compare with is there: each answer, whatever was cached, thought or seen."""
    case, bill = CASES[name], sent[name].billed()
    assert set(sent[name].statuses) <= {case.status, 0}
    assert sum(call.status == 200 and not call.cut for call in sent[name].calls) >= (0 if case.fault else case.times)
    assert (bill.cached > 0) == ("-cached" in name)
    if "-cached" in name and not name.startswith("vertex"):  # where alone a write costs nothing
        assert bill.cache_write > 0
    assert any(call.usage.cache_write_1h_tokens for call in sent[name].calls) == ("-1h" in name)
    assert any(call.usage.image_tokens for call in sent[name].calls) == ("-image" in name)
    if "-reasoning" in name:
        assert bill.reasoning


@pytest.mark.parametrize("name", SHAPES)
def test_the_answer_says_what_is_billed(name: str, sent: dict[str, Sent]) -> None:
    """Tokens in every answer that has room for them, and the cost in the header of those that are no stream."""
    case, seen = SHAPES[name], sent[name]
    expected = [billed(call) for call in seen.calls]
    streamed = "stream" in case.body
    if case.path == CHAT and streamed and "stream_options" not in case.body:
        assert set(seen.answers) == {None}  # as the format has it
    else:
        # In Anthropic's format, thoughts of another provider's model are in the sum but not told apart.
        reasoning = not name.startswith("messages-to-")
        answered = [figures and figures.tokens(reasoning=reasoning) for figures in seen.answers]
        assert answered == [figures.tokens(reasoning=reasoning) for figures in expected]
    costs = [None if streamed else pytest.approx(figures.cost, rel=1e-9) for figures in expected]
    assert list(seen.costs) == costs


@pytest.mark.parametrize("name", CASES)
def test_datadog_gets_what_is_billed(name: str, sent: dict[str, Sent], datadog: dict[str, list[Json]]) -> None:
    records = datadog.get(user_of(name), [])
    check(CASES[name].datadog, of_records(records), sent[name], reasoning=True)


@pytest.mark.parametrize("name", CASES)
def test_litellms_days_are_what_is_billed(name: str, sent: dict[str, Sent], days: dict[str, Figures]) -> None:
    """What the cache saved is reckoned of a day's sums: for long prompts by what was charged, of all of the call."""
    saved = 1e-3 if name.endswith("-long") else 1e-9
    check(CASES[name].daily, days.get(user_of(name), Figures()), sent[name], reasoning=False, saved=saved)


# US dollars per million tokens: input, output, and of the cache a read, a write, a write for an hour (0: there is no
# such thing), published as of 2026-11-24; a `us.` profile of Bedrock costs a tenth more. Sources: docs/costs.md.
PUBLISHED = {
    "us.anthropic.claude-opus-5-5": (4.40, 22.0, 0.22, 5.50, 8.80),
    "us.anthropic.claude-sonnet-5-5": (2.20, 11.0, 0.11, 2.75, 4.40),
    "global.anthropic.claude-sonnet-5-5": (2.00, 10.0, 0.10, 2.50, 4.00),
    "us.anthropic.claude-haiku-5-5": (0.11, 0.55, 0.011, 0.1375, 0.22),
    "azure/gpt-6.1-sol": (2.00, 10.0, 0.10, 2.50, 0),
    "azure/gpt-6-luna": (0.10, 0.50, 0.01, 0.125, 0),
    "vertex_ai/gemini-4-argon": (2.00, 10.0, 0.10, 0, 0),  # until 2026-11-30
    "amazon.titan-embed-text-v2:0": (0.02, 0, 0, 0, 0),
}
PUBLISHED_FROM = {("vertex_ai/gemini-4-argon", "2026-12-01"): (4.00, 20.0, 0.20, 0, 0)}
KINDS = (
    *("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"),
    *("cache_creation_input_token_cost", "cache_creation_input_token_cost_above_1hr"),
)


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_price_list_is_the_published_one(model: str) -> None:
    """And so are its ratios: a read of the cache 0.05 or 0.1 of input, a write 1.25, one for an hour 2."""
    listed = tuple(1e6 * PRICES[model].get(kind, 0) for kind in KINDS)
    assert listed == pytest.approx(PUBLISHED[model])


def test_the_prices_to_come_are_the_published_ones() -> None:
    found = {
        (model, day): tuple(1e6 * prices.get(kind, 0) for kind in KINDS)
        for model, changes in CHANGES.items()
        for day, prices in changes.items()
    }
    assert found == {key: pytest.approx(published) for key, published in PUBLISHED_FROM.items()}
    for changes in CHANGES.values():
        for prices in changes.values():
            assert prices["output_cost_per_reasoning_token"] == prices["output_cost_per_token"]


@pytest.mark.parametrize(
    ("model", "suffix", "published"),
    [
        ("us.anthropic.claude-haiku-5-5", "_above_100k_tokens", (0.55, 2.75, 0.055, 0.6875, 1.10)),
        ("azure/gpt-6.1-sol", "_above_272k_tokens", (4.00, 15.0, 0.20, 5.00, 0)),
    ],
)
def test_so_are_the_prices_of_long_prompts(model: str, suffix: str, published: tuple[float, ...]) -> None:
    assert tuple(1e6 * PRICES[model].get(f"{kind}{suffix}", 0) for kind in KINDS) == pytest.approx(published)


def test_thoughts_cost_what_output_costs() -> None:
    """Gemini's have a price of their own in the list; the others are output there."""
    for name, entry in PRICES.items():
        if name in PUBLISHED and "output_cost_per_reasoning_token" in entry:
            assert entry["output_cost_per_reasoning_token"] == entry["output_cost_per_token"]
