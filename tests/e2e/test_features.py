"""What LiteLLM carries itself: tools of MCP servers, pass-through endpoints, access groups, tags and credentials.

Whoever asks comes from the office, by way of the load balancer and its web ACL, unless it says otherwise.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from local.callers import OFFICE
from local.gateway import LocalGateway
from local.outside.mcp import FOUND, McpServer
from local.outside.passed import ANSWERED, Service, Services
from local.outside.records import Call, Fault
from local.outside.world import OutsideWorld
from stacks import CHECKOUT
from tests.e2e.conftest import eventually
from tests.e2e.test_edge import AWS, pytestmark
from tests.e2e.test_records import records

__all__ = ["pytestmark"]  # two loopback addresses

Json = dict[str, Any]
Ask = Callable[..., httpx.Response]

PYTHON = CHECKOUT / ".tools/litellm/bin/python"
CLIENT = CHECKOUT / "tests/unit/outside/mcp_client.py"
MARKER = "what-nobody-else-is-to-know"
NOVA = "bedrock/us.amazon.nova-2-lite-v1:0"


@pytest.fixture
def ask(gateway: LocalGateway) -> Iterator[Ask]:
    """Ask the gateway from the office, with a key."""
    with httpx.Client(base_url=gateway.url, transport=httpx.HTTPTransport(local_address=OFFICE), timeout=60) as client:

        def asked(path: str, key: str, body: object = None, **headers: str) -> httpx.Response:
            sent = {"Authorization": f"Bearer {key}"} | headers
            return client.request("GET" if body is None else "POST", path, json=body, headers=sent)

        yield asked


@pytest.fixture
def key_of(gateway: LocalGateway, user: str) -> Callable[..., str]:
    """Make a key of this test's user, as an administrator gives it."""
    new = {"user_id": user, "user_email": user, "max_budget": 10, "auto_create_key": False}
    gateway.api("POST", "/user/new", json=new).raise_for_status()

    def made(**settings: object) -> str:
        answer = gateway.api("POST", "/key/generate", json={"user_id": user, **settings})
        answer.raise_for_status()
        return str(answer.json()["key"])

    return made


def rpc(ask: Ask, path: str, key: str, method: str, **parameters: object) -> Json:
    """Send a message of MCP, which needs no session for LiteLLM; what came of it."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    answer = ask(path, key, message, Accept="application/json, text/event-stream")
    (event,) = (line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: "))
    return dict(json.loads(event))


def tools(ask: Ask, path: str, key: str) -> list[str]:
    answer = rpc(ask, path, key, "tools/list")
    return sorted(tool["name"] for tool in answer["result"]["tools"]) if "result" in answer else []


def calls(outside: OutsideWorld) -> list[Call]:
    """What somebody called: models, tools and services; Datadog, Slack and Google's tokens are asked at any time."""
    found = outside.calls()
    return [call for call in found if call.model or call.operation == "tools/call" or call.provider == Services.name]


def spent(gateway: LocalGateway, user: str) -> float:
    answer = gateway.api("GET", "/user/info", params={"user_id": user})
    return float(answer.json()["user_info"]["spend"])


# --- MCP servers ------------------------------------------------------------------------------------------------------


def test_a_key_uses_the_tools_that_it_is_given(
    gateway: LocalGateway, outside: OutsideWorld, ask: Ask, user: str, key_of: Callable[..., str]
) -> None:
    """With the company's credential, at its price, and what it says to them stays between the two."""
    start = len(outside.datadog())
    key = key_of(object_permission={"mcp_servers": ["wiki"]})
    assert tools(ask, "/mcp", key) == tools(ask, "/wiki/mcp", key) == ["wiki-read", "wiki-search"]  # not delete
    called = rpc(ask, "/wiki/mcp", key, "tools/call", name="wiki-search", arguments={"query": MARKER})
    assert called["result"]["content"] == [{"type": "text", "text": f"{FOUND} {MARKER}"}]
    assert ("mcp.example.com", "tools/call", 200) in {(c.host, c.operation, c.status) for c in outside.calls()}

    refused = rpc(ask, "/wiki/mcp", key, "tools/call", name="wiki-delete", arguments={"page": MARKER})
    assert "not allowed" in refused["result"]["content"][0]["text"]
    assert [call.operation for call in outside.calls()].count("tools/call") == 1

    assert eventually(lambda: spent(gateway, user)) == pytest.approx(0.01)

    def kept() -> list[Json]:
        rows = gateway.api("GET", "/spend/logs", params={"user_id": user}).json()
        assert MARKER not in json.dumps(rows)
        return [row for row in rows if row["call_type"] == "call_mcp_tool"]

    (row,) = eventually(kept)
    assert (row["model"], row["spend"]) == ("MCP: wiki-search", pytest.approx(0.01))
    assert row["metadata"]["mcp_tool_call_metadata"]["namespaced_tool_name"] == "wiki/search"

    def reported() -> list[Json]:
        return [each for each in records(outside, start) if each.get("user") == user and each.get("cost")]

    (record,) = eventually(reported)
    assert (record["call_type"], record["deployment"], record["cost"]) == ("call_mcp_tool", "MCP: wiki-search", 0.01)
    assert MARKER not in json.dumps(outside.datadog()[start:])


def test_a_key_that_is_given_none_has_none(outside: OutsideWorld, ask: Ask, key_of: Callable[..., str]) -> None:
    """By any of the ways: MCP, REST, or a model that is to use them."""
    key = key_of()
    assert tools(ask, "/mcp", key) == []
    assert ask("/wiki/mcp", key, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}).status_code == 403
    outside.clear("calls")
    called = rpc(ask, "/mcp", key, "tools/call", name="wiki-search", arguments={"query": "x"})
    assert called["result"]["isError"]
    tool = {"type": "mcp", "server_label": "litellm", "server_url": "litellm_proxy/mcp/wiki"}
    body = {"model": "nova-2-lite", "input": "Look it up", "tools": [tool]}
    assert ask("/v1/responses", key, body).status_code == 403
    assert calls(outside) == []


def test_a_teams_tools_are_those_of_its_keys(gateway: LocalGateway, ask: Ask, key_of: Callable[..., str]) -> None:
    made = gateway.api("POST", "/team/new", json={"object_permission": {"mcp_servers": ["wiki"]}})
    made.raise_for_status()
    team = made.json()["team_id"]
    assert tools(ask, "/wiki/mcp", key_of(team_id=team)) == ["wiki-read", "wiki-search"]
    gateway.api("POST", "/team/delete", json={"team_ids": [team]}).raise_for_status()


def test_a_server_of_the_older_transport_is_served_by_the_newer(
    gateway: LocalGateway, outside: OutsideWorld, ask: Ask, key_of: Callable[..., str]
) -> None:
    """Added as in the admin UI, for everybody."""
    outside.mcp_servers.add(McpServer("old.example.com", "/sse", "x-api-key", "the-companys", is_older=True))
    new = {"server_name": "old", "url": "https://old.example.com/sse", "transport": "sse", "allow_all_keys": True}
    new |= {"auth_type": "api_key", "credentials": {"auth_value": "the-companys"}}
    made = gateway.api("POST", "/v1/mcp/server", json=new)
    made.raise_for_status()
    try:
        key = key_of()
        assert tools(ask, "/mcp/old", key) == ["old-delete", "old-read", "old-search"]
        called = rpc(ask, "/mcp/old", key, "tools/call", name="old-search", arguments={"query": "tea"})
        assert called["result"]["content"][0]["text"] == f"{FOUND} tea"
    finally:
        gateway.api("DELETE", f"/v1/mcp/server/{made.json()['server_id']}").raise_for_status()


@pytest.mark.skipif(not PYTHON.exists(), reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
def test_the_mcp_projects_own_client_is_served(gateway: LocalGateway, key_of: Callable[..., str]) -> None:
    """From this machine's own address, as an operator: it cannot be told to come from another."""
    headers = json.dumps({"Authorization": f"Bearer {key_of(object_permission={'mcp_servers': ['wiki']})}"})
    command = [str(PYTHON), str(CLIENT), "http", f"{gateway.url}/wiki/mcp", headers, "wiki-read", '{"page": "tea"}']
    done = subprocess.run(command, env={**os.environ, "NO_PROXY": "*"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert (found["tools"], found["result"]) == (["wiki-read", "wiki-search"], [f"{FOUND} tea"])


@pytest.mark.parametrize("path", ["/v1/mcp/server", "/mcp-rest/test/connection", "/other/mcp", "/house"])
def test_nothing_beside_them_is_open(ask: Ask, key_of: Callable[..., str], path: str) -> None:
    refused = ask(path, key_of())
    assert (refused.status_code, refused.headers["server"]) == (403, AWS)


# --- Pass-through endpoints -------------------------------------------------------------------------------------------


@pytest.fixture
def house(gateway: LocalGateway, outside: OutsideWorld) -> Iterator[str]:
    """A service of the company's, and the path that leads to it, added as in the admin UI."""
    outside.services.add(Service("house.example.com", "/v1", {"authorization": "bearer the-companys"}))
    new = {
        "path": "/house",
        "target": "https://house.example.com/v1",
        "headers": {"Authorization": "bearer the-companys"},
        "cost_per_request": 0.05,
        "auth": True,
    }
    made = gateway.api("POST", "/config/pass_through_endpoint", json=new)
    made.raise_for_status()
    yield "/house"
    (endpoint,) = made.json()["endpoints"]
    removed = gateway.api("DELETE", "/config/pass_through_endpoint", params={"endpoint_id": endpoint["id"]})
    removed.raise_for_status()


def test_a_path_leads_to_a_service_for_whom_it_is_given(
    gateway: LocalGateway, outside: OutsideWorld, house: str, ask: Ask, key_of: Callable[..., str]
) -> None:
    """To administrators without a licence of LiteLLM. From the office it is closed, as nothing opens it."""
    start, body = len(outside.datadog()), {"question": MARKER}
    assert ask(house, key_of(), body).headers["server"] == AWS
    assert gateway.api("POST", house, key=key_of(), json=body).status_code == 403
    assert gateway.api("POST", house, key="sk-nobodys", json=body).status_code == 401
    assert calls(outside) == []
    answer = gateway.api("POST", house, json=body)
    assert answer.json() == {"answer": ANSWERED, "asked": "POST /", "body": body}

    def reported() -> list[Json]:
        return [each for each in records(outside, start) if each.get("call_type") == "pass_through_endpoint"]

    record = eventually(lambda: [each for each in reported() if each["outcome"] == "success"])[0]
    assert record["cost"] == 0.05
    assert MARKER not in json.dumps(outside.datadog()[start:])
    rows = eventually(lambda: gateway.api("GET", "/spend/logs", params={"request_id": record["call_id"]}).json())
    assert rows[0]["spend"] == pytest.approx(0.05)
    assert MARKER not in json.dumps(rows)


# --- Files and batches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/files", "/v1/files/file-anothers/content", "/v1/batches/batch_anothers"])
def test_litellm_asks_nobody_whose_a_file_is(
    gateway: LocalGateway, outside: OutsideWorld, ask: Ask, key_of: Callable[..., str], path: str
) -> None:
    """What one key has uploaded, any other gets: so the routes are open to operators alone (docs/config.md).

    Once this fails, as LiteLLM knows whose they are, they may be opened to all.
    """
    outside.services.add(Service("files.example.com", "/v1", {"authorization": "Bearer the-companys"}))
    name, key = f"files-{time.monotonic_ns()}", key_of()
    parameters = {"model": "openai/files", "api_base": "https://files.example.com/v1", "api_key": "the-companys"}
    with deployments(gateway, {"model_name": name, "litellm_params": parameters, "model_info": {}}):

        def reached() -> set[tuple[str, int]]:
            gateway.api("GET", path, key=key, params={"model": name})
            return {(call.operation, call.status) for call in calls(outside)}

        assert eventually(reached) == {(f"GET {path.removeprefix('/v1')}", 200)}
    assert ask(path, key).headers["server"] == AWS


# --- Access groups, tags and credentials ------------------------------------------------------------------------------


@contextmanager
def deployments(gateway: LocalGateway, *entries: Json) -> Iterator[None]:
    """Have more entries for a while, added as in the admin UI: LiteLLM makes of them what it makes of config.yaml's."""
    made = [gateway.api("POST", "/model/new", json=entry) for entry in entries]
    assert all(answer.is_success for answer in made), [answer.text for answer in made]
    try:
        yield
    finally:
        for answer in made:
            gateway.api("POST", "/model/delete", json={"id": answer.json()["model_id"]}).raise_for_status()


def entry(name: str, region: str, info: Json, **parameters: object) -> Json:
    return {
        "model_name": name,
        "litellm_params": {"model": NOVA, "aws_region_name": region, **parameters},
        "model_info": info,
    }


def chat(name: str, **more: object) -> Json:
    return {"model": name, "messages": [{"role": "user", "content": "Hello"}], **more}


def test_a_group_stands_for_its_models(gateway: LocalGateway, ask: Ask, user: str) -> None:
    """For an account as `onboarding.models` makes one, whose keys may use what it may."""
    name = f"grouped-{time.monotonic_ns()}"
    with deployments(gateway, entry(name, "us-west-2", {"access_groups": [f"{name}-group"]})):
        new = {"user_id": user, "user_email": user, "models": [f"{name}-group"], "auto_create_key": True}
        made = gateway.api("POST", "/user/new", json=new)
        made.raise_for_status()
        key = made.json()["key"]
        assert eventually(lambda: ask("/v1/chat/completions", key, chat(name)).is_success)
        assert ask("/v1/chat/completions", key, chat("claude-sonnet-5-5")).status_code in (401, 403)


def test_a_tag_decides_where_a_call_goes_also_when_it_is_tried_again(
    gateway: LocalGateway, outside: OutsideWorld, ask: Ask, key_of: Callable[..., str]
) -> None:
    """The gateway's own tag, of the region, is none to route by."""
    name, key = f"tagged-{time.monotonic_ns()}", key_of()
    by_tags = {"enable_tag_filtering": True}
    with deployments(
        gateway,
        entry(name, "us-west-2", by_tags, tags=["default"]),
        entry(name, "us-east-1", by_tags, tags=["night"]),
        entry(name, "us-east-2", by_tags, tags=["night"]),
    ):

        def regions(**more: object) -> set[str]:
            outside.clear("calls")
            assert eventually(lambda: ask("/v1/chat/completions", key, chat(name, **more)).is_success)
            return {call.region for call in calls(outside) if call.status == 200}

        assert regions() == {"us-west-2"}
        assert regions(metadata={"tags": ["night"]}) <= {"us-east-1", "us-east-2"}
        outside.set_fault("bedrock-runtime.us-east-1.amazonaws.com", Fault(status=429))
        for _ in range(4):
            assert regions(metadata={"tags": ["night"]}) == {"us-east-2"}


def test_an_entry_takes_what_it_lacks_from_a_credential(
    gateway: LocalGateway, outside: OutsideWorld, ask: Ask, user: str, key_of: Callable[..., str]
) -> None:
    """And its calls are told apart by the place that this says."""
    start = len(outside.datadog())
    name, key = f"by-credential-{time.monotonic_ns()}", key_of()
    values = {
        "api_key": gateway.secret("AZURE_API_KEY"),
        "api_base": "https://example-other.openai.azure.com",
        "api_version": "2025-04-01-preview",
    }
    credential = {"credential_name": name, "credential_values": values, "credential_info": {}}
    gateway.api("POST", "/credentials", json=credential).raise_for_status()
    made = {
        "model_name": name,
        "litellm_params": {"model": "azure/gpt-6-luna", "litellm_credential_name": name},
        "model_info": {},
    }
    with deployments(gateway, made):
        assert eventually(lambda: ask("/v1/chat/completions", key, chat(name)).is_success)
    gateway.api("DELETE", f"/credentials/{name}").raise_for_status()
    assert {call.host for call in calls(outside)} == {"example-other.openai.azure.com"}
    (record,) = eventually(lambda: [each for each in records(outside, start) if each.get("user") == user][-1:])
    assert (record["model"], record["region"], record["outcome"]) == (name, "example-other", "success")
