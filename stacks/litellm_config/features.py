"""What LiteLLM serves beyond models: MCP servers and pass-through endpoints, and the routes that each takes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MCP: Final = "mcp"
PASS_THROUGH: Final = "pass_through"  # noqa: S105 - no password
FEATURES: Final = (MCP, PASS_THROUGH)
"""What `ingress.also_open` of the settings may name."""

MCP_ROUTES: Final = (
    # All servers that a key may use, or those that the path names, by streamable HTTP and by server-sent events.
    r"^/mcp(/[\w.,-]+|/sse/messages)?/?$",
    # A toolset: some tools of several servers, made in the admin UI.
    r"^/toolset/[\w.-]+/mcp$",
    # The same for who speaks no MCP. What tries a server that is not saved yet, /mcp-rest/test, stays closed to all.
    r"^/mcp-rest/tools/(list|call)$",
)
"""LiteLLM's routes of MCP, beside /{name}/mcp of each server (its proxy_server.py, "MCP Server", and server.py and
rest_endpoints.py of its proxy/_experimental/mcp_server). People who sign in to a server in a browser would need
/authorize, /token, /register, /callback and more, which are not among them."""


@dataclass(frozen=True)
class McpServer:
    """An entry of `mcp_servers`."""

    name: str
    names: tuple[str, ...]  # by which its route may call it: its own, an alias, its access groups
    url: str  # as the file has it, maybe os.environ/NAME
    transport: str  # http or sse
    header: str  # that LiteLLM sends the credential in, in lower case; "" if none
    scheme: str  # what comes before the credential in the header, as in "Bearer "
    credential: str  # os.environ/NAME; "" if none
    tools: tuple[str, ...]  # the only ones that may be called; all if none


@dataclass(frozen=True)
class PassThrough:
    """An entry of `general_settings.pass_through_endpoints`."""

    path: str
    has_subpaths: bool
    target: str  # as the file has it, maybe os.environ/NAME
    headers: Mapping[str, str]  # that LiteLLM adds, as the file has them

    @property
    def route(self) -> str:
        """What its paths look like."""
        return f"^{re.escape(self.path)}{'(/.*)?' if self.has_subpaths else ''}$"


def routes(opened: Collection[str], servers: Collection[McpServer], endpoints: Collection[PassThrough]) -> list[str]:
    """The routes of the features that are opened to everybody, as regular expressions."""
    return [
        *(_of_servers(servers) if MCP in opened else ()),
        *(endpoint.route for endpoint in endpoints if PASS_THROUGH in opened),
    ]


def _of_servers(servers: Collection[McpServer]) -> Iterator[str]:
    yield from MCP_ROUTES
    # By their names: LiteLLM's routes to providers have the same form, as /openai/mcp.
    yield from (f"^/{re.escape(name)}/mcp$" for name in sorted({name for server in servers for name in server.names}))
