"""The first slash command after a cold start, for `make bench`: init, and the handler until Slack has its answer.

A server on this machine answers for Parameter Store and Slack at once, without TLS. What is measured is the time of the
processor, which a function of a whole vCPU (1,769 MB) gets a second of in a second.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from ops.bench_server import BenchServer
from stacks.company import EXAMPLE, load

# What the command asks for, in order: the secrets in init, and the form before all else of Slack.
ASKED: Final = ["SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN", "views.open", "users.info", "views.update"]

# Run in a fresh process, with the package's folder and the server's URL: prints the milliseconds of the processor since
# the process began. The address of Slack is the one thing that the function does not take from its environment.
PROGRAM: Final = """
import hashlib, hmac, os, sys, time
sys.path.insert(0, sys.argv[1])
from onboarding import receiver, slack_app
slack_app.app().client.base_url = sys.argv[2] + "/api/"
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"
body = os.environ["COMMAND"]
stamp = str(int(time.time()))
mac = hmac.new(b"bench", f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
answer = receiver.handler(
    {
        "rawPath": receiver.PATH,
        "requestContext": {"http": {"method": "POST"}},
        "headers": {
            "content-type": receiver.FORM,
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": f"v0={mac}",
        },
        "body": body,
        "isBase64Encoded": False,
    },
    Context(),
)
assert answer["statusCode"] == 200 and not answer["body"], answer
print(time.process_time() * 1000)
"""


class Outside(BenchServer):
    """Parameter Store and Slack, as far as the command calls them, on a free port: a context manager."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self._server.asked = []  # type: ignore[attr-defined]

    @property
    def asked(self) -> list[str]:
        """What it was asked for, in order: parameters, and methods of Slack."""
        return list(self._server.asked)  # type: ignore[attr-defined]

    @property
    def variables(self) -> dict[str, str]:
        """The function's environment."""
        environment = load(EXAMPLE).environments["dev"]
        onboarding = environment.onboarding
        assert onboarding  # noqa: S101 - dev has it
        command = f"command={onboarding.command}&team_id={onboarding.workspace}&user_id=U0123456789&trigger_id=1.2.3"
        return {
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_DEFAULT_REGION": environment.region,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "COMMAND": command.replace("/", "%2F"),
            "NO_PROXY": "127.0.0.1",
            "ONBOARDING": onboarding.model_dump_json(),
            "PARAMETER_PREFIX": environment.parameter_prefix,
            "POWERTOOLS_LOG_LEVEL": "CRITICAL",
            "POWERTOOLS_SERVICE_NAME": "onboarding",
            "QUEUE_URL": "https://sqs.invalid/queue.fifo",
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/api/"):
            self._answer(self.path.removeprefix("/api/"), {"ok": True, **_SLACK[self.path.removeprefix("/api/")]})
        else:
            name = json.loads(body)["Name"]
            self._answer(name.rpartition("/")[2], {"Parameter": {"Name": name, "Value": "bench"}})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, asked: str, value: dict[str, Any]) -> None:
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


_SLACK: Final[dict[str, dict[str, Any]]] = {
    "views.open": {"view": {"id": "V0123456789"}},
    "users.info": {"user": {"id": "U0123456789", "locale": "ja-JP"}},
    "views.update": {"view": {"id": "V0123456789"}},
}
