"""What the gateway tells Datadog of calls: figures to the token, each attempt, and not a word of anybody's."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest

from local.gateway import LocalGateway
from local.outside.azure import AzureOpenAI
from local.outside.bedrock import Bedrock
from local.outside.completion import COMPLETION_PHRASE
from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.google import VertexAI
from local.outside.records import Call, Fault
from local.outside.told import TOOL_MARKER
from local.outside.world import OutsideWorld
from tests.e2e.conftest import eventually, sdk

Json = dict[str, Any]

CLAUDE, GPT, GEMINI, NOVA = "claude-sonnet-5-5", "gpt-6.1-sol", "gemini-4-argon", "nova-2-lite"
EMBEDDINGS = ("titan-embed-text-v2", "text-embedding-3-large")
MARKER = "the-marker-of-a-secret-prompt"
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": f"Tells {MARKER}",
            "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": MARKER}}},
        },
    }
]

CALL = {
    *("kind", "user", "team", "key", "model", "deployment", "provider", "region", "outcome", "call_type", "streamed"),
    *("call_id", "provider_request_id"),
}
TOKENS = {
    *("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"),
}


@dataclass
class Person:
    """Somebody with a key, and what the providers were asked for them."""

    user: str
    key: str
    client: openai.OpenAI
    calls: list[Call] = field(default_factory=list)


@dataclass
class Traffic:
    """Who asked, and what Datadog got to know of calls and rejected requests since then."""

    ana: Person  # of a team, with a key that has a name; all her calls are answered
    ben: Person  # many of his calls fail
    carl: Person  # has no budget
    dora: Person  # asks for what nobody has, or what cannot be translated for the provider
    records: list[Json]

    def of(self, who: Person, **wanted: object) -> list[Json]:
        """The records of a person that have these attributes."""
        return [record for record in self.records if {"user": who.user, **wanted}.items() <= record.items()]


def records(outside: OutsideWorld, start: int) -> list[Json]:
    """The records that Datadog got, but for the first `start` of them."""
    return [json.loads(log["message"])["llm"] for log in outside.datadog()[start:]]


def person(gateway: LocalGateway, name: str, *, budget: float = 10.0, **key: object) -> Person:
    """A new user with a budget in dollars, and a key."""
    user = f"{name}-{time.monotonic_ns()}@example.com"
    new = {"user_id": user, "user_email": user, "max_budget": budget, "auto_create_key": False}
    made = (
        gateway.api("POST", "/user/new", json=new),
        gateway.api("POST", "/key/generate", json={"user_id": user, **key}),
    )
    assert all(answer.is_success for answer in made), [answer.text for answer in made]
    secret = made[1].json()["key"]
    return Person(user, secret, sdk(gateway, secret))


def chat(model: str, text: str = MARKER, **more: Any) -> Json:  # noqa: ANN401 - of the API
    """A chat completion's arguments."""
    system = {"role": "system", "content": f"You know {MARKER}"}
    return {"model": model, "messages": [system, {"role": "user", "content": text}], **more}


def answered(gateway: LocalGateway, who: Person) -> None:
    """Ask each provider in each way."""
    completions = who.client.chat.completions
    long = f"{MARKER} of {who.user}. " * 600  # more than the 6,144 tokens from which on Gemini 4 caches
    for model in (CLAUDE, GPT, GEMINI):
        completions.create(**chat(model))
        completions.create(**chat(model), reasoning_effort="high")
        list(completions.create(**chat(model), stream=True))
        call = completions.create(**chat(model, f"{TOOL_MARKER} {MARKER}"), tools=TOOLS).choices[0].message
        assert call.tool_calls
        result = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": f"It knows {MARKER}"}
        conversation = [*chat(model)["messages"], call.model_dump(exclude_none=True), result]
        completions.create(model=model, messages=conversation, tools=TOOLS)
        for _ in range(2):
            completions.create(**chat(model, long))
        who.client.responses.create(model=model, input=MARKER, instructions=MARKER)
        list(who.client.responses.create(model=model, input=MARKER, stream=True))
    for stream in (False, True):
        system = [{"type": "text", "text": long, "cache_control": {"type": "ephemeral"}}]
        body = {"model": CLAUDE, "max_tokens": 100, "stream": stream, "system": system}
        body["messages"] = [{"role": "user", "content": MARKER}]
        for _ in range(4):  # in three regions: one of them is asked twice
            assert gateway.api("POST", "/v1/messages", key=who.key, json=body).is_success
    for model in EMBEDDINGS:
        who.client.embeddings.create(model=model, input=MARKER, encoding_format="float")


def quoting(_: object, request: Request, __: Target) -> Answer:
    """Refuse a request as some providers do: with its own words."""
    raise ApiError(400, message=f"Cannot read this: {request.body.decode()}")


def failed(gateway: LocalGateway, outside: OutsideWorld, who: Person) -> None:
    """Fail at the providers: throttled, broken, and with errors that quote the prompt."""
    completions = who.client.chat.completions
    refusals: list[Callable[[], object]] = [
        lambda: completions.create(**chat(NOVA)),
        lambda: list(completions.create(**chat(NOVA), stream=True)),
    ]
    for status in (429, 500):
        outside.set_fault("bedrock-runtime.*.amazonaws.com", Fault(status=status))
        for refusal in refusals:
            with pytest.raises(openai.APIStatusError):
                refusal()
    outside.clear_fault()
    with pytest.MonkeyPatch.context() as patch:
        for provider in (AzureOpenAI, Bedrock, VertexAI):
            patch.setattr(provider, "answer", quoting)
        for model in (CLAUDE, GPT, GEMINI):
            with pytest.raises(openai.APIStatusError):
                completions.create(**chat(model))
            body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": MARKER}]}
            assert gateway.api("POST", "/v1/messages", key=who.key, json=body).is_client_error
    # A fallback that answers, after a provider that is throttled and then one that is not.
    outside.set_fault("*.openai.azure.com", Fault(status=429))
    completions.create(**chat(GPT))
    outside.clear_fault()


def rejected(gateway: LocalGateway, carl: Person, dora: Person) -> None:
    """Ask for what the gateway itself refuses, and for what it cannot translate for the provider."""
    nobody = sdk(gateway, "sk-nobody")
    for client, model in ((dora.client, f"model-{MARKER}"), (nobody, CLAUDE), (carl.client, CLAUDE)):
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(**chat(model))
    with pytest.raises(openai.APIStatusError):
        dora.client.chat.completions.create(model=NOVA, messages=[{"role": MARKER, "content": MARKER}])  # type: ignore[list-item,misc]


@contextmanager
def asking(outside: OutsideWorld, who: Person) -> Iterator[Person]:
    """Remember the providers' calls as this person's."""
    before = len(outside.calls())
    yield who
    who.calls = [call for call in outside.calls()[before:] if call.model]


@pytest.fixture(scope="module")
def traffic(gateway: LocalGateway) -> Iterator[Traffic]:
    """Everything that can be asked, once."""
    outside = gateway.outside
    outside.clear("calls")
    outside.clear_fault()
    start, stamp = len(outside.datadog()), time.monotonic_ns()
    team = {"team_id": f"team-{stamp}", "team_alias": "Platform"}
    assert gateway.api("POST", "/team/new", json=team).is_success
    ana = person(gateway, "ana", team_id=team["team_id"], key_alias=f"laptop-{stamp}")
    ben, carl, dora = person(gateway, "ben"), person(gateway, "carl", budget=0.0), person(gateway, "dora")
    with asking(outside, ana):
        answered(gateway, ana)
    with asking(outside, ben):
        answered(gateway, ben)
        failed(gateway, outside, ben)
    rejected(gateway, carl, dora)
    expected = {ana.user: len(ana.calls), ben.user: len(ben.calls), carl.user: 1, dora.user: 2, "unknown": 1}

    def told() -> list[Json]:  # records of what an earlier test asked for may still come in between
        found = [record for record in records(outside, start) if record["kind"] in ("call", "rejected")]
        known = [record for record in found if record["user"] in expected.keys() - {"unknown"}]
        return known + [r for r in found if (r["user"], r["kind"], r["model"]) == ("unknown", "rejected", CLAUDE)]

    def complete() -> bool:
        return Counter(record["user"] for record in told()) >= Counter(expected)

    assert eventually(complete), "Datadog did not get a record of each attempt"
    yield Traffic(ana, ben, carl, dora, told())
    outside.clear_fault()


def region(call: Call) -> str:
    """Where a call went, as a record says it: Azure's hosts begin with the resource's name."""
    return call.region or call.host.partition(".")[0]


def deployment(call: Call) -> str:
    """LiteLLM's name of the model that was called."""
    return f"{call.provider}/{call.model}"


def test_each_attempt_has_its_record(traffic: Traffic) -> None:
    """Retries and fallbacks, streams and embeddings: where it went, how, and how it ended."""
    for who in (traffic.ana, traffic.ben):
        told = Counter(
            (r["region"], r["deployment"], r["provider"], int(r.get("error_code", 200)) // 100) for r in traffic.of(who)
        )
        asked = Counter((region(call), deployment(call), call.provider, call.status // 100) for call in who.calls)
        assert told == asked
    assert {(r["kind"], r["outcome"]) for r in traffic.of(traffic.ana)} == {("call", "success")}
    assert {(r["team"], r["key"].partition("-")[0]) for r in traffic.of(traffic.ana)} == {("Platform", "laptop")}
    assert {(r["team"], r["key"]) for r in traffic.of(traffic.ben)} == {("unknown", "unknown")}


def test_figures_are_the_providers_to_the_token(traffic: Traffic) -> None:
    """Per user and deployment: prompt, answer, what came from the cache and went to it, and what was thought."""
    for who in (traffic.ana, traffic.ben):
        expected: dict[str, Counter[str]] = {}
        for call in who.calls:
            usage = call.usage
            expected.setdefault(deployment(call), Counter()).update(
                prompt_tokens=usage.input_tokens,
                completion_tokens=usage.output_tokens,
                total_tokens=usage.input_tokens + usage.output_tokens,
                cached_tokens=usage.cached_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                reasoning_tokens=usage.reasoning_tokens,
            )
        told: dict[str, Counter[str]] = {}
        for record in traffic.of(who):
            counts = {name: record[name] for name in TOKENS & record.keys()}
            told.setdefault(record["deployment"], Counter()).update(counts)
        assert {name: +figures for name, figures in told.items()} == {name: +f for name, f in expected.items()}
        for name in TOKENS:
            assert sum(figures[name] for figures in told.values()) > 0, name


def test_a_record_has_exactly_the_known_attributes(traffic: Traffic) -> None:
    for record in traffic.records:
        if record["user"] not in {who.user for who in (traffic.ana, traffic.ben, traffic.dora)}:
            continue
        known = CALL | {"budget_used_percent"}
        if record["kind"] == "call":
            known = known | {"seconds"}
        if record["outcome"] == "success":
            known = known | TOKENS | {"cost"}
            if record["cached_tokens"] or record["cache_write_tokens"]:
                known = known | {"cache_saved"}
            if record["streamed"]:
                known = known | {"first_token_seconds"}
        else:
            known = known | {"error_code", "error_class"}
        assert record.keys() - {"overhead_ms"} == known
        assert all(value != "" for value in record.values())


@pytest.mark.usefixtures("traffic")
def test_the_log_is_one_of_the_gateway(outside: OutsideWorld) -> None:
    for log in outside.datadog():
        assert {"env:local", "service:litellm-gateway"} <= set(log["ddtags"].split(","))
        assert (log["ddsource"], log["service"]) == ("litellm", "litellm-gateway")
        assert not {"request_tag", "team"} & {tag.partition(":")[0] for tag in log["ddtags"].split(",")}
        record = json.loads(log["message"])["llm"]
        if record["kind"] != "service":
            assert log["status"] == ("error" if record.get("outcome") == "failure" else "info")


def test_streams_and_formats_are_told_apart(traffic: Traffic) -> None:
    kinds = Counter((r["call_type"], r["streamed"]) for r in traffic.of(traffic.ana))
    assert kinds == {
        ("acompletion", False): 3 * 6 - 2,
        ("responses", False): 2,  # LiteLLM asks Azure's Responses where a chat has tools
        ("acompletion", True): 3,
        ("aresponses", False): 3,
        ("aresponses", True): 3,
        ("anthropic_messages", False): 4,
        ("anthropic_messages", True): 4,
        ("aembedding", False): 2,
    }
    for record in traffic.of(traffic.ana, streamed=True):
        assert 0 < record["first_token_seconds"] <= record["seconds"]
    assert all(0 < r["seconds"] < 60 for r in traffic.of(traffic.ana))
    assert any(r["overhead_ms"] > 0 for r in traffic.of(traffic.ana, call_type="acompletion", streamed=False))


def test_failures_are_told_apart_without_their_texts(traffic: Traffic) -> None:
    """By the provider's status; LiteLLM makes one of its own of Bedrock's 500."""
    codes = {(r["error_code"], r["error_class"]) for r in traffic.of(traffic.ben, outcome="failure")}
    assert codes == {
        ("429", "RateLimitError"),
        ("503", "ServiceUnavailableError"),
        ("400", "BadRequestError"),
    }
    throttled = traffic.of(traffic.ben, model=NOVA, error_code="429")
    assert len(throttled) == 2 * 4  # each of the two requests is tried four times
    assert {r["streamed"] for r in throttled} == {True, False}
    assert all(r["provider_request_id"] != "unknown" for r in throttled)


def test_what_the_gateway_refuses_is_rejected(traffic: Traffic) -> None:
    refused = {
        (r["user"], r["model"], r["error_code"], r["error_class"]) for r in traffic.records if r["kind"] == "rejected"
    }
    assert refused == {
        (traffic.dora.user, "unknown", "400", "ProxyModelNotFoundError"),  # what somebody typed is no model's name
        ("unknown", CLAUDE, "401", "KeyNotFoundError"),
        (traffic.carl.user, CLAUDE, "400", "BudgetExceededError"),
    }
    (untranslated,) = traffic.of(traffic.dora, kind="call")
    assert (untranslated["model"], untranslated["error_code"]) == (NOVA, "400")


def test_the_share_of_the_budget_that_is_used(traffic: Traffic) -> None:
    """Of ten dollars; LiteLLM knows what it has counted so far."""
    used = [r["budget_used_percent"] for r in traffic.of(traffic.ana)]
    assert all(0 <= share <= 100 for share in used)
    assert max(used) >= max(10 * r["cost"] for r in traffic.of(traffic.ana)) > 0


@pytest.mark.usefixtures("traffic")
def test_there_is_a_heartbeat(outside: OutsideWorld) -> None:
    assert eventually(lambda: {"kind": "heartbeat"} in records(outside, 0))


def spend_logs(gateway: LocalGateway, who: Person) -> list[Json]:
    """LiteLLM's own record of each answered call, which it writes now and then."""
    answered = sum(call.status == 200 for call in who.calls)

    def look() -> list[Json]:
        found: list[Json] = gateway.api("GET", "/spend/logs", params={"user_id": who.user}).json()
        return found if len(found) >= answered else []

    return eventually(look)


def leaks(texts: Iterable[str]) -> list[str]:
    """Texts that have a word of a prompt or of an answer in them."""
    return [text[:300] for text in texts if MARKER in text or COMPLETION_PHRASE in text]


def test_no_prompt_and_no_answer_leaves_the_gateway(
    gateway: LocalGateway, traffic: Traffic, outside: OutsideWorld
) -> None:
    """Neither Datadog nor Slack, nor the logs, nor the database gets a word of them, whatever happened."""
    assert leaks(map(json.dumps, outside.datadog())) == []
    assert leaks(map(json.dumps, outside.slack())) == []
    # Of a log that is being written the last character may be there in part.
    assert leaks(file.read_text(errors="replace") for file in gateway.state.glob("aws/logs/*")) == []
    for who in (traffic.ana, traffic.ben):
        assert leaks(map(json.dumps, spend_logs(gateway, who))) == []


def test_litellm_itself_knows_the_region_of_each_call(gateway: LocalGateway, traffic: Traffic) -> None:
    """By a tag, also after a retry in another region and a fallback: its daily figures by tag are made of these."""
    for who in (traffic.ana, traffic.ben):
        asked: dict[tuple[str, str], Counter[str]] = {}
        for call in who.calls:
            if call.status == 200:
                asked.setdefault((f"region:{region(call)}", deployment(call)), Counter()).update(
                    calls=1, prompt_tokens=call.usage.input_tokens, completion_tokens=call.usage.output_tokens
                )
        told: dict[tuple[str, str], Counter[str]] = {}
        for log in spend_logs(gateway, who):
            (tag,) = (tag for tag in log["request_tags"] if tag.startswith("region:"))
            figures = {name: log[name] for name in ("prompt_tokens", "completion_tokens")}
            told.setdefault((tag, log["model"]), Counter()).update(calls=1, **figures)
        assert told == asked
