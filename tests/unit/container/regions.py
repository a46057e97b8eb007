"""Regions with a model, each with its prompt cache, on loopback: what a Router is tried on without a gateway."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

from local.outside.anthropic_format import message_object, messages_prompt
from local.outside.completion import Model

KEY = "k"
# Anthropic's API, "Errors".
FAULTS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# What a question is, of which a provider says that it is wrong: "answer 400: the reason".
WRONG = re.compile(r"answer (\d{3}): ([^\"]+)")
SLOW_SECONDS = 2.0
SLOW = "think for a while"


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = Model()
        self.faults: dict[str, tuple[int, int]] = {}
        self.asked: list[str] = []  # the paths


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a request of Anthropic's Messages API, in the region that the path begins with."""
        region = self.path.split("/")[1]
        content = self._body()
        self.server.asked.append(self.path)
        if KEY not in (
            self.headers.get("x-api-key"),
            (self.headers.get("authorization") or "").removeprefix("Bearer "),
        ):
            return self._fail(401, "invalid x-api-key")
        if wrong := WRONG.search(content.decode()):
            return self._fail(int(wrong[1]), wrong[2])
        if SLOW.encode() in content:
            time.sleep(SLOW_SECONDS)
        if fault := self.server.faults.get(region):
            return self._fail(fault[0], "Not now.", retry_after=fault[1])
        body = json.loads(content)
        prompt = messages_prompt(body["model"], body)
        completion, usage = self.server.model.answer(region, prompt)
        return self._answer(message_object(prompt, completion, usage))

    def do_GET(self) -> None:
        """Tell which regions were asked with this path behind theirs, one after the other."""
        asked = [path.split("/") for path in self.server.asked]
        self._answer([region for _, region, *behind in asked if behind[0] == self.path.strip("/")])

    def do_PUT(self) -> None:
        """Have a region fail with a status from now on, and say in how many seconds to come again: "429", "429 7"."""
        status, *seconds = map(int, self._body().split())
        self.server.faults[self.path.split("/")[1]] = (status, sum(seconds))
        self._answer({})

    def do_DELETE(self) -> None:
        """Let all regions answer again, with empty caches."""
        self.server.faults.clear()
        self.server.asked.clear()
        self.server.model = Model()
        self._answer({})

    def _fail(self, status: int, reason: str, *, retry_after: int = 0) -> None:
        answer = {"type": "error", "error": {"type": FAULTS[status], "message": reason}}
        self._answer(answer, status, {"retry-after": str(retry_after)} if retry_after else {})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _answer(self, answer: object, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        with suppress(ConnectionError):  # who asked may have gone
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def regions() -> Iterator[str]:
    """Simulate them while the block lasts; yields the address that their paths begin with."""
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
