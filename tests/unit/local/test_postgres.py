"""The local PostgreSQL, and LiteLLM's database programs on it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trustme

from local import litellm_venv, postgres
from local.ports import free_ports
from stacks import CHECKOUT

PASSWORD = "p@/:%#?'\"\\ \n\n;$x"
SCHEMA = """
datasource client {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

model Team {
  id       String  @id
  spend    BigInt  @default(0)
  metadata Json?
  data     Json?
  members  Member[]
}

model Member {
  id     String  @id
  teamId String?
  team   Team?   @relation(fields: [teamId], references: [id])
}
"""
TABLES = """
CREATE TABLE "Team" (id TEXT PRIMARY KEY, spend BIGINT NOT NULL DEFAULT 0, metadata JSONB, data JSONB);
CREATE TABLE "Member" (id TEXT PRIMARY KEY, "teamId" TEXT REFERENCES "Team"(id));
"""


def free_port() -> int:
    return free_ports(1)[0]


class Database:
    """A folder with data and a CA, and what connects to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.ca = folder / "ca.pem"
        issuer = trustme.CA()
        issuer.cert_pem.write_to_path(str(self.ca))
        issuer.private_key_pem.write_to_path(str(folder / "ca.key"))

    def start(self, password: str = PASSWORD) -> postgres.Postgres:
        login = postgres.Login(database="gateway", user="app", password=password)
        key = self.folder / "ca.key"
        return postgres.start(self.folder / "data", port=self.port, login=login, ca_certificate=self.ca, ca_key=key)

    def url(self, password: str = PASSWORD, tls: str = "", **parameters: object) -> str:
        tls = tls or f"sslmode=require&sslaccept=strict&sslcert={quote(str(self.ca))}"
        rest = "".join(f"&{name}={value}" for name, value in parameters.items())
        return f"postgresql://app:{quote(password, safe='')}@127.0.0.1:{self.port}/gateway?{tls}{rest}"

    def prisma(self, *arguments: str, url: str | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**litellm_venv.process_environment(CHECKOUT), "DATABASE_URL": url or self.url()}
        command = [str(CHECKOUT / "local/prisma/prisma"), *arguments]
        return subprocess.run(
            command, env=environment, input=stdin, text=True, capture_output=True, cwd=self.folder, check=False
        )

    def execute(self, sql: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
        return self.prisma("db", "execute", "--stdin", url=url, stdin=sql)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("postgres"))
    with database.start():
        yield database


def test_only_the_right_password_over_verified_tls_gets_in(database: Database, tmp_path: Path) -> None:
    assert database.execute("SELECT 1").returncode == 0
    assert "P1000" in database.execute("SELECT 1", database.url("wrong")).stderr
    assert "no encryption" in database.execute("SELECT 1", database.url(tls="sslmode=disable")).stderr
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    unknown_ca = f"sslmode=require&sslaccept=strict&sslcert={quote(str(other))}"
    assert "P1011" in database.execute("SELECT 1", database.url(tls=unknown_ca)).stderr
    # As with Prisma's own engine, a bundle counts with its first certificate only.
    other.write_text(other.read_text() + database.ca.read_text())
    assert "P1011" in database.execute("SELECT 1", database.url(tls=unknown_ca)).stderr


def test_the_application_is_not_a_superuser(database: Database) -> None:
    check = (
        "DO $$ BEGIN IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN RAISE 'super'; END IF; END $$"
    )
    assert database.execute(check).returncode == 0


def test_data_outlives_a_crash_and_the_password_follows_the_secret(tmp_path: Path) -> None:
    database = Database(tmp_path)
    crashed = database.start()
    assert database.execute("CREATE TABLE kept (a INT); INSERT INTO kept VALUES (1)").returncode == 0
    # The next start finds a server that nobody stopped, as after a runner that was killed.
    with database.start("another"):
        assert crashed._process.wait(120) == 0
        assert database.execute("INSERT INTO kept VALUES (2)", database.url("another")).returncode == 0
        assert "P1000" in database.execute("SELECT 1").stderr
    (tmp_path / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")  # a number that is another program's by now
    with database.start():
        assert database.execute("SELECT * FROM kept").returncode == 0


def test_a_password_that_postgresql_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(postgres.PostgresError, match="NUL"):
        Database(tmp_path).start("a\0b")


def test_migrations_stop_at_the_failing_one_and_its_failure_stays(tmp_path: Path) -> None:
    database = Database(tmp_path)
    (tmp_path / "schema.prisma").write_text(SCHEMA)
    for name, sql in {"20260101_one": TABLES, "20260102_two": "CREATE TABLE b (a INT); SELECT nothing"}.items():
        (tmp_path / "migrations" / name).mkdir(parents=True)
        (tmp_path / "migrations" / name / "migration.sql").write_text(sql)
    with database.start():
        first = database.prisma("migrate", "deploy")
        assert first.returncode == 1
        assert "P3018" in first.stderr
        assert "Migration name: 20260102_two" in first.stderr
        assert "Database error code: 42703" in first.stderr
        assert "P3009" in database.prisma("migrate", "deploy").stderr
        assert database.execute("CREATE TABLE b (a INT)").returncode == 0, "the failing migration left nothing behind"
        assert database.prisma("migrate", "resolve", "--rolled-back", "20260102_two").returncode == 0
        (tmp_path / "migrations" / "20260102_two" / "migration.sql").write_text("SELECT 1")
        assert "20260102_two" in database.prisma("migrate", "deploy").stdout
        assert "No pending migrations to apply" in database.prisma("migrate", "deploy").stdout
        assert database.prisma("migrate", "status").returncode == 0


class Engine:
    """A query engine process, spoken to as prisma-client-py does."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=120, trust_env=False)

    def ask(self, query: str, transaction: str | None = None) -> dict[str, Any]:
        headers = {"X-transaction-id": transaction} if transaction else {}
        answer: dict[str, Any] = self.client.post("/", json={"query": query, "variables": {}}, headers=headers).json()
        return answer

    def result(self, query: str, transaction: str | None = None) -> object:
        return self.ask(query, transaction)["data"]["result"]

    def code(self, query: str, transaction: str | None = None) -> str:
        return str(self.ask(query, transaction)["errors"][0]["user_facing_error"]["error_code"])

    def begin(self, **options: int) -> httpx.Response:
        return self.client.post("/transaction/start", json=options)


@contextmanager
def run_engine(database: Database, folder: Path) -> Iterator[tuple[Engine, subprocess.Popen[bytes]]]:
    (folder / "schema.prisma").write_text(SCHEMA)
    environment = {
        **litellm_venv.process_environment(CHECKOUT),
        "DATABASE_URL": database.url(connection_limit=2, pool_timeout=1),
        "PRISMA_DML_PATH": str(folder / "schema.prisma"),
    }
    port = free_port()
    process = subprocess.Popen([environment["PRISMA_QUERY_ENGINE_BINARY"], "-p", str(port)], env=environment)
    engine = Engine(f"http://127.0.0.1:{port}")
    try:
        until(lambda: process.poll() is not None or answers(engine))
        yield engine, process
    finally:
        process.terminate()
        process.wait(120)


def answers(engine: Engine) -> bool:
    try:
        return engine.client.get("/status").is_success
    except httpx.TransportError:
        return False


def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def engine(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    assert database.execute(TABLES).returncode == 0
    with run_engine(database, tmp_path_factory.mktemp("engine")) as (engine, _):
        yield engine


def create(name: str, data: str = "") -> str:
    return f'mutation {{ result: createOneTeam(data: {{id: "{name}" {data}}}) {{ id spend metadata data }} }}'


def test_values_come_back_as_from_the_native_engine(engine: Engine) -> None:
    team = engine.result(create("values", r'spend: 9007199254740993, metadata: "{\"a\": [1]}", data: "{\"b\": 2}"'))
    assert team == {"id": "values", "spend": "9007199254740993", "metadata": '{"a":[1]}', "data": '{"b":2}'}
    found = 'query { result: findManyTeam(where: {metadata: {path: ["a"], equals: "[1]"}}) { id } }'
    assert engine.result(found) == [{"id": "values"}]
    nested = r'mutation { result: createOneMember(data: {id: "m", team: {create: {id: "by", metadata: "{\"c\": 3}"}}})'
    assert engine.result(nested + " { id team { metadata } } }") == {"id": "m", "team": {"metadata": '{"c":3}'}}


def test_raw_rows(engine: Engine) -> None:
    sql = r"SELECT '{\"a\": 1}'::jsonb AS j, ARRAY['x'::name] AS n, 'y'::\"char\" AS c, 5::int8 AS i, true AS b"
    assert engine.result(f'mutation {{ result: queryRaw(query: "{sql}", parameters: "[]") }}') == {
        "columns": ["j", "n", "c", "i", "b"],
        "types": ["json", "string-array", "string", "bigint", "bool"],
        "rows": [[{"a": 1}, ["x"], "y", "5", True]],
    }


def test_errors_have_prismas_codes(engine: Engine) -> None:
    engine.result(create("twice"))
    assert engine.code(create("twice")) == "P2002"
    assert engine.code('mutation { result: deleteOneTeam(where: {id: "none"}) { id } }') == "P2025"
    assert engine.code('mutation { result: createOneMember(data: {id: "m2", teamId: "none"}) { id } }') == "P2003"
    assert engine.code('mutation { result: queryRaw(query: "SELECT nothing", parameters: "[]") }') == "P2010"
    assert engine.code("query { result: findManyTeam(where: {nothing: 1}) { id } }") == "P2009"


def test_a_batch_is_all_or_nothing(engine: Engine) -> None:
    body = {"batch": [{"query": create("batch"), "variables": {}}, {"query": create("batch"), "variables": {}}]}
    answer = engine.client.post("/", json={**body, "transaction": True}).json()
    assert answer["errors"][0]["user_facing_error"]["error_code"] == "P2002"
    assert engine.result('query { result: findUniqueTeam(where: {id: "batch"}) { id } }') is None
    body["batch"].pop()
    assert engine.client.post("/", json={**body, "transaction": True}).json()["batchResult"][0]["data"]["result"]


def test_transactions_are_isolated_expire_and_never_eat_the_pool(engine: Engine) -> None:
    seen = 'query { result: findUniqueTeam(where: {id: "tx"}) { id } }'
    held = engine.begin(timeout=20_000).json()["id"]
    engine.result(create("tx"), held)
    assert engine.result(seen) is None
    assert engine.client.post(f"/transaction/{held}/rollback").is_success
    assert engine.result(seen) is None
    assert engine.client.post(f"/transaction/{held}/commit").status_code in (404, 422)

    brief = engine.begin(timeout=2000).json()["id"]  # ms: what follows is to be done before
    engine.result(create("tx"), brief)
    until(lambda: "errors" in engine.ask("query { result: aggregateTeam { _count { _all } } }", brief))
    assert engine.code(seen, brief) == "P2028"
    assert engine.result(seen) is None

    both = [engine.begin(timeout=20_000).json()["id"] for _ in range(2)]
    assert engine.begin(max_wait=100, timeout=1000).status_code == 504
    assert engine.code(seen) == "P2024"
    for transaction in both:
        assert engine.client.post(f"/transaction/{transaction}/commit").is_success
    for _ in range(3):
        again = engine.begin(timeout=20_000).json()["id"]
        assert engine.client.post(f"/transaction/{again}/commit").is_success


def test_the_engine_outlives_lost_connections(engine: Engine, database: Database) -> None:
    engine.result("query { result: aggregateTeam { _count { _all } } }")
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND pid <> pg_backend_pid()"
    assert database.execute(kill).returncode == 0
    until(lambda: "data" in engine.ask("query { result: aggregateTeam { _count { _all } } }"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_engine_ends_on_a_signal(database: Database, tmp_path: Path, number: signal.Signals) -> None:
    with run_engine(database, tmp_path) as (_, process):
        process.send_signal(number)
        assert process.wait(120) == 0


def test_the_engine_ends_with_its_parent(database: Database, tmp_path: Path) -> None:
    (tmp_path / "schema.prisma").write_text(SCHEMA)
    port = free_port()
    environment = {
        **litellm_venv.process_environment(CHECKOUT),
        "DATABASE_URL": database.url(),
        "PRISMA_DML_PATH": str(tmp_path / "schema.prisma"),
    }
    command = ("/bin/sh", "-c", '"$0" -p "$1" & wait', environment["PRISMA_QUERY_ENGINE_BINARY"], str(port))
    parent = subprocess.Popen(command, env=environment)
    engine = Engine(f"http://127.0.0.1:{port}")
    until(lambda: answers(engine))
    parent.kill()
    parent.wait()
    until(lambda: not answers(engine))


def test_a_copy_has_all_that_was_answered_for_and_nothing_after(database: Database, tmp_path: Path) -> None:
    """Of a server that runs, and goes on; a server on the copy has the password that it is given."""
    assert not database.execute("CREATE TABLE before_copy (id INT)").returncode
    login = postgres.Login(database="gateway", user="app", password=PASSWORD)
    postgres.flush(port=database.port, login=login, ca_certificate=database.ca)
    postgres.copy(database.folder / "data", tmp_path / "copy" / "data")
    assert not database.execute("CREATE TABLE after_copy (id INT)").returncode
    other = Database(tmp_path / "copy")
    with other.start("another"):
        url = other.url("another")
        assert not other.execute("DROP TABLE before_copy", url).returncode
        assert "does not exist" in other.execute("DROP TABLE after_copy", url).stderr
