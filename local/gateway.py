"""The whole gateway on this machine: the deployed definition, on an emulated AWS, in a simulated world.

`LocalGateway` starts it for `make up` and for the end-to-end tests. It knows the stacks only through AWS's API: it
stores the secrets with the operators' command, deploys with the CDK CLI, and lets ECS run the tasks. Several gateways,
each an environment, may share a world and an AWS (`tests/others/test_promotion.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import boto3
import httpx
from botocore.config import Config

from local import assets, others, postgres, valkey
from local.aws import Emulator, Settings
from local.callers import callers
from local.litellm_venv import process_environment
from local.models import credentials_of, deployments, profiles, servers
from local.outside.credentials import Credentials
from local.outside.page import Parts
from local.outside.slack_workspace import ExampleWorkspace
from local.outside.world import OutsideWorld
from local.place import Place
from local.ports import free_ports
from ops import remembered
from ops.secrets import KNOWN, MADE_BY_DEPLOYMENT, required_secrets
from stacks import CHECKOUT
from stacks.company import Company, company
from stacks.litellm_config import CACHE_PASSWORD, LiteLlmConfig
from stacks.settings import DATABASE_NAME, DATABASE_USERNAME, Environment

CDK = CHECKOUT / "node_modules" / "aws-cdk" / "bin" / "cdk"
# Lambda functions at once in an account: what a new one has.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
CONCURRENT_FUNCTIONS = 10
CONCURRENT_STACKS = 5  # as many as ever wait for the same one
# Seconds that a function may run: a client that gives up before that has it run twice.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
LONGEST_FUNCTION = 900
START_TIMEOUT = 240.0  # seconds until the first healthy answer, on a slow machine

Report = Callable[[str], None]


class LocalGatewayError(RuntimeError):
    """Something did not start. The message says what, and where its log is."""


class LocalGateway:
    """The gateway of an environment, running: a context manager.

    Parameters
    ----------
    state
        Its folder: the database, the secrets, the CA, logs. Another start on the same folder finds its accounts again.
    own
        The company whose gateway it is; the one in force if none is given.
    environment
        Which one of its environments; `local` if none is given.
    port
        Where it answers on 127.0.0.1; 0 for a free one.
    checkout
        Where the operators' commands run, and find its settings.
    outside
        The simulated world that it shares with others; one of its own, in its folder, if none is given.
    alone
        Whether only the gateway's own stack is deployed, with what it stands on: without accounts, reports and alarms.
    report
        Gets a line when a step begins that takes time.
    """

    def __init__(
        self,
        state: Path,
        *,
        own: Company | None = None,
        environment: Environment | None = None,
        port: int = 0,
        checkout: Path = CHECKOUT,
        outside: OutsideWorld | None = None,
        alone: bool = False,
        report: Report = print,
    ) -> None:
        self.company = own or company()
        self.environment: Environment = environment or self.company.local
        self.state = _folder(state.resolve())
        self.checkout = checkout
        self._alone = alone
        self._report = report
        self._database_port, self._cache_port, free = free_ports(3)
        self._port = port or free
        self.url = f"http://127.0.0.1:{self._port}"
        self.config = self.environment.litellm_config(self.company.config)
        self.outside = outside or outside_of(self.environment, self.config, self.state / "outside")
        self.cache: valkey.Valkey | None = None  # what its tasks share, if the environment has such a thing
        self.access: dict[str, str] = {}  # to the emulated AWS, once it runs: variables for a command
        self._http = httpx.Client(timeout=60, trust_env=False)  # to make one takes longer than most calls
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start everything, in the order in which an operator would.

        Raises
        ------
        LocalGatewayError
            A step failed; everything started before is ended again.
        """
        with ExitStack() as starting:
            with ThreadPoolExecutor() as pool:
                self._report("Synthesizing the stacks")
                synthesized = pool.submit(self._synthesize)
                self._report("Starting the emulated AWS and the simulated providers")
                starting.enter_context(self.outside)
                database = starting.enter_context(ExitStack())  # to be ended after the tasks that use it
                self.use(start_emulator(self.state / "aws", self.outside, self))
                starting.callback(self.emulator.stop)
                bootstrapped = pool.submit(self._bootstrap)
                self._report("Storing the secrets in the emulated Parameter Store")
                self.store_secrets()
                self._report("Starting PostgreSQL")
                self.postgres = self.start_postgres()
                database.callback(lambda: self.postgres.stop())  # whichever runs by then
                if self.environment.cache:
                    self.cache = database.enter_context(self.start_cache())
                for step in (synthesized, bootstrapped):
                    step.result()
            self._report("Deploying the stacks; this migrates the database and starts LiteLLM (about a minute)")
            self._deploy()
            self._connect_outside()
            self._await_healthy()
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything that was started; what is in the folder stays."""
        self._running.close()

    def secret(self, name: str) -> str:
        """The value of one of the environment's secrets, as the task gets it."""
        answer = self.client("ssm").get_parameter(Name=self.environment.parameter(name), WithDecryption=True)
        return str(answer["Parameter"]["Value"])

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """A boto3 client of the emulated AWS."""
        access = self.access
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=access["AWS_ENDPOINT_URL"],
            region_name=access["AWS_REGION"],
            aws_access_key_id=access["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=access["AWS_SECRET_ACCESS_KEY"],
            config=Config(read_timeout=LONGEST_FUNCTION),
        )

    def api(self, method: str, path: str, *, key: str | None = None, **arguments: Any) -> httpx.Response:  # noqa: ANN401
        """Call LiteLLM through the load balancer, with the master key if no other is given."""
        headers = {"Authorization": f"Bearer {key or self.secret('LITELLM_MASTER_KEY')}"}
        return self._http.request(method, f"{self.url}{path}", headers=headers, **arguments)

    def user_key(self, email: str) -> str:
        """A key of the user with this address; user and key are made at the first call and found again later.

        Raises
        ------
        LocalGatewayError
            LiteLLM refused to make them.
        """
        file = self.state / "keys.json"
        keys: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        if email in keys and self.api("GET", "/key/info", key=keys[email]).is_success:
            return keys[email]
        # Whatever config.yaml says of a new user's models: who tries the gateway may ask all.
        new = {"user_id": email, "user_email": email, "auto_create_key": True, "models": ["all-proxy-models"]}
        answer = self.api("POST", "/user/new", json=new)
        if not answer.is_success:
            raise LocalGatewayError(f"LiteLLM did not make the user {email}: {answer.text}")
        keys[email] = answer.json()["key"]
        _write_private(file, keys)
        return keys[email]

    @property
    def place(self) -> Place:
        """What the emulator is told of it, once the outside world runs."""
        zone, ingress = self.environment.hosted_zone, self.environment.ingress
        return Place(
            account=self.environment.account,
            region=self.environment.region,
            domain=self.environment.domain,
            port=self._port,
            parameter_prefix=self.environment.parameter_prefix,
            hosted_zone=(zone.id, zone.name),
            certificate=self.environment.certificate_arn,
            roles={
                role.arn: (role.trust(self.environment.account, self.environment.task_role), role.policy())
                for role in self.config.assumed_roles
            },
            cluster=f"litellm-{self.environment.name}",
            data=str(self._data),
            callers=callers(map(str, ingress.cidrs), map(str, ingress.management_cidrs)),
            containers=self._differences(),
            # The first is a private name in the VPC.
            functions={"LITELLM_URL": self.url, "GATEWAY_URL": self.url},
        )

    def use(self, emulator: Emulator) -> None:
        """Be deployed to this emulator, which was told of its place."""
        self.emulator = emulator
        self.access = emulator.environment(self.environment.account, self.environment.region)

    @property
    def _data(self) -> Path:
        """Of its database."""
        return self.state / "postgres" / "data"

    @property
    def _assembly(self) -> Path:
        return self.state / "cdk.out"

    def _differences(self) -> dict[str, str | None]:
        """What differs from AWS for the containers; `local/containers.py` adds ports and folders."""
        return {
            **process_environment(CHECKOUT),  # LiteLLM as a program of this machine
            **self.outside.environment(),  # the way to the providers
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(self._database_port),
            "DATABASE_CA_FILE": str(self.outside.ca_file),
            **(self._cache_differences() if self.environment.cache else {}),
            "PROXY_BASE_URL": self.url,
            "PROXY_BATCH_WRITE_AT": "3",  # who tries it wants to see what was spent
            "SMTP_HOST": "127.0.0.1",  # no mail leaves this machine
            "SMTP_PORT": str(self.outside.mailbox.submission_port),
        }

    def _cache_differences(self) -> dict[str, str | None]:
        return {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self._cache_port),
            "REDIS_SSL_CA_CERTS": str(self.outside.ca_file),
            # Seconds: a busy machine is no lost node.
            "REDIS_SOCKET_TIMEOUT": "5",
            "REDIS_SOCKET_CONNECT_TIMEOUT": "5",
            "REDIS_CIRCUIT_BREAKER_RECOVERY_TIMEOUT": "2",
        }

    def start_cache(self) -> valkey.Valkey:
        """Start what its tasks share, with the password that is among its secrets."""
        return valkey.start(
            port=self._cache_port,
            password=self.secret(CACHE_PASSWORD),
            ca_certificate=self.outside.ca_file,
            ca_key=self.outside.ca_file.with_name("ca.key"),
            replica=bool(self.environment.cache and self.environment.cache.replica),
        )

    def start_postgres(self, port: int | None = None) -> postgres.Postgres:
        """Start its database, with the password that is among its secrets; at another port than its own, if given."""
        return postgres.start(
            self._data,
            port=port or self._database_port,
            login=postgres.Login(
                database=DATABASE_NAME, user=DATABASE_USERNAME, password=self.secret("DATABASE_PASSWORD")
            ),
            ca_certificate=self.outside.ca_file,
            ca_key=self.outside.ca_file.with_name("ca.key"),
        )

    def store_secrets(self) -> None:
        """Have the operators' command store what it needs: what an earlier start made, or new ones."""
        file = self.state / "secrets.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        known = {name: known[name] for name in known.keys() - MADE_BY_DEPLOYMENT}  # an older start had these
        needed = required_secrets(self.environment, self.company.config)
        asked = [name for name in needed if name not in KNOWN or not KNOWN[name].make]  # the command makes the others
        given = credentials_of(self.config, asked, self.outside.credentials, self.environment.plain_variables)
        given |= {name: known[name] for name in needed if name in known}
        command = [sys.executable, "-m", "ops.secrets", "--env", self.environment.name, "--file", "-"]
        self._run(command, log="secrets.log", stdin=json.dumps(given))
        path = self.environment.parameter_prefix
        pages = self.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path, WithDecryption=True)
        parameters = (parameter for page in pages for parameter in page["Parameters"])
        stored = {p["Name"].removeprefix(f"{path}/"): p["Value"] for p in parameters if p["Type"] == "SecureString"}
        _write_private(file, {name: stored[name] for name in stored.keys() - MADE_BY_DEPLOYMENT})

    def _synthesize(self) -> None:
        """Have its assembly in its folder: the same again of what has been synthesized before."""
        chosen = f"environments={self.environment.name}"

        def synth(folder: Path) -> None:
            self._cdk("synth", "--quiet", "-c", chosen, "--output", str(folder))

        if self._assembly.is_symlink():
            self._assembly.unlink()
        shutil.rmtree(self._assembly, ignore_errors=True)
        if self.checkout == CHECKOUT:
            key = remembered.digest(self.company, self.company.name, chosen)
            self._assembly.symlink_to(remembered.folder("assemblies", key, synth))
        else:
            synth(self._assembly)

    def _bootstrap(self) -> None:
        target = f"aws://{self.environment.account}/{self.environment.region}"
        self._cdk("bootstrap", target, "--app", "")

    def _deploy(self) -> None:
        assets.share(self._assembly)
        app = ("--app", str(self._assembly))
        together = ("--concurrency", str(CONCURRENT_STACKS))
        quietly = ("--require-approval", "never", "--progress", "events")
        stacks = f"{self.environment.name}/{'Gateway' if self._alone else '*'}"  # the CDK deploys what it needs as well
        self._cdk("deploy", stacks, *app, *together, *quietly)

    def _connect_outside(self) -> None:
        """Tell Slack where its requests go, and the mail server whom it knows: what is known once it is deployed."""
        if self.environment.onboarding and not self._alone:
            (api,) = self.client("apigatewayv2").get_apis()["Items"]
            functions = f"{self.access['AWS_ENDPOINT_URL']}/_aws/execute-api/{api['ApiId']}"
            self.outside.slack_workspace.request_url = f"{functions}/$default/slack/events"
        if "SMTP_USERNAME" in self.config.secrets:
            login = (self.secret("SMTP_USERNAME"), self.secret("SMTP_PASSWORD"))
            self.outside.mailbox.accepts = lambda username, password: (username, password) == login

    def _cdk(self, *arguments: str) -> None:
        command = ["node", str(CDK), *arguments, "--no-notices"]
        self._run(command, log=f"{arguments[0]}.log")

    def _run(self, command: list[str], *, log: str, stdin: str = "") -> None:
        """Run a command to its end, with what it prints in a log of the folder."""
        place = self.state / log
        # The rules have been checked when a change was made (`make check`), and take as long as the rest of synth.
        own = {"COMPANY": self.company.name, "CDK_VALIDATION": "false", "CDK_DISABLE_CLI_TELEMETRY": "true"}
        environment = {**os.environ, **own, **self.access}
        with place.open("w") as output:
            run = subprocess.run(  # noqa: S603 - our own commands
                command,
                cwd=self.checkout,
                env=environment,
                input=stdin,
                text=True,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if run.returncode:
            raise LocalGatewayError(f"{' '.join(command[1:4])} failed; {place} ends:\n{_tail(place)}")

    def _await_healthy(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/health/readiness", timeout=5, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.25)
        raise LocalGatewayError(f"LiteLLM does not answer at {self.url}; read its log in {self.state / 'aws'}")


def outside_of(environment: Environment, config: LiteLlmConfig, folder: Path) -> OutsideWorld:
    """The simulated world of an environment: its models' prices, its Google project, its Slack, its mail's sender."""
    project = environment.providers.vertexai_project or environment.name
    credentials = Credentials.load_or_generate(_folder(folder) / "credentials.json", project)
    outside = OutsideWorld(
        folder,
        credentials=credentials,
        deployments=deployments(config, environment.plain_variables),
        profiles=profiles(config),
        mcp_servers=others.mcp_servers(config, environment.plain_variables, credentials.others_key),
        services=others.services(config, environment.plain_variables, credentials.others_key),
        servers=servers(config, environment.plain_variables),
        slack_workspace=environment.onboarding or ExampleWorkspace(mail_domains=(mail_domain(environment),)),
        parts=parts(environment, config),
    )
    outside.mailbox.allowed_sender = environment.mail_sender
    outside.mailbox.region = environment.region
    outside.mailbox.verified = None  # the account has left the sandbox: see `local.mail.leave_sandbox`
    slack = outside.slack_workspace
    if usage := environment.report:
        slack.add_channel(usage.channel, "llm-usage")
        for group in {plan.seats for plan in usage.plans if plan.seats}:
            slack.add_group(group, "japanese", "english", *(["approver"] if group == slack.approver_group else []))
    return outside


def mail_domain(environment: Environment) -> str:
    """What the mail addresses of the company's people end with."""
    if environment.onboarding:
        return environment.onboarding.mail_domains[0]
    addresses = (environment.email.reply_to, *environment.alarms.emails)
    return next((address.partition("@")[2] for address in addresses if address), environment.hosted_zone.name)


def parts(environment: Environment, config: LiteLlmConfig) -> Parts:
    """What of the simulated world the environment has to do with."""
    return Parts(
        accounts=environment.onboarding is not None,
        slack=bool(environment.onboarding or environment.report),
        mail=bool(environment.onboarding or "SMTP_USERNAME" in config.secrets),
        dashboard=environment.datadog is not None,
    )


def start_emulator(state: Path, outside: OutsideWorld, *gateways: LocalGateway) -> Emulator:
    """Start an AWS for these gateways, in this running world."""
    (port,) = free_ports(1)
    functions = {
        **outside.environment(),
        "AWS_ENDPOINT_URL_COST_EXPLORER": "https://ce.us-east-1.amazonaws.com",  # ministack has none
    }
    places = tuple(gateway.place for gateway in gateways)
    settings = Settings(
        places=places,
        functions=functions,
        smtp_port=outside.mailbox.relay_port,
        concurrency=CONCURRENT_FUNCTIONS,
    )
    emulator = Emulator(port=port, state=state, settings=settings)
    emulator.start()
    outside.permissions.endpoint = emulator.endpoint
    return emulator


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _tail(file: Path, lines: int = 25) -> str:
    return "\n".join(file.read_text().splitlines()[-lines:])


def _write_private(file: Path, content: Mapping[str, str]) -> None:
    file.touch(mode=0o600)
    file.write_text(json.dumps(content, indent=1))
