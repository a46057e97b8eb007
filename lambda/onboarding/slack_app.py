"""The Slack app: what each event, command and click makes of itself in the queue, and what the person is told.

Integrates with SQS (SendMessage), Parameter Store (the bot's token) and Slack (views.open, users.info, views.update,
functions.completeSuccess, chat.postEphemeral).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from contextlib import suppress
from dataclasses import asdict, fields
from functools import cache
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from slack_bolt import Ack, App, BoltResponse, Complete
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.error import BoltUnhandledRequestError
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from onboarding import form, modal
from onboarding.environment import places, secret, settings
from onboarding.errors import UnavailableError, place_of
from onboarding.requests import Close, Create, Decide, Request, step_of, to_json

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Seconds for a call. Slack waits 3 for an answer, and a trigger opens a form for 3; of them a cold start takes most.
# https://docs.slack.dev/interactivity/handling-user-interaction
SLACK_TIMEOUT = 1
AWS_TIMEOUT = 1
SECRETS = ("SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN")
# What Slack would only be told again: the request is wrong, or not for this app. A signature that does not fit (401) is
# sent again, as a secret that has just been rotated is known after a while.
FINAL = frozenset({400, 403, 404, 405, 413, 415})
ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")  # of what Slack numbers: events, executions, views, channels, messages
BUSY = "The request cannot be queued at the moment: send it again."
SLACK_FAILURES = (SlackClientError, HTTPException, OSError)

logger = Logger()
_languages: dict[str, str] = {}  # by user, of those who have asked this process


class RejectedError(Exception):
    """The request is answered with this status and this sentence, which says nothing of what is in the request."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def prepare() -> None:
    """Make all that a request needs of this process, for Lambda's init phase.

    A secret that cannot be read now is logged, and read again by the request.
    """
    app()
    for name in SECRETS:
        with suppress(RejectedError):
            read_secret(name)


@cache
def app() -> App:
    """The app with its listeners, once per process; each request reads the bot's token anew, from the cache."""
    # Bolt and its client write bodies and profiles into their logs below this level (and take a level that is not set
    # for DEBUG); what went wrong is logged here, with ids only.
    quiet = logging.getLogger("slack_bolt")
    quiet.setLevel(logging.CRITICAL)
    slack = App(
        name="onboarding",
        logger=quiet,
        client=WebClient(timeout=SLACK_TIMEOUT, logger=quiet, retry_handlers=[]),
        authorize=_authorize,
        process_before_response=True,  # a function is frozen once it has answered
        raise_error_for_unhandled_request=True,
        request_verification_enabled=False,  # done by the receiver, before anything is parsed
        ignoring_self_events_enabled=False,  # needs auth.test; the app causes none of its own events
        attaching_function_token_enabled=False,  # the bot's token completes a step too, and outlives it
    )
    slack.error(_answer_error)
    slack.function("create_account")(_on_step)
    slack.event("user_change")(_on_user_change)
    slack.command(settings().command)(_on_command)
    slack.view(modal.CALLBACK_ID)(_on_submission)
    slack.action("approve_account")(_on_decision)
    slack.action("deny_account")(_on_decision)
    return slack


@cache
def sqs() -> SQSClient:
    """The queue's client."""
    config = Config(connect_timeout=AWS_TIMEOUT, read_timeout=AWS_TIMEOUT, retries={"total_max_attempts": 2})
    return boto3.client("sqs", config=config)


def read_secret(name: str) -> str:
    """The value of a Slack secret.

    Raises
    ------
    RejectedError
        503, and the log says which parameter it is and what to do.
    """
    try:
        value = secret(name)
    except UnavailableError as error:
        logger.error(str(error))
    else:
        if value.strip():
            return value
        logger.error(
            f"cannot read the parameter {os.environ['PARAMETER_PREFIX']}/{name} (it is empty): store it with make "
            "secrets"
        )
    raise RejectedError(503, "The app's secrets cannot be read at the moment: try again in a minute.")


def retry_headers(status: int) -> dict[str, str]:
    """What tells Slack not to send a refused event three times more, where that would not help.

    https://docs.slack.dev/apis/events-api: "Turning retries off"
    """
    return {"x-slack-no-retry": "1"} if status in FINAL else {}


def ids(values: dict[str, Any]) -> dict[str, str]:
    """Those of the values that are ids, for the log."""
    return {name: value for name, value in values.items() if isinstance(value, str) and ID.fullmatch(value)}


def _authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
    return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=read_secret("SLACK_BOT_TOKEN"))


def _answer_error(error: Exception) -> BoltResponse:
    if isinstance(error, BoltUnhandledRequestError):
        error = RejectedError(404, "The app does not handle this event, command or action: see its manifest.")
    if isinstance(error, RejectedError):
        logger.warning("refused", status=error.status, reason=error.sentence)
        body = {"error": error.sentence}
        return BoltResponse(status=error.status, body=body, headers=dict(retry_headers(error.status)))
    logger.error("failed", error=type(error).__name__, place=place_of(error))
    return BoltResponse(status=500, body={"error": "The request could not be handled: see the function's log."})


def _on_step(event: dict[str, Any], client: WebClient, complete: Complete) -> None:
    """Queue the step's account; a step with wrong inputs ends here, with the reasons as its outputs."""
    execution = _id(event["function_execution_id"], "function_execution_id")
    inputs = event.get("inputs")
    if not isinstance(inputs, dict):
        raise RejectedError(400, "The step has no inputs.")
    try:
        asked = form.read(inputs, settings())
    except form.FormError as error:
        who = inputs.get("who") if "who" not in error.problems else None
        said = modal.sentences(error.problems, _language(client, who), settings())
        _complete(complete, {"status": "refused", "message": " ".join(said.values())})
        logger.info("step refused", fields=sorted(error.problems))
        return
    # The event does not tell who started the workflow: the person the account is for is answered.
    _queue(Create(id=execution, requester=asked.who, execution=execution, **asdict(asked)))


def _complete(complete: Complete, outputs: dict[str, str]) -> None:
    try:
        complete(outputs=outputs)
    except SlackApiError as error:
        # Slack's own no stays a no, as when an earlier attempt has ended the step already.
        logger.warning("the step could not be completed", error=_reason(error))
    except SLACK_FAILURES as error:
        logger.warning("Slack did not answer functions.completeSuccess", error=type(error).__name__)
        raise RejectedError(503, "Slack could not be told about the step's inputs: send the event again.") from error


def _on_user_change(event: dict[str, Any], body: dict[str, Any]) -> None:
    user = event.get("user")
    if not isinstance(user, dict):
        raise RejectedError(400, "The event user_change has no user.")
    if user.get("deleted") is True:
        _queue(Close(id=_id(body.get("event_id"), "event_id"), who=_user(user.get("id"))))


def _on_command(body: dict[str, Any], client: WebClient, ack: Ack) -> None:
    """Open the form before anything else is asked of Slack, as the trigger expires; then put it into their language."""
    asker = _user(body.get("user_id"))
    lang = _languages.get(asker, "en")
    try:
        opened = client.views_open(
            trigger_id=str(body.get("trigger_id")), view=modal.form_view(asker, lang, settings())
        ).get("view")
    except SLACK_FAILURES as error:
        logger.warning("the modal could not be opened", error=_reason(error))
        ack(modal.TEXTS[lang].not_opened)
        return
    if not isinstance(opened, dict):
        logger.warning("the modal could not be opened", error="Slack's answer has no view")
        ack(modal.TEXTS[lang].not_opened)
        return
    ack()
    theirs = _language(client, asker)
    if theirs == lang:
        return
    try:
        # What they have filled in meanwhile stays, as the fields' ids do.
        client.views_update(view_id=str(opened.get("id")), view=modal.form_view(asker, theirs, settings()))
    except SLACK_FAILURES as error:
        logger.info("the modal stays in the language that it was opened in", error=_reason(error))


def _on_submission(body: dict[str, Any], view: dict[str, Any], ack: Ack) -> None:
    """Queue the modal's account under the view's id: a second click on Request is the same request."""
    lang = modal.language(view.get("private_metadata"))
    asker, number = _user(body["user"].get("id")), _id(view.get("id"), "view's id")
    try:
        asked = form.read(modal.answers(view), settings())
    except form.FormError as error:
        ack(response_action="errors", errors=modal.sentences(error.problems, lang, settings()))
        return
    except ValueError as error:
        raise RejectedError(400, "The view has no state of the form.") from error
    try:
        _queue(Create(id=number, requester=asker, **asdict(asked)))
    except RejectedError:
        # Slack does not send a form again: it stays open, with the answers in it, for the person to do so.
        ack(response_action="errors", errors={"purpose": modal.TEXTS[lang].busy})
    else:
        ack(response_action="update", view=modal.received_view(lang))


def _on_decision(body: dict[str, Any], action: dict[str, Any], client: WebClient, ack: Ack) -> None:
    by = _user(body["user"].get("id"))
    channel = _id((body.get("channel") or {}).get("id"), "channel")
    message = _id((body.get("message") or {}).get("ts"), "message's ts")
    decision = Decide(
        id=f"{channel}:{message}",
        approve=action["action_id"] == "approve_account",
        by=by,
        channel=channel,
        message=message,
        request=_waiting(action.get("value")),
    )
    try:
        _queue(decision)
    except RejectedError:
        _tell_busy(client, channel, by)
    ack()


def _waiting(value: object) -> Create:
    """The request in a button's value, which the worker wrote: the JSON object of a Create.

    Raises
    ------
    RejectedError
        400: the value is none, or asks for what no form could ask for.
    """
    try:
        values = json.loads(str(value))
        request = Create(**values)
        asked = form.read(values, settings())
        _id(request.id, "id")
        _user(request.requester)
        if request.execution is not None:
            _id(request.execution, "execution")
    except (TypeError, ValueError, RecursionError, RejectedError) as error:
        raise RejectedError(400, "The button's value is no request for an account.") from error
    if request.approved_by is not None or asdict(asked) != {
        field.name: values.get(field.name) for field in fields(asked)
    }:
        raise RejectedError(400, "The button's value is no request for an account.")
    return request


def _tell_busy(client: WebClient, channel: str, user: str) -> None:
    try:
        client.chat_postEphemeral(channel=channel, user=user, text=modal.TEXTS[_language(client, user)].busy)
    except SLACK_FAILURES as error:
        logger.warning("Slack did not take chat.postEphemeral", error=type(error).__name__)


def _language(client: WebClient, user: object) -> str:
    """The user's language; what it was before if Slack does not tell in time, English at first."""
    if not isinstance(user, str):
        return "en"
    try:
        known = client.users_info(user=user, include_locale=True).get("user")
    except SLACK_FAILURES as error:
        logger.info("no locale from users.info", user=user, error=type(error).__name__)
        return _languages.get(user, "en")
    _languages[user] = modal.language(known.get("locale") if isinstance(known, dict) else None)
    return _languages[user]


def _reason(error: Exception) -> object:
    """Slack's word for what is wrong, or what happened to the connection: an answer may repeat what was sent."""
    said = error.response.get("error") if isinstance(error, SlackApiError) else None
    return said if isinstance(said, str) and ID.fullmatch(said) else type(error).__name__


def _queue(request: Request) -> None:
    """Hand the request to the worker; SQS drops a second one with the same id.

    Raises
    ------
    RejectedError
        503: SQS did not take it. Slack sends an event again.
    """
    try:
        answer = sqs().send_message(
            QueueUrl=places().queue_url,
            MessageBody=to_json(request),
            MessageGroupId=request.who,
            # The id's digest: no id is then too long for SQS, or has a character that it does not allow.
            MessageDeduplicationId=hashlib.sha256(step_of(request).encode()).hexdigest(),
        )
    except (BotoCoreError, ClientError) as error:
        code = error.response["Error"].get("Code") if isinstance(error, ClientError) else type(error).__name__
        logger.error("SQS did not take the request", error=code, request=request.id, queue=places().queue_url)
        raise RejectedError(503, BUSY) from error
    if not answer.get("MessageId"):  # whoever said so is not SQS
        logger.error("SQS's answer has no MessageId", request=request.id, queue=places().queue_url)
        raise RejectedError(503, BUSY)
    logger.info("queued", kind=type(request).__name__.lower(), request=request.id, who=request.who)


def _id(value: object, name: str) -> str:
    if isinstance(value, str) and ID.fullmatch(value):
        return value
    raise RejectedError(400, f"The payload has no {name}.")


def _user(value: object) -> str:
    if isinstance(value, str) and form.USER_ID.fullmatch(value):
        return value
    raise RejectedError(400, "The payload names no user.")
