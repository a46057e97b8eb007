"""The simulated providers' prompt caches, on a clock that the test moves."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.outside.anthropic_format import message_object, messages_prompt
from local.outside.completion import Model
from local.outside.exchange import ApiError
from local.outside.openai_format import chat_prompt
from local.outside.prompt_cache import PromptCache, implicit_prefix, least_tokens
from local.outside.records import Usage
from stacks import CHECKOUT

CLAUDE, GPT = "us.anthropic.claude-sonnet-5-5", "gpt-6.1-sol"
WEST, EAST = "bedrock-runtime.us-west-2.amazonaws.com", "bedrock-runtime.us-east-1.amazonaws.com"
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


class Clock:
    """Stands still until the test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def model(clock: Clock) -> Model:
    return Model(PromptCache(clock))


def text(tokens: int, word: str = "w") -> str:
    return (word + " ") * (2 * tokens)


def block(tokens: int, mark: object = None, word: str = "w") -> dict[str, Any]:
    """A block of that many tokens with the line feed before it."""
    content = {"type": "text", "text": text(tokens, word)[1:]}
    return {**content, "cache_control": mark} if mark else content


def ask(model: Model, *blocks: dict[str, Any], host: str = WEST, name: str = CLAUDE, **more: object) -> Usage:
    body = {"messages": [{"role": "user", "content": [*blocks]}], **more}
    return model.answer(host, messages_prompt(name, body))[1]


def counts(usage: Usage) -> tuple[int, int]:
    return usage.cached_tokens, usage.cache_write_tokens


def test_each_region_and_each_model_has_its_own(model: Model) -> None:
    seen = [counts(ask(model, block(2000, MARK), host=host)) for host in (WEST, EAST, WEST)]
    assert seen == [(0, 2000), (0, 2000), (2000, 0)]
    assert counts(ask(model, block(2000, MARK), name="us.anthropic.claude-opus-5-5")) == (0, 2000)


def test_other_tools_are_another_prefix(model: Model) -> None:
    tool = {"name": "look", "input_schema": {"type": "object"}}
    assert counts(ask(model, block(2000, MARK))) == (0, 2000)
    assert counts(ask(model, block(2000, MARK), tools=[tool])) == (0, 2000)
    assert counts(ask(model, block(2000, MARK), tools=[tool])) == (2000, 0)


@pytest.mark.parametrize(("mark", "seconds"), [(MARK, 300), (HOUR, 3600)])
def test_it_is_kept_for_its_time_and_each_hit_begins_that_anew(
    model: Model, clock: Clock, mark: dict[str, str], seconds: int
) -> None:
    ask(model, block(2000, mark))
    for _ in range(3):
        clock.now += seconds - 1
        assert counts(ask(model, block(2000, mark))) == (2000, 0)
    clock.now += seconds
    assert counts(ask(model, block(2000, mark))) == (0, 2000)


def test_a_mark_that_moves_on_finds_the_turn_before(model: Model) -> None:
    """As Claude Code marks only the latest message."""
    turns = [block(1000, word=str(n)) for n in range(8)]
    ask(model, *turns[:5], {**turns[5], "cache_control": MARK})
    assert counts(ask(model, *turns[:7], {**turns[7], "cache_control": MARK})) == (6000, 2000)


def test_it_is_looked_for_in_the_twenty_blocks_before_a_mark(model: Model) -> None:
    turns = [block(1000, word=chr(ord("A") + n)) for n in range(50)]
    ask(model, {**turns[0], "cache_control": MARK})
    marked = [{**turn, "cache_control": MARK} for turn in turns]
    assert counts(ask(model, *turns[:21], marked[21])) == (0, 22_000)
    assert counts(ask(model, *turns[:41], marked[41])) == (22_000, 20_000)


def test_what_is_before_a_hit_is_kept_as_long(model: Model, clock: Clock) -> None:
    first, second = block(2000), block(2000, MARK, "x")
    ask(model, {**first, "cache_control": MARK})
    ask(model, first, second)
    clock.now += 200
    ask(model, first, second)
    clock.now += 200
    assert counts(ask(model, {**first, "cache_control": MARK})) == (2000, 0)


@pytest.mark.parametrize(
    ("name", "least"), [(CLAUDE, 512), ("anthropic.claude-haiku-4-5-20251001-v1:0", 4096), ("amazon.nova-pro", 1024)]
)
def test_what_is_shorter_than_the_models_least_is_not_cached(model: Model, name: str, least: int) -> None:
    assert counts(ask(model, block(least - 1, MARK), name=name)) == (0, 0)
    assert counts(ask(model, block(least, MARK), name=name)) == (0, least)


def test_the_least_is_that_of_litellms_list() -> None:
    (found,) = (CHECKOUT / ".tools/litellm").glob("lib/*/site-packages/litellm/model_prices*backup.json")
    providers = ("bedrock", "bedrock_converse", "vertex_ai-language-models", "vertex_ai-anthropic_models")
    listed = {
        name: entry["prompt_cache_min_tokens"]
        for name, entry in json.loads(found.read_text("utf-8")).items()
        if entry.get("litellm_provider") in providers and "prompt_cache_min_tokens" in entry
    }
    assert {name: least_tokens(name) for name in listed} == listed


def test_an_hours_and_five_minutes_are_counted_apart(model: Model) -> None:
    body = {"messages": [{"role": "user", "content": [block(2000, HOUR), block(3000, MARK, "x"), block(10, word="y")]}]}
    prompt = messages_prompt(CLAUDE, body)
    completion, usage = model.answer(WEST, prompt)
    assert message_object(prompt, completion, usage)["usage"] == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 5000,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_1h_input_tokens": 2000, "ephemeral_5m_input_tokens": 3000},
        "output_tokens": usage.output_tokens,
    }


@pytest.mark.parametrize(
    ("marks", "refused"),
    [
        ([MARK] * 4, ""),
        ([MARK] * 5, "A maximum of 4 blocks with cache_control may be provided. Found 5."),
        ([HOUR, MARK], ""),
        ([MARK, HOUR], "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."),
    ],
)
def test_marks_are_checked(model: Model, marks: list[dict[str, str]], refused: str) -> None:
    first, *rest = marks
    tool = {"name": "look", "input_schema": {"type": "object"}, "cache_control": first}

    message = ""
    try:
        ask(model, *(block(1000, mark) for mark in rest), tools=[tool])
    except ApiError as error:
        assert error.status == 400
        message = error.message
    assert message == refused


class TestAutomatic:
    """Azure OpenAI's, in steps of 128 tokens from 1,024 on."""

    @pytest.fixture
    def said(self, model: Model) -> Callable[[str, str], Usage]:
        def say(prompt: str, name: str) -> Usage:
            return model.answer("acme.openai.azure.com", chat_prompt(name, {"messages": [_user(prompt)]}))[1]

        return say

    def test_what_begins_alike_is_read_in_steps(self, said: Callable[[str, str], Usage]) -> None:
        assert counts(said(text(3000), "gpt-5.5")) == (0, 0)
        assert counts(said(text(1500) + text(1500, "x"), "gpt-5.5")) == (1408, 0)
        assert counts(said(text(1023), "gpt-5.5")) == (0, 0)

    def test_writes_are_charged_since_gpt_5_6_and_kept_for_half_an_hour(
        self, said: Callable[[str, str], Usage], clock: Clock
    ) -> None:
        assert counts(said(text(3000), GPT)) == (0, 2944)
        clock.now += 1799
        assert counts(said(text(4000), GPT)) == (2944, 1024)
        clock.now += 1800
        assert counts(said(text(4000), GPT)) == (0, 3968)


def _user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def test_a_long_run_does_not_fill_the_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.outside.prompt_cache.KEPT", 50)
    cache, prompt = PromptCache(clock), text(3000)
    read = [cache.use((place,), GPT, prompt, implicit_prefix(prompt)).read for place in (*range(10), 9, 0)]
    assert read == [0] * 10 + [2944, 0]
