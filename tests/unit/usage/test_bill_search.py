"""The providers' bills, searched: whatever one answers is a statement with finite figures, or told in a sentence.

What a bill's words do not fit is one provider's fault alone: `bill.py` tells of it, and compares the others.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3 import HTTPResponse
from usage import anthropic_bill, aws_bill, azure_bill, bill, google_bill, openai_bill
from usage.bill_comparison import Comparison, Count, Counted, compare
from usage.bill_lines import Statement
from usage.environment import AnthropicBill, OpenAiBill
from usage.errors import harmless

from tests.searched import DEEP, amiss, anything, is_sentence, searched
from tests.unit.usage import test_bill_readers as known
from tests.unit.usage.test_bill_readers import ACCOUNT, AZURE, GOOGLE, OCTOBER, Cloud

pauses = known.pauses

LINE = "Claude Opus 5.5 (Amazon Bedrock Edition)"
AWS = {
    "ResultsByTime": [
        {
            "Groups": [
                {
                    "Keys": [LINE, "USW2-MP:USW2_InputTokenCount-Units"],
                    "Metrics": {
                        name: {"Amount": "12.5", "Unit": "USD"}
                        for name in ("UnblendedCost", "NetUnblendedCost", "UsageQuantity")
                    },
                }
            ],
            "Estimated": False,
        }
    ]
}
AZURE_ROWS = known.meters(("acme", "o3 Inp glbl Tokens", 1.5))
GOOGLE_ROWS = {
    "jobComplete": True,
    "jobReference": {"jobId": "job", "location": "EU"},
    "schema": {"fields": [{"name": name} for name in ("name", "place", "cost", "credits", "amount")]},
    "rows": [{"f": [{"v": v} for v in ("Gemini 2.5 Flash GA Text Input - Predictions", "eu", "1.5", "-0.5", "10")]}],
}
OPENAI_ROWS = {
    "data": [
        {
            "results": [
                {
                    "amount": {"value": 1.5, "currency": "usd"},
                    "line_item": "gpt-6, input",
                    "project_id": "p",
                    "quantity": 10,
                    "quantity_unit": "tokens",
                }
            ]
        }
    ],
    "has_more": False,
}
ANTHROPIC_COSTS = {
    "data": [
        {
            "results": [
                {
                    "currency": "USD",
                    "amount": "150.5",
                    "description": "Claude Opus 5.5 Usage - Input Tokens",
                    "workspace_id": None,
                    "model": "claude-opus-5-5",
                    "token_type": "uncached_input_tokens",
                    "service_tier": "standard",
                    "context_window": "0-200k",
                }
            ]
        }
    ],
    "has_more": False,
}
ANTHROPIC_TOKENS = {
    "data": [
        {
            "results": [
                {
                    "workspace_id": None,
                    "model": "claude-opus-5-5",
                    "service_tier": "standard",
                    "uncached_input_tokens": 10,
                    "cache_read_input_tokens": 1,
                    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 1},
                    "output_tokens": 5,
                }
            ]
        }
    ],
    "has_more": False,
}
NAN = json.loads(json.dumps(AWS).replace("12.5", "nan"))


class Explorer:
    """Cost Explorer with one page."""

    def __init__(self, page: Any) -> None:  # noqa: ANN401 - any JSON
        self.page = page

    def get_cost_and_usage(self, **_: Any) -> Any:  # noqa: ANN401 - boto3's
        return copy.deepcopy(self.page)


def google(page: Any, monkeypatch: pytest.MonkeyPatch) -> Statement:  # noqa: ANN401 - any JSON
    cloud = Cloud(*[(200, page)] * 12)
    monkeypatch.setattr(google_bill, "_authorized", lambda *_: cloud)
    return google_bill.read(OCTOBER, GOOGLE, "{}")


def pages(*answers: Any) -> Any:  # noqa: ANN401 - any JSON, as a pool
    return Cloud(*((200, answer) for answer in answers))


def told(reader: Callable[[Count], Comparison]) -> str | None:
    """The sentence that the channel and the log get of a bill that is none; None for one that is compared."""
    opus = "bedrock/us.anthropic.claude-opus-5-5"
    count = Count({("us-west-2", opus): Counted(cost=10.0)}, {opus: "claude-opus-5-5"}, 10.0)
    compared, unread = bill._compare_all({"bedrock": reader}, {"bedrock": count})
    for one in compared:
        assert all(map(math.isfinite, (one.counted, one.billed, one.percent, one.left_over)))
    assert len(compared) + len(unread) == 1
    return unread.get("bedrock")


def holds(read: Callable[[], Statement]) -> None:
    sentence = told(lambda counted: compare("bedrock", counted, read(), None))
    if sentence is not None:
        assert is_sentence(sentence)
        assert len(sentence) < 700


@searched(120, 20_000)
@example(page=NAN)
@example(page={})
@example(page=json.loads(json.dumps(AWS).replace("12.5", "1e999")))
@given(page=amiss(AWS))
def test_cost_explorer(page: Any) -> None:  # noqa: ANN401 - any JSON
    holds(lambda: aws_bill.read(OCTOBER, ACCOUNT, Explorer(page)))


@pytest.mark.usefixtures("pauses")
@searched(120, 20_000)
@given(page=amiss(AZURE_ROWS), token=st.one_of(st.just({"access_token": "t"}), anything))
def test_azure(page: Any, token: Any) -> None:  # noqa: ANN401 - any JSON
    holds(lambda: azure_bill.read(OCTOBER, AZURE, "secret", pages(token, page, page, page)))


@pytest.mark.usefixtures("pauses")
@searched(120, 20_000)
@given(page=amiss(GOOGLE_ROWS))
def test_google(page: Any) -> None:  # noqa: ANN401 - any JSON
    with pytest.MonkeyPatch.context() as patch:
        holds(lambda: google(page, patch))


@pytest.mark.usefixtures("pauses")
@searched(120, 20_000)
@given(page=amiss(OPENAI_ROWS))
def test_openai(page: Any) -> None:  # noqa: ANN401 - any JSON
    holds(lambda: openai_bill.read(OCTOBER, OpenAiBill(projects=()), "key", pages(*[page] * 5)))


@pytest.mark.usefixtures("pauses")
@searched(120, 20_000)
@given(costs=amiss(ANTHROPIC_COSTS), tokens=st.one_of(st.just(ANTHROPIC_TOKENS), amiss(ANTHROPIC_TOKENS)))
def test_anthropic(costs: Any, tokens: Any) -> None:  # noqa: ANN401 - any JSON
    holds(
        lambda: anthropic_bill.read(OCTOBER, AnthropicBill(workspaces=()), "key", pages(costs, tokens, costs, tokens))
    )


@searched(60, 5_000)
@example(status=200, body=DEEP.encode())
@given(status=st.sampled_from((200, 204, 301, 400, 401, 403, 404, 413)), body=st.binary(max_size=80))
def test_an_answer_that_is_no_json(status: int, body: bytes) -> None:
    class Raw:
        def request(self, *_: Any, **__: Any) -> HTTPResponse:  # noqa: ANN401 - urllib3's
            return HTTPResponse(body, status=status)

    holds(lambda: openai_bill.read(OCTOBER, OpenAiBill(projects=()), "key", Raw()))  # type: ignore[arg-type]


@pytest.mark.parametrize("sent", ["sk-{}", "Bearer {}", "client_secret={}&more", "assertion={}", "eyJ{}.eyJp.c2ln"])
def test_what_a_service_repeats_of_a_request_is_told_without_its_secret(sent: str) -> None:
    said = harmless(f"no: {sent.format('0123456789')}\n\nand more")
    assert said.startswith("no: ")
    assert said.endswith("and more")
    assert "0123456789" not in said


def test_what_a_cloud_says_is_told_without_a_key() -> None:
    refusal = ClientError({"Error": {"Code": "X", "Message": "the key sk-0123456789 of a\nfile"}}, "GetCostAndUsage")
    assert "sk-0" not in harmless(str(refusal))
