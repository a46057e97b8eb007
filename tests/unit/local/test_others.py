"""What the simulated world is told of config.yaml beyond models."""

from local import others
from local.models import credentials_of
from local.outside.credentials import Credentials
from local.outside.mcp import McpServer
from local.outside.passed import Service
from stacks import CHECKOUT
from stacks.company import company, load

EVERYTHING = load(CHECKOUT / "tests" / "companies" / "everything")
CONFIG = EVERYTHING.local.litellm_config(EVERYTHING.config)
EVERYWHERE = EVERYTHING.local.plain_variables
KEY = "a-key"


def test_the_examples_server_takes_the_key_where_the_file_says() -> None:
    local = company().local
    config = local.litellm_config(company().config)
    assert others.mcp_servers(config, local.plain_variables, KEY) == (
        McpServer("mcp.example.com", "/mcp", "authorization", f"Bearer {KEY}"),
    )
    assert others.services(config, local.plain_variables, KEY) == ()


def test_servers_by_either_transport_and_with_any_header() -> None:
    assert others.mcp_servers(CONFIG, EVERYWHERE, KEY) == (
        McpServer("wiki.example.com.au", "/mcp", "x-api-key", KEY),
        McpServer("tickets.example.com.au", "/sse", is_older=True),  # a header that LiteLLM adds is nobody's to check
        McpServer("weather.example.com.au", "/mcp"),
    )
    assert others.services(CONFIG, EVERYWHERE, KEY) == (Service("house.example.com.au", "/v1", {"x-api-key": KEY}),)


def test_their_secrets_have_the_key_that_they_take() -> None:
    credentials = Credentials.generate()
    names = ("WIKI_MCP_KEY", "HOUSE_API_KEY", "LITELLM_SALT_KEY")
    given = credentials_of(CONFIG, names, credentials, EVERYWHERE)
    assert given["WIKI_MCP_KEY"] == given["HOUSE_API_KEY"] == credentials.others_key != given["LITELLM_SALT_KEY"]
