"""The load balancer's connections to its targets, against small targets that keep them for as long as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpcore
import pytest

from local import balancer
from local.balancer import Balancer, Client
from local.ecs import ministack
from local.targets import BROKEN, Targets

IDLE_TIMEOUT = 60.0  # seconds; longer than any test


@dataclass
class Target:
    """Answers each request with its own; with `impatient`, it then closes the connection without a word of it."""

    impatient: bool = False
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a connection has been closed by the other side

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(length[0])) if length else b""
                self.requests.append(head + body)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\nok")
                await writer.drain()
                if self.impatient:
                    break
        except asyncio.IncompleteReadError:
            self.left.set()
        writer.close()


@asynccontextmanager
async def serving(target: Target) -> AsyncIterator[Target]:
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0)
    target.port = server.sockets[0].getsockname()[1]
    try:
        yield target
    finally:
        server.close()


async def ask(targets: Targets, target: Target, method: str = "POST", body: bytes = b"hello") -> bytes:
    answer = await targets.send(
        target.port,
        method,
        "/path?query=1",
        headers={"host": "llm.example.com"},
        body=body,
        idle_timeout=IDLE_TIMEOUT,
        connect_timeout=5,
    )
    text = await answer.aread()
    await answer.aclose()
    return text


def run(test: Callable[[Targets, Target], Awaitable[None]], *, impatient: bool = False) -> None:
    async def main() -> None:
        async with serving(Target(impatient)) as target:
            await test(Targets(), target)

    asyncio.run(main())


def test_a_request_reaches_the_target_as_it_came() -> None:
    async def test(targets: Targets, target: Target) -> None:
        assert await ask(targets, target) == b"ok"
        assert target.requests == [
            b"POST /path?query=1 HTTP/1.1\r\nhost: llm.example.com\r\ncontent-length: 5\r\n\r\nhello"
        ]

    run(test)


@pytest.mark.parametrize(("method", "told"), [("GET", False), ("DELETE", False), ("POST", True)])
def test_an_empty_body_is_told_where_one_is_expected(method: str, told: bool) -> None:
    async def test(targets: Targets, target: Target) -> None:
        await ask(targets, target, method, b"")
        assert (b"content-length: 0" in target.requests[0]) is told

    run(test)


def test_an_idle_connection_is_used_again() -> None:
    async def test(targets: Targets, target: Target) -> None:
        for _ in range(3):
            assert await ask(targets, target) == b"ok"
        assert target.connections == 1

    run(test)


def test_a_target_that_closes_idle_connections_sooner_loses_the_next_request() -> None:
    async def test(targets: Targets, target: Target) -> None:
        assert await ask(targets, target) == b"ok"
        with pytest.raises(BROKEN):
            await ask(targets, target)
        assert await ask(targets, target) == b"ok"  # a new connection

    run(test, impatient=True)


def test_the_idle_connections_of_a_target_that_is_none_any_more_are_closed() -> None:
    async def test(targets: Targets, target: Target) -> None:
        await ask(targets, target)
        await targets.forget([target.port])
        await asyncio.wait_for(target.left.wait(), timeout=120)
        assert await ask(targets, target) == b"ok"
        assert target.connections == 2

    run(test)


@pytest.fixture
def load_balancer(monkeypatch: pytest.MonkeyPatch) -> Balancer:
    alb = ministack("services.alb")
    for name in (
        "_match_condition",
        "_execute_actions",
        "_proxy_http_target",
    ):  # what a balancer puts its own in place of
        monkeypatch.setattr(alb, name, getattr(alb, name))
    return Balancer([])


async def forward(load_balancer: Balancer, target: Target) -> tuple[int, object]:
    """Status and headers of one answer, read to its end."""
    balancer._client.set(Client("192.0.2.1", "https", "llm.example.com"))
    group = {"TargetGroupArn": "none"}
    status, headers, body = await load_balancer._forward(
        {"Port": target.port}, group, "GET", "/", {"X-Forwarded-For": "192.0.2.1"}, b"", {}
    )

    async def send(_message: object) -> None: ...

    async def receive() -> dict[str, str]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    if hasattr(body, "runner"):
        await body.runner(send, receive)
    return status, headers


def test_the_caller_gets_502_for_a_request_that_was_lost(load_balancer: Balancer) -> None:
    async def test(_targets: Targets, target: Target) -> None:
        assert await forward(load_balancer, target) == (
            200,
            {"content-length": ["2"], "set-cookie": ["a=1", "b=2"]},
        )
        assert (await forward(load_balancer, target))[0] == 502

    run(test, impatient=True)


def test_the_caller_gets_502_while_there_is_no_target(load_balancer: Balancer) -> None:
    async def test(_targets: Targets, target: Target) -> None:
        ended = Target(port=target.port)
        async with serving(ended):
            pass
        assert (await forward(load_balancer, ended))[0] == 502

    run(test)


def test_a_target_that_says_it_closes_loses_nothing() -> None:
    """As uvicorn does when it shuts down."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(closing, "127.0.0.1", 0) as server:
            target = Target(port=server.sockets[0].getsockname()[1])
            targets = Targets()
            for _ in range(2):
                assert await ask(targets, target, "GET", b"") == b""

    asyncio.run(main())


def test_what_is_no_answer_is_known() -> None:
    """A kind of exception that httpcore raises and `BROKEN` lacks would reach the caller as a fault of the emulator."""
    kinds = {kind for kind in vars(httpcore).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    other = {kind for kind in kinds if not issubclass(kind, BROKEN)}
    assert other == {httpcore.ConnectionNotAvailable, httpcore.ProxyError, httpcore.UnsupportedProtocol}
