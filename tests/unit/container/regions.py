"""Regions with a model, each with its prompt cache, on loopback: what a Router is tried on without a gateway."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.outside.anthropic_format import message_object, messages_prompt
from local.outside.completion import Model

FAULTS = {429: "rate_limit_error", 500: "api_error"}


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = Model()
        self.faults: dict[str, int] = {}


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a request of Anthropic's Messages API, in the region that the path begins with."""
        region = self.path.split("/")[1]
        body = json.loads(self._body())
        if status := self.server.faults.get(region):
            return self._answer({"type": "error", "error": {"type": FAULTS[status], "message": "Not now."}}, status)
        prompt = messages_prompt(body["model"], body)
        completion, usage = self.server.model.answer(region, prompt)
        return self._answer(message_object(prompt, completion, usage))

    def do_PUT(self) -> None:
        """Have a region fail with a status from now on."""
        self.server.faults[self.path.split("/")[1]] = int(self._body())
        self._answer({})

    def do_DELETE(self) -> None:
        """Let all regions answer again, with empty caches."""
        self.server.faults.clear()
        self.server.model = Model()
        self._answer({})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _answer(self, answer: object, status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
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
