"""The outside world as a whole: what it refuses, records, keeps over a restart, and how it is told to fail."""

import asyncio
import json
import socket
import ssl
from collections import Counter
from pathlib import Path

import httpx
import pytest

from local.outside.completion import join_texts
from local.outside.credentials import Credentials
from local.outside.records import Fault
from local.outside.world import OutsideWorld

AZURE = "https://acme.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2025-04-01-preview"


def context(world: OutsideWorld) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(world.ca_file))


def client(world: OutsideWorld) -> httpx.Client:
    return httpx.Client(proxy=world.proxy_url, verify=context(world), trust_env=False)


def ask(http: httpx.Client, world: OutsideWorld, text: str = "hello") -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}]}
    return http.post(AZURE, json=body, headers={"api-key": world.credentials.azure_api_key})


def test_other_hosts_and_ports_are_refused_and_reported(tmp_path: Path) -> None:
    with OutsideWorld(tmp_path) as world, client(world) as http:
        for url in (
            "https://example.com/",
            "https://bedrock-runtime.mars-north-1.amazonaws.com/",
            "https://hooks.slack.com:8443/",
        ):
            with pytest.raises(httpx.ProxyError, match=r"403 .* is not one of the simulated hosts"):
                http.get(url)
        assert http.get("http://example.org/").status_code == 403
        assert [refusal.host for refusal in world.refused()] == [
            "example.com",
            "bedrock-runtime.mars-north-1.amazonaws.com",
            "hooks.slack.com",
            "example.org",
        ]
        assert world.calls() == []


def test_a_host_that_differs_from_the_connection_is_not_answered(tmp_path: Path) -> None:
    with OutsideWorld(tmp_path) as world, client(world) as http:
        assert http.get("https://hooks.slack.com/", headers={"host": "example.com"}).status_code == 421


def test_a_restart_keeps_the_ca_and_the_credentials(tmp_path: Path) -> None:
    with OutsideWorld(tmp_path) as first:
        trusted = context(first)
    with OutsideWorld(tmp_path) as second:
        assert second.credentials == first.credentials
        with httpx.Client(proxy=second.proxy_url, verify=trusted, trust_env=False) as http:
            assert ask(http, first).status_code == 200
    public = ("ca.pem", "bills.json")
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir() if file.name not in public} == {
        "ca.key": 0o600,
        "credentials.json": 0o600,
    }


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"Port {port} of 127.0.0.1 is not free"):
            OutsideWorld(tmp_path, port=port).start()


def test_it_stops_while_a_stream_is_under_way_and_starts_again(tmp_path: Path) -> None:
    world = OutsideWorld(tmp_path)
    with world:
        world.set_fault("*", Fault(chunk_delay_seconds=3600))
        body = {"stream": True, "messages": [{"role": "user", "content": "hello"}]}
        headers = {"api-key": world.credentials.azure_api_key}
        with client(world) as http, http.stream("POST", AZURE, json=body, headers=headers) as stream:
            world.stop()
            with pytest.raises(httpx.TransportError):
                stream.read()
        world.clear_fault()
        world.start()
        with client(world) as http:
            assert ask(http, world).status_code == 200


def test_hundreds_of_requests_at_once(tmp_path: Path) -> None:
    async def run(world: OutsideWorld) -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=60)
        async with httpx.AsyncClient(
            proxy=world.proxy_url, verify=context(world), trust_env=False, limits=limits, timeout=60
        ) as http:
            headers = {"api-key": world.credentials.azure_api_key}
            bodies = [{"messages": [{"role": "user", "content": "x" * number}]} for number in range(1, 201)]
            return await asyncio.gather(*(http.post(AZURE, json=body, headers=headers) for body in bodies))

    with OutsideWorld(tmp_path) as world:
        answers = asyncio.run(run(world))
        assert Counter(answer.status_code for answer in answers) == {200: 200}
        reported = Counter(answer.json()["usage"]["prompt_tokens"] for answer in answers)
        assert Counter(call.usage.input_tokens for call in world.calls()) == reported


def test_a_megabyte_passes(tmp_path: Path) -> None:
    with OutsideWorld(tmp_path) as world, client(world) as http:
        assert ask(http, world, "x" * 1_000_000).json()["usage"]["prompt_tokens"] == 250_000


def test_no_record_of_a_call_has_a_word_of_it(tmp_path: Path) -> None:
    with OutsideWorld(tmp_path) as world, client(world) as http:
        answer = ask(http, world, "xylophone").json()["choices"][0]["message"]["content"]
        body = {"messages": "xylophone"}
        assert http.post(AZURE, json=body, headers={"api-key": world.credentials.azure_api_key}).status_code == 400
        seen = httpx.get(f"{world.control_url}/calls", trust_env=False).text
        assert "xylophone" not in seen
        assert "xylophone" not in answer
        assert answer[:20] not in seen


def test_the_control_api(tmp_path: Path) -> None:
    with (
        OutsideWorld(tmp_path) as world,
        client(world) as http,
        httpx.Client(base_url=world.control_url, trust_env=False) as control,
    ):
        fault = control.put("/faults/acme.openai.azure.com", json={"status": 503, "count": 2}).json()
        assert (fault["status"], fault["count"]) == (503, 2)
        assert ask(http, world).status_code == 503
        assert control.get("/faults").json()["acme.openai.azure.com"]["count"] == 1
        assert ask(http, world).status_code == 503
        assert control.get("/faults").json() == {}
        assert ask(http, world).status_code == 200
        assert [call["status"] for call in control.get("/calls").json()] == [503, 503, 200]
        assert "calls</a>: 3" in control.get("/").text
        http.post(world.credentials.slack_webhook_url, json={"text": "hello"})
        assert control.get("/slack").json() == [{"text": "hello"}]
        assert control.delete("/calls").status_code == 204
        assert control.get("/calls").json() == []
        assert control.get("/slack").json() != []
        control.delete("/")
        assert control.get("/slack").json() == []
        control.put("/faults/*.slack.com", json={"status": 500})
        control.delete("/faults/*.slack.com")
        assert world.journal.faults() == {}


def test_a_wrong_fault_is_refused_with_a_sentence(tmp_path: Path) -> None:
    wrong: dict[str, object] = {
        "status must be an HTTP error": {"status": 200},
        "status must be a number": {"status": "429"},
        "count must be at least 1": {"count": 0},
        "delay_seconds must not be negative": {"delay_seconds": -1},
        "no field 'statuss'": {"statuss": 429},
        "must be a JSON object": [],
    }
    with OutsideWorld(tmp_path) as world:
        for sentence, body in wrong.items():
            answer = httpx.put(f"{world.control_url}/faults/x", json=body, trust_env=False)
            assert answer.status_code == 400
            assert sentence in answer.json()["error"]


def test_credentials_have_the_names_of_the_secrets_and_hide_their_values(tmp_path: Path) -> None:
    credentials = Credentials.load_or_generate(tmp_path / "c.json", "acme")
    secrets = credentials.as_secrets()
    slack = {"SLACK_WEBHOOK_URL", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"}
    bills = {"AZURE_BILLING_SECRET", "GOOGLE_BILLING_CREDENTIALS", "OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY"}
    names = ("ANTHROPIC", "AZURE", "AZURE_AI", "DD", "GEMINI", "MISTRAL", "OPENAI", "SERVER")
    others = {"VERTEX_CREDENTIALS", "DD_APP_KEY", "OTHERS_KEY"}
    assert set(secrets) == {f"{name}_API_KEY" for name in names} | others | slack | bills
    assert json.loads(secrets["VERTEX_CREDENTIALS"])["project_id"] == "acme"
    assert "\n" in json.loads(secrets["VERTEX_CREDENTIALS"])["private_key"]
    assert not any(value in repr(credentials) for value in secrets.values())


def test_a_spoilt_credentials_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text("{}")
    with pytest.raises(ValueError, match=r"credentials\.json does not hold"):
        OutsideWorld(tmp_path)


def test_texts_are_found_in_every_format_without_media() -> None:
    messages = [
        {"role": "user", "content": "plain"},
        {"role": "user", "content": [{"text": "part"}, {"type": "image_url", "image_url": {"url": "data:AAAA"}}]},
        {"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "AAAA"}}}]},
        {"parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}, {"inlineData": {"data": "AAAA"}}]},
        {"content": [{"toolResult": {"toolUseId": "t", "content": [{"json": {"b": 2}}, {"text": "result"}]}}]},
        {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
    ]
    assert join_texts(messages) == 'plain\npart\n{"a": 1}\n{"b": 2}\nresult\n{}'
