"""How long a call can be silent if every provider that it comes to takes it and never answers.

LiteLLM waits for each attempt (`timeout`, `stream_timeout`, `request_timeout`), makes some more (`num_retries`, or what
`retry_policy` says of time-outs), and goes on to the fallbacks and to theirs (`max_fallbacks`). The whole is the sum,
which no setting of LiteLLM's bounds. (`Router._get_timeout`, `async_function_with_retries`, `run_async_fallback`; all
of LiteLLM 1.106.12.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from stacks.litellm_config.model import Model

RETRIES: Final = 2
"""`openai.DEFAULT_MAX_RETRIES`, where the file says nothing."""
FALLBACKS: Final = 5
"""`ROUTER_MAX_FALLBACKS`, where the file says nothing."""
PAUSE: Final = 9.0
"""Seconds, at the most, between two attempts and after the last: `MAX_RETRY_DELAY` and `JITTER`, rounded up."""
UNTIMED_STREAMS: Final = ("gemini", "vertex_ai", "vertex_ai_beta")
"""Providers whose chat streams LiteLLM gives no time-out of the entry or the Router: they wait `request_timeout`.
(`make_call` of llms/vertex_ai/gemini/vertex_and_google_ai_studio_gemini.py asks a client of its own.)"""


@dataclass(frozen=True)
class Silence:
    """Seconds, at the most: until a plain call ends, and until a streamed one has begun or ends."""

    plain: float = 0.0
    streamed: float = 0.0

    @property
    def longest(self) -> float:
        """Of the two."""
        return max(self.plain, self.streamed)

    def __add__(self, other: Silence) -> Silence:
        """One after the other."""
        return Silence(self.plain + other.plain, self.streamed + other.streamed)

    def __mul__(self, times: int) -> Silence:
        """So many times."""
        return Silence(self.plain * times, self.streamed * times)


def silences(
    models: Iterable[Model], router: Mapping[str, Any], litellm: Mapping[str, Any], request_timeout: float
) -> dict[str, Silence]:
    """Return how long a call for each model can be silent, by the model's name.

    `router` and `litellm` are the sections `router_settings` and `litellm_settings`.
    """
    entries: dict[str, list[Model]] = {}
    for model in models:
        entries.setdefault(model.name, []).append(model)
    own = {name: _own(name, each, router, litellm, request_timeout) for name, each in entries.items()}
    most = _counted(router.get("max_fallbacks"), litellm.get("max_fallbacks"), FALLBACKS)
    walk = _Walk(own, _fallbacks(router, litellm), most)
    return {name: walk.of(name, 0, {name}) for name in own}


def _own(
    name: str, entries: Iterable[Model], router: Mapping[str, Any], litellm: Mapping[str, Any], request_timeout: float
) -> Silence:
    """Of a model's own deployments."""
    attempts = [_attempt(entry, router, request_timeout) for entry in entries]
    retries = max(_retries(name, entry, router, litellm) for entry in entries)
    longest = Silence(max(each.plain for each in attempts), max(each.streamed for each in attempts))
    pauses = PAUSE * (retries + 1) if retries else 0.0
    return longest * (retries + 1) + Silence(pauses, pauses)


def _attempt(entry: Model, router: Mapping[str, Any], request_timeout: float) -> Silence:
    given = entry.parameters
    plain = _first(given.get("timeout"), given.get("request_timeout"), request_timeout)
    # With a time-out of the Router's, streams that have none of their own wait request_timeout.
    otherwise = request_timeout if router.get("timeout") is not None else plain
    streamed = _first(given.get("stream_timeout"), router.get("stream_timeout"), otherwise)
    return Silence(plain, max(streamed, request_timeout) if entry.provider in UNTIMED_STREAMS else streamed)


def _retries(name: str, entry: Model, router: Mapping[str, Any], litellm: Mapping[str, Any]) -> int:
    """How often LiteLLM tries again after a time-out: a model's own policy is instead of the Router's."""
    policy = _mapping(_mapping(router.get("model_group_retry_policy")).get(name, router.get("retry_policy")))
    return _counted(
        *(policy.get("TimeoutErrorRetries"), policy.get("DefaultRetries"), entry.parameters.get("num_retries")),
        *(router.get("num_retries"), litellm.get("num_retries"), RETRIES),
    )


def _fallbacks(router: Mapping[str, Any], litellm: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names that each one falls back to; those of every other are under "*"."""
    found: dict[str, list[str]] = {}
    for item in router.get("fallbacks") or litellm.get("fallbacks") or ():
        for name, targets in item.items():
            found[name] = [str(each.get("model", name)) if isinstance(each, dict) else str(each) for each in targets]
    default = router.get("default_fallbacks") or litellm.get("default_fallbacks")
    return {"*": [str(each) for each in default], **found} if default else found


def _first(*seconds: object) -> float:
    """The first that is a number and not 0, which LiteLLM takes for none. What a variable says is not known here."""
    return next((float(each) for each in seconds if isinstance(each, int | float) and each), 0.0)


def _counted(*numbers: object) -> int:
    """The first that is a number."""
    return next((int(each) for each in numbers if isinstance(each, int | float)), 0)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True)
class _Walk:
    """The way of a call from model to model; a fallback that was asked is not asked again."""

    own: Mapping[str, Silence]
    fallbacks: Mapping[str, Collection[str]]
    most: int

    def of(self, name: str, depth: int, asked: set[str]) -> Silence:
        whole = self.own.get(name, Silence())
        if depth >= self.most:
            return whole
        for target in self.fallbacks.get(name, self.fallbacks.get("*", ())):
            if target in asked:
                continue
            asked.add(target)
            depth += 1
            whole += self.of(target, depth, asked)
        return whole
