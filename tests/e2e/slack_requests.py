"""Requests that Slack would never send, and what each is answered with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from local.outside.slack import FORM, JSON, SlackWorkspace

PING = json.dumps({"type": "url_verification", "challenge": "c"})
MANY = "&".join(f"field{number}=1" for number in range(60))

Json = dict[str, Any]
Body = str | bytes | Callable[[SlackWorkspace], str]


@dataclass(frozen=True)
class BadRequest:
    """One of them: what is sent, signed as Slack would unless said otherwise, and the answer."""

    name: str
    status: int
    sentence: str
    body: Body = PING
    content_type: str = JSON
    headers: Mapping[str, str | None] = field(default_factory=dict)
    age: float = 0.0  # seconds of the timestamp
    signing_secret: str | None = None
    method: str = "POST"
    path: str = ""  # after the request URL

    def send(self, slack: SlackWorkspace) -> httpx.Response:
        """Send it to the deployed endpoint."""
        body = self.body(slack) if callable(self.body) else self.body
        right = slack.request_url
        if self.path:
            slack.request_url = right + self.path
        try:
            return slack.deliver(
                body,
                self.content_type,
                headers=dict(self.headers),
                timestamp=time.time() - self.age if self.age else None,
                signing_secret=self.signing_secret,
                method=self.method,
            )
        finally:
            slack.request_url = right


def _step(event: Json | None = None, **envelope: str) -> Callable[[SlackWorkspace], str]:
    """The event of a started step, with changes to the event or to its envelope."""

    def build(slack: SlackWorkspace) -> str:
        started = {
            "type": "function_executed",
            "function": {"callback_id": "create_account"},
            "function_execution_id": "Fx0BADREQUEST",
            "inputs": {},
            "bot_access_token": "xwfp-none",
            **(event or {}),
        }
        return json.dumps(slack.envelope(started) | envelope)

    return build


def _form(payload: Json) -> Callable[[SlackWorkspace], str]:
    """The form of an interaction of a person of the workspace."""

    def build(slack: SlackWorkspace) -> str:
        common = {"team": {"id": slack.team}, "user": {"id": "U0AAAAAAAA", "team_id": slack.team}}
        return urlencode({"payload": json.dumps({**common, **payload})})

    return build


MISSING = "The header {} is missing."
TIMESTAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"
NO_SIGNATURE = "The header X-Slack-Signature is not a signature of version v0."
NOT_SLACKS = "The signature is not Slack's for this body: see the app's signing secret."
STALE = "The request is not of the last 5 minutes: see the clocks."
NO_NUMBER = "The header X-Slack-Request-Timestamp is not a number of seconds."
NO_WORKSPACE = "The payload names no workspace."
OTHER_WORKSPACE = "The request is from another workspace than the one that this app serves."
UNKNOWN = "The app does not handle this event, command or action: see its manifest."
TOO_LARGE = "The body is larger than 262144 bytes, which no request of Slack's to this app is."
NOT_FOUND = "Not Found"  # API Gateway's own words

BAD_REQUESTS = (
    BadRequest("another path", 404, NOT_FOUND, path="/more"),
    BadRequest("GET", 404, NOT_FOUND, method="GET"),
    BadRequest("PUT", 404, NOT_FOUND, method="PUT"),
    BadRequest("no body", 400, "The request has no body.", body=""),
    BadRequest("too large", 413, TOO_LARGE, body="x" * 300_000),
    BadRequest("not UTF-8", 400, "The body is not UTF-8 text.", body=b"\xff\xfe", content_type=FORM),
    BadRequest("no timestamp", 401, MISSING.format(TIMESTAMP), headers={TIMESTAMP: None}),
    BadRequest("timestamp of words", 401, NO_NUMBER, headers={TIMESTAMP: "yesterday"}),
    BadRequest("negative timestamp", 401, NO_NUMBER, headers={TIMESTAMP: "-1"}),
    BadRequest("stale", 401, STALE, age=301),
    BadRequest("from the future", 401, STALE, age=-400),
    BadRequest("no signature", 401, MISSING.format(SIGNATURE), headers={SIGNATURE: None}),
    BadRequest("garbled signature", 401, NO_SIGNATURE, headers={SIGNATURE: "v0=zz"}),
    BadRequest("signature of another version", 401, NO_SIGNATURE, headers={SIGNATURE: "v1=" + "0" * 64}),
    BadRequest("invented signature", 401, NOT_SLACKS, headers={SIGNATURE: "v0=" + "0" * 64}),
    BadRequest("forged with another secret", 401, NOT_SLACKS, signing_secret="0" * 32),
    BadRequest("forged and malformed", 401, NOT_SLACKS, body="{", signing_secret="0" * 32),
    BadRequest("other content type", 415, f"The body must be {JSON} or {FORM}.", content_type="text/plain"),
    BadRequest("malformed JSON", 400, "The body is not valid JSON.", body='{"type": '),
    BadRequest("JSON of Python", 400, "The body is not valid JSON.", body='{"type": NaN}'),
    BadRequest("a list", 400, "The body is not a JSON object.", body="[]"),
    BadRequest("nested deeply", 400, "The body is JSON that is nested too deeply.", body="[" * 100_000),
    BadRequest("malformed form", 400, "The body is not a valid form.", body="a=1&&b", content_type=FORM),
    BadRequest("too many fields", 400, "The body is not a valid form.", body=MANY, content_type=FORM),
    BadRequest("a field twice", 400, "The form has a field more than once.", body="a=1&a=2", content_type=FORM),
    BadRequest("malformed payload", 400, "The form's payload is not valid JSON.", body="payload=x", content_type=FORM),
    BadRequest("no challenge", 400, "The payload has no challenge.", body='{"type": "url_verification"}'),
    BadRequest("no event", 400, "The payload has no event.", body='{"type": "event_callback"}'),
    BadRequest("event of text", 400, "The payload's event is not an object.", body='{"event": "x"}'),
    BadRequest("no workspace", 400, NO_WORKSPACE, body='{"type": "event_callback", "event": {"type": "x"}}'),
    BadRequest("another workspace", 403, OTHER_WORKSPACE, body=_step(team_id="T9999999999")),
    BadRequest("unknown event", 404, UNKNOWN, body=_step(event={"type": "message"})),
    BadRequest("unknown step", 404, UNKNOWN, body=_step(event={"function": {"callback_id": "other"}})),
    BadRequest(
        "no step",
        400,
        "The event function_executed names no function.",
        body=_step(event={"function": "create_account"}),
    ),
    BadRequest(
        "unknown view",
        404,
        UNKNOWN,
        _form({"type": "view_submission", "view": {"type": "modal", "callback_id": "other"}}),
        FORM,
    ),
    BadRequest("no actions", 400, "The payload has no actions.", _form({"type": "block_actions"}), FORM),
    BadRequest(
        "unknown action", 404, UNKNOWN, _form({"type": "block_actions", "actions": [{"action_id": "other"}]}), FORM
    ),
)
