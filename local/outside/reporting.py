"""Where the gateway reports to: Datadog's log intake and Slack's incoming web hook."""

from __future__ import annotations

import hmac
import re
from urllib.parse import urlsplit

from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.records import Journal
from local.outside.slack_workspace import SlackError, Workspace

_INTAKE = re.compile(r"http-intake\.logs\.[a-z0-9.-]+")


class DatadogLogs:
    """Takes in log records, for any Datadog site, with the one API key."""

    name = "datadog"

    def __init__(self, api_key: str, journal: Journal) -> None:
        self._api_key, self._journal = api_key, journal

    def serves(self, host: str) -> bool:
        """Return whether the host is the log intake of a Datadog site."""
        return _INTAKE.fullmatch(host) is not None

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        if (request.method, request.path) != ("POST", "/api/v2/logs"):
            raise ApiError(404)
        return Target("logs")

    def answer(self, request: Request, target: Target) -> Answer:  # there is but one operation
        """Keep the records of one delivery."""
        if not hmac.compare_digest(request.headers.get("dd-api-key", "").encode(), self._api_key.encode()):
            raise ApiError(403)
        body = request.any_json()
        logs = body if isinstance(body, list) else [body]
        if not all(isinstance(log, dict) for log in logs):
            raise ApiError(400)
        self._journal.add_datadog(logs)
        return Answer.of_json({}, status=202)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # Datadog sends none
        """Return Datadog's error document."""
        titles = {
            400: "Bad Request",
            403: "Forbidden",
            404: "Not Found",
            413: "Payload Too Large",
            429: "Too Many Requests",
        }
        title = titles.get(error.status, "Internal Server Error")
        return Answer.of_json({"errors": [{"status": str(error.status), "title": title}]}, status=error.status)


class SlackWebhook:
    """Takes messages at the one web hook, and answers of the Slack app at the response URLs that it was given."""

    name = "slack"

    def __init__(self, webhook_url: str, journal: Journal, workspace: Workspace) -> None:
        self._url, self._journal, self._workspace = urlsplit(webhook_url), journal, workspace

    def serves(self, host: str) -> bool:
        """Return whether the host is the web hook's."""
        return host == self._url.hostname

    def target(self, request: Request) -> Target:
        """Return which of the two it is."""
        if request.method != "POST":
            raise ApiError(404)
        if request.path == self._url.path:
            return Target("webhook")
        if request.path.startswith(("/commands/", "/actions/")):
            return Target("response")
        raise ApiError(404)

    def answer(self, request: Request, target: Target) -> Answer:
        """Keep one message."""
        message = request.json()
        if target.operation == "response":
            try:
                self._workspace.respond(request.path, message)
            except SlackError as error:
                raise ApiError(404, code=error.code) from None
            return _text(200, "ok")
        if not {"text", "blocks", "attachments"} & message.keys():
            raise ApiError(400, code="no_text")
        self._journal.add_slack(message)
        return _text(200, "ok")

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return Slack's error, which is one word; a 429 says when to try again."""
        word = error.code or {
            400: "invalid_payload",
            403: "action_prohibited",
            404: "no_service",
            429: "rate_limited",
        }.get(error.status, "rollup_error")
        headers = {"retry-after": str(retry_after_seconds)} if error.status == 429 else {}
        return _text(error.status, word, headers)


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, {"content-type": "text/html; charset=utf-8", **(headers or {})}, [text.encode()])
