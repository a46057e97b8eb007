"""What people do all day: completions through each provider, answered, counted and kept to themselves."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import openai
import pytest
import yaml

from local.gateway import LocalGateway
from local.outside.completion import COMPLETION_PHRASE, count_tokens
from local.outside.records import Call, Fault
from local.outside.world import OutsideWorld
from stacks import CHECKOUT
from stacks.company import EXAMPLE
from stacks.litellm_config import PRICES_FROM, day_of, in_force
from tests.e2e.conftest import eventually, sdk

BEDROCK, AZURE, VERTEX = "claude-sonnet-5-5", "gpt-6.1-sol", "gemini-4-argon"
EMBEDDINGS = ("titan-embed-text-v2", "text-embedding-3-large")
REGIONS = ("us-east-1", "us-east-2", "us-west-2")
PRICES: dict[str, Any] = json.loads(
    next((CHECKOUT / ".tools/litellm").glob("lib/*/site-packages/litellm/model_prices*backup.json")).read_text()
)
# The prices of config.yaml by the day from which they hold, by LiteLLM's name in its list, as above.
CHANGES: dict[str, Mapping[str, Mapping[str, float]]] = {
    entry["litellm_params"]["model"].removeprefix("bedrock/"): entry["model_info"][PRICES_FROM]
    for entry in yaml.safe_load((EXAMPLE / "config.yaml").read_text("utf-8"))["model_list"]
    if PRICES_FROM in entry.get("model_info", {})
}


def prices_of(model: str, call_time: float) -> dict[str, Any]:
    """A model's prices in LiteLLM's list and, from their days on, in config.yaml, at the time of a call."""
    day = day_of(model.partition("/")[0], datetime.fromtimestamp(call_time, UTC))
    return {**PRICES[model], **in_force(CHANGES.get(model, {}), day)}


def ask(client: openai.OpenAI, model: str, prompt: str = "Say hello") -> str:
    """The text of a plain completion."""
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content or ""


def ask_streamed(client: openai.OpenAI, model: str, prompt: str = "Say hello") -> str:
    """The text of a streamed completion."""
    chunks = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": prompt}], stream=True, stream_options={"include_usage": True}
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def model_calls(outside: OutsideWorld) -> list[Call]:
    """The answered calls of a model: not the deliveries to Datadog and Slack, nor the exchanges of Google's token."""
    return [call for call in outside.calls() if call.model]


@pytest.mark.parametrize("model", [BEDROCK, AZURE, VERTEX])
def test_plain_and_streamed(client: openai.OpenAI, outside: OutsideWorld, model: str) -> None:
    plain, streamed = ask(client, model), ask_streamed(client, model)
    assert plain.startswith(COMPLETION_PHRASE)
    assert streamed == plain  # the simulated model answers the same request with the same text
    assert [call.streamed for call in model_calls(outside)] == [False, True]


@pytest.mark.parametrize("model", EMBEDDINGS)
def test_embeddings(client: openai.OpenAI, model: str) -> None:
    answer = client.embeddings.create(model=model, input="Say hello", encoding_format="float")
    assert len(answer.data[0].embedding) > 100


def test_the_format_of_anthropic(gateway: LocalGateway, user: str) -> None:
    """Claude Code and the like call /v1/messages."""
    body = {"model": BEDROCK, "max_tokens": 100, "messages": [{"role": "user", "content": "Say hello"}]}
    answer = gateway.api("POST", "/v1/messages", key=gateway.user_key(user), json=body)
    assert answer.json()["content"][0]["text"].startswith(COMPLETION_PHRASE)


def test_tokens_are_counted_before_a_call(gateway: LocalGateway, outside: OutsideWorld, user: str) -> None:
    """As Claude Code asks it to: CountTokens refuses the model that LiteLLM counts this one with, and bedrock-mantle
    counts. Both are asked where the task's role permits it.
    """
    prompt = "Say hello, and count every word of it. " * 20
    body = {"model": BEDROCK, "messages": [{"role": "user", "content": prompt}]}
    answer = gateway.api("POST", "/v1/messages/count_tokens", key=gateway.user_key(user), json=body)
    assert answer.json()["input_tokens"] == count_tokens(prompt)
    runtime, mantle = model_calls(outside)
    assert (runtime.provider, runtime.operation, runtime.status) == ("bedrock", "count-tokens", 400)
    assert (mantle.provider, mantle.operation, mantle.status) == ("bedrock-mantle", "count_tokens", 200)
    statements = gateway.config.permissions(partition="aws", account="1")
    permitted = {action: arns for actions, arns in statements for action in actions}
    assert f"arn:aws:bedrock:{runtime.region}::foundation-model/{runtime.model}" in permitted["bedrock:CountTokens"]
    assert f"arn:aws:bedrock-mantle:{mantle.region}:1:project/default" in permitted["bedrock-mantle:CountTokens"]


def test_every_bedrock_region_is_used(client: openai.OpenAI, outside: OutsideWorld) -> None:
    def asked() -> bool:
        """By chance, and one that was throttled in a test before is left out for a while."""
        ask(client, BEDROCK)
        return {call.region for call in model_calls(outside)} == set(REGIONS)

    assert eventually(asked)


def test_a_throttled_region_is_left_out(client: openai.OpenAI, outside: OutsideWorld) -> None:
    outside.set_fault("bedrock-runtime.us-east-1.amazonaws.com", Fault(status=429))
    answers = [ask(client, "claude-haiku-5-5", f"Question {number}") for number in range(40)]
    assert all(answer.startswith(COMPLETION_PHRASE) for answer in answers)
    answered = Counter((call.region, call.status) for call in model_calls(outside))
    assert answered["us-east-2", 200] + answered["us-west-2", 200] == 40
    assert answered["us-east-1", 429] < 10  # it was asked, and then left out for a while


def test_a_conversation_is_paid_for_once_and_moves_as_a_whole(
    gateway: LocalGateway, outside: OutsideWorld, user: str
) -> None:
    """As Claude Code holds one: the session's id in a header, the mark of the cache on what is new."""
    headers = {
        "Authorization": f"Bearer {gateway.user_key(user)}",
        "User-Agent": "claude-cli/2.1.332 (external, sdk-cli)",
        "X-Claude-Code-Session-Id": str(uuid.uuid4()),
    }
    messages: list[dict[str, Any]] = []
    costs: list[str] = []

    def turn(number: int) -> Call:
        for message in messages:
            message["content"][0].pop("cache_control", None)
        text = f"{'What was found. ' * (1500 if number == 0 else 150)} Turn {number}."
        messages.append(turn_of("user", text, cache_control={"type": "ephemeral"}))
        body = {"model": BEDROCK, "max_tokens": 100, "messages": messages}
        answer = httpx.post(f"{gateway.url}/v1/messages", headers=headers, json=body, trust_env=False, timeout=60)
        messages.append(turn_of("assistant", answer.json()["content"][0]["text"]))
        costs.append(answer.headers.get("x-litellm-response-cost"))  # an answer of a second attempt has none
        return model_calls(outside)[-1]

    calls = [turn(number) for number in range(12)]
    (region,) = {call.region for call in calls}
    # In one region, each turn reads what the one before it had, and writes what is new. So each token is written once.
    assert [call.usage.cached_tokens for call in calls[1:]] == [
        call.usage.cached_tokens + call.usage.cache_write_tokens for call in calls[:-1]
    ]
    prices = prices_of(calls[0].model, calls[0].time)
    written = sum(call.usage.cache_write_tokens for call in calls)
    read = sum(call.usage.cached_tokens for call in calls)
    put_out = sum(call.usage.output_tokens for call in calls)
    assert written == calls[-1].usage.input_tokens > 10_000
    assert sum(map(float, costs)) == pytest.approx(
        written * prices["cache_creation_input_token_cost"]
        + read * prices["cache_read_input_token_cost"]
        + put_out * prices["output_cost_per_token"]
    )
    outside.set_fault(f"bedrock-runtime.{region}.amazonaws.com", Fault(status=429))
    moved = [turn(number) for number in range(12, 15)]
    assert len({call.region for call in moved} - {region}) == 1
    assert [call.usage.cached_tokens > 0 for call in moved] == [False, True, True]


def turn_of(role: str, text: str, **mark: object) -> dict[str, Any]:
    """A message of one text."""
    return {"role": role, "content": [{"type": "text", "text": text, **mark}]}


def test_another_model_steps_in_when_every_region_is_throttled(client: openai.OpenAI, outside: OutsideWorld) -> None:
    outside.set_fault("bedrock-runtime.*.amazonaws.com", Fault(status=429))
    assert ask(client, BEDROCK).startswith(COMPLETION_PHRASE)
    assert model_calls(outside)[-1].model == "gpt-6.1-sol"


@pytest.mark.parametrize("status", [400, 404])
def test_one_callers_mistake_hurts_nobody_else(
    gateway: LocalGateway, client: openai.OpenAI, outside: OutsideWorld, status: int
) -> None:
    """Azure says it of one request, which goes to another vendor only if another model may take it."""
    outside.set_fault("*.openai.azure.com", Fault(status=status, count=1))
    try:
        ask(client, AZURE)
    except openai.BadRequestError:
        assert status == 400
        assert {call.provider for call in model_calls(outside)} == {"azure"}
    outside.clear("calls")
    assert ask(sdk(gateway, gateway.user_key(f"ben-{uuid.uuid4()}")), AZURE).startswith(COMPLETION_PHRASE)
    assert [call.model for call in model_calls(outside)] == [AZURE]


@pytest.mark.parametrize("model", [BEDROCK, AZURE, VERTEX])
def test_what_cannot_be_read_is_told_in_a_sentence(client: openai.OpenAI, model: str) -> None:
    wrong: Any = "Hello"
    with pytest.raises(openai.BadRequestError, match="its format is not that of this operation") as refused:
        client.chat.completions.create(model=model, messages=wrong)
    assert not any(word in str(refused.value) for word in ("Traceback", ".py", "attribute"))


def test_a_wrong_key_is_refused(gateway: LocalGateway, outside: OutsideWorld) -> None:
    with pytest.raises(openai.AuthenticationError):
        ask(sdk(gateway, "sk-nobody"), BEDROCK)
    assert model_calls(outside) == []


def test_a_spent_budget_is_the_end(gateway: LocalGateway, user: str, outside: OutsideWorld) -> None:
    created = gateway.api("POST", "/user/new", json={"user_id": user, "max_budget": 0.0, "auto_create_key": True})
    with pytest.raises(openai.APIStatusError, match=r"[Bb]udget"):
        ask(sdk(gateway, created.json()["key"]), BEDROCK)
    assert model_calls(outside) == []


def test_a_host_name_of_somebody_else_is_refused(gateway: LocalGateway) -> None:
    answer = httpx.get(f"{gateway.url}/v1/models", headers={"Host": "evil.example.com"}, trust_env=False)
    assert (answer.status_code, answer.text) == (403, "This gateway answers only for its own host name.\n")


def _cost(model: str, tokens_in: int, tokens_out: int) -> float:
    """US dollars, by the prices of today, for a call that cached nothing."""
    price = prices_of(model, time.time())
    return float(tokens_in * price["input_cost_per_token"] + tokens_out * price.get("output_cost_per_token", 0))


def _spent(gateway: LocalGateway, user: str) -> dict[str, dict[str, float]]:
    """LiteLLM's own record of the user: figures by the model's name."""
    today = datetime.now(UTC).date()
    dates = {"start_date": str(today - timedelta(days=1)), "end_date": str(today + timedelta(days=1))}
    answer = gateway.api("GET", "/user/daily/activity", params={**dates, "user_id": user, "page_size": 1000})
    found: dict[str, Counter[str]] = {}
    for day in answer.json()["results"]:
        for model, figures in day["breakdown"]["model_groups"].items():
            found.setdefault(model, Counter()).update(figures["metrics"])
    return {model: dict(figures) for model, figures in found.items()}


def test_user_model_tokens_and_spend_are_recorded(
    gateway: LocalGateway, client: openai.OpenAI, user: str, outside: OutsideWorld
) -> None:
    """The database holds, to the token, what the providers reported; the cost is theirs too."""
    expected: dict[str, tuple[float, float, float, object]] = {}
    for model, priced_as in (
        (BEDROCK, "us.anthropic.claude-sonnet-5-5"),
        (AZURE, "azure/gpt-6.1-sol"),
        (VERTEX, "vertex_ai/gemini-4-argon"),
    ):
        outside.clear("calls")
        for number in range(3):
            ask(client, model, f"Question {number} " * (10 + number))
        ask_streamed(client, model, "And a streamed one " * 20)
        usages = [call.usage for call in model_calls(outside)]
        tokens_in, tokens_out = (sum(getattr(u, kind) for u in usages) for kind in ("input_tokens", "output_tokens"))
        expected[model] = (len(usages), tokens_in, tokens_out, pytest.approx(_cost(priced_as, tokens_in, tokens_out)))
    for model, priced_as in zip(
        EMBEDDINGS, ("amazon.titan-embed-text-v2:0", "azure/text-embedding-3-large"), strict=True
    ):
        outside.clear("calls")
        client.embeddings.create(model=model, input="To be embedded " * 20, encoding_format="float")
        (call,) = model_calls(outside)
        expected[model] = (1, call.usage.input_tokens, 0, pytest.approx(_cost(priced_as, call.usage.input_tokens, 0)))

    calls = sum(count for count, *_ in expected.values())
    eventually(lambda: sum(f["api_requests"] for f in _spent(gateway, user).values()) >= calls)
    recorded = {
        model: (f["api_requests"], f["prompt_tokens"], f["completion_tokens"], f["spend"])
        for model, f in _spent(gateway, user).items()
    }
    assert recorded == expected


def test_nothing_else_was_called(gateway: LocalGateway) -> None:
    """LiteLLM called the providers, Datadog and Slack, and no other host."""
    assert gateway.outside.refused() == []
