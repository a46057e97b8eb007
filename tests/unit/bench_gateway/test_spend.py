"""ops/bench_gateway/spend.py: one call that the spend has not, or has otherwise, is found."""

from __future__ import annotations

from collections import Counter

import pytest

from local.outside.records import Call, Usage
from ops.bench_gateway import spend

ROWS = ({"prompt": 10, "completion": 5, "calls": 2}, {"prompt": 400_000, "completion": 7, "calls": 1})
DAY = {"prompt": 400_020, "completion": 17}


def call(prompt: int, completion: int, status: int = 200) -> Call:
    return Call(
        time=0,
        host="bedrock-runtime.us-east-1.amazonaws.com",
        region="us-east-1",
        provider="bedrock",
        operation="converse",
        model="model",
        streamed=False,
        status=status,
        usage=Usage(input_tokens=prompt, output_tokens=completion),
    )


CALLS = (call(10, 5), call(400_000, 7), call(10, 5))


def test_the_same_calls_in_any_order_are_no_difference() -> None:
    provided = spend.answered(CALLS)
    assert spend.difference(provided, spend.logged(ROWS)) == 0
    assert not spend.sums_differ(provided, DAY)


@pytest.mark.parametrize(
    ("rows", "lost"),
    [
        (ROWS[:1], 1),  # one is missing
        ((), 3),
        ((*ROWS, {"prompt": 9, "completion": 5, "calls": 1}), 1),  # one is too many
        (({"prompt": 10, "completion": 5, "calls": 2}, {"prompt": 399_999, "completion": 7, "calls": 1}), 1),  # a token
        (({"prompt": 10, "completion": 5, "calls": 1}, {"prompt": 400_000, "completion": 7, "calls": 2}), 1),
    ],
)
def test_a_difference_is_counted_in_calls(rows: tuple[dict[str, int], ...], lost: int) -> None:
    assert spend.difference(spend.answered(CALLS), spend.logged(rows)) == lost


@pytest.mark.parametrize("part", ["prompt", "completion"])
def test_one_token_of_the_sums_is_found(part: str) -> None:
    assert spend.sums_differ(spend.answered(CALLS), DAY | {part: DAY[part] - 1})


def test_what_a_provider_refused_is_not_spent() -> None:
    assert spend.answered([call(0, 0, 503), call(10, 5, 429), call(10, 0)]) == Counter()
