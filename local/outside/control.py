"""The control API: what the outside world has recorded, and the faults that it is told to have."""

from __future__ import annotations

from dataclasses import asdict, fields
from html import escape
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local.outside.records import Fault, Journal

HOSTS = (
    ("bedrock-runtime.<region>.amazonaws.com", "Amazon Bedrock, in the regions given"),
    ("<resource>.openai.azure.com", "Azure OpenAI; also .cognitiveservices.azure.com and .services.ai.azure.com"),
    ("<location>-aiplatform.googleapis.com", "Vertex AI; also aiplatform.googleapis.com and aiplatform.{us,eu}.rep"),
    ("oauth2.googleapis.com", "Google's access tokens"),
    ("http-intake.logs.<site>", "Datadog's log intake"),
    ("hooks.slack.com", "Slack's incoming web hook"),
)
_KINDS = ("calls", "datadog", "slack", "refused")
_FAULT_TYPES: dict[str, tuple[type, ...]] = {
    "status": (int, type(None)),
    "count": (int, type(None)),
    "delay_seconds": (int, float),
    "chunk_delay_seconds": (int, float),
    "cut_after_bytes": (int, type(None)),
    "retry_after_seconds": (int,),
}


def control_app(journal: Journal) -> Starlette:
    """Make the web application.

    - GET / : this list, for people; DELETE / : forget all records.
    - GET, DELETE /calls, /datadog, /slack, /refused : the records of one kind, as JSON.
    - GET, DELETE /faults : all faults; PUT, DELETE /faults/{host} : those of one host, with the fields of `Fault`.
    """

    async def index(request: Request) -> Response:
        if request.method == "DELETE":
            journal.clear()
            return Response(status_code=204)
        return HTMLResponse(_index(journal))

    async def records(request: Request) -> Response:
        kind = request.url.path.strip("/")
        if request.method == "DELETE":
            journal.clear(kind)
            return Response(status_code=204)
        return JSONResponse(_records(journal)[kind])

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            journal.clear_fault()
            return Response(status_code=204)
        return JSONResponse({host: asdict(fault) for host, fault in journal.faults().items()})

    async def fault_of_host(request: Request) -> Response:
        host = request.path_params["host"]
        if request.method == "DELETE":
            journal.clear_fault(host)
            return Response(status_code=204)
        try:
            fault = _fault(await request.json())
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        journal.set_fault(host, fault)
        return JSONResponse(asdict(fault))

    both = ["GET", "DELETE"]
    return Starlette(
        routes=[
            Route("/", index, methods=both),
            *(Route(f"/{kind}", records, methods=both) for kind in _KINDS),
            Route("/faults", faults, methods=both),
            Route("/faults/{host}", fault_of_host, methods=["PUT", "DELETE"]),
        ]
    )


def _records(journal: Journal) -> dict[str, list[Any]]:
    return {
        "calls": [asdict(call) for call in journal.calls()],
        "datadog": journal.datadog(),
        "slack": journal.slack(),
        "refused": [asdict(refusal) for refusal in journal.refused()],
    }


def _fault(body: object) -> Fault:
    if not isinstance(body, dict):
        raise ValueError("A fault must be a JSON object.")  # the caller's JSON, not a type of ours
    known = [field.name for field in fields(Fault)]
    for name, value in body.items():
        if name not in known:
            raise ValueError(f"A fault has no field {name!r}; it has {', '.join(known)}.")
        if isinstance(value, bool) or not isinstance(value, _FAULT_TYPES[name]):
            raise ValueError(f"A fault's {name} must be a number, not {value!r}.")
    return Fault(**body)


def _index(journal: Journal) -> str:
    counts = {kind: len(found) for kind, found in _records(journal).items()}
    links = "".join(f'<li><a href="/{kind}">{kind}</a>: {count}</li>' for kind, count in counts.items())
    hosts = "".join(f"<tr><td><code>{escape(host)}</code><td>{escape(what)}" for host, what in HOSTS)
    faults = "".join(f"<li><code>{escape(host)}</code>: {escape(str(f))}</li>" for host, f in journal.faults().items())
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>The simulated outside world</title>
<style>body {{ font: 1rem/1.5 system-ui; max-width: 50rem; margin: 2rem auto }} td {{ padding-right: 1rem }}</style>
<h1>The simulated outside world</h1>
<h2>Recorded</h2><ul>{links}</ul>
<h2>Hosts</h2><table>{hosts}</table>
<h2>Faults</h2><ul>{faults or "<li>none</li>"}</ul>
<p>PUT <code>/faults/&lt;host&gt;</code> with <code>{{"status": 429, "count": 3}}</code> throttles a host;
DELETE <code>/faults</code> ends it. DELETE <code>/calls</code> forgets the calls.</p></html>"""
