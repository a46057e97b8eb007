"""What the benchmark runs: PostgreSQL, the simulated providers, and three LiteLLMs; all of it ends with the benchmark.

The machinery is that of `make up`, without an AWS: nothing is deployed, the task's own command is run with the task's
own variables.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from local import postgres
from local.gateway import outside_of
from local.litellm_venv import process_environment
from local.models import credentials_of
from local.outside.world import OutsideWorld
from local.ports import free_ports
from local.watchdog import Watchdog
from ops.bench_gateway import configurations
from ops.bench_gateway.configurations import Configuration
from stacks import CHECKOUT
from stacks.company import LOCAL, Company
from stacks.gateway.stack import CONTAINER
from stacks.releases.image import build_context

CDK: Final = CHECKOUT / "node_modules" / "aws-cdk" / "bin" / "cdk"
QUERY: Final = Path(__file__).with_name("query.mjs")
START_TIMEOUT: Final = 600.0  # seconds until three LiteLLMs answer, on a busy machine of two cores
STARTED: Final = b"Application startup complete"  # uvicorn's words, of each worker
STOP_TIMEOUT: Final = 20.0  # seconds from SIGTERM to SIGKILL
Report = Callable[[str], None]


class ServerError(Exception):
    """Something did not start or did not do as it should: what, and where its log is."""


@dataclass(frozen=True)
class Database:
    """A database of the benchmark's PostgreSQL."""

    name: str
    port: int
    password: str
    ca_file: Path

    @property
    def url(self) -> str:
        """As LiteLLM takes it, TLS verified."""
        login = f"litellm:{quote(self.password, safe='')}@127.0.0.1:{self.port}"
        return f"postgresql://{login}/{self.name}?sslmode=verify-full&sslrootcert={quote(str(self.ca_file), safe='')}"

    @property
    def url_of_prisma(self) -> str:
        """As Prisma's own commands take it."""
        return self.url.replace("sslrootcert", "sslcert")

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a statement, or of the last of several.

        Raises
        ------
        ServerError
            PostgreSQL refused it.
        """
        variables = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGDATABASE": self.name,
            "PGUSER": "litellm",
            "PGPASSWORD": self.password,
            "PGSSLROOTCERT": str(self.ca_file),
        }
        done = subprocess.run(  # noqa: S603 - our own program
            ["node", str(QUERY)],  # noqa: S607 - of this PATH, as everywhere
            input=sql,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerError(f"PostgreSQL refused a statement of the benchmark: {done.stderr.strip()[-400:]}")
        return list(json.loads(done.stdout))


@dataclass
class Server:
    """A LiteLLM that runs, with its database and its simulated providers."""

    configuration: Configuration
    url: str
    database: Database
    outside: OutsideWorld
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def name(self) -> str:
        """One of `configurations.NAMES`."""
        return self.configuration.name

    def api(self, method: str, path: str, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        """Call LiteLLM with the master key.

        Raises
        ------
        ServerError
            It refused.
        """
        headers = {"Authorization": f"Bearer {self.configuration.variables['LITELLM_MASTER_KEY']}"}
        answer = httpx.request(method, f"{self.url}{path}", headers=headers, timeout=120, trust_env=False, **arguments)
        if not answer.is_success:
            raise ServerError(
                f"{self.name}: LiteLLM refused {method} {path} ({answer.status_code}): {answer.text[:400]}"
            )
        return answer.json()

    def is_ready(self) -> bool:
        """Whether it answers.

        Raises
        ------
        ServerError
            It has ended.
        """
        if self.process.poll() is not None:
            lines = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise ServerError(
                f"{self.name}: LiteLLM has ended with {self.process.returncode}; {self.log} ends:\n{lines}"
            )
        if self.log.read_bytes().count(STARTED) < self.configuration.workers:
            return False
        try:
            return httpx.get(f"{self.url}/health/readiness", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False


class Servers:
    """The LiteLLMs by name, running: a context manager.

    Parameters
    ----------
    folder
        For databases, logs and the like.
    company
        Whose gateway it is.
    names
        Which of `configurations.NAMES`.
    report
        Gets a line when a step begins that takes time.
    """

    def __init__(self, folder: Path, company: Company, names: tuple[str, ...], report: Report) -> None:
        self.company, self.names = company, names
        self.by_name: dict[str, Server] = {}
        self._folder, self._report = folder, report
        self._config = company.local.litellm_config(company.config)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start everything.

        Raises
        ------
        ServerError
            A step failed; everything started before is ended again.
        """
        with ExitStack() as starting:
            watchdog = Watchdog()
            starting.callback(watchdog.close)
            self._watchdog = watchdog
            self.direct = starting.enter_context(self._world("direct"))
            worlds = {name: starting.enter_context(self._world(name)) for name in self.names}
            self._report("Synthesizing what is deployed")
            template = self._template()
            self._report("Making a database for each")
            databases = self._databases(starting)
            self._report(f"Starting LiteLLM: {', '.join(configurations.TITLES[name] for name in self.names)}")
            for name in self.names:
                configuration = self._configuration(name, template, worlds[name], databases[name])
                server = self._start(starting, configuration, databases[name], worlds[name])
                self.by_name[name] = server
            self._await()
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._running.close()

    def also_end(self, process_group: int) -> None:
        """End this group too, however this process ends."""
        self._watchdog.remember(process_group)

    def _world(self, name: str) -> OutsideWorld:
        return outside_of(self.company.local, self._config, self._folder / "outside" / name)

    def _template(self) -> Any:  # noqa: ANN401 - JSON
        out = self._folder / "cdk.out"
        command = ["node", str(CDK), "synth", "--quiet", "-c", f"environments={LOCAL}", "--no-notices"]
        variables = {**os.environ, "COMPANY": self.company.name, "CDK_VALIDATION": "false"}
        done = subprocess.run(  # noqa: S603 - our own program
            [*command, "--output", str(out)], cwd=CHECKOUT, env=variables, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServerError(f"cdk synth failed: {done.stderr.strip()[-800:]}")
        (file,) = out.glob("assembly-local/*Gateway*.template.json")
        return json.loads(file.read_text())

    def _databases(self, starting: ExitStack) -> dict[str, Database]:
        """One that is migrated, and copies of it."""
        (port,) = free_ports(1)
        password = secrets.token_hex(16)
        ca_file = self.direct.ca_file.resolve()
        login = postgres.Login(database="bench", user="litellm", password=password)
        running = starting.enter_context(
            postgres.start(
                self._folder / "postgres" / "data",
                port=port,
                login=login,
                ca_certificate=ca_file,
                ca_key=ca_file.with_name("ca.key"),
            )
        )
        self._watchdog.remember(running.process_group)
        starting.callback(self._watchdog.forget, running.process_group)
        first = Database("bench", port, password, ca_file)
        (schema,) = (CHECKOUT / ".tools/litellm").glob("lib/python*/site-packages/litellm_proxy_extras/schema.prisma")
        variables = {
            **os.environ,
            **process_environment(CHECKOUT),
            "DATABASE_URL": first.url.replace("sslrootcert", "sslcert"),
        }
        done = subprocess.run(  # noqa: S603 - our own program
            [str(CHECKOUT / "local/prisma/prisma"), "migrate", "deploy", "--schema", str(schema)],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerError(f"the database could not be migrated: {(done.stdout + done.stderr).strip()[-800:]}")
        maintenance = Database("postgres", port, password, ca_file)
        for name in self.names:
            maintenance.ask(f'CREATE DATABASE "{name}" TEMPLATE bench')
        return {name: Database(name, port, password, ca_file) for name in self.names}

    def _configuration(
        self,
        name: str,
        template: Any,  # noqa: ANN401 - JSON
        outside: OutsideWorld,
        database: Database,
    ) -> Configuration:
        config = self._config
        plain = dict(self.company.local.plain_variables)
        own = {**credentials_of(config, config.secrets, outside.credentials, plain), **configurations.keys()}
        datadog = {name: value for name, value in plain.items() if name.startswith("DD_")}
        datadog |= {"DD_API_KEY": outside.credentials.dd_api_key, "DD_SITE": datadog.get("DD_SITE", "datadoghq.com")}
        if name == configurations.OURS:
            return configurations.ours(template, own, self._elsewhere(outside, database, 0))
        if name == configurations.ARTICLE:
            return configurations.article(self.company, {**plain, **own, **datadog})
        return configurations.default(self.company, {**plain, **own})

    def _elsewhere(self, outside: OutsideWorld, database: Database, port: int) -> dict[str, str]:
        """What differs from AWS for a LiteLLM on this machine."""
        return {
            **process_environment(CHECKOUT),
            **outside.environment(),
            "PORT": str(port),
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(database.port),
            "DATABASE_NAME": database.name,
            "DATABASE_USERNAME": "litellm",
            "DATABASE_PASSWORD": database.password,
            "DATABASE_CA_FILE": str(database.ca_file),
            "DATABASE_URL": database.url,
            "DISABLE_SCHEMA_UPDATE": "true",
            "PROXY_BASE_URL": f"http://127.0.0.1:{port}",
            "SMTP_HOST": "127.0.0.1",  # no mail leaves this machine
            "SMTP_PORT": str(outside.mailbox.submission_port),
            # Whoever signs may do everything: there is no AWS with policies here.
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20),
            "AWS_REGION": self.company.local.region,
        }

    def _start(
        self, starting: ExitStack, configuration: Configuration, database: Database, outside: OutsideWorld
    ) -> Server:
        (port,) = free_ports(1)
        folder = self._folder / configuration.name
        home = folder / "home"
        home.mkdir(parents=True)
        elsewhere = {**self._elsewhere(outside, database, port), "HOME": str(home), "TMPDIR": str(home)}
        if configuration.config is None:
            place = build_context(CONTAINER, self.company.config)
            command = [*configuration.command]
        else:
            place = folder
            (folder / "config.yaml").write_text(configuration.config)
            command = [*configuration.command, "--host", "127.0.0.1", "--port", str(port)]
            paths = {"LITELLM_MIGRATION_DIR": "migrations", "LITELLM_UI_PATH": "ui", "LITELLM_ASSETS_PATH": "assets"}
            elsewhere |= {name: str(home / path) for name, path in paths.items()}
        log = folder / "litellm.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the task's own command, and those above
                command,
                cwd=place,
                env={**configuration.variables, **elsewhere},
                executable=_program(command[0], place, elsewhere["PATH"]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watchdog.remember(process.pid)
        starting.callback(_end, process, self._watchdog)
        return Server(configuration, f"http://127.0.0.1:{port}", database, outside, process, log)

    def _await(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        waiting = list(self.by_name.values())
        while waiting and time.monotonic() < end:
            waiting = [server for server in waiting if not server.is_ready()]
            time.sleep(0.25)
        if waiting:
            server = waiting[0]
            raise ServerError(f"{server.name}: LiteLLM does not answer at {server.url}; its log is {server.log}")


def _program(name: str, folder: Path, path: str) -> str:
    """Where a program is, as the process that is going to run it finds it: `./` is its own folder."""
    if name.startswith("./"):
        return str(folder / name)
    return shutil.which(name, path=path) or name


def _end(process: subprocess.Popen[bytes], watchdog: Watchdog) -> None:
    """SIGTERM to the whole group, SIGKILL to what is left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    watchdog.forget(process.pid)
