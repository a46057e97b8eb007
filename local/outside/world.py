"""The outside world as one object: proxy, certificates, providers and control API in a thread of their own."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp

from local.outside.anthropic import Anthropic
from local.outside.anthropic_costs import AnthropicCosts
from local.outside.authority import Authority
from local.outside.azure import AzureOpenAI
from local.outside.azure_ai import AzureAI
from local.outside.bedrock import Bedrock
from local.outside.bedrock_mantle import BedrockMantle
from local.outside.bedrock_rerank import BedrockRerank
from local.outside.bigquery import BigQuery
from local.outside.bills import BilledJournal, Bills, Deployments
from local.outside.connect import ConnectProxy
from local.outside.control import control_app
from local.outside.cost_explorer import CostExplorer
from local.outside.cost_management import CostManagement, MicrosoftSignIn
from local.outside.credentials import Credentials
from local.outside.datadog import DatadogApi, DatadogLogs, DatadogObjects
from local.outside.exchange import Dispatcher
from local.outside.gemini import GeminiApi
from local.outside.google import GoogleAccount, GoogleTokens, VertexAI
from local.outside.mailbox import Mailbox
from local.outside.mcp import McpServer, McpServers
from local.outside.mistral import Mistral
from local.outside.openai import OpenAI
from local.outside.openai_costs import OpenAiCosts
from local.outside.page import Parts
from local.outside.passed import Service, Services
from local.outside.permissions import Permissions
from local.outside.records import Call, Fault, Json, Refusal
from local.outside.servers import OLLAMA, CompatibleServer, OllamaServer, Server
from local.outside.slack import SlackWorkspace
from local.outside.slack_api import SlackApi
from local.outside.slack_files import SlackUploads
from local.outside.slack_webhook import SlackWebhook
from local.outside.slack_workspace import WorkspaceSettings

_LOOPBACK = "127.0.0.1"
_HTTPS = 443
_STOP_SECONDS = 30.0


class OutsideWorld:
    """Everything that the gateway reaches through HTTPS, simulated on this machine.

    Use it as a context manager, or call `start` and `stop`. Its methods may be called from any thread.

    Parameters
    ----------
    folder
        Where the CA (ca.pem, ca.key) and the credentials (credentials.json) are kept, so that a restart has the same.
        Made if it does not exist.
    credentials
        What the providers accept; read from or made in the folder if not given.
    deployments
        The deployments whose price is not that of their name.
    profiles
        The model behind each ARN of Bedrock that does not tell it.
    mcp_servers, services
        The MCP servers that there are, and what pass-through endpoints lead to.
    servers
        Those of models that the company runs or rents, each on its host and port.
    slack_workspace
        The ids and mail domains of the Slack workspace: an environment's `onboarding` settings fit; an example's if not
        given.
    parts
        What of it the page shows.
    port
        Of the proxy, on 127.0.0.1; 0 takes a free one, as do the control page and API (`control_port`) and the mailbox
        (`mailbox.submission_port` and `mailbox.relay_port`).

    Raises
    ------
    OSError
        From `start`, if a port is taken.
    ValueError
        If the folder's files are not what they should be.
    """

    def __init__(
        self,
        folder: Path,
        *,
        credentials: Credentials | None = None,
        deployments: Deployments | None = None,
        profiles: Mapping[str, str] | None = None,
        mcp_servers: Collection[McpServer] = (),
        services: Collection[Service] = (),
        servers: Collection[Server] = (),
        slack_workspace: WorkspaceSettings | None = None,
        parts: Parts | None = None,
        port: int = 0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.credentials = credentials or Credentials.load_or_generate(folder / "credentials.json")
        self._authority = Authority(folder)
        self.ca_file = self._authority.file
        self.port, self.control_port = port, 0
        self.parts = parts or Parts()
        self.bills = Bills(folder / "bills.json", deployments or {})
        self.journal = BilledJournal(self.bills)
        self.datadog_objects = DatadogObjects()
        self.slack_workspace = SlackWorkspace(self.credentials.slack_signing_secret, slack_workspace)
        self.permissions = Permissions()
        self.mcp_servers = McpServers(mcp_servers)
        self.services = Services(services)
        self.mailbox = Mailbox(self._authority.context(_LOOPBACK, "localhost"), self.permissions)
        vertex = GoogleAccount(self.credentials.vertex_credentials)
        billing = GoogleAccount(self.credentials.google_billing_credentials)
        sign_in = MicrosoftSignIn(self.credentials.azure_billing_secret)
        azure = AzureOpenAI(self.credentials.azure_api_key)
        self.bedrock = Bedrock(profiles, self.permissions, self.bills.learn)
        self._servers: list[Server] = []
        self._providers = Dispatcher(
            [
                self.bedrock,
                BedrockMantle(self.permissions),
                BedrockRerank(self.permissions),
                AzureAI(self.credentials.azure_api_key, azure),
                azure,
                GoogleTokens(vertex, billing),
                VertexAI(vertex),
                Anthropic(self.credentials.anthropic_api_key),
                OpenAI(self.credentials.openai_api_key),
                GeminiApi(self.credentials.gemini_api_key),
                Mistral(self.credentials.mistral_api_key),
                CostExplorer(self.bills, self.permissions),
                sign_in,
                CostManagement(self.bills, sign_in),
                BigQuery(self.bills, billing),
                DatadogLogs(self.credentials.dd_api_key, self.journal),
                DatadogApi(self.credentials.dd_api_key, self.credentials.dd_app_key, self.datadog_objects),
                SlackWebhook(self.credentials.slack_webhook_url, self.journal, self.slack_workspace),
                SlackApi(self.slack_workspace, self.credentials.slack_bot_token),
                SlackUploads(self.slack_workspace.uploads),
                self.mcp_servers,
                self.services,
            ],
            self.journal,
            apart={
                OpenAiCosts.below: OpenAiCosts(self.bills, self.credentials.openai_admin_key),
                AnthropicCosts.below: AnthropicCosts(self.bills, self.credentials.anthropic_admin_key),
            },
        )
        for server in servers:
            self.add_server(server)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()

    @property
    def proxy_url(self) -> str:
        """The proxy's address, for HTTPS_PROXY."""
        return f"http://{_LOOPBACK}:{self.port}"

    @property
    def control_url(self) -> str:
        """The address of the control page and API."""
        return f"http://{_LOOPBACK}:{self.control_port}"

    def environment(self) -> dict[str, str]:
        """Return the variables with which a process sees this world and no other.

        HTTPS_PROXY and HTTP_PROXY: httpx, aiohttp, requests, botocore. NO_PROXY: what runs on this machine.
        SSL_CERT_FILE: httpx, aiohttp (through LiteLLM) and Python's own ssl. REQUESTS_CA_BUNDLE: requests, and so
        google-auth. AWS_CA_BUNDLE: botocore.
        """
        ca = str(self.ca_file.resolve())
        return {
            "HTTPS_PROXY": self.proxy_url,
            "HTTP_PROXY": self.proxy_url,
            "NO_PROXY": "127.0.0.1,localhost",
            "SSL_CERT_FILE": ca,
            "REQUESTS_CA_BUNDLE": ca,
            "AWS_CA_BUNDLE": ca,
        }

    def start(self) -> OutsideWorld:
        """Start; when it returns, the proxy, the mailbox and the control API answer."""
        if self._thread is not None:
            raise RuntimeError("The outside world is already started.")
        with ExitStack() as opened:  # closed unless they are all there
            mailbox = self.mailbox
            ports = (self.port, self.control_port, 0, 0, mailbox.submission_port, mailbox.relay_port)
            proxy, control, tls, plain, *mail = listening = [opened.enter_context(_listen(port)) for port in ports]
            self.port, self.control_port, _, _, mailbox.submission_port, mailbox.relay_port = (
                listener.getsockname()[1] for listener in listening
            )
            loop, self._end = asyncio.new_event_loop(), asyncio.Event()

            def run() -> None:
                with asyncio.Runner(loop_factory=lambda: loop) as runner:
                    runner.run(self._serve(proxy, control, tls, plain, mail))

            self._loop = loop
            self._thread = threading.Thread(target=run, name="outside", daemon=True)
            opened.pop_all()
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection and end the thread; nothing happens if it is not running."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            at = _standing(self._thread, self._loop)
            raise TimeoutError(f"The outside world did not stop within {_STOP_SECONDS:.0f} seconds: {at}")
        self._thread = self._loop = None
        self.bills.save()

    def __enter__(self) -> OutsideWorld:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def add_server(self, server: Server) -> None:
        """Have one more server of models, as of an entry that somebody adds in the admin UI, if it is not there."""
        if server in self._servers:
            return
        answering = OllamaServer if server.provider in OLLAMA else CompatibleServer
        self._providers.providers.append(answering(server, self.credentials.server_api_key))
        self._servers.append(server)

    def calls(self) -> list[Call]:
        """Return the answered requests, oldest first."""
        return self.journal.calls()

    def datadog(self) -> list[Json]:
        """Return the log records that Datadog was sent."""
        return self.journal.datadog()

    def slack(self) -> list[Json]:
        """Return the messages that Slack's web hook was sent."""
        return self.journal.slack()

    def refused(self) -> list[Refusal]:
        """Return the attempts to reach a host that is not simulated."""
        return self.journal.refused()

    def clear(self, *kinds: str) -> None:
        """Forget the records of the kinds "calls", "datadog", "slack", "refused"; all of them without arguments.

        The mails and what is in the Slack workspace stay: `mailbox` and `slack_workspace` have a `clear` of their own.
        """
        self.journal.clear(*kinds)

    def set_fault(self, host: str, fault: Fault) -> None:
        """Make a host misbehave; `host` may have wildcards."""
        self.journal.set_fault(host, fault)

    def clear_fault(self, host: str | None = None) -> None:
        """Let a host behave again; every host if none is named."""
        self.journal.clear_fault(host)

    def _knows(self, host: str) -> bool:
        return self._providers.provider_of(host) is not None

    async def _serve(
        self,
        proxy: socket.socket,
        control: socket.socket,
        tls: socket.socket,
        plain: socket.socket,
        mail: list[socket.socket],
    ) -> None:
        tls_port, plain_port = tls.getsockname()[1], plain.getsockname()[1]

        def way(host: str, port: int, encrypted: bool) -> int | None:
            own = any((each.host, each.port, not each.plain) == (host, port, encrypted) for each in self._servers)
            public = encrypted and port == _HTTPS and host not in {each.host for each in self._servers}
            return (tls_port if encrypted else plain_port) if own or (public and self._knows(host)) else None

        def expired(host: str) -> bool:
            return self.journal.meets(host) == "expired_certificate"

        outbound = ConnectProxy(way=way, refuse=self.journal.add_refusal, meets=self.journal.meets)
        page = control_app(self.journal, self.slack_workspace, self.mailbox, self.datadog_objects, self.parts)
        encrypted = _server(self._providers, self._authority.context_of_each(self._knows, expired))
        servers = (encrypted, _server(page), _server(self._providers))
        serving = [
            asyncio.create_task(server.serve(sockets=[sock]))
            for server, sock in zip(servers, (tls, control, plain), strict=True)
        ]
        serving.append(asyncio.create_task(self.mailbox.serve(mail[0], mail[1], self._end)))
        await outbound.serve(proxy, self._end)
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)


def _standing(thread: threading.Thread, loop: asyncio.AbstractEventLoop) -> str:
    """Where a thread and the tasks of its loop are, for who has to find out why it does not end."""
    frame = sys._current_frames().get(thread.ident or 0)
    stack = "".join(traceback.format_stack(frame)) if frame else "(ended)"
    tasks = "\n".join(map(repr, asyncio.all_tasks(loop)))
    return f"its thread is at\n{stack}and its tasks are\n{tasks}"


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((_LOOPBACK, port), backlog=1024)
    except OSError as error:
        raise OSError(error.errno, f"Port {port} of {_LOOPBACK} is not free; end what uses it.") from error


def _server(app: ASGIApp, context: ssl.SSLContext | None = None) -> uvicorn.Server:
    # No logging set up here: it would change the loggers of a process that is not ours alone.
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=None,
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        ssl_context_factory=(lambda *_: context) if context else None,
    )
    return uvicorn.Server(config)
