"""Models of an account's own at the simulated Bedrock, by what AWS documents of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from local.outside.bedrock import Bedrock
from local.outside.completion import COMPLETION_PHRASE
from local.outside.exchange import Answer, ApiError, Request
from local.outside.permissions import Check, Permissions
from local.outside.records import Json

HOST = "bedrock-runtime.us-west-2.amazonaws.com"
OWN = "arn:aws:bedrock:us-west-2:123456789012"
PROVISIONED, IMPORTED = f"{OWN}:provisioned-model/ab12cd34ef56", f"{OWN}:imported-model/ab12cd34ef56"
SIGNED_AT = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIA/20261128/us-west-2/bedrock/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
)
CONVERSE: Json = {"messages": [{"role": "user", "content": [{"text": "Say hello"}]}]}
CHAT: Json = {"messages": [{"role": "user", "content": "Say hello"}]}


class Asked(Permissions):
    """Permits everything, and keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.checks: list[Check] = []

    def check(self, request: Request, region: str, checks: Iterable[Check]) -> None:
        self.checks += checks


def called(
    arn: str, operation: str, body: Json, *, behind: str = "llama", ready: bool = True, guardrail: str = ""
) -> tuple[Answer, list[Check]]:
    permissions = Asked()
    bedrock = Bedrock(permissions=permissions)
    bedrock.add(PROVISIONED, "amazon.nova-2-lite-v1:0", ready=ready)
    bedrock.add(IMPORTED, behind, ready=ready)
    signed = {"authorization": SIGNED, "x-amz-date": "20261128T000000Z"}
    signed |= {"x-amzn-bedrock-guardrailidentifier": guardrail} if guardrail else {}
    path = f"/model/{quote(arn, safe='')}/{operation}"
    request = Request(HOST, "POST", path, {}, signed, json.dumps(body).encode(), now=SIGNED_AT)
    return bedrock.answer(request, bedrock.target(request)), permissions.checks


def read(answer: Answer) -> Json:
    found: Json = json.loads(answer.chunks[0])
    return found


@pytest.mark.parametrize("arn", [PROVISIONED, IMPORTED])
def test_it_is_permitted_by_its_arn_alone(arn: str) -> None:
    answer, checks = called(arn, "converse", CONVERSE)
    assert read(answer)["output"]["message"]["content"][0]["text"].startswith(COMPLETION_PHRASE)
    assert checks == [("bedrock:InvokeModel", arn)]


def test_an_imported_one_answers_in_llamas_format() -> None:
    answer, _ = called(IMPORTED, "invoke", {"prompt": "Say hello", "max_gen_len": 100})
    found = read(answer)
    assert found["generation"].startswith(COMPLETION_PHRASE)
    assert (found["prompt_token_count"], found["stop_reason"]) == (3, "stop")
    assert answer.headers["x-amzn-bedrock-output-token-count"] == str(found["generation_token_count"])


def test_and_in_openais() -> None:
    found = read(called(IMPORTED, "invoke", CHAT, behind="openai")[0])
    assert found["choices"][0]["message"]["content"].startswith(COMPLETION_PHRASE)
    assert found["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize("body", [{"prompt": "Say hello"}, CHAT])
def test_a_stream_is_of_chunks_of_which_the_last_has_bedrocks_counts(body: Json) -> None:
    answer, checks = called(IMPORTED, "invoke-with-response-stream", body)
    assert checks == [("bedrock:InvokeModelWithResponseStream", IMPORTED)]
    *_, last = answer.chunks
    payload = json.loads(last[last.index(b'{"bytes"') : last.rindex(b"}") + 1])
    event = json.loads(base64.b64decode(payload["bytes"]))
    assert event["amazon-bedrock-invocationMetrics"]["inputTokenCount"] == 3


@pytest.mark.parametrize(
    ("arn", "operation", "body", "status", "words"),
    [
        (
            f"{OWN}:provisioned-model/000000000000",
            "converse",
            CONVERSE,
            404,
            "The specified resource ARN was not found",
        ),
        (IMPORTED.replace("us-west-2", "us-east-1"), "converse", CONVERSE, 404, "The specified resource ARN was not"),
        (f"{OWN}:imported-model/mine", "converse", CONVERSE, 400, "The provided model identifier is invalid"),
        (IMPORTED, "invoke", {"inputText": "Say hello"}, 400, "neither a prompt nor messages"),
    ],
)
def test_what_is_not_there_or_not_understood(arn: str, operation: str, body: Json, status: int, words: str) -> None:
    with pytest.raises(ApiError, match=words) as refused:
        called(arn, operation, body)
    assert refused.value.status == status


def test_one_that_is_loaded_yet_says_so() -> None:
    with pytest.raises(ApiError, match="not ready to serve") as refused:
        called(IMPORTED, "invoke", CHAT, ready=False)
    assert (refused.value.status, refused.value.code) == (429, "ModelNotReadyException")


def test_converse_does_not_speak_to_qwen_2() -> None:
    with pytest.raises(ApiError, match="doesn't support the model"):
        called(IMPORTED, "converse", CONVERSE, behind="qwen2")


def test_an_arn_is_one_segment_of_the_path() -> None:
    bedrock = Bedrock()
    for path in (f"/model/{IMPORTED}/converse", f"/model/{IMPORTED.replace(':', '%3A')}/converse"):
        with pytest.raises(ApiError, match="operation is not known"):
            bedrock.target(Request(HOST, "POST", path, {}, {}, b"{}"))


def test_a_guardrail_of_invoke_is_not_left_out_in_silence() -> None:
    with pytest.raises(ApiError, match="to calls of Converse alone"):
        called(IMPORTED, "invoke", CHAT, guardrail="a1b2c3")
