"""The load balancers' connections to their targets, kept and used again as an Application Load Balancer does.

An idle connection is kept for as long as the load balancer's idle timeout. A target that closes it sooner may do so
just while the next request is on its way, and the load balancer answers 502: its connections must stay idle for longer
than that. (Elastic Load Balancing, "Troubleshoot your Application Load Balancers", HTTP 502: "The target closed the
connection ... the keep-alive duration of the target is shorter than the idle timeout value of the load balancer".)

What differs from AWS: there it is a race that is lost now and then. Here the load balancer never sees that an idle
connection was closed, and the next request on it is always lost, so that a wrong keep-alive does not stay hidden.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import httpcore

BROKEN = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
"""What a target that does not answer, or not to the end, raises."""
WITH_BODY = frozenset({"PATCH", "POST", "PUT"})  # the methods whose requests say how long their body is, even of 0


class Targets:
    """The connections to all targets, which are ports of 127.0.0.1. Belongs to one event loop."""

    def __init__(self) -> None:
        self._pools: dict[tuple[int, float], httpcore.AsyncConnectionPool] = {}

    async def send(
        self,
        port: int,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        idle_timeout: float,
        connect_timeout: float,
    ) -> httpcore.Response:
        """Send a request, on a connection that is idle if there is one, and return the answer with its body unread.

        Parameters
        ----------
        target
            Path and query, percent-encoded.
        idle_timeout
            Seconds that an idle connection is kept, and that the target may be silent.

        Raises
        ------
        httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError
            There is no answer (`BROKEN`).
        """
        length = {"content-length": str(len(body))} if body or method in WITH_BODY else {}
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=b"http", host=b"127.0.0.1", port=port, target=target.encode("latin-1")),
            headers=[
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in {**headers, **length}.items()
            ],
            content=body,
            extensions={"timeout": {"connect": connect_timeout, "read": idle_timeout, "write": idle_timeout}},
        )
        return await self._pool(port, idle_timeout).handle_async_request(request)

    def _pool(self, port: int, idle_timeout: float) -> httpcore.AsyncConnectionPool:
        key = port, idle_timeout
        if key not in self._pools:
            self._pools[key] = httpcore.AsyncConnectionPool(
                max_connections=None, keepalive_expiry=idle_timeout, network_backend=_Trusting()
            )
        return self._pools[key]

    async def forget(self, ports: Collection[int]) -> None:
        """Close the idle connections to targets that are none any more: another task may get the same port."""
        for key in [key for key in self._pools if key[0] in ports]:
            pool = self._pools.pop(key)
            for connection in pool.connections:
                if connection.is_idle():
                    await connection.aclose()


class _Trusting(httpcore.AnyIOBackend):
    """Connections that are believed to be open for as long as they are idle."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _TrustingStream(await super().connect_tcp(host, port, timeout, local_address, socket_options))


class _TrustingStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - of many kinds
        """`is_readable` would tell the pool of an idle connection that the other side has closed."""
        return False if info == "is_readable" else self._stream.get_extra_info(info)
