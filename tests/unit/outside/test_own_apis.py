"""The APIs that providers have of their own, with a key and no cloud: each called by its SDK or its documented HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from local.outside.completion import COMPLETION_PHRASE, IMAGE_TOKENS, count_tokens
from local.outside.images import PIXEL
from local.outside.records import Fault, Usage
from local.outside.world import OutsideWorld

if TYPE_CHECKING:
    import anthropic

CLAUDE, GPT, GEMINI, MISTRAL = "claude-sonnet-5-5", "gpt-6.1-sol", "gemini-3.8-flash", "mistral-large-latest"
GOOGLE = "https://generativelanguage.googleapis.com"
LONG = "word " * 1200
FOUNDRY = "https://acme.services.ai.azure.com"
ENDPOINT = "https://acme.eastus2.models.ai.azure.com"


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def claude(sdk: openai.DefaultHttpxClient, key: str) -> anthropic.Anthropic:
    import anthropic  # a second and more of each process that collects this file

    return anthropic.Anthropic(api_key=key, http_client=sdk, max_retries=0)


def gpt(sdk: openai.DefaultHttpxClient, key: str, base: str = "https://api.openai.com/v1") -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=base, http_client=sdk, max_retries=0)


def headers_of(world: OutsideWorld) -> dict[str, Mapping[str, str]]:
    """The headers with which each API is called."""
    keys = world.credentials
    return {
        "https://api.anthropic.com/v1/messages": {
            "x-api-key": keys.anthropic_api_key,
            "anthropic-version": "2023-06-01",
        },
        "https://api.openai.com/v1/chat/completions": {"authorization": f"Bearer {keys.openai_api_key}"},
        "https://api.openai.com/v1/responses": {"authorization": f"Bearer {keys.openai_api_key}"},
        f"{GOOGLE}/v1beta/models/{GEMINI}:generateContent": {"x-goog-api-key": keys.gemini_api_key},
        "https://api.mistral.ai/v1/chat/completions": {"authorization": f"Bearer {keys.mistral_api_key}"},
        f"{FOUNDRY}/models/chat/completions": {"api-key": keys.azure_api_key},
        f"{FOUNDRY}/anthropic/v1/messages": {"x-api-key": keys.azure_api_key, "anthropic-version": "2023-06-01"},
        f"{FOUNDRY}/openai/v1/responses": {"api-key": keys.azure_api_key},
        f"{ENDPOINT}/chat/completions": {"authorization": f"Bearer {keys.azure_api_key}"},
    }


def body_of(url: str, model: str = "") -> dict[str, Any]:
    """What each API is asked."""
    if "generateContent" in url:
        return {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
    if url.endswith("responses"):
        return {"model": model or GPT, "input": "Say hello."}
    if url.endswith("messages"):
        return {"model": model or CLAUDE, "max_tokens": 100, "messages": user("Say hello.")}
    named = {"api.mistral.ai": MISTRAL, "api.openai.com": GPT}
    return {"model": model or named.get(httpx.URL(url).host, "any-deployment"), "messages": user("Say hello.")}


URLS = (
    "https://api.anthropic.com/v1/messages",
    "https://api.openai.com/v1/chat/completions",
    "https://api.openai.com/v1/responses",
    f"{GOOGLE}/v1beta/models/{GEMINI}:generateContent",
    "https://api.mistral.ai/v1/chat/completions",
    f"{FOUNDRY}/models/chat/completions",
    f"{FOUNDRY}/anthropic/v1/messages",
    f"{FOUNDRY}/openai/v1/responses",
    f"{ENDPOINT}/chat/completions",
)
CREDENTIALS = ("x-api-key", "authorization", "api-key", "x-goog-api-key")
REFUSED = {"generativelanguage.googleapis.com": 400}  # Google's word for a key that is none


@pytest.mark.parametrize("url", URLS)
def test_an_answer_is_recorded_with_its_tokens(world: OutsideWorld, http: httpx.Client, url: str) -> None:
    answer = http.post(url, headers=headers_of(world)[url], json=body_of(url))
    assert answer.status_code == 200, answer.text
    assert COMPLETION_PHRASE in answer.text
    (call,) = world.calls()
    assert call.usage.input_tokens == count_tokens("Say hello.")
    assert call.usage.output_tokens > 0


@pytest.mark.parametrize("url", URLS)
def test_another_key_is_refused_and_nothing_is_answered(world: OutsideWorld, http: httpx.Client, url: str) -> None:
    right = headers_of(world)[url]
    wrong = {name: f"{value}x" if name in CREDENTIALS else value for name, value in right.items()}
    none = {name: value for name, value in right.items() if name not in CREDENTIALS}
    answers = [http.post(url, headers=headers, json=body_of(url)) for headers in (wrong, none)]
    status = REFUSED.get(httpx.URL(url).host, 401)
    assert answers[0].status_code == status
    assert answers[1].status_code == (403 if status == 400 else 401)
    assert {call.usage for call in world.calls()} == {Usage()}
    assert not any(value in answer.text for answer in answers for value in right.values() if len(value) > 20)


@pytest.mark.parametrize("url", URLS)
def test_a_fault_has_the_providers_own_form(world: OutsideWorld, http: httpx.Client, url: str) -> None:
    world.set_fault(httpx.URL(url).host, Fault(status=429, retry_after_seconds=7))
    answer = http.post(url, headers=headers_of(world)[url], json=body_of(url))
    assert answer.status_code == 429
    document = answer.json()
    assert document.get("message") or document["error"]["message"]
    waits = {"generativelanguage.googleapis.com", "api.mistral.ai"}  # which do not say when
    assert ("retry-after" in answer.headers) == (httpx.URL(url).host not in waits)


class TestAnthropic:
    def test_messages_and_their_stream(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        client = claude(sdk, world.credentials.anthropic_api_key)
        whole = client.messages.create(model=CLAUDE, max_tokens=100, messages=user("Say hello."))
        with client.messages.stream(model=CLAUDE, max_tokens=100, messages=user("Say hello.")) as stream:
            streamed = "".join(stream.text_stream)
            usage = stream.get_final_message().usage
        assert whole.content[0].text == streamed  # type: ignore[union-attr]
        assert whole.usage.output_tokens == usage.output_tokens
        assert whole._request_id is not None
        assert whole._request_id.startswith("req_")
        assert [(call.provider, call.operation, call.model) for call in world.calls()] == [
            ("anthropic", "messages", CLAUDE)
        ] * 2

    def test_a_marked_prefix_is_written_and_then_read(
        self, world: OutsideWorld, sdk: openai.DefaultHttpxClient
    ) -> None:
        client = claude(sdk, world.credentials.anthropic_api_key)
        system: Any = [{"type": "text", "text": f"Anthropic. {LONG}", "cache_control": {"type": "ephemeral"}}]
        counts = [
            client.messages.create(model=CLAUDE, max_tokens=100, system=system, messages=user("Question")).usage
            for _ in range(2)
        ]
        assert [count.cache_creation_input_tokens for count in counts] == [1503, 0]
        assert [count.cache_read_input_tokens for count in counts] == [0, 1503]

    def test_tokens_are_counted(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        client = claude(sdk, world.credentials.anthropic_api_key)
        assert client.messages.count_tokens(model=CLAUDE, messages=user("Say hello.")).input_tokens == 3

    @pytest.mark.parametrize(
        ("change", "status", "message"),
        [
            ({"model": "claude-next"}, 404, "model: claude-next"),
            ({"model": "anthropic.claude-sonnet-5-5"}, 404, "model: anthropic.claude-sonnet-5-5"),
            ({"max_tokens": None}, 400, "max_tokens: Field required"),
            ({"messages": []}, 400, "messages: at least one message is required"),
            ({"frequency_penalty": 1}, 400, "frequency_penalty: Extra inputs are not permitted"),
            ({"context_management": {}}, 400, "context_management: Extra inputs are not permitted"),
        ],
    )
    def test_what_the_api_refuses(
        self, world: OutsideWorld, http: httpx.Client, change: dict[str, Any], status: int, message: str
    ) -> None:
        url = URLS[0]
        body = {name: value for name, value in {**body_of(url), **change}.items() if value is not None}
        answer = http.post(url, headers=headers_of(world)[url], json=body)
        assert (answer.status_code, answer.json()["error"]["message"]) == (status, message)
        assert answer.json()["request_id"] == answer.headers["request-id"]

    def test_the_version_is_asked_for(self, world: OutsideWorld, http: httpx.Client) -> None:
        answer = http.post(URLS[0], headers={"x-api-key": world.credentials.anthropic_api_key}, json=body_of(URLS[0]))
        assert answer.json()["error"]["message"] == "anthropic-version: header is required"

    def test_a_header_of_the_beta_opens_its_parameters(self, world: OutsideWorld, http: httpx.Client) -> None:
        headers = {**headers_of(world)[URLS[0]], "anthropic-beta": "context-management-2025-06-27"}
        assert http.post(URLS[0], headers=headers, json={**body_of(URLS[0]), "context_management": {}}).is_success


class TestOpenAI:
    def test_every_operation(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        client = gpt(sdk, world.credentials.openai_api_key)
        whole = client.chat.completions.create(model=GPT, messages=user("Say hello."))
        pieces = client.chat.completions.create(
            model=GPT, messages=user("Say hello."), stream=True, stream_options={"include_usage": True}
        )
        chunks = list(pieces)
        assert (
            "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
        )
        assert chunks[-1].usage == whole.usage
        assert whole._request_id is not None
        assert client.responses.create(model=GPT, input="Say hello.").output_text.startswith(COMPLETION_PHRASE)
        assert len(client.embeddings.create(model="text-embedding-3-large", input="hello").data[0].embedding) == 3072
        assert {call.provider for call in world.calls()} == {"openai"}

    def test_a_region_costs_more(self, world: OutsideWorld, http: httpx.Client) -> None:
        for host in ("api.openai.com", "eu.api.openai.com"):
            url = f"https://{host}/v1/chat/completions"
            assert http.post(url, headers=headers_of(world)[URLS[1]], json=body_of(URLS[1])).is_success
        usual, european = (world.bills.cost(call) for call in world.calls())
        assert usual
        assert european == pytest.approx(1.1 * usual)

    @pytest.mark.parametrize(
        ("path", "body", "status", "code"),
        [
            ("chat/completions", {"model": "gpt-next", "messages": user("x")}, 404, "model_not_found"),
            ("chat/completions", {"model": GPT}, 400, "missing_required_parameter"),
            ("chat/completions", {"model": GPT, "messages": user("x"), "top_k": 3}, 400, "unknown_parameter"),
            ("chat/completions", {"model": GPT, "messages": user("x"), "max_tokens": 3}, 400, "unsupported_parameter"),
            ("chat/completions", {"model": "gpt-5-pro", "messages": user("x")}, 404, None),
            ("embeddings", {"model": GPT, "input": "x"}, 403, None),
            ("models", {}, 404, None),
        ],
    )
    def test_what_the_api_refuses(
        self, world: OutsideWorld, http: httpx.Client, path: str, body: dict[str, Any], status: int, code: str | None
    ) -> None:
        headers = {"authorization": f"Bearer {world.credentials.openai_api_key}"}
        answer = http.post(f"https://api.openai.com/v1/{path}", headers=headers, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert set(error) == {"message", "type", "param", "code"}
        assert answer.headers["x-request-id"].startswith("req_")

    def test_an_image_with_its_tokens(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        client = gpt(sdk, world.credentials.openai_api_key)
        answer = client.images.generate(model="gpt-image-2", prompt="A pixel", n=2)
        assert [image.b64_json for image in answer.data or ()] == [PIXEL] * 2
        assert answer.usage
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (count_tokens("A pixel"), 2 * IMAGE_TOKENS)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"model": GPT, "prompt": "A pixel"}, 403),
            ({"model": "gpt-image-2"}, 400),
            ({"model": "gpt-image-2", "prompt": "A pixel", "stream": True}, 400),
            ({"model": "gpt-image-2", "prompt": "A pixel", "colour": "red"}, 400),
        ],
    )
    def test_what_makes_no_image(
        self, world: OutsideWorld, http: httpx.Client, body: dict[str, Any], status: int
    ) -> None:
        headers = {"authorization": f"Bearer {world.credentials.openai_api_key}"}
        answer = http.post("https://api.openai.com/v1/images/generations", headers=headers, json=body)
        assert answer.status_code == status
        chat = {"model": "gpt-image-2", "messages": user("Hello")}
        assert http.post(URLS[1], headers=headers, json=chat).status_code == 403


class TestGemini:
    def test_a_stream_carries_the_same_answer(self, world: OutsideWorld, http: httpx.Client) -> None:
        url = URLS[3]
        headers = headers_of(world)[url]
        whole = http.post(url, headers=headers, json=body_of(url)).json()
        streamed = http.post(
            url.replace("generateContent", "streamGenerateContent"),
            params={"alt": "sse"},
            headers=headers,
            json=body_of(url),
        )
        events = [json.loads(line.removeprefix("data: ")) for line in streamed.text.split("\r\n") if line]
        text = "".join(event["candidates"][0]["content"]["parts"][0]["text"] for event in events)
        assert text == whole["candidates"][0]["content"]["parts"][0]["text"]
        assert events[-1]["usageMetadata"] == whole["usageMetadata"]
        assert "trafficType" not in whole["usageMetadata"]  # which Vertex AI alone tells

    def test_counts_and_embeddings(self, world: OutsideWorld, http: httpx.Client) -> None:
        headers = headers_of(world)[URLS[3]]
        content = body_of(URLS[3])["contents"][0]
        counted = http.post(
            f"{GOOGLE}/v1beta/models/{GEMINI}:countTokens", headers=headers, json={"contents": [content]}
        )
        assert counted.json() == {"totalTokens": 3}
        url = f"{GOOGLE}/v1beta/models/gemini-embedding-001"
        many = {"requests": [{"model": "models/gemini-embedding-001", "content": content}] * 2}
        answer = http.post(f"{url}:batchEmbedContents", headers=headers, json=many)
        assert [len(each["values"]) for each in answer.json()["embeddings"]] == [3072, 3072]
        one = http.post(f"{url}:embedContent", headers=headers, json={"content": content, "outputDimensionality": 8})
        assert len(one.json()["embedding"]["values"]) == 8
        assert world.calls()[-2].usage == Usage(6)

    @pytest.mark.parametrize(
        ("model", "change", "status", "message"),
        [
            ("gemini-next", {}, 404, "models/gemini-next is not found for API version v1beta"),
            ("gemini-embedding-001", {}, 404, "is not supported for generateContent"),
            (GEMINI, {"labels": {}}, 400, 'Unknown name "labels"'),
            (GEMINI, {"contents": []}, 400, "contents is not specified"),
        ],
    )
    def test_what_the_api_refuses(
        self, world: OutsideWorld, http: httpx.Client, model: str, change: dict[str, Any], status: int, message: str
    ) -> None:
        url = f"{GOOGLE}/v1beta/models/{model}:generateContent"
        answer = http.post(url, headers=headers_of(world)[URLS[3]], json={**body_of(url), **change})
        assert answer.status_code == status
        assert message in answer.json()["error"]["message"]

    def test_a_wrong_key_is_told_as_google_tells_it(self, world: OutsideWorld, http: httpx.Client) -> None:
        answer = http.post(URLS[3], headers={"x-goog-api-key": "AIzaWrong"}, json=body_of(URLS[3]))
        (detail,) = answer.json()["error"]["details"]
        assert (answer.status_code, detail["reason"]) == (400, "API_KEY_INVALID")


class TestMistral:
    def test_a_stream_has_the_usage_with_its_end(self, world: OutsideWorld, http: httpx.Client) -> None:
        url = URLS[4]
        streamed = http.post(url, headers=headers_of(world)[url], json={**body_of(url), "stream": True})
        *events, done = [line.removeprefix("data: ") for line in streamed.text.split("\n\n") if line]
        assert done == "[DONE]"
        last = json.loads(events[-1])
        assert last["choices"][0]["finish_reason"] == "stop"
        assert last["usage"]["prompt_tokens"] == 3
        assert not any("usage" in json.loads(event) for event in events[:-1])
        assert streamed.headers["mistral-correlation-id"]

    def test_a_prefix_is_cached_for_who_names_a_key(self, world: OutsideWorld, http: httpx.Client) -> None:
        url = URLS[4]
        body = {"model": MISTRAL, "messages": user(f"Mistral. {LONG}")}
        counts = [
            http.post(url, headers=headers_of(world)[url], json={**body, **more}).json()["usage"]
            for more in ({}, {}, {"prompt_cache_key": "k"}, {"prompt_cache_key": "k"})
        ]
        assert [count["prompt_tokens_details"]["cached_tokens"] > 0 for count in counts] == [False, False, False, True]

    @pytest.mark.parametrize(
        ("change", "status", "code"),
        [
            ({"model": "mistral-next"}, 400, "1500"),
            ({"model": "mistral-embed"}, 400, "1500"),
            ({"stream_options": {"include_usage": True}}, 422, None),
            ({"messages": None}, 422, None),
        ],
    )
    def test_what_the_api_refuses(
        self, world: OutsideWorld, http: httpx.Client, change: dict[str, Any], status: int, code: str | None
    ) -> None:
        url = URLS[4]
        body = {name: value for name, value in {**body_of(url), **change}.items() if value is not None}
        answer = http.post(url, headers=headers_of(world)[url], json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["object"] == "error"

    def test_embeddings(self, world: OutsideWorld, http: httpx.Client) -> None:
        body = {"model": "mistral-embed", "input": ["one", "two"]}
        answer = http.post("https://api.mistral.ai/v1/embeddings", headers=headers_of(world)[URLS[4]], json=body)
        assert [len(each["embedding"]) for each in answer.json()["data"]] == [1024, 1024]


class TestFoundry:
    def test_one_resource_speaks_three_formats(self, world: OutsideWorld, http: httpx.Client) -> None:
        urls = [url for url in URLS if url.startswith(FOUNDRY)]
        assert all(http.post(url, headers=headers_of(world)[url], json=body_of(url)).is_success for url in urls)
        assert [(call.provider, call.operation) for call in world.calls()] == [
            ("azure_ai", "chat/completions"),
            ("azure_ai", "messages"),
            ("azure_ai", "responses"),
        ]

    def test_the_key_as_bearer_is_of_endpoints_alone(self, world: OutsideWorld, http: httpx.Client) -> None:
        bearer = {"authorization": f"Bearer {world.credentials.azure_api_key}"}
        urls = (f"{FOUNDRY}/models/chat/completions", f"{ENDPOINT}/chat/completions")
        assert [http.post(url, headers=bearer, json=body_of(url)).status_code for url in urls] == [401, 200]
        assert http.post(f"{FOUNDRY}/models/images", headers=bearer, json={}).status_code == 404

    def test_documents_are_reranked(self, world: OutsideWorld, http: httpx.Client) -> None:
        """A search unit is a query with up to a hundred documents."""
        bearer = {"authorization": f"Bearer {world.credentials.azure_api_key}"}
        documents = ["A cat sleeps.", "The capital of Japan is Tokyo.", *["Nothing."] * 99]
        body = {"model": "cohere-rerank-v4.0-fast", "query": "capital of Japan", "documents": documents, "top_n": 1}
        for version in ("v1", "v2"):
            answer = http.post(f"{ENDPOINT}/{version}/rerank", headers=bearer, json=body).json()
            assert answer["results"] == [{"index": 1, "relevance_score": 1.0}]
            assert answer["meta"]["billed_units"] == {"search_units": 2}
        wrongs: list[dict[str, Any]] = [
            {"documents": None},
            {"query": None},
            {"documents": []},
            {"documents": [{"text": "x"}]},
        ]
        for wrong in wrongs:
            sent = {name: value for name, value in {**body, **wrong}.items() if value is not None}
            assert http.post(f"{ENDPOINT}/v2/rerank", headers=bearer, json=sent).status_code == 400


@pytest.fixture(autouse=True)
def _without_faults(world: OutsideWorld) -> Iterator[None]:
    yield
    world.clear_fault()
