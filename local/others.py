"""What the simulated world has to know of config.yaml beyond models: MCP servers, and where pass-through leads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from local.outside.mcp import McpServer
from local.outside.passed import Service
from stacks.litellm_config import LiteLlmConfig
from stacks.litellm_config.variables import REFERENCE, resolve

_REFERENCE: Final = re.compile(rf"{REFERENCE}(\w+)")


def mcp_servers(config: LiteLlmConfig, variables: Mapping[str, str], key: str) -> tuple[McpServer, ...]:
    """The MCP servers of the file, each of which takes this key in the header that the file says."""
    return tuple(
        McpServer(
            host=parts.hostname or "",
            path=parts.path,
            header=server.header,
            value=f"{server.scheme}{key}" if server.header else "",
            is_older=server.transport == "sse",
        )
        for server in config.mcp_servers
        for parts in [urlsplit(resolve(server.url, variables))]
    )


def services(config: LiteLlmConfig, variables: Mapping[str, str], key: str) -> tuple[Service, ...]:
    """What pass-through endpoints lead to, which takes this key wherever the file has a secret in a header."""
    return tuple(
        Service(
            host=parts.hostname or "",
            path=parts.path.rstrip("/"),
            headers={name.lower(): _REFERENCE.sub(key, value) for name, value in each.headers.items()},
        )
        for each in config.pass_through
        for parts in [urlsplit(resolve(each.target, variables))]
    )


def keys(config: LiteLlmConfig) -> Iterator[str]:
    """Yield the names of the secrets with that key."""
    values = [server.credential for server in config.mcp_servers]
    values += [value for each in config.pass_through for value in each.headers.values()]
    for value in values:
        yield from _REFERENCE.findall(value)
