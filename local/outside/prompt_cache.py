"""The prompt caches of the simulated providers: what of a prompt is read from one, and what is written to it.

A host has its own for each model, as each region of Amazon Bedrock has: https://docs.aws.amazon.com/bedrock/latest/
userguide/prompt-caching.html. What is behind a host is one account here, so that nobody shares a cache who would not.

Where the format marks what is to be cached (Bedrock's `cachePoint`, Anthropic's `cache_control`):

- What is read is the longest prefix that is there. It is looked for at each mark and at the ends of the 20 blocks
  before it: agents move their mark on with each turn (the same page, "Simplified cache management for Claude models").
- What goes on from there to the marks that follow is written, for as long as each says.
- At most four marks, and those for an hour first: Anthropic's documentation, "Prompt caching".

Where the provider caches by itself:

- Azure OpenAI: the first 1,024 tokens, and from there on in steps of 128: https://learn.microsoft.com/azure/foundry/
  openai/how-to/prompt-caching. Since GPT-5.6 writes are charged, and stay for half an hour.
- Gemini: from the least number of its model on: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/
  context-cache/context-cache-overview. Google does not say in which steps; here they are Azure's.

A prefix that is read is kept for its whole time again. Nothing shorter than the model's least is cached.
"""

from __future__ import annotations

import re
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from local.outside.exchange import ApiError
from local.outside.records import Json

CHARACTERS_PER_TOKEN = 4
MARKS = 4
LOOKED_BACK = 20
STEP = 128
LEAST = 1024
SECONDS = {"5m": 300.0, "30m": 1800.0, "1h": 3600.0, "free": 300.0}
"""By what a write is charged for; what costs nothing stays for five minutes, as long as both providers say at least."""
KEPT = 200_000
"""Prefixes, the latest, so that a long run cannot fill the memory."""
# `prompt_cache_min_tokens` of LiteLLM's price list, by model; a test compares them.
_LEAST = {
    r"claude-(opus|sonnet|haiku)-5-5|claude-opus-5\b|claude-fable-5|claude-mythos-5": 512,
    r"claude-opus-4-[56]|claude-haiku-4-5": 4096,
    r"claude-opus-4-7|claude-3-5-haiku": 2048,
    r"gemini-4-argon": 6144,
    r"gemini-3\.\d": 4096,
    r"gemini-2\.5": 2048,
}

Lifetime = Literal["", "5m", "30m", "1h", "free"]


class Prefix(NamedTuple):
    """A prompt's first characters, and for how long they are to be cached; "" if they are only the end of a block."""

    end: int
    lifetime: Lifetime


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens that came from a cache, and those that went to it, by how long they stay."""

    read: int
    written: Counter[str]


@dataclass
class PromptCache:
    """The caches of a provider's hosts and models; a test may set the clock, which counts seconds."""

    clock: Callable[[], float] = time.monotonic
    # What is known of a prefix is a number made of it: for how long it is kept, and until when.
    _kept: OrderedDict[int, tuple[str, float]] = field(default_factory=OrderedDict)

    def use(self, place: tuple[object, ...], model: str, text: str, prefixes: Sequence[Prefix]) -> Used:
        """Return what of a prompt is read and written, and remember what it wants cached."""
        least, now = least_tokens(model), self.clock()
        parts = [
            (count(prefix.end), prefix.lifetime, key)
            for prefix, key in zip(prefixes, _keys((*place, model), text, prefixes), strict=True)
            if count(prefix.end) >= least
        ]
        read = self._read(parts, now)
        written: Counter[str] = Counter()
        reached = read
        for tokens, lifetime, key in parts:
            if lifetime:
                written[lifetime] += max(tokens - reached, 0)
                reached = max(tokens, reached)
                self._keep(key, lifetime, now)
            elif tokens <= read and (kept := self._lives(key, now)):
                self._keep(key, kept, now)
        return Used(read, written)

    def _read(self, parts: Sequence[tuple[int, Lifetime, int]], now: float) -> int:
        """Return the tokens of the longest prefix that is there, at a mark or not too far before one."""
        read, found = 0, None
        for at, (tokens, lifetime, key) in enumerate(parts):
            if self._lives(key, now):
                found = (at, tokens)
            if lifetime and found and at - found[0] <= LOOKED_BACK:
                read = found[1]
        return read

    def _lives(self, key: int, now: float) -> str:
        """Return for how long a prefix is kept, "" if it is not."""
        lifetime, until = self._kept.get(key, ("", 0.0))
        return lifetime if until > now else ""

    def _keep(self, key: int, lifetime: str, now: float) -> None:
        self._kept[key] = (lifetime, now + SECONDS[lifetime])
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def _keys(place: tuple[object, ...], text: str, prefixes: Sequence[Prefix]) -> list[int]:
    """Return a number of each prefix, made from that of the one before it and what it adds."""
    keys, last, begin = [], hash(place), 0
    for prefix in prefixes:
        last = hash((last, text[begin : prefix.end]))
        begin = prefix.end
        keys.append(last)
    return keys


def count(characters: int) -> int:
    """Return the tokens of a text of that length."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def least_tokens(model: str) -> int:
    """Return how many tokens a prefix must have for the model to cache it."""
    return next((least for pattern, least in _LEAST.items() if re.search(pattern, model)), LEAST)


def implicit_prefix(text: str, lifetime: Literal["free", "30m"] = "free") -> tuple[Prefix, ...]:
    """Return the parts of a prompt that Azure OpenAI and Gemini cache by themselves."""
    ends = range(LEAST * CHARACTERS_PER_TOKEN, len(text) + 1, STEP * CHARACTERS_PER_TOKEN)
    return tuple(Prefix(end, lifetime) for end in ends)


def marked_prefixes(blocks: Sequence[Json], mark: str, texts: Callable[[Any], Iterable[str]]) -> tuple[Prefix, ...]:
    """Return the prompt up to the end of each block; a mark says 1h, or else it is for five minutes.

    A block that has no text, as Converse's mark is one, ends where the one before it does.
    """
    ends: dict[int, Lifetime] = {}
    end = -1  # the first text has no line feed before it
    for block in blocks:
        end += sum(len(text) + 1 for text in texts(block))
        lifetime = _lifetime(block.get(mark))
        if end > 0 and (lifetime or end not in ends):
            ends[end] = lifetime
    return tuple(Prefix(*each) for each in ends.items())


def check_marks(marks: Sequence[Any]) -> None:
    """Check the marks of a prompt, in order: those of its tools, of its system prompt, of its messages.

    Raises
    ------
    ApiError
        There are more than four, or one for an hour is behind one for five minutes.
    """
    lifetimes = [lifetime for mark in marks if (lifetime := _lifetime(mark))]
    if len(lifetimes) > MARKS:
        found = f"A maximum of {MARKS} blocks with cache_control may be provided. Found {len(lifetimes)}."
        raise ApiError(400, message=found)
    if lifetimes != sorted(lifetimes):  # "1h" is before "5m"
        message = "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
        raise ApiError(400, message=message)


def _lifetime(mark: Any) -> Lifetime:  # noqa: ANN401  # any JSON value
    return "" if not mark else "1h" if mark.get("ttl") == "1h" else "5m"
