"""Slack's side of the onboarding function: requests as Slack signs them, and a Web API that remembers its calls."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypedDict, Unpack
from urllib.parse import parse_qsl, urlencode

from slack_sdk.signature import SignatureVerifier

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Options(TypedDict, total=False):
    """What request() takes besides the body and its type."""

    secret: str
    age: int
    encoded: bool
    headers: Mapping[str, str | None]
    method: str
    path: str


def request(
    body: str | bytes,
    *,
    kind: str | None = JSON,
    secret: str = SECRET,
    age: int = 0,
    encoded: bool = False,
    headers: Mapping[str, str | None] | None = None,
    method: str = "POST",
    path: str = "/slack/events",
) -> dict[str, Any]:
    """The HTTP API's event (payload format 2.0) for a request signed `age` seconds ago, without headers of None."""
    timestamp = str(int(time.time()) - age)
    text = body if isinstance(body, str) else body.decode(errors="replace")
    signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=text)
    signed = {"content-type": kind, "x-slack-request-timestamp": timestamp, "x-slack-signature": signature}
    raw = body if isinstance(body, bytes) else body.encode()
    return {
        "version": "2.0",
        "routeKey": "POST /slack/events",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {name: value for name, value in {**signed, **(headers or {})}.items() if value is not None},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "body": base64.b64encode(raw).decode() if encoded else text,
        "isBase64Encoded": encoded,
    }


def event(payload: object, **options: Unpack[Options]) -> dict[str, Any]:
    """An event's request: JSON."""
    return request(json.dumps(payload), **options)


def interaction(payload: object, **options: Unpack[Options]) -> dict[str, Any]:
    """The request of a click or a submitted modal: a form with JSON in it, which the HTTP API encodes in base64."""
    return request(urlencode({"payload": json.dumps(payload)}), kind=FORM, **(Options(encoded=True) | options))


def command(fields: Mapping[str, str], **options: Unpack[Options]) -> dict[str, Any]:
    """A slash command's request: a form."""
    return request(urlencode(fields), kind=FORM, **(Options(encoded=True) | options))


@dataclass
class WebApi:
    """What was called, in order, with which token; and what is answered, by method."""

    url: str
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    answers: dict[str, dict[str, Any] | None] = field(default_factory=dict)  # None: the connection is cut


@contextmanager
def web_api() -> Iterator[WebApi]:
    """A Web API on a free port of loopback; every method answers ok unless `answers` says otherwise."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            is_json = self.headers.get("content-type", "").startswith(JSON)
            method = self.path.split("?")[0].rsplit("/", 1)[-1]
            api.calls.append((method, json.loads(body) if is_json else dict(parse_qsl(body))))
            api.tokens.add(self.headers.get("authorization", ""))
            answer = api.answers.get(method, {"ok": True})
            if answer is None:
                self.close_connection = True
                return
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", JSON)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api = WebApi(f"http://127.0.0.1:{server.server_port}/api/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
