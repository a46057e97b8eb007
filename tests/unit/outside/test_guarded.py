"""A guardrail that a Converse call names, by what AWS documents of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from local.outside.bedrock import Bedrock
from local.outside.completion import COMPLETION_PHRASE
from local.outside.exchange import Answer, ApiError, Request
from local.outside.permissions import Permissions
from local.outside.records import Json, Usage

HOST = "bedrock-runtime.us-west-2.amazonaws.com"
NAMED = {"guardrailIdentifier": "abc123", "guardrailVersion": "1"}
TRACED = {**NAMED, "trace": "enabled"}
SIGNED_AT = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIA/20261128/us-west-2/bedrock/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
)
BACKWARDS = "Say backwards: moc.elpmaxe@orat"
ASKED = "Write to taro@example.com"


class Deployed(Permissions):
    """One guardrail, which masks or blocks addresses of mail; what was asked for is kept."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self._definition = {
            "blockedInputMessaging": "This prompt is blocked.",
            "blockedOutputsMessaging": "This answer is blocked.",
            "sensitiveInformationPolicy": {"piiEntities": [{"type": "EMAIL", "action": action}]},
        }

    def guardrail(self, request: Request, region: str, check: tuple[str, str], name: str, version: str) -> Json | None:
        self.asked.append(check)
        return self._definition if (name.rpartition("/")[2], version) == ("abc123", "1") else None


def converse(action: str, text: str, config: object = TRACED, **more: Any) -> tuple[Answer, Deployed]:  # noqa: ANN401
    body = {"messages": [{"role": "user", "content": [{"text": text}]}], "guardrailConfig": config, **more}
    return sent(action, body)


def sent(action: str, body: Json, operation: str = "converse") -> tuple[Answer, Deployed]:
    headers = {"authorization": SIGNED, "x-amz-date": "20261128T000000Z"}
    path = f"/model/us.amazon.nova-2-lite-v1%3A0/{operation}"
    request = Request(HOST, "POST", path, {}, headers, json.dumps(body).encode(), now=SIGNED_AT)
    permissions = Deployed(action)
    bedrock = Bedrock(permissions=permissions)
    return bedrock.answer(request, bedrock.target(request)), permissions


def read(answer: Answer) -> Json:
    found: Json = json.loads(answer.chunks[0])
    return found


def said(answer: Json) -> str:
    return str(answer["output"]["message"]["content"][0]["text"])


def test_it_takes_the_permission_on_the_guardrail() -> None:
    _, permissions = converse("BLOCK", "Hello")
    arn = "arn:aws:bedrock:us-west-2:{account}:guardrail/abc123"
    assert permissions.asked == [("bedrock:ApplyGuardrail", arn)]


def test_what_it_finds_nothing_in_is_answered_as_ever() -> None:
    for action in ("BLOCK", "ANONYMIZE"):
        answer = read(converse(action, "Hello")[0])
        assert (answer["stopReason"], answer["trace"]) == ("end_turn", {"guardrail": {}})
        assert said(answer).startswith(COMPLETION_PHRASE)


def test_a_blocked_prompt_reaches_no_model() -> None:
    answered, _ = converse("BLOCK", ASKED)
    answer = read(answered)
    assert (answer["stopReason"], said(answer)) == ("guardrail_intervened", "This prompt is blocked.")
    assert answer["usage"]["totalTokens"] == 0
    assert answered.usage == Usage()
    (found,) = answer["trace"]["guardrail"]["inputAssessment"]["abc123"]["sensitiveInformationPolicy"]["piiEntities"]
    assert (found["type"], found["action"]) == ("EMAIL", "BLOCKED")


@pytest.mark.parametrize(("action", "expected"), [("BLOCK", "This answer is blocked."), ("ANONYMIZE", "{EMAIL}")])
def test_an_answer_is_blocked_or_masked_and_paid_for(action: str, expected: str) -> None:
    answered, _ = converse(action, BACKWARDS)
    answer = read(answered)
    assert answer["stopReason"] == "guardrail_intervened"
    assert said(answer).endswith(expected)
    assert answered.usage.output_tokens > 0
    trace = answer["trace"]["guardrail"]
    assert "taro@example.com" in trace["modelOutput"][0]  # as Bedrock tells it
    assert [*trace["outputAssessments"]] == ["abc123"]


def test_without_a_trace_nothing_is_told_of_it() -> None:
    answer = read(converse("ANONYMIZE", BACKWARDS, NAMED)[0])
    assert "trace" not in answer
    assert "taro@example.com" not in json.dumps(answer)


def test_a_stream_is_the_same() -> None:
    body = {"messages": [{"role": "user", "content": [{"text": BACKWARDS}]}], "guardrailConfig": TRACED}
    answered, _ = sent("ANONYMIZE", body, "converse-stream")
    buffer: Any = EventStreamBuffer()  # whose types are wrong
    for chunk in answered.chunks:
        buffer.add_data(chunk)
    events = [(event.headers[":event-type"], json.loads(event.payload)) for event in buffer]
    text = "".join(event["delta"]["text"] for kind, event in events if kind == "contentBlockDelta")
    assert text.endswith("{EMAIL}")
    last = dict(events)
    assert last["messageStop"] == {"stopReason": "guardrail_intervened"}
    assert [*last["metadata"]["trace"]["guardrail"]["outputAssessments"]] == ["abc123"]


def test_it_looks_only_at_what_is_marked_if_something_is() -> None:
    marked = {"guardContent": {"text": {"text": "Hello"}}}
    body = {"messages": [{"role": "user", "content": [{"text": ASKED}, marked]}], "guardrailConfig": NAMED}
    plain = {"messages": [{"role": "user", "content": [{"text": ASKED}, {"text": "Hello"}]}]}
    answer = read(sent("BLOCK", body)[0])
    assert (answer["stopReason"], said(answer)) == ("end_turn", said(read(sent("BLOCK", plain)[0])))
    marked["guardContent"]["text"]["text"] = ASKED
    assert read(sent("BLOCK", body)[0])["stopReason"] == "guardrail_intervened"


@pytest.mark.parametrize(
    ("action", "text", "config", "message"),
    [
        ("BLOCK", "Hello", {**NAMED, "guardrailIdentifier": "another"}, "does not exist"),
        ("BLOCK", "Hello", {**NAMED, "guardrailVersion": "2"}, "does not exist"),
        ("BLOCK", "Hello", {"guardrailIdentifier": "abc123"}, "must have a guardrailIdentifier and a guardrailVersion"),
        ("BLOCK", "Hello", {**NAMED, "trace": "on"}, "must satisfy enum"),
        ("BLOCK", "Hello", {**NAMED, "version": "1"}, "extraneous key"),
        ("BLOCK", "Hello", {**NAMED, "streamProcessingMode": "async"}, "sync, and not async"),
        ("ANONYMIZE", ASKED, NAMED, "not known here"),
    ],
)
def test_what_it_cannot_do_is_refused(action: str, text: str, config: Json, message: str) -> None:
    with pytest.raises(ApiError, match=message):
        converse(action, text, config)
