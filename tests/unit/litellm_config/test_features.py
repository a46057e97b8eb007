"""What LiteLLM carries beyond models: MCP servers and pass-through endpoints, as the stacks ask for them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.litellm_config import FEATURES, ConfigError, LiteLlmConfig, load_config
from stacks.settings import Ingress
from tests.unit.litellm_config.documents import VARIABLES, Load, changed

WIKI = {"url": "https://mcp.acme.example/mcp", "auth_type": "bearer_token", "auth_value": "os.environ/WIKI_TOKEN"}
HOUSE = {
    "path": "/house",
    "target": "https://house.acme.example/v1",
    "auth": True,
    "cost_per_request": 0.01,
    "headers": {"Authorization": "bearer os.environ/HOUSE_API_KEY"},
}
NAMES = ("mcp", "pass_through")


def opened(config: LiteLlmConfig, *features: str) -> list[str]:
    return [
        path
        for path in (
            *("/mcp", "/mcp/", "/mcp/wiki", "/mcp/wiki,logs", "/mcp/sse", "/mcp/sse/messages", "/mcp/proxy"),
            *("/wiki/mcp", "/logbook/mcp", "/pages/mcp", "/operators/mcp", "/toolset/night/mcp"),
            *("/mcp-rest/tools/list", "/mcp-rest/tools/call"),
            *("/house", "/house/v2/answers"),
            # Never: what manages servers, what tries one that is not saved, sign-in by a browser, another's route.
            *("/v1/mcp/server", "/mcp-rest/test/connection", "/mcp-rest/test/tools/list", "/wiki/authorize"),
            *("/mcp/wiki/x", "/mcpx", "/x/mcp", "/openai/mcp", "/house2", "/wiki/mcp/x", "/toolset/mcp", "/key/list"),
            "/.well-known/oauth-protected-resource/mcp",
        )
        if any(re.search(route, path) for route in config.opened_routes(features))
    ]


@pytest.fixture
def config(load: Load) -> LiteLlmConfig:
    logs = {
        "url": "https://logs.acme.example/sse",
        "transport": "sse",
        "alias": "logbook",
        "access_groups": ["operators"],
    }
    return load(
        changed(
            mcp_servers={"wiki": WIKI, "logs": logs},
            litellm_settings__mcp_aliases={"pages": "wiki"},
            general_settings__pass_through_endpoints=[HOUSE | {"include_subpath": True}],
        )
    )


def test_the_settings_may_open_what_there_is() -> None:
    (kind, *_) = Ingress.model_fields["also_open"].annotation.__args__  # type: ignore[union-attr]
    assert kind.__args__ == FEATURES == NAMES


def test_nothing_is_open_that_is_not_named(config: LiteLlmConfig) -> None:
    assert opened(config) == []


def test_mcp_opens_its_routes(config: LiteLlmConfig) -> None:
    assert opened(config, "mcp") == [
        *("/mcp", "/mcp/", "/mcp/wiki", "/mcp/wiki,logs", "/mcp/sse", "/mcp/sse/messages", "/mcp/proxy"),
        *("/wiki/mcp", "/logbook/mcp", "/pages/mcp", "/operators/mcp", "/toolset/night/mcp"),
        *("/mcp-rest/tools/list", "/mcp-rest/tools/call"),
    ]


def test_pass_through_opens_its_paths(config: LiteLlmConfig) -> None:
    assert opened(config, "pass_through") == ["/house", "/house/v2/answers"]


def test_a_path_alone_opens_nothing_below_it(load: Load) -> None:
    config = load(changed(general_settings__pass_through_endpoints=[HOUSE]))
    assert opened(config, "pass_through") == ["/house"]


def test_where_they_are_is_called(config: LiteLlmConfig) -> None:
    hosts = set(config.hosts(VARIABLES))
    assert {"mcp.acme.example", "logs.acme.example", "house.acme.example"} <= hosts


def test_their_credentials_are_secrets(config: LiteLlmConfig) -> None:
    assert {"WIKI_TOKEN", "HOUSE_API_KEY"} <= set(config.secrets)


def test_how_a_credential_is_sent(load: Load) -> None:
    config = load(
        changed(
            mcp_servers={
                kind: {"url": "https://a.example/mcp", "auth_type": kind, "auth_value": "os.environ/A_TOKEN"}
                for kind in ("bearer_token", "api_key", "basic", "token", "authorization")
            }
            | {"none": {"url": "https://b.example/mcp"}}
        )
    )
    assert {server.name: (server.header, server.scheme) for server in config.mcp_servers} == {
        "bearer_token": ("authorization", "Bearer "),
        "api_key": ("x-api-key", ""),
        "basic": ("authorization", "Basic "),
        "token": ("authorization", "token "),
        "authorization": ("authorization", ""),
        "none": ("", ""),
    }


def said(tmp_path: Path, document: dict[str, Any], *features: str, licensed: bool = False) -> list[str]:
    """The warnings of these parts of a file."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(document))
    warnings = load_config(path, provided=VARIABLES, opened=features, licensed=licensed).warnings
    return [line for line in warnings if "mcp" in line or "pass_through" in line]


@pytest.mark.parametrize("licensed", [True, False])
def test_what_is_opened_is_not_warned_of(tmp_path: Path, licensed: bool) -> None:
    document = changed(
        mcp_servers={"wiki": WIKI},
        general_settings__pass_through_endpoints=[HOUSE],
        litellm_settings__callbacks=["budgets.refusals", "masking.datadog"],
    )
    assert len(said(tmp_path, document, licensed=licensed)) == (2 if licensed else 3)
    told = said(tmp_path, document, *NAMES, licensed=licensed)
    assert [line for line in told if "licence" not in line] == []
    assert len(told) == (0 if licensed else 1)


def test_what_tools_are_given_is_kept_without_the_callback(tmp_path: Path) -> None:
    document = changed(mcp_servers={"wiki": WIKI}, litellm_settings__callbacks=["budgets.refusals"])
    (told,) = said(tmp_path, document, *NAMES)
    assert told.endswith(
        "mcp_servers: there is no masking.datadog in litellm_settings.callbacks, so LiteLLM keeps in its database what "
        "tools are given."
    )


@pytest.mark.parametrize("auth", [False, "true", None])
def test_nobody_is_let_through_without_a_key(tmp_path: Path, auth: object) -> None:
    """Where only operators reach it, it is their business."""
    document = changed(general_settings__pass_through_endpoints=[HOUSE | {"auth": auth}])
    with pytest.raises(ConfigError) as refused:
        said(tmp_path, document, "pass_through")
    assert str(refused.value).endswith(
        f"general_settings.pass_through_endpoints entry 1.auth: with auth: {auth!r} LiteLLM asks nobody who calls for "
        "a key, and sends them on with yours: write auth: true."
    )
    assert any("asks nobody" in line for line in said(tmp_path, document))
