"""The outbound proxy: connections to the simulated hosts, with TLS or without, and a refusal for every other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

_HEAD_SECONDS = 30.0
_PIECE_BYTES = 1 << 16
NO_CONNECTION = "no_connection"


class ConnectProxy:
    """Connects callers of known hosts to a local server, byte for byte, and refuses and reports the rest.

    Parameters
    ----------
    way
        The port on 127.0.0.1 of the server that answers for a host on a port, with TLS or without; None if that is not
        simulated.
    refuse
        Is told each refusal: host, port, and the reason in one sentence.
    meets
        What who connects to a host meets instead of it (`records.ON_CONNECTING`): with "no_connection" this one is
        closed without a word, and whichever it is, so is each that was made before.
    """

    def __init__(
        self,
        *,
        way: Callable[[str, int, bool], int | None],
        refuse: Callable[[str, int, str], None],
        meets: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._way, self._refuse, self._meets = way, refuse, meets
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, sock: socket.socket, until: asyncio.Event) -> None:
        """Serve on a listening socket until the event, and then close every connection."""
        server = await asyncio.start_server(self._accept, sock=sock, backlog=1024)
        await until.wait()
        server.close()  # not wait_closed: from Python 3.12 on it waits for the connections too
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A plain function that keeps its task: asyncio would report the cancelled ones of a coroutine as errors.
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            method, _, rest = head.decode("latin-1").partition(" ")
            target = rest.split(" ", 1)[0]
            if method == "CONNECT":
                await self._connect(target, reader, writer)
            else:
                await self._forward(method, target, head, reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # The caller went away, or does not speak HTTP: nobody is left to tell.
        finally:
            writer.close()

    async def _connect(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port_text = target.rpartition(":")
        host, port = host.lower(), int(port_text) if port_text.isdecimal() else 0
        inner = self._way(host, port, True)
        if inner is None:
            self._answer_refusal(writer, host, port, f"{host}:{port} is not one of the simulated hosts.")
            await writer.drain()
            return
        await self._join(host, inner, b"", b"HTTP/1.1 200 Connection established\r\n\r\n", reader, writer)

    async def _forward(
        self, method: str, target: str, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Hand on a request that came without TLS, and none that follows it on the same connection."""
        address = urlsplit(target)
        host, port = address.hostname or "", address.port or 80
        inner = self._way(host, port, False)
        if inner is None:
            reason = f"{host}:{port} is not simulated without TLS, to which {method} over plain HTTP would go."
            self._answer_refusal(writer, host, port, reason)
            await writer.drain()
            return
        path = address._replace(scheme="", netloc="").geturl() or "/"
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        version = first.rpartition(b" ")[2]
        kept = [line for line in lines if not line.lower().startswith((b"connection:", b"proxy-connection:"))]
        begun = b"\r\n".join([f"{method} {path} ".encode() + version, *kept, b"connection: close"]) + b"\r\n\r\n"
        await self._join(host, inner, begun, b"", reader, writer)

    async def _join(
        self,
        host: str,
        port: int,
        first: bytes,
        said: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Join a caller with the server on a port, which gets `first` before all else, after the caller got `said`."""
        met = self._meets(host)
        if met == NO_CONNECTION:
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            inner_writer.write(first)
            writer.write(said)
            # What a caller sends on a connection of before a fault finds it closed.
            await _pipe_both(reader, writer, inner_reader, inner_writer, lambda: self._meets(host) in (None, met))
        finally:
            inner_writer.close()

    def _answer_refusal(self, writer: asyncio.StreamWriter, host: str, port: int, reason: str) -> None:
        """Refuse with the reason in the status line too, since that is what most clients show of a proxy's answer."""
        self._refuse(host, port, reason)
        line, body = _printable(reason), f"{reason}\n".encode()
        head = f"HTTP/1.1 {HTTPStatus.FORBIDDEN} {line}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)


async def _pipe_both(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    inner_reader: asyncio.StreamReader,
    inner_writer: asyncio.StreamWriter,
    goes_on: Callable[[], bool],
) -> None:
    """Copy both ways until either side ends: TLS has no use for half-open connections."""
    pipes = {
        asyncio.create_task(_pipe(reader, inner_writer, goes_on)),
        asyncio.create_task(_pipe(inner_reader, writer, goes_on)),
    }
    try:
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, goes_on: Callable[[], bool]) -> None:
    while (piece := await reader.read(_PIECE_BYTES)) and goes_on():
        writer.write(piece)
        await writer.drain()


def _printable(text: str) -> str:
    return "".join(character for character in text if " " <= character <= "~")
