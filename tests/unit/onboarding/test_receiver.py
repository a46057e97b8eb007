"""The function that Slack calls: every way in, and everything that must not get in."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import runpy
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from botocore.stub import Stubber
from onboarding import environment, form, modal, receiver, slack_app
from onboarding.requests import Close, Create, Decide, from_json

from local.outside.slack_blocks import problems
from tests.unit.onboarding.slack_requests import FORM, SECRET, WebApi, command, event, interaction, request, web_api

TOKEN = "xoxb-1-the-token-of-the-bot"
WORKFLOW_TOKEN = "xwfp-1-the-token-of-the-workflow"
QUEUE = "https://sqs.ap-northeast-1.amazonaws.com/123456789012/requests.fifo"
TEAM, WHO, ASKER = "T0123456789", "U0123456789", "U0987654321"
PURPOSE = "Summaries of the meetings about our secret merger"
PREFIX = "/litellm/test"
VIEW, EN = "V0123456789", "LLM gateway account"
CONTEXT = SimpleNamespace(
    function_name="receiver",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:ap-northeast-1:123456789012:function:receiver",
    aws_request_id="6f747ef1-7e59-4d6d-9b3b-3b0c9c1d3a9e",
)
SETTINGS = environment.Settings(
    command="/llm-account",
    workspace=TEAM,
    audit_channel="C0123456789",
    approver_group="S0123456789",
    mail_domains=("example.com",),
    teams=("platform", "research"),
    max_budget=100,
    budget_ceiling=1000,
    budget_duration="30d",
    models=(),
    tpm_limit=None,
    rpm_limit=None,
    protected=(),
    dry_run=False,
    close_limit=20,
)


class Queue:
    """What SQS is given, checked by botocore's description of it."""

    def __init__(self, stubber: Stubber) -> None:
        self.stubber = stubber
        self.sent: list[dict[str, Any]] = []

    def fails(self, code: str = "ServiceUnavailable") -> None:
        """Let the next message fail."""
        self.stubber.add_client_error("send_message", code, http_status_code=503)

    def takes(self, count: int = 1) -> None:
        for _ in range(count):
            self.stubber.add_response("send_message", {"MessageId": "1", "SequenceNumber": "1"})


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the deployed function."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SLACK_BOT_TOKEN", "SLACK_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
    monkeypatch.setenv("PARAMETER_PREFIX", PREFIX)
    monkeypatch.setenv("QUEUE_URL", QUEUE)
    monkeypatch.setenv("ONBOARDING", json.dumps(asdict(SETTINGS)))
    monkeypatch.setattr(slack_app, "_languages", {})
    for cached in (environment.settings, environment.places, slack_app.app, slack_app.sqs):
        cached.cache_clear()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Parameter Store, empty until told."""
    import boto3

    client = boto3.client("ssm")
    monkeypatch.setitem(DEFAULT_PROVIDERS, "ssm", parameters.SSMProvider(boto3_client=client))
    with Stubber(client) as stubber:
        yield stubber


def has(store: Stubber, name: str, value: str) -> None:
    answer = {"Parameter": {"Name": f"{PREFIX}/{name}", "Type": "SecureString", "Value": value}}
    store.add_response("get_parameter", answer, {"Name": f"{PREFIX}/{name}", "WithDecryption": True})


@pytest.fixture
def secrets(store: Stubber) -> Stubber:
    """Parameter Store, asked once for each secret, in the order in which they are needed."""
    has(store, "SLACK_SIGNING_SECRET", SECRET)
    has(store, "SLACK_BOT_TOKEN", TOKEN)
    return store


@pytest.fixture
def queue(secrets: Stubber) -> Iterator[Queue]:
    client = slack_app.sqs()
    with Stubber(client) as stubber:
        queue = Queue(stubber)
        sends = cast(Any, client).meta.events
        sends.register("before-parameter-build.sqs.SendMessage", lambda params, **_: queue.sent.append(params))
        yield queue


@pytest.fixture
def slack(queue: Queue) -> Iterator[WebApi]:
    with web_api() as api:
        slack_app.app().client.base_url = api.url
        api.answers["users.info"] = {"ok": True, "user": {"id": ASKER, "locale": "en-US"}}
        api.answers["views.open"] = {"ok": True, "view": {"id": VIEW}}
        yield api


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """All that is logged: by the function's logger, and by any library's at DEBUG."""
    stream = io.StringIO()
    for handler in logging.getLogger("service_undefined").handlers + cast(Any, slack_app.logger)._logger.handlers:
        monkeypatch.setattr(handler, "stream", stream)
    everything = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(everything)
    root.setLevel(logging.DEBUG)
    for name in ("botocore", "boto3", "urllib3"):  # AWS's own, which the function leaves at their level
        monkeypatch.setattr(logging.getLogger(name), "level", logging.WARNING)
    yield stream
    root.removeHandler(everything)
    root.setLevel(level)


def call(event: dict[str, Any]) -> tuple[int, Any]:
    """The answer's status and body, parsed if it is JSON."""
    answer = receiver.handler(event, cast(Any, CONTEXT))
    body = answer["body"]
    assert isinstance(body, str)
    return answer["statusCode"], json.loads(body) if body.startswith("{") else body


def refused(event: dict[str, Any]) -> tuple[int, Any]:
    """The status and the body of a refusal. Slack is not to send again what no later time makes right.

    A signature may be right later: a secret that has just been changed is known within `environment.SECRET_AGE`.
    """
    answer = receiver.handler(event, cast(Any, CONTEXT))
    status, again = answer["statusCode"], answer["headers"].get("x-slack-no-retry") != "1"
    assert again == (status == 401 or status >= 500)
    return status, json.loads(answer["body"])


def step(**changes: object) -> dict[str, Any]:
    """A workflow step's event; `changes` are of its inputs, None takes one out."""
    inputs = {"who": WHO, "team": "platform", "purpose": PURPOSE} | changes
    return {
        "token": "verification",
        "team_id": TEAM,
        "api_app_id": "A0123456789",
        "type": "event_callback",
        "event_id": "Ev0123456789",
        "event_time": 1698958075,
        "authorizations": [{"team_id": TEAM, "user_id": ASKER, "is_bot": True, "is_enterprise_install": False}],
        "event": {
            "type": "function_executed",
            "function": {"id": "Fn0123456789", "callback_id": "create_account", "type": "app"},
            "inputs": {name: value for name, value in inputs.items() if value is not None},
            "function_execution_id": "Fx0123456789",
            "workflow_execution_id": "Wx0123456789",
            "event_ts": "1698958075.998738",
            "bot_access_token": WORKFLOW_TOKEN,
        },
    }


def left(deleted: object = True, **user: object) -> dict[str, Any]:
    """The event of a changed user."""
    changed = {"id": WHO, "team_id": TEAM, "deleted": deleted, "profile": {"email": "taro@example.com"}} | user
    return {
        "team_id": TEAM,
        "type": "event_callback",
        "event_id": "Ev0123456789",
        "event": {"type": "user_change", "user": changed, "event_ts": "1698958075.998738"},
    }


COMMAND = {
    "command": "/llm-account",
    "team_id": TEAM,
    "user_id": ASKER,
    "channel_id": "C0000000001",
    "text": f"payload of {PURPOSE}",
    "trigger_id": "13345224609.738474920.8088930838d88f008e0",
    "response_url": "https://hooks.slack.com/commands/1/2/3",
}


def submission(language: str = "en", **changes: object) -> dict[str, Any]:
    """A submitted modal."""
    answers = {"who": WHO, "team": "platform", "purpose": PURPOSE, "max_budget": None} | changes
    return {
        "type": "view_submission",
        "team": {"id": TEAM, "domain": "example"},
        "user": {"id": ASKER, "team_id": TEAM},
        "view": {
            "id": "V0123456789",
            "team_id": TEAM,
            "type": "modal",
            "callback_id": "request_account",
            "private_metadata": language,
            "state": {
                "values": {
                    "who": {"who": {"type": "users_select", "selected_user": answers["who"]}},
                    "team": {"team": {"type": "static_select", "selected_option": {"value": answers["team"]}}},
                    "purpose": {"purpose": {"type": "plain_text_input", "value": answers["purpose"]}},
                    "max_budget": {"max_budget": {"type": "number_input", "value": answers["max_budget"]}},
                }
            },
        },
    }


WAITING = Create(
    id="Fx0123456789",
    who=WHO,
    requester=ASKER,
    team="platform",
    purpose=PURPOSE,
    max_budget=500.0,
    execution="Fx0123456789",
)


def click(action: str = "approve_account", value: str | None = None) -> dict[str, Any]:
    """A click on a button that the worker made."""
    return {
        "type": "block_actions",
        "team": {"id": TEAM, "domain": "example"},
        "user": {"id": ASKER, "team_id": TEAM},
        "channel": {"id": "C0123456789", "name": "audit"},
        "message": {"type": "message", "ts": "1698958075.998738", "text": PURPOSE},
        "response_url": "https://hooks.slack.com/actions/1/2/3",
        "trigger_id": "13345224609.738474920.8088930838d88f008e0",
        "actions": [
            {
                "type": "button",
                "action_id": action,
                "block_id": "decision",
                "value": json.dumps(asdict(WAITING), ensure_ascii=False) if value is None else value,
            }
        ],
    }


def without(payload: dict[str, Any], *path: str) -> dict[str, Any]:
    """The payload without what is at the path."""
    return {k: without(v, *path[1:]) if k == path[0] else v for k, v in payload.items() if path != (k,)}


def changed(payload: dict[str, Any], value: object, *path: str) -> dict[str, Any]:
    """The payload with the value at the path."""
    first, *rest = path
    return payload | {first: changed(payload[first], value, *rest) if rest else value}


def view_of(arguments: dict[str, Any]) -> dict[str, Any]:
    """The view that a call of Slack has, as an object or as its JSON text."""
    view = arguments["view"]
    return dict(json.loads(view) if isinstance(view, str) else view)


def button(**values: object) -> str:
    return json.dumps(asdict(WAITING) | values)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- what gets in ---


def test_url_verification_is_answered(slack: WebApi) -> None:
    assert call(event({"type": "url_verification", "token": "t", "challenge": "3eZbrw1a"})) == (
        200,
        {"challenge": "3eZbrw1a"},
    )


def test_ssl_check_is_answered(slack: WebApi) -> None:
    assert call(command({"ssl_check": "1", "token": "t"})) == (200, "")


@pytest.mark.parametrize("encoded", [False, True])
def test_step_is_queued(slack: WebApi, queue: Queue, encoded: bool) -> None:
    queue.takes()
    answer = call(event(step(team=" Platform ", purpose=f"  {PURPOSE}\n", max_budget="250.5"), encoded=encoded))
    assert answer == (200, "")
    (sent,) = queue.sent
    assert sent["QueueUrl"] == QUEUE
    assert sent["MessageGroupId"] == WHO
    assert sent["MessageDeduplicationId"] == digest("Fx0123456789")
    assert from_json(sent["MessageBody"]) == replace(WAITING, requester=WHO, max_budget=250.5)
    assert WORKFLOW_TOKEN not in sent["MessageBody"]
    assert slack.calls == []


@pytest.mark.parametrize(("budget", "expected"), [(None, None), ("", None), (1000, 1000.0), (0.5, 0.5), ("7", 7.0)])
def test_budget_of_a_step(slack: WebApi, queue: Queue, budget: object, expected: float | None) -> None:
    queue.takes()
    assert call(event(step(max_budget=budget)))[0] == 200
    request = from_json(queue.sent[0]["MessageBody"])
    assert isinstance(request, Create)
    assert request.max_budget == expected


def test_slacks_retry_is_the_same_request(slack: WebApi, queue: Queue) -> None:
    queue.takes(2)
    sent = event(step())
    retried = event(step(), headers={"x-slack-retry-num": "1", "x-slack-retry-reason": "http_timeout"})
    assert [call(sent)[0], call(retried)[0]] == [200, 200]
    assert queue.sent[0] == queue.sent[1]


def test_replayed_request_is_the_same_request(slack: WebApi, queue: Queue) -> None:
    queue.takes(2)
    sent = event(step())
    assert [call(sent)[0], call(sent)[0]] == [200, 200]
    assert queue.sent[0]["MessageDeduplicationId"] == queue.sent[1]["MessageDeduplicationId"]


def test_someone_leaves(slack: WebApi, queue: Queue) -> None:
    queue.takes()
    assert call(event(left())) == (200, "")
    (sent,) = queue.sent
    assert from_json(sent["MessageBody"]) == Close(id="Ev0123456789", who=WHO)
    assert (sent["MessageGroupId"], sent["MessageDeduplicationId"]) == (WHO, digest("Ev0123456789"))


@pytest.mark.parametrize("deleted", [False, None, "true"])
def test_other_changes_of_a_user_are_nothing(slack: WebApi, queue: Queue, deleted: object) -> None:
    assert call(event(left(deleted))) == (200, "")
    assert queue.sent == []


@pytest.mark.parametrize(("locale", "title"), [("ja-JP", "LLMゲートウェイのアカウント"), ("de-DE", EN)])
def test_command_opens_the_modal(slack: WebApi, locale: str, title: str) -> None:
    slack.answers["users.info"] = {"ok": True, "user": {"locale": locale}}
    assert call(command(COMMAND)) == (200, "")
    (opened, with_), (info, asked), *updated = slack.calls  # the form before all else: the trigger expires
    assert (opened, with_["trigger_id"]) == ("views.open", COMMAND["trigger_id"])
    assert (info, asked["user"], asked["include_locale"]) == ("users.info", ASKER, "1")
    assert [(method, how["view_id"]) for method, how in updated] == ([("views.update", VIEW)] if title != EN else [])
    for how, shown in zip([with_, *(how for _, how in updated)], (EN, title), strict=False):
        view = view_of(how)
        assert view["title"]["text"] == shown
        assert [block["block_id"] for block in view["blocks"]] == ["who", "team", "purpose", "max_budget"]
        assert view["blocks"][0]["element"]["initial_user"] == ASKER
    assert slack.tokens == {f"Bearer {TOKEN}"}


def test_a_known_language_is_the_forms_from_the_start(slack: WebApi) -> None:
    for locale in ("ja-JP", "ja-JP", "en-GB", "en-GB"):
        slack.answers["users.info"] = {"ok": True, "user": {"locale": locale}}
        call(command(COMMAND))
    shown = [(method, view_of(how)["private_metadata"]) for method, how in slack.calls if method != "users.info"]
    opened, updated = "views.open", "views.update"
    assert shown == [(opened, "en"), (updated, "ja"), (opened, "ja"), (opened, "ja"), (updated, "en"), (opened, "en")]


@pytest.mark.parametrize("answer", [None, {"ok": False, "error": "not_found"}])
def test_a_form_that_cannot_be_put_into_their_language_stays_open(slack: WebApi, answer: dict[str, Any] | None) -> None:
    slack.answers |= {"users.info": {"ok": True, "user": {"locale": "ja-JP"}}, "views.update": answer}
    assert call(command(COMMAND)) == (200, "")


def test_init_makes_what_the_first_request_needs(slack: WebApi, store: Stubber) -> None:
    """Lambda's init phase: the store has each secret once, so that a request that asked again would find none."""
    slack_app.prepare()
    store.assert_no_pending_responses()
    assert slack_app.app.cache_info().currsize == 1
    assert call(command(COMMAND)) == (200, "")


def test_init_goes_on_without_a_secret(store: Stubber) -> None:
    for _ in slack_app.SECRETS:
        store.add_client_error("get_parameter", "ThrottlingException")
    slack_app.prepare()
    has(store, "SLACK_SIGNING_SECRET", SECRET)
    assert call(event({"type": "url_verification", "token": "t", "challenge": "3eZbrw1a"}))[0] == 200


@pytest.mark.parametrize(("name", "prepared"), [("AWS_LAMBDA_FUNCTION_NAME", 1), ("OTHER", 0)])
def test_a_function_is_prepared_as_it_starts(monkeypatch: pytest.MonkeyPatch, name: str, prepared: int) -> None:
    monkeypatch.setenv(name, "receiver")
    monkeypatch.delitem(sys.modules, "onboarding.receiver")
    with mock.patch.object(slack_app, "prepare") as prepare:
        runpy.run_module("onboarding.receiver")
    assert prepare.call_count == prepared


@pytest.mark.parametrize("answer", [None, {"ok": False, "error": "missing_scope"}, {"ok": True}])
def test_modal_is_english_if_the_locale_is_not_known(slack: WebApi, answer: dict[str, Any] | None) -> None:
    slack.answers["users.info"] = answer
    assert call(command(COMMAND)) == (200, "")
    assert [view_of(how)["title"]["text"] for method, how in slack.calls if method != "users.info"] == [EN]


@pytest.mark.parametrize("answer", [None, {"ok": False, "error": "expired_trigger_id"}])
def test_person_is_told_that_the_modal_does_not_open(slack: WebApi, answer: dict[str, Any] | None) -> None:
    slack.answers["views.open"] = answer
    assert call(command(COMMAND)) == (200, modal.TEXTS["en"].not_opened)


def test_submission_is_queued_once(slack: WebApi, queue: Queue) -> None:
    queue.takes(2)
    for _ in range(2):
        status, answer = call(interaction(submission("ja", max_budget="500")))
        assert (status, answer["response_action"]) == (200, "update")
        assert answer["view"]["blocks"][0]["text"]["text"] == modal.TEXTS["ja"].received
    assert queue.sent[0] == queue.sent[1]
    assert queue.sent[0]["MessageDeduplicationId"] == digest("V0123456789")
    assert from_json(queue.sent[0]["MessageBody"]) == replace(WAITING, id="V0123456789", execution=None)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_submission_with_bad_answers_stays_open(slack: WebApi, queue: Queue, language: str) -> None:
    status, answer = call(interaction(submission(language, who=None, team="sales", purpose=" ", max_budget="-1")))
    texts = modal.TEXTS[language]
    assert (status, answer["response_action"]) == (200, "errors")
    assert answer["errors"] == {
        "who": texts.who_unknown,
        "team": texts.team_unknown.format(teams="platform, research"),
        "purpose": texts.purpose_empty,
        "max_budget": texts.budget_wrong.format(highest="1000"),
    }
    assert queue.sent == []


@pytest.mark.parametrize(("action", "approve"), [("approve_account", True), ("deny_account", False)])
def test_decision_is_queued(slack: WebApi, queue: Queue, action: str, approve: bool) -> None:
    queue.takes()
    assert call(interaction(click(action))) == (200, "")
    (sent,) = queue.sent
    number = "C0123456789:1698958075.998738"
    assert from_json(sent["MessageBody"]) == Decide(
        id=number, approve=approve, by=ASKER, channel="C0123456789", message="1698958075.998738", request=WAITING
    )
    assert (sent["MessageGroupId"], sent["MessageDeduplicationId"]) == (
        WHO,
        digest(f"{number}#{ASKER}#{approve}"),  # another person's click on the same message is not the same request
    )


def test_without_approvers_nobody_asks_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert form.highest_budget(SETTINGS) == 1000
    assert form.highest_budget(replace(SETTINGS, approver_group=None)) == 100


def test_organisation(slack: WebApi, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app of a whole organisation: its id counts, whichever workspace the person is in."""
    monkeypatch.setenv("ONBOARDING", json.dumps(asdict(replace(SETTINGS, workspace="E0123456789"))))
    environment.settings.cache_clear()
    queue.takes(3)
    assert call(event(step() | {"enterprise_id": "E0123456789", "team_id": "T0000000002"}))[0] == 200
    installed = [{"enterprise_id": "E0123456789", "team_id": None, "is_enterprise_install": True}]
    assert call(event(step() | {"team_id": "T0000000002", "authorizations": installed}))[0] == 200
    for others in (
        "E0123456789",
        {"enterprise_id": "E0123456789"},
        [{"enterprise_id": "E9876543210"}],
        ["E0123456789"],
    ):
        assert call(event(step() | {"team_id": "T0000000002", "authorizations": others}))[0] == 403
    inside = submission() | {"team": None, "enterprise": {"id": "E0123456789"}, "is_enterprise_install": True}
    assert call(interaction(inside))[0] == 200
    assert call(event(step()))[0] == 403


# --- what does not work at the moment ---


@pytest.mark.parametrize("name", ["SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN"])
@pytest.mark.parametrize("code", ["ParameterNotFound", "AccessDeniedException", "empty"])
def test_secret_that_cannot_be_read(store: Stubber, log: io.StringIO, name: str, code: str) -> None:
    if name == "SLACK_BOT_TOKEN":
        has(store, "SLACK_SIGNING_SECRET", SECRET)
    if code == "empty":
        has(store, name, " ")
    else:
        store.add_client_error("get_parameter", code)
    sentence = "The app's secrets cannot be read at the moment: try again in a minute."
    assert call(event(step())) == (503, {"error": sentence})
    assert f"cannot read the parameter {PREFIX}/{name}" in log.getvalue()
    assert "make secrets" in log.getvalue()
    assert "Traceback" not in log.getvalue()


@pytest.mark.parametrize("payload", [step(), left()], ids=["step", "left"])
def test_slack_is_to_send_an_event_again_if_the_queue_fails(
    slack: WebApi, queue: Queue, payload: dict[str, Any]
) -> None:
    queue.fails("AccessDenied")
    sentence = "The request cannot be queued at the moment: send it again."
    assert call(event(payload)) == (503, {"error": sentence})


def test_form_stays_open_if_the_queue_fails(slack: WebApi, queue: Queue) -> None:
    queue.fails("AccessDenied")
    errors = {"purpose": modal.TEXTS["ja"].busy}
    assert call(interaction(submission("ja"))) == (200, {"response_action": "errors", "errors": errors})


@pytest.mark.parametrize("answer", [{"ok": True}, None])
def test_approver_is_told_if_the_queue_fails(slack: WebApi, queue: Queue, answer: dict[str, Any] | None) -> None:
    queue.fails("AccessDenied")
    slack.answers["chat.postEphemeral"] = answer
    assert call(interaction(click())) == (200, "")
    method, said = slack.calls[-1]
    assert (method, said["channel"], said["user"], said["text"]) == (
        "chat.postEphemeral",
        "C0123456789",
        ASKER,
        modal.TEXTS["en"].busy,
    )


@pytest.mark.parametrize(
    ("answer", "status"),
    [(None, 503), ({"ok": False, "error": "function_execution_not_found"}, 200), ({"ok": True}, 200)],
    ids=["no answer", "completed before", "completed"],
)
def test_step_that_slack_cannot_complete(slack: WebApi, answer: dict[str, Any] | None, status: int) -> None:
    slack.answers["functions.completeSuccess"] = answer
    assert call(event(step(team="sales")))[0] == status


def test_unforeseen_error_shows_nothing(slack: WebApi, log: io.StringIO) -> None:
    error = RuntimeError(PURPOSE)
    sentence = "The request could not be handled: see the function's log."
    for place in ("onboarding.slack_app._queue", "onboarding.receiver._check_workspace"):
        with mock.patch(place, side_effect=error):
            assert call(event(step())) == (500, {"error": sentence})
    assert "RuntimeError" in log.getvalue()
    assert PURPOSE not in log.getvalue()


# --- what must not get in ---

DEEP = '{"type": "event_callback", "event": ' + "[" * 100_000 + "]" * 100_000 + "}"
NO_ROUTE = "There is nothing at this path: Slack's requests go to /slack/events."
METHOD = "Slack's requests use the method POST."
NO_BODY = "The request has no body."
LARGE = "The body is larger than 262144 bytes, which no request of Slack's to this app is."
TIMESTAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"
STALE = "The request is not of the last 5 minutes: see the clocks."
FORGED = "The signature is not Slack's for this body: see the app's signing secret."
GARBLED = "The header X-Slack-Signature is not a signature of version v0."
NO_NUMBER = "The header X-Slack-Request-Timestamp is not a number of seconds."
TYPE = "The body must be application/json or application/x-www-form-urlencoded."
UNKNOWN = "The app does not handle this event, command or action: see its manifest."
ELSEWHERE = "The request is from another workspace than the one that this app serves."
BUTTON = "The button's value is no request for an account."

Row = tuple[str, Callable[[], dict[str, Any]], int, str]
UNTRUSTED: list[Row] = [
    ("another path", lambda: event(step(), path="/"), 404, NO_ROUTE),
    ("a longer path", lambda: event(step(), path="/slack/events/"), 404, NO_ROUTE),
    ("GET", lambda: event(step(), method="GET"), 405, METHOD),
    ("PUT", lambda: event(step(), method="PUT"), 405, METHOD),
    ("no HTTP request", dict, 404, NO_ROUTE),
    ("empty body", lambda: request(""), 400, NO_BODY),
    ("no body", lambda: event(step()) | {"body": None}, 400, NO_BODY),
    ("oversized", lambda: request("x" * 262_145), 413, LARGE),
    ("oversized in bytes", lambda: request("あ" * 90_000), 413, LARGE),
    ("oversized in base64", lambda: request("x" * 262_145, encoded=True), 413, LARGE),
    ("far oversized", lambda: request("x" * 9_000_000, encoded=True), 413, LARGE),
    ("bad base64", lambda: event(step()) | {"isBase64Encoded": True}, 400, "The body is not valid base64."),
    ("base64 beyond ASCII", lambda: request("é") | {"isBase64Encoded": True}, 400, "The body is not valid base64."),
    ("not UTF-8", lambda: request(b"\xff\xfe", encoded=True), 400, "The body is not UTF-8 text."),
    ("no timestamp", lambda: event({}, headers={TIMESTAMP.lower(): None}), 401, f"The header {TIMESTAMP} is missing."),
    ("no signature", lambda: event({}, headers={SIGNATURE.lower(): None}), 401, f"The header {SIGNATURE} is missing."),
    ("no headers", lambda: event({}) | {"headers": None}, 401, f"The header {TIMESTAMP} is missing."),
    (
        "two timestamps",
        lambda: event({}, headers={TIMESTAMP.lower(): "1,2"}),
        401,
        f"The header {TIMESTAMP} is there more than once.",
    ),
    (
        "two signatures",
        lambda: event({}, headers={SIGNATURE: "v0=" + "0" * 64}),
        401,
        f"The header {SIGNATURE} is there more than once.",
    ),
    ("stale", lambda: event(step(), age=310), 401, STALE),
    ("future", lambda: event(step(), age=-310), 401, STALE),
    ("timestamp in words", lambda: event(step(), headers={TIMESTAMP.lower(): "now"}), 401, NO_NUMBER),
    ("negative timestamp", lambda: event(step(), headers={TIMESTAMP.lower(): "-5"}), 401, NO_NUMBER),
    ("timestamp in other digits", lambda: event(step(), headers={TIMESTAMP.lower(): "١٢٣"}), 401, NO_NUMBER),
    ("long timestamp", lambda: event(step(), headers={TIMESTAMP.lower(): "9" * 5000}), 401, NO_NUMBER),
    ("garbled signature", lambda: event(step(), headers={SIGNATURE.lower(): "v0=zz"}), 401, GARBLED),
    ("signature beyond ASCII", lambda: event(step(), headers={SIGNATURE.lower(): "v0=" + "é" * 64}), 401, GARBLED),
    ("other version", lambda: event(step(), headers={SIGNATURE.lower(): "v1=" + "0" * 64}), 401, GARBLED),
    ("forged", lambda: event(step(), headers={SIGNATURE.lower(): "v0=" + "0" * 64}), 401, FORGED),
    ("another app's secret", lambda: event(step(), secret="another"), 401, FORGED),
    ("changed body", lambda: event(step()) | {"body": json.dumps(step(team="research"))}, 401, FORGED),
    ("changed timestamp", lambda: event(step(), age=60) | {"headers": _later(event(step(), age=60))}, 401, FORGED),
    ("forged and malformed", lambda: request("{", secret="another"), 401, FORGED),
    ("forged and nested", lambda: request(DEEP, secret="another"), 401, FORGED),
    ("forged, another type", lambda: request("x", kind="text/plain", secret="another"), 401, FORGED),
]


def _later(sent: dict[str, Any]) -> dict[str, str]:
    headers = dict(sent["headers"])
    return headers | {TIMESTAMP.lower(): str(int(headers[TIMESTAMP.lower()]) + 1)}


def form_of(text: str) -> dict[str, Any]:
    return request(text, kind=FORM)


SIGNED: list[Row] = [
    ("no type", lambda: request("{}", kind=None), 415, "The header Content-Type is missing."),
    ("text", lambda: request("{}", kind="text/plain"), 415, TYPE),
    ("files", lambda: request("--x", kind="multipart/form-data; boundary=x"), 415, TYPE),
    ("malformed JSON", lambda: request('{"type": '), 400, "The body is not valid JSON."),
    ("NaN in JSON", lambda: request('{"type": NaN}'), 400, "The body is not valid JSON."),
    ("a list", lambda: request("[]"), 400, "The body is not a JSON object."),
    ("a word", lambda: request('"event_callback"'), 400, "The body is not a JSON object."),
    ("deeply nested", lambda: request(DEEP), 400, "The body is JSON that is nested too deeply."),
    ("malformed form", lambda: form_of("command"), 400, "The body is not a valid form."),
    ("form beyond UTF-8", lambda: form_of("command=%ff"), 400, "The body is not a valid form."),
    ("too many fields", lambda: form_of("&".join(f"f{n}=1" for n in range(60))), 400, "The body is not a valid form."),
    ("a field twice", lambda: form_of("team_id=T1&team_id=T2"), 400, "The form has a field more than once."),
    ("malformed payload", lambda: form_of("payload=%7B"), 400, "The form's payload is not valid JSON."),
    ("payload no object", lambda: form_of("payload=1"), 400, "The form's payload is not a JSON object."),
    ("challenge missing", lambda: event({"type": "url_verification"}), 400, "The payload has no challenge."),
    ("event missing", lambda: event(without(step(), "event")), 400, "The payload has no event."),
    ("event no object", lambda: event(changed(step(), [1], "event")), 400, "The payload's event is not an object."),
    ("event without type", lambda: event(without(step(), "event", "type")), 404, UNKNOWN),
    ("unknown event", lambda: event(changed(step(), "message", "event", "type")), 404, UNKNOWN),
    ("event's type a list", lambda: event(changed(step(), ["x"], "event", "type")), 404, UNKNOWN),
    ("unknown type", lambda: event(changed(step(), "app_rate_limited", "type")), 404, UNKNOWN),
    ("type a list", lambda: event(changed(step(), ["x"], "type")), 404, UNKNOWN),
    (
        "odd authorizations",
        lambda: event(changed(step(), [1], "authorizations")),
        400,
        "The payload does not have the shape of a Slack request.",
    ),
    ("unknown step", lambda: event(changed(step(), "other", "event", "function", "callback_id")), 404, UNKNOWN),
    (
        "step without function",
        lambda: event(without(step(), "event", "function")),
        400,
        "The event function_executed names no function.",
    ),
    ("step without execution", lambda: event(without(step(), "event", "function_execution_id")), 404, UNKNOWN),
    (
        "execution no id",
        lambda: event(changed(step(), "Fx 1\n", "event", "function_execution_id")),
        400,
        "The payload has no function_execution_id.",
    ),
    ("no inputs", lambda: event(without(step(), "event", "inputs")), 400, "The step has no inputs."),
    ("inputs a list", lambda: event(changed(step(), [], "event", "inputs")), 400, "The step has no inputs."),
    ("another workspace", lambda: event(step() | {"team_id": "T9999999999"}), 403, ELSEWHERE),
    ("person of another workspace", lambda: interaction(changed(click(), "T9999999999", "team", "id")), 403, ELSEWHERE),
    ("command elsewhere", lambda: command(COMMAND | {"team_id": "T9999999999"}), 403, ELSEWHERE),
    ("no workspace", lambda: event(without(step(), "team_id")), 400, "The payload names no workspace."),
    ("unknown command", lambda: command(COMMAND | {"command": "/other"}), 404, UNKNOWN),
    ("command of nobody", lambda: command(without(COMMAND, "user_id")), 400, "The payload names no user."),
    ("user missing", lambda: event(without(left(), "event", "user")), 400, "The event user_change has no user."),
    ("user a word", lambda: event(changed(left(), "U1", "event", "user")), 400, "The event user_change has no user."),
    ("user without id", lambda: event(left(id=None)), 400, "The payload names no user."),
    ("leaving without event id", lambda: event(without(left(), "event_id")), 400, "The payload has no event_id."),
    ("unknown action", lambda: interaction(click("other")), 404, UNKNOWN),
    ("no actions", lambda: interaction(changed(click(), [], "actions")), 400, "The payload has no actions."),
    (
        "actions no objects",
        lambda: interaction(changed(click(), [1], "actions")),
        400,
        "The payload's actions are not a list of objects.",
    ),
    (
        "click without message",
        lambda: interaction(without(click(), "message")),
        400,
        "The payload has no message's ts.",
    ),
    ("click without channel", lambda: interaction(without(click(), "channel")), 400, "The payload has no channel."),
    ("click of nobody", lambda: interaction(without(click(), "user")), 400, "The payload has no user."),
    ("button without value", lambda: interaction(click(value="")), 400, BUTTON),
    ("button's value malformed", lambda: interaction(click(value='{"id": ')), 400, BUTTON),
    ("button's value a list", lambda: interaction(click(value="[]")), 400, BUTTON),
    ("button's value nested", lambda: interaction(click(value="[" * 20_000)), 400, BUTTON),
    ("button with another field", lambda: interaction(click(value=button(admin=True))), 400, BUTTON),
    ("button's budget tampered", lambda: interaction(click(value=button(max_budget=1e6))), 400, BUTTON),
    ("button's budget a text", lambda: interaction(click(value=button(max_budget="5"))), 400, BUTTON),
    ("button's who tampered", lambda: interaction(click(value=button(who="admin"))), 400, BUTTON),
    ("button's team tampered", lambda: interaction(click(value=button(team="sales"))), 400, BUTTON),
    ("button's requester tampered", lambda: interaction(click(value=button(requester=None))), 400, BUTTON),
    ("button's id tampered", lambda: interaction(click(value=button(id=7))), 400, BUTTON),
    ("button approved already", lambda: interaction(click(value=button(approved_by=ASKER))), 400, BUTTON),
    ("unknown modal", lambda: interaction(changed(submission(), "other", "view", "callback_id")), 404, UNKNOWN),
    (
        "modal without name",
        lambda: interaction(without(submission(), "view", "callback_id")),
        400,
        "The payload's view has no callback_id.",
    ),
    ("view missing", lambda: interaction(without(submission(), "view")), 400, "The payload has no view."),
    ("view without id", lambda: interaction(without(submission(), "view", "id")), 400, "The payload has no view's id."),
    (
        "view without state",
        lambda: interaction(without(submission(), "view", "state")),
        400,
        "The view has no state of the form.",
    ),
    (
        "view without a field",
        lambda: interaction(without(submission(), "view", "state", "values", "team")),
        400,
        "The view has no state of the form.",
    ),
]


@pytest.mark.parametrize(("make", "status", "sentence"), [row[1:] for row in UNTRUSTED], ids=[r[0] for r in UNTRUSTED])
def test_untrusted_request(
    slack: WebApi,
    queue: Queue,
    log: io.StringIO,
    make: Callable[[], dict[str, Any]],
    status: int,
    sentence: str,
) -> None:
    """Nothing of it is parsed, and Slack's token is not even read."""
    with (
        mock.patch.object(receiver, "json", SimpleNamespace(dumps=json.dumps, loads=None)),
        mock.patch.object(receiver, "parse_qsl", None),
        mock.patch.object(receiver, "read_secret", side_effect=lambda name: {"SLACK_SIGNING_SECRET": SECRET}[name]),
    ):
        assert refused(make()) == (status, {"error": sentence})
    assert sentence.split("'")[0] in log.getvalue()
    assert (queue.sent, slack.calls) == ([], [])
    assert_silent(log)


@pytest.mark.parametrize(("make", "status", "sentence"), [row[1:] for row in SIGNED], ids=[row[0] for row in SIGNED])
def test_signed_request_that_is_wrong(
    slack: WebApi,
    queue: Queue,
    log: io.StringIO,
    make: Callable[[], dict[str, Any]],
    status: int,
    sentence: str,
) -> None:
    assert refused(make()) == (status, {"error": sentence})
    assert queue.sent == []
    assert_silent(log)


def texts(**problems: str) -> str:
    return " ".join(modal.sentences(problems, "en", SETTINGS).values())


STEPS: list[tuple[str, dict[str, object], str]] = [
    (
        "nothing",
        {"who": None, "team": None, "purpose": None},
        texts(who="who_unknown", team="team_unknown", purpose="purpose_empty"),
    ),
    ("who missing", {"who": None}, "Who the account is for must be one person of this workspace: choose a Slack user."),
    ("who no id", {"who": "taro@example.com"}, texts(who="who_unknown")),
    ("who several", {"who": [WHO, ASKER]}, texts(who="who_unknown")),
    ("team unknown", {"team": "sales"}, "The team must be one of: platform, research."),
    ("team a number", {"team": 5}, texts(team="team_unknown")),
    ("purpose blank", {"purpose": " \n\t"}, "The purpose is empty: write in a few words what the account is for."),
    ("purpose no text", {"purpose": {"text": "x"}}, texts(purpose="purpose_empty")),
    ("purpose half a character", {"purpose": "\ud800"}, texts(purpose="purpose_empty")),
    ("purpose long", {"purpose": "x" * 301}, "The purpose is too long: write at most 300 characters."),
    (
        "budget negative",
        {"max_budget": -5},
        "The budget must be a number above 0 and at most 1000 US dollars, or empty.",
    ),
    ("budget zero", {"max_budget": 0}, texts(max_budget="budget_wrong")),
    ("budget NaN", {"max_budget": "NaN"}, texts(max_budget="budget_wrong")),
    ("budget infinite", {"max_budget": "inf"}, texts(max_budget="budget_wrong")),
    ("budget too large", {"max_budget": 1000.01}, texts(max_budget="budget_wrong")),
    ("budget huge", {"max_budget": 10**400}, texts(max_budget="budget_wrong")),
    ("budget true", {"max_budget": True}, texts(max_budget="budget_wrong")),
    ("budget in words", {"max_budget": "much"}, texts(max_budget="budget_wrong")),
    ("budget with exponent", {"max_budget": "1e2"}, texts(max_budget="budget_wrong")),
    ("budget a list", {"max_budget": [5]}, texts(max_budget="budget_wrong")),
]


@pytest.mark.parametrize(("inputs", "message"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS])
def test_step_with_bad_inputs_ends(
    slack: WebApi, queue: Queue, log: io.StringIO, inputs: dict[str, object], message: str
) -> None:
    """With the reason as its output; Slack need not send it again."""
    assert call(event(step(**inputs))) == (200, "")
    method, said = slack.calls[-1]
    outputs = said["outputs"]
    assert (method, said["function_execution_id"]) == ("functions.completeSuccess", "Fx0123456789")
    assert (json.loads(outputs) if isinstance(outputs, str) else outputs) == {"status": "refused", "message": message}
    assert slack.tokens == {f"Bearer {TOKEN}"}
    assert queue.sent == []
    assert_silent(log)


def test_step_with_bad_inputs_ends_in_the_persons_language(slack: WebApi) -> None:
    slack.answers["users.info"] = {"ok": True, "user": {"locale": "ja-JP"}}
    assert call(event(step(purpose="")))[0] == 200
    outputs = slack.calls[-1][1]["outputs"]
    message = (json.loads(outputs) if isinstance(outputs, str) else outputs)["message"]
    assert message == modal.TEXTS["ja"].purpose_empty


# --- how ---


def test_signature_is_compared_in_constant_time(slack: WebApi, queue: Queue) -> None:
    queue.takes()
    with mock.patch("slack_sdk.signature.hmac.compare_digest", return_value=True) as compare:
        assert call(event(step(), secret="another"))[0] == 200
    compare.assert_called_once()


def assert_silent(log: io.StringIO) -> None:
    """No secret, no text of a person's, no body and no trace in the log."""
    written = log.getvalue()
    for text in (SECRET, TOKEN, WORKFLOW_TOKEN, PURPOSE, "secret merger", "taro@", "hooks.slack.com", "Traceback"):
        assert text not in written


def test_log_has_ids_only(slack: WebApi, queue: Queue, log: io.StringIO) -> None:
    slack.answers["users.info"] = {"ok": True, "user": {"locale": "ja-JP", "profile": {"email": "taro@example.com"}}}
    queue.takes(4)
    for sent in (
        event(step()),
        event(left()),
        event(left(deleted=False)),
        command(COMMAND),
        interaction(submission()),
        interaction(click()),
    ):
        assert call(sent)[0] == 200
    assert_silent(log)
    written = log.getvalue()
    for number in ("Fx0123456789", "Ev0123456789", "V0123456789", WHO, ASKER, CONTEXT.aws_request_id):
        assert number in written


@pytest.mark.parametrize("language", ["en", "ja"])
def test_modal_is_within_slacks_limits(language: str) -> None:
    texts = modal.TEXTS[language]
    assert max(map(len, (texts.title, texts.submit, texts.cancel, texts.close))) <= 24
    many = replace(SETTINGS, teams=tuple(f"team-{n}" for n in range(100)))
    view = modal.form_view(ASKER, language, many)
    assert len(view["blocks"][1]["element"]["options"]) == 100
    for block in view["blocks"]:
        assert len(block["label"]["text"]) <= 2000


@pytest.mark.parametrize(
    ("budget", "ceiling", "shown"),
    [(100, 1_000_000, "1000000"), (100.0, 1234567.0, "1234567"), (0.5, 999.99, "999.99"), (100, 1000, "1000")],
)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_numbers_are_as_slack_takes_them(language: str, budget: float, ceiling: float, shown: str) -> None:
    rules = replace(SETTINGS, max_budget=budget, budget_ceiling=ceiling)
    view = modal.form_view(ASKER, language, rules)
    assert problems("modal", view) == []
    field = view["blocks"][-1]
    assert field["element"]["max_value"] == shown
    assert shown in field["hint"]["text"]
    assert shown in modal.sentences({"max_budget": "budget_wrong"}, language, rules)["max_budget"]


def test_largest_button_fits() -> None:
    """A button's value has 2,000 characters at most: https://docs.slack.dev/reference/block-kit/block-elements."""
    largest = replace(WAITING, purpose='"' * form.PURPOSE_LENGTH, team="t" * 40, id="F" * 64, execution="F" * 64)
    assert len(json.dumps(asdict(largest), ensure_ascii=False)) <= 2000
