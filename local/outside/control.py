"""The control API: what the outside world has recorded, the faults that it is told to have, and what people do.

For people there is a page at its root. Only this machine's own pages and programs may use it: a browser that shows a
page of somebody else's is refused, whatever name it has found for this address.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from local.outside import datadog_page, page
from local.outside.datadog import DatadogObjects
from local.outside.mailbox import Mailbox
from local.outside.records import Fault, Journal
from local.outside.slack import SlackWorkspace
from local.outside.slack_workspace import SlackError

Action = Callable[[SlackWorkspace, dict[str, str]], str]

_HOSTS = ("127.0.0.1", "localhost")
_SAFE = ("GET", "HEAD", "OPTIONS")
_MOST_FORM_BYTES = 20_000
# The mails are others' HTML: their frames run no script and load nothing.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "referrer-policy": "same-origin"}
_FAULT_TYPES: dict[str, tuple[type, ...]] = {
    "status": (int, type(None)),
    "count": (int, type(None)),
    "delay_seconds": (int, float),
    "chunk_delay_seconds": (int, float),
    "cut_after_bytes": (int, type(None)),
    "hang_after_bytes": (int, type(None)),
    "instead": (str, type(None)),
    "retry_after_seconds": (int,),
}


def control_app(
    journal: Journal, slack: SlackWorkspace, mailbox: Mailbox, datadog_objects: DatadogObjects, parts: page.Parts
) -> Starlette:
    """Make the web application.

    - GET / : the page for people; DELETE / : forget all records, mails and Slack messages.
    - GET /dashboard : the page that draws the dashboard; /datadog/objects : what was made in Datadog, as JSON.
    - GET, DELETE /calls, /datadog, /slack, /refused : the records of one kind, as JSON (/slack: the web hook's).
    - GET, DELETE /mails : the mails, with ?to= those to one address; /workspace : what is in the Slack workspace.
    - GET, DELETE /faults : all faults; PUT, DELETE /faults/{host} : those of one host, with the fields of `Fault`.
    - POST /ask, /click, /deactivate : the page's forms: what a person does in Slack.
    """
    control = _Control(journal, slack, mailbox, datadog_objects, parts)
    forms = {"/ask": _ask, "/click": _click, "/deactivate": _deactivate}
    return Starlette(
        routes=[
            Route("/", control.index, methods=["GET", "DELETE"]),
            Route("/dashboard", control.dashboard),
            Route("/datadog/objects", control.objects),
            *(_kept(f"/{kind}", read, partial(journal.clear, kind)) for kind, read in _records(journal).items()),
            _kept("/mails", control.mails, mailbox.clear),
            _kept("/workspace", control.workspace, slack.clear),
            _kept("/faults", control.faults, journal.clear_fault),
            Route("/faults/{host}", control.fault_of_host, methods=["PUT", "DELETE"]),
            *(Route(path, partial(control.form, act), methods=["POST"]) for path, act in forms.items()),
        ],
        middleware=[Middleware(_OwnPagesOnly)],
    )


@dataclass(frozen=True, slots=True)
class _Control:
    journal: Journal
    slack: SlackWorkspace
    mailbox: Mailbox
    datadog_objects: DatadogObjects
    parts: page.Parts

    async def index(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.journal.clear()
            self.mailbox.clear()
            self.slack.clear()
            return Response(status_code=204)
        counts = {kind: len(read(request)) for kind, read in _records(self.journal).items()}
        notice, failed = request.query_params.get("notice", ""), "failed" in request.query_params
        html = page.render(
            counts, self.journal.faults(), self.slack, self.mailbox, self.parts, notice=notice, failed=failed
        )
        return HTMLResponse(html, headers=_HEADERS)

    async def dashboard(self, request: Request) -> Response:
        records = self.journal.datadog_arrivals()
        choices, now = dict(request.query_params), time.time()
        # In another thread: the providers answer in this one.
        html = await run_in_threadpool(datadog_page.render, self.datadog_objects, records, choices, now=now)
        return HTMLResponse(html, headers=_HEADERS)

    async def objects(self, request: Request) -> Response:
        objects = self.datadog_objects
        kinds = {"metrics": objects.metrics(), "dashboards": objects.dashboards(), "monitors": objects.monitors()}
        return JSONResponse({**kinds, "writes": objects.writes})

    def mails(self, request: Request) -> object:
        return [asdict(mail) for mail in self.mailbox.mails(request.query_params.get("to"))]

    def workspace(self, request: Request) -> object:
        return {
            "messages": [asdict(message) for message in self.slack.messages()],
            "views": [asdict(view) for view in self.slack.views()],
            "executions": [asdict(execution) for execution in self.slack.executions()],
        }

    def faults(self, request: Request) -> object:
        return {host: asdict(fault) for host, fault in self.journal.faults().items()}

    async def fault_of_host(self, request: Request) -> Response:
        host = request.path_params["host"]
        if request.method == "DELETE":
            self.journal.clear_fault(host)
            return Response(status_code=204)
        try:
            fault = _fault(await request.json())
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        self.journal.set_fault(host, fault)
        return JSONResponse(asdict(fault))

    async def form(self, act: Action, request: Request) -> Response:
        """Do what a form asks for, in another thread, and lead back to the page with the outcome."""
        body = await request.body()
        if len(body) > _MOST_FORM_BYTES:
            return JSONResponse({"error": "The form is too large."}, status_code=413)
        try:
            values = {name: given[-1].strip() for name, given in parse_qs(body.decode()).items()}
            outcome = {"notice": await run_in_threadpool(act, self.slack, values)}
        except (KeyError, ValueError, RuntimeError, SlackError, httpx.TransportError) as error:
            outcome = {"failed": "1", "notice": str(error.args[0]) if error.args else type(error).__name__}
        return RedirectResponse(f"/?{urlencode(outcome)}", status_code=303)


def _kept(path: str, read: Callable[[Request], object], forget: Callable[[], None]) -> Route:
    """What is kept of one kind: GET reads it, as JSON, and DELETE forgets it."""

    async def answer(request: Request) -> Response:
        if request.method == "DELETE":
            forget()
            return Response(status_code=204)
        return JSONResponse(read(request))

    return Route(path, answer, methods=["GET", "DELETE"])


class _OwnPagesOnly:
    """Refuses what another site's page has a browser send: by its name for this host, or by its origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on one request, or refuse it."""
        request = Request(scope)
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        reason = ""
        if host.rpartition(":")[0] not in _HOSTS and host not in _HOSTS:
            reason = "This page is for 127.0.0.1 and localhost only."
        elif request.method not in _SAFE and (
            origin not in (None, f"http://{host}")
            or request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        ):
            reason = "Another site's page may not change anything here."
        if reason:
            await JSONResponse({"error": reason}, status_code=403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _ask(slack: SlackWorkspace, form: dict[str, str]) -> str:
    budget = form.get("max_budget", "")
    for name in ("team", "purpose"):
        if not form.get(name):
            raise ValueError(f"The form needs a {name}.")
    person = slack.person(form.get("who", ""))
    slack.run_step(person.id, form["team"], form["purpose"], _number(budget) if budget else None)
    return f"Asked for an account for {person.name}{_answer(slack)} Its outcome appears below; reload to see it."


def _number(text: str) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,2})?", text):
        raise ValueError(f"The budget must be a number of US dollars, not {text!r}.")
    number = float(text)
    return int(number) if number.is_integer() else number  # as Slack writes it in JSON


def _click(slack: SlackWorkspace, form: dict[str, str]) -> str:
    messages = slack.messages(form.get("channel"))
    message = next((message for message in messages if message.ts == form.get("ts")), None)
    if message is None:
        raise ValueError("The message is no longer there.")
    person = slack.person(form.get("user", ""))
    slack.click(message, form.get("action_id", ""), person.id)
    return f"{person.name} pressed the button{_answer(slack)}"


def _deactivate(slack: SlackWorkspace, form: dict[str, str]) -> str:
    person = slack.person(form.get("user", ""))
    slack.deactivate(person.id)
    return f"{person.name} is deactivated{_answer(slack)}"


def _answer(slack: SlackWorkspace) -> str:
    last = slack.deliveries()[-1]
    return f"; the app answered {last.response.status_code} in {last.seconds:.1f} s."


def _records(journal: Journal) -> dict[str, Callable[[Request], list[Any]]]:
    """How the records of each kind are read."""
    return {
        "calls": lambda _: [asdict(call) for call in journal.calls()],
        "datadog": lambda _: journal.datadog(),
        "slack": lambda _: journal.slack(),
        "refused": lambda _: [asdict(refusal) for refusal in journal.refused()],
    }


def _fault(body: object) -> Fault:
    if not isinstance(body, dict):
        raise ValueError("A fault must be a JSON object.")  # the caller's JSON, not a type of ours
    known = [field.name for field in fields(Fault)]
    for name, value in body.items():
        if name not in known:
            raise ValueError(f"A fault has no field {name!r}; it has {', '.join(known)}.")
        if isinstance(value, bool) or not isinstance(value, _FAULT_TYPES[name]):
            kind = "a word" if str in _FAULT_TYPES[name] else "a number"
            raise ValueError(f"A fault's {name} must be {kind}, not {value!r}.")
    return Fault(**body)
