"""Servers of models that a company runs: what speaks OpenAI's format, and Ollama, with TLS or without, on any port."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from local.outside.completion import COMPLETION_PHRASE
from local.outside.records import Fault
from local.outside.servers import Server
from local.outside.world import OutsideWorld

VLLM = Server("vllm.corp.internal", 8000, True, "hosted_vllm", frozenset({"qwen3"}), keyed=True)
RENTED = Server("api.rented.example", 443, False, "openai", frozenset({"house"}), keyed=True)
OLLAMA = Server("ollama.corp.internal", 11434, True, "ollama_chat", frozenset({"llama4"}), keyed=False)
MESSAGES: list[Any] = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideWorld]:
    with OutsideWorld(tmp_path_factory.mktemp("servers"), servers=(VLLM, RENTED, OLLAMA)) as running:
        yield running


@pytest.fixture
def http(world: OutsideWorld) -> Iterator[httpx.Client]:
    world.clear()
    world.clear_fault()
    context = ssl.create_default_context(cafile=str(world.ca_file))
    with httpx.Client(proxy=world.proxy_url, verify=context, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("base", "model"), [("http://vllm.corp.internal:8000/v1", "qwen3"), ("https://api.rented.example/v1", "house")]
)
def test_openais_format(world: OutsideWorld, http: httpx.Client, base: str, model: str) -> None:
    sdk = openai.OpenAI(api_key=world.credentials.server_api_key, base_url=base, http_client=http, max_retries=0)  # type: ignore[arg-type]
    whole = sdk.chat.completions.create(model=model, messages=MESSAGES)
    streamed = sdk.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in streamed) == whole.choices[0].message.content
    assert sdk.responses.create(model=model, input="Say hello.").output_text.startswith(COMPLETION_PHRASE)
    assert len(sdk.embeddings.create(model=model, input="x").data) == 1
    assert len(world.calls()) == 4


def test_what_vllm_refuses(world: OutsideWorld, http: httpx.Client) -> None:
    url, key = "http://vllm.corp.internal:8000/v1/chat/completions", world.credentials.server_api_key
    bearer = {"authorization": f"Bearer {key}"}
    assert http.post(url, json={"model": "qwen3", "messages": MESSAGES}).json() == {"error": "Unauthorized"}
    other = http.post(url, headers=bearer, json={"model": "qwen4", "messages": MESSAGES})
    assert (other.status_code, other.json()["error"]["type"]) == (404, "NotFoundError")
    assert http.post(url, headers=bearer, json={"model": "qwen3"}).status_code == 400
    world.set_fault("vllm.corp.internal", Fault(status=503))
    assert http.post(url, headers=bearer, json={"model": "qwen3", "messages": MESSAGES}).status_code == 503


def test_ollamas_format(world: OutsideWorld, http: httpx.Client) -> None:
    url = "http://ollama.corp.internal:11434/api"
    whole = http.post(f"{url}/chat", json={"model": "llama4", "messages": MESSAGES, "stream": False}).json()
    lines = [
        json.loads(line)
        for line in http.post(f"{url}/chat", json={"model": "llama4", "messages": MESSAGES}).text.splitlines()
    ]
    assert "".join(line["message"]["content"] for line in lines) == whole["message"]["content"]
    counts = ("prompt_eval_count", "eval_count", "done_reason")
    assert [lines[-1][name] for name in counts] == [whole[name] for name in counts]
    generated = http.post(f"{url}/generate", json={"model": "llama4", "prompt": "Say hello.", "stream": False}).json()
    assert generated["response"].startswith(COMPLETION_PHRASE)
    assert len(http.post(f"{url}/embed", json={"model": "llama4", "input": ["a", "b"]}).json()["embeddings"]) == 2
    missing = http.post(f"{url}/chat", json={"model": "llama5", "messages": MESSAGES})
    assert (missing.status_code, missing.json()) == (404, {"error": "model 'llama5' not found"})
    shown = http.post(f"{url}/show", json={"name": "llama4"})
    assert shown.is_success
    assert world.calls()[-1].model == ""  # no call of a model


def test_a_tool_is_called(http: httpx.Client) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    body = {"model": "llama4", "messages": [{"role": "user", "content": "Please [[call weather]]."}], "tools": [tool]}
    for streamed in (True, False):
        text = http.post("http://ollama.corp.internal:11434/api/chat", json={**body, "stream": streamed}).text
        assert "done" in json.loads(text.splitlines()[-1])


@pytest.mark.parametrize(
    "url",
    [
        "http://vllm.corp.internal/v1/chat/completions",
        "http://vllm.corp.internal:8001/v1/chat/completions",
        "https://vllm.corp.internal:8000/v1/chat/completions",
        "https://vllm.corp.internal/v1/chat/completions",
        "http://api.rented.example/v1/chat/completions",
        "http://api.openai.com/v1/chat/completions",
    ],
)
def test_another_port_or_without_tls_is_refused_and_reported(world: OutsideWorld, http: httpx.Client, url: str) -> None:
    try:
        assert http.post(url, json={}).status_code == 403
    except httpx.ProxyError as error:
        assert "403" in str(error)
    assert [refusal.host for refusal in world.refused()] == [httpx.URL(url).host]


def test_a_connection_is_not_used_twice(world: OutsideWorld, http: httpx.Client) -> None:
    """The next request on it might be for another host."""
    for host in ("vllm.corp.internal:8000", "ollama.corp.internal:11434", "vllm.corp.internal:8000"):
        assert http.get(f"http://{host}/").headers["connection"] == "close"
    assert [call.host for call in world.calls()] == ["vllm.corp.internal", "ollama.corp.internal", "vllm.corp.internal"]


def test_a_server_may_come_later(world: OutsideWorld, http: httpx.Client) -> None:
    """As with an entry that somebody adds in the admin UI; a second time it is the same."""
    added = Server("later.example.com", 443, plain=False, provider="hosted_vllm", models=frozenset({"m"}), keyed=False)
    url, body = "https://later.example.com/v1/chat/completions", {"model": "m", "messages": []}
    with pytest.raises(httpx.ProxyError):
        http.post(url, json=body)
    for _ in range(2):
        world.add_server(added)
        assert http.post(url, json={**body, "messages": [{"role": "user", "content": "Hello"}]}).is_success
    assert world.calls()[-1].provider == "hosted_vllm"
