"""The simulated MCP servers: as strict as the protocol, and understood by the MCP project's own client."""

import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.outside.mcp import FOUND, TOOLS, McpServer
from local.outside.world import OutsideWorld
from stacks import CHECKOUT

PYTHON = CHECKOUT / ".tools/litellm/bin/python"
WIKI = McpServer("wiki.example.com", "/mcp", "authorization", "Bearer a-token")
NEXT = McpServer("wiki.example.com", "/next/mcp")
OLD = McpServer("old.example.com", "/sse", "x-api-key", "a-key", is_older=True)
URL = f"https://{WIKI.host}{WIKI.path}"
SENT = {"accept": "application/json, text/event-stream", "content-type": "application/json", WIKI.header: WIKI.value}
BEGIN = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideWorld]:
    with OutsideWorld(tmp_path_factory.mktemp("outside"), mcp_servers=(WIKI, NEXT, OLD)) as world:
        yield world


@pytest.fixture
def http(running: OutsideWorld) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(running.ca_file))
    with httpx.Client(proxy=running.proxy_url, verify=context, trust_env=False) as client:
        yield client


def message(method: str, *, identity: object = 1, **parameters: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, **({"id": identity} if identity else {}), "params": parameters}


def post(http: httpx.Client, body: object, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.post(URL, json=body, headers=SENT | named)


@pytest.fixture
def session(http: httpx.Client) -> dict[str, str]:
    """The header of a session that has begun."""
    begun = post(http, message("initialize", **BEGIN))
    assert begun.json()["result"]["protocolVersion"] == "2025-06-18"
    named = {"mcp_session_id": begun.headers["mcp-session-id"]}
    told = post(http, message("notifications/initialized", identity=None), **named)
    assert (told.status_code, told.content) == (202, b"")
    return named


def test_tools_are_listed_and_called(http: httpx.Client, session: dict[str, str]) -> None:
    listed = post(http, message("tools/list"), **session).json()["result"]["tools"]
    assert [tool["name"] for tool in listed] == [*TOOLS]
    called = post(http, message("tools/call", name="search", arguments={"query": "tea"}), **session)
    assert called.json()["result"] == {"content": [{"type": "text", "text": f"{FOUND} tea"}], "isError": False}


def test_a_session_ends_when_it_is_deleted(http: httpx.Client, session: dict[str, str]) -> None:
    headers = SENT | {"mcp-session-id": session["mcp_session_id"]}
    assert http.delete(URL, headers=headers).status_code == 200
    assert post(http, message("ping"), **session).status_code == 404


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (message("ping"), {"authorization": "Bearer another"}, 401),
        (message("ping"), {"origin": "https://attacker.example"}, 403),
        (message("ping"), {"accept": "application/json"}, 406),
        (message("ping"), {"content_type": "text/plain"}, 415),
        (message("ping"), {"mcp_protocol_version": "2026-07-28"}, 400),
        (message("ping"), {"mcp_session_id": ""}, 400),
        (message("ping"), {"mcp_session_id": "0" * 32}, 404),
        ([message("ping")], {}, 400),
        ({"method": "ping", "id": 1}, {}, 400),
    ],
)
def test_what_the_protocol_forbids_is_refused(
    http: httpx.Client, session: dict[str, str], body: object, headers: dict[str, str], status: int
) -> None:
    assert post(http, body, **(session | headers)).status_code == status


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (message("server/discover"), -32601),
        (message("tools/list", cursor="x"), -32602),
        (message("tools/call", name="unknown", arguments={}), -32602),
    ],
)
def test_what_it_does_not_know_is_an_error(
    http: httpx.Client, session: dict[str, str], body: object, code: int
) -> None:
    assert post(http, body, **session).json()["error"]["code"] == code


def test_arguments_of_another_shape_are_the_tools_error(http: httpx.Client, session: dict[str, str]) -> None:
    called = post(http, message("tools/call", name="search", arguments={"page": "x"}), **session)
    assert called.json()["result"]["isError"] is True


def test_nothing_is_answered_before_it_has_begun(http: httpx.Client) -> None:
    named = {"mcp_session_id": post(http, message("initialize", **BEGIN)).headers["mcp-session-id"]}
    assert post(http, message("ping"), **named).json()["result"] == {}
    assert post(http, message("tools/list"), **named).json()["error"]["code"] == -32600


def test_it_offers_its_newest_version_to_who_asks_for_another(http: httpx.Client) -> None:
    begun = post(http, message("initialize", **(BEGIN | {"protocolVersion": "1.0"})))
    assert begun.json()["result"]["protocolVersion"] == "2025-11-25"


def test_a_host_may_have_several_and_no_others(http: httpx.Client) -> None:
    host = f"https://{NEXT.host}"
    body, headers = message("initialize", **BEGIN), {name: value for name, value in SENT.items() if name != WIKI.header}
    assert http.post(f"{host}{NEXT.path}", json=body, headers=headers).status_code == 200
    assert http.post(URL, json=body, headers=headers).status_code == 401
    assert http.post(f"{host}/other/mcp", json=body, headers=headers).status_code == 404
    assert http.post(f"{host}{NEXT.path}/messages", json=body, headers=headers).status_code == 404


def test_it_has_nothing_to_say_by_itself(http: httpx.Client) -> None:
    assert http.get(URL, headers=SENT).status_code == 405


def client(world: OutsideWorld, folder: Path, *arguments: str) -> dict[str, Any]:
    command = [str(PYTHON), str(Path(__file__).with_name("mcp_client.py")), *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= world.environment()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


@pytest.mark.skipif(not PYTHON.exists(), reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
@pytest.mark.parametrize(("transport", "server", "version"), [("http", WIKI, "2025-11-25"), ("sse", OLD, "2024-11-05")])
def test_the_projects_own_client_understands_it(
    running: OutsideWorld, tmp_path: Path, transport: str, server: McpServer, version: str
) -> None:
    url, headers = f"https://{server.host}{server.path}", json.dumps({server.header: server.value})
    found = client(running, tmp_path, transport, url, headers, "search", '{"query": "tea"}')
    assert found == {"version": version, "tools": sorted(TOOLS), "result": [f"{FOUND} tea"]}
