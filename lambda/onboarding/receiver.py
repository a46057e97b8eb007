"""What Slack calls: the function behind `POST /slack/events` of the HTTP API (payload format 2.0).

A request is proven to be Slack's before anything in it is parsed; then it must be of the one workspace, and goes to the
Slack app, which queues it for the worker. Whatever is wrong with it is answered with one sentence, `{"error": "…"}`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from aws_lambda_powertools.utilities.typing import LambdaContext
from slack_bolt import BoltRequest
from slack_sdk.signature import SignatureVerifier

from onboarding.environment import settings
from onboarding.errors import place_of
from onboarding.slack_app import RejectedError, app, ids, logger, prepare, read_secret, retry_headers

PATH = "/slack/events"
# Bytes. Slack's largest request here is a submitted modal, which comes back whole: 100 teams with a text and a value of
# 75 characters each (https://docs.slack.dev/reference/block-kit/composition-objects/option-object), percent-encoded to
# at most 9 bytes a character, are 135 kB.
MAX_BODY = 256 * 1024
# Seconds: https://docs.slack.dev/authentication/verifying-requests-from-slack
MAX_AGE = 300
MAX_FIELDS = 50  # of a form: a slash command has less than 20
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
# What Bolt takes for granted in a payload.
OBJECTS = ("event", "view", "user", "team", "enterprise", "channel", "message")


@logger.inject_lambda_context(log_event=False, clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of Slack's, in the HTTP API's response format; it never raises."""
    try:
        return _answer(event)
    except RejectedError as refused:
        logger.warning("refused", status=refused.status, reason=refused.sentence)
        return _response(refused.status, {"error": refused.sentence})
    except Exception as error:  # the caller gets no trace, whatever happens, and the log no text of a person's
        logger.error("failed", error=type(error).__name__, place=place_of(error))
        return _response(500, {"error": "The request could not be handled: see the function's log."})


def _answer(event: dict[str, Any]) -> dict[str, Any]:
    _check_route(event)
    headers = _headers(event)
    body = _body(event)
    _check_signature(body, headers)
    payload = _payload(body, headers)
    _check_shape(payload)
    logger.append_keys(**_ids(payload, headers))
    if payload.get("type") != "url_verification" and payload.get("ssl_check") != "1":  # these come from no workspace
        _check_workspace(payload)
    try:
        # Bolt's name for a body that has been parsed already.
        request = BoltRequest(body=payload, mode="socket_mode")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise RejectedError(400, "The payload does not have the shape of a Slack request.") from error
    answer = app().dispatch(request)
    return {"statusCode": answer.status, "headers": answer.first_headers(), "body": answer.body}


def _check_route(event: dict[str, Any]) -> None:
    if event.get("rawPath") != PATH:
        raise RejectedError(404, f"There is nothing at this path: Slack's requests go to {PATH}.")
    if event.get("requestContext", {}).get("http", {}).get("method") != "POST":
        raise RejectedError(405, "Slack's requests use the method POST.")


def _headers(event: dict[str, Any]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in (event.get("headers") or {}).items():
        headers.setdefault(name.lower(), []).append(value)
    return headers


def _body(event: dict[str, Any]) -> str:
    """The body as text; the HTTP API encodes forms in base64."""
    body = event.get("body")
    if not isinstance(body, str) or not body:
        raise RejectedError(400, "The request has no body.")
    encoded = event.get("isBase64Encoded") is True
    try:
        data = base64.b64decode(body, validate=True) if encoded else body.encode(errors="replace")
    except ValueError as error:
        raise RejectedError(400, "The body is not valid base64.") from error
    if len(data) > MAX_BODY:
        raise RejectedError(
            413, f"The body is larger than {MAX_BODY} bytes, which no request of Slack's to this app is."
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RejectedError(400, "The body is not UTF-8 text.") from error


def _only(headers: dict[str, list[str]], name: str, status: int) -> str:
    """The header's value. The HTTP API joins repeated ones with a comma, which none of these contains."""
    values = headers.get(name.lower(), [])
    if not values:
        raise RejectedError(status, f"The header {name} is missing.")
    if len(values) > 1 or "," in values[0]:
        raise RejectedError(status, f"The header {name} is there more than once.")
    return values[0].strip()


def _check_signature(body: str, headers: dict[str, list[str]]) -> None:
    timestamp = _only(headers, "X-Slack-Request-Timestamp", 401)
    signature = _only(headers, "X-Slack-Signature", 401)
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise RejectedError(401, "The header X-Slack-Request-Timestamp is not a number of seconds.")
    if abs(time.time() - int(timestamp)) > MAX_AGE:
        raise RejectedError(401, f"The request is not of the last {MAX_AGE // 60} minutes: see the clocks.")
    # Of this form only: comparing other characters in constant time is an error.
    if not re.fullmatch(r"v0=[0-9a-f]{64}", signature):
        raise RejectedError(401, "The header X-Slack-Signature is not a signature of version v0.")
    if not SignatureVerifier(read_secret("SLACK_SIGNING_SECRET")).is_valid(body, timestamp, signature):
        raise RejectedError(401, "The signature is not Slack's for this body: see the app's signing secret.")


def _payload(body: str, headers: dict[str, list[str]]) -> dict[str, Any]:
    """An event's JSON, a command's form, or the JSON in the form field `payload` of a click or a submitted modal."""
    kind = _only(headers, "Content-Type", 415).split(";")[0].strip().lower()
    if kind == JSON:
        return _object(body, "body")
    if kind != FORM:
        raise RejectedError(415, f"The body must be {JSON} or {FORM}.")
    try:
        pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise RejectedError(400, "The body is not a valid form.") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise RejectedError(400, "The form has a field more than once.")
    return _object(fields["payload"], "form's payload") if "payload" in fields else fields


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise RejectedError(400, f"The {name} is JSON that is nested too deeply.") from error
    except ValueError as error:
        raise RejectedError(400, f"The {name} is not valid JSON.") from error
    if not isinstance(value, dict):
        raise RejectedError(400, f"The {name} is not a JSON object.")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is Python's, not JSON")


def _check_shape(payload: dict[str, Any]) -> None:
    for name in OBJECTS:
        if not isinstance(payload.get(name), dict | None):
            raise RejectedError(400, f"The payload's {name} is not an object.")
    needed: dict[object, tuple[str, ...]] = {
        "event_callback": ("event",),
        "view_submission": ("view", "user"),
        "block_actions": ("user", "actions"),
        "url_verification": ("challenge",),
    }
    kind = payload.get("type")
    for name in needed.get(kind, ()) if isinstance(kind, str) else ():
        if not payload.get(name):
            raise RejectedError(400, f"The payload has no {name}.")
    actions = payload.get("actions", [{}])
    if not (isinstance(actions, list) and actions and all(isinstance(action, dict) for action in actions)):
        raise RejectedError(400, "The payload's actions are not a list of objects.")
    if kind == "block_actions" and not all(isinstance(action.get("action_id"), str) for action in actions):
        raise RejectedError(400, "An action of the payload has no action_id.")
    for name in ("type", "callback_id") if kind == "view_submission" else ():
        if not isinstance(payload["view"].get(name), str):
            raise RejectedError(400, f"The payload's view has no {name}.")
    event = payload.get("event") or {}
    function = event.get("function")
    if event.get("type") == "function_executed" and not (isinstance(function, dict) and "callback_id" in function):
        raise RejectedError(400, "The event function_executed names no function.")


def _check_workspace(payload: dict[str, Any]) -> None:
    """The workspace, or the organisation where the app is installed in the whole of it, must be the settings' one.

    `team` is where the acting person is: in a channel shared with another company, that is not where the app is.
    """
    team, enterprise, user = (payload.get(name) or {} for name in ("team", "enterprise", "user"))
    workspace = payload.get("team_id") or team.get("id") or user.get("team_id")
    organisation = payload.get("enterprise_id") or enterprise.get("id") or team.get("enterprise_id")
    if not workspace and not organisation:
        raise RejectedError(400, "The payload names no workspace.")
    if settings().workspace not in (workspace, organisation, *_installations(payload)):
        raise RejectedError(403, "The request is from another workspace than the one that this app serves.")


def _installations(payload: dict[str, Any]) -> Iterator[object]:
    """The organisations that an event is sent for: it need not name them elsewhere."""
    listed = payload.get("authorizations")
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict):
            yield each.get("enterprise_id")


def _ids(payload: dict[str, Any], headers: dict[str, list[str]]) -> dict[str, str]:
    event, view, user = (payload.get(name) or {} for name in ("event", "view", "user"))
    return ids(
        {
            "event_id": payload.get("event_id"),
            "event_type": event.get("type"),
            "execution": event.get("function_execution_id"),
            "view": view.get("id"),
            "user": user.get("id") or payload.get("user_id"),
            "team": payload.get("team_id"),
            "retry": headers.get("x-slack-retry-num", [""])[0],
        }
    )


def _response(status: int, body: dict[str, str]) -> dict[str, Any]:
    headers = {"content-type": JSON} | ({"allow": "POST"} if status == 405 else {}) | retry_headers(status)
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}


# In a function, which Lambda starts before the request is there to be answered.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    prepare()
