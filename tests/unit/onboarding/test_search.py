"""Slack's endpoint and its forms, searched: whatever arrives is taken, or answered in one sentence, and never a 500.

And what stands behind it: the queue's messages, and SES's reports.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, cast
from unittest import mock
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onboarding import bounces, form, modal, receiver, slack_app
from onboarding.requests import Create, Decide, from_json, to_json

from tests.searched import DEEP, HALF, amiss, anything, is_sentence, searched, torn
from tests.unit.onboarding import test_receiver as known
from tests.unit.onboarding.slack_requests import FORM, SECRET, command, event, interaction, request
from tests.unit.onboarding.test_receiver import COMMAND, CONTEXT, SETTINGS, WAITING, click, left, step, submission

surroundings = known.surroundings  # the environment of the deployed function
log = known.log

STATUSES = {200, 400, 401, 403, 404, 405, 413, 415}
"""What a request can be answered that is wrong by itself: nothing of this is the function's own fault."""


class _Slack:
    """Slack and SQS, which take everything: what is asked here is what goes to them."""

    def __init__(self) -> None:
        self.queued: list[str] = []

    def send_message(self, **message: Any) -> dict[str, str]:  # noqa: ANN401 - boto3's
        self.queued.append(message["MessageBody"])
        return {"MessageId": "1"}


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Slack]:
    """The secrets are there, Slack's API answers ok, and the queue keeps what it gets."""
    taken = _Slack()
    for module in (receiver, slack_app):
        monkeypatch.setattr(module, "read_secret", lambda name: SECRET if "SIGNING" in name else known.TOKEN)
    monkeypatch.setattr(slack_app, "sqs", lambda: taken)
    opened = {"ok": True, "view": {"id": known.VIEW}, "user": {"id": known.ASKER, "locale": "ja-JP"}}
    with mock.patch("slack_sdk.web.client.WebClient.api_call", autospec=True, return_value=opened):
        yield taken


def answered(arrived: dict[str, Any]) -> int:
    """The status of the answer, which has the form that API Gateway takes, and says in a sentence what is wrong."""
    answer = receiver.handler(arrived, cast(Any, CONTEXT))
    status = answer["statusCode"]
    assert status in STATUSES, answer
    assert isinstance(answer["body"], str)
    assert all(isinstance(value, str) for value in answer["headers"].values())
    if status != 200:
        (sentence,) = json.loads(answer["body"]).values()
        assert is_sentence(sentence)
        assert sentence.endswith(".")
    json.dumps(answer).encode()
    return int(status)


GOOD = event(step())


HEADERS = (*GOOD["headers"], "X-Slack-Signature", "x-slack-retry-num", "x")


@searched(150, 20_000)
@example(path="/slack/events", method="POST", headers={}, body="", encoded=True)
@example(path="/slack/events", method="POST", headers={"content-type": ","}, body="===", encoded=True)
@given(
    path=st.one_of(st.just("/slack/events"), st.text(max_size=20)),
    method=st.sampled_from(("POST", "GET", "post", "")),
    headers=st.dictionaries(st.sampled_from(HEADERS), st.one_of(st.text(max_size=30), st.just("application/json"))),
    body=st.one_of(st.none(), st.just(GOOD["body"]), st.text(max_size=40)),
    encoded=st.booleans(),
)
def test_whatever_a_caller_can_write(
    behind: _Slack, path: str, method: str, headers: dict[str, str], body: str | None, encoded: bool
) -> None:
    """API Gateway hands it over in its own form, in which these parts are the caller's."""
    arrived = GOOD | {
        "rawPath": path,
        "headers": GOOD["headers"] | headers,
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "body": body,
        "isBase64Encoded": encoded,
    }
    answered(arrived)
    behind.queued.clear()


@searched(60, 10_000)
@example(body=DEEP, kind="application/json")
@example(body="payload=" + DEEP, kind=FORM)
@example(body='{"type": "event_callback", "team_id": NaN}', kind="application/json")
@given(
    body=st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1"))),
    kind=st.sampled_from((FORM, "application/json")),
)
def test_whatever_is_signed(behind: _Slack, body: str, kind: str) -> None:
    answered(request(body.encode("utf-8", "replace").decode(), kind=kind))
    assert behind.queued == []


@searched(250, 50_000)
@given(payload=amiss(step(), left()))
def test_an_event_of_whatever_shape(behind: _Slack, payload: object) -> None:
    answered(event(payload))
    readable(behind)


@searched(250, 50_000)
@example(payload=click() | {"actions": [{"type": "button", "value": "x"}]})
@example(payload=click() | {"actions": [{"type": "button", "action_id": ["x"]}]})
@given(payload=amiss(submission(), submission("ja", max_budget="12.5"), click(), click("deny_account")))
def test_a_form_or_a_click_of_whatever_shape(behind: _Slack, payload: object) -> None:
    answered(interaction(payload))
    readable(behind)


@searched(60, 10_000)
@given(fields=st.dictionaries(st.sampled_from((*COMMAND, "ssl_check", "payload", "x")), st.text(max_size=40)))
def test_a_command_of_whatever_fields(behind: _Slack, fields: dict[str, str]) -> None:
    answered(command(COMMAND | fields))


@searched(60, 10_000)
@given(value=torn(json.dumps(asdict(WAITING))))
def test_a_button_of_whatever_value(behind: _Slack, value: str) -> None:
    answered(interaction(click(value=value)))
    readable(behind)


def readable(behind: _Slack) -> None:
    """What was queued is read by the worker, and asks for no more than a form can."""
    for body in behind.queued:
        found = from_json(body)
        asked = found.request if isinstance(found, Decide) else found
        if isinstance(asked, Create):
            assert asked.team in SETTINGS.teams
            assert asked.max_budget is None or 0 < asked.max_budget <= SETTINGS.budget_ceiling
    behind.queued.clear()


@searched(150, 20_000)
@example(answers={"who": known.WHO, "team": "platform", "purpose": HALF, "max_budget": 10**400})
@example(answers={"who": known.WHO, "team": "platform", "purpose": "x", "max_budget": "1" * 400})
@given(answers=st.dictionaries(st.sampled_from(("who", "team", "purpose", "max_budget")), anything))
def test_answers_are_taken_or_each_has_its_sentence(answers: dict[str, object]) -> None:
    try:
        taken = form.read(answers, SETTINGS)
    except form.FormError as error:
        for lang in modal.TEXTS:
            assert all(map(is_sentence, modal.sentences(error.problems, lang, SETTINGS).values()))
        return
    to_json(Create(id="V1", requester=known.ASKER, **asdict(taken))).encode()


@searched(100, 10_000)
@example(body=DEEP)
@given(body=st.one_of(torn(to_json(WAITING)), amiss(json.loads(to_json(WAITING))).map(json.dumps), st.text()))
def test_a_message_is_a_request_or_none(body: str) -> None:
    try:
        from_json(body)
    except ValueError as error:
        assert is_sentence(str(error))


REPORT = {"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": "a@b"}]}}


@searched(100, 10_000)
@example(message=DEEP)
@example(message=json.dumps(REPORT | {"bounce": {"bouncedRecipients": [{"emailAddress": None}]}}))
@example(message=json.dumps(REPORT | {"bounce": {}, "mail": {"destination": 5}}))
@given(message=st.one_of(amiss(REPORT).map(json.dumps), st.text()))
def test_a_report_is_told_in_a_line_or_is_none(message: str) -> None:
    line = bounces.line_of(message)
    assert line is None or is_sentence(line)


def test_nothing_of_what_arrives_is_logged(behind: _Slack, log: io.StringIO) -> None:
    """Whatever is wrong with a payload: ids are logged, and no text of a person's."""
    marker = "the-marker-of-a-text"
    for good in (step(purpose=marker), submission(purpose=marker), click(value=marker)):
        text = json.dumps(good)
        for cut in range(0, len(text), max(1, len(text) // 25)):
            for spoilt in (text[:cut], text[:cut] + "\x00" + text[cut:], text[:cut] + '"' + text[cut:]):
                answered(request(spoilt))
                answered(request(urlencode({"payload": spoilt}), kind=FORM))
    assert "refused" in log.getvalue()
    assert marker not in log.getvalue()
