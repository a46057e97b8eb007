"""Slack's incoming web hook, and the response URLs of its app."""

from __future__ import annotations

from urllib.parse import urlsplit

from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.records import Journal
from local.outside.slack_workspace import SlackError, Workspace


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
            return Answer.of_text("ok", kind="text/html")
        if not {"text", "blocks", "attachments"} & message.keys():
            raise ApiError(400, code="no_text")
        self._journal.add_slack(message)
        return Answer.of_text("ok", kind="text/html")

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return Slack's error, which is one word; a 429 says when to try again."""
        word = error.code or {
            400: "invalid_payload",
            403: "action_prohibited",
            404: "no_service",
            429: "rate_limited",
        }.get(error.status, "rollup_error")
        headers = {"retry-after": str(retry_after_seconds)} if error.status == 429 else {}
        return Answer.of_text(word, status=error.status, kind="text/html", headers=headers)
