"""Which known word an unknown one is a slip of; none where it is meant otherwise."""

import pytest

from stacks.litellm_config.words import closest, suggestion


@pytest.mark.parametrize(
    ("word", "known", "close"),
    [
        ("num_retires", ["num_retries", "retry_after"], "num_retries"),
        ("gtp", ["gpt", "gemini"], "gpt"),
        ("temprature", ["temperature"], "temperature"),
        ("uss", ["us", "eu"], "us"),
        ("aws_region", ["aws_region_name"], "aws_region_name"),
        ("arm", ["rpm", "tpm"], None),
        ("enable_cooldowns", ["disable_cooldowns"], None),
        ("min_tokens", ["max_tokens"], None),
        ("input_cost", ["output_cost"], None),
        ("description", ["prescription_date"], None),
        ("top_k", ["tpm", "rpm"], None),
    ],
)
def test_a_suggestion_is_close(word: str, known: list[str], close: str | None) -> None:
    assert closest(word, known) == close


def test_few_words_are_all_named() -> None:
    assert suggestion("x", ["b", "a"], "remove it") == "use one of a, b"
    assert suggestion("zzzzzz", map(str, range(20)), "remove it") == "remove it"
    assert suggestion("anything", [], "remove it") == "remove it"
