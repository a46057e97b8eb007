"""The way to a database, in which it can be slow, and lead elsewhere: a TCP port that passes on to another."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Self

from local.gateway import LocalGateway
from local.ports import free_ports
from stacks.settings import DATABASE_NAME, DATABASE_USERNAME

CHUNK = 1 << 16
# PostgreSQL's own words for a client that wants TLS, and for one that begins (Message Formats).
TLS_REQUEST, PROTOCOL_3 = 80877103, 196608
ERROR = b"E"
PATIENCE = 30.0  # seconds for an answer of the server's


class Way:
    """Listens at a port of this machine, and passes on to another: a `with` block.

    Attributes
    ----------
    seconds
        How long everything waits that a client sends: a statement takes as much longer.
    """

    def __init__(self, port: int, to: int) -> None:
        self.seconds = 0.0
        self._port, self._to = port, to
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self._listening: Future[None] = Future()

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        self._listening.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the port, and each connection."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        try:
            server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        except OSError as error:
            self._listening.set_exception(error)
            return
        self._listening.set_result(None)
        await self._over.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(self._pass(reader, back, late=True), self._pass(there, writer, late=False))
        finally:
            for each in (writer, back):
                each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, late: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                if late:
                    await asyncio.sleep(self.seconds)
                writer.write(data)
                await writer.drain()
        writer.close()


@contextmanager
def moved(gateway: LocalGateway) -> Iterator[Way]:
    """The database ends, and its address leads to another server, with the same data: as in Aurora's failover."""
    (elsewhere,), address = free_ports(1), gateway.postgres.port
    gateway.postgres.stop()
    try:
        gateway.postgres = gateway.start_postgres(elsewhere)
        with Way(address, elsewhere) as way:
            yield way
    finally:
        gateway.postgres.stop()
        gateway.postgres = gateway.start_postgres()


@contextmanager
def full(gateway: LocalGateway) -> Iterator[None]:
    """The database has no connection left: each that it has room for begins to sign in, and says no more.

    It gives such a one a place as any other, for `authentication_timeout`, a minute.
    """
    tls = ssl.create_default_context(cafile=str(gateway.outside.ca_file))
    with ExitStack() as held:
        while _has_room(gateway.postgres.port, tls, held):
            pass
        yield


def _has_room(port: int, tls: ssl.SSLContext, held: ExitStack) -> bool:
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    plain.sendall(struct.pack("!ii", 8, TLS_REQUEST))
    assert plain.recv(1) == b"S"
    connection = held.enter_context(tls.wrap_socket(plain, server_hostname="localhost"))
    words = f"user\0{DATABASE_USERNAME}\0database\0{DATABASE_NAME}\0\0".encode()
    connection.sendall(struct.pack("!ii", 8 + len(words), PROTOCOL_3) + words)
    return connection.recv(1) != ERROR
