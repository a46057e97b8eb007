"""The largest report that is meant to work, for `make bench`: 10,000 users on 50 models, a week and the one before.

All 500,000 pairs of user and model are in both weeks, each on two days of seven, which makes 1,000,000 rows a week. A
server on this machine streams them in the form of LiteLLM's export, and takes what the report sends to Slack.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from ops.bench_server import BenchServer
from stacks.company import EXAMPLE, load

USERS: Final = 10_000
MODELS: Final = 50
SEATS: Final = 500  # of one plan
ACTIVE: Final = (0, 3)  # the days of seven on which a pair has a row, counted from a day of its own

HEAD: Final = (
    "date,entity_id,entity_alias,api_key,key_alias,user_id,user_email,model,spend,flat_cost,prompt_tokens,"
    "completion_tokens,api_requests,successful_requests,failed_requests,cache_read_input_tokens,"
    "cache_creation_input_tokens\n"
)

# Run in a fresh process, with the package's folder and the server's URL: prints the seconds that the handler took, and
# the most memory that the process had, in KiB. The secrets would come from Parameter Store, and Slack is elsewhere.
PROGRAM: Final = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from slack_sdk import WebClient
from usage import environment
environment.secret = lambda name: "bench"
from usage import report, slack
slack.client = lambda: WebClient(token="xoxb-bench", base_url=sys.argv[2] + "/api/", timeout=60)
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"
start = time.perf_counter()
result = report.handler({"period": "week"}, Context())
seconds = time.perf_counter() - start
assert result["files"] == 3, result
if sys.platform == "darwin":
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
else:  # there the former has the starting process in it
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM:")).split()[1]
print(seconds, peak)
"""


class Outside(BenchServer):
    """LiteLLM and Slack, as far as the report calls them, on a free port: a context manager."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self._server.files = {}  # type: ignore[attr-defined]

    @property
    def variables(self) -> dict[str, str]:
        """The function's environment."""
        environment = load(EXAMPLE).environments["dev"]
        assert environment.report  # noqa: S101 - dev has it
        return {
            "AWS_DEFAULT_REGION": environment.region,
            "ENVIRONMENT": environment.name,
            "GATEWAY_URL": self.url,
            "LITELLM_URL": self.url,
            "NO_PROXY": "127.0.0.1",
            "PARAMETER_PREFIX": environment.parameter_prefix,
            "POWERTOOLS_SERVICE_NAME": "usage",
            "REPORT": environment.report.model_dump_json(),
        }

    @property
    def pairs(self) -> int:
        """How many users and models the uploaded table has."""
        files: dict[str, bytes] = self._server.files  # type: ignore[attr-defined]
        return sum(content.count(b"\n") - 1 for content in files.values() if content.startswith(b"user,model,"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path == "/user/daily/activity/export":
            self._answer((HEAD + "".join(export(date.fromisoformat(query["start_date"])))).encode(), "text/csv")
        else:
            self._json({"data": [_deployment(number) for number in map(str, _MODELS)]})

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if url.path.startswith("/upload/"):
            self.server.files[url.path] = body  # type: ignore[attr-defined]
            self._answer(b"OK", "text/plain")
        else:
            self._json({"ok": True, **_SLACK[url.path.removeprefix("/api/")](self, dict(parse_qsl(body.decode())))})

    def users(self, arguments: dict[str, str]) -> dict[str, Any]:
        start = int(arguments.get("cursor") or 0)
        end = min(start + int(arguments["limit"]), USERS)
        members = [{"id": f"U{n}", "profile": {"email": f"user{n}@example.com"}} for n in range(start, end)]
        return {"members": members, "response_metadata": {"next_cursor": str(end) if end < USERS else ""}}

    def upload_url(self, arguments: dict[str, str]) -> dict[str, Any]:
        name = arguments["filename"]
        return {"file_id": name, "upload_url": f"http://{self.headers['Host']}/upload/{name}"}

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _json(self, value: object) -> None:
        self._answer(json.dumps(value).encode(), "application/json")

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


_MODELS: Final = range(MODELS)
_SLACK: Final[dict[str, Callable[[_Handler, dict[str, str]], dict[str, Any]]]] = {
    "auth.test": lambda *_: {"is_enterprise_install": False},
    "chat.postMessage": lambda *_: {"ts": "1.000001"},
    "files.completeUploadExternal": lambda *_: {"files": []},
    "files.getUploadURLExternal": _Handler.upload_url,
    "usergroups.users.list": lambda *_: {"users": [f"U{USERS // SEATS * n}" for n in range(SEATS)]},
    "users.list": _Handler.users,
}


def export(day: date) -> Iterator[str]:
    """The rows of a day."""
    start = day.toordinal()
    for pair in range(USERS * MODELS):
        if (pair + start) % 7 in ACTIVE:
            user, model = divmod(pair, MODELS)
            yield (
                f"{day},user{user}@example.com,,,,,,{model},{(user % 89 + 1) * (model + 1) * 1e-4},0.0,"
                f"{1000 + pair % 9000},{100 + pair % 900},3,3,0,{pair % 500},0\n"
            )


def _deployment(number: str) -> dict[str, Any]:
    """As /model/info has it."""
    info = {"key": _model(number), "input_cost_per_token": 2e-06, "cache_read_input_token_cost": 1e-07}
    return {"model_name": _model(number), "litellm_params": {"model": number}, "model_info": info}


def _model(number: str) -> str:
    """A name of each kind that dev's plans cover, and of one that they do not."""
    return f"{('claude', 'gpt', 'gemini')[int(number) % 3]}-{number}"
