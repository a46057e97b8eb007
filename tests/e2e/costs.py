"""What a call's tokens and cost are counted and billed as: the shapes of calls, and the arithmetic of the providers.

Shared by the tests of costs, whose modules have the cases (docs/costs.md).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import httpx
import pytest
from usage.litellm import LiteLlm

from local.gateway import LocalGateway
from local.outside.records import Call, Fault
from local.outside.told import TOOL_MARKER
from tests.e2e.conftest import eventually
from tests.e2e.test_completions import prices_of

Json = dict[str, Any]

CHAT, MESSAGES, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
OF_SERVERS = {"input_cost_per_token": 2e-7, "output_cost_per_token": 8e-7}
"""US dollars per token that an entry of config.yaml says of a model on a server of one's own."""
SERVERS = ("hosted_vllm", "ollama_chat")


@dataclass(frozen=True)
class Figures:
    """Tokens and US dollars, spent and saved by caches, of one or more calls; `reasoning` is None if it is not told."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int | None = 0
    cost: float = 0.0
    saved: float = 0.0

    def __add__(self, other: "Figures") -> "Figures":
        """Both together."""
        reasoning = (
            None if None in (self.reasoning, other.reasoning) else (self.reasoning or 0) + (other.reasoning or 0)
        )
        return Figures(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
            self.cache_write + other.cache_write,
            reasoning,
            self.cost + other.cost,
            self.saved + other.saved,
        )

    def tokens(self, *, reasoning: bool = True) -> tuple[int | None, ...]:
        """All but the cost."""
        return (self.prompt, self.completion, self.cached, self.cache_write, self.reasoning if reasoning else None)


class Counted(Enum):
    """How what LiteLLM counts relates to what the provider bills."""

    EXACT = "to the token"
    UNBROKEN = "to the token, without the attempt that broke off"
    LESS = "an estimate, of what had come until then"
    MORE = "an estimate, at the price of a prompt that nobody cached"
    WRITTEN = "to the token, and what was written to a cache at the price of input, where it is free"
    TOKENIZED = "by LiteLLM's own tokenizer"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Case:
    """A request, how often it is made, and what goes wrong.

    The caller hangs up when the bytes `leaves_at` have come, or after having waited for `waits` seconds. `fault` is in
    force as long as the case lasts. Where `datadog` and `daily` are not exact, what LiteLLM counts is known to differ
    from the bill, and has to.
    """

    path: str
    body: Json
    times: int = 1
    fault: Mapping[str, Fault] = field(default_factory=dict)
    leaves_at: bytes = b""
    waits: float = 240.0
    status: int = 200
    datadog: Counted = Counted.EXACT
    daily: Counted = Counted.EXACT


@dataclass(frozen=True)
class Sent:
    """What was seen of a case while it was sent: the provider's calls, and what the answers said of themselves."""

    calls: tuple[Call, ...]
    answers: tuple[Figures | None, ...]
    costs: tuple[float | None, ...]
    statuses: tuple[int, ...]

    def billed(self, *, broken: bool = True) -> Figures:
        """What the providers bill: every answer that had begun, at most to its end."""
        return sum((billed(c) for c in self.calls if c.status == 200 and (broken or not c.cut)), Figures())


def chat(model: str, content: object = "Say hello, please.", **more: object) -> Json:
    """A request in OpenAI's format."""
    return {"model": model, "messages": [{"role": "user", "content": content}], **more}


def messages(model: str, content: object = "Say hello, please.", **more: object) -> Json:
    """A request in Anthropic's format."""
    return {"model": model, "max_tokens": 2000, "messages": [{"role": "user", "content": content}], **more}


def responses(model: str, content: object = "Say hello, please.", **more: object) -> Json:
    """A request in the format of OpenAI's Responses API."""
    return {"model": model, "input": content, **more}


def prefix(name: str) -> str:
    """A text that no other case has, longer than the least that its model caches; Gemini 4's is 6,144 tokens."""
    return f"The document of {name}: {'word ' * (6000 if name.startswith(('vertex', 'gemini')) else 1200)}"


def marked(name: str, lifetime: str) -> list[Json]:
    """That text as a block which is to be cached."""
    mark = {"type": "ephemeral", "ttl": lifetime}
    return [{"type": "text", "text": prefix(f"{name} for {lifetime}"), "cache_control": mark}]


def chat_cases(api: str, model: str) -> dict[str, Case]:
    """The shapes of OpenAI's chat format."""
    usage: Json = {"stream": True, "stream_options": {"include_usage": True}}
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    tool = {"type": "function", "function": {"name": "weather", "description": "It.", "parameters": SCHEMA}}
    cached = {
        kind: [{"role": "system", "content": marked(f"{api} {kind}", "5m")}, {"role": "user", "content": "And?"}]
        for kind in ("plain", "streamed")
    }
    bodies = {
        "plain": chat(model),
        "streamed": chat(model, **usage),
        "streamed-without-usage": chat(model, stream=True),
        "tools": chat(model, f"Please {TOOL_MARKER}.", tools=[tool]),
        "tools-streamed": chat(model, f"Please {TOOL_MARKER}.", tools=[tool], **usage),
        "reasoning": chat(model, reasoning_effort="medium"),
        "reasoning-streamed": chat(model, reasoning_effort="medium", **usage),
        "image": chat(model, [{"type": "text", "text": "What is it?"}, image]),
    }
    # Three regions have three caches: of four calls at least one reads what another has written.
    return {f"{api}-{shape}": Case(CHAT, body) for shape, body in bodies.items()} | {
        f"{api}-cached": Case(CHAT, {"model": model, "messages": cached["plain"]}, times=4),
        f"{api}-cached-streamed": Case(CHAT, {"model": model, "messages": cached["streamed"], **usage}, times=4),
    }


def messages_cases(api: str, model: str) -> dict[str, Case]:
    """The shapes of Anthropic's format, as Claude Code calls it."""
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    tools = [{"name": "weather", "description": "It.", "input_schema": SCHEMA}]
    thinking = {"type": "adaptive"}
    bodies = {
        "plain": messages(model),
        "streamed": messages(model, stream=True),
        "tools": messages(model, f"Please {TOOL_MARKER}.", tools=tools),
        "tools-streamed": messages(model, f"Please {TOOL_MARKER}.", tools=tools, stream=True),
        "reasoning": messages(model, thinking=thinking),
        "reasoning-streamed": messages(model, thinking=thinking, stream=True),
        "image": messages(model, [{"type": "text", "text": "What is it?"}, {"type": "image", "source": source}]),
    }
    return {f"{api}-{shape}": Case(MESSAGES, body) for shape, body in bodies.items()} | {
        f"{api}-cached": Case(MESSAGES, messages(model, system=marked(api, "5m")), times=4),
        f"{api}-cached-streamed": Case(
            MESSAGES, messages(model, system=marked(f"{api}-s", "5m"), stream=True), times=4
        ),
    }


def responses_cases(api: str, model: str) -> dict[str, Case]:
    """The shapes of the Responses API."""
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
    tools = [{"type": "function", "name": "weather", "description": "It.", "parameters": SCHEMA}]
    bodies = {
        "plain": responses(model),
        "streamed": responses(model, stream=True),
        "tools": responses(model, f"Please {TOOL_MARKER}.", tools=tools),
        "tools-streamed": responses(model, f"Please {TOOL_MARKER}.", tools=tools, stream=True),
        "reasoning": responses(model, reasoning={"effort": "medium"}),
        "reasoning-streamed": responses(model, reasoning={"effort": "medium"}, stream=True),
        "image": responses(
            model, [{"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, image]}]
        ),
    }
    return {f"{api}-{shape}": Case(RESPONSES, body) for shape, body in bodies.items()} | {
        f"{api}-cached": Case(RESPONSES, responses(model, prefix(api)), times=2),
        f"{api}-cached-streamed": Case(RESPONSES, responses(model, prefix(f"{api}-s"), stream=True), times=2),
    }


def price(call: Call) -> Json:
    """The prices of a call's model on its day, by LiteLLM's name, which begins with most of the providers."""
    if call.provider in SERVERS or call.host.endswith(".example.com"):
        return OF_SERVERS
    before = "" if call.provider in ("bedrock", "anthropic", "openai") else f"{call.provider}/"
    return FREE_WRITES.get(call.model, {}) | prices_of(before + call.model, call.time)


# Of which LiteLLM's list has no price, and AWS's has 0 (USE1-Nova2.0Lite-cache-write-input-token-count).
FREE_WRITES = {"us.amazon.nova-2-lite-v1:0": {"cache_creation_input_token_cost": 0.0}}

# Tokens of a prompt, cached ones included, above which all of a call has the model's higher prices.
LONG_PROMPTS = {
    "us.anthropic.claude-haiku-5-5": (100_000, "_above_100k_tokens"),
    "gpt-6.1-sol": (272_000, "_above_272k_tokens"),
}


def billed(call: Call) -> Figures:
    """What the provider bills for a call, by its published arithmetic.

    The prompt's tokens at the price of input, but those read from the cache, and those written to it for five minutes
    (OpenAI: thirty) or for an hour, at their own; images as tokens; all of the output, thoughts included, at the price
    of output. What the cache saved is what its tokens would have cost at the price of input, less what they cost.
    """
    usage, prices = call.usage, price(call)
    limit, suffix = LONG_PROMPTS.get(call.model, (0, ""))
    if usage.input_tokens <= limit:
        suffix = ""

    def cost(tokens: int, name: str) -> float:
        return float(tokens * prices[f"{name}{suffix}"]) if tokens else 0.0

    short_written = usage.cache_write_tokens - usage.cache_write_1h_tokens
    through_cache = (
        cost(usage.cached_tokens, "cache_read_input_token_cost")
        + cost(short_written, "cache_creation_input_token_cost")
        + cost(usage.cache_write_1h_tokens, "cache_creation_input_token_cost_above_1hr")
    )
    total = (
        cost(usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens, "input_cost_per_token")
        + through_cache
        + cost(usage.output_tokens, "output_cost_per_token")
    )
    return Figures(
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        total,
        cost(usage.cached_tokens + usage.cache_write_tokens, "input_cost_per_token") - through_cache,
    )


def told(usage: Json) -> Figures:
    """The figures in the `usage` of an answer, in any of the three formats."""
    if "prompt_tokens" in usage:
        prompt, completion = usage["prompt_tokens"], usage.get("completion_tokens", 0)
        inputs, outputs = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    else:
        prompt, completion = usage["input_tokens"], usage["output_tokens"]
        inputs, outputs = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    cached, written = inputs.get("cached_tokens") or 0, inputs.get("cache_write_tokens") or 0
    if "cache_read_input_tokens" in usage and "prompt_tokens" not in usage:  # Anthropic's, which are not in the sum
        cached, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
        prompt += cached + written
    reasoning = outputs.get("reasoning_tokens") or outputs.get("thinking_tokens") or 0
    return Figures(prompt, completion, cached, written, reasoning)


def events(lines: Iterable[str]) -> Iterator[Json]:
    """The JSON objects of a stream."""
    for line in lines:
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


def usage_of_stream(text: str) -> Json:
    """The `usage` of a stream, put together from wherever the format has parts of it."""
    found: Json = {}
    for event in events(text.splitlines()):
        for place in (event, event.get("message"), event.get("response")):
            if isinstance(place, dict) and isinstance(place.get("usage"), dict):
                found |= place["usage"]
    return found


def ask(url: str, key: str, case: Case) -> tuple[int, Json, float | None]:
    """Make a request once: the answer's status, usage and cost, as far as it says."""
    headers = {"Authorization": f"Bearer {key}"}
    patience = httpx.Timeout(60, read=case.waits)
    with httpx.Client(base_url=url, headers=headers, timeout=patience, trust_env=False) as client:
        if "stream" not in case.body:
            try:
                answer = client.post(case.path, json=case.body)
            except httpx.ReadTimeout:
                return 0, {}, None
            cost = answer.headers.get("x-litellm-response-cost")
            return answer.status_code, answer.json().get("usage") or {}, None if cost is None else float(cost)
        text = b""
        with client.stream("POST", case.path, json=case.body) as answer:
            for piece in answer.iter_raw():
                text += piece
                if case.leaves_at and case.leaves_at in text:
                    return answer.status_code, {}, None
        return answer.status_code, usage_of_stream(text.decode()), None


def user_of(name: str) -> str:
    """The user whose only calls are those of a case."""
    return f"cost-of-{name}@example.com"


def send(gateway: LocalGateway, name: str, case: Case) -> Sent:
    """Make a case's requests, one after the other."""
    outside, key = gateway.outside, gateway.user_key(user_of(name))
    outside.clear("calls")
    for hosts, fault in case.fault.items():
        outside.set_fault(hosts, fault)
    answers = [ask(gateway.url, key, case) for _ in range(case.times)]
    # A call that its caller has left goes on.
    eventually(lambda: sum(bool(call.model) for call in outside.calls()) >= case.times)
    outside.clear_fault()
    statuses, usages, costs = zip(*answers, strict=True)
    calls = tuple(call for call in outside.calls() if call.model)
    return Sent(calls, tuple(told(usage) if usage else None for usage in usages), costs, statuses)


def in_datadog(gateway: LocalGateway) -> dict[str, list[Json]]:
    """The records of attempts that Datadog got, by user."""
    found: dict[str, list[Json]] = {}
    for log in gateway.outside.datadog():
        record = json.loads(log["message"]).get("llm", {})
        if record.get("kind") == "call":
            found.setdefault(record["user"], []).append(record)
    return found


def of_records(records: Iterable[Json]) -> Figures:
    """What Datadog was told."""
    names = (
        *("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"),
        *("cost", "cache_saved"),
    )
    return sum((Figures(*(record.get(name, 0) for name in names)) for record in records), Figures())


def in_days(gateway: LocalGateway) -> dict[str, Figures]:
    """LiteLLM's own figures, by user."""
    today = datetime.now(UTC).date()
    rows = LiteLlm(gateway.url, gateway.secret("LITELLM_MASTER_KEY")).usage(today - timedelta(days=1), today)
    found: dict[str, Figures] = {}
    for row in rows:
        figures = Figures(
            *(row.prompt_tokens, row.completion_tokens, row.cached_tokens, row.cache_write_tokens, None),
            *(row.cost, row.saved or 0.0),
        )
        found[row.who] = found.get(row.who, Figures()) + figures
    return found


def all_in_datadog(gateway: LocalGateway, cases: Mapping[str, Case], sent: Mapping[str, Sent]) -> dict[str, list[Json]]:
    """What Datadog got, once all is there."""

    def arrived() -> bool:
        records = in_datadog(gateway)
        return _awaited(cases, lambda case: case.datadog, lambda user: of_records(records.get(user, [])), sent)

    eventually(arrived)
    return in_datadog(gateway)


def all_in_days(gateway: LocalGateway, cases: Mapping[str, Case], sent: Mapping[str, Sent]) -> dict[str, Figures]:
    """LiteLLM's own figures, once all is there."""

    def arrived() -> bool:
        figures = in_days(gateway)
        return _awaited(cases, lambda case: case.daily, lambda user: figures.get(user, Figures()), sent)

    eventually(arrived)
    return in_days(gateway)


def _awaited(
    cases: Mapping[str, Case],
    expected: Callable[[Case], Counted],
    arrived: Callable[[str], Figures],
    sent: Mapping[str, Sent],
) -> bool:
    """Whether whatever is to come has come; of estimates, which nobody knows before, that there are any."""
    for name, case in cases.items():
        counted = expected(case)
        due = sent[name].billed(broken=counted is not Counted.UNBROKEN).prompt
        whole = counted in (Counted.EXACT, Counted.WRITTEN)
        if counted is not Counted.NOTHING and arrived(user_of(name)).prompt < (due if whole else 1):
            return False
    return True


def check(counted: Counted, figures: Figures, sent: Sent, *, reasoning: bool, saved: float = 1e-9) -> None:
    """Compare what was counted with the bill; where they are known to differ, they must.

    `saved` is how far what the cache saved may be from the bill's, as a part of it.
    """
    bill = sent.billed(broken=counted is not Counted.UNBROKEN)
    if counted is Counted.NOTHING:
        assert (figures, bill.cost > 0) == (Figures(reasoning=figures.reasoning), True)
    elif counted is Counted.TOKENIZED:
        assert figures.cost == pytest.approx(figures.prompt * price(sent.calls[0])["input_cost_per_token"], rel=1e-9)
        assert 0 < figures.prompt != bill.prompt
    elif counted in (Counted.LESS, Counted.MORE):
        # LiteLLM counts the prompt with a tokenizer of its own, and of the answer what it has passed on.
        prices = price(sent.calls[0])
        estimate = figures.prompt * prices["input_cost_per_token"]
        estimate += figures.completion * prices["output_cost_per_token"]
        assert figures.cost == pytest.approx(estimate, rel=1e-9)
        assert (figures.cached, figures.cache_write, figures.saved) == (0, 0, 0)
        assert 0 < figures.completion < bill.completion
        assert (figures.cost > bill.cost) == (bill.cached > 0) == (counted is Counted.MORE)
    elif counted is Counted.WRITTEN:
        too_much = bill.cache_write * price(sent.calls[0])["input_cost_per_token"]
        assert figures.tokens(reasoning=reasoning) == bill.tokens(reasoning=reasoning)
        assert figures.cost == pytest.approx(bill.cost + too_much, rel=1e-9)
        assert figures.saved == pytest.approx(bill.saved - too_much, rel=1e-9)
    else:
        assert figures.tokens(reasoning=reasoning) == bill.tokens(reasoning=reasoning)
        assert figures.cost == pytest.approx(bill.cost, rel=1e-9)
        assert figures.saved == pytest.approx(bill.saved, rel=saved, abs=1e-12)
        if counted is Counted.UNBROKEN:
            assert sent.billed().cost > bill.cost
