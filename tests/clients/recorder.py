"""Stands between a tool and the gateway, calls as somebody in the office, and remembers the routes that were asked for.

So the deployed web ACL judges each of them as it judges people's.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config

from local.balancer import HOP_BY_HOP
from local.callers import OFFICE
from local.ports import free_ports

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MODEL = re.compile(r"(/models/)[^/:]+")


@dataclass(frozen=True, order=True)
class Asked:
    """A request: its method, its path with the model's name as {model}, and what it was answered with."""

    method: str
    path: str
    status: int


@dataclass
class Recorder:
    """A server at `url` in front of a gateway; a context manager."""

    gateway: str
    asked: list[Asked] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Listen."""
        (self._port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}"
        self._stop = threading.Event()
        started: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        started.result()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def routes(self) -> set[str]:
        """Each route that was asked for, such as `POST /v1/messages`."""
        return {f"{one.method} {one.path}" for one in self.asked}

    async def _serve(self, started: Future[None]) -> None:
        config = Config()
        config.bind, config.loglevel, config.graceful_timeout = [f"127.0.0.1:{self._port}"], "WARNING", 1
        transport = httpx.AsyncHTTPTransport(local_address=OFFICE)
        async with httpx.AsyncClient(base_url=self.gateway, transport=transport, timeout=120) as self._client:
            started.set_result(None)
            await serve(self._answer, config, shutdown_trigger=lambda: asyncio.to_thread(self._stop.wait))  # type: ignore[arg-type]

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            self._note("WEBSOCKET", scope["path"], 403)
            await send({"type": "websocket.close", "code": 1003})
        else:
            await self._forward(scope, receive, send)

    async def _forward(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = [(name, value) for name, value in scope["headers"] if name.decode().lower() not in HOP_BY_HOP]
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        path = scope["raw_path"].decode()
        request = self._client.build_request(scope["method"], path + query, headers=headers, content=body)
        answer = await self._client.send(request, stream=True)
        self._note(scope["method"], path, answer.status_code)
        kept = [(name, value) for name, value in answer.headers.raw if name.decode().lower() not in HOP_BY_HOP]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
        async for piece in answer.aiter_raw():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        await answer.aclose()

    def _note(self, method: str, path: str, status: int) -> None:
        self.asked.append(Asked(method, MODEL.sub(r"\1{model}", path), status))
