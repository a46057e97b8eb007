"""The MCP project's own client, run by the Python that LiteLLM is installed with: what a server's tools are and answer.

    python mcp_client.py TRANSPORT URL HEADERS [TOOL ARGUMENTS]

HEADERS and ARGUMENTS are JSON. It prints JSON: the `version` that was agreed on, the `tools` by name, and the texts of
the `result`, or the `error`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx2
from mcp import ClientSession  # type: ignore[import-not-found]
from mcp.client.sse import sse_client  # type: ignore[import-not-found]
from mcp.client.streamable_http import streamable_http_client  # type: ignore[import-not-found]


async def asked(transport: str, url: str, headers: dict[str, str], call: list[str]) -> dict[str, Any]:
    """What came of asking."""
    found: dict[str, Any] = {}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        streams = (
            sse_client(url, headers=headers) if transport == "sse" else streamable_http_client(url, http_client=http)
        )
        async with streams as (read, write, *_), ClientSession(read, write) as session:
            found["version"] = (await session.initialize()).protocol_version
            found["tools"] = sorted(tool.name for tool in (await session.list_tools()).tools)
            if call:
                result = await session.call_tool(call[0], json.loads(call[1]))
                key = "error" if result.is_error else "result"
                found[key] = [content.text for content in result.content]
    return found


def main() -> None:
    """Print what came of it."""
    transport, url, headers, *call = sys.argv[1:]
    try:
        found = asyncio.run(asked(transport, url, json.loads(headers), call))
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        found = {"error": [f"{type(error).__name__}: {error}"]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
