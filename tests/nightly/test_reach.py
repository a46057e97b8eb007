"""A caller's parameters reach nothing but the hosts that config.yaml implies: each is tried, with the simulated world's
record of hosts and a server of the test's own as the witnesses.

What each answer is does not matter here: refused, or served without it.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.gateway import LocalGateway
from local.outside.world import OutsideWorld
from tests.e2e.test_capacity import tasks

Json = dict[str, Any]

CLAUDE, GPT, GEMINI, TITAN = "claude-sonnet-5-5", "gpt-6-luna", "gemini-3.8-flash", "titan-embed-text-v2"
MODELS = (CLAUDE, GPT, GEMINI)
SAID: list[Json] = [{"role": "user", "content": "Say hello"}]
# Of the machine that asks, of its cloud's metadata, of ECS's credentials, and none at all.
ADDRESSES = (
    "{own}/x",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://169.254.170.2/v2/credentials/x",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    "http://0x7f000001:{port}/x",
    "http://localhost:{port}/x",
    "https://nowhere.invalid/x.png",
    "file:///etc/passwd",
)
# What an entry of config.yaml may have, or LiteLLM reads of a request; {own} is an address of the test's own.
PARAMETERS: Json = {
    **dict.fromkeys(("api_base", "base_url", "azure_endpoint", "api_host", "endpoint", "proxy_url"), "{own}"),
    **dict.fromkeys(("aws_bedrock_runtime_endpoint", "aws_sts_endpoint", "s3_endpoint_url", "deployment_url"), "{own}"),
    **dict.fromkeys(("langfuse_host", "langsmith_base_url", "posthog_api_url", "arize_endpoint"), "{own}"),
    **dict.fromkeys(("dd_site", "dd_agent_host"), "nowhere.invalid"),
    "custom_llm_provider": "groq",
    "aws_region_name": "eu-west-1",
    "vertex_location": "europe-west1",
    "vertex_ai_location": "x.nowhere.invalid/",
    "vertex_project": "another",
    "vertex_credentials": '{{"token_uri": "{own}"}}',
    "aws_role_name": "arn:aws:iam::111111111111:role/another",
    "aws_web_identity_token": "/etc/passwd",
    "aws_profile_name": "another",
    "azure_ad_token": "oidc/env/LITELLM_MASTER_KEY",
    "tenant_id": "another",
    "api_key": "os.environ/LITELLM_MASTER_KEY",
    "user_config": {"model_list": [{"model_name": "x", "litellm_params": {"model": "openai/x", "api_base": "{own}"}}]},
    "model_list": [{"model_name": "x", "litellm_params": {"model": "openai/x", "api_base": "{own}"}}],
    "litellm_params": {"api_base": "{own}", "custom_llm_provider": "groq"},
    "extra_body": {"api_base": "{own}", "aws_region_name": "eu-west-1"},
    "extra_headers": {"Host": "nowhere.invalid", "X-Forwarded-Host": "nowhere.invalid"},
    "headers": {"Host": "nowhere.invalid"},
    "provider_specific_header": {"custom_llm_provider": "azure", "extra_headers": {"Host": "nowhere.invalid"}},
    "fallbacks": [{"model": "gpt-6-luna", "api_base": "{own}"}],
    "context_window_fallbacks": [{"claude-sonnet-5-5": ["huggingface/{own}"]}],
    "router_settings_override": {"fallbacks": [{"claude-sonnet-5-5": ["huggingface/{own}"]}]},
    "mock_response": "Said by nobody",
    "mock_testing_fallbacks": True,
    "success_callback": ["langfuse"],
    "failure_callback": ["langfuse"],
    "callbacks": ["langfuse"],
    "service_callback": ["langfuse"],
    "metadata": {"langfuse_host": "{own}", "success_callback": ["langfuse"], "callbacks": ["langfuse"]},
    "litellm_metadata": {"langfuse_host": "{own}", "gcs_bucket_name": "another"},
    "prompt_id": "another",
    "guardrails": ["another"],
    "guardrail_config": {"api_base": "{own}"},
    "vector_store_ids": ["another"],
    "litellm_credential_name": "another",
    "model_info": {"id": "another", "base_model": "another"},
    "specific_deployment": True,
    "tools": [{"type": "mcp", "server_label": "x", "server_url": "{own}", "require_approval": "never"}],
    "mcp_servers": [{"type": "url", "url": "{own}", "name": "x"}],
    "web_search_options": {"search_context_size": "low"},
    "ssl_verify": False,
}
HEADERS = {
    **dict.fromkeys(("x-litellm-api-base", "api-base", "x-litellm-base-url"), "{own}"),
    **dict.fromkeys(("x-forwarded-host", "x-pass-host", "llm_provider-host"), "nowhere.invalid"),
    "x-litellm-model": "huggingface/{own}",
    "x-litellm-disable-callbacks": "masking.datadog",
    "x-mcp-servers": "another",
    "x-goog-user-project": "another",
    "openai-organization": "another",
}
NAMES = ("huggingface/{own}", "oobabooga/{own}", "{own}", "openai/x", "ollama/x", "../../x", "sagemaker/x", "custom/x")


class Listener:
    """A server of the test's own, that should hear of nothing."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.heard: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with connection:
                self.heard.append(connection.recv(200).decode(errors="replace"))
                connection.sendall(b"HTTP/1.1 500 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def own() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def key(gateway: LocalGateway) -> str:
    return gateway.user_key("reach@example.com")


@pytest.fixture
def watched(gateway: LocalGateway, outside: OutsideWorld, own: Listener) -> Iterator[None]:
    """Nothing else is reached as long as the test runs."""
    before = len(outside.refused())
    own.heard.clear()
    yield
    listed = set(gateway.config.hosts(gateway.environment.plain_variables))
    assert {call.host for call in outside.calls()} - listed == set()
    assert outside.refused()[before:] == []
    assert own.heard == []


def filled(value: Any, own: Listener) -> Any:  # noqa: ANN401 - JSON
    """The value with the test's own address in it."""
    if isinstance(value, dict):
        return {name: filled(each, own) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, own) for each in value]
    return re.sub(r"\{own\}", f"http://127.0.0.1:{own.port}", value) if isinstance(value, str) else value


def asked(gateway: LocalGateway, key: str, path: str, body: Json, **headers: str) -> httpx.Response:
    url = f"http://127.0.0.1:{tasks(gateway)[0]}{path}"
    sent = {"authorization": f"Bearer {key}"} | headers
    return httpx.post(url, json=body, headers=sent, trust_env=False, timeout=120)


def shapes(model: str) -> Iterator[tuple[str, Json]]:
    """The ways to ask a model, each route with its body."""
    yield "/v1/chat/completions", {"model": model, "messages": SAID}
    yield "/v1/responses", {"model": model, "input": "Say hello"}
    yield "/v1/messages", {"model": model, "max_tokens": 9, "messages": SAID}
    yield f"/v1beta/models/{model}:generateContent", {"contents": [{"role": "user", "parts": [{"text": "Say hello"}]}]}
    yield f"/openai/deployments/{model}/chat/completions", {"messages": SAID}


@pytest.mark.parametrize("model", MODELS)
def test_as_it_is_meant_each_route_is_served(gateway: LocalGateway, key: str, model: str, watched: None) -> None:
    """Without a parameter too many: what is refused below is refused for that."""
    for path, body in shapes(model):
        assert asked(gateway, key, path, body).status_code == 200, path


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_parameter(gateway: LocalGateway, key: str, own: Listener, parameter: str, watched: None) -> None:
    value = filled(PARAMETERS[parameter], own)
    for model in MODELS:
        answer = asked(gateway, key, "/v1/chat/completions", {"model": model, "messages": SAID, parameter: value})
        assert "Said by nobody" not in answer.text
    for path, body in shapes(CLAUDE):
        asked(gateway, key, path, body | {parameter: value})


@pytest.mark.parametrize("parameter", ["custom_llm_provider", "aws_region_name", "vertex_location", "api_key"])
def test_what_would_choose_where_a_call_goes_is_told_so(gateway: LocalGateway, key: str, parameter: str) -> None:
    for path, body in shapes(GEMINI):
        answer = asked(gateway, key, path, body | {parameter: "another"})
        assert answer.status_code == 400, (path, answer.text)
        assert f"{parameter} is not for a request to say" in answer.text, path


@pytest.mark.parametrize("header", HEADERS)
def test_a_header(gateway: LocalGateway, key: str, own: Listener, header: str, watched: None) -> None:
    for model in MODELS:
        body = {"model": model, "messages": SAID}
        asked(gateway, key, "/v1/chat/completions", body, **{header: filled(HEADERS[header], own)})


@pytest.mark.parametrize("name", NAMES)
def test_a_models_name(gateway: LocalGateway, key: str, own: Listener, name: str, watched: None) -> None:
    for path, body in shapes(CLAUDE):
        if "model" in body:
            assert asked(gateway, key, path, body | {"model": filled(name, own)}).is_error
    assert asked(gateway, key, "/v1/embeddings", {"model": filled(name, own), "input": "hello"}).is_error


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_in_a_prompt(gateway: LocalGateway, key: str, own: Listener, address: str, watched: None) -> None:
    """LiteLLM fetches images and documents for providers that do not: of public addresses only."""
    url = address.format(own=f"http://127.0.0.1:{own.port}", port=own.port)
    for model in (CLAUDE, GEMINI):
        for part in (
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "file", "file": {"file_id": url, "format": "application/pdf"}},
            {"type": "file", "file": {"file_data": url, "filename": "a.pdf"}},
            {"type": "video_url", "video_url": {"url": url}},
            {"type": "input_audio", "input_audio": {"data": url, "format": "wav"}},
        ):
            asked(gateway, key, "/v1/chat/completions", {"model": model, "messages": [{**SAID[0], "content": [part]}]})
        parts = [{"type": "input_image", "image_url": url}, {"type": "input_file", "file_url": url}]
        asked(gateway, key, "/v1/responses", {"model": model, "input": [{"role": "user", "content": parts}]})
        source = {"type": "url", "url": url}
        said = [
            {"role": "user", "content": [{"type": "image", "source": source}, {"type": "document", "source": source}]}
        ]
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            asked(gateway, key, path, {"model": model, "max_tokens": 9, "messages": said})
        contents = [{"role": "user", "parts": [{"fileData": {"fileUri": url, "mimeType": "image/png"}}]}]
        for method in ("generateContent", "countTokens"):
            asked(gateway, key, f"/v1beta/models/{model}:{method}", {"contents": contents})
    asked(gateway, key, "/v1/embeddings", {"model": TITAN, "input": [url]})
