"""What LiteLLM counts of a call, in every shape that calls have, against what its provider bills (docs/costs.md).

The tokens are the simulated providers' own counts (`outside.calls()`), in their own wire formats; the cost expected of
them is worked out here by the providers' published arithmetic, with the unit prices of the pinned LiteLLM's list. That
list is checked against the published prices in a test of its own. Each figure is looked for at three places: in the
answer to the caller, in the record that Datadog gets, and in LiteLLM's own figures of the day.

All requests are made first, each as a user of its own, and LiteLLM's minute is waited for once.
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
from tests.e2e.test_completions import CHANGES, PRICES, prices_of

Json = dict[str, Any]

CLAUDE, GPT, GEMINI = "claude-sonnet-5-5", "gpt-6.1-sol", "gemini-4-argon"
BEDROCK_HOSTS, AZURE_HOSTS, VERTEX_HOSTS = (
    *("bedrock-runtime.*.amazonaws.com", "*.openai.azure.com", "*aiplatform.googleapis.com"),
)
CHAT, MESSAGES, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TEXT = b"Answer"  # how the simulated model's answers begin
# Seconds between the pieces of an answer, so that LiteLLM passes one on before the next comes.
SLOW = 0.1


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
    waits: float = 60.0
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
    return f"The document of {name}: {'word ' * (6000 if name.startswith('vertex') else 1200)}"


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


def price(call: Call) -> Json:
    """The prices of a call's model on its day, by LiteLLM's names."""
    provider = {"bedrock": "", "azure": "azure/", "vertex_ai": "vertex_ai/"}[call.provider]
    return FREE_WRITES.get(call.model, {}) | prices_of(provider + call.model, call.time)


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
    with httpx.Client(base_url=url, headers=headers, timeout=case.waits, trust_env=False) as client:
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
    eventually(lambda: sum(bool(call.model) for call in outside.calls()) >= case.times, patience=10)
    outside.clear_fault()
    statuses, usages, costs = zip(*answers, strict=True)
    calls = tuple(call for call in outside.calls() if call.model)
    return Sent(calls, tuple(told(usage) if usage else None for usage in usages), costs, statuses)


@pytest.fixture(scope="module")
def sent(gateway: LocalGateway) -> dict[str, Sent]:
    """Every case, sent."""
    return {name: send(gateway, name, case) for name, case in CASES.items()}


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


def awaited(expected: Callable[[Case], Counted], arrived: Callable[[str], Figures], sent: Mapping[str, Sent]) -> bool:
    """Whether whatever is to come has come; of estimates, which nobody knows before, that there are any."""
    for name, case in CASES.items():
        counted = expected(case)
        due = sent[name].billed(broken=counted is not Counted.UNBROKEN).prompt
        whole = counted in (Counted.EXACT, Counted.WRITTEN)
        if counted is not Counted.NOTHING and arrived(user_of(name)).prompt < (due if whole else 1):
            return False
    return True


@pytest.fixture(scope="module")
def datadog(gateway: LocalGateway, sent: dict[str, Sent]) -> dict[str, list[Json]]:
    """What Datadog got, once all is there."""

    def arrived() -> bool:
        records = in_datadog(gateway)
        return awaited(lambda case: case.datadog, lambda user: of_records(records.get(user, [])), sent)

    eventually(arrived, patience=30)
    return in_datadog(gateway)


@pytest.fixture(scope="module")
def days(gateway: LocalGateway, datadog: dict[str, list[Json]], sent: dict[str, Sent]) -> dict[str, Figures]:
    """LiteLLM's own figures, once all is there."""

    def arrived() -> bool:
        figures = in_days(gateway)
        return awaited(lambda case: case.daily, lambda user: figures.get(user, Figures()), sent)

    eventually(arrived)
    return in_days(gateway)


def check(counted: Counted, figures: Figures, sent: Sent, *, reasoning: bool, saved: float = 1e-9) -> None:
    """Compare what was counted with the bill; where they are known to differ, they must.

    `saved` is how far what the cache saved may be from the bill's, as a part of it.
    """
    bill = sent.billed(broken=counted is not Counted.UNBROKEN)
    if counted is Counted.NOTHING:
        assert (figures, bill.cost > 0) == (Figures(reasoning=figures.reasoning), True)
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
